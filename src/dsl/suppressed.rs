//! Which updates of a table are held back, and until when.

use super::materialized::Materialized;
use crate::processor::BufferBound;
use crate::time::Windowed;
use std::marker::PhantomData;
use std::time::Duration;

/// A table's keys that have windows.
#[diagnostic::on_unimplemented(
    message = "a table keyed by `{Self}` has no windows that could close",
    label = "needs a `KTable<Windowed<_>, _>`",
    note = "put `.windowed_by(..)` before the aggregation, or hold updates back with `Suppressed::until_time_limit(duration, store)`"
)]
pub trait WindowedKey {}
impl<K> WindowedKey for Windowed<K> {}

/// Which updates of a table [`KTable::suppress`](crate::KTable::suppress) holds back.
#[must_use = "it is given to `KTable::suppress`"]
pub struct Suppressed<K, V> {
    pub(super) until: Until<V>,
    of: PhantomData<fn(K)>,
}

pub(super) enum Until<V> {
    WindowCloses,
    TimeLimit { limit: Duration, bound: BufferBound, store: Materialized<V> },
}

impl<K, V> Suppressed<K, V> {
    /// The one final of each window, when it closes. Needs no buffer: the aggregate's own store has it.
    ///
    /// ```
    /// # use highwater::{KTable, Suppressed, Windowed};
    /// # fn example(per_minute: &KTable<Windowed<String>, u64>) {
    /// let finals = per_minute.suppress(Suppressed::until_window_closes());
    /// # }
    /// ```
    pub fn until_window_closes() -> Self
    where
        K: WindowedKey,
    {
        Self { until: Until::WindowCloses, of: PhantomData }
    }

    /// One update per key, `limit` of event time after the first that waits; a later one replaces the value and keeps the
    /// place. `store` names the buffer (and its changelog) and gives the value's bytes. 64 MiB by default; then the
    /// oldest leaves early.
    ///
    /// ```
    /// # use highwater::{KTable, Materialized, Suppressed, time::seconds};
    /// # fn example(counts: &KTable<String, u64>) {
    /// let soon = counts.suppress(
    ///     Suppressed::until_time_limit(seconds(10), Materialized::named("soon")).max_records(10_000),
    /// );
    /// # }
    /// ```
    pub fn until_time_limit(limit: Duration, store: Materialized<V>) -> Self {
        let bound = BufferBound { max_records: None, max_bytes: Some(64 << 20), or_fail: false };
        Self { until: Until::TimeLimit { limit, bound, store }, of: PhantomData }
    }
    /// At most so many keys wait.
    pub fn max_records(self, n: usize) -> Self {
        self.bounded(|bound| bound.max_records = Some(n))
    }
    /// At most so many bytes wait; a key counts its own bytes, its new and its previous value's, and 8.
    pub fn max_bytes(self, n: usize) -> Self {
        self.bounded(|bound| bound.max_bytes = Some(n))
    }
    /// A full buffer is an error instead of a reason to let the oldest leave early.
    pub fn or_fail(self) -> Self {
        self.bounded(|bound| bound.or_fail = true)
    }
    /// Finals wait in no buffer, so a bound means nothing to them.
    fn bounded(mut self, set: impl FnOnce(&mut BufferBound)) -> Self {
        if let Until::TimeLimit { bound, .. } = &mut self.until {
            set(bound);
        }
        self
    }
}
