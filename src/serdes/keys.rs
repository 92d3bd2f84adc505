//! What a key can be: known, perhaps missing, or not looked at. Each is a type, so a missing key is no surprise at run time.

use std::fmt;
use std::hash::Hash;
use std::ops::Deref;

/// The key of a stream whose keys were not read (`Consumed::values`). Not a key to group by; written as null.
#[derive(Clone, Copy, Debug)]
pub struct NoKey;

/// The key of a stream whose keys may be null (`Consumed::null_keys`).
///
/// On purpose neither `Eq` nor `Hash`: not a key to group by. It derefs to the `Option`.
#[derive(Clone, Debug)]
pub struct NullableKey<K>(pub Option<K>);

impl<K> Deref for NullableKey<K> {
    type Target = Option<K>;
    fn deref(&self) -> &Option<K> {
        &self.0
    }
}

impl<K> From<Option<K>> for NullableKey<K> {
    fn from(key: Option<K>) -> Self {
        Self(key)
    }
}

impl<K: fmt::Display> fmt::Display for NullableKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(key) => key.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// What can be grouped by. Never implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key to group or join by",
    note = "keys that may be missing: `.drop_missing_keys()` first",
    note = "keys that were not read: compute one, `.group_by(|_, value| .., Grouped::named(..))`",
    note = "an own type: #[derive(Clone, PartialEq, Eq, Hash)]"
)]
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<K: Clone + Eq + Hash + Send + Sync + 'static> Key for K {}
