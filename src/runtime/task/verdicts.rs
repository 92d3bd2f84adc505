//! What was decided about records of this task that failed, kept until they are committed.
//!
//! A record that fails after it has changed a store, an open window or a processor cannot be undone in place: what it
//! changed was changed in place. Then the task goes back to its last commit, and meets the record again with a verdict.
//! That costs nothing as long as nothing fails, and at most one commit interval for a record that does: a commit is due
//! right after it.

use crate::broker::Outgoing;
use std::collections::BTreeMap;

/// What was decided about a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is left out.
    Skip,
    /// This goes to the dead letter topic in its place.
    Letter(Outgoing),
    /// It is tried once more, as this retry and not before then (machine's clock).
    Retry {
        retry: u32,
        until: i64,
        /// Whether it has moved time already, in this life of the task.
        moved: bool,
    },
}

/// By input and offset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdicts(BTreeMap<(usize, i64), Verdict>);

impl Verdicts {
    #[inline]
    pub(super) fn of(&self, input: usize, offset: i64) -> Option<&Verdict> {
        if self.0.is_empty() { None } else { self.0.get(&(input, offset)) }
    }
    pub(super) fn put(&mut self, input: usize, offset: i64, verdict: Verdict) {
        self.0.insert((input, offset), verdict);
    }
    /// Records of an input before this offset are committed.
    pub(super) fn forget(&mut self, input: usize, before: i64) {
        self.0.retain(|(other, offset), _| *other != input || *offset >= before);
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// For the task's next life.
    pub(super) fn take(&mut self) -> Self {
        let mut taken = std::mem::take(self);
        for verdict in taken.0.values_mut() {
            if let Verdict::Retry { moved, .. } = verdict {
                *moved = false;
            }
        }
        taken
    }
}
