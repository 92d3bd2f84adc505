//! The order of work: for each record first time moves, then the record runs, judged by the new watermark, then the
//! watermark is handed down.

use super::failure::{Attempt, located};
use super::input::InputWatermark;
use super::verdicts::Verdict;
use super::{FutureSkewPolicy, Ran, Stops, Task};
use crate::broker::LogRecord;
use crate::error::{Error, ErrorKind, Result};
use crate::processor::{Cx, Decoded, Failed, guarded};
use crate::runtime::Moment;
use crate::runtime::partition_group::Head;
use crate::runtime::writers::Marker;
use crate::time::Timestamp;

/// How a record is met again.
#[derive(Default)]
struct Again {
    /// It has moved time, or is not to yet.
    moved: bool,
    retries: u32,
    /// Boxed: hardly any record has one.
    verdict: Option<Box<Verdict>>,
}

impl Task {
    /// Works off what is due, then at most `max_records` records; stops early where `advance_batch` is used up. After
    /// an error the task is of no more use.
    pub(crate) fn run(&mut self, moment: Moment, max_records: usize) -> Result<Ran> {
        let mut ran = Ran::default();
        if self.stops == Stops::ToCommit {
            self.stops = Stops::No;
        }
        let before = self.watermark;
        self.evaluate_idle();
        ran.progressed |= self.watermark > before;
        self.work(moment, max_records, &mut ran)?;
        if self.stops == Stops::ForGood {
            ran.given_up = true;
            return Ok(ran);
        }
        if !ran.advancing {
            ran.progressed |= self.wall_clock(moment)?;
            if self.settings.flush_each_batch && ran.progressed {
                self.flush(moment)?;
            }
        }
        ran.output_pending = !self.effects.records.is_empty();
        ran.commit_due =
            self.stops == Stops::ToCommit || self.dirty_bytes() > self.settings.uncommitted_max_bytes;
        Ok(ran)
    }

    fn work(&mut self, moment: Moment, max_records: usize, ran: &mut Ran) -> Result<()> {
        let mut budget = self.settings.advance_batch.max(1);
        loop {
            if self.is_due() {
                let whole = budget;
                ran.advancing = !self.advance(moment.now, &mut budget)?;
                ran.progressed |= ran.advancing || budget < whole;
                if ran.advancing {
                    return Ok(());
                }
            }
            while let Some(input) = self.group.unsettled() {
                ran.progressed |= self.settle(input, moment)?;
            }
            if self.is_due() {
                continue;
            }
            if ran.records >= max_records || budget == 0 || self.is_held(moment) {
                return Ok(());
            }
            let next = if self.group.ready(moment.machine) { self.group.take() } else { None };
            match next {
                Some((head, record)) => {
                    self.process(head, &record, moment)?;
                    ran.records += 1;
                    ran.progressed = true;
                }
                None if self.close_next() => ran.progressed = true,
                None => return Ok(()),
            }
        }
    }

    /// Decodes the front of an input, so that it becomes a head. Markers and what is left out are handled at once,
    /// whatever the order of records; `true` for those.
    fn settle(&mut self, input: usize, moment: Moment) -> Result<bool> {
        let (Some(plan), Some(watermark)) = (self.plan.inputs.get(input), self.watermarks.get_mut(input))
        else {
            return Err(Error::internal("an input without a plan"));
        };
        let Some((record, metadata, partition_time)) = self.group.front(input) else { return Ok(false) };
        if let InputWatermark::Repartition(writers) = watermark
            && let Some(marker) = Marker::of(record)
        {
            writers.hear(marker).map_err(|error| located(error, metadata, &self.id))?;
            self.group.pass(input);
            self.move_watermark();
            return Ok(true);
        }
        let Some(source) = self.graph.inputs.get_mut(plan.source) else {
            return Err(Error::internal(format!("task {} has no source {}", self.id, plan.source)));
        };
        let decoded = guarded(|| source.decode(plan.slot, record, partition_time, moment.now));
        match decoded {
            Ok(Decoded::At(at)) => {
                self.group.decoded(input, at);
                return Ok(false);
            }
            Ok(Decoded::Negative) => {}
            Err(error) => self.unreadable(input, error)?,
        }
        self.effects.counts.processed += 1;
        self.effects.counts.dropped += 1;
        let watermark = self.watermarks.get_mut(input);
        if let Some(source) = watermark.and_then(InputWatermark::source_mut) {
            source.timeless_record(moment.now);
        }
        self.group.pass(input);
        Ok(true)
    }

