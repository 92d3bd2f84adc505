//! The transaction coordinator: who may write under a transactional id, and how its transaction stands.
//!
//! ```text
//!   empty --first record or offsets--> ongoing --end, timeout, new producer--> prepared --markers--> complete
//! ```
//! Each new producer and each timeout raises the epoch; every call of an older epoch is fenced.

use crate::broker::{Answer, Failure, FailureKind};
use crate::record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Under what a producer writes.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) producer: u64,
    pub(super) epoch: i32,
    pub(super) transactional_id: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    Ongoing { deadline: i64 },
    Prepared { commit: bool },
    Complete { commit: bool },
}

#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) producer: u64,
    epoch: i32,
    phase: Phase,
    pub(super) partitions: BTreeSet<TopicPartition>,
    pub(super) groups: BTreeSet<String>,
}

/// What a producer is told that asks for something that has to wait for markers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entered {
    Yes,
    /// The transaction before is not complete: ask again.
    NotYet,
}

#[derive(Debug, Default)]
pub(super) struct Transactions {
    by_id: BTreeMap<Arc<str>, Transaction>,
}

impl Transactions {
    /// A new producer: older ones are fenced, their open transaction is prepared to abort. `None`: ask again once
    /// the markers are written.
    pub(super) fn init(&mut self, id: &Arc<str>, new_producer: u64) -> Option<Identity> {
        let transaction = self.by_id.entry(id.clone()).or_insert_with(|| Transaction::new(new_producer));
        match transaction.phase {
            Phase::Ongoing { .. } => {
                transaction.abort_and_fence();
                None
            }
            Phase::Prepared { .. } => None,
            Phase::Empty | Phase::Complete { .. } => {
                transaction.epoch += 1;
                transaction.phase = Phase::Empty;
                let (producer, epoch) = (transaction.producer, transaction.epoch);
                Some(Identity { producer, epoch, transactional_id: Some(id.clone()) })
            }
        }
    }

    /// Checks a request inside a transaction and begins it if it is the first. A late request of a producer that is
    /// gone begins nothing (KIP-890).
    pub(super) fn enter(&mut self, who: &Identity, deadline: i64, late: bool) -> Answer<Entered> {
        let Some(transaction) = self.current(who)? else { return Ok(Entered::Yes) };
        match transaction.phase {
            Phase::Ongoing { .. } => Ok(Entered::Yes),
            Phase::Prepared { .. } => Ok(Entered::NotYet),
            Phase::Empty | Phase::Complete { .. } if late => Err(invalid("no transaction is open")),
            Phase::Empty | Phase::Complete { .. } => {
                transaction.phase = Phase::Ongoing { deadline };
                Ok(Entered::Yes)
            }
        }
    }

    /// The transaction of a producer, if it has one and is not fenced.
    pub(super) fn current(&mut self, who: &Identity) -> Answer<Option<&mut Transaction>> {
        let Some(id) = &who.transactional_id else { return Ok(None) };
        match self.by_id.get_mut(id) {
            Some(transaction) if transaction.epoch == who.epoch => Ok(Some(transaction)),
            _ => {
                let text = format!(
                    "epoch {} of transactional id {id} has passed: it has a new producer, or its transaction timed out",
                    who.epoch
                );
                Err(Failure::new(FailureKind::Fenced, text))
            }
        }
    }

    /// Ends the transaction as far as the coordinator is concerned; the markers follow. Twice is once.
    pub(super) fn end(&mut self, who: &Identity, commit: bool) -> Answer<Entered> {
        let Some(transaction) = self.current(who)? else {
            return Err(invalid("the producer is not transactional"));
        };
        match transaction.phase {
            Phase::Ongoing { .. } => {
                transaction.phase = Phase::Prepared { commit };
                Ok(Entered::Yes)
            }
            Phase::Prepared { commit: prepared } if prepared == commit => Ok(Entered::NotYet),
            Phase::Complete { commit: complete } if complete == commit => Ok(Entered::Yes),
            Phase::Empty => Err(invalid("no transaction is open")),
            Phase::Prepared { .. } | Phase::Complete { .. } => {
                Err(invalid("the transaction has ended the other way"))
            }
        }
    }

    /// Aborts what is open for too long.
    pub(super) fn expire(&mut self, now: i64) {
        let due = |t: &&mut Transaction| matches!(t.phase, Phase::Ongoing { deadline } if deadline <= now);
        self.by_id.values_mut().filter(due).for_each(Transaction::abort_and_fence);
    }

    pub(super) fn next_timeout(&self) -> Option<i64> {
        let deadline = |t: &Transaction| match t.phase {
            Phase::Ongoing { deadline } => Some(deadline),
            _ => None,
        };
        self.by_id.values().filter_map(deadline).min()
    }

    /// Transactions whose markers are to be written, as (whether it commits, transaction); they are complete after.
    pub(super) fn complete(&mut self) -> Vec<(bool, Transaction)> {
        let finish = |transaction: &mut Transaction| {
            let Phase::Prepared { commit } = transaction.phase else { return None };
            transaction.phase = Phase::Complete { commit };
            let partitions = std::mem::take(&mut transaction.partitions);
            let groups = std::mem::take(&mut transaction.groups);
            Some((commit, Transaction { partitions, groups, ..*transaction }))
        };
        self.by_id.values_mut().filter_map(finish).collect()
    }
}

impl Transaction {
    fn new(producer: u64) -> Self {
        Self {
            producer,
            epoch: -1,
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
        }
    }

    fn abort_and_fence(&mut self) {
        self.epoch += 1;
        self.phase = Phase::Prepared { commit: false };
    }
}

/// The producer's and the coordinator's idea of the transaction differ: the producer has to be built again.
fn invalid(why: &str) -> Failure {
    Failure::new(FailureKind::Fenced, format!("invalid transaction state: {why}"))
}
