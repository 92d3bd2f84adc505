//! One task: the graph of a sub-topology on its partitions, driven in steps by whoever owns it.
//!
//! ```text
//!   receive --> buffers --> run: 1. time moves  2. the record  3. what became due --> take_output
//!   questions --> answered --^                                                    --> commit_offsets, checkpoint
//! ```
//!
//! It is synchronous and pure: it does what it is told when it is told the time. Its watermark is the smallest of its
//! inputs'; its nodes have worked off the one that was handed to them.

mod advance;
mod commit;
mod explain;
mod failure;
mod input;
mod pause;
mod plan;
mod questions;
mod restore;
mod saved;
mod step;
#[cfg(test)]
mod tests;
mod verdicts;

pub use explain::{Explanation, Held, Holder};
pub(crate) use plan::{FutureSkewPolicy, InputKind, InputPlan, Judging, TaskPlan, TaskSettings};
pub(crate) use saved::{InputCheckpoint, Saved, SavedInput, TaskCheckpoint};
pub(crate) use verdicts::Verdicts;

use super::partition_group::PartitionGroup;
use super::source_watermark::SourceWatermark;
use crate::broker::{Isolation, LogRecord};
use crate::processor::{Counts, Effects, TaskGraph};
use crate::record::{TaskId, TopicPartition};
use crate::state::SharedStore;
use crate::time::Timestamp;
use advance::Handed;
use input::InputWatermark;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a call of `run` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent answers")]
pub(crate) struct Ran {
    /// Records processed.
    pub(crate) records: usize,
    /// Anything was done; call again before sleeping.
    pub(crate) progressed: bool,
    /// An advance of the watermark is not finished; a commit may fall in between.
    pub(crate) advancing: bool,
    /// Records wait in `take_output`.
    pub(crate) output_pending: bool,
    /// The stores hold more uncommitted bytes than they may.
    pub(crate) commit_due: bool,
    /// A record failed and what it changed cannot be taken back here, or the next one is no longer in the log: the task
    /// has to start again at its last commit.
    pub(crate) given_up: bool,
}

/// When a task has to be looked at again, if nothing comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wakeup {
    /// The application's clock: something will be due, or a question that makes it due.
    pub(crate) due: Option<Timestamp>,
    /// The application's clock: the next periodic question of a silent partition, which moves the watermark although
    /// nothing is due here. Only where `outputs` carry the watermark on.
    pub(crate) question: Option<Timestamp>,
    /// The machine's clock: waiting for a partition ends, or a question about it is due (`max.task.idle.ms`).
    pub(crate) machine: Option<i64>,
    /// The machine's clock: markers may be written between commits.
    pub(crate) markers: Option<i64>,
}

/// A log end to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) input: usize,
    pub(crate) partition: TopicPartition,
    /// Read-uncommitted: is it caught up? Read-committed: has it data that the order of records must wait for?
    pub(crate) isolation: Isolation,
}

/// A running task. It is thrown away by an abort, a restart and a revocation, and with it all it knows of silence,
/// of open questions and of whom it told its watermark.
pub(crate) struct Task {
    id: TaskId,
    plan: TaskPlan,
    graph: TaskGraph,
    settings: TaskSettings,
    group: PartitionGroup,
    /// As `plan.inputs`.
    watermarks: Vec<InputWatermark>,
    /// What the inputs are believed complete up to.
    watermark: Timestamp,
    handed: Handed,
    effects: Effects,
    /// The closed bounds of the commit it began at.
    closed: BTreeMap<Arc<str>, Timestamp>,
    /// What the markers said last.
    told: Timestamp,
    /// When (machine's clock).
    marked: Option<i64>,
    /// Time runs on by itself.
    closing: bool,
    verdicts: Verdicts,
    /// The next record is tried again then (machine's clock); nothing is taken before.
    waits_until: Option<i64>,
    stops: Stops,
}

/// Whether more records are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stops {
    No,
    /// A record was handled that failed before: it should be committed before anything else fails.
    ToCommit,
    /// What a record changed cannot be taken back here.
    ForGood,
}

impl Task {
    /// Its partitions, in the order by which calls name them.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.plan.inputs.iter().map(|input| &input.partition)
    }

    /// Whether the input's buffer has room. Otherwise its queue is left alone.
    pub(crate) fn wants(&self, input: usize) -> bool {
        self.group.wants(input)
    }
    /// Where the client goes on reading; at the start, where it has to seek to.
    pub(crate) fn position(&self, input: usize) -> i64 {
        self.group.fetched(input)
    }
    /// Takes what was fetched; `position` is the client's afterwards, also where no record came.
    pub(crate) fn receive(&mut self, input: usize, records: Vec<LogRecord>, position: i64) {
        self.group.receive(input, records, position);
    }

    pub(crate) fn stores(&self) -> &[SharedStore] {
        &self.graph.stores
    }
    /// About the bytes that wait for a commit.
    pub(crate) fn dirty_bytes(&self) -> usize {
        self.graph.stores.iter().map(|store| store.borrow().dirty_bytes()).sum()
    }
    /// What it counted since it was made.
    pub(crate) fn counts(&self) -> Counts {
        self.effects.counts
    }
    /// What its inputs are believed complete up to.
    #[cfg(test)]
    pub(crate) fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The largest watermark of its source partitions.
    pub(crate) fn largest_source_watermark(&self) -> Timestamp {
        let sources = self.watermarks.iter().filter_map(InputWatermark::source);
        sources.map(SourceWatermark::watermark).max().unwrap_or(Timestamp::MIN)
    }

    /// No more gaps are filled.
    pub(crate) fn stop_filling(&mut self) {
        self.graph.nodes.iter().for_each(|node| node.borrow_mut().stop_filling());
        // What was due may not be any more, and the other way round.
        self.effects.alarm = Timestamp::MIN;
    }
    /// Time runs on, in the following calls of `run`, until nothing is open; it ends at the last moment due. Nothing
    /// may come any more, on repartition topics either.
    pub(crate) fn close_all(&mut self) {
        self.closing = true;
    }
    /// Nothing is buffered, due, closing or waits to be taken: without input or the clock, `run` would do nothing.
    pub(crate) fn at_rest(&self) -> bool {
        let due = self.effects.alarm <= self.watermark && self.watermark > Timestamp::MIN;
        let busy = due || self.closing || self.handed.pass.is_some();
        !busy && self.group.is_empty() && self.effects.records.is_empty()
    }
    /// The task ends in order, after its last commit.
    pub(crate) fn close(&mut self) {
        self.graph.nodes.iter().for_each(|node| node.borrow_mut().close());
    }
}
