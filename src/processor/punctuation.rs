//! Calls at intervals of a clock: of the watermark, or of the application's.

use super::api::{Processor, ProcessorContext};
use crate::error::BoxError;
use crate::time::{Timestamp, millis};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// The clock that a punctuator follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PunctuationType {
    /// The watermark (in Kafka Streams: stream time): called at its first advance, then whenever it has passed a
    /// multiple of the interval, counted from the epoch; once, however many it passed. Given the watermark.
    Watermark,
    /// The application's clock: called first after one interval, then at every further one; once, however many were
    /// missed. Given the clock's time.
    WallClock,
}

/// Ends a schedule. Dropping it ends nothing.
#[must_use = "keep it to cancel, or say `let _ =`"]
#[derive(Debug)]
pub struct Cancellable(Rc<Cell<bool>>);

impl Cancellable {
    /// No further call, not even one that is due now. Works inside the punctuator too.
    pub fn cancel(self) {
        self.0.set(true);
    }
}

type Punctuate<P> = Box<dyn FnMut(&mut P, Timestamp, &mut ProcessorContext<'_, P>) -> Result<(), BoxError>>;

pub(super) struct Punctuation<P: Processor> {
    clock: PunctuationType,
    /// In ms.
    every: i64,
    next: Timestamp,
    cancelled: Rc<Cell<bool>>,
    pub(super) punctuate: Punctuate<P>,
}

impl<P: Processor> Punctuation<P> {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    /// The next tick after `now`; those in between collapse.
    pub(super) fn passed(&mut self, now: Timestamp) {
        let start = match self.clock {
            PunctuationType::Watermark => 0,
            PunctuationType::WallClock => self.next.0,
        };
        let ticks = now.0.saturating_sub(start).div_euclid(self.every).saturating_add(1);
        self.next = Timestamp(start.saturating_add(ticks.saturating_mul(self.every)));
    }
}

/// The schedules of one processor, in the order in which they were made.
pub(super) struct Punctuations<P: Processor>(Vec<Punctuation<P>>);

impl<P: Processor> Punctuations<P> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn schedule(
        &mut self,
        every: Duration,
        clock: PunctuationType,
        now: Timestamp,
        punctuate: Punctuate<P>,
    ) -> Cancellable {
        let cancelled = Rc::new(Cell::new(false));
        let next = match clock {
            PunctuationType::Watermark => Timestamp::MIN,
            PunctuationType::WallClock => now.plus(every),
        };
        let every = millis(every).max(1);
        self.0.push(Punctuation { clock, every, next, cancelled: cancelled.clone(), punctuate });
        Cancellable(cancelled)
    }

    /// When the clock has something to call; `MAX` for never.
    pub(super) fn next(&self, clock: PunctuationType) -> Timestamp {
        let waiting = self.0.iter().filter(|entry| entry.clock == clock && !entry.is_cancelled());
        waiting.map(|entry| entry.next).min().unwrap_or(Timestamp::MAX)
    }

    /// Removes what is due, in order of time, then of schedule: their processor, which may schedule more, is called
    /// without them.
    pub(super) fn take_due(&mut self, clock: PunctuationType, now: Timestamp) -> Vec<Punctuation<P>> {
        let (mut due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|entry| entry.clock == clock && entry.next <= now);
        self.0 = rest;
        due.sort_by_key(|entry| entry.next);
        due
    }

    /// Takes back what goes on, before what was scheduled meanwhile.
    pub(super) fn put_back(&mut self, mut due: Vec<Punctuation<P>>) {
        due.append(&mut self.0);
        due.retain(|entry| !entry.is_cancelled());
        self.0 = due;
    }
}
