//! Reads the changelogs of a task into its stores, from where the stores stand up to where the group stands.

use super::Start;
use crate::broker::{Isolation, LogRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{TaskId, TopicPartition};
use crate::runtime::changelog_reader::{Keys, Range, event_time};
use crate::runtime::checkpoint::Checkpoint;
use crate::runtime::process::{Activity, Step};
use crate::runtime::progress::Restoring;
use crate::runtime::restore_listener::Telling;
use crate::runtime::running::StoreLog;
use crate::runtime::topics::{Changelog, TaskTopics};
use crate::state::{Batch, Entry, SharedBackend, StoreChange};
use crate::topology::SubTopology;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is done with the records that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Apply,
    /// The group has no position, so there is no telling what the records are worth.
    Refuse,
    /// As before, but the user wants to start over: every key gets a tombstone with the first commit.
    StartOver,
}

/// The stores of a task while they are restored.
pub(super) struct Restore {
    task: TaskId,
    pub(super) backend: SharedBackend,
    /// What lay beside the stores; `None`: they are new, or were set aside.
    pub(super) checkpoint: Option<Checkpoint>,
    mode: Mode,
    /// Whether anything has to be read: the stores are behind.
    pub(super) replayed: bool,
    ranges: Vec<StoreRange>,
}

/// The changelog of a store.
pub(super) struct StoreRange {
    pub(super) store: usize,
    name: Arc<str>,
    range: Range,
    /// Where reading began.
    from: i64,
    /// The first offset that does not count: what follows belongs to no commit.
    pub(super) bound: i64,
    /// The log's end as it was asked for.
    pub(super) end: i64,
    /// Where the next commit's records are expected.
    next: i64,
    /// Nothing is told where nothing is restored.
    telling: Option<Telling>,
    /// The offset of the last record and how many were read, while they are not in the backend.
    unwritten: Option<(i64, u64)>,
}

impl Restore {
    pub(super) fn open(start: &Start, step: &Step<'_>) -> Result<Self> {
        let sub = start.sub(step)?;
        let backend = step.process.disk.open(start.id, &Start::store_names(sub))?;
        let mode = match (start.is_committed(), step.process.settings.reset_lost_offsets) {
            (true, _) => Mode::Apply,
            (false, true) => Mode::StartOver,
            (false, false) => Mode::Refuse,
        };
        let mut restore = Self {
            task: start.id,
            backend,
            checkpoint: None,
            mode,
            replayed: false,
            ranges: ranges(start, step, sub)?,
        };
        restore.use_own_store(start, step)?;
        restore.ranges.iter_mut().for_each(|range| range.from = range.range.position);
        if mode != Mode::StartOver {
            restore.ranges.iter_mut().for_each(|range| range.tell_start(step));
        }
        Ok(restore)
    }

    /// The own store counts if it is not ahead of the group, its place is still in the log, and no tombstone that it
    /// has not seen can be gone. Otherwise everything is read from the beginning.
    fn use_own_store(&mut self, start: &Start, step: &Step<'_>) -> Result<()> {
        let bytes = self.backend.borrow().checkpoint()?;
        let own = bytes.as_deref().and_then(Checkpoint::decode);
        if bytes.is_some() && own.is_none() {
            tracing::warn!(task = %self.task, "local state cannot be read: restored from the changelog");
        }
        let own = own.filter(|_| self.mode == Mode::Apply);
        if let Some(own) = own {
            let settings = &step.process.settings;
            if !settings.accept_topology_change {
                own.check_topology(&step.process.blueprint.fingerprint)?;
            }
            if own.commit_id.is_some() && own.commit_id == start.committed_id() {
                self.ranges.iter_mut().for_each(StoreRange::skip);
                self.checkpoint = Some(own);
                return Ok(());
            }
            if self.fits(&own, start, step) {
                self.continue_from(own);
                return Ok(());
            }
            tracing::info!(task = %self.task, "local state is too old or too new: restored from the beginning");
        }
        self.backend.borrow_mut().clear()?;
        self.replayed = true;
        Ok(())
    }

