//! Started calls of a client object: tried at once and at each poll, answered once or timed out.

use crate::broker::{Answer, Failure, FailureKind, Ticket};
use std::collections::BTreeMap;

/// What trying a call gave.
#[derive(Debug)]
pub(super) enum Progress<A> {
    Done(Answer<A>),
    /// Not answered yet; it is tried again.
    Wait,
    /// It arrived or not, and no answer will come.
    Lost,
}

/// A call as it was asked. What a caller may conclude when no answer came depends on the call.
pub(super) trait Request {
    fn name(&self) -> &'static str;
    fn on_timeout(&self) -> FailureKind;
}

#[derive(Debug)]
pub(super) struct Calls<R, A> {
    started: BTreeMap<Ticket, Started<R, A>>,
}

#[derive(Debug)]
struct Started<R, A> {
    request: R,
    deadline: i64,
    progress: Progress<A>,
}

impl<R, A> Default for Calls<R, A> {
    fn default() -> Self {
        Self { started: BTreeMap::new() }
    }
}

impl<R: Request, A> Calls<R, A> {
    /// Notes a call that was tried when it was started.
    pub(super) fn start(
        &mut self,
        ticket: Ticket,
        request: R,
        deadline: i64,
        progress: Progress<A>,
    ) -> Ticket {
        self.started.insert(ticket, Started { request, deadline, progress });
        ticket
    }

    /// Takes the answer if there is one. While the log cannot be reached neither requests nor answers pass.
    pub(super) fn poll(
        &mut self,
        ticket: Ticket,
        now: i64,
        reaches: bool,
        attempt: impl FnOnce(&R) -> Progress<A>,
    ) -> Option<Answer<A>> {
        let call = self.started.get_mut(&ticket)?;
        if reaches && matches!(call.progress, Progress::Wait) {
            call.progress = attempt(&call.request);
        }
        let answered = reaches && matches!(call.progress, Progress::Done(_));
        if !answered && now < call.deadline {
            return None;
        }
        match self.started.remove(&ticket)? {
            Started { progress: Progress::Done(answer), .. } if answered => Some(answer),
            Started { request, .. } => {
                let text = format!("{}: no answer within the request timeout", request.name());
                Some(Err(Failure::new(request.on_timeout(), text)))
            }
        }
    }
}
