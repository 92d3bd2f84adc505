//! A producer: records go into librdkafka's queue, two threads of its own do what has to wait.
//!
//! One thread takes delivery reports, without which nothing that flushes can end; a transactional producer has another
//! for the calls that wait for a broker, one after the other. Invariant: a report is counted before its event is
//! destroyed, and librdkafka's flush waits for that, so the answer of a commit knows every record of it.

use super::Waker;
use super::consumer::list;
use super::deliveries::Deliveries;
use super::failure::{Call, failure};
use super::ffi::{Handle, KafkaError, Notice, Queue, TopicHandles};
use super::health::{self, Health};
use crate::broker::{
    Acknowledged, Answer, Failure, FailureKind, GroupMetadata, Offsets, Outgoing, Producer, Ticket,
};
use rdkafka::types::RDKafkaErrorCode as Code;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long a thread waits for an event before it looks whether it is still needed, ms.
const POLL_MS: i32 = 100;

/// What the threads know.
struct Shared {
    handle: Handle,
    deliveries: Deliveries,
    health: Health,
    answers: Mutex<BTreeMap<Ticket, Answer<()>>>,
    over: AtomicBool,
    waker: Waker,
}

impl Shared {
    fn answers(&self) -> MutexGuard<'_, BTreeMap<Ticket, Answer<()>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits for a broker.
enum Request {
    Init,
    SendOffsets(Offsets, GroupMetadata),
    Commit,
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Nothing,
    Commit,
    Abort,
}

enum Waiting {
    /// Until every record up to this number of a flush is reported.
    Flush(u64),
    /// Whether it ends the transaction, and how.
    Call(Ends),
    /// Answered when it was started.
    Refused(Failure),
}

/// A producer of one worker.
pub(super) struct KafkaProducer {
    shared: Arc<Shared>,
    topics: TopicHandles,
    requests: Option<Sender<(Ticket, Request)>>,
    waiting: BTreeMap<Ticket, Waiting>,
    tickets: u64,
    initialised: bool,
    in_transaction: bool,
    /// Records with a larger key and value are refused before librdkafka sees them.
    largest: usize,
}

impl KafkaProducer {
    /// `timeout` of a call that waits, ms.
    pub(super) fn new(
        handle: &Handle,
        transactional: bool,
        waker: &Waker,
        timeout: i32,
        largest: usize,
    ) -> Answer<Self> {
        let none = || Failure::new(FailureKind::Fatal, "the producer has no queue");
        let events = Queue::main(handle).ok_or_else(none)?;
        let shared = Arc::new(Shared {
            handle: handle.clone(),
            deliveries: Deliveries::default(),
            health: Health::default(),
            answers: Mutex::default(),
            over: AtomicBool::new(false),
            waker: waker.clone(),
        });
        let of_reports = shared.clone();
        std::thread::spawn(move || take_reports(&of_reports, &events));
        let requests = transactional.then(|| {
            let (requests, taken) = channel();
            let of_calls = shared.clone();
            std::thread::spawn(move || make_calls(&of_calls, &taken, timeout));
            requests
        });
        Ok(Self {
            topics: TopicHandles::new(handle),
            shared,
            requests,
            waiting: BTreeMap::new(),
            tickets: 0,
            initialised: false,
            in_transaction: false,
            largest,
        })
    }

    fn ticket(&mut self, waiting: Waiting) -> Ticket {
        self.tickets += 1;
        self.waiting.insert(Ticket(self.tickets), waiting);
        Ticket(self.tickets)
    }

    fn call(&mut self, request: Request, ends: Ends) -> Ticket {
        let ticket = self.ticket(Waiting::Call(ends));
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send((ticket, request)).is_ok());
        if !sent {
            let refused = Failure::new(FailureKind::Fatal, "the producer has no transactional id");
            self.waiting.insert(ticket, Waiting::Refused(refused));
        }
        ticket
    }

    /// What was acknowledged in a transaction that was aborted is of no use.
    fn ended(&mut self, how: Ends) -> Acknowledged {
        self.in_transaction &= how == Ends::Nothing;
        match how {
            Ends::Nothing => Acknowledged::new(),
            Ends::Commit => self.shared.deliveries.acknowledged(),
            Ends::Abort => {
                self.shared.deliveries.forget();
                Acknowledged::new()
            }
        }
    }

    fn out_of_turn(&mut self, text: &str) -> Ticket {
        self.ticket(Waiting::Refused(Failure::new(FailureKind::Fatal, text)))
    }

    /// Hands the front of `records` over, and says how many of them and what is wrong with the next.
    fn hand_over(&mut self, records: &[Outgoing]) -> (usize, Answer<()>) {
        let number = self.shared.deliveries.handing_over(records.len());
        let refused = records.iter().enumerate().find_map(|(at, record)| {
            let refused = self.check(record).and_then(|()| {
                self.topics.produce(record, number).map_err(|error| self.refusal(&error, record))
            });
            Some((at, Err(refused.err()?)))
        });
        let (sent, answer) = refused.unwrap_or((records.len(), Ok(())));
        self.shared.deliveries.not_handed_over(number, records.len() - sent);
        (sent, answer)
    }

    fn check(&self, record: &Outgoing) -> Answer<()> {
        let target = &record.target;
        if self.requests.is_some() && !self.in_transaction {
            return Err(Failure::new(
                FailureKind::Fatal,
                format!("a record for {target} outside of a transaction"),
            ));
        }
        let size = [&record.key, &record.value].into_iter().flatten().map(|bytes| bytes.len()).sum::<usize>();
        if size > self.largest {
            let text = format!(
                "a record of {size} bytes for {target} is too large: message.max.bytes is {}",
                self.largest
            );
            return Err(Failure::new(FailureKind::Fatal, text));
        }
        Ok(())
    }

