//! Compaction: of each key the last value stays, and the tail that is not stable or too young stays whole.
//!
//! As Kafka's cleaner: it begins to look for young records where it stopped the last time, measures their age by
//! record timestamps, never passes the last stable offset, drops aborted records, and keeps a tombstone for
//! `delete.retention.ms` after the first pass over it, so that a reader who is under way sees it.

use super::log::PartitionLog;
use crate::broker::{Isolation, LogRecord};
use hashbrown::HashSet;

/// A compacted partition is cleaned by itself when so many records were appended since the last try, and they are
/// more than half of it.
const DIRTY_RECORDS: usize = 10_000;

/// What a compacted topic asks for, in ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compaction {
    pub(super) lag: i64,
    pub(super) tombstone_retention: i64,
}

impl PartitionLog {
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty >= DIRTY_RECORDS && 2 * self.dirty >= self.records.len()
    }

    /// Compacts as of `now` and says how many records went.
    pub(super) fn compact(&mut self, rules: Compaction, now: i64) -> usize {
        self.dirty = 0;
        let limit = self.cleanable_end(rules.lag, now);
        if limit <= self.cleaned && !self.tombstones.values().any(|due| *due <= now) {
            return 0;
        }
        let keep = self.kept(rules.tombstone_retention, limit, now);
        let before = self.records.len();
        let mut keep = keep.into_iter();
        self.records.retain(|_| keep.next().unwrap_or(true));
        self.cleaned = limit;
        self.forget_aborted_before(limit);
        self.shrink();
        before - self.records.len()
    }

    fn cleanable_end(&self, lag: i64, now: i64) -> i64 {
        let stable = self.end(Isolation::ReadCommitted);
        let young = |record: &&LogRecord| lag > 0 && record.timestamp.0.saturating_add(lag) > now;
        let from = self.records.partition_point(|record| record.offset < self.cleaned);
        self.records.range(from..).find(young).map_or(stable, |record| record.offset.min(stable))
    }

    /// For each record below `limit`, in order, whether it stays.
    fn kept(&mut self, tombstone_retention: i64, limit: i64, now: i64) -> Vec<bool> {
        let count = self.records.partition_point(|record| record.offset < limit);
        let mut keep = vec![true; count];
        let mut seen: HashSet<&[u8]> = HashSet::new();
        let mut tombstones = std::mem::take(&mut self.tombstones);
        for (record, keep) in self.records.range(..count).zip(&mut keep).rev() {
            let latest =
                record.key.as_deref().is_none_or(|key| !self.is_aborted(record.offset) && seen.insert(key));
            let due = record.value.is_none()
                && latest
                && *tombstones.entry(record.offset).or_insert(now.saturating_add(tombstone_retention)) <= now;
            *keep = latest && !due;
            if !*keep {
                tombstones.remove(&record.offset);
            }
        }
        self.tombstones = tombstones;
        keep
    }

    fn forget_aborted_before(&mut self, limit: i64) {
        while let Some(entry) = self.aborted.first_entry().filter(|entry| *entry.get() <= limit) {
            entry.remove();
        }
    }
}
