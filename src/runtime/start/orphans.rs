//! What lies in a changelog behind the group's commit: written under `at_least_once` by an owner that died before its
//! positions were committed, or by one that does not know yet that it is no owner.
//!
//! It is read, and nothing of it applied: the first commit writes the keys' true values again.

use super::restore::Restore;
use crate::broker::Isolation;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::ask::Ask;
use crate::runtime::changelog_reader::{KeyReader, Keys};
use crate::runtime::process::{Activity, Step};
use crate::runtime::topics::{Changelog, TaskTopics};
use crate::time::Timestamp;

/// The search, until the ends stand still.
pub(super) struct Orphans {
    readers: Vec<(usize, i64, KeyReader)>,
    ask: Ask,
    settled: bool,
}

impl Orphans {
    /// Under `exactly_once_v2` an aborted transaction leaves nothing that counts.
    pub(super) fn none() -> Self {
        Self { readers: Vec::new(), ask: Ask::default(), settled: true }
    }

    pub(super) fn behind(restore: &Restore) -> Self {
        let reader = |range: &super::restore::StoreRange| {
            let reader = KeyReader::new(range.partition().clone(), range.bound, range.end);
            (range.store, range.bound, reader)
        };
        let readers: Vec<_> = restore.ranges().iter().map(reader).collect();
        Self { settled: readers.is_empty(), readers, ask: Ask::default() }
    }

    pub(super) fn are_found(&self) -> bool {
        self.settled
    }

    pub(super) fn step(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        if self.settled {
            return Ok(Activity::PROGRESS);
        }
        let mut activity = Activity::default();
        for (_, _, reader) in &mut self.readers {
            activity.add(reader.step(step)?);
        }
        if self.readers.iter().any(|(_, _, reader)| !reader.range.is_read()) {
            return Ok(activity);
        }
        let partitions = self.readers.iter().map(|(_, _, reader)| reader.range.partition.clone()).collect();
        let told = self.ask.poll(
            step,
            "ask for the ends of changelogs",
            |admin| admin.start_bounds(partitions, Isolation::ReadUncommitted),
            |admin, ticket| admin.poll_bounds(ticket),
        )?;
        let Some(bounds) = told else { return Ok(self.ask.activity()) };
        self.settled = true;
        for (_, _, reader) in &mut self.readers {
            let end = bounds.get(&reader.range.partition).map_or(reader.range.end, |bounds| bounds.end);
            self.settled &= end <= reader.range.position;
            reader.range.end = reader.range.end.max(end);
        }
        Ok(Activity::PROGRESS)
    }

    /// Refused where the stores had to be replayed and compaction may have removed a true value below an orphan.
    pub(super) fn check(&self, restore: &Restore, topics: &TaskTopics, date: Timestamp) -> Result<()> {
        if !restore.replayed {
            return Ok(());
        }
        for (store, from, reader) in &self.readers {
            let log: Option<&Changelog> = topics.changelogs.get(*store).and_then(Option::as_ref);
            let lag = log.map_or(0, |log| log.compaction_lag);
            let old = reader.oldest.is_some_and(|oldest| oldest.0.saturating_add(lag) <= date.0);
            let missing = reader.records < reader.range.end - from;
            if old || missing {
                return Err(compacted(reader, *from, lag));
            }
        }
        Ok(())
    }

    /// Per store the keys, and where the log ends behind them.
    pub(super) fn take(&mut self) -> Vec<(usize, Keys, i64)> {
        let taken = std::mem::take(&mut self.readers).into_iter();
        taken.map(|(store, _, reader)| (store, reader.keys, reader.range.end)).collect()
    }
}

fn compacted(reader: &KeyReader, from: i64, lag: i64) -> Error {
    let (partition, last) = (&reader.range.partition, reader.range.end - 1);
    Error::new(ErrorKind::State, format!("the state of {partition} cannot be restored"))
        .with("cause", format!(
            "offsets {from} to {last} were written by an owner that died before its commit, and are older than the \
             compaction lag of {lag} ms: compaction may have removed the values below them"
        ))
        .help("reset the application, or restart it where its local state is; a larger highwater.changelog.compaction.lag.ms gives more time")
}
