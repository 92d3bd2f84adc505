//! How a topic is read.

use super::draft::Line;
use crate::error::Error;
use crate::processor::{ErrorHandlerContext, Extract, Handler, Response};
use crate::serdes::{Codec, DefaultSerde, NoKey, Nothing, NullableKey, Serde, both, nullable_key, optional};
use crate::time::Timestamp;
use crate::topology::AutoOffsetReset;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// How a topic is read: serdes, timestamps, how far records may be out of order, where to start.
///
/// Both halves of the serdes: they travel on with the stream, as far as its types stay.
///
/// ```
/// use highwater::{AutoOffsetReset, Consumed, serdes::{BigEndian, Utf8}, time::seconds};
/// let consumed = Consumed::<String, u64>::with(Utf8, BigEndian)
///     .out_of_orderness(seconds(5))
///     .idle_timeout(seconds(30))
///     .reset(AutoOffsetReset::Latest);
/// ```
#[must_use = "it is given to `StreamsBuilder::stream`"]
pub struct Consumed<K, V> {
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) value: Arc<dyn Codec<V>>,
    timestamps: Timestamps<K, V>,
    pub(super) out_of_orderness: Duration,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) reset: Option<AutoOffsetReset>,
    pub(super) node: Option<String>,
    pub(super) on_deserialization_error: Option<Handler>,
    /// An extractor was given before the types it sees.
    pub(super) extractor_before_nulls: Option<Line>,
}

/// Whose time it is.
enum Timestamps<K, V> {
    Record,
    WallClock,
    Computed(Extract<K, V>),
}

impl<K: 'static, V: 'static> Consumed<K, V> {
    /// Read with these serdes.
    pub fn with(key: impl Serde<K>, value: impl Serde<V>) -> Self {
        Self::of(both(key), both(value))
    }
    pub(super) fn of(key: Arc<dyn Codec<K>>, value: Arc<dyn Codec<V>>) -> Self {
        Self {
            key,
            value,
            timestamps: Timestamps::Record,
            out_of_orderness: Duration::ZERO,
            idle_timeout: None,
            reset: None,
            node: None,
            on_deserialization_error: None,
            extractor_before_nulls: None,
        }
    }

    /// The event time is in the record: `|key, value| -> Timestamp`. A negative one drops the record, counted.
    pub fn timestamp(self, f: impl Fn(&K, &V) -> Timestamp + Send + Sync + 'static) -> Self {
        self.extractor(Arc::new(move |key, value, _, _, _| f(key, value)))
    }
    /// As [`timestamp`](Self::timestamp), given also the record's own timestamp and the largest timestamp so far of its
    /// partition ([`Timestamp::MIN`] before the first record).
    pub fn timestamp_extractor(
        self,
        f: impl Fn(&K, &V, Timestamp, Timestamp) -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        self.extractor(Arc::new(move |key, value, record, partition, _| f(key, value, record, partition)))
    }
    fn extractor(self, extract: Extract<K, V>) -> Self {
        Self { timestamps: Timestamps::Computed(extract), ..self }
    }
    /// The event time is the application's clock when the record is read. A replay then gives other results.
    pub fn wall_clock(self) -> Self {
        Self { timestamps: Timestamps::WallClock, ..self }
    }

    /// How far a record may be behind the largest timestamp of its partition; zero by default. Whole milliseconds.
    pub fn out_of_orderness(self, bound: Duration) -> Self {
        Self { out_of_orderness: bound, ..self }
    }
    /// After so much silence of a caught-up partition the clock moves its watermark, so that windows close although no
    /// record comes. By default `highwater.idle.timeout.ms`, which is off.
    pub fn idle_timeout(self, silence: Duration) -> Self {
        Self { idle_timeout: Some(silence), ..self }
    }
    /// Where a partition is read from while the group has no position for it; by default `auto.offset.reset`.
    pub fn reset(self, policy: AutoOffsetReset) -> Self {
        Self { reset: Some(policy), ..self }
    }
    /// Names the source node.
    pub fn named(self, node: &str) -> Self {
        Self { node: Some(node.to_owned()), ..self }
    }

