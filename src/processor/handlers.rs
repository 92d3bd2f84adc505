//! What becomes of a record that cannot be read, processed or written: the program's handlers, and the settings.
//!
//! A handler is asked once per failure, with the error and the record as it was read. Whoever asks does what it says:
//! the task for a failure inside a record, the edge to the failing node for one outside (see [`Judge::outside`]).

use super::Cx;
use super::dead_letter::DeadLetters;
use crate::broker::{LogRecord, Outgoing};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Headers, RecordMetadata, TaskId};
use crate::time::Timestamp;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a handler decides about a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// The application stops with the error; the offset is not committed, so the record is met again at the next start.
    #[default]
    Fail,
    /// The record is left out and counted. What it had already changed is undone.
    Continue,
    /// As [`Continue`](Self::Continue), and the record as it was read goes to the topic of
    /// `errors.dead.letter.queue.topic.name`, with headers that say what failed; under `exactly_once_v2` in the same
    /// transaction. Without that property it is [`Fail`](Self::Fail).
    DeadLetter,
    /// Once more after a pause (`retry.backoff.ms`, doubling up to `retry.backoff.max.ms`), at most
    /// `highwater.max.retries` times; then `highwater.on.retries.exhausted` decides. What the record had changed is
    /// undone before. Other tasks and the group go on meanwhile. For a record that cannot be read, and outside a
    /// record, it is [`Fail`](Self::Fail).
    Retry,
}

/// What a handler is given beside the error: where it happened, and the record as it was read.
///
/// Outside a record (a punctuator, a window's final, an update that was held back) there is none of it but the task, the
/// node where it is known, and the time.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ErrorHandlerContext<'a> {
    /// The task.
    pub task: TaskId,
    /// The node that failed; `None` where it is not known, as after a panic.
    pub node: Option<&'a str>,
    /// Topic, partition and offset of the record; `None` outside a record.
    pub metadata: Option<&'a RecordMetadata>,
    /// The key's bytes as read.
    pub key: Option<&'a [u8]>,
    /// The value's bytes as read.
    pub value: Option<&'a [u8]>,
    /// The headers as read.
    pub headers: &'a Headers,
    /// The record's own timestamp, ms since the epoch; outside a record the time at which it happened.
    pub timestamp: Timestamp,
    /// How often the record has been tried again before: 0 at first.
    pub retries: u32,
}

/// A handler of the program's.
#[derive(Clone)]
pub(crate) struct Handler(Arc<Decide>);

type Decide = dyn Fn(&ErrorHandlerContext<'_>, &Error) -> Response + Send + Sync;

impl Handler {
    pub(crate) fn new(
        decide: impl Fn(&ErrorHandlerContext<'_>, &Error) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(decide))
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// Which kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    Reading,
    Processing,
    Writing,
}

impl Failing {
    /// `None`: nobody is asked, the application stops: broken state, missing topics, a bug.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::Deserialization => Some(Self::Reading),
            ErrorKind::Processing | ErrorKind::Calendar | ErrorKind::Timestamp => Some(Self::Processing),
            ErrorKind::Production => Some(Self::Writing),
            _ => None,
        }
    }
    pub(crate) fn property(self) -> &'static str {
        match self {
            Self::Reading => "deserialization.exception.handler",
            Self::Processing => "processing.exception.handler",
            Self::Writing => "production.exception.handler",
        }
    }
}

/// One of each kind, as far as the program or the configuration says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PerKind<T> {
    pub(crate) reading: T,
    pub(crate) processing: T,
    pub(crate) writing: T,
}

impl<T> PerKind<T> {
    pub(crate) fn of(&self, failing: Failing) -> &T {
        match failing {
            Failing::Reading => &self.reading,
            Failing::Processing => &self.processing,
            Failing::Writing => &self.writing,
        }
    }
    pub(crate) fn of_mut(&mut self, failing: Failing) -> &mut T {
        match failing {
            Failing::Reading => &mut self.reading,
            Failing::Processing => &mut self.processing,
            Failing::Writing => &mut self.writing,
        }
    }
}

