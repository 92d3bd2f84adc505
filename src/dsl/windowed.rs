//! Windows of records.

use super::aggregation::{Aggregation, aggregations};
use super::draft::{Draft, Line, StoreOf, Traits};
use super::grouping::max_pending;
use super::kgrouped_stream::{KGroupedStream, put_aggregate};
use super::kstream::{KStream, pass};
use super::ktable::KTable;
use super::lineage::{Lineage, Results, WindowsAbove};
use super::materialized::Materialized;
use crate::error::{BoxError, Error};
use crate::processor::{WindowAggregate, WindowAggregateSpec, WindowOutputs};
use crate::serdes::{Key, WindowForm, windowed};
use crate::state::{Readable, Table, shown};
use crate::time::{WindowSize, Windowed, Windows, millis};
use crate::topology::{Factory, Kind, NodeId, Port};
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// A grouped stream in windows. Feeds exactly one aggregate (its methods take `self`), so what is late has one meaning.
///
/// ```
/// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
/// # let clicks: KStream<String, u64> = builder.stream("in", Consumed::default());
/// let clicks = clicks.group_by_key().windowed_by(TimeWindows::of_size(minutes(1)).grace(seconds(5)));
/// clicks.late().map_values(|n| *n).to("late", Produced::default());
/// let per_minute = clicks.count(Materialized::named("per-minute"));
/// per_minute.to_stream().to("live", Produced::default());
///
/// # let mut driver = TopologyTestDriver::new(builder.build()?);
/// # let input = driver.input_topic("in", Produced::<String, u64>::default());
/// let minute = serdes::WindowedSerde::of(serdes::Utf8).size(minutes(1));
/// let late = driver.output_topic("late", Consumed::<Windowed<String>, u64>::with(minute, serdes::BigEndian));
/// for (n, at) in [(1, 0), (2, 65_000), (3, 59_999)] {
///     driver.pipe_input(&input, "a".to_owned(), n, Timestamp(at));
/// }
/// let missed = Windowed::new("a".to_owned(), Window::new(Timestamp(0), Timestamp(60_000)));
/// assert_eq!(driver.read_output(&late), [(missed, 3)]);
/// # Ok::<(), Error>(())
/// ```
#[must_use = "windows do nothing until they are aggregated"]
pub struct TimeWindowedKStream<K, V> {
    group: KGroupedStream<K, V>,
    windows: Arc<dyn Windows<K>>,
    sides: Sides,
}

aggregations!(TimeWindowedKStream => Windowed<K>, Self);

