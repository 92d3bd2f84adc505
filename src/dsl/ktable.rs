//! Tables: the latest value per key.

use super::draft::{Draft, Line, StoreOf, Traits};
use super::gap_fill::GapFill;
use super::kstream::KStream;
use super::lineage::{Lineage, Results};
use super::materialized::Materialized;
use super::suppressed::{Suppressed, Until};
use crate::error::{Error, Result};
use crate::processor::{
    BufferBound, BufferedCodec, FillGaps, FillGapsSpec, Filler, FilterTable, MapTable, Predicate,
    SuppressFinal, SuppressTime, SuppressTimeSpec, TableSink, ToChangelog, ToStream,
};
use crate::serdes::{Codec, Key, optional, unknown};
use crate::state::Table;
use crate::time::{NodeTime, Windowed};
use crate::topology::{Factory, Kind, NodeId, Port, Wiring};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The latest value per key. Cheap to clone; using it twice does not compute it twice.
///
/// What leaves a table is live: of a key's updates the latest, soon (see
/// [`Materialized::caching`](crate::Materialized::caching)). The one final of each window takes
/// [`suppress`](Self::suppress); live and final come from one aggregation and one store:
///
/// ```
/// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
/// # let clicks: KStream<String, u64> = builder.stream("in", Consumed::default());
/// let per_minute = clicks
///     .group_by_key()
///     .windowed_by(TimeWindows::of_size(minutes(1)))
///     .count(Materialized::named("per-minute"));
/// let start = |minute: &Windowed<String>, count: &u64| (minute.window.start.as_millis() as u64, *count);
/// per_minute.to_stream().map(start).to("live", Produced::default());
/// per_minute.suppress(Suppressed::until_window_closes()).to_stream().map(start).to("final", Produced::default());
///
/// # let mut driver = TopologyTestDriver::new(builder.build()?);
/// # let input = driver.input_topic("in", Produced::<String, u64>::default());
/// # let live = driver.output_topic("live", Consumed::<u64, u64>::default());
/// # let finals = driver.output_topic("final", Consumed::<u64, u64>::default());
/// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
/// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(1));
/// assert_eq!(driver.read_output(&live).last(), Some(&(0, 2)));
/// assert_eq!(driver.read_output(&finals), []);
/// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(60_000));
/// assert_eq!(driver.read_output(&finals), [(0, 2)]);
/// # Ok::<(), Error>(())
/// ```
#[must_use = "a table that nothing reads only keeps its store"]
pub struct KTable<K, V> {
    pub(super) draft: Draft,
    pub(super) node: NodeId,
    pub(super) key: Option<Arc<dyn Codec<K>>>,
    pub(super) value: Option<Arc<dyn Codec<V>>>,
    /// The time that the table's own windows see.
    pub(super) time: NodeTime,
    pub(super) results: Option<Results>,
    /// Updates are held back above.
    pub(super) suppressed: bool,
}

