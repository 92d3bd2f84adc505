//! One task: the graph of a sub-topology on its partitions, driven in steps.

mod explain;
mod plan;
mod saved;

pub(crate) use explain::{Explanation, Held, Holder};
pub(crate) use plan::{FutureSkewPolicy, InputKind, InputPlan, OnError, TaskPlan, TaskSettings};
pub(crate) use saved::{InputCheckpoint, Saved, SavedInput, TaskCheckpoint};

use super::Moment;
use crate::broker::{Isolation, LogRecord, Offsets, Outgoing};
use crate::error::Result;
use crate::processor::{Counts, TaskGraph};
use crate::record::{TaskId, TopicPartition};
use crate::state::SharedStore;
use crate::time::Timestamp;
use std::sync::Arc;

/// What a call of `run` did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

/// When a task has to be looked at again, if nothing comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wakeup {
    /// The application's clock: something will be due, or a question that makes it due.
    pub(crate) due: Option<Timestamp>,
    /// The application's clock: the next periodic question of a silent partition, which moves the watermark although
    /// nothing is due here. It matters where `outputs` carry the watermark on.
    pub(crate) question: Option<Timestamp>,
    /// The machine's clock: waiting for a partition ends (`max.task.idle.ms`), or markers may be written.
    pub(crate) machine: Option<i64>,
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
    plan: TaskPlan,
    graph: TaskGraph,
}

impl Task {
    /// Makes a task at its last commit. Refused where its offset metadata could grow too large.
    pub(crate) fn new(
        _plan: TaskPlan,
        _graph: TaskGraph,
        _settings: TaskSettings,
        _saved: &Saved,
        _moment: Moment,
    ) -> Result<Self> {
        todo!()
    }

    pub(crate) fn id(&self) -> TaskId {
        self.plan.id
    }
    /// Its partitions, in the order by which calls name them.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.plan.inputs.iter().map(|input| &input.partition)
    }

    /// Whether the input's buffer has room. Otherwise its queue is left alone.
    pub(crate) fn wants(&self, _input: usize) -> bool {
        todo!()
    }
    /// Where the client goes on reading; at the start, where it has to seek to.
    pub(crate) fn position(&self, _input: usize) -> i64 {
        todo!()
    }
    /// Takes what was fetched; `position` is the client's afterwards, also where no record came.
    pub(crate) fn receive(&mut self, _input: usize, _records: Vec<LogRecord>, _position: i64) {
        todo!()
    }

    /// Works off what is due, then at most `max_records` records; stops early where `advance_batch` is used up.
    pub(crate) fn run(&mut self, _moment: Moment, _max_records: usize) -> Result<Ran> {
        todo!()
    }
    /// When to call `run` or `questions` again if nothing comes.
    pub(crate) fn next_wakeup(&self, _moment: Moment) -> Wakeup {
        todo!()
    }

    /// What has to be asked now. Notes that it was.
    pub(crate) fn questions(&mut self, _moment: Moment) -> Vec<Question> {
        todo!()
    }
    /// `asked`: the application's clock when the question was sent.
    pub(crate) fn answered(&mut self, _question: &Question, _asked: Timestamp, _end: i64) {
        todo!()
    }

    /// Moves what is to be written to `out`, in order.
    pub(crate) fn take_output(&mut self, _out: &mut Vec<Outgoing>) {
        todo!()
    }
    /// Forwards all live updates that are held back.
    pub(crate) fn flush(&mut self, _moment: Moment) -> Result<()> {
        todo!()
    }
    /// Adds markers to the output if the present watermark was not told yet; without `commit` at most once per interval.
    pub(crate) fn markers(&mut self, _moment: Moment, _commit: bool) {
        todo!()
    }

    /// Positions of **all** inputs with their metadata; `changelogs`: by store, the offset after the last record.
    pub(crate) fn commit_offsets(&self, _commit_id: u64, _changelogs: &[(Arc<str>, i64)]) -> Offsets {
        todo!()
    }
    /// What goes with the stores' batch. It belongs to the same moment as `commit_offsets`.
    pub(crate) fn checkpoint(&self) -> TaskCheckpoint {
        todo!()
    }
    pub(crate) fn stores(&self) -> &[SharedStore] {
        &self.graph.stores
    }
    /// About the bytes that wait for a commit.
    pub(crate) fn dirty_bytes(&self) -> usize {
        self.graph.stores.iter().map(|store| store.borrow().dirty_bytes()).sum()
    }
    /// Something happened since the last `commit_offsets` that a commit would keep.
    pub(crate) fn counts(&self) -> Counts {
        todo!()
    }

    /// The end of the input was declared: every source partition goes at least there.
    pub(crate) fn raise_watermark(&mut self, _to: Timestamp) {
        todo!()
    }
    /// No more gaps are filled.
    pub(crate) fn stop_filling(&mut self) {
        todo!()
    }
    /// Time runs on, in the following calls of `run`, until nothing is open; it ends at the last moment due. Nothing
    /// may come any more, on repartition topics either.
    pub(crate) fn close_all(&mut self) {
        todo!()
    }
    /// Nothing is buffered, due or closing: without input or the clock, `run` would do nothing.
    pub(crate) fn at_rest(&self) -> bool {
        todo!()
    }

    /// What its inputs are believed complete up to.
    pub(crate) fn watermark(&self) -> Timestamp {
        todo!()
    }
    pub(crate) fn explain(&self, _moment: Moment) -> Explanation {
        todo!()
    }
    /// The task ends in order, after its last commit.
    pub(crate) fn close(&mut self) {
        todo!()
    }
}
