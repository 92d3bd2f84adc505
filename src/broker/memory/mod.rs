//! The in-process log: the rules of Apache Kafka behind one lock, without a network and without threads.
//!
//! Every call is tried when it is started and again at each poll, so with nothing in its way it is answered at the
//! first poll and a single thread makes progress without time passing. Timeouts go by the machine's clock and are
//! acted on by whoever calls next. What can go wrong is switched on by the fault hooks below.

mod admin;
mod calls;
mod client;
mod compaction;
mod consumer;
mod faults;
mod group;
#[cfg(test)]
mod hooks;
mod log;
mod producer;
mod state;
#[cfg(test)]
mod tests;
mod topic;
mod transactions;

pub(crate) use client::MemoryClient;
#[cfg(test)]
pub(crate) use faults::{Call, Loss};

use crate::broker::{Answer, Isolation, LogBounds, LogRecord, NewTopic, Outgoing};
use crate::record::TopicPartition;
use crate::time::Clock;
use state::State;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use transactions::Identity;

/// Timeouts in ms of the machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// A member that was not heard for so long is evicted.
    pub(crate) session: i64,
    /// A rebalance waits so long for members to give back what they own.
    pub(crate) rebalance: i64,
    /// A call without an answer fails after so long.
    pub(crate) request: i64,
    /// A transaction that is open for so long is aborted.
    pub(crate) transaction: i64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { session: 45_000, rebalance: 300_000, request: 30_000, transaction: 10_000 }
    }
}

/// A handle to one log; clones share it.
#[derive(Clone)]
pub(crate) struct MemoryLog(Arc<Mutex<State>>);

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryLog").field("topics", &state.topics.keys()).finish_non_exhaustive()
    }
}

impl MemoryLog {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_timeouts(clock, Timeouts::default())
    }

    pub(crate) fn with_timeouts(clock: Arc<dyn Clock>, timeouts: Timeouts) -> Self {
        Self(Arc::new(Mutex::new(State::new(clock, timeouts))))
    }

    /// The client objects of one process; faults are switched by its name.
    pub(crate) fn client(&self, name: &str) -> MemoryClient {
        MemoryClient::new(self.clone(), name)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No state is left half changed by a panic: what can panic is the caller's code, which is never run inside.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with everything done that is due by now, and now.
    fn current(&self) -> (MutexGuard<'_, State>, i64) {
        let mut state = self.lock();
        let now = state.clock.monotonic();
        state.expire(now);
        (state, now)
    }

    // Beside all clients: these always reach the log.

    /// An existing topic is no failure.
    pub(crate) fn create_topic(&self, name: &str, partitions: u32, config: &[(&str, &str)]) -> Answer<()> {
        let config = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (mut state, now) = self.current();
        state.create_topic(&NewTopic { name: name.to_owned(), partitions, config }, now)
    }

    /// Deletes a topic and the offsets that groups have committed for it.
    pub(crate) fn delete_topic(&self, name: &str) {
        let (mut state, now) = self.current();
        state.delete_topic(name, now);
    }

    /// Appends records in order and removes them from `records`; after a failure the refused one is the first left.
    pub(crate) fn append(&self, records: &mut Vec<Outgoing>) -> Answer<()> {
        let plain = Identity { producer: 0, epoch: 0, transactional_id: None };
        let (mut state, _) = self.current();
        state.append_all(&plain, records, |_, _| ())
    }

    /// Appends a record unless its partition holds `most` records already.
    pub(crate) fn append_one(&self, record: Outgoing, most: Option<u64>) -> Answer<bool> {
        let plain = Identity { producer: 0, epoch: 0, transactional_id: None };
        let (mut state, _) = self.current();
        if let Some(most) = most {
            let bounds = state.bounds(&record.target, Isolation::ReadUncommitted)?;
            if (bounds.end - bounds.start).unsigned_abs() >= most {
                return Ok(false);
            }
        }
        state.append_one(&plain, record).map(|()| true)
    }

    /// All committed records of a topic with their partitions, by partition and offset.
    pub(crate) fn read_all(&self, topic: &str) -> Vec<(u32, LogRecord)> {
        let (state, _) = self.current();
        let logs = state.topics.get(topic).map_or(&[][..], |topic| &topic.partitions);
        let committed = |log: &log::PartitionLog| log.read(log.start(), Isolation::ReadCommitted, usize::MAX);
        let read = (0..).zip(logs).map(|(partition, log)| (partition, committed(log).unwrap_or_default().0));
        read.flat_map(|(partition, records)| records.into_iter().map(move |record| (partition, record)))
            .collect()
    }

    pub(crate) fn bounds(&self, partition: &TopicPartition, isolation: Isolation) -> Answer<LogBounds> {
        self.current().0.bounds(partition, isolation)
    }

    pub(crate) fn delete_records(&self, before: &BTreeMap<TopicPartition, i64>) {
        self.current().0.delete_records(before);
    }

    /// Topics by name with their partition counts and configuration.
    pub(crate) fn topics(&self) -> BTreeMap<String, NewTopic> {
        admin::describe(&self.current().0, &[])
    }

    /// The name of a topic as the log shares it, and its partition count.
    pub(crate) fn topic(&self, topic: &str) -> Option<(Arc<str>, u32)> {
        let state = self.lock();
        let (name, topic) = state.topics.get_key_value(topic)?;
        Some((name.clone(), topic.partitions.len() as u32))
    }

    /// The next moment of the machine's clock at which the log has something to do: evict, abort.
    pub(crate) fn next_timeout(&self) -> Option<i64> {
        self.current().0.next_timeout()
    }

    // Faults.

    /// Switches an outage of the whole log: it answers no client.
    pub(crate) fn outage(&self, on: bool) {
        self.current().0.faults.whole_outage = on;
    }
}