/// The handlers that a topology has for itself.
pub(crate) type Handlers = PerKind<Option<Handler>>;

/// How often a record is tried again, and what then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    pub(crate) most: u32,
    pub(crate) exhausted: Response,
    /// The first pause and the longest, in ms of the machine's clock.
    pub(crate) backoff: (i64, i64),
}

impl Default for Retries {
    fn default() -> Self {
        Self { most: 10, exhausted: Response::Fail, backoff: (100, 1000) }
    }
}

impl Retries {
    /// The pause before this retry, the first being 1.
    pub(crate) fn pause(&self, retry: u32) -> i64 {
        let (first, longest) = self.backoff;
        let doubled = 1_i64.checked_shl(retry.saturating_sub(1).min(62)).unwrap_or(i64::MAX);
        first.saturating_mul(doubled).min(longest.max(first))
    }
}

/// Decides for one task: a handler of the source, else of the topology, else the configuration.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) task: TaskId,
    pub(crate) handlers: Handlers,
    /// As configured.
    pub(crate) configured: PerKind<Response>,
    pub(crate) retries: Retries,
    pub(crate) letters: Option<DeadLetters>,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            task: TaskId { subtopology: 0, partition: 0 },
            handlers: Handlers::default(),
            configured: PerKind::default(),
            retries: Retries::default(),
            letters: None,
        }
    }
}

/// The record that failed.
#[derive(Clone, Copy)]
pub(crate) struct Failed<'a> {
    pub(crate) metadata: &'a RecordMetadata,
    pub(crate) record: &'a LogRecord,
    pub(crate) retries: u32,
}

impl Judge {
    /// Whether anything but the end can follow from a failure.
    pub(crate) fn is_lenient(&self) -> bool {
        let PerKind { reading, processing, writing } = self.configured;
        let configured = [reading, processing, writing].iter().any(|response| *response != Response::Fail);
        let Handlers { reading, processing, writing } = &self.handlers;
        configured || reading.is_some() || processing.is_some() || writing.is_some()
    }

    /// What becomes of a record, with the error as it is told; `decided`: a handler was asked already.
    pub(crate) fn record(
        &self,
        failed: &Failed<'_>,
        (failing, own): (Failing, Option<&Handler>),
        decided: Option<Response>,
        error: Error,
    ) -> (Response, Error) {
        let record = failed.record;
        let context = ErrorHandlerContext {
            task: self.task,
            node: error.node().map(|node| &**node),
            metadata: Some(failed.metadata),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
            timestamp: record.timestamp,
            retries: failed.retries,
        };
        let asked = decided.unwrap_or_else(|| self.ask(own, failing, &context, &error));
        match asked {
            Response::Retry if failing == Failing::Reading => {
                let why = "fail; the handler asked to retry, but the bytes stay as they are";
                (Response::Fail, error.action(why))
            }
            Response::Retry if failed.retries >= self.retries.most => {
                let error = error.with("retries", format!("{}, the last", failed.retries));
                self.settle(self.retries.exhausted, failing, error)
            }
            other => self.settle(other, failing, error),
        }
    }

    fn ask(
        &self,
        own: Option<&Handler>,
        failing: Failing,
        context: &ErrorHandlerContext<'_>,
        error: &Error,
    ) -> Response {
        let Some(Handler(decide)) = own.or(self.handlers.of(failing).as_ref()) else {
            return *self.configured.of(failing);
        };
        // A handler that panics has not decided.
        let decided = catch_unwind(AssertUnwindSafe(|| decide(context, error)));
        decided.unwrap_or_else(|_| {
            tracing::error!(task = %self.task, "the handler of {} panicked", failing.property());
            Response::Fail
        })
    }

