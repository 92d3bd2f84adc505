//! A0, A2, A1: outputs and changelogs acknowledged, then the positions to the group, then the stores.
//!
//! **Gap check**: every offset of a changelog between where this task expected its next record and its last one must
//! be one that was acknowledged to it. Another's (of an owner that does not know yet that it is none, or a late request
//! of a producer of its own) may hide the true value of its key, so the value is written again.

use super::{Done, Outcome, Parts, collect_all, forward_all, write_all};
use crate::broker::{Acknowledged, FailureKind, Offsets, Ticket};
use crate::error::Result;
use crate::runtime::ask::Backoff;
use crate::runtime::changelog_reader::KeyReader;
use crate::runtime::point::CommitPoint;
use crate::runtime::process::{Activity, Step, broker_error};
use crate::runtime::producer::Sent;
use crate::runtime::running::{Running, StoreLog};

/// How far it is.
pub(crate) struct AtLeastOnce {
    stage: Stage,
    ticket: Option<Ticket>,
    backoff: Backoff,
    offsets: Offsets,
    /// The positions were sent again after nobody knew whether they had arrived.
    ambiguous: bool,
    received: bool,
}

enum Stage {
    Forward,
    /// The outputs, and then the changelogs.
    Send(What),
    Flush(What),
    /// Offsets of others: by task and store.
    Gaps(Vec<(usize, usize, KeyReader)>),
    Positions,
    Write,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Outputs,
    Changes,
}

