//! A store: its name, its value's serde, and how it is kept.

use crate::serdes::{Codec, DefaultSerde, Serde, both, optional};
use std::sync::Arc;
use std::time::Duration;

/// A store's name (it names the changelog) and its value's serde; the key's comes with the group.
///
/// ```
/// # use highwater::{Materialized, time::days};
/// let counts: Materialized<u64> = Materialized::named("counts").retention(days(1)).caching(false);
/// ```
#[must_use = "it is given to the operator that keeps the state"]
pub struct Materialized<A> {
    pub(super) name: Arc<str>,
    pub(super) value: Arc<dyn Codec<A>>,
    pub(super) retention: Duration,
    pub(super) caching: bool,
    pub(super) logged: bool,
}

impl<A: 'static> Materialized<A> {
    /// A store of this name; the value has its type's default serde.
    pub fn named(store: &str) -> Self
    where
        A: DefaultSerde,
    {
        Self::with(store, A::Serde::default())
    }
    /// A store of this name whose value has this serde.
    pub fn with(store: &str, value: impl Serde<A>) -> Self {
        let (retention, caching, logged) = (Duration::ZERO, true, true);
        Self { name: store.into(), value: both(value), retention, caching, logged }
    }
    /// The value may be null: an aggregate left `None` is deleted.
    pub fn null_values(self) -> Materialized<Option<A>> {
        let Self { name, value, retention, caching, logged } = self;
        Materialized { name, value: optional(value), retention, caching, logged }
    }
    /// How long the entry of a window can still be read after the window closed; not at all by default. It never decides
    /// what is late or when a final leaves.
    pub fn retention(self, after_close: Duration) -> Self {
        Self { retention: after_close, ..self }
    }
    /// On (the default): of a key's updates the latest is forwarded, soon. Off: every update is forwarded. Finals are the
    /// same in both.
    pub fn caching(self, on: bool) -> Self {
        Self { caching: on, ..self }
    }
    /// Without a changelog: the state is lost with the machine, and begins empty when a task moves.
    pub fn no_changelog(self) -> Self {
        Self { logged: false, ..self }
    }
}
