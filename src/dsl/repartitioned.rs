//! Topics of the application's own, through which records go to the partition of their key.

use crate::serdes::{Codec, DefaultSerde, Serde, both, optional};
use std::sync::Arc;

macro_rules! repartitioning {
    ($($(#[$doc:meta])* $name:ident),*) => { $(
        $(#[$doc])*
        #[must_use = "it is given to the operator that repartitions"]
        pub struct $name<K, V> {
            pub(super) name: String,
            pub(super) key: Arc<dyn Codec<K>>,
            pub(super) value: Arc<dyn Codec<V>>,
            /// The stream's codec comes first.
            pub(super) as_read: bool,
            pub(super) partitions: Option<u32>,
        }

        impl<K: 'static, V: 'static> $name<K, V> {
            /// The topic is `<application.id>-<name>-repartition`; its bytes are the types' defaults, or the value's as
            /// the stream was read.
            pub fn named(name: &str) -> Self
            where
                K: DefaultSerde,
                V: DefaultSerde,
            {
                Self { as_read: true, ..Self::with(name, K::Serde::default(), V::Serde::default()) }
            }
            /// As [`named`](Self::named), with these serdes.
            pub fn with(name: &str, key: impl Serde<K>, value: impl Serde<V>) -> Self {
                let name = name.strip_suffix("-repartition").unwrap_or(name).to_owned();
                Self { name, key: both(key), value: both(value), as_read: false, partitions: None }
            }
            /// Values may be null.
            pub fn null_values(self) -> $name<K, Option<V>> {
                let Self { name, key, value, as_read, partitions } = self;
                $name { name, key, value: optional(value), as_read, partitions }
            }
            /// How many partitions the topic has; by default as many as the largest source above.
            pub fn partitions(self, n: u32) -> Self {
                Self { partitions: Some(n), ..self }
            }
        }
    )* };
}

repartitioning!(
    /// The repartition topic of [`KStream::group_by`](crate::KStream::group_by): its name and its bytes.
    ///
    /// ```
    /// # use highwater::{Grouped, serdes::{Json, Utf8}};
    /// let by_word: Grouped<String, Vec<u64>> = Grouped::with("by-word", Utf8, Json).partitions(12);
    /// ```
    Grouped,
    /// The topic of [`KStream::repartition`](crate::KStream::repartition): its name and its bytes.
    ///
    /// ```
    /// # use highwater::Repartitioned;
    /// let by_customer: Repartitioned<String, u64> = Repartitioned::named("by-customer").partitions(12);
    /// ```
    Repartitioned
);
