//! A producer: records go to the log as they are handed over; while they cannot, they wait in order.
//!
//! What waits is kept as numbered requests, so that one which arrived although its answer was lost is not appended
//! again. A producer that is dropped leaves what waits behind as late requests.

use super::MemoryLog;
use super::calls::{Calls, Progress, Request};
use super::faults::{Batch, Call, Late, Loss};
use super::log::push_offset;
use super::state::State;
use super::topic::fatal;
use super::transactions::{Entered, Identity};
use crate::broker::{
    Acknowledged, Answer, Failure, FailureKind, GroupMetadata, Offsets, Outgoing, Producer, Ticket,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// Records that may wait; as librdkafka's `queue.buffering.max.messages`.
const QUEUE_RECORDS: usize = 100_000;

pub(super) struct MemoryProducer {
    log: MemoryLog,
    calls: Calls<Ask, Told>,
    sender: Sender,
    /// Room for `send` to hand one record over.
    one: Vec<Outgoing>,
}

/// The part that the calls work on.
struct Sender {
    client: Arc<str>,
    transactional_id: Option<Arc<str>>,
    who: Identity,
    /// Not yet, for a producer with an id that is not initialised.
    ready: bool,
    in_transaction: bool,
    /// The log knows of the transaction: only then does its end concern it.
    touched: bool,
    waiting: VecDeque<Batch>,
    waiting_records: usize,
    last_number: u64,
    acknowledged: Acknowledged,
    /// The first record refused after it had been handed over.
    failure: Option<Failure>,
}

enum Ask {
    Init,
    Flush,
    SendOffsets(Offsets, GroupMetadata),
    Commit,
    Abort,
}

/// What a call was told. What was acknowledged meanwhile is told when the answer is taken: an answer that is never
/// taken must not take it along.
#[derive(Debug)]
enum Told {
    Initialised(Identity),
    Nothing,
    Flushed,
    Committed,
    Aborted,
}

impl Request for Ask {
    fn name(&self) -> &'static str {
        match self {
            Self::Init => "initialise the producer",
            Self::Flush => "flush",
            Self::SendOffsets(..) => "send offsets",
            Self::Commit => "commit the transaction",
            Self::Abort => "abort the transaction",
        }
    }
    fn on_timeout(&self) -> FailureKind {
        match self {
            Self::Init | Self::Flush => FailureKind::Retriable,
            Self::SendOffsets(..) | Self::Commit | Self::Abort => FailureKind::Unknown,
        }
    }
}

impl Sender {
    fn hand_over(&mut self, state: &mut State, records: &mut Vec<Outgoing>, now: i64) -> Answer<()> {
        if !self.in_transaction && self.transactional_id.is_some() {
            return Err(fatal("a transactional producer sends inside a transaction only".to_owned()));
        }
        if self.waiting.is_empty()
            && state.faults.delivers(&self.client)
            && state.enter(&self.who, now, false)? == Entered::Yes
        {
            self.touched = true;
            return state.append_all(&self.who, records, |target, offset| {
                push_offset(self.acknowledged.entry(target).or_default(), offset);
            });
        }
        let taken = records.len().min(QUEUE_RECORDS.saturating_sub(self.waiting_records));
        self.enqueue(records.drain(..taken).collect());
        self.deliver(state, now);
        if !records.is_empty() {
            let text = format!("{QUEUE_RECORDS} records wait to be sent");
            return Err(Failure::new(FailureKind::Retriable, text));
        }
        Ok(())
    }

    fn enqueue(&mut self, records: Vec<Outgoing>) {
        if !records.is_empty() {
            self.last_number += 1;
            self.waiting_records += records.len();
            self.waiting.push_back(Batch { number: self.last_number, records });
        }
    }

