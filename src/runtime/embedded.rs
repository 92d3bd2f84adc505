//! A log inside the process, as a program holds it: topics, the end of the input, and who is to be woken.

use super::ending::{AtEnd, EndOfInput};
use super::home::Home;
use super::process::broker_error;
use super::signal::Signal;
use super::topics::PURGED;
use super::{LocalState, Settings, Surroundings};
use crate::broker::memory::MemoryLog;
use crate::broker::{Isolation, LogRecord, Outgoing};
use crate::error::{Error, ErrorKind, Result};
use crate::record::TopicPartition;
use crate::state::MemoryDisk;
use crate::time::{Clock, SystemClock};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a writer waits at most before it looks again whether there is room, ms.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Topics in memory, with groups and transactions: what [`KafkaStreams::embedded`](crate::KafkaStreams::embedded) runs
/// on. Clones share it.
///
/// It is for one process: nothing survives it. Changelogs are compacted, internal topics are emptied once they are
/// committed; a topic made by [`create_feed`](Self::create_feed) is, too, and takes only so many records ahead. Other
/// topics keep what they were given until it is [taken](Self::take).
#[derive(Clone)]
pub struct EmbeddedLog(Arc<Inner>);

struct Inner {
    log: MemoryLog,
    clock: Arc<dyn Clock>,
    end: EndOfInput,
    /// Records that each feed may be ahead of the last commit.
    feeds: Mutex<BTreeMap<String, u64>>,
    signal: Signal,
    /// Goes up whenever a writer finds a feed full: a commit makes room.
    full: AtomicU64,
    instances: AtomicU64,
}

impl Default for EmbeddedLog {
    fn default() -> Self {
        Self::with_clock(Arc::new(SystemClock::new()))
    }
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EmbeddedLog").finish_non_exhaustive()
    }
}

