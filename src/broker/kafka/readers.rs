//! Partitions that are read, each from a queue of its own.
//!
//! ```text
//!   idle --seek--> seeking --the client's thread has gone there--> reading
//!    ^                                                                |
//!    +------------------------- release -----------------------------+
//! ```

use super::Waker;
use super::failure::{Call, failure};
use super::ffi::{Handle, Item, Partitions, Queue};
use crate::broker::{Answer, Failure, FailureKind, LogRecord};
use crate::record::TopicPartition;
use std::collections::BTreeMap;

/// How long the client's own thread may take to turn to another offset, ms. It does not wait for a broker.
const SEEK_MS: i32 = 100;

/// The queues of one consumer. A queue that was split once is kept for the life of the consumer.
pub(super) struct Readers {
    handle: Handle,
    waker: Waker,
    by_partition: BTreeMap<TopicPartition, Reader>,
}

struct Reader {
    /// `None`: the client has no memory for a queue.
    queue: Option<Queue>,
    /// Where reading was begun last; `None`: it is not read.
    sought: Option<i64>,
    /// The client has not gone there yet.
    seeking: bool,
    /// The end that was reached last, since.
    end: Option<i64>,
    /// After the last record that was given out since.
    read: Option<i64>,
    /// Came behind records that were given out before it.
    failure: Option<Failure>,
    /// librdkafka has given up reading here: a seek is refused until it is assigned again.
    stopped: bool,
}

impl Readers {
    pub(super) fn new(handle: &Handle, waker: Waker) -> Self {
        Self { handle: handle.clone(), waker, by_partition: BTreeMap::new() }
    }

    /// Before a partition is assigned: else its first records would come to the consumer's queue.
    pub(super) fn split(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.reader(partition);
        }
    }

    fn reader(&mut self, partition: &TopicPartition) -> &mut Reader {
        let (handle, waker) = (&self.handle, &self.waker);
        self.by_partition.entry(partition.clone()).or_insert_with(|| {
            let mut queue = Queue::partition(handle, &partition.topic, partition.partition);
            if let Some(queue) = &mut queue {
                queue.wake(waker.clone());
            }
            Reader {
                queue,
                sought: None,
                seeking: false,
                end: None,
                read: None,
                failure: None,
                stopped: false,
            }
        })
    }

    /// Begins at an offset, as soon as the partition is there.
    pub(super) fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        let reader = self.reader(partition);
        reader.begin(Some(offset), true);
        self.go(partition);
    }

    /// The partition was assigned at this very offset.
    pub(super) fn begun(&mut self, partition: &TopicPartition, offset: i64) {
        self.reader(partition).begin(Some(offset), false);
    }

    /// Whether it has to be assigned again before it can be read.
    pub(super) fn is_stopped(&self, partition: &TopicPartition) -> bool {
        self.by_partition.get(partition).is_some_and(|reader| reader.stopped)
    }

    /// Where to assign a partition that is owned: where it is read, or `otherwise`.
    pub(super) fn begin_again(&mut self, partition: &TopicPartition, otherwise: i64) -> i64 {
        let position = self.position(partition);
        if let Some(reader) = self.by_partition.get_mut(partition) {
            (reader.stopped, reader.seeking) = (false, reader.sought.is_some());
            reader.sought = position;
        }
        position.unwrap_or(otherwise)
    }

    /// These are read no more.
    pub(super) fn release<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        for partition in partitions {
            if let Some(reader) = self.by_partition.get_mut(partition) {
                reader.begin(None, false);
                reader.stopped = false;
            }
        }
    }

    pub(super) fn release_all(&mut self) {
        let all: Vec<TopicPartition> = self.by_partition.keys().cloned().collect();
        self.release(&all);
    }

    /// Where it is refused the partition has not been started yet: the next look tries again.
    fn go(&mut self, partition: &TopicPartition) -> bool {
        let Some(Reader { sought: Some(offset), seeking: true, .. }) = self.by_partition.get(partition)
        else {
            return true;
        };
        let mut at = Partitions::at([(partition, *offset)]);
        let told = self.handle.seek(&mut at, SEEK_MS);
        if told.is_err() || at.iter().any(|told| told.error.is_some()) {
            return false;
        }
        self.handle.resume(&Partitions::at([(partition, *offset)])).ok();
        if let Some(reader) = self.by_partition.get_mut(partition) {
            reader.seeking = false;
        }
        true
    }

    pub(super) fn fetch(&mut self, partition: &TopicPartition, max: usize) -> Answer<Vec<LogRecord>> {
        let arrived = self.go(partition);
        let unread =
            || Failure::new(FailureKind::Fatal, format!("{partition} is not read: nothing was sought"));
        let reader = self.by_partition.get_mut(partition).filter(|reader| reader.sought.is_some());
        let reader = reader.ok_or_else(unread)?;
        if let Some(failure) = reader.failure.take() {
            return Err(failure);
        }
        let mut records = Vec::new();
        let Some(queue) = reader.queue.as_ref().filter(|_| arrived) else { return Ok(records) };
        let (end, read) = (&mut reader.end, &mut reader.read);
        let (failed, stopped) = (&mut reader.failure, &mut reader.stopped);
        loop {
            let before = records.len();
            queue.take(max - before, |item| match item {
                Item::Record(record) => {
                    *read = Some(record.offset + 1);
                    records.push(record);
                }
                Item::End(offset) => *end = Some(offset),
                Item::Error(error) => {
                    let failure = failure(&error, Call::Ask, &partition.to_string());
                    if failure.kind == FailureKind::Retriable {
                        tracing::warn!(%partition, "{failure}");
                    } else {
                        *stopped |= failure.kind == FailureKind::OutOfRange;
                        *failed = Some(failure);
                    }
                }
            });
            if records.len() == before || records.len() >= max || failed.is_some() {
                break;
            }
        }
        match failed.take() {
            Some(failure) if records.is_empty() => Err(failure),
            later => {
                *failed = later;
                Ok(records)
            }
        }
    }

    /// Past markers and aborted records.
    pub(super) fn position(&self, partition: &TopicPartition) -> Option<i64> {
        let reader = self.by_partition.get(partition)?;
        let sought = reader.sought?;
        if reader.seeking {
            return Some(sought);
        }
        let seen = sought.max(reader.read.unwrap_or(sought)).max(reader.end.unwrap_or(sought));
        let told = self.handle.position(&partition.topic, partition.partition);
        // Where a batch is taken that holds the event of an end, librdkafka counts it as a record at that offset
        // (2.12.1, `rd_kafka_q_serve_rkmessages`). So one past the end can be a marker, and then the next end says so,
        // or nothing: a record may still come there, from a transaction that is open.
        let counted = reader.end.is_some_and(|end| told == end + 1);
        Some(if counted { seen } else { seen.max(told) })
    }
}

impl Reader {
    fn begin(&mut self, at: Option<i64>, seeking: bool) {
        (self.sought, self.seeking) = (at, seeking);
        (self.end, self.read, self.failure) = (None, None, None);
    }
}