    fn fits(&self, own: &Checkpoint, start: &Start, step: &Step<'_>) -> bool {
        let logs = start.topics.changelogs.iter().flatten();
        let retention = logs.map(|log| log.tombstone_retention).min().unwrap_or(i64::MAX);
        let young = step.moment.date.0.saturating_sub(own.date.0) < retention;
        let in_range = |range: &StoreRange| {
            let own = own.changelogs.get(&range.name).copied().unwrap_or(0);
            (own >= range.range.position || range.range.position == 0) && own <= range.bound
        };
        let level = |range: &StoreRange| own.changelogs.get(&range.name) == Some(&range.bound);
        self.ranges.iter().all(in_range) && (young || self.ranges.iter().all(level))
    }

    fn continue_from(&mut self, own: Checkpoint) {
        for range in &mut self.ranges {
            let at = own.changelogs.get(&range.name).copied().unwrap_or(0);
            range.range.position = at.max(range.range.position);
        }
        self.replayed = self.ranges.iter().any(|range| !range.range.is_read());
        self.checkpoint = Some(own);
    }

    pub(super) fn is_done(&self) -> bool {
        self.ranges.iter().all(|range| range.range.is_read())
    }

    pub(super) fn step(&mut self, step: &mut Step<'_>, again: &mut [Keys]) -> Result<Activity> {
        let mut activity = Activity::default();
        let mut entries = Vec::new();
        for range in self.ranges.iter_mut().filter(|range| !range.range.is_read()) {
            let (records, read) = range.range.read(step)?;
            activity.add(read);
            match self.mode {
                Mode::Apply => {
                    if let Some(last) = records.last() {
                        range.unwritten = Some((last.offset, records.len() as u64));
                    }
                    entries.extend(records.into_iter().filter_map(|record| entry(range.store, record)));
                }
                Mode::Refuse if records.is_empty() => {}
                Mode::Refuse => return Err(no_position(self.task, &range.range.partition)),
                Mode::StartOver => {
                    if let Some(again) = again.get_mut(range.store) {
                        again.extend(records.into_iter().filter_map(|record| record.key));
                    }
                }
            }
        }
        if !entries.is_empty() {
            // The checkpoint stays where it was: a restore that is interrupted goes over the same records again.
            self.backend.borrow_mut().write(Batch { entries, checkpoint: None })?;
        }
        self.ranges.iter_mut().for_each(StoreRange::tell);
        Ok(activity)
    }

    /// Offsets that were read, and all that have to be.
    pub(super) fn progress(&self) -> Restoring {
        let sum = |length: fn(&StoreRange) -> i64| -> u64 {
            self.ranges.iter().map(|range| u64::try_from(length(range)).unwrap_or(0)).sum()
        };
        Restoring {
            read: sum(|range| range.range.position.min(range.range.end) - range.from),
            all: sum(|range| range.range.end - range.from),
        }
    }

    pub(super) fn ranges(&self) -> &[StoreRange] {
        &self.ranges
    }

    pub(super) fn set_next(&mut self, store: usize, next: i64) {
        if let Some(range) = self.ranges.iter_mut().find(|range| range.store == store) {
            range.next = next;
        }
    }

    /// Whether the stores have moved on from what lies beside them.
    pub(super) fn is_ahead_of_checkpoint(&self) -> bool {
        self.replayed
    }

    /// Per store of the task, where its changelog stands.
    pub(super) fn logs(&self, topics: &TaskTopics) -> Vec<Option<StoreLog>> {
        let of = |(store, log): (usize, &Option<Changelog>)| {
            let range = self.ranges.iter().find(|range| range.store == store)?;
            let log = log.as_ref()?;
            Some(StoreLog {
                name: range.name.clone(),
                partition: log.partition.clone(),
                stored: range.bound,
                next: range.next,
                again: Keys::new(),
                sent: Keys::new(),
                compaction_lag: log.compaction_lag,
            })
        };
        topics.changelogs.iter().enumerate().map(of).collect()
    }
}