impl EmbeddedLog {
    /// An empty log on the system's clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty log on this clock, which is also that of the applications on it: a file's, a test's.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let log = MemoryLog::new(clock.clone());
        Self(Arc::new(Inner {
            log,
            clock,
            end: EndOfInput::default(),
            feeds: Mutex::default(),
            signal: Signal::default(),
            full: AtomicU64::new(0),
            instances: AtomicU64::new(0),
        }))
    }

    /// Makes a topic; one that is there stays as it is.
    ///
    /// # Errors
    /// If the name is empty or the count zero.
    pub fn create_topic(&self, topic: &str, partitions: u32) -> Result<()> {
        let made = self.0.log.create_topic(topic, partitions, &[]);
        made.map_err(|failure| broker_error(&format!("make topic `{topic}`"), &failure))?;
        self.notify();
        Ok(())
    }

    /// Makes a topic that one application reads: its records are deleted once they are committed, and at most `ahead` of
    /// them wait for that in a partition, so that a fast writer does not fill the memory.
    ///
    /// # Errors
    /// If the name is empty or a count zero.
    pub fn create_feed(&self, topic: &str, partitions: u32, ahead: usize) -> Result<()> {
        if ahead == 0 {
            let text = format!("feed `{topic}` may be no record ahead, so nothing could be written");
            return Err(Error::new(ErrorKind::Topics, text));
        }
        let made = self.0.log.create_topic(topic, partitions, &[(PURGED, "true")]);
        made.map_err(|failure| broker_error(&format!("make topic `{topic}`"), &failure))?;
        lock(&self.0.feeds).insert(topic.to_owned(), ahead as u64);
        self.notify();
        Ok(())
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, topic: &str) {
        self.0.log.delete_topic(topic);
        lock(&self.0.feeds).remove(topic);
        self.notify();
    }

    /// Deletes what is committed in a topic that nobody reads.
    ///
    /// # Errors
    /// If there is no such topic.
    pub fn truncate(&self, topic: &str) -> Result<()> {
        let end =
            |partition: &TopicPartition| self.bounds(partition, Isolation::ReadCommitted).map(|(_, end)| end);
        let partitions = self.partitions(topic)?;
        let before = partitions.into_iter().map(|partition| Ok((partition.clone(), end(&partition)?)));
        self.0.log.delete_records(&before.collect::<Result<_>>()?);
        Ok(())
    }

    /// No more input will come. Every application on this log, whether it runs already or starts later, reads its source
    /// topics up to where they end now; every partition goes to the largest watermark of all; then gaps are filled no
    /// longer and, with [`AtEnd::Close`], time runs on until nothing is open. After that the application ends by itself.
    /// The first call counts.
    pub fn end_of_input(&self, at_end: AtEnd) {
        let topics = self.0.log.topics();
        let partitions = topics.values().flat_map(|topic| {
            (0..topic.partitions).map(|partition| TopicPartition::new(topic.name.as_str(), partition))
        });
        let end = |partition: TopicPartition| {
            let bounds = self.0.log.bounds(&partition, Isolation::ReadUncommitted).ok()?;
            Some((partition, bounds.end))
        };
        self.0.end.declare(at_end, partitions.filter_map(end).collect());
        self.notify();
    }

    /// The clock of the log and of the applications on it.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.0.clock.clone()
    }

    /// The shared name of a topic, and how many partitions it has.
    pub(crate) fn topic(&self, topic: &str) -> Result<(Arc<str>, u32)> {
        let missing = || Error::new(ErrorKind::Topics, format!("topic `{topic}` does not exist"));
        self.0.log.topic(topic).ok_or_else(missing)
    }

    fn partitions(&self, topic: &str) -> Result<Vec<TopicPartition>> {
        let (name, count) = self.topic(topic)?;
        Ok((0..count).map(|partition| TopicPartition::new(name.clone(), partition)).collect())
    }

    fn bounds(&self, partition: &TopicPartition, isolation: Isolation) -> Result<(i64, i64)> {
        match self.0.log.bounds(partition, isolation) {
            Ok(bounds) => Ok((bounds.start, bounds.end)),
            Err(failure) => Err(broker_error(&format!("look at {partition}"), &failure)),
        }
    }

    /// `false`: its partition is as many records ahead as it may be; nothing was written.
    pub(crate) fn try_write(&self, record: Outgoing) -> Result<bool> {
        let most = lock(&self.0.feeds).get(&*record.target.topic).copied();
        let target = record.target.clone();
        let written = self.0.log.append_one(record, most);
        let written = written.map_err(|failure| broker_error(&format!("write to {target}"), &failure))?;
        if !written {
            self.0.full.fetch_add(1, Ordering::SeqCst);
        }
        self.notify();
        Ok(written)
    }

    /// Writes records of one topic from the front on, as far as there is room, and takes them out; whether that was all.
    /// In a feed that is as many records ahead as it may be, the rest waits behind the one that has no room.
    pub(crate) fn try_write_all(&self, records: &mut Vec<Outgoing>) -> Result<bool> {
        let fitting = self.fitting(records)?;
        if fitting < records.len() {
            self.0.full.fetch_add(1, Ordering::SeqCst);
        }
        let mut batch: Vec<Outgoing> = records.drain(..fitting).collect();
        let written = self.0.log.append(&mut batch);
        if let (Err(failure), Some(refused)) = (written, batch.first()) {
            return Err(broker_error(&format!("write to {}", refused.target), &failure));
        }
        self.notify();
        Ok(records.is_empty())
    }

    fn fitting(&self, records: &[Outgoing]) -> Result<usize> {
        let Some(most) =
            records.first().and_then(|first| lock(&self.0.feeds).get(&*first.target.topic).copied())
        else {
            return Ok(records.len());
        };
        let mut room = BTreeMap::new();
        for (at, Outgoing { target, .. }) in records.iter().enumerate() {
            if let Entry::Vacant(unknown) = room.entry(target.partition) {
                let (start, end) = self.bounds(target, Isolation::ReadUncommitted)?;
                unknown.insert(most.saturating_sub((end - start).unsigned_abs()));
            }
            match room.get_mut(&target.partition) {
                Some(left) if *left > 0 => *left -= 1,
                _ => return Ok(at),
            }
        }
        Ok(records.len())
    }

    /// Waits until there is room.
    pub(crate) fn write_when_there_is_room(&self, record: &Outgoing) -> Result<()> {
        loop {
            let seen = self.0.signal.count();
            if self.try_write(record.clone())? {
                return Ok(());
            }
            // Its own call for a commit is no news.
            self.0.signal.wait(seen + 1, LOOK_AGAIN);
        }
    }

    /// Committed records by partition and offset.
    pub(crate) fn read_bytes(&self, topic: &str) -> Result<Vec<(u32, LogRecord)>> {
        self.partitions(topic)?;
        Ok(self.0.log.read_all(topic))
    }

    /// As `read_bytes`, and deletes them.
    pub(crate) fn take_bytes(&self, topic: &str) -> Result<Vec<(u32, LogRecord)>> {
        let records = self.read_bytes(topic)?;
        let mut before = BTreeMap::new();
        for (partition, record) in &records {
            before.insert(TopicPartition::new(topic, *partition), record.offset + 1);
        }
        self.0.log.delete_records(&before);
        Ok(records)
    }

    /// Something happened.
    fn notify(&self) {
        self.0.signal.notify();
    }
}

impl Home for EmbeddedLog {
    fn clock(&self) -> Arc<dyn Clock> {
        self.0.clock.clone()
    }

    fn surroundings(&self, settings: &Settings, fingerprint: &str) -> Result<Surroundings> {
        let number = self.0.instances.fetch_add(1, Ordering::SeqCst);
        let local = if settings.stores.on_disk {
            LocalState::open(settings, fingerprint, None, LocalState::seed()?)?
        } else {
            LocalState { disk: Box::new(MemoryDisk::default()), instance_id: number.to_string() }
        };
        Ok(Surroundings {
            client: Box::new(self.0.log.client(&format!("instance-{number}"))),
            disk: local.disk,
            instance_id: local.instance_id,
            seed: number << 32,
            kill: None,
        })
    }

    fn end_of_input(&self) -> Option<EndOfInput> {
        Some(self.0.end.clone())
    }
    fn signal(&self) -> &Signal {
        &self.0.signal
    }
    fn times_full(&self) -> u64 {
        self.0.full.load(Ordering::SeqCst)
    }
}

/// Nothing is left half changed under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
