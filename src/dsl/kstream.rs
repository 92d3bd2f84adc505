//! Streams: two type parameters, cheap to clone; operators take `&self`, closures take references.

use super::draft::{Draft, From};
use super::lineage::Lineage;
use crate::error::{Error, Result};
use crate::processor::{Cx, Pass, Stage, Stateless};
use crate::serdes::{Codec, NullableKey, present_key};
use crate::topology::{Factory, NodeId, Port};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// Records as they come. Cheap to clone; using it twice does not compute it twice.
///
/// A value-only operator keeps the key, its serde and its partition. After one that can change the key, records of equal
/// keys may be in different partitions: `group_by_key` and the like are then errors of `build()`, and
/// [`repartition`](Self::repartition) or [`group_by`](Self::group_by) brings them together.
///
/// ```
/// use highwater::serdes::Utf8;
/// use highwater::testing::TopologyTestDriver;
/// use highwater::time::Timestamp;
/// use highwater::{Consumed, NoKey, Produced, StreamsBuilder};
///
/// let builder = StreamsBuilder::new();
/// builder
///     .stream("lines", Consumed::values(Utf8))
///     .flat_map_values(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
///     .filter(|_, word| word.len() > 3)
///     .to("words", Produced::default());
///
/// let mut driver = TopologyTestDriver::new(builder.build()?);
/// let lines = driver.input_topic("lines", Produced::values(Utf8));
/// let words = driver.output_topic("words", Consumed::values(Utf8));
/// driver.pipe_input(&lines, NoKey, "To the Lighthouse".to_owned(), Timestamp(0));
/// assert_eq!(driver.read_output(&words)[0].1, "lighthouse");
/// # Ok::<(), highwater::Error>(())
/// ```
#[must_use = "a stream that nothing reads does nothing"]
pub struct KStream<K, V> {
    pub(super) draft: Draft,
    pub(super) from: From,
    /// Present exactly while the key is the one that was read: a key that changes loses it, a repartition gives one.
    pub(super) key: Option<Arc<dyn Codec<K>>>,
    pub(super) value: Option<Arc<dyn Codec<V>>>,
    pub(super) lineage: Lineage,
}

