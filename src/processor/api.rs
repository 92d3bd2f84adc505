//! The Processor API: a record at a time, with stores, clocks and headers.

use super::punctuation::{Cancellable, PunctuationType, Punctuations};
use super::{Cx, Outputs};
use crate::error::{BoxError, Error, ErrorKind};
use crate::record::{Record, RecordMetadata, TaskId};
use crate::state::Attached;
use crate::time::Timestamp;
use std::rc::Rc;
use std::time::Duration;

/// An operator of the user's. One instance runs per task, on one thread; its stores are given to it when it is made.
///
/// An error of any method stops the task at the record it came from, whose offset is not committed.
pub trait Processor: Sized + 'static {
    /// Keys that come in.
    type KIn;
    /// Values that come in.
    type VIn;
    /// Keys that leave.
    type KOut;
    /// Values that leave.
    type VOut;

    /// Called once, when the stores are restored and before the first record: the place to schedule. Nothing can be
    /// forwarded yet.
    fn init(&mut self, _ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        Ok(())
    }
    /// Called for each record.
    fn process(
        &mut self,
        record: Record<'_, Self::KIn, Self::VIn>,
        ctx: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError>;
    /// Called when the task ends in order, after its last commit. A crash calls nothing.
    fn close(&mut self) {}
}

/// What a processor can do while it is called.
pub struct ProcessorContext<'a, P: Processor> {
    pub(super) cx: Cx<'a>,
    pub(super) site: Site<'a, P>,
}

/// The node around a processor, without the processor.
pub(super) struct Site<'a, P: Processor> {
    pub(super) task: TaskId,
    pub(super) outputs: &'a Outputs<P::KOut, P::VOut>,
    pub(super) stores: &'a [Rc<dyn Attached>],
    pub(super) punctuations: &'a mut Punctuations<P>,
    /// False in `init`: what lies below is not initialised yet.
    pub(super) may_forward: bool,
    /// The first failure inside the context; it ends the call as an error however the processor answers.
    pub(super) failed: &'a mut Option<Error>,
}

impl<P: Processor> ProcessorContext<'_, P> {
    /// Sends a record to what follows, which is done with it when this returns. A failure there ends this
    /// processor's call as an error as well; what is forwarded after it goes nowhere.
    pub fn forward(&mut self, record: Record<'_, P::KOut, P::VOut>) {
        if !self.site.may_forward {
            self.fail(Error::new(ErrorKind::Processing, "`forward` cannot be called in `init`"));
        }
        if self.site.failed.is_some() {
            return;
        }
        let mut cx = self.cx.with(record.timestamp, record.headers);
        *self.site.failed = self.site.outputs.forward(&mut cx, record.key, record.value).err();
        // A processor below may share a store and have written with its own time.
        set_time(self.site.stores, self.cx.timestamp);
    }

    /// Calls a method of the processor again and again: `ctx.schedule(seconds(10), PunctuationType::WallClock,
    /// Self::sweep)`. It is given the clock's time. `every` is at least a millisecond.
    pub fn schedule(
        &mut self,
        every: Duration,
        clock: PunctuationType,
        punctuate: impl FnMut(&mut P, Timestamp, &mut ProcessorContext<'_, P>) -> Result<(), BoxError> + 'static,
    ) -> Cancellable {
        if every.as_millis() == 0 {
            self.fail(Error::new(
                ErrorKind::Processing,
                format!("cannot punctuate every {every:?}; 1 ms is the least"),
            ));
        }
        if clock == PunctuationType::Watermark {
            self.cx.wake_at(Timestamp::MIN);
        }
        self.site.punctuations.schedule(every, clock, self.cx.now, Box::new(punctuate))
    }

    /// Where the record was read; `None` outside a record: in `init`, in a punctuator, for a result that was held back.
    pub fn metadata(&self) -> Option<&RecordMetadata> {
        self.cx.metadata
    }
    /// Up to here the input is believed complete; `Timestamp::MIN` as long as nothing is known.
    pub fn watermark(&self) -> Timestamp {
        self.cx.judge
    }
    /// The application's clock.
    pub fn now(&self) -> Timestamp {
        self.cx.now
    }
    /// The task in which the processor runs.
    pub fn task_id(&self) -> TaskId {
        self.site.task
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.site.failed.get_or_insert(error);
    }
    /// The same context for a shorter time.
    pub(super) fn again(&mut self) -> ProcessorContext<'_, P> {
        let (timestamp, headers) = (self.cx.timestamp, self.cx.headers);
        let Site { task, outputs, stores, may_forward, .. } = self.site;
        let (punctuations, failed) = (&mut *self.site.punctuations, &mut *self.site.failed);
        let site = Site { task, outputs, stores, punctuations, may_forward, failed };
        ProcessorContext { cx: self.cx.with(timestamp, headers), site }
    }
}

pub(super) fn set_time(stores: &[Rc<dyn Attached>], at: Timestamp) {
    for store in stores {
        store.set_time(at);
    }
}
