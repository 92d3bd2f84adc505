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
mod log;
mod producer;
mod state;
#[cfg(test)]
mod tests;
mod topic;
mod transactions;

pub(crate) use client::MemoryClient;
pub(crate) use faults::{Call, Loss};

use crate::broker::{
    Answer, CommittedOffset, GroupMetadata, Isolation, LogBounds, LogRecord, NewTopic, Offsets, Outgoing,
};
use crate::record::TopicPartition;
use crate::time::{Clock, Timestamp};
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

    /// Records of one partition from `offset` on, at most `max`, and the position behind them.
    pub(crate) fn read(
        &self,
        from: &TopicPartition,
        offset: i64,
        isolation: Isolation,
        max: usize,
    ) -> Answer<(Vec<LogRecord>, i64)> {
        let (mut state, _) = self.current();
        state.partition(from)?.read(offset, isolation, max)
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

    pub(crate) fn partition_count(&self, topic: &str) -> Option<u32> {
        self.current().0.topics.get(topic).map(|topic| topic.partitions.len() as u32)
    }

    /// What a group has committed, if no transaction is pending on it.
    pub(crate) fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Option<Offsets> {
        self.current()
            .0
            .groups
            .get(group)
            .map_or_else(|| Some(Offsets::new()), |g| g.stable_offsets(partitions))
    }

    /// Commits offsets as a tool does, for a group without members. Metadata is what a broker makes of the bytes:
    /// text, with replacements where it is none.
    pub(crate) fn commit(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, (i64, Vec<u8>)>,
    ) -> Answer<()> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let offset = |(at, (offset, metadata)): (&TopicPartition, &(i64, Vec<u8>))| {
            (at.clone(), CommittedOffset { offset: *offset, metadata: text(metadata) })
        };
        let nobody = GroupMetadata { group: group.to_owned(), member: String::new(), generation: -1 };
        self.current().0.commit_offsets(&offsets.iter().map(offset).collect(), &nobody)
    }

    /// Compacts every compacted topic as of `now`; returns how many records went.
    pub(crate) fn compact(&self, now: Timestamp) -> usize {
        self.current().0.compact(now.0)
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

    /// Switches an outage for one client.
    pub(crate) fn outage_of(&self, client: &str, on: bool) {
        let mut state = self.current().0;
        switch(&mut state.faults.outages, client, on);
    }

    /// Holds the records that a client hands over back; other calls pass. If the producer is dropped meanwhile, they
    /// become late requests.
    pub(crate) fn hold_sends_of(&self, client: &str, on: bool) {
        let mut state = self.current().0;
        switch(&mut state.faults.held_sends, client, on);
    }

    /// Holds the markers of transactions that end: their end is answered but not seen yet.
    pub(crate) fn hold_markers(&self, on: bool) {
        let mut state = self.current().0;
        state.faults.markers_held = on;
        state.write_markers();
    }

    /// Loses the next call of this kind of a client.
    pub(crate) fn lose_next(&self, client: &str, call: Call, loss: Loss) {
        self.current().0.faults.lose_next(client, call, loss);
    }

    /// Requests that are still under way from producers that are gone, or whose callers gave up.
    pub(crate) fn late_requests(&self) -> usize {
        self.current().0.faults.late.len()
    }

    /// Lets the oldest late request arrive; `false` if there is none.
    pub(crate) fn land_late_request(&self) -> bool {
        let (mut state, now) = self.current();
        state.land_late_request(now)
    }

    /// Loses all late requests.
    pub(crate) fn drop_late_requests(&self) {
        self.current().0.faults.late.clear();
    }
}

fn switch(clients: &mut std::collections::BTreeSet<String>, client: &str, on: bool) {
    if on {
        clients.insert(client.to_owned());
    } else {
        clients.remove(client);
    }
}