impl<K: Key, V: 'static> TimeWindowedKStream<K, V> {
    pub(super) fn new(group: KGroupedStream<K, V>, windows: Arc<dyn Windows<K>>, line: Line) -> Self {
        check(&group.stream.draft, &*windows, line);
        Self { group, windows, sides: Sides::default() }
    }

    /// Records whose window had closed, with that window; with their own timestamp, at once. Windows below them get no
    /// promise about lateness. Without an aggregate it is an error of `build()`.
    #[track_caller]
    pub fn late(&self) -> KStream<Windowed<K>, V> {
        let draft = &self.group.stream.draft;
        let node = self.sides.late::<Windowed<K>, V>(draft, Location::caller());
        let form = WindowForm::on_topic(self.windows.size());
        let (key, value) = (windowed(self.group.key.clone(), form), self.group.stream.value.clone());
        let lineage = Lineage { results: None, ..self.group.stream.lineage.at_home() };
        KStream { draft: draft.clone(), from: (node, Port::Main), key: Some(key), value, lineage }
    }

    /// Records that belong to no window, such as ticks outside the session.
    #[track_caller]
    pub fn outside(&self) -> KStream<K, V> {
        let draft = &self.group.stream.draft;
        let node = self.sides.outside::<K, V>(draft, Location::caller());
        let (key, value) = (self.group.key.clone(), self.group.stream.value.clone());
        let lineage = Lineage { results: None, ..self.group.stream.lineage.at_home() };
        KStream { draft: draft.clone(), from: (node, Port::Main), key: Some(key), value, lineage }
    }

    fn fold<S: 'static, A: 'static>(self, aggregation: Aggregation<K, V, S, A>) -> KTable<Windowed<K>, A> {
        let Aggregation { prefix, apply, view, show, state, store } = aggregation;
        let Self { group, windows, sides } = self;
        let draft = &group.stream.draft;
        let name = draft.numbered(prefix);
        let input = group.input();
        let (time, key) = (input.lineage.time.clone(), group.key.clone());
        let above = WindowsAbove::new(windows.clone(), key.clone(), time.clone());
        let size = windows.size();
        let form = WindowForm::in_store(size);
        let readable = Readable::windowed(key.clone(), form, shown(state.clone(), show));
        let spec = StoreOf::of(&store, windowed(key.clone(), form), state);
        let id = draft.store(&spec, Some(readable));
        let details = [spec.details(), describe(&*windows)].concat();
        let (caching, retention, nulls) = (store.caching, store.retention, group.nulls());
        let topic_key = windowed(key.clone(), WindowForm::on_topic(size));
        let node_time = time.clone();
        let factory: Factory = Box::new(move |wiring| {
            let table = wiring.store::<Table<Windowed<K>, S>>(id)?;
            let outputs = WindowOutputs {
                table: wiring.table_outputs()?,
                late: wiring.outputs(Port::Late)?,
                outside: wiring.outputs(Port::Outside)?,
            };
            let spec = WindowAggregateSpec {
                node: wiring.name()?,
                windows: windows.clone(),
                time: node_time.clone(),
                retention,
                key: key.clone(),
                apply: apply.clone(),
                view,
                max_pending: max_pending(caching, wiring.env().cache_bytes),
            };
            let node = Rc::new(RefCell::new(WindowAggregate::new(spec, table, outputs)));
            put_aggregate(wiring, node.clone(), nulls.clone());
            wiring.put_node(node);
            Ok(())
        });
        let traits = Traits { stores: vec![id], uses_time: true, details, ..Traits::default() };
        let node = draft.add(name, Kind::Processor, &[input.from], traits, factory);
        draft.meets(node);
        sides.leave(draft, node);
        KTable {
            draft: draft.clone(),
            node,
            key: Some(topic_key),
            value: Some(store.value),
            time,
            results: Some(Results { above, finals: false }),
            suppressed: false,
        }
    }
}

/// The side outputs of an aggregate that is still to come.
#[derive(Default)]
pub(super) struct Sides {
    late: Cell<Option<NodeId>>,
    outside: Cell<Option<NodeId>>,
}

impl Sides {
    pub(super) fn late<K: 'static, V: 'static>(&self, draft: &Draft, line: Line) -> NodeId {
        Self::node::<K, V>(&self.late, "HIGHWATER-LATE-", draft, line)
    }
    pub(super) fn outside<K: 'static, V: 'static>(&self, draft: &Draft, line: Line) -> NodeId {
        Self::node::<K, V>(&self.outside, "HIGHWATER-OUTSIDE-", draft, line)
    }
    fn node<K: 'static, V: 'static>(
        side: &Cell<Option<NodeId>>,
        prefix: &str,
        draft: &Draft,
        line: Line,
    ) -> NodeId {
        let node = side.get().unwrap_or_else(|| draft.side(draft.numbered(prefix), line, pass::<K, V>()));
        side.set(Some(node));
        node
    }
    /// The aggregate has come.
    pub(super) fn leave(&self, draft: &Draft, aggregate: NodeId) {
        for (side, port) in [(&self.late, Port::Late), (&self.outside, Port::Outside)] {
            if let Some(node) = side.get() {
                draft.link(node, aggregate, port);
            }
        }
    }
}

/// What is wrong with the windows themselves.
pub(super) fn check<K: 'static>(draft: &Draft, windows: &dyn Windows<K>, line: Line) {
    if let Err(cause) = windows.check() {
        draft.mistake(line, Error::topology("these windows are not possible").cause(cause));
    }
}

/// What decides how windows' state is read.
pub(super) fn describe<K: 'static>(windows: &dyn Windows<K>) -> Vec<(&'static str, String)> {
    let size = match windows.size() {
        WindowSize::Fixed(size) => format!("{} ms", millis(size)),
        WindowSize::AtMost(size) => format!("at most {} ms", millis(size)),
    };
    vec![("windows", size), ("grace", format!("{} ms", millis(windows.grace())))]
}
