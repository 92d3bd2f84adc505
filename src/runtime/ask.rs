//! A call that is repeated until it is answered, with a growing pause on the machine's clock.

use super::process::{Activity, Step, broker_error};
use super::settings::Settings;
use crate::broker::{Admin, Answer, FailureKind, Ticket};
use crate::error::Result;

/// Pauses between repeats: they double up to `retry.backoff.max.ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    until: i64,
    pause: i64,
}

impl Backoff {
    pub(crate) fn is_due(self, machine: i64) -> bool {
        machine >= self.until
    }
    pub(crate) fn until(self) -> i64 {
        self.until
    }
    /// It failed: waits longer than the last time.
    pub(crate) fn failed(&mut self, machine: i64, settings: &Settings) {
        self.pause = (self.pause * 2).clamp(settings.retry_backoff, settings.retry_backoff_max);
        self.until = machine + self.pause;
    }
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

/// A question to the cluster.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    ticket: Option<Ticket>,
    backoff: Backoff,
    /// What was answered last, if it was no answer.
    failure: Option<String>,
}

impl Ask {
    /// Asks, and asks again after a failure that may pass. The answer comes once.
    pub(crate) fn poll<T>(
        &mut self,
        step: &mut Step<'_>,
        what: &str,
        start: impl FnOnce(&mut dyn Admin) -> Ticket,
        poll: impl FnOnce(&mut dyn Admin, Ticket) -> Option<Answer<T>>,
    ) -> Result<Option<T>> {
        let machine = step.moment.machine;
        if self.ticket.is_none() && !self.backoff.is_due(machine) {
            return Ok(None);
        }
        let ticket = *self.ticket.get_or_insert_with(|| start(step.admin));
        let Some(answer) = poll(step.admin, ticket) else { return Ok(None) };
        self.ticket = None;
        match answer {
            Ok(told) => {
                self.backoff.succeeded();
                self.failure = None;
                Ok(Some(told))
            }
            Err(failure) => match failure.kind {
                FailureKind::Retriable | FailureKind::Unknown => {
                    tracing::warn!(what, %failure, "no answer yet");
                    self.failure = Some(failure.message);
                    self.backoff.failed(machine, &step.process.settings);
                    Ok(None)
                }
                _ => Err(broker_error(what, &failure)),
            },
        }
    }

    pub(crate) fn last_failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What is waited for while `poll` gives nothing.
    pub(crate) fn activity(&self) -> Activity {
        match self.ticket {
            Some(_) => Activity::WAIT,
            None => Activity::until(self.backoff.until()),
        }
    }
}
