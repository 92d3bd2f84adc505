//! Brings a task to the last commit of its group, beside the running ones.
//!
//! ```text
//!   committed offsets --> ends of logs --> [stable ends] --> [offsets by time] --> restore --> [orphans] --> running
//! ```
//! The committed offsets are asked for require-stable, so the transaction of a former owner has ended before anything
//! is read; the ends are asked for after them and read-uncommitted, so nothing that was committed lies behind them.

mod orphans;
mod positions;
mod restore;

use super::ask::Ask;
use super::changelog_reader::Keys;
use super::checkpoint::Checkpoint;
use super::process::{Activity, Step};
use super::progress::Restoring;
use super::running::{Made, Running};
use super::topics::TaskTopics;
use super::{OffsetMetadata, Saved, SavedInput, Verdicts};
use crate::broker::{Isolation, LogBounds, Offsets};
use crate::error::{Error, Result};
use crate::record::{TaskId, TopicPartition};
use crate::time::Timestamp;
use crate::topology::{StoreSpec, SubTopology};
use orphans::Orphans;
use positions::{Positions, Told};
use restore::Restore;
pub(crate) use restore::stored_offsets;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A task on its way.
pub(crate) struct Start {
    pub(crate) id: TaskId,
    topics: TaskTopics,
    /// Per store, keys that have to be written to the changelog again by the first commit.
    again: Vec<Keys>,
    verdicts: Verdicts,
    stage: Stage,
    ask: Ask,
    /// The date when the committed offsets were asked for.
    since: Timestamp,
    committed: Offsets,
    bounds: BTreeMap<TopicPartition, LogBounds>,
    /// Read-committed ends of changelogs whose committed end is not known.
    stable: BTreeMap<TopicPartition, LogBounds>,
    positions: Positions,
    trouble: Trouble,
}

/// The disk fails: the start waits and begins again.
#[derive(Default)]
struct Trouble {
    times: u32,
    /// The machine's clock.
    until: Option<i64>,
}

enum Stage {
    Committed,
    Ends,
    StableEnds,
    Times,
    Restoring(Restore),
    Orphans(Restore, Orphans),
    Done,
}

/// What a step of a start gave.
pub(crate) enum Started {
    Not(Activity),
    Running(Box<Running>),
}

impl Start {
    pub(crate) fn new(id: TaskId, topics: TaskTopics, again: Vec<Keys>, verdicts: Verdicts) -> Self {
        let stores = topics.changelogs.len();
        let mut again = again;
        again.resize_with(stores, Keys::new);
        Self {
            id,
            topics,
            again,
            verdicts,
            stage: Stage::Committed,
            ask: Ask::default(),
            since: Timestamp::MIN,
            committed: Offsets::new(),
            bounds: BTreeMap::new(),
            stable: BTreeMap::new(),
            positions: Positions::default(),
            trouble: Trouble::default(),
        }
    }

    /// While changelogs are read.
    pub(crate) fn restoring(&self) -> Option<Restoring> {
        match &self.stage {
            Stage::Restoring(restore) => Some(restore.progress()),
            _ => None,
        }
    }

    /// A disk that fails is waited for: it may be full, or a former owner has not closed the stores yet.
    pub(crate) fn step(&mut self, step: &mut Step<'_>) -> Result<Started> {
        if let Some(until) = self.trouble.until.filter(|until| step.moment.machine < *until) {
            return Ok(Started::Not(Activity::until(until)));
        }
        self.trouble.until = None;
        match self.advance(step) {
            Err(error) if error.is_disk() => Ok(Started::Not(self.wait_for_disk(step, &error))),
            stepped => stepped,
        }
    }

    fn wait_for_disk(&mut self, step: &Step<'_>, error: &Error) -> Activity {
        let settings = &step.process.settings;
        let wait = settings.retry_backoff.saturating_mul(1 << self.trouble.times.min(16));
        self.trouble.times += 1;
        // It may last for hours.
        if self.trouble.times.is_power_of_two() {
            tracing::error!(task = %self.id, %error, "the task waits for its disk");
        }
        let until = step.moment.machine + wait.min(settings.retry_backoff_max);
        (self.stage, self.ask, self.trouble.until) = (Stage::Committed, Ask::default(), Some(until));
        Activity::until(until)
    }

