//! Partitions that are read outside of the group: changelogs.

use super::Waker;
use super::failure::{Call, failure};
use super::ffi::{Handle, KafkaError, Partitions, Queue};
use super::readers::Readers;
use crate::broker::{Answer, Failure, FailureKind, LogRecord};
use crate::record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// How long a partition that nobody asks for any more is read ahead, ms.
const UNREAD_MS: i64 = 5_000;

/// One isolation level's.
pub(super) struct ChangelogReader {
    handle: Handle,
    events: Queue,
    readers: Readers,
    /// Where each is read next, and when (machine's clock) it was asked for last.
    next: BTreeMap<TopicPartition, (i64, i64)>,
}

impl ChangelogReader {
    pub(super) fn new(handle: Handle, waker: &Waker) -> Answer<Self> {
        let none = || Failure::new(FailureKind::Fatal, "the reader has no queue");
        let events = Queue::consumer(&handle).ok_or_else(none)?;
        let readers = Readers::new(&handle, waker.clone());
        Ok(Self { handle, events, readers, next: BTreeMap::new() })
    }

    fn begin(&mut self, partition: &TopicPartition, offset: i64, now: i64) -> Answer<()> {
        let on = |error: &KafkaError| failure(error, Call::Ask, &format!("read {partition}"));
        self.end(partition);
        self.readers.split(std::slice::from_ref(partition));
        self.handle.incremental_assign(&Partitions::at([(partition, offset)])).map_err(|error| on(&error))?;
        self.readers.begun(partition, offset);
        self.next.insert(partition.clone(), (offset, now));
        Ok(())
    }

    pub(super) fn end(&mut self, partition: &TopicPartition) {
        if self.next.remove(partition).is_some() {
            self.handle.incremental_unassign(&Partitions::at([(partition, 0)])).ok();
            self.readers.release([partition]);
        }
    }

    /// A restore that was given up does not say so.
    fn end_unread(&mut self, now: i64) {
        let unread = |(partition, (_, asked)): (&TopicPartition, &(i64, i64))| {
            (now - asked > UNREAD_MS).then(|| partition.clone())
        };
        let unread: BTreeSet<TopicPartition> = self.next.iter().filter_map(unread).collect();
        for partition in &unread {
            self.end(partition);
        }
    }

    pub(super) fn read(
        &mut self,
        from: &TopicPartition,
        offset: i64,
        max: usize,
        now: i64,
    ) -> Answer<(Vec<LogRecord>, i64)> {
        while self.events.poll(0).is_some() {}
        self.end_unread(now);
        if self.next.get(from).is_none_or(|(next, _)| *next != offset) {
            self.begin(from, offset, now)?;
        }
        let records = self.readers.fetch(from, max);
        if records.is_err() {
            self.end(from);
        }
        let records = records?;
        let position = self.readers.position(from).unwrap_or(offset).max(offset);
        self.next.insert(from.clone(), (position, now));
        Ok((records, position))
    }
}