    /// Nothing more is taken in this run.
    #[inline]
    fn is_held(&mut self, moment: Moment) -> bool {
        if self.waits_until.is_some_and(|until| moment.machine >= until) {
            self.waits_until = None;
        }
        self.stops != Stops::No || self.waits_until.is_some()
    }

    fn process(&mut self, head: Head, record: &LogRecord, moment: Moment) -> Result<()> {
        let again =
            if self.verdicts.is_empty() { Again::default() } else { self.again(head, record, moment) };
        if !again.moved {
            self.effects.counts.processed += 1;
            if !self.move_time(head, record, moment)? {
                self.effects.counts.dropped += 1;
                self.group.handle(head.input, record.offset);
                return Ok(());
            }
        }
        match again.verdict {
            None => self.attempt(head, record, moment, again.retries),
            Some(verdict) => self.carry_out(*verdict, head, record),
        }
    }

    /// What is known of a record that failed before.
    #[cold]
    fn again(&mut self, head: Head, record: &LogRecord, moment: Moment) -> Again {
        let Some(verdict) = self.verdicts.of(head.input, record.offset).cloned() else {
            return Again::default();
        };
        match verdict {
            Verdict::Retry { retry, until, moved } if moment.machine >= until => {
                Again { moved, retries: retry, verdict: None }
            }
            // What came before it need not be done again, whatever comes after.
            verdict => {
                self.stops = Stops::ToCommit;
                let moved = matches!(verdict, Verdict::Retry { .. });
                Again { moved, retries: 0, verdict: Some(Box::new(verdict)) }
            }
        }
    }

    #[inline]
    fn attempt(&mut self, head: Head, record: &LogRecord, moment: Moment, retries: u32) -> Result<()> {
        let outputs = self.effects.records.len();
        let counts = self.effects.is_lenient().then_some(self.effects.counts);
        (self.effects.touched, self.effects.retries) = (false, retries);
        match self.call_source(head, record, moment.now) {
            Ok(()) => {
                self.group.handle(head.input, record.offset);
                Ok(())
            }
            Err(error) => self.failed(&Attempt { head, record, retries, outputs, counts }, moment, error),
        }
    }

    /// `false`: the record is left out.
    fn move_time(&mut self, head: Head, record: &LogRecord, moment: Moment) -> Result<bool> {
        let Some(watermark) = self.watermarks.get_mut(head.input) else { return Ok(true) };
        let InputWatermark::Source(source) = watermark else {
            self.group.observe(head.input, head.at);
            return Ok(true);
        };
        if self.settings.max_future_skew.is_some_and(|skew| head.at > moment.date.plus(skew)) {
            source.timeless_record(moment.now);
            self.effects.counts.future += 1;
            return match self.settings.future_skew_policy {
                FutureSkewPolicy::Accept => Ok(true),
                FutureSkewPolicy::Skip => Ok(false),
                FutureSkewPolicy::DeadLetter => self.bury(head, record, moment.date).map(|()| false),
                FutureSkewPolicy::Fail => Err(self.too_far_ahead(head, moment.date)),
            };
        }
        self.group.observe(head.input, head.at);
        let before = source.watermark();
        source.record(head.at, moment.now);
        // Only the input that held the task's watermark can move it.
        if before <= self.watermark {
            self.move_watermark();
        }
        Ok(true)
    }