    /// Sends what waits, in order, as far as it gets.
    fn deliver(&mut self, state: &mut State, now: i64) {
        while let Some(batch) = self.waiting.front() {
            if !state.faults.reaches_with_records(&self.client) {
                return;
            }
            match state.enter(&self.who, now, false) {
                Ok(Entered::NotYet) => return,
                Ok(Entered::Yes) => self.touched = true,
                Err(failure) => {
                    self.failure = Some(failure);
                    self.purge();
                    return;
                }
            }
            match state.faults.take_loss(&self.client, Call::Produce) {
                Some(Loss::Request) => return,
                Some(Loss::Answer) => {
                    state.produce(&self.who, batch);
                    return;
                }
                Some(Loss::Delay) => {
                    state
                        .faults
                        .late
                        .push_back(Late::Produce { who: self.who.clone(), batch: batch.clone() });
                    return;
                }
                None => {}
            }
            let (acknowledged, failure) = state.produce(&self.who, batch);
            for (target, ranges) in acknowledged {
                let known = self.acknowledged.entry(target).or_default();
                ranges.into_iter().flatten().for_each(|offset| push_offset(known, offset));
            }
            self.failure = self.failure.take().or(failure);
            self.waiting_records -= batch.records.len();
            self.waiting.pop_front();
        }
    }

    fn purge(&mut self) {
        self.waiting.clear();
        self.waiting_records = 0;
    }

    fn attempt(&mut self, state: &mut State, ask: &Ask, now: i64) -> Progress<Told> {
        match ask {
            Ask::Init => self.init(state),
            Ask::Flush => self.flush(state, now),
            Ask::SendOffsets(offsets, from) => self.send_offsets(state, offsets, from, now),
            Ask::Commit => self.commit(state, now),
            Ask::Abort => self.abort(state),
        }
    }

    fn init(&mut self, state: &mut State) -> Progress<Told> {
        match &self.transactional_id {
            // Without an id there is nothing to register, and nobody is fenced.
            None => Progress::Done(Ok(Told::Nothing)),
            Some(id) => told(state.init(id), Told::Initialised),
        }
    }

    fn flush(&mut self, state: &mut State, now: i64) -> Progress<Told> {
        self.deliver(state, now);
        if !self.waiting.is_empty() {
            return Progress::Wait;
        }
        match self.failure.clone() {
            None => Progress::Done(Ok(Told::Flushed)),
            Some(failure) => {
                // Inside a transaction it stands until the abort.
                if self.transactional_id.is_none() {
                    self.failure = None;
                }
                Progress::Done(Err(failure))
            }
        }
    }

    fn send_offsets(
        &mut self,
        state: &mut State,
        offsets: &Offsets,
        from: &GroupMetadata,
        now: i64,
    ) -> Progress<Told> {
        if !self.in_transaction {
            return Progress::Done(Err(fatal("offsets can be sent inside a transaction only".to_owned())));
        }
        if offsets.is_empty() {
            // Kafka's clients do nothing at all then, and so fence nobody.
            return Progress::Done(Err(fatal("an empty list of offsets was to be sent".to_owned())));
        }
        let sent = state.send_offsets(&self.who, offsets, from, now);
        self.touched |= !matches!(sent, Progress::Wait);
        told(sent, |()| Told::Nothing)
    }

    fn commit(&mut self, state: &mut State, now: i64) -> Progress<Told> {
        if !self.in_transaction {
            return Progress::Done(Err(fatal("there is no transaction to commit".to_owned())));
        }
        self.deliver(state, now);
        if !self.waiting.is_empty() {
            return Progress::Wait;
        }
        if let Some(failure) = &self.failure {
            let kind = if failure.kind == FailureKind::Fenced {
                FailureKind::Fenced
            } else {
                FailureKind::Abortable
            };
            return Progress::Done(Err(Failure::new(kind, failure.message.clone())));
        }
        self.end(state, true)
    }

    fn abort(&mut self, state: &mut State) -> Progress<Told> {
        if !self.in_transaction {
            return Progress::Done(Err(fatal("there is no transaction to abort".to_owned())));
        }
        self.purge();
        self.failure = None;
        self.end(state, false)
    }

    fn end(&mut self, state: &mut State, commit: bool) -> Progress<Told> {
        let ended = if commit { Told::Committed } else { Told::Aborted };
        if !self.touched {
            return Progress::Done(Ok(ended));
        }
        let late = || Late::EndTransaction { who: self.who.clone(), commit };
        let arrive = |state: &mut State| state.end_transaction(&self.who, commit);
        told(state.pass(&self.client, Call::EndTransaction, late, arrive), |()| ended)
    }

