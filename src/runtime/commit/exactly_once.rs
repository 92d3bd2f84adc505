//! S0 to S5: results, changelogs and positions in one transaction, then the stores.

use super::{Done, Outcome, Parts, collect_all, forward_all, write_all};
use crate::broker::{Acknowledged, Answer, FailureKind, Offsets, Ticket};
use crate::error::Result;
use crate::record::TopicPartition;
use crate::runtime::OffsetMetadata;
use crate::runtime::ask::Ask;
use crate::runtime::point::CommitPoint;
use crate::runtime::process::{Activity, Step, broker_error};
use crate::runtime::producer::Sent;
use crate::runtime::running::Running;

/// How far it is.
pub(crate) struct ExactlyOnce {
    stage: Stage,
    /// The machine's clock.
    started: i64,
    /// Something happened after which a request of this producer may still be under way.
    suspect: bool,
    ticket: Option<Ticket>,
    done: Done,
}

enum Stage {
    Forward,
    Send,
    Guard,
    Positions,
    End,
    /// Whose commit has the group?
    Resolve(Ask),
    Write,
}

impl ExactlyOnce {
    pub(super) fn new(machine: i64) -> Self {
        Self { stage: Stage::Forward, started: machine, suspect: false, ticket: None, done: Done::default() }
    }

    pub(super) fn step(&mut self, step: &mut Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        match &mut self.stage {
            Stage::Forward => self.forward(step, parts),
            Stage::Send => self.send(step, parts),
            Stage::Guard => self.send_positions(step, parts),
            Stage::Positions => self.await_positions(step, parts),
            Stage::End => self.end(step, parts),
            Stage::Resolve(_) => self.resolve(step, parts),
            Stage::Write => self.write(step, parts),
        }
    }

    fn go(&mut self, stage: Stage) -> Outcome {
        (self.stage, self.ticket) = (stage, None);
        Outcome::Not(Activity::PROGRESS)
    }

    fn forward(&mut self, step: &Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        step.process.before(CommitPoint::S0)?;
        forward_all(step, parts)?;
        collect_all(step, parts)?;
        Ok(self.go(Stage::Send))
    }

    fn send(&mut self, step: &Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        let machine = step.moment.machine;
        let sent = match parts.producer.begin(machine) {
            Ok(()) => parts.producer.send(parts.unsent, machine),
            Err(failure) => Sent::Failed(failure),
        };
        match sent {
            Sent::All => Ok(self.go(Stage::Guard)),
            Sent::Full if self.is_overdue(step, parts) => {
                Ok(Outcome::Back("the queue stays full".to_owned()))
            }
            Sent::Full => Ok(Outcome::Not(Activity::WAIT)),
            Sent::Failed(failure) if step.process.learns(&failure)? => Ok(Outcome::Back(failure.message)),
            Sent::Failed(failure) if failure.kind == FailureKind::Fatal => {
                Err(broker_error("write a result", &failure))
            }
            Sent::Failed(failure) => Ok(Outcome::Back(failure.message)),
        }
    }

    fn is_overdue(&self, step: &Step<'_>, parts: &Parts<'_>) -> bool {
        let began = parts.producer.began().unwrap_or(self.started);
        step.moment.machine - began > step.process.settings.transaction_timeout
    }

    fn send_positions(&mut self, step: &Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        step.process.before(CommitPoint::S1)?;
        let Some(metadata) = step.guard(parts.owner) else {
            return Ok(Outcome::Back("the assignment is lost".to_owned()));
        };
        step.process.before(CommitPoint::S2)?;
        let mut offsets = Offsets::new();
        for running in parts.running.iter_mut() {
            offsets.extend(running.offsets(true)?);
        }
        let ticket = parts.producer.start(|producer| producer.start_send_offsets(offsets, metadata))?;
        let outcome = self.go(Stage::Positions);
        self.ticket = Some(ticket);
        Ok(outcome)
    }