    /// Adds what is done, and how it could be otherwise.
    fn settle(&self, response: Response, failing: Failing, error: Error) -> (Response, Error) {
        match response {
            Response::Fail => (Response::Fail, failing_error(error, failing)),
            Response::DeadLetter if self.letters.is_none() => {
                let error = error.action("fail; a dead letter has no topic to go to");
                (Response::Fail, error.help("set errors.dead.letter.queue.topic.name"))
            }
            Response::Continue => (response, error.action("continue; the record is left out")),
            Response::DeadLetter => (response, error.action("dlq; the record goes to the dead letter topic")),
            Response::Retry => (response, error.action("retry; what the record changed is undone")),
        }
    }

    /// The dead letter of a record.
    pub(crate) fn letter(&self, failed: &Failed<'_>, error: &Error) -> Option<Outgoing> {
        Some(self.letters.as_ref()?.of_record(failed, error))
    }

    /// A result cannot be written. `Continue` leaves out this result alone; everything else is about the record that it
    /// came from, and decided where that is known.
    #[cold]
    pub(crate) fn unwritten(&self, cx: &mut Cx<'_>, error: Error) -> Result<()> {
        let response = self.ask(None, Failing::Writing, &self.context(cx, &error), &error);
        if response == Response::Continue {
            let error = error.action("continue; this result is left out").with("task", self.task.to_string());
            tracing::warn!("{error}");
            cx.effects.counts.dropped += 1;
            return Ok(());
        }
        cx.effects.decided = Some(response);
        Err(error)
    }

    /// Something failed outside a record: a punctuator, a final, an update that was held back. As in Kafka Streams the
    /// call that failed is left out, and what it did before stays. A dead letter has no key and no value then.
    #[cold]
    pub(crate) fn outside(&self, cx: &mut Cx<'_>, error: Error) -> Result<()> {
        let Some(failing) = Failing::of(&error) else { return Err(error) };
        let decided = cx.effects.decided.take();
        let asked = decided.unwrap_or_else(|| self.ask(None, failing, &self.context(cx, &error), &error));
        if asked == Response::Retry {
            return Err(error.action("fail; there is no record to try again"));
        }
        let (response, error) = self.settle(asked, failing, error);
        if response == Response::Fail {
            return Err(error);
        }
        let error = error.with("task", self.task.to_string());
        tracing::warn!("{error}");
        cx.effects.counts.dropped += 1;
        if let (Response::DeadLetter, Some(letters)) = (response, &self.letters) {
            cx.effects.records.push(letters.outside(cx.timestamp, &error));
            cx.effects.counts.dead_letters += 1;
        }
        Ok(())
    }

    fn context<'a>(&self, cx: &Cx<'a>, error: &'a Error) -> ErrorHandlerContext<'a> {
        ErrorHandlerContext {
            task: self.task,
            node: error.node().map(|node| &**node),
            metadata: cx.metadata,
            key: cx.raw.and_then(|record| record.key.as_deref()),
            value: cx.raw.and_then(|record| record.value.as_deref()),
            headers: cx.raw.map_or(cx.headers, |record| &record.headers),
            timestamp: cx.raw.map_or(cx.timestamp, |record| record.timestamp),
            retries: cx.effects.retries,
        }
    }
}

fn failing_error(error: Error, failing: Failing) -> Error {
    let error = error.action("fail; the offset was not committed");
    if error.has("help") {
        return error;
    }
    error.help(format!(
        "set {}=dlq and errors.dead.letter.queue.topic.name, or inspect the record with kcat",
        failing.property()
    ))
}

/// A panic of user code becomes an error.
#[inline]
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    Error::new(ErrorKind::Processing, "processing panicked")
        .cause(said.unwrap_or_else(|| "a panic without text".to_owned()))
        .action("fail; the offset was not committed")
        .help("standard error has the place in the program where it panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retries = Retries { backoff: (100, 1000), ..Retries::default() };
        let pauses: Vec<i64> = (1..=6).map(|retry| retries.pause(retry)).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(retries.pause(u32::MAX), 1000);
    }
}
