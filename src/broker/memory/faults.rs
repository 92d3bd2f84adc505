//! What can be made to go wrong between the clients and the log.

#![cfg_attr(not(test), expect(dead_code, reason = "switched on by tests alone"))]

use super::transactions::Identity;
use crate::broker::{GroupMetadata, Offsets, Outgoing};
use std::collections::{BTreeSet, VecDeque};

/// The calls of which one can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Produce,
    EndTransaction,
    /// Of a consumer, not in a transaction.
    OffsetCommit,
}

/// How a call is lost. Its caller hears nothing; but for `Produce`, which is tried again by itself, its answer is
/// `Unknown` when the request timeout has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It never arrives.
    Request,
    /// It happens.
    Answer,
    /// It arrives when `land_late_request` is called.
    Delay,
}

/// A request that is still under way while its sender does not wait for it any longer.
#[derive(Debug)]
pub(super) enum Late {
    Produce { who: Identity, batch: Batch },
    EndTransaction { who: Identity, commit: bool },
    OffsetCommit { from: GroupMetadata, offsets: Offsets },
}

/// Records as one request; the number tells a repeated request from a new one.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) number: u64,
    pub(super) records: Vec<Outgoing>,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) whole_outage: bool,
    pub(super) outages: BTreeSet<String>,
    pub(super) held_sends: BTreeSet<String>,
    pub(super) markers_held: bool,
    losses: Vec<(String, Call, Loss)>,
    pub(super) late: VecDeque<Late>,
}

impl Faults {
    /// Whether calls of this client arrive, and their answers.
    pub(super) fn reaches(&self, client: &str) -> bool {
        !self.whole_outage && (self.outages.is_empty() || !self.outages.contains(client))
    }

    /// Whether records that this client hands over arrive.
    pub(super) fn reaches_with_records(&self, client: &str) -> bool {
        self.reaches(client) && (self.held_sends.is_empty() || !self.held_sends.contains(client))
    }

    /// Whether they arrive and are acknowledged.
    pub(super) fn delivers(&self, client: &str) -> bool {
        self.reaches_with_records(client)
            && (self.losses.is_empty()
                || !self.losses.iter().any(|(c, call, _)| c == client && *call == Call::Produce))
    }

    pub(super) fn lose_next(&mut self, client: &str, call: Call, loss: Loss) {
        self.losses.push((client.to_owned(), call, loss));
    }

    /// How this call is lost, if it is; each loss happens once.
    pub(super) fn take_loss(&mut self, client: &str, call: Call) -> Option<Loss> {
        let at = self.losses.iter().position(|(c, which, _)| c == client && *which == call)?;
        Some(self.losses.remove(at).2)
    }
}
