//! Operators as they run inside one task, joined by typed edges that pass references.
//!
//! A node is shared by `Rc<RefCell<_>>`: its parents hold it as a [`Sink`] of their output type, the task holds it as a
//! [`Node`] to tell it the time. Data flows strictly downwards, so no node is ever borrowed twice.

mod aggregate;
mod api;
mod dead_letter;
mod fill_gaps;
mod filler;
mod fixed_key;
mod handlers;
mod live_table;
mod open_windows;
mod processor_node;
mod punctuation;
mod record_limits;
mod roll_up;
mod rolled;
mod source;
mod stateless;
mod suppress;
mod table;
mod timed;
mod window_aggregate;
mod window_table;

pub(crate) use aggregate::{Aggregate, Apply};
pub use api::{Processor, ProcessorContext};
pub(crate) use dead_letter::DeadLetters;
pub(crate) use fill_gaps::{FillGaps, FillGapsSpec};
pub(crate) use filler::Filler;
pub(crate) use fixed_key::FixedKey;
pub use fixed_key::{FixedKeyProcessor, FixedKeyProcessorContext};
pub use handlers::{ErrorHandlerContext, Response};
pub(crate) use handlers::{Failed, Failing, Handler, Handlers, Judge, PerKind, Retries, guarded};
pub(crate) use live_table::View;
pub(crate) use processor_node::ProcessorNode;
pub use punctuation::{Cancellable, PunctuationType};
pub(crate) use record_limits::RecordLimits;
pub use roll_up::Incomplete;
pub(crate) use roll_up::{Absorb, RollUp, RollUpOutputs, RollUpSpec};
pub use rolled::Children;
pub(crate) use rolled::Rolled;
pub(crate) use source::{Chooser, Decoded, Extract, Input, Partitioner, SinkNode, Source, Topics};
pub(crate) use stateless::{Branches, Pass, Predicate, SkipNulls, Stage, Stateless};
pub(crate) use suppress::{BufferBound, BufferedCodec, SuppressFinal, SuppressTime, SuppressTimeSpec};
pub(crate) use table::{FilterTable, MapTable, Raw, RawCodec, ToChangelog, ToStream, ToTable};
pub(crate) use timed::Timed;
pub(crate) use window_aggregate::{WindowAggregate, WindowAggregateSpec, WindowOutputs};

use crate::broker::{LogRecord, Outgoing};
use crate::error::Result;
use crate::record::{Headers, RecordMetadata};
use crate::state::SharedStore;
use crate::time::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What a record or a moment produces; drained by the task.
#[derive(Debug)]
pub(crate) struct Effects {
    pub(crate) records: Vec<Outgoing>,
    pub(crate) counts: Counts,
    /// The first watermark at which a node has something to do; nodes lower it, the task works it off and sets it anew.
    pub(crate) alarm: Timestamp,
    /// Since it was set to `false`, something was changed that only a return to the last commit takes back.
    pub(crate) touched: bool,
    /// Who is asked about failures.
    pub(crate) judge: Rc<Judge>,
    /// What it said about a failure that is on its way up.
    pub(crate) decided: Option<Response>,
    /// How often the present record has been tried again.
    pub(crate) retries: u32,
    /// Whether it is asked about failures outside a record.
    lenient: bool,
}

impl Effects {
    pub(crate) fn new(judge: Judge) -> Self {
        Self {
            records: Vec::new(),
            counts: Counts::default(),
            alarm: Timestamp::MAX,
            touched: false,
            lenient: judge.is_lenient(),
            judge: Rc::new(judge),
            decided: None,
            retries: 0,
        }
    }
    /// Whether anything but the end can follow from a failure.
    #[inline]
    pub(crate) fn is_lenient(&self) -> bool {
        self.lenient
    }
}

impl Default for Effects {
    fn default() -> Self {
        Self::new(Judge::default())
    }
}

/// What a task counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records taken from the inputs.
    pub processed: u64,
    /// Records left out: null keys, negative timestamps, skipped by a handler.
    pub dropped: u64,
    /// Records whose window had closed.
    pub late: u64,
    /// Records that belong to no window, such as ticks outside the session.
    pub outside: u64,
    /// Children of a roll-up that had been counted already.
    pub duplicates: u64,
    /// Records further ahead of the clock than the bound; they moved no time.
    pub future: u64,
    /// Finals that left.
    pub finals: u64,
    /// Finals of incomplete parents that were held back.
    pub held_back: u64,
    /// Live updates made for quiet windows.
    pub heartbeats: u64,
    /// Records that went to the dead letter topic; they are among the dropped ones.
    pub dead_letters: u64,
    /// Records that sinks wrote, those of repartition topics included.
    pub written: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.processed += other.processed;
        self.dropped += other.dropped;
        self.late += other.late;
        self.outside += other.outside;
        self.duplicates += other.duplicates;
        self.future += other.future;
        self.finals += other.finals;
        self.held_back += other.held_back;
        self.heartbeats += other.heartbeats;
        self.dead_letters += other.dead_letters;
        self.written += other.written;
    }
}