    fn advance(&mut self, step: &mut Step<'_>) -> Result<Started> {
        let activity = match self.stage {
            Stage::Committed => self.ask_committed(step),
            Stage::Ends => self.ask_ends(step),
            Stage::StableEnds => self.ask_stable_ends(step),
            Stage::Times => self.ask_times(step),
            Stage::Restoring(_) => self.restore(step),
            Stage::Orphans(..) => self.find_orphans(step),
            Stage::Done => return Err(Error::internal("a task was started twice")),
        }?;
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Orphans(restore, orphans) if orphans.are_found() => {
                self.finish(step, &restore).map(Started::Running)
            }
            stage => {
                self.stage = stage;
                Ok(Started::Not(activity))
            }
        }
    }

    fn sub<'a>(&self, step: &Step<'a>) -> Result<&'a SubTopology> {
        let found = step.process.blueprint.subtopologies.iter().find(|sub| sub.id == self.id.subtopology);
        found.ok_or_else(|| Error::internal(format!("no sub-topology for task {}", self.id)))
    }

    fn ask_committed(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        let inputs: Vec<TopicPartition> =
            self.topics.inputs.iter().map(|input| input.partition.clone()).collect();
        let group = step.process.settings.application_id.clone();
        let since = step.moment.date;
        let told = self.ask.poll(
            step,
            "ask for the committed offsets",
            |admin| admin.start_committed(&group, inputs),
            |admin, ticket| admin.poll_committed(ticket),
        )?;
        let Some(committed) = told else { return Ok(self.ask.activity()) };
        (self.committed, self.since, self.stage) = (committed, since, Stage::Ends);
        Ok(Activity::PROGRESS)
    }

    fn changelog_partitions(&self) -> Vec<TopicPartition> {
        self.topics.changelogs.iter().flatten().map(|log| log.partition.clone()).collect()
    }

    fn ask_ends(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        let mut partitions = self.changelog_partitions();
        partitions.extend(self.topics.inputs.iter().map(|input| input.partition.clone()));
        let Some(bounds) = self.bounds(step, partitions, Isolation::ReadUncommitted)? else {
            return Ok(self.ask.activity());
        };
        self.bounds = bounds;
        let told = Told { committed: &self.committed, bounds: &self.bounds, date: step.moment.date };
        self.positions = Positions::decide(step.process, self.sub(step)?, &self.topics, &told)?;
        self.stage = Stage::StableEnds;
        Ok(Activity::PROGRESS)
    }

    fn bounds(
        &mut self,
        step: &mut Step<'_>,
        partitions: Vec<TopicPartition>,
        isolation: Isolation,
    ) -> Result<Option<BTreeMap<TopicPartition, LogBounds>>> {
        self.ask.poll(
            step,
            "ask for the ends of logs",
            |admin| admin.start_bounds(partitions, isolation),
            |admin, ticket| admin.poll_bounds(ticket),
        )
    }

    /// After a change of the guarantee the group does not know the ends of the changelogs.
    fn ask_stable_ends(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        let metadata = self.metadata();
        let stores = &self.sub(step)?.stores;
        let unknown = |store: &StoreSpec| {
            store.logged && metadata.as_ref().is_none_or(|m| m.changelog(&store.name).is_none())
        };
        let needed =
            !step.process.settings.is_exactly_once() && self.is_committed() && stores.iter().any(unknown);
        if needed {
            let partitions = self.changelog_partitions();
            let Some(stable) = self.bounds(step, partitions, Isolation::ReadCommitted)? else {
                return Ok(self.ask.activity());
            };
            self.stable = stable;
        }
        self.stage = Stage::Times;
        Ok(Activity::PROGRESS)
    }

    fn ask_times(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        let times = self.positions.times.clone();
        if !times.is_empty() {
            let told = self.ask.poll(
                step,
                "look up offsets by time",
                |admin| admin.start_offsets_for_times(times),
                |admin, ticket| admin.poll_offsets_for_times(ticket),
            )?;
            let Some(offsets) = told else { return Ok(self.ask.activity()) };
            self.positions.looked_up(&self.topics, &offsets);
        }
        self.stage = Stage::Restoring(Restore::open(self, step)?);
        Ok(Activity::PROGRESS)
    }

    /// Whether the group has a position of any of the inputs.
    fn is_committed(&self) -> bool {
        self.topics.inputs.iter().any(|input| self.committed.contains_key(&input.partition))
    }

    /// Entries of stores and the commit id sit on the first input.
    fn metadata(&self) -> Option<OffsetMetadata> {
        let first = self.topics.inputs.first()?;
        OffsetMetadata::decode(&self.committed.get(&first.partition)?.metadata)
    }

    fn committed_id(&self) -> Option<u64> {
        self.metadata()?.commit_id()
    }

    fn restore(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        let Stage::Restoring(restore) = &mut self.stage else { return Ok(Activity::default()) };
        let activity = restore.step(step, &mut self.again)?;
        if restore.is_done() {
            let Stage::Restoring(restore) = std::mem::replace(&mut self.stage, Stage::Done) else {
                return Err(Error::internal("a restore lost its stage"));
            };
            let orphans = if step.process.settings.is_exactly_once() {
                Orphans::none()
            } else {
                Orphans::behind(&restore)
            };
            self.stage = Stage::Orphans(restore, orphans);
            return Ok(Activity::PROGRESS);
        }
        Ok(activity)
    }

    fn find_orphans(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        let Stage::Orphans(restore, orphans) = &mut self.stage else { return Ok(Activity::default()) };
        let activity = orphans.step(step)?;
        if orphans.are_found() {
            let retention = self.topics.changelogs.iter().flatten().map(|log| log.tombstone_retention).min();
            let slow = retention.is_some_and(|most| step.moment.date.0 - self.since.0 > most);
            if slow && restore.replayed {
                // A tombstone may have gone while its key was being restored.
                self.stage = Stage::Committed;
                return Ok(Activity::PROGRESS);
            }
            orphans.check(restore, &self.topics, step.moment.date)?;
            for (store, keys, end) in orphans.take() {
                if let Some(again) = self.again.get_mut(store) {
                    again.extend(keys);
                }
                restore.set_next(store, end);
            }
        }
        Ok(activity)
    }

    fn finish(&mut self, step: &mut Step<'_>, restore: &Restore) -> Result<Box<Running>> {
        let inputs = self.topics.inputs.iter().zip(&self.positions.at).map(|(input, at)| {
            let position =
                at.ok_or_else(|| Error::internal(format!("{} has no position", input.partition)))?;
            let committed = self.committed.get(&input.partition);
            let metadata = committed.and_then(|committed| OffsetMetadata::decode(&committed.metadata));
            Ok(SavedInput { position, metadata })
        });
        let saved = Saved {
            inputs: inputs.collect::<Result<_>>()?,
            checkpoint: restore.checkpoint.as_ref().map(|checkpoint: &Checkpoint| checkpoint.task.clone()),
        };
        let mut made = Made {
            id: self.id,
            commit_id: self.committed_id(),
            is_committed: self.is_committed(),
            restored: restore.is_ahead_of_checkpoint(),
            since: self.since,
            backend: restore.backend.clone(),
            logs: restore.logs(&self.topics),
            // Kept, for the disk may fail yet.
            again: self.again.clone(),
            verdicts: self.verdicts.clone(),
        };
        for (log, again) in made.logs.iter_mut().zip(&mut made.again) {
            if let Some(log) = log {
                log.again.append(again);
            }
        }
        Running::make(step, &self.topics, made, &saved).map(Box::new)
    }

    /// The names of the stores, as the disk wants them.
    fn store_names(sub: &SubTopology) -> Vec<Arc<str>> {
        sub.stores.iter().map(|store| store.name.clone()).collect()
    }
}
