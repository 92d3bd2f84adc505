//! The producer of a worker: made when it is needed, replaced when it cannot be trusted any longer.
//!
//! ```text
//!   none --made--> initialising (with a transactional id) --> ready --first record--> in transaction --> ready
//!     ^                                                         |                         |
//!     +------------------------- fenced, suspect, unknown ------+-------------------------+
//! ```

use super::ask::Backoff;
use super::process::{Activity, Step, broker_error};
use crate::broker::{Acknowledged, Answer, Failure, FailureKind, Outgoing, Producer, Ticket};
use crate::error::{Error, Result};

/// What became of records that were handed over.
pub(crate) enum Sent {
    All,
    /// The queue is full: nothing more is read until there is room.
    Full,
    Failed(Failure),
}

/// A producer and how far it is.
pub(crate) struct OwnProducer {
    /// `None`: idempotent, without transactions.
    transactional_id: Option<String>,
    producer: Option<Box<dyn Producer>>,
    init: Option<Ticket>,
    ready: bool,
    backoff: Backoff,
    /// The machine's clock when the transaction began.
    began: Option<i64>,
    /// The producer's errors until then.
    troubles: u64,
}

impl OwnProducer {
    pub(crate) fn new(transactional_id: Option<String>) -> Self {
        let backoff = Backoff::default();
        Self { transactional_id, producer: None, init: None, ready: false, backoff, began: None, troubles: 0 }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// When the open transaction began.
    pub(crate) fn began(&self) -> Option<i64> {
        self.began
    }

    /// Makes and initialises it, which waits until what its predecessor left open is resolved.
    pub(crate) fn ensure(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        if self.ready {
            return Ok(Activity::default());
        }
        let machine = step.moment.machine;
        if !self.backoff.is_due(machine) {
            return Ok(Activity::until(self.backoff.until()));
        }
        let id = self.transactional_id.as_deref();
        let producer = match &mut self.producer {
            Some(producer) => producer,
            none => none.insert(
                step.process
                    .client
                    .producer(id)
                    .map_err(|failure| broker_error("make a producer", &failure))?,
            ),
        };
        if id.is_none() {
            self.ready = true;
            return Ok(Activity::PROGRESS);
        }
        let ticket = *self.init.get_or_insert_with(|| producer.start_init());
        let Some(answer) = producer.poll(ticket) else { return Ok(Activity::WAIT) };
        self.init = None;
        match answer {
            Ok(_) => {
                self.ready = true;
                self.backoff.succeeded();
                Ok(Activity::PROGRESS)
            }
            Err(failure) if failure.kind == FailureKind::Fatal => {
                Err(broker_error("initialise the producer", &failure))
            }
            Err(failure) => {
                tracing::warn!(%failure, "the producer cannot be initialised yet");
                self.producer = None;
                self.backoff.failed(machine, &step.process.settings);
                Ok(Activity::until(self.backoff.until()))
            }
        }
    }

    /// Throws it away; the next `ensure` makes another.
    pub(crate) fn replace(&mut self) {
        (self.producer, self.init, self.ready, self.began) = (None, None, false, None);
    }

    /// Begins a transaction unless one is open.
    pub(crate) fn begin(&mut self, machine: i64) -> Answer<()> {
        if self.transactional_id.is_none() || self.began.is_some() {
            return Ok(());
        }
        let producer = self.get()?;
        producer.begin()?;
        self.troubles = producer.troubles();
        self.began = Some(machine);
        Ok(())
    }

    /// Hands records over in order and removes them from `records`.
    pub(crate) fn send(&mut self, records: &mut Vec<Outgoing>, machine: i64) -> Sent {
        if records.is_empty() {
            return Sent::All;
        }
        let sent = self.begin(machine).and_then(|()| self.get()?.send_all(records));
        match sent {
            Ok(()) => Sent::All,
            Err(failure) if failure.kind == FailureKind::Retriable => Sent::Full,
            Err(failure) => Sent::Failed(failure),
        }
    }

    /// Starts a call.
    pub(crate) fn start(&mut self, call: impl FnOnce(&mut dyn Producer) -> Ticket) -> Result<Ticket> {
        match &mut self.producer {
            Some(producer) => Ok(call(&mut **producer)),
            None => Err(Error::internal("a call of a producer that is not there")),
        }
    }

    pub(crate) fn poll(&mut self, ticket: Ticket) -> Option<Answer<Acknowledged>> {
        match self.producer.as_deref_mut() {
            Some(producer) => producer.poll(ticket),
            None => Some(Err(Failure::new(FailureKind::Unknown, "the producer was replaced"))),
        }
    }

    /// Whether something has failed since the transaction began that no call was told.
    pub(crate) fn had_trouble(&self) -> bool {
        self.producer.as_ref().is_some_and(|producer| producer.troubles() != self.troubles)
    }

    /// The transaction has ended.
    pub(crate) fn ended(&mut self) {
        self.began = None;
    }

    fn get(&mut self) -> Answer<&mut (dyn Producer + 'static)> {
        let missing = || Failure::new(FailureKind::Fenced, "the producer is not there");
        self.producer.as_deref_mut().ok_or_else(missing)
    }
}