/// What travels beside key and value.
pub(crate) struct Cx<'a> {
    pub(crate) timestamp: Timestamp,
    pub(crate) headers: &'a Headers,
    /// `None` when no record of an input is being processed: closing, flushing, punctuation.
    pub(crate) metadata: Option<&'a RecordMetadata>,
    /// The record as it was read, likewise.
    pub(crate) raw: Option<&'a LogRecord>,
    /// The travelling watermark that judges what is late: for a record, the one it has moved; for what leaves while an
    /// advance is worked off, the one before the advance. Otherwise the last child would be late where parent and child
    /// have one grace.
    pub(crate) judge: Timestamp,
    /// The application's clock.
    pub(crate) now: Timestamp,
    pub(crate) effects: &'a mut Effects,
}

static NO_HEADERS: Headers = Headers::new();

impl<'a> Cx<'a> {
    /// Outside any record.
    pub(crate) fn quiet(judge: Timestamp, now: Timestamp, effects: &'a mut Effects) -> Self {
        Self { timestamp: now, headers: &NO_HEADERS, metadata: None, raw: None, judge, now, effects }
    }
    /// The same moment with another timestamp and without the record's headers: for results of several records.
    pub(crate) fn result(&mut self, timestamp: Timestamp) -> Cx<'_> {
        self.with(timestamp, &NO_HEADERS)
    }
    /// The same moment with another timestamp and other headers.
    pub(crate) fn with<'b>(&'b mut self, timestamp: Timestamp, headers: &'b Headers) -> Cx<'b> {
        let Self { metadata, raw, judge, now, .. } = *self;
        Cx { timestamp, headers, metadata, raw, judge, now, effects: self.effects }
    }
    /// The same moment for a result that was held back: it is not the record's that is being processed.
    pub(crate) fn held_back(&mut self) -> Cx<'_> {
        let Self { timestamp, judge, now, .. } = *self;
        Cx { timestamp, headers: &NO_HEADERS, metadata: None, raw: None, judge, now, effects: self.effects }
    }
    /// Whether a failing child may be left out alone: outside a record, if anybody is asked.
    #[inline]
    fn is_tolerant(&self) -> bool {
        self.metadata.is_none() && self.effects.lenient
    }
    /// A call of a child, or of the user's, that may be left out alone.
    #[inline(never)]
    fn tolerate(&mut self, call: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if !self.is_tolerant() {
            return call(self);
        }
        guarded(|| call(self)).or_else(|error| self.effects.judge.clone().outside(self, error))
    }
    /// Something will be due at this watermark.
    #[inline]
    pub(crate) fn wake_at(&mut self, watermark: Timestamp) {
        self.effects.alarm = self.effects.alarm.min(watermark);
    }
}

/// What a stream's edge leads to.
pub(crate) trait Sink<K, V> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()>;
}

