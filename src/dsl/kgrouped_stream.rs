//! Streams grouped by key, and their aggregates.

use super::aggregation::{Aggregation, aggregations};
use super::draft::{StoreOf, Traits};
use super::grouping::max_pending;
use super::kstream::KStream;
use super::ktable::KTable;
use super::materialized::Materialized;
use super::windowed::TimeWindowedKStream;
use crate::error::BoxError;
use crate::processor::{Aggregate, Edge, SkipNulls};
use crate::serdes::{Codec, Key};
use crate::state::{Readable, Table, shown};
use crate::time::Windows;
use crate::topology::{Factory, Kind, Wiring};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// A stream whose records of a key are in one place. Aggregate it as often as you like; null values of an `Option` type
/// are left out, counted as dropped.
///
/// It always has the key's serde: from the source, a repartition or `Grouped`.
#[must_use = "a group does nothing until it is aggregated"]
pub struct KGroupedStream<K, V> {
    /// Before the repartition, if there is one.
    pub(super) stream: KStream<K, V>,
    pub(super) key: Arc<dyn Codec<K>>,
    pub(super) through: Option<Rc<Through<K, V>>>,
}

impl<K, V> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), key: self.key.clone(), through: self.through.clone() }
    }
}

/// The repartition of a group, made by its first aggregate, so that numbers are taken in Kafka Streams' order.
pub(super) struct Through<K, V> {
    name: String,
    partitions: Option<u32>,
    value: Arc<dyn Codec<V>>,
    made: RefCell<Option<KStream<K, V>>>,
}

impl<K, V> Through<K, V> {
    pub(super) fn new(name: String, partitions: Option<u32>, value: Arc<dyn Codec<V>>) -> Self {
        Self { name, partitions, value, made: RefCell::new(None) }
    }
}

aggregations!(KGroupedStream => K, &Self);

impl<K: Key, V: 'static> KGroupedStream<K, V> {
    /// In windows of event time: [`TimeWindows`](crate::time::TimeWindows), calendar windows, or an own `impl Windows<K>`.
    /// A window of size zero and the like are errors of `build()`.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of_size(minutes(1)).grace(seconds(5)))
    ///     .count(Materialized::named("per-minute"))
    ///     .suppress(Suppressed::until_window_closes())
    ///     .to_stream()
    ///     .map(|minute, count| (minute.window.start.as_millis() as u64, *count))
    ///     .to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<u64, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(59999));
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(60000));
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(65000));
    /// assert_eq!(driver.read_output(&output), [(0, 2)]);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn windowed_by(&self, windows: impl Windows<K>) -> TimeWindowedKStream<K, V> {
        TimeWindowedKStream::new(self.clone(), Arc::new(windows), Location::caller())
    }

    /// The stream that is aggregated. The name of its aggregate has its number already.
    pub(super) fn input(&self) -> KStream<K, V> {
        let Some(through) = &self.through else { return self.stream.clone() };
        let made = through.made.borrow().clone();
        let Some(stream) = made else {
            let Through { name, partitions, value, .. } = &**through;
            let stream = self.stream.through(name, *partitions, self.key.clone(), value.clone());
            *through.made.borrow_mut() = Some(stream.clone());
            return stream;
        };
        // Kafka Streams uses the topic again and takes its three numbers again.
        (0..3).for_each(|_| self.stream.draft.burn());
        stream
    }

    /// The codec that knows which values are nothing to aggregate.
    pub(super) fn nulls(&self) -> Option<Arc<dyn Codec<V>>> {
        self.stream.value.clone().filter(|codec| codec.nullable())
    }

    fn fold<S: 'static, A: 'static>(&self, aggregation: Aggregation<K, V, S, A>) -> KTable<K, A> {
        let Aggregation { prefix, apply, view, show, state, store } = aggregation;
        let draft = &self.stream.draft;
        let name = draft.numbered(prefix);
        let input = self.input();
        let readable = Readable::key_value(self.key.clone(), shown(state.clone(), show));
        let spec = StoreOf::of(&store, self.key.clone(), state);
        let (id, details) = (draft.store(&spec, Some(readable)), spec.details());
        let (caching, nulls) = (store.caching, self.nulls());
        let factory: Factory = Box::new(move |wiring| {
            let table = wiring.store::<Table<K, S>>(id)?;
            let (name, pending) = (wiring.name()?, max_pending(caching, wiring.env().cache_bytes));
            let outputs = wiring.table_outputs()?;
            let node = Aggregate::new(name, table, (apply.clone(), view), pending, outputs);
            let node = Rc::new(RefCell::new(node));
            put_aggregate(wiring, node.clone(), nulls.clone());
            wiring.put_node(node);
            Ok(())
        });
        let traits = Traits { stores: vec![id], details, ..Traits::default() };
        let node = draft.add(name, Kind::Processor, &[input.from], traits, factory);
        draft.meets(node);
        KTable {
            draft: draft.clone(),
            node,
            key: Some(self.key.clone()),
            value: Some(store.value),
            time: input.lineage.time,
            results: None,
            suppressed: false,
        }
    }
}

/// The aggregate takes the records, but for the nulls.
pub(super) fn put_aggregate<K: 'static, V: 'static>(
    wiring: &mut Wiring<'_>,
    aggregate: Edge<K, V>,
    nulls: Option<Arc<dyn Codec<V>>>,
) {
    match nulls {
        Some(codec) => wiring.put_sink::<K, V>(Rc::new(RefCell::new(SkipNulls { codec, aggregate }))),
        None => wiring.put_sink(aggregate),
    }
}