    fn refusal(&self, error: &KafkaError, record: &Outgoing) -> Failure {
        if let Some(fatal) = self.shared.handle.fatal_error() {
            return Failure::new(FailureKind::Fenced, format!("{}: {}", record.target, fatal.message));
        }
        // In a transaction that has failed, librdkafka takes no more records.
        if error.code == Code::State && self.in_transaction {
            let first = self.shared.deliveries.failure();
            return first
                .unwrap_or_else(|| Failure::new(FailureKind::Abortable, "the transaction has failed"));
        }
        failure(error, Call::Ask, &format!("write to {}", record.target))
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // What is not on its way yet must not arrive after what a successor writes.
        self.shared.handle.purge();
    }
}

impl Producer for KafkaProducer {
    fn start_init(&mut self) -> Ticket {
        self.initialised = true;
        self.call(Request::Init, Ends::Nothing)
    }

    fn begin(&mut self) -> Answer<()> {
        if self.requests.is_none() || !self.initialised || self.in_transaction {
            return Err(Failure::new(FailureKind::Fatal, "a transaction cannot begin here"));
        }
        self.shared
            .handle
            .begin_transaction()
            .map_err(|error| failure(&error, Call::Ask, "begin a transaction"))?;
        self.in_transaction = true;
        Ok(())
    }

    fn send(&mut self, record: Outgoing) -> Answer<()> {
        self.hand_over(std::slice::from_ref(&record)).1
    }

    fn send_all(&mut self, records: &mut Vec<Outgoing>) -> Answer<()> {
        let (sent, answer) = self.hand_over(records);
        records.drain(..sent);
        answer
    }

    fn start_flush(&mut self) -> Ticket {
        let number = self.shared.deliveries.flush();
        self.shared.handle.flush_now();
        self.ticket(Waiting::Flush(number))
    }

    fn start_send_offsets(&mut self, offsets: Offsets, group: GroupMetadata) -> Ticket {
        if offsets.is_empty() {
            // librdkafka would answer "done" without asking anybody, so nothing would be fenced.
            return self.out_of_turn("an empty list of offsets");
        }
        self.call(Request::SendOffsets(offsets, group), Ends::Nothing)
    }

    fn start_commit(&mut self) -> Ticket {
        if self.requests.is_some() && !self.in_transaction {
            return self.out_of_turn("a commit outside of a transaction");
        }
        self.call(Request::Commit, Ends::Commit)
    }

    fn start_abort(&mut self) -> Ticket {
        self.call(Request::Abort, Ends::Abort)
    }

    fn troubles(&self) -> u64 {
        self.shared.health.troubles()
    }

    fn poll(&mut self, ticket: Ticket) -> Option<Answer<Acknowledged>> {
        let answer = match self.waiting.get(&ticket)? {
            Waiting::Refused(failure) => Err(failure.clone()),
            Waiting::Flush(number) => self.shared.deliveries.flushed(*number).or_else(|| {
                self.shared.handle.flush_now();
                self.shared.health.refused().map(Err)
            })?,
            Waiting::Call(ends) => {
                let (ends, answer) = (*ends, self.shared.answers().remove(&ticket));
                answer.or_else(|| self.shared.health.refused().map(Err))?.map(|()| self.ended(ends))
            }
        };
        self.waiting.remove(&ticket);
        Some(answer)
    }
}

fn take_reports(shared: &Shared, events: &Queue) {
    while !shared.over.load(Ordering::SeqCst) {
        let Some(event) = events.poll(POLL_MS) else { continue };
        match event.told() {
            Notice::Deliveries(deliveries) => {
                let waited_for = shared.deliveries.report(deliveries);
                shared.health.answered();
                if waited_for {
                    (shared.waker)();
                }
            }
            Notice::Error(error) => {
                shared.health.error("producer", &error);
                (shared.waker)();
            }
            Notice::Log(severity, line) => health::log("producer", severity, &line),
            _ => {}
        }
    }
}

fn make_calls(shared: &Shared, requests: &Receiver<(Ticket, Request)>, timeout: i32) {
    while let Ok((ticket, request)) = requests.recv() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let (done, what) = match request {
            Request::Init => (shared.handle.init_transactions(timeout), "initialise the transactional id"),
            Request::SendOffsets(offsets, from) => {
                let sent = shared.handle.send_offsets(&list(&offsets), &from, timeout);
                (sent, "send offsets into the transaction")
            }
            Request::Commit => (shared.handle.commit_transaction(timeout), "commit the transaction"),
            Request::Abort => (shared.handle.abort_transaction(timeout), "abort the transaction"),
        };
        let answer = done.map_err(|error| called(shared, &error, what));
        if answer.is_ok() {
            shared.health.answered();
        }
        shared.answers().insert(ticket, answer);
        (shared.waker)();
    }
}

/// A commit that fails because of a record fails with that record's failure.
fn called(shared: &Shared, error: &KafkaError, what: &str) -> Failure {
    // A call in a state that does not allow it: we begin, send and end in order, so librdkafka has left the transaction by
    // itself (seen after a broker was away for longer than the transaction's timeout). Another producer resolves it.
    let left = matches!(error.code, Code::State | Code::Conflict | Code::PreviousInProgress);
    if left || shared.handle.fatal_error().is_some() {
        let fenced = failure(error, Call::Change, what);
        return Failure { kind: FailureKind::Fenced, ..fenced };
    }
    let own = failure(error, Call::Change, what);
    match shared.deliveries.failure() {
        Some(first) if own.kind == FailureKind::Abortable => first,
        _ => own,
    }
}