/// What a table's edge leads to.
pub(crate) trait TableSink<K, V> {
    /// The first record of this key has come. Told at once, before the conflated update.
    fn opened(&mut self, _cx: &mut Cx<'_>, _key: &K) -> Result<()> {
        Ok(())
    }
    /// A live change; never with both values absent.
    fn change(&mut self, cx: &mut Cx<'_>, key: &K, new: Option<&V>, old: Option<&V>) -> Result<()>;
    /// The one final of a window.
    fn close(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()>;
    /// Whether `change` needs the old value; it costs a copy of the bytes per key and flush.
    fn needs_old(&self) -> bool {
        false
    }
}

pub(crate) type Edge<K, V> = Rc<RefCell<dyn Sink<K, V>>>;
pub(crate) type TableEdge<K, V> = Rc<RefCell<dyn TableSink<K, V>>>;

/// The children of a stream node.
pub(crate) struct Outputs<K, V>(pub(crate) Vec<Edge<K, V>>);

impl<K, V> Outputs<K, V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    #[inline]
    pub(crate) fn forward(&self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        if cx.is_tolerant() {
            return self.forward_tolerantly(cx, key, value);
        }
        for child in &self.0 {
            child.borrow_mut().process(cx, key, value)?;
        }
        Ok(())
    }
    #[cold]
    fn forward_tolerantly(&self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        self.0.iter().try_for_each(|child| cx.tolerate(|cx| child.borrow_mut().process(cx, key, value)))
    }
}

/// A call of a table's child.
type CallTable<'a, K, V> = &'a dyn Fn(&mut dyn TableSink<K, V>, &mut Cx<'_>) -> Result<()>;

/// The children of a table node.
pub(crate) struct TableOutputs<K, V>(pub(crate) Vec<TableEdge<K, V>>);

impl<K, V> TableOutputs<K, V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub(crate) fn opened(&self, cx: &mut Cx<'_>, key: &K) -> Result<()> {
        self.each(cx, |child, cx| child.opened(cx, key))
    }
    pub(crate) fn change(&self, cx: &mut Cx<'_>, key: &K, new: Option<&V>, old: Option<&V>) -> Result<()> {
        if new.is_none() && old.is_none() {
            return Ok(());
        }
        self.each(cx, |child, cx| child.change(cx, key, new, old))
    }
    pub(crate) fn close(&self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        self.each(cx, |child, cx| child.close(cx, key, value))
    }
    #[inline]
    fn each(
        &self,
        cx: &mut Cx<'_>,
        call: impl Fn(&mut dyn TableSink<K, V>, &mut Cx<'_>) -> Result<()>,
    ) -> Result<()> {
        if cx.is_tolerant() {
            return self.each_tolerantly(cx, &call);
        }
        self.0.iter().try_for_each(|child| call(&mut *child.borrow_mut(), cx))
    }
    #[cold]
    #[inline(never)]
    fn each_tolerantly(&self, cx: &mut Cx<'_>, call: CallTable<'_, K, V>) -> Result<()> {
        self.0.iter().try_for_each(|child| cx.tolerate(|cx| call(&mut *child.borrow_mut(), cx)))
    }
    pub(crate) fn needs_old(&self) -> bool {
        self.0.iter().any(|child| child.borrow().needs_old())
    }
}

/// A node as its task sees it. The task tells its nodes the time in topological order, so finals leave before the
/// watermark that closed them is handed on.
pub(crate) trait Node {
    /// The first watermark at which something is due here; `MAX` if nothing is. O(1).
    fn next_due(&self) -> Timestamp {
        Timestamp::MAX
    }
    /// Does what is due at this watermark, at most `budget` windows of it, which it lowers; `false`: the budget did not
    /// suffice, call again with the same watermark before anything below is told.
    fn advance(&mut self, _cx: &mut Cx<'_>, _watermark: Timestamp, _budget: &mut usize) -> Result<bool> {
        Ok(true)
    }
    /// When the watermark has a punctuator to call; `MIN` before the first advance, `MAX` if there is none.
    fn next_punctuation(&self) -> Timestamp {
        Timestamp::MAX
    }
    /// Calls the watermark's punctuators, once for an advance as a whole, with the watermark that was reached.
    fn punctuate(&mut self, _cx: &mut Cx<'_>, _watermark: Timestamp) -> Result<()> {
        Ok(())
    }
    /// When the application's clock has a punctuator to call; `MAX` if there is none.
    fn next_wall_clock(&self) -> Timestamp {
        Timestamp::MAX
    }
    /// Calls the wall clock's punctuators (`cx.now`).
    fn wall_clock(&mut self, _cx: &mut Cx<'_>) -> Result<()> {
        Ok(())
    }
    /// Forwards live updates that are held back for conflation; called in topological order.
    fn flush(&mut self, _cx: &mut Cx<'_>) -> Result<()> {
        Ok(())
    }
    /// No more gaps are filled: the end of the input was declared.
    fn stop_filling(&mut self) {}
    /// The store whose windows close here, as the user named it.
    fn closes(&self) -> Option<&Arc<str>> {
        None
    }
    /// The closed bound to save: what this node has closed once it has worked off the watermark `handed`, and no more,
    /// though it may have begun with a later one.
    fn closed_bound(&self, _handed: Timestamp) -> Timestamp {
        Timestamp::MIN
    }
    /// Called once, before any record: the saved closed bound (`MIN` for none). Reads the store's open windows.
    fn restored(&mut self, _cx: &mut Cx<'_>, _bound: Timestamp) -> Result<()> {
        Ok(())
    }
    /// The end of the window that is open longest, and how many are open.
    fn open_windows(&self) -> Option<LongestOpen> {
        None
    }
    /// The task ends in order, after its last commit.
    fn close(&mut self) {}
}

/// The window of a node that is open longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongestOpen {
    pub(crate) end: Timestamp,
    /// At this watermark.
    pub(crate) closes_at: Timestamp,
    /// How many are open.
    pub(crate) windows: usize,
}

pub(crate) type SharedNode = Rc<RefCell<dyn Node>>;

/// Partition counts of the topics that a task can write to, by the name on the broker.
pub(crate) type PartitionCounts = BTreeMap<Arc<str>, u32>;

/// Everything that runs in one task.
pub(crate) struct TaskGraph {
    /// One per source of the sub-topology, in its order.
    pub(crate) inputs: Vec<Box<dyn Input>>,
    /// In topological order: whoever forwards comes before what it forwards to.
    pub(crate) nodes: Vec<SharedNode>,
    /// One per store of the sub-topology, in its order.
    pub(crate) stores: Vec<SharedStore>,
}

#[cfg(test)]
mod tests;