impl<K, V> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            draft: self.draft.clone(),
            from: self.from,
            key: self.key.clone(),
            value: self.value.clone(),
            lineage: self.lineage.clone(),
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Keeps the records for which the closure holds.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.filter(|_, n| *n > 1).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 2, Timestamp(1));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 2)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn filter(&self, f: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KStream<K, V> {
        self.same(
            "KSTREAM-FILTER-",
            move |next, cx, key, value| {
                if f(key, value) { next.forward(cx, key, value) } else { Ok(()) }
            },
        )
    }
    /// Leaves out the records for which the closure holds.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.filter_not(|_, n| *n > 1).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 2, Timestamp(1));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 1)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn filter_not(&self, f: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KStream<K, V> {
        self.filter(move |key, value| !f(key, value))
    }
    /// A new key and a new value for each record. Afterwards equal keys may be in different partitions.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.map(|key, n| (format!("{key}{n}"), n * 2)).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a7".to_owned(), 14)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn map<K2: 'static, V2: 'static>(
        &self,
        f: impl Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.rekeyed("KSTREAM-MAP-", None, move |next, cx, key, value| {
            let (key, value) = f(key, value);
            next.forward(cx, &key, &value)
        })
    }
    /// A new value for each record.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.map_values(|n| n + 1).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 2)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn map_values<V2: 'static>(&self, f: impl Fn(&V) -> V2 + Send + Sync + 'static) -> KStream<K, V2> {
        self.revalued("KSTREAM-MAPVALUES-", move |next, cx, key, value| next.forward(cx, key, &f(value)))
    }
    /// Any number of records for each. Afterwards equal keys may be in different partitions.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.flat_map(|key, n| [(*n, key.clone()), (n + 1, key.clone())]).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<u64, String>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [(1, "a".to_owned()), (2, "a".to_owned())]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn flat_map<K2: 'static, V2: 'static, I>(
        &self,
        f: impl Fn(&K, &V) -> I + Send + Sync + 'static,
    ) -> KStream<K2, V2>
    where
        I: IntoIterator<Item = (K2, V2)>,
    {
        self.rekeyed("KSTREAM-FLATMAP-", None, move |next, cx, key, value| {
            f(key, value).into_iter().try_for_each(|(key, value)| next.forward(cx, &key, &value))
        })
    }
    /// Any number of values for each record. `Option` is an iterator: this is `filter_map` too.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.flat_map_values(|n| n.checked_sub(1)).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 0, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 5, Timestamp(1));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 4)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn flat_map_values<I: IntoIterator<Item: 'static>>(
        &self,
        f: impl Fn(&V) -> I + Send + Sync + 'static,
    ) -> KStream<K, I::Item> {
        self.revalued("KSTREAM-FLATMAPVALUES-", move |next, cx, key, value| {
            f(value).into_iter().try_for_each(|value| next.forward(cx, key, &value))
        })
    }
    /// A new key for each record. Afterwards equal keys may be in different partitions.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.select_key(|key, n| format!("{key}{n}")).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a7".to_owned(), 7)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn select_key<K2: 'static>(
        &self,
        f: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
    ) -> KStream<K2, V> {
        self.rekeyed("KSTREAM-KEY-SELECT-", self.value.clone(), move |next, cx, key, value| {
            next.forward(cx, &f(key, value), value)
        })
    }
    /// Sees each record on its way.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// let (tell, told) = std::sync::mpsc::channel();
    /// numbers.peek(move |_, n| tell.send(*n).expect("heard")).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 7)]);
    /// assert_eq!(told.try_iter().collect::<Vec<_>>(), [7]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn peek(&self, f: impl Fn(&K, &V) + Send + Sync + 'static) -> KStream<K, V> {
        self.same("KSTREAM-PEEK-", move |next, cx, key, value| {
            f(key, value);
            next.forward(cx, key, value)
        })
    }
    /// Ends here. Under exactly once a record may be seen again after a crash.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// let (tell, told) = std::sync::mpsc::channel();
    /// numbers.for_each(move |_, n| tell.send(*n).expect("heard"));
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// assert_eq!(told.try_iter().collect::<Vec<_>>(), [7]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn for_each(&self, f: impl Fn(&K, &V) + Send + Sync + 'static) {
        self.then::<K, V, _>("KSTREAM-FOREACH-", move |_, _, key, value| {
            f(key, value);
            Ok(())
        });
    }

    /// The records of both, by time as far as their topics allow it.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// let (small, large) = (numbers.filter(|_, n| *n < 5), numbers.filter(|_, n| *n > 50));
    /// small.merge(&large).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 9, Timestamp(1));
    /// driver.pipe_input(&input, "a".to_owned(), 99, Timestamp(2));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 1), ("a".to_owned(), 99)]);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn merge(&self, other: &KStream<K, V>) -> KStream<K, V> {
        if !self.draft.is(&other.draft) {
            let error = Error::topology("`merge` of streams of two builders");
            self.draft.mistake(Location::caller(), error.help("read both topics with one `StreamsBuilder`"));
            return self.clone();
        }
        let name = self.draft.numbered("KSTREAM-MERGE-");
        let node = self.draft.processor(name, &[self.from, other.from], pass::<K, V>());
        KStream {
            draft: self.draft.clone(),
            from: (node, Port::Main),
            key: self.key.clone().or_else(|| other.key.clone()),
            value: self.value.clone().or_else(|| other.value.clone()),
            lineage: self.lineage.merge(&other.lineage),
        }
    }

    /// Names the node that made this stream. Other nodes keep their names.
    ///
    /// ```
    /// # use highwater::{*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.filter(|_, n| *n > 1).named("several").to("out", Produced::default());
    /// assert!(builder.build()?.describe().contains("Processor: several (stores: [])"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn named(&self, node: &str) -> KStream<K, V> {
        self.draft.rename(self.from.0, node);
        self.clone()
    }

    /// Adds a node below this stream.
    pub(super) fn then<K2: 'static, V2: 'static, F>(&self, prefix: &str, call: F) -> NodeId
    where
        F: Fn(&Stage<K2, V2>, &mut Cx<'_>, &K, &V) -> Result<()> + Send + Sync + 'static,
    {
        self.then_as(self.draft.numbered(prefix), call)
    }
    pub(super) fn then_as<K2: 'static, V2: 'static, F>(&self, name: Arc<str>, call: F) -> NodeId
    where
        F: Fn(&Stage<K2, V2>, &mut Cx<'_>, &K, &V) -> Result<()> + Send + Sync + 'static,
    {
        let call = Arc::new(call);
        let factory: Factory = Box::new(move |wiring| {
            let stage = Stage { node: wiring.name()?, outputs: wiring.outputs(Port::Main)? };
            wiring.put_sink::<K, V>(Rc::new(RefCell::new(Stateless { call: call.clone(), stage })));
            Ok(())
        });
        self.draft.processor(name, &[self.from], factory)
    }

    /// The same records or fewer.
    pub(super) fn same<F>(&self, prefix: &str, call: F) -> KStream<K, V>
    where
        F: Fn(&Stage<K, V>, &mut Cx<'_>, &K, &V) -> Result<()> + Send + Sync + 'static,
    {
        let node = self.then(prefix, call);
        KStream { from: (node, Port::Main), ..self.clone() }
    }
    /// The same keys with other values.
    pub(super) fn revalued<V2: 'static, F>(&self, prefix: &str, call: F) -> KStream<K, V2>
    where
        F: Fn(&Stage<K, V2>, &mut Cx<'_>, &K, &V) -> Result<()> + Send + Sync + 'static,
    {
        let node = self.then(prefix, call);
        self.with_values(node)
    }
    pub(super) fn with_values<V2>(&self, node: NodeId) -> KStream<K, V2> {
        let Self { draft, key, lineage, .. } = self.clone();
        KStream { draft, from: (node, Port::Main), key, value: None, lineage }
    }
    /// Other keys, and the value's codec if it is the same value.
    pub(super) fn rekeyed<K2: 'static, V2: 'static, F>(
        &self,
        prefix: &str,
        value: Option<Arc<dyn Codec<V2>>>,
        call: F,
    ) -> KStream<K2, V2>
    where
        F: Fn(&Stage<K2, V2>, &mut Cx<'_>, &K, &V) -> Result<()> + Send + Sync + 'static,
    {
        let node = self.then(prefix, call);
        self.with_keys(node, value)
    }
    pub(super) fn with_keys<K2, V2>(
        &self,
        node: NodeId,
        value: Option<Arc<dyn Codec<V2>>>,
    ) -> KStream<K2, V2> {
        let (draft, lineage) = (self.draft.clone(), self.lineage.rekeyed());
        KStream { draft, from: (node, Port::Main), key: None, value, lineage }
    }
}

impl<K: 'static, V: 'static> KStream<NullableKey<K>, V> {
    /// Leaves records without a key out, counted as dropped; the rest stay where they are.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*, serdes::Utf8}; let builder = StreamsBuilder::new();
    /// let lines = builder.stream("in", Consumed::with(Utf8, Utf8).null_keys());
    /// lines.drop_missing_keys().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<NullableKey<String>, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, String>::default());
    /// driver.pipe_input(&input, None.into(), "1".to_owned(), Timestamp(0));
    /// driver.pipe_input(&input, Some("a".to_owned()).into(), "2".to_owned(), Timestamp(1));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), "2".to_owned())]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn drop_missing_keys(&self) -> KStream<K, V> {
        let node = self.then::<K, V, _>("KSTREAM-FILTER-", |next, cx, key, value| {
            if let Some(key) = &key.0 {
                return next.forward(cx, key, value);
            }
            cx.effects.counts.dropped += 1;
            Ok(())
        });
        let key = self.key.as_deref().and_then(present_key);
        let Self { draft, value, lineage, .. } = self.clone();
        KStream { draft, from: (node, Port::Main), key, value, lineage }
    }
}

/// A node that forwards everything.
pub(super) fn pass<K: 'static, V: 'static>() -> Factory {
    Box::new(|wiring| {
        let outputs = wiring.outputs(Port::Main)?;
        wiring.put_sink::<K, V>(Rc::new(RefCell::new(Pass(outputs))));
        Ok(())
    })
}
