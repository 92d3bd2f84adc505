//! From a stream to groups and to a table: what needs all records of a key in one place.

use super::draft::{Line, StoreOf, Traits};
use super::kgrouped_stream::{KGroupedStream, Through};
use super::kstream::KStream;
use super::ktable::KTable;
use super::materialized::Materialized;
use super::repartitioned::Grouped;
use crate::error::Error;
use crate::processor::{Raw, RawCodec, ToTable};
use crate::serdes::{Codec, Key, unknown};
use crate::state::{Readable, Table, as_it_is};
use crate::topology::{Factory, Kind};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Grouped by a new key, always through the repartition topic that `grouped` names. It is made when the group is
    /// aggregated, and shared by all aggregates of the group.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// let by_word = lines.group_by(|_, word| word.clone(), Grouped::named("by-word"));
    /// by_word.count(Materialized::named("counts")).to_stream().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "to".to_owned(), Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), "be".to_owned(), Timestamp(1));
    /// assert_eq!(driver.read_output(&output), [("to".to_owned(), 1), ("be".to_owned(), 1)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn group_by<K2>(
        &self,
        f: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
        grouped: Grouped<K2, V>,
    ) -> KGroupedStream<K2, V>
    where
        K2: Key,
    {
        let Grouped { name, key, value, as_read, partitions } = grouped;
        let value = self.value.clone().filter(|_| as_read).unwrap_or(value);
        // As in Kafka Streams the name of the group is its node's too; the number is taken all the same.
        let node = self.draft.name("KSTREAM-KEY-SELECT-", Some(&name));
        let node = self
            .then_as::<K2, V, _>(node, move |next, cx, key, value| next.forward(cx, &f(key, value), value));
        let stream = self.with_keys(node, Some(value.clone()));
        let through = Through::new(name, partitions, value);
        KGroupedStream { stream, key, through: Some(Rc::new(through)) }
    }

    /// Grouped by the key, never through a topic: the records are where their keys belong. After the key has changed
    /// `build()` says so, with the line of this call; write `.repartition(Repartitioned::named(..))` before it.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.group_by_key().count(Materialized::named("counts")).to_stream().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 8, Timestamp(1));
    /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 2)));
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn group_by_key(&self) -> KGroupedStream<K, V>
    where
        K: Key,
    {
        let key = self.key_at_home("group_by_key", Location::caller());
        KGroupedStream { stream: self.clone(), key, through: None }
    }

    /// A table of the latest value per key. Null values delete. After the key has changed this is an error of `build()`.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// let latest = numbers.to_table(Materialized::named("latest"));
    /// latest.filter(|_, n| *n > 5).to_stream().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 8, Timestamp(1));
    /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 8)));
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn to_table(&self, store: Materialized<V>) -> KTable<K, V>
    where
        K: Key,
    {
        let key = self.key_at_home("to_table", Location::caller());
        let name = self.draft.numbered("KSTREAM-TOTABLE-");
        let raw: Arc<dyn Codec<Raw>> = Arc::new(RawCodec);
        let spec = StoreOf::of(&store, key.clone(), raw);
        let readable = Readable::key_value(key.clone(), as_it_is(store.value.clone()));
        let id = self.draft.store(&spec, Some(readable));
        let (value, caching) = (store.value.clone(), store.caching);
        let factory: Factory = Box::new(move |wiring| {
            let table = wiring.store::<Table<K, Raw>>(id)?;
            let (name, pending) = (wiring.name()?, max_pending(caching, wiring.env().cache_bytes));
            let node = ToTable::new(name, value.clone(), table, pending, wiring.table_outputs()?);
            let node = Rc::new(RefCell::new(node));
            wiring.put_sink::<K, V>(node.clone());
            wiring.put_node(node);
            Ok(())
        });
        let details = vec![("key", key.describe()), ("value", store.value.describe())];
        let traits = Traits { stores: vec![id], details, ..Traits::default() };
        let node = self.draft.add(name, Kind::Processor, &[self.from], traits, factory);
        self.draft.meets(node);
        KTable {
            draft: self.draft.clone(),
            node,
            key: Some(key),
            value: Some(store.value),
            time: self.lineage.time.clone(),
            results: None,
            suppressed: false,
        }
    }

    /// The key's codec, and a mistake if the records are no longer where their keys belong.
    pub(super) fn key_at_home(&self, what: &str, line: Line) -> Arc<dyn Codec<K>> {
        let rekeyed = self.lineage.rekeyed;
        if rekeyed || self.key.is_none() {
            let error = Error::topology(format!("`{what}` after the key has changed"))
                .cause("records of equal keys may be in different partitions")
                .help("write `.repartition(Repartitioned::named(..))` before it");
            self.draft.mistake(line, error);
        }
        self.key.clone().unwrap_or_else(unknown)
    }
}

/// How many changed keys may wait to be forwarded: as many as the cache may hold, at about this size each.
pub(super) fn max_pending(caching: bool, cache_bytes: usize) -> usize {
    const ENTRY: usize = 256;
    if caching { cache_bytes / ENTRY } else { 0 }
}
