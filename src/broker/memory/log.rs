//! One partition: records in offset order, what of them is visible, and where they begin and end.
//!
//! A transaction marker takes an offset and no record, and compaction leaves holes: an offset is no index, and the
//! end of the log is not the last record's offset plus one. Below the last stable offset a record is either visible
//! or in an aborted range.

use crate::broker::{Answer, Failure, FailureKind, Isolation, LogRecord, Outgoing};
use crate::record::TopicPartition;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Below this many slots a partition keeps the memory it has.
const KEPT_SLOTS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct PartitionLog {
    pub(super) records: VecDeque<LogRecord>,
    start: i64,
    end: i64,
    /// Records of transactions without a marker yet, by producer.
    open: BTreeMap<u64, Vec<Range<i64>>>,
    /// Aborted ranges: first offset to the one after the last.
    pub(super) aborted: BTreeMap<i64, i64>,
    /// Tombstones that compaction has seen, with the time at which they may go.
    pub(super) tombstones: BTreeMap<i64, i64>,
    /// Compaction has been here.
    pub(super) cleaned: i64,
    /// Records appended since compaction was tried.
    pub(super) dirty: usize,
}

impl PartitionLog {
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// Log end offset, or last stable offset.
    pub(super) fn end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.end,
            Isolation::ReadCommitted => {
                let open = self.open.values().filter_map(|ranges| ranges.first()).map(|range| range.start);
                open.min().map_or(self.end, |first| first.max(self.start))
            }
        }
    }

    /// Whether this producer has records here whose transaction is open.
    pub(super) fn is_open(&self, producer: u64) -> bool {
        self.open.contains_key(&producer)
    }

    /// Appends and says where; `transaction` is the producer if the record belongs to a transaction.
    pub(super) fn append(&mut self, record: Outgoing, transaction: Option<u64>) -> (TopicPartition, i64) {
        let offset = self.end;
        self.end += 1;
        self.dirty += 1;
        if let Some(producer) = transaction {
            push_offset(self.open.entry(producer).or_default(), offset);
        }
        let Outgoing { target, timestamp, key, value, headers } = record;
        self.records.push_back(LogRecord { offset, timestamp, key, value, headers });
        (target, offset)
    }

    /// Writes the marker of a transaction, if it has written here.
    pub(super) fn end_transaction(&mut self, producer: u64, commit: bool) {
        let Some(ranges) = self.open.remove(&producer) else { return };
        self.end += 1;
        if !commit {
            self.aborted.extend(ranges.into_iter().map(|range| (range.start, range.end)));
        }
    }

    /// Up to `max` records from `offset` on, and the position behind them: past markers and aborted records once
    /// there is nothing left before them.
    pub(super) fn read(
        &self,
        offset: i64,
        isolation: Isolation,
        max: usize,
    ) -> Answer<(Vec<LogRecord>, i64)> {
        if offset < self.start || offset > self.end {
            let text =
                format!("offset {offset} is outside the log, which holds {} to {}", self.start, self.end);
            return Err(Failure::new(FailureKind::OutOfRange, text));
        }
        let bound = self.end(isolation);
        let first = self.index(offset);
        let mut records = Vec::with_capacity(max.min(self.records.len() - first));
        for record in self.records.range(first..) {
            if record.offset >= bound {
                break;
            }
            if records.len() == max {
                return Ok((records, record.offset));
            }
            if isolation == Isolation::ReadUncommitted || !self.is_aborted(record.offset) {
                records.push(record.clone());
            }
        }
        Ok((records, bound.max(offset)))
    }

    pub(super) fn is_aborted(&self, offset: i64) -> bool {
        !self.aborted.is_empty()
            && self.aborted.range(..=offset).next_back().is_some_and(|(_, end)| *end > offset)
    }

    /// Index of the first record at or after an offset. Without holes it is a subtraction.
    fn index(&self, offset: i64) -> usize {
        let Some(first) = self.records.front() else { return 0 };
        let guess = usize::try_from(offset - first.offset).unwrap_or(0);
        match self.records.get(guess) {
            Some(record) if record.offset == offset => guess,
            _ => self.records.partition_point(|record| record.offset < offset),
        }
    }

    /// Moves the log start and gives back the memory of what lay before it.
    pub(super) fn delete_before(&mut self, offset: i64) {
        if offset <= self.start {
            return;
        }
        self.start = offset.min(self.end);
        self.cleaned = self.cleaned.max(self.start);
        let gone = self.index(self.start);
        self.records.drain(..gone);
        self.forget_before(self.start);
        self.shrink();
    }

    /// Drops what was noted of offsets of which no record is left.
    pub(super) fn forget_before(&mut self, offset: i64) {
        while let Some(entry) = self.aborted.first_entry().filter(|entry| *entry.get() <= offset) {
            entry.remove();
        }
        while let Some(entry) = self.tombstones.first_entry().filter(|entry| *entry.key() < offset) {
            entry.remove();
        }
    }

    pub(super) fn shrink(&mut self) {
        if self.records.capacity() > KEPT_SLOTS && self.records.len() < self.records.capacity() / 4 {
            self.records.shrink_to(2 * self.records.len());
        }
    }

    /// Offset of the first record at or after a time, or the log end.
    pub(super) fn offset_for_time(&self, time: crate::time::Timestamp) -> i64 {
        self.records.iter().find(|record| record.timestamp >= time).map_or(self.end, |record| record.offset)
    }
}

/// Adds an offset that is larger than all before.
pub(super) fn push_offset(ranges: &mut Vec<Range<i64>>, offset: i64) {
    match ranges.last_mut() {
        Some(range) if range.end == offset => range.end += 1,
        _ => ranges.push(offset..offset + 1),
    }
}
