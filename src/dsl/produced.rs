//! How a topic is written.

use super::draft::Line;
use crate::processor::Partitioner;
use crate::serdes::{
    Codec, DefaultSerializer, NoKey, Nothing, NullableKey, Serializer, nullable_key, optional, writing,
};
use std::panic::Location;
use std::sync::Arc;

/// How a topic is written: serdes, partitioner, name.
///
/// [`default()`](Default::default): as the stream was read, if its types are still those; else the types' default serdes.
///
/// ```
/// use highwater::{Produced, serdes::{Json, Utf8, WindowedSerde}};
/// let bars: Produced<highwater::Windowed<String>, Vec<u64>> = Produced::with(WindowedSerde::of(Utf8).with_end(), Json);
/// let by_length = Produced::<String, u64>::default().partition_by(|key, _, partitions| key.len() as u32 % partitions);
/// ```
#[must_use = "it is given to `KStream::to`"]
pub struct Produced<K, V> {
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) value: Arc<dyn Codec<V>>,
    /// The stream's codecs come first.
    pub(super) as_read: bool,
    pub(super) partitioner: Option<Partitioner<K, V>>,
    pub(super) node: Option<String>,
    /// A partitioner was given before the types it sees.
    pub(super) partitioner_before_nulls: Option<Line>,
}

impl<K: 'static, V: 'static> Produced<K, V> {
    /// Written with these serdes.
    pub fn with(key: impl Serializer<K>, value: impl Serializer<V>) -> Self {
        Self::of(writing(key), writing(value))
    }
    fn of(key: Arc<dyn Codec<K>>, value: Arc<dyn Codec<V>>) -> Self {
        let (as_read, partitioner, node) = (false, None, None);
        Self { key, value, as_read, partitioner, node, partitioner_before_nulls: None }
    }
    fn or_as_read(self) -> Self {
        Self { as_read: true, ..self }
    }

    /// `|key, value, partitions| -> partition`, below `partitions`. By default Kafka's: murmur2 of the key's bytes, of a
    /// windowed key without its window; records without a key go round.
    pub fn partition_by(self, f: impl Fn(&K, &V, u32) -> u32 + Send + Sync + 'static) -> Self {
        Self { partitioner: Some(Arc::new(f)), ..self }
    }
    /// Names the sink node.
    pub fn named(self, node: &str) -> Self {
        Self { node: Some(node.to_owned()), ..self }
    }

    /// A missing key is written as null. Before [`partition_by`](Self::partition_by), which sees the keys.
    #[track_caller]
    pub fn null_keys(self) -> Produced<NullableKey<K>, V> {
        let (key, value) = (nullable_key(self.key.clone()), self.value.clone());
        self.retyped(key, value, Location::caller())
    }
    /// `None` is written as null: a tombstone. Before [`partition_by`](Self::partition_by), which sees the values.
    #[track_caller]
    pub fn null_values(self) -> Produced<K, Option<V>> {
        let (key, value) = (self.key.clone(), optional(self.value.clone()));
        self.retyped(key, value, Location::caller())
    }
    fn retyped<K2: 'static, V2: 'static>(
        self,
        key: Arc<dyn Codec<K2>>,
        value: Arc<dyn Codec<V2>>,
        line: Line,
    ) -> Produced<K2, V2> {
        let misplaced = self.partitioner.map(|_| line);
        Produced {
            as_read: self.as_read,
            node: self.node,
            partitioner_before_nulls: self.partitioner_before_nulls.or(misplaced),
            ..Produced::of(key, value)
        }
    }
}

impl<V: 'static> Produced<NoKey, V> {
    /// Without keys.
    pub fn values(value: impl Serializer<V>) -> Self {
        Self::with(Nothing, value)
    }
}

impl<K: DefaultSerializer, V: DefaultSerializer> Default for Produced<K, V> {
    fn default() -> Self {
        Self::with(K::Serializer::default(), V::Serializer::default()).or_as_read()
    }
}
impl<K: DefaultSerializer, V: DefaultSerializer> Default for Produced<K, Option<V>> {
    fn default() -> Self {
        Produced::<K, V>::default().null_values()
    }
}
impl<K: DefaultSerializer, V: DefaultSerializer> Default for Produced<NullableKey<K>, V> {
    fn default() -> Self {
        Produced::<K, V>::default().null_keys()
    }
}
impl<K: DefaultSerializer, V: DefaultSerializer> Default for Produced<NullableKey<K>, Option<V>> {
    fn default() -> Self {
        Produced::<K, V>::default().null_keys().null_values()
    }
}
