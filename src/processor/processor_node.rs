//! The node around a processor of the user's: calls it, and turns its errors into ones with coordinates.

use super::api::{Processor, ProcessorContext, Site, set_time};
use super::punctuation::{Punctuation, PunctuationType, Punctuations};
use super::stateless::failed;
use super::{Cx, Node, Outputs, Sink};
use crate::error::{BoxError, Error, Result};
use crate::record::{Record, TaskId};
use crate::state::Attached;
use crate::time::Timestamp;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) struct ProcessorNode<P: Processor> {
    node: Arc<str>,
    task: TaskId,
    processor: P,
    stores: Vec<Rc<dyn Attached>>,
    outputs: Outputs<P::KOut, P::VOut>,
    punctuations: Punctuations<P>,
    initialised: bool,
}

impl<P: Processor> ProcessorNode<P> {
    pub(crate) fn new(
        node: Arc<str>,
        task: TaskId,
        processor: P,
        stores: Vec<Rc<dyn Attached>>,
        outputs: Outputs<P::KOut, P::VOut>,
    ) -> Self {
        let punctuations = Punctuations::new();
        Self { node, task, processor, stores, outputs, punctuations, initialised: false }
    }

    fn call(
        &mut self,
        cx: &mut Cx<'_>,
        call: impl FnOnce(&mut P, &mut ProcessorContext<'_, P>) -> Result<(), BoxError>,
    ) -> Result<()> {
        // What it keeps in itself, nobody else can take back.
        cx.effects.touched = true;
        set_time(&self.stores, cx.timestamp);
        let (timestamp, headers) = (cx.timestamp, cx.headers);
        let mut inside = None;
        let site = Site {
            task: self.task,
            outputs: &self.outputs,
            stores: &self.stores,
            punctuations: &mut self.punctuations,
            may_forward: self.initialised,
            failed: &mut inside,
        };
        let mut context = ProcessorContext { cx: cx.with(timestamp, headers), site };
        let answer = call(&mut self.processor, &mut context);
        if let Some(error) = inside {
            return Err(error);
        }
        answer.map_err(|error| self.failed(cx, error))?;
        // What it put into a store may be due earlier than anything before.
        cx.wake_at(self.next_due());
        Ok(())
    }

    /// An error of a store, passed on by the processor, stays what it is: the state is broken, not the record.
    fn failed(&self, cx: &Cx<'_>, error: BoxError) -> Error {
        match error.downcast::<Error>() {
            Ok(own) if own.is_state() => own.with("node", &*self.node),
            Ok(other) => failed(cx, &self.node, other),
            Err(error) => failed(cx, &self.node, error),
        }
    }

    /// Calls what is due on a clock, once each.
    fn fire(&mut self, cx: &mut Cx<'_>, clock: PunctuationType, now: Timestamp) -> Result<()> {
        let mut due = self.punctuations.take_due(clock, now);
        let outcome = due.iter_mut().try_for_each(|entry| cx.tolerate(|cx| self.fire_one(cx, entry, now)));
        self.punctuations.put_back(due);
        outcome
    }

    fn fire_one(&mut self, cx: &mut Cx<'_>, entry: &mut Punctuation<P>, now: Timestamp) -> Result<()> {
        if entry.is_cancelled() {
            return Ok(());
        }
        entry.passed(now);
        self.call(cx, |processor, context| (entry.punctuate)(processor, now, context))
    }
}

impl<P: Processor> Sink<P::KIn, P::VIn> for ProcessorNode<P> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &P::KIn, value: &P::VIn) -> Result<()> {
        let record = Record { key, value, timestamp: cx.timestamp, headers: cx.headers };
        self.call(cx, |processor, context| processor.process(record, context))
    }
}

impl<P: Processor> Node for ProcessorNode<P> {
    fn next_due(&self) -> Timestamp {
        self.stores.iter().map(|store| store.next_due()).min().unwrap_or(Timestamp::MAX)
    }
    fn advance(&mut self, _: &mut Cx<'_>, watermark: Timestamp, budget: &mut usize) -> Result<bool> {
        for store in &self.stores {
            if !store.expire(watermark, budget)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
    fn next_punctuation(&self) -> Timestamp {
        self.punctuations.next(PunctuationType::Watermark)
    }
    fn punctuate(&mut self, cx: &mut Cx<'_>, watermark: Timestamp) -> Result<()> {
        let mut quiet = Cx::quiet(cx.judge, cx.now, cx.effects);
        quiet.timestamp = watermark;
        self.fire(&mut quiet, PunctuationType::Watermark, watermark)
    }
    fn next_wall_clock(&self) -> Timestamp {
        self.punctuations.next(PunctuationType::WallClock)
    }
    fn wall_clock(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        let now = cx.now;
        self.fire(&mut Cx::quiet(cx.judge, now, cx.effects), PunctuationType::WallClock, now)
    }
    fn restored(&mut self, cx: &mut Cx<'_>, _: Timestamp) -> Result<()> {
        self.stores.iter().try_for_each(|store| store.restored())?;
        let mut quiet = Cx::quiet(cx.judge, cx.now, cx.effects);
        self.call(&mut quiet, Processor::init)?;
        self.initialised = true;
        Ok(())
    }
    fn close(&mut self) {
        self.processor.close();
    }
}

#[cfg(test)]
mod tests;
