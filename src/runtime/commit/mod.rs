//! A commit of all running tasks of a worker, as a state machine per guarantee.
//!
//! ```text
//!   exactly_once_v2:  S0 forward, send --> S1 guard, S2 positions --> S3 end --> S4 stores --> S5 producer
//!                                                                      |  unknown: ask the group whose commit it has
//!   at_least_once:    A0 forward, flush --> changelogs, flush --> gaps? --> S1 guard, A2 positions --> A1 stores
//! ```
//! The group comes first, then the stores: a store is never ahead of the group. Whatever fails before the group has
//! the positions leads back to the last batch.

mod at_least_once;
mod exactly_once;

pub(crate) use at_least_once::AtLeastOnce;
pub(crate) use exactly_once::ExactlyOnce;

use super::point::CommitPoint;
use super::process::{Activity, Step};
use super::producer::OwnProducer;
use super::running::Running;
use crate::broker::{GroupMetadata, Outgoing};
use crate::error::Result;
use crate::record::{TaskId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// What a worker lends to its commit.
pub(crate) struct Parts<'a> {
    pub(crate) producer: &'a mut OwnProducer,
    pub(crate) running: &'a mut Vec<Running>,
    pub(crate) unsent: &'a mut Vec<Outgoing>,
    /// Under whom the tasks are owned.
    pub(crate) owner: Option<&'a GroupMetadata>,
}

/// Where a commit came to.
pub(crate) enum Outcome {
    Not(Activity),
    /// The group and the stores have it.
    Done(Done),
    /// Nothing was committed: back to the last batch.
    Back(String),
}

/// What a finished commit leaves to do.
#[derive(Default)]
pub(crate) struct Done {
    /// What the group has now.
    pub(crate) positions: BTreeMap<TopicPartition, i64>,
    /// Tasks whose stores could not be written, or whose commit turned out not to be theirs.
    pub(crate) restart: BTreeSet<TaskId>,
    /// A request may be under way still: only a new generation makes it harmless.
    pub(crate) rejoin: bool,
}

/// A commit in progress.
pub(crate) enum Commit {
    ExactlyOnce(ExactlyOnce),
    AtLeastOnce(AtLeastOnce),
}

impl Commit {
    pub(crate) fn new(exactly_once: bool, machine: i64) -> Self {
        if exactly_once {
            Self::ExactlyOnce(ExactlyOnce::new(machine))
        } else {
            Self::AtLeastOnce(AtLeastOnce::new())
        }
    }

    pub(crate) fn step(&mut self, step: &mut Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        match self {
            Self::ExactlyOnce(commit) => commit.step(step, parts),
            Self::AtLeastOnce(commit) => commit.step(step, parts),
        }
    }
}

/// Everything held back leaves, upstream first, before the stores are looked at.
fn forward_all(step: &Step<'_>, parts: &mut Parts<'_>) -> Result<()> {
    parts.running.iter_mut().try_for_each(|running| running.forward_pending(step, parts.unsent))
}

fn collect_all(step: &Step<'_>, parts: &mut Parts<'_>) -> Result<()> {
    parts.running.iter_mut().try_for_each(|running| running.collect(step, parts.unsent))
}

/// S4 and A1. A disk that cannot be written closes its task and loses nothing: the group has the commit, the changelog
/// its changes.
fn write_all(step: &Step<'_>, parts: &mut Parts<'_>, point: CommitPoint, done: &mut Done) -> Result<()> {
    let restart = std::mem::take(&mut done.restart);
    let several = parts.running.iter().filter(|running| !restart.contains(&running.id)).count() > 1;
    let kept = parts.running.iter_mut().filter(|running| !restart.contains(&running.id));
    for (at, running) in kept.enumerate() {
        if at == usize::from(several) {
            step.process.before(point)?;
        }
        match running.write(step) {
            Ok(positions) => done.positions.extend(positions),
            Err(error) if error.is_state() => {
                tracing::error!(task = %running.id, %error, "the state cannot be written: the task is opened again");
                done.restart.insert(running.id);
            }
            Err(error) => return Err(error),
        }
    }
    done.restart.extend(restart);
    Ok(())
}