    fn call_source(&mut self, head: Head, record: &LogRecord, now: Timestamp) -> Result<()> {
        let Some(plan) = self.plan.inputs.get(head.input) else { return Ok(()) };
        let Some(source) = self.graph.inputs.get_mut(plan.source) else { return Ok(()) };
        let mut cx = Cx {
            timestamp: head.at,
            headers: &record.headers,
            metadata: self.group.metadata(head.input),
            raw: Some(record),
            judge: self.watermark,
            now,
            effects: &mut self.effects,
        };
        guarded(|| source.process(plan.slot, &mut cx))
    }

    #[cold]
    fn bury(&mut self, head: Head, record: &LogRecord, date: Timestamp) -> Result<()> {
        let error = self.too_far_ahead(head, date).action("dlq; the record goes to the dead letter topic");
        let Some(metadata) = self.group.metadata(head.input) else { return Err(error) };
        let letter = self.effects.judge.letter(&Failed { metadata, record, retries: 0 }, &error);
        self.send_letter(letter)
    }

    fn too_far_ahead(&self, head: Head, date: Timestamp) -> Error {
        let ahead = head.at.since(date).as_millis();
        let message = format!("a record is dated {}, {ahead} ms ahead of the clock", head.at);
        let error = Error::new(ErrorKind::Timestamp, message)
            .action("fail; the offset was not committed")
            .help("set highwater.future.skew.policy to accept, skip or dead-letter, or raise highwater.max.future.skew.ms");
        match self.group.metadata(head.input) {
            Some(metadata) => located(error, metadata, &self.id),
            None => error,
        }
    }

    /// The task's watermark is the smallest of its inputs'.
    pub(super) fn move_watermark(&mut self) {
        let least = self.watermarks.iter().map(InputWatermark::watermark).min().unwrap_or(Timestamp::MIN);
        self.watermark = self.watermark.max(least);
    }

    fn evaluate_idle(&mut self) {
        for (input, watermark) in self.watermarks.iter_mut().enumerate() {
            if let Some(source) = watermark.source_mut() {
                source.evaluate(self.group.processed(input));
            }
        }
        self.move_watermark();
    }

    fn wall_clock(&mut self, moment: Moment) -> Result<bool> {
        let mut called = false;
        for node in &self.graph.nodes {
            let mut node = node.borrow_mut();
            if node.next_wall_clock() <= moment.now {
                let mut cx = Cx::quiet(self.handed.watermark, moment.now, &mut self.effects);
                guarded(|| node.wall_clock(&mut cx))
                    .map_err(|error| error.with("task", self.id.to_string()))?;
                called = true;
            }
        }
        Ok(called)
    }

    /// Forwards all live updates that are held back.
    pub(crate) fn flush(&mut self, moment: Moment) -> Result<()> {
        for node in &self.graph.nodes {
            let mut cx = Cx::quiet(self.handed.watermark, moment.now, &mut self.effects);
            guarded(|| node.borrow_mut().flush(&mut cx))
                .map_err(|error| error.with("task", self.id.to_string()))?;
        }
        Ok(())
    }

    /// The end of the input was declared: every source partition goes at least there.
    pub(crate) fn raise_watermark(&mut self, to: Timestamp) {
        self.watermarks.iter_mut().filter(|input| input.source().is_some()).for_each(|input| input.raise(to));
        self.move_watermark();
    }

    /// While time runs on by itself: to the next moment at which something is due.
    fn close_next(&mut self) -> bool {
        if !self.closing || !self.group.is_empty() {
            return false;
        }
        let due = self.next_due();
        self.closing = due < Timestamp::MAX;
        if self.closing {
            self.watermarks.iter_mut().for_each(|input| input.raise(due));
            self.move_watermark();
        }
        self.closing
    }
}