impl AtLeastOnce {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Forward,
            ticket: None,
            backoff: Backoff::default(),
            offsets: Offsets::new(),
            ambiguous: false,
            received: false,
        }
    }

    pub(super) fn step(&mut self, step: &mut Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        match self.stage {
            Stage::Forward => self.forward(step, parts),
            Stage::Send(what) => self.send(step, parts, what),
            Stage::Flush(what) => self.flush(step, parts, what),
            Stage::Gaps(_) => self.read_gaps(step, parts),
            Stage::Positions => self.commit_positions(step, parts),
            Stage::Write => Self::write(step, parts, self.ambiguous),
        }
    }

    fn go(&mut self, stage: Stage) -> Outcome {
        (self.stage, self.ticket) = (stage, None);
        Outcome::Not(Activity::PROGRESS)
    }

    fn forward(&mut self, step: &Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        step.process.before(CommitPoint::A0)?;
        forward_all(step, parts)?;
        Ok(self.go(Stage::Send(What::Outputs)))
    }

    fn send(&mut self, step: &Step<'_>, parts: &mut Parts<'_>, what: What) -> Result<Outcome> {
        match parts.producer.send(parts.unsent, step.moment.machine) {
            Sent::All => Ok(self.go(Stage::Flush(what))),
            Sent::Full => Ok(Outcome::Not(Activity::WAIT)),
            Sent::Failed(failure) if step.process.learns(&failure)? => Ok(Outcome::Back(failure.message)),
            Sent::Failed(failure) if failure.kind == FailureKind::Fatal => {
                Err(broker_error("write a result", &failure))
            }
            Sent::Failed(failure) => Ok(Outcome::Back(failure.message)),
        }
    }

    fn flush(&mut self, step: &Step<'_>, parts: &mut Parts<'_>, what: What) -> Result<Outcome> {
        let ticket = match self.ticket {
            Some(ticket) => ticket,
            None => *self.ticket.insert(parts.producer.start(|producer| producer.start_flush())?),
        };
        match parts.producer.poll(ticket) {
            None => Ok(Outcome::Not(Activity::WAIT)),
            Some(Err(failure)) if step.process.learns(&failure)? => Ok(Outcome::Back(failure.message)),
            Some(Err(failure)) => match failure.kind {
                FailureKind::Retriable => {
                    self.ticket = None;
                    Ok(Outcome::Not(Activity::WAIT))
                }
                FailureKind::Fatal => Err(broker_error("write a result", &failure)),
                _ => Ok(Outcome::Back(failure.message)),
            },
            Some(Ok(_)) if what == What::Outputs => {
                collect_all(step, parts)?;
                Ok(self.go(Stage::Send(What::Changes)))
            }
            Some(Ok(acknowledged)) => Ok(self.go(Stage::Gaps(gaps(parts.running, &acknowledged)))),
        }
    }

    fn read_gaps(&mut self, step: &mut Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        let Stage::Gaps(readers) = &mut self.stage else { return Ok(Outcome::Not(Activity::default())) };
        let mut activity = Activity::default();
        for (_, _, reader) in readers.iter_mut() {
            activity.add(reader.step(step)?);
        }
        if readers.iter().any(|(_, _, reader)| !reader.range.is_read()) {
            return Ok(Outcome::Not(activity));
        }
        let mut found = false;
        for (task, store, reader) in std::mem::take(readers) {
            let log = parts.running.get_mut(task).and_then(|running| running.logs.get_mut(store));
            if let Some(log) = log.and_then(Option::as_mut) {
                found |= !reader.keys.is_empty();
                log.again.extend(reader.keys);
            }
        }
        if !found {
            return Ok(self.go(Stage::Positions));
        }
        if step.guard(parts.owner).is_none() {
            return Ok(Outcome::Back("the assignment is lost".to_owned()));
        }
        for running in parts.running.iter_mut() {
            running.write_again(step, parts.unsent)?;
        }
        Ok(self.go(Stage::Send(What::Changes)))
    }

    fn commit_positions(&mut self, step: &mut Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        let machine = step.moment.machine;
        let ticket = match self.ticket {
            Some(ticket) => ticket,
            None if !self.backoff.is_due(machine) => {
                return Ok(Outcome::Not(Activity::until(self.backoff.until())));
            }
            None => match self.send_positions(step, parts)? {
                Some(ticket) => ticket,
                None => return Ok(Outcome::Back("the assignment is lost".to_owned())),
            },
        };
        match step.consumer.poll_commit(ticket) {
            None => Ok(Outcome::Not(Activity::WAIT)),
            Some(Ok(())) => Ok(self.go(Stage::Write)),
            Some(Err(failure)) => match failure.kind {
                FailureKind::Retriable | FailureKind::Unknown => {
                    self.ambiguous |= failure.kind == FailureKind::Unknown;
                    self.backoff.failed(machine, &step.process.settings);
                    Ok(self.go(Stage::Positions))
                }
                FailureKind::Fatal => Err(broker_error("commit the positions", &failure)),
                _ => Ok(Outcome::Back(failure.message)),
            },
        }
    }

    /// Under the guard every time: a member that was lost would commit as a group's tool does.
    fn send_positions(&mut self, step: &mut Step<'_>, parts: &mut Parts<'_>) -> Result<Option<Ticket>> {
        if !self.received {
            step.process.before(CommitPoint::S1)?;
        }
        if step.guard(parts.owner).is_none() {
            return Ok(None);
        }
        if self.offsets.is_empty() {
            step.process.before(CommitPoint::A2)?;
            for running in parts.running.iter_mut() {
                self.offsets.extend(running.offsets(false)?);
            }
        }
        let ticket = step.consumer.start_commit(self.offsets.clone());
        self.ticket = Some(ticket);
        if !std::mem::replace(&mut self.received, true) {
            step.process.before(CommitPoint::A2Received)?;
        }
        Ok(Some(ticket))
    }

    fn write(step: &Step<'_>, parts: &mut Parts<'_>, rejoin: bool) -> Result<Outcome> {
        let mut done = Done { rejoin, ..Done::default() };
        write_all(step, parts, CommitPoint::A1, &mut done)?;
        Ok(Outcome::Done(done))
    }
}

/// Moves each changelog on behind the last record of this task, and gives what lies between that is not its own.
fn gaps(running: &mut [Running], acknowledged: &Acknowledged) -> Vec<(usize, usize, KeyReader)> {
    let mut gaps = Vec::new();
    for (task, running) in running.iter_mut().enumerate() {
        for (store, log) in running.logs.iter_mut().enumerate() {
            let Some(log) = log else { continue };
            gaps.extend(foreign(log, acknowledged).into_iter().map(|reader| (task, store, reader)));
        }
    }
    gaps
}

fn foreign(log: &mut StoreLog, acknowledged: &Acknowledged) -> Vec<KeyReader> {
    let Some(own) = acknowledged.get(&log.partition) else { return Vec::new() };
    let mut readers = Vec::new();
    for range in own {
        if range.start > log.next {
            readers.push(KeyReader::new(log.partition.clone(), log.next, range.start));
        }
        log.next = log.next.max(range.end);
    }
    readers
}