    fn await_positions(&mut self, step: &Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        let answer = self.ticket.and_then(|ticket| parts.producer.poll(ticket));
        let Some(answer) = answer else { return Ok(Outcome::Not(Activity::WAIT)) };
        match answer {
            Ok(_) => Ok(self.go(Stage::End)),
            Err(failure) => match failure.kind {
                FailureKind::Retriable | FailureKind::Unknown if !self.is_overdue(step, parts) => {
                    // The same positions twice in one transaction are the same positions.
                    self.suspect = true;
                    Ok(self.go(Stage::Guard))
                }
                FailureKind::Fatal => Err(broker_error("commit the positions", &failure)),
                _ => Ok(Outcome::Back(failure.message)),
            },
        }
    }

    fn end(&mut self, step: &Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        let ticket = if let Some(ticket) = self.ticket {
            ticket
        } else {
            if !self.suspect {
                step.process.before(CommitPoint::S3)?;
            }
            let ticket = parts.producer.start(|producer| producer.start_commit())?;
            self.ticket = Some(ticket);
            step.process.before(CommitPoint::S3Received)?;
            ticket
        };
        match parts.producer.poll(ticket) {
            None => Ok(Outcome::Not(Activity::WAIT)),
            Some(answer) => self.ended(step, parts, answer),
        }
    }

    fn ended(
        &mut self,
        step: &Step<'_>,
        parts: &mut Parts<'_>,
        answer: Answer<Acknowledged>,
    ) -> Result<Outcome> {
        let failure = match answer {
            Ok(acknowledged) => {
                parts.producer.ended();
                parts.running.iter_mut().for_each(|running| running.acknowledged(&acknowledged));
                return Ok(self.go(Stage::Write));
            }
            Err(failure) => failure,
        };
        if step.process.learns(&failure)? {
            return Ok(Outcome::Back(failure.message));
        }
        match failure.kind {
            FailureKind::Retriable | FailureKind::Unknown if !self.is_overdue(step, parts) => {
                self.suspect = true;
                Ok(self.go(Stage::End))
            }
            FailureKind::Abortable => Ok(Outcome::Back(failure.message)),
            FailureKind::Fatal => Err(broker_error("commit the transaction", &failure)),
            _ => {
                tracing::warn!(%failure, "the end of a transaction is unknown: the group is asked");
                parts.producer.replace();
                Ok(self.go(Stage::Resolve(Ask::default())))
            }
        }
    }

    /// The new producer has resolved what was open; the commit id that the group has tells whose commit it was.
    fn resolve(&mut self, step: &mut Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        let activity = parts.producer.ensure(step)?;
        if !parts.producer.is_ready() {
            return Ok(Outcome::Not(activity));
        }
        self.suspect = false;
        let Stage::Resolve(ask) = &mut self.stage else { return Ok(Outcome::Not(Activity::default())) };
        let first: Vec<TopicPartition> = parts.running.iter().filter_map(first_input).collect();
        let group = step.process.settings.application_id.clone();
        let told = ask.poll(
            step,
            "ask for the committed offsets",
            |admin| admin.start_committed(&group, first),
            |admin, ticket| admin.poll_committed(ticket),
        )?;
        let Some(committed) = told else { return Ok(Outcome::Not(ask.activity())) };
        for running in parts.running.iter() {
            let offset = first_input(running).and_then(|first| committed.get(&first).cloned());
            let id = offset.and_then(|offset| OffsetMetadata::decode(&offset.metadata)?.commit_id());
            if id.is_none() || id != running.pending_id() {
                self.done.restart.insert(running.id);
            }
        }
        if self.done.restart.len() == parts.running.len() {
            return Ok(Outcome::Back("the transaction was not committed".to_owned()));
        }
        Ok(self.go(Stage::Write))
    }

    fn write(&mut self, step: &Step<'_>, parts: &mut Parts<'_>) -> Result<Outcome> {
        write_all(step, parts, CommitPoint::S4, &mut self.done)?;
        step.process.before(CommitPoint::S5)?;
        let slow = step.moment.machine - self.started > step.process.settings.commit_suspect;
        if self.suspect || slow || parts.producer.had_trouble() {
            parts.producer.replace();
        }
        Ok(Outcome::Done(std::mem::take(&mut self.done)))
    }
}

fn first_input(running: &Running) -> Option<TopicPartition> {
    running.topics.inputs.first().map(|input| input.partition.clone())
}