    /// Decides about records of this source that cannot be read, before any other handler; also where a closure of
    /// [`timestamp`](Self::timestamp) panics. [`Response::Retry`] is `Fail` here: the bytes stay as they are.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// let numbers = Consumed::<String, u64>::default().on_deserialization_error(|record, _| match record.value {
    ///     Some([]) => Response::Continue, // an old producer's heartbeats
    ///     _ => Response::DeadLetter,
    /// });
    /// builder.stream("in", numbers).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// let mut driver = driver.set("errors.dead.letter.queue.topic.name", "dead");
    /// # let input = driver.input_topic("in", Produced::<String, Vec<u8>>::with(serdes::Utf8, serdes::Bytes));
    /// # let dead = driver.output_topic("dead", Consumed::<String, Vec<u8>>::with(serdes::Utf8, serdes::Bytes));
    /// driver.pipe_input(&input, "a".to_owned(), b"".to_vec(), Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), b"seven".to_vec(), Timestamp(1));
    /// assert_eq!(driver.read_output(&dead), [("a".to_owned(), b"seven".to_vec())]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on_deserialization_error(
        self,
        handler: impl Fn(&ErrorHandlerContext<'_>, &Error) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self { on_deserialization_error: Some(Handler::new(handler)), ..self }
    }

    /// Null keys are read as missing instead of failing. Before [`timestamp`](Self::timestamp), which sees the keys.
    #[track_caller]
    pub fn null_keys(self) -> Consumed<NullableKey<K>, V> {
        let (key, value) = (nullable_key(self.key.clone()), self.value.clone());
        self.retyped(key, value, Location::caller())
    }
    /// Null values are read as `None` instead of failing. Before [`timestamp`](Self::timestamp), which sees the values.
    #[track_caller]
    pub fn null_values(self) -> Consumed<K, Option<V>> {
        let (key, value) = (self.key.clone(), optional(self.value.clone()));
        self.retyped(key, value, Location::caller())
    }
    fn retyped<K2: 'static, V2: 'static>(
        self,
        key: Arc<dyn Codec<K2>>,
        value: Arc<dyn Codec<V2>>,
        line: Line,
    ) -> Consumed<K2, V2> {
        let (timestamps, computed) = match self.timestamps {
            Timestamps::Record => (Timestamps::Record, false),
            Timestamps::WallClock => (Timestamps::WallClock, false),
            Timestamps::Computed(_) => (Timestamps::Record, true),
        };
        Consumed {
            key,
            value,
            timestamps,
            out_of_orderness: self.out_of_orderness,
            idle_timeout: self.idle_timeout,
            reset: self.reset,
            node: self.node,
            on_deserialization_error: self.on_deserialization_error,
            extractor_before_nulls: self.extractor_before_nulls.or(computed.then_some(line)),
        }
    }

    pub(super) fn extract(&self) -> Option<Extract<K, V>> {
        match &self.timestamps {
            Timestamps::Record => None,
            Timestamps::WallClock => Some(Arc::new(|_, _, _, _, now| now)),
            Timestamps::Computed(extract) => Some(extract.clone()),
        }
    }
}

impl<V: 'static> Consumed<NoKey, V> {
    /// The key's bytes are not looked at.
    pub fn values(value: impl Serde<V>) -> Self {
        Self::with(Nothing, value)
    }
}

impl<K: DefaultSerde, V: DefaultSerde> Default for Consumed<K, V> {
    fn default() -> Self {
        Self::with(K::Serde::default(), V::Serde::default())
    }
}
impl<K: DefaultSerde, V: DefaultSerde> Default for Consumed<K, Option<V>> {
    fn default() -> Self {
        Consumed::<K, V>::default().null_values()
    }
}
