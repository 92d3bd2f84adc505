//! What stands in a window that brought no record.

use std::sync::Arc;
use std::time::Duration;

/// Heartbeats: what stands in a window that brought no record, and when it is said.
///
/// ```
/// # use highwater::{GapFill, time::{days, seconds}};
/// // A quiet minute trades nothing at the last price.
/// let fill = GapFill::with(|last: &(f64, u64)| (last.0, 0)).every(seconds(10)).jitter(seconds(5)).forget_after(days(30));
/// ```
#[must_use = "it is given to `KTable::fill_gaps`"]
pub struct GapFill<A> {
    pub(super) quiet: Arc<dyn Fn(&A) -> A + Send + Sync>,
    pub(super) every: Duration,
    pub(super) jitter: Duration,
    pub(super) forget_after: Option<Duration>,
}

impl<A: 'static> GapFill<A> {
    /// `|last| quiet`: the value of a quiet window, from the final of the one before it.
    pub fn with(quiet: impl Fn(&A) -> A + Send + Sync + 'static) -> Self {
        let (every, jitter, forget_after) = (Duration::ZERO, Duration::ZERO, None);
        Self { quiet: Arc::new(quiet), every, jitter, forget_after }
    }
    /// How long after its start a window without a record has its heartbeat; at once by default. On the watermark.
    pub fn every(self, interval: Duration) -> Self {
        Self { every: interval, ..self }
    }
    /// Spreads the heartbeats of different keys over at most this long.
    pub fn jitter(self, at_most: Duration) -> Self {
        Self { jitter: at_most, ..self }
    }
    /// A key without a record for so long is forgotten; never by default.
    pub fn forget_after(self, silence: Duration) -> Self {
        Self { forget_after: Some(silence), ..self }
    }
}