    /// What an answer changes once it is taken.
    fn learn(&mut self, told: Told) -> Acknowledged {
        let committed = matches!(told, Told::Committed);
        match told {
            Told::Nothing => return Acknowledged::new(),
            Told::Flushed => return std::mem::take(&mut self.acknowledged),
            Told::Initialised(identity) => {
                self.who = identity;
                self.ready = true;
                self.failure = None;
                self.purge();
            }
            Told::Committed | Told::Aborted => {}
        }
        (self.in_transaction, self.touched) = (false, false);
        let acknowledged = std::mem::take(&mut self.acknowledged);
        if committed { acknowledged } else { Acknowledged::new() }
    }
}

fn told<T>(progress: Progress<T>, as_told: impl FnOnce(T) -> Told) -> Progress<Told> {
    match progress {
        Progress::Wait => Progress::Wait,
        Progress::Lost => Progress::Lost,
        Progress::Done(answer) => Progress::Done(answer.map(as_told)),
    }
}

impl MemoryProducer {
    pub(super) fn new(log: MemoryLog, client: Arc<str>, transactional_id: Option<&str>) -> Self {
        let producer = log.lock().next_id();
        let transactional_id = transactional_id.map(Arc::<str>::from);
        let who = Identity { producer, epoch: -1, transactional_id: transactional_id.clone() };
        let sender = Sender {
            client,
            ready: transactional_id.is_none(),
            transactional_id,
            who,
            in_transaction: false,
            touched: false,
            waiting: VecDeque::new(),
            waiting_records: 0,
            last_number: 0,
            acknowledged: Acknowledged::new(),
            failure: None,
        };
        Self { log, calls: Calls::default(), sender, one: Vec::new() }
    }

    fn start(&mut self, ask: Ask) -> Ticket {
        let (mut state, now) = self.log.current();
        let reaches = state.faults.reaches(&self.sender.client);
        let progress = if reaches { self.sender.attempt(&mut state, &ask, now) } else { Progress::Wait };
        self.calls.start(state.ticket(), ask, now + state.timeouts.request, progress)
    }
}

impl Producer for MemoryProducer {
    fn start_init(&mut self) -> Ticket {
        self.start(Ask::Init)
    }

    fn begin(&mut self) -> Answer<()> {
        let refused = match &self.sender {
            Sender { transactional_id: None, .. } => "a producer without an id has no transactions",
            Sender { ready: false, .. } => "the producer is not initialised",
            Sender { in_transaction: true, .. } => "the transaction before has not ended",
            _ => "",
        };
        if refused.is_empty() {
            self.sender.in_transaction = true;
            return Ok(());
        }
        Err(fatal(format!("no transaction can begin: {refused}")))
    }

    fn send(&mut self, record: Outgoing) -> Answer<()> {
        let mut one = std::mem::take(&mut self.one);
        one.push(record);
        let answer = self.send_all(&mut one);
        one.clear();
        self.one = one;
        answer
    }

    fn send_all(&mut self, records: &mut Vec<Outgoing>) -> Answer<()> {
        let (mut state, now) = self.log.current();
        self.sender.hand_over(&mut state, records, now)
    }

    fn start_flush(&mut self) -> Ticket {
        self.start(Ask::Flush)
    }
    fn start_send_offsets(&mut self, offsets: Offsets, group: GroupMetadata) -> Ticket {
        self.start(Ask::SendOffsets(offsets, group))
    }
    fn start_commit(&mut self) -> Ticket {
        self.start(Ask::Commit)
    }
    fn start_abort(&mut self) -> Ticket {
        self.start(Ask::Abort)
    }

    fn poll(&mut self, ticket: Ticket) -> Option<Answer<Acknowledged>> {
        let (mut state, now) = self.log.current();
        let (calls, sender) = (&mut self.calls, &mut self.sender);
        let reaches = state.faults.reaches(&sender.client);
        let answer = calls.poll(ticket, now, reaches, |ask| sender.attempt(&mut state, ask, now))?;
        Some(answer.map(|told| sender.learn(told)))
    }
}

impl Drop for MemoryProducer {
    fn drop(&mut self) {
        let who = &self.sender.who;
        let left = self.sender.waiting.drain(..).map(|batch| Late::Produce { who: who.clone(), batch });
        self.log.lock().faults.late.extend(left);
    }
}