impl<K, V> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            draft: self.draft.clone(),
            node: self.node,
            key: self.key.clone(),
            value: self.value.clone(),
            time: self.time.clone(),
            results: self.results.clone(),
            suppressed: self.suppressed,
        }
    }
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// The rows for which the closure holds; a row that no longer fits is deleted below.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// # let counts = numbers.group_by_key().count(Materialized::named("counts"));
    /// counts.filter(|_, count| *count > 1).to_stream().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(1));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 2)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn filter(&self, f: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KTable<K, V> {
        let keep: Predicate<K, V> = Arc::new(f);
        let node = self.then("KTABLE-FILTER-", move |wiring| {
            let node = FilterTable { keep: keep.clone(), outputs: wiring.table_outputs()? };
            put::<K, V>(wiring, node);
            Ok(())
        });
        KTable { node, ..self.clone() }
    }

    /// Other values for the same keys. Marks of finals pass.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// # let counts = numbers.group_by_key().count(Materialized::named("counts"));
    /// counts.map_values(|count| format!("{count} times")).to_stream().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, String>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(1));
    /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), "2 times".to_owned())));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn map_values<V2: 'static>(&self, f: impl Fn(&V) -> V2 + Send + Sync + 'static) -> KTable<K, V2> {
        let map: Arc<dyn Fn(&V) -> V2 + Send + Sync> = Arc::new(f);
        let node = self.then("KTABLE-MAPVALUES-", move |wiring| {
            let node: MapTable<V, V2, K> = MapTable { map: map.clone(), outputs: wiring.table_outputs()? };
            put::<K, V>(wiring, node);
            Ok(())
        });
        let Self { draft, key, time, results, suppressed, .. } = self.clone();
        KTable { draft, node, key, value: None, time, results, suppressed }
    }

    /// Every update as a record, live and conflated. Deletions are left out.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// # let counts = numbers.group_by_key().count(Materialized::named("counts"));
    /// counts.to_stream().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(1));
    /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 2)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn to_stream(&self) -> KStream<K, V> {
        let node = self.then("KTABLE-TOSTREAM-", |wiring| {
            let outputs = wiring.outputs::<K, V>(Port::Main)?;
            put::<K, V>(wiring, ToStream(outputs));
            Ok(())
        });
        self.stream_from(node, self.value.clone())
    }

    /// As [`to_stream`](Self::to_stream), with deletions as `None`.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// # let latest = numbers.to_table(Materialized::named("latest"));
    /// latest.filter(|_, n| *n < 10).to_changelog().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, Option<u64>>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), Some(7))]);
    /// driver.pipe_input(&input, "a".to_owned(), 70, Timestamp(1));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), None)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn to_changelog(&self) -> KStream<K, Option<V>>
    where
        V: Clone,
    {
        let node = self.then("KTABLE-TOSTREAM-", |wiring| {
            let outputs = wiring.outputs::<K, Option<V>>(Port::Main)?;
            put::<K, V>(wiring, ToChangelog(outputs));
            Ok(())
        });
        self.stream_from(node, self.value.clone().map(optional))
    }

    fn stream_from<V2>(&self, node: NodeId, value: Option<Arc<dyn Codec<V2>>>) -> KStream<K, V2> {
        let results = self.results.clone();
        let time = results.as_ref().map_or_else(|| self.time.clone(), |results| results.above.below());
        let (draft, key) = (self.draft.clone(), self.key.clone());
        let lineage = Lineage { time, rekeyed: false, results };
        KStream { draft, from: (node, Port::Main), key, value, lineage }
    }

    /// Holds updates back: until a window closes, or for a while.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// # let counts = numbers.group_by_key().count(Materialized::named("counts").caching(false));
    /// let soon = counts.suppress(Suppressed::until_time_limit(seconds(10), Materialized::named("soon")));
    /// soon.to_stream().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(9000));
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(10000));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 3)]);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn suppress(&self, suppressed: Suppressed<K, V>) -> KTable<K, V>
    where
        K: Key,
    {
        match suppressed.until {
            Until::WindowCloses => self.until_window_closes(Location::caller()),
            Until::TimeLimit { limit, bound, store } => self.until_time_limit(limit, bound, store),
        }
    }

    fn until_window_closes(&self, line: Line) -> KTable<K, V> {
        if let Some(error) = self.cannot_close() {
            self.draft.mistake(line, error);
        }
        let name = self.draft.numbered("KTABLE-SUPPRESS-");
        // Kafka Streams takes a second number for the buffer, which finals do not need.
        self.draft.burn();
        let factory: Factory = Box::new(|wiring| {
            let outputs = wiring.table_outputs()?;
            put::<K, V>(wiring, SuppressFinal(outputs));
            Ok(())
        });
        let traits = Traits { has_finals: true, ..Traits::default() };
        let node = self.draft.add(name, Kind::Processor, &[(self.node, Port::Main)], traits, factory);
        let results = self.results.clone().map(|results| Results { finals: true, ..results });
        KTable { node, results, suppressed: true, ..self.clone() }
    }

    fn cannot_close(&self) -> Option<Error> {
        match &self.results {
            None => Some(
                Error::topology("`until_window_closes` where nothing above says which windows the keys are")
                    .help("put `.windowed_by(..)` before the aggregation"),
            ),
            Some(results) if results.finals => Some(
                Error::topology("`until_window_closes` of finals")
                    .help("the table holds finals already: leave it out"),
            ),
            Some(_) => None,
        }
    }

    fn until_time_limit(&self, limit: Duration, bound: BufferBound, store: Materialized<V>) -> KTable<K, V>
    where
        K: Key,
    {
        let key = self.key.clone().unwrap_or_else(unknown);
        let spec = StoreOf::of(&store, key.clone(), Arc::new(BufferedCodec));
        let id = self.draft.store(&spec, None);
        let details = vec![("key", key.describe()), ("value", store.value.describe())];
        let (value, time) = (store.value.clone(), self.time.clone());
        let factory: Factory = Box::new(move |wiring| {
            let table = wiring.store::<Table<K, _>>(id)?;
            let (key, value, time) = (key.clone(), value.clone(), time.clone());
            let spec = SuppressTimeSpec { node: wiring.name()?, limit, bound, time, key, value };
            let node = Rc::new(RefCell::new(SuppressTime::new(spec, table, wiring.table_outputs()?)));
            wiring.put_table_sink::<K, V>(node.clone());
            wiring.put_node(node);
            Ok(())
        });
        let traits = Traits { stores: vec![id], uses_time: true, details, ..Traits::default() };
        let name = store.name.clone();
        let node = self.draft.add(name, Kind::Processor, &[(self.node, Port::Main)], traits, factory);
        KTable { node, value: Some(store.value), suppressed: true, ..self.clone() }
    }

    /// Names the node that made this table. Other nodes keep their names.
    ///
    /// ```
    /// # use highwater::{*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// # let counts = numbers.group_by_key().count(Materialized::named("counts"));
    /// counts.named("count-all").to_stream().to("out", Produced::default());
    /// assert!(builder.build()?.describe().contains("Processor: count-all (stores: [counts])"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn named(&self, node: &str) -> KTable<K, V> {
        self.draft.rename(self.node, node);
        self.clone()
    }

    fn then(
        &self,
        prefix: &str,
        make: impl Fn(&mut Wiring<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> NodeId {
        let name = self.draft.numbered(prefix);
        self.draft.processor(name, &[(self.node, Port::Main)], Box::new(make))
    }
}

fn put<K: 'static, V: 'static>(wiring: &mut Wiring<'_>, node: impl TableSink<K, V> + 'static) {
    wiring.put_table_sink::<K, V>(Rc::new(RefCell::new(node)));
}

impl<K: Key, A: 'static> KTable<Windowed<K>, A> {
    /// As if every known key had a record in every window; a real one replaces the filler. It follows the watermark and
    /// never moves it. `store` knows the keys.
    ///
    /// Over overlapping windows, behind `suppress`, and where nothing above defines the windows it is an error of
    /// `build()`.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// # let per_minute = numbers.group_by_key().windowed_by(TimeWindows::of_size(minutes(1))).count(Materialized::named("per-minute"));
    /// let filled = per_minute.fill_gaps(GapFill::with(|_| 0), Materialized::named("known"));
    /// filled
    ///     .suppress(Suppressed::until_window_closes())
    ///     .to_stream()
    ///     .map(|minute, count| (minute.window.start.as_millis() as u64, *count))
    ///     .to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<u64, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(180000));
    /// assert_eq!(driver.read_output(&output), [(0, 1), (60_000, 0), (120_000, 0)]);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn fill_gaps(&self, fill: GapFill<A>, store: Materialized<A>) -> KTable<Windowed<K>, A> {
        let name = self.draft.numbered("HIGHWATER-FILLGAPS-");
        let line = Location::caller();
        let Some(above) = self.results.as_ref().map(|results| &results.above) else {
            let error = Error::topology("`fill_gaps` where nothing above says which windows the keys are");
            self.draft.mistake(line, error.help("put `.windowed_by(..)` before the aggregation"));
            return self.clone();
        };
        let Some(of) = above.of::<K>() else { return self.clone() };
        if of.windows.overlapping() {
            let error = Error::topology("`fill_gaps` over overlapping windows")
                .cause("a time is in several of them, so a gap between them means nothing");
            self.draft.mistake(line, error.help("fill tumbling windows, or windows of a calendar"));
        }
        if self.suppressed {
            let error = Error::topology("`fill_gaps` behind `suppress`");
            self.draft
                .mistake(line, error.help("fill first: suppress passes the finals of quiet windows too"));
        }
        let spec = StoreOf::of(&store, of.key.clone(), Filler::codec(store.value.clone()));
        let (id, details) = (self.draft.store(&spec, None), spec.details());
        let (windows, key, time) = (of.windows.clone(), of.key.clone(), above.time.clone());
        let value = store.value.clone();
        let factory: Factory = Box::new(move |wiring| {
            let table = wiring.store::<Table<K, Filler<A>>>(id)?;
            let GapFill { quiet, every, jitter, forget_after } = &fill;
            let spec = FillGapsSpec {
                node: wiring.name()?,
                windows: windows.clone(),
                time: time.clone(),
                quiet: quiet.clone(),
                every: *every,
                jitter: *jitter,
                forget_after: *forget_after,
                key: key.clone(),
                value: value.clone(),
            };
            let node = Rc::new(RefCell::new(FillGaps::new(spec, table, wiring.table_outputs()?)));
            wiring.put_table_sink::<Windowed<K>, A>(node.clone());
            wiring.put_node(node);
            Ok(())
        });
        let traits = Traits { stores: vec![id], uses_time: true, details, ..Traits::default() };
        let node = self.draft.add(name, Kind::Processor, &[(self.node, Port::Main)], traits, factory);
        KTable { node, value: Some(store.value), ..self.clone() }
    }
}
