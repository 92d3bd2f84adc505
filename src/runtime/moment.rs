//! The clocks as one step of the runtime sees them: read once, so that a step has one time.

use crate::time::{Clock, Timestamp};

/// What the clocks said when a step began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The application's clock: idleness, wall-clock punctuation.
    pub(crate) now: Timestamp,
    /// The machine's date: future skew.
    pub(crate) date: Timestamp,
    /// The machine's monotonic clock in ms: intervals and timeouts.
    pub(crate) machine: i64,
}

impl Moment {
    pub(crate) fn of(clock: &dyn Clock) -> Self {
        Self { now: clock.now(), date: clock.date(), machine: clock.monotonic() }
    }
}