impl StoreRange {
    fn skip(&mut self) {
        self.range.position = self.range.position.max(self.range.end);
    }

    fn tell_start(&mut self, step: &Step<'_>) {
        let Range { partition, position, end, .. } = &self.range;
        self.telling =
            Some(step.process.restores.start(partition, &self.name, (*position, *end.max(position))));
        self.tell();
    }

    /// Tells what is in the backend.
    fn tell(&mut self) {
        let Some(telling) = &mut self.telling else { return };
        if let Some((last, records)) = self.unwritten.take() {
            telling.batch(last, records);
        }
        if self.range.is_read() {
            telling.end();
        }
    }

    pub(super) fn partition(&self) -> &TopicPartition {
        &self.range.partition
    }
}

/// What counts of each changelog, read from its beginning.
fn ranges(start: &Start, step: &Step<'_>, sub: &SubTopology) -> Result<Vec<StoreRange>> {
    let metadata = start.metadata();
    let mut ranges = Vec::new();
    for (store, (spec, log)) in sub.stores.iter().zip(&start.topics.changelogs).enumerate() {
        let Some(log) = log else { continue };
        let bounds = start.bounds.get(&log.partition).copied();
        let bounds = bounds.ok_or_else(|| Error::internal(format!("no bounds of {}", log.partition)))?;
        let known = metadata.as_ref().and_then(|metadata| metadata.changelog(&spec.name));
        let bound = match (step.process.settings.is_exactly_once(), start.is_committed()) {
            (true, _) | (_, false) => bounds.end,
            (false, true) => {
                let stable = start.stable.get(&log.partition).map(|stable| stable.end);
                known.or(stable).unwrap_or(bounds.end).min(bounds.end)
            }
        };
        if step.process.settings.is_exactly_once() {
            check_clean_switch(known, bounds.end, &log.partition)?;
        }
        let isolation = Isolation::ReadCommitted;
        let range = Range { partition: log.partition.clone(), position: bounds.start, end: bound, isolation };
        ranges.push(StoreRange {
            store,
            name: spec.name.clone(),
            range,
            from: bounds.start,
            bound,
            end: bounds.end,
            next: bounds.end,
            telling: None,
            unwritten: None,
        });
    }
    Ok(ranges)
}

/// Records behind the end that an at-least-once commit noted belong to no commit, and nothing would put them right.
fn check_clean_switch(known: Option<i64>, end: i64, partition: &TopicPartition) -> Result<()> {
    match known.filter(|known| *known < end) {
        None => Ok(()),
        Some(known) => Err(Error::new(
            ErrorKind::State,
            format!("offsets {known} to {} of {partition} belong to no commit", end - 1),
        )
        .with("cause", "the application was not stopped cleanly before it was switched to exactly_once_v2")
        .help("start it with processing.guarantee=at_least_once once more, stop it, then switch")),
    }
}

fn entry(store: usize, record: LogRecord) -> Option<Entry> {
    let timestamp = event_time(&record);
    let key = record.key?;
    let change = StoreChange { key: key.clone(), value: record.value, timestamp };
    Some(Entry { store, key, value: change.stored() })
}

fn no_position(task: TaskId, partition: &TopicPartition) -> Error {
    Error::new(
        ErrorKind::State,
        format!("the group has no position for task {task}, but {partition} has records"),
    )
    .with(
        "cause",
        "the group's offsets have expired or were deleted; starting over would count everything twice",
    )
    .help("set highwater.on.lost.offsets=reset to start over with empty state, or reset the application")
}

/// By store, the offsets that a checkpoint holds.
pub(crate) fn stored_offsets(logs: &[Option<StoreLog>]) -> BTreeMap<Arc<str>, i64> {
    logs.iter().flatten().map(|log| (log.name.clone(), log.stored)).collect()
}
