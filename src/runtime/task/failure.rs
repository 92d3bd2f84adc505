//! A record that fails: who decides, and how it becomes as if it had not been processed.

use super::verdicts::{Verdict, Verdicts};
use super::{Stops, Task};
use crate::broker::{LogRecord, Outgoing};
use crate::error::{Error, Result};
use crate::processor::{Counts, Failed, Failing, Response};
use crate::record::RecordMetadata;
use crate::runtime::Moment;
use crate::runtime::partition_group::Head;

/// A record and the task before it was processed.
pub(super) struct Attempt<'a> {
    pub(super) head: Head,
    pub(super) record: &'a LogRecord,
    pub(super) retries: u32,
    pub(super) outputs: usize,
    /// `None`: a failure ends the application.
    pub(super) counts: Option<Counts>,
}

impl Task {
    /// A record that cannot be read: nothing was done yet.
    #[cold]
    pub(super) fn unreadable(&mut self, input: usize, error: Error) -> Result<()> {
        let Some((record, metadata, _)) = self.group.front(input) else { return Err(error) };
        let (record, error) = (record.clone(), located(error, metadata, &self.id));
        if Failing::of(&error).is_none() {
            return Err(error);
        }
        let source = self.plan.inputs.get(input).map(|plan| plan.source);
        let own = source.and_then(|source| self.plan.judging.sources.get(source)?.clone());
        match self.judged(input, &record, (Failing::Reading, own), 0, error)? {
            (Response::DeadLetter, letter) => self.send_letter(letter),
            _ => Ok(()),
        }
    }

    /// A record that could not be processed, or whose results could not be written.
    #[cold]
    pub(super) fn failed(&mut self, attempt: &Attempt<'_>, moment: Moment, error: Error) -> Result<()> {
        let Attempt { head, record, retries, outputs, counts } = *attempt;
        let (input, offset) = (head.input, record.offset);
        let error = match self.group.metadata(input) {
            Some(metadata) => located(error, metadata, &self.id),
            None => error,
        };
        let Some(failing) = Failing::of(&error) else { return Err(error) };
        let (response, letter) = self.judged(input, record, (failing, None), retries, error)?;
        let verdict = match (response, letter) {
            (Response::Retry, _) => {
                let pause = self.settings.retries.pause(retries + 1);
                let until = moment.machine.saturating_add(pause);
                Verdict::Retry { retry: retries + 1, until, moved: true }
            }
            (_, Some(letter)) => Verdict::Letter(letter),
            (_, None) => Verdict::Skip,
        };
        if self.effects.touched {
            self.verdicts.put(input, offset, verdict);
            self.stops = Stops::ForGood;
            return Ok(());
        }
        self.effects.records.truncate(outputs);
        self.effects.counts = counts.unwrap_or(self.effects.counts);
        self.carry_out(verdict, head, record)
    }

    /// What was decided, for a record that has changed nothing.
    pub(super) fn carry_out(&mut self, verdict: Verdict, head: Head, record: &LogRecord) -> Result<()> {
        let offset = record.offset;
        match verdict {
            Verdict::Retry { until, .. } => {
                self.verdicts.put(head.input, offset, verdict);
                self.waits_until = Some(until);
                self.group.put_back(head.input, record.clone());
                return Ok(());
            }
            Verdict::Skip => {}
            Verdict::Letter(letter) => self.send_letter(Some(letter))?,
        }
        self.effects.counts.dropped += 1;
        self.group.handle(head.input, offset);
        Ok(())
    }

    /// Asks; an error if the answer is to fail.
    fn judged(
        &mut self,
        input: usize,
        record: &LogRecord,
        (failing, own): (Failing, Option<crate::processor::Handler>),
        retries: u32,
        error: Error,
    ) -> Result<(Response, Option<Outgoing>)> {
        let decided = self.effects.decided.take();
        let Some(metadata) = self.group.metadata(input) else { return Err(error) };
        let failed = Failed { metadata, record, retries };
        let judge = &self.effects.judge;
        let (response, error) = judge.record(&failed, (failing, own.as_ref()), decided, error);
        if response == Response::Fail {
            return Err(error);
        }
        tracing::warn!("{error}");
        let letter = if response == Response::DeadLetter { judge.letter(&failed, &error) } else { None };
        Ok((response, letter))
    }

    pub(super) fn send_letter(&mut self, letter: Option<Outgoing>) -> Result<()> {
        let letter = letter.ok_or_else(|| Error::internal("a dead letter that was not written"))?;
        self.effects.records.push(letter);
        self.effects.counts.dead_letters += 1;
        Ok(())
    }

    /// What was decided about records that are not committed, for the task's next life.
    pub(crate) fn take_verdicts(&mut self) -> Verdicts {
        self.verdicts.take()
    }
    /// What was decided in its life before.
    pub(crate) fn set_verdicts(&mut self, verdicts: Verdicts) {
        self.verdicts = verdicts;
    }
    /// Everything handled so far is committed.
    pub(crate) fn committed(&mut self) {
        if !self.verdicts.is_empty() {
            for input in 0..self.plan.inputs.len() {
                self.verdicts.forget(input, self.group.handled(input));
            }
        }
    }
}

/// The coordinates of a record that failed, unless its node gave them.
pub(super) fn located(error: Error, metadata: &RecordMetadata, task: &impl ToString) -> Error {
    let error = if error.has("record") { error } else { error.with("record", metadata.to_string()) };
    error.with("task", task.to_string())
}
