//! Windows of windows: finals of child windows into the windows that contain them.

use super::draft::{Line, StoreOf, Traits};
use super::grouping::max_pending;
use super::kstream::KStream;
use super::ktable::KTable;
use super::lineage::{Lineage, Results, WindowsAbove};
use super::materialized::Materialized;
use super::windowed::{Sides, check, describe};
use crate::error::{BoxError, Error};
use crate::processor::{Absorb, Children, Incomplete, RollUp, RollUpOutputs, RollUpSpec, Rolled};
use crate::serdes::{Codec, Key, WindowForm, key_inside, windowed};
use crate::state::{Readable, Table, shown};
use crate::time::{NodeTime, Windowed, Windows, millis};
use crate::topology::{Factory, Kind, NodeId, Port};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

impl<K: Key, V: 'static> KStream<Windowed<K>, V> {
    /// From finals of smaller windows to larger ones of the same key. A child is its window: the first counts, a repeat
    /// is dropped and counted. A parent is a window that contains the child whole.
    ///
    /// Live updates are an error of `build()`, and so is a grace smaller than the children's.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// let minute = || TimeWindows::of_size(minutes(1));
    /// let per_minute = numbers.group_by_key().windowed_by(minute()).count(Materialized::named("minutes"));
    /// let finals = per_minute.suppress(Suppressed::until_window_closes()).to_stream();
    /// finals
    ///     .roll_up(TimeWindows::of_size(minutes(3)))
    ///     .children(minute())
    ///     .aggregate(|| 0, |_, count, sum, _| *sum += count, Materialized::<u64>::named("three-minutes"))
    ///     .suppress(Suppressed::until_window_closes())
    ///     .to_stream()
    ///     .map(|window, sum| (window.window.start.as_millis() as u64, *sum))
    ///     .to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<u64, u64>::default());
    /// for at in [0, 60_000, 120_000, 180_000] {
    ///     driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(at));
    /// }
    /// assert_eq!(driver.read_output(&output), [(0, 3)]);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn roll_up(&self, parents: impl Windows<K>) -> RollUpKStream<K, V> {
        let (line, parents) = (Location::caller(), Arc::new(parents));
        check::<K>(&self.draft, &*parents, line);
        let above = self.finals_above(line);
        let key = match above.and_then(|above| above.of::<K>()) {
            Some(of) => of.key.clone(),
            None => key_inside(self.key_at_home("roll_up", line)),
        };
        if let Some(above) = above.filter(|above| parents.grace() < above.grace) {
            let (parent, child) = (millis(parents.grace()), millis(above.grace));
            let error = Error::topology(format!(
                "a roll-up with a grace of {parent} ms over windows with {child} ms"
            ))
            .cause("its windows would close before their children have come")
            .help(format!("give the parents a grace of at least {child} ms"));
            self.draft.mistake(line, error);
        }
        RollUpKStream {
            stream: self.clone(),
            parents,
            children: None,
            incomplete: Incomplete::default(),
            key,
            time: above.map_or_else(|| self.lineage.time.clone(), |above| above.time.clone()),
            sides: Sides::default(),
        }
    }

    /// The windows whose finals this stream holds; `None`: it comes from a topic of finals.
    fn finals_above(&self, line: Line) -> Option<&WindowsAbove> {
        let results = self.lineage.results.as_ref()?;
        if !results.finals {
            let error = Error::topology("`roll_up` of live updates")
                .cause("a parent counts each child once, so it needs the one final of each")
                .help("write `.suppress(Suppressed::until_window_closes())` before `.to_stream()`");
            self.draft.mistake(line, error);
        }
        Some(&results.above)
    }
}

/// Finals of child windows on their way into the windows that contain them. Feeds exactly one aggregate.
#[must_use = "a roll-up does nothing until it is aggregated"]
pub struct RollUpKStream<K, V> {
    stream: KStream<Windowed<K>, V>,
    parents: Arc<dyn Windows<K>>,
    children: Option<Arc<dyn Windows<K>>>,
    incomplete: Incomplete,
    key: Arc<dyn Codec<K>>,
    /// The children's own: a parent contains whole children, whose finals leave before the watermark that closed them.
    time: NodeTime,
    sides: Sides,
}

impl<K: Key, V: 'static> RollUpKStream<K, V> {
    /// The windows whose finals a parent waits for. With all of them it closes as soon as its end has passed; without
    /// this, at its end and grace only.
    #[track_caller]
    pub fn children(self, windows: impl Windows<K>) -> Self {
        check::<K>(&self.stream.draft, &windows, Location::caller());
        Self { children: Some(Arc::new(windows)), ..self }
    }
    /// What a parent does whose children are not all there when the watermark closes it.
    pub fn incomplete(self, incomplete: Incomplete) -> Self {
        Self { incomplete, ..self }
    }

    /// Children whose parent had closed, with their own window.
    #[track_caller]
    pub fn late(&self) -> KStream<Windowed<K>, V> {
        let node = self.sides.late::<Windowed<K>, V>(&self.stream.draft, Location::caller());
        self.side(node)
    }
    /// Children that no parent contains.
    #[track_caller]
    pub fn outside(&self) -> KStream<Windowed<K>, V> {
        let node = self.sides.outside::<Windowed<K>, V>(&self.stream.draft, Location::caller());
        self.side(node)
    }
    fn side(&self, node: NodeId) -> KStream<Windowed<K>, V> {
        let stream = self.stream.clone();
        let lineage = Lineage { results: None, ..stream.lineage };
        KStream { from: (node, Port::Main), lineage, ..stream }
    }

    /// `|child, value, aggregate, children|`: the child's key and window, and how many have come with it.
    pub fn aggregate<A: 'static>(
        self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&Windowed<K>, &V, &mut A, Children) + Send + Sync + 'static,
        store: Materialized<A>,
    ) -> KTable<Windowed<K>, A> {
        let absorb = move |child: &Windowed<K>, value: &V, aggregate: &mut A, children| {
            add(child, value, aggregate, children);
            Ok(())
        };
        self.fold(Arc::new(init), Arc::new(absorb), store)
    }
    /// [`aggregate`](Self::aggregate) with a closure that can fail.
    pub fn try_aggregate<A: 'static, E: Into<BoxError>>(
        self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&Windowed<K>, &V, &mut A, Children) -> Result<(), E> + Send + Sync + 'static,
        store: Materialized<A>,
    ) -> KTable<Windowed<K>, A> {
        let absorb = move |child: &Windowed<K>, value: &V, aggregate: &mut A, children| {
            add(child, value, aggregate, children).map_err(Into::into)
        };
        self.fold(Arc::new(init), Arc::new(absorb), store)
    }

    fn fold<A: 'static>(
        self,
        init: Arc<dyn Fn() -> A + Send + Sync>,
        absorb: Absorb<K, V, A>,
        store: Materialized<A>,
    ) -> KTable<Windowed<K>, A> {
        let Self { stream, parents, children, incomplete, key, time, sides } = self;
        let draft = &stream.draft;
        let name = draft.numbered("HIGHWATER-ROLLUP-");
        let size = parents.size();
        let state = Rolled::codec(store.value.clone());
        let form = WindowForm::in_store(size);
        let readable = Readable::windowed(key.clone(), form, shown(state.clone(), |rolled| rolled.value));
        let spec = StoreOf::of(&store, windowed(key.clone(), form), state);
        let id = draft.store(&spec, Some(readable));
        let details = [spec.details(), describe(&*parents)].concat();
        let above = WindowsAbove::new(parents.clone(), key.clone(), time.clone());
        let topic_key = windowed(key.clone(), WindowForm::on_topic(size));
        let (caching, retention, own_time) = (store.caching, store.retention, time.clone());
        let factory: Factory = Box::new(move |wiring| {
            let table = wiring.store::<Table<Windowed<K>, Rolled<A>>>(id)?;
            let outputs = RollUpOutputs {
                table: wiring.table_outputs()?,
                late: wiring.outputs(Port::Late)?,
                outside: wiring.outputs(Port::Outside)?,
            };
            let spec = RollUpSpec {
                node: wiring.name()?,
                parents: parents.clone(),
                children: children.clone(),
                incomplete,
                time: own_time.clone(),
                retention,
                key: key.clone(),
                init: init.clone(),
                absorb: absorb.clone(),
                max_pending: max_pending(caching, wiring.env().cache_bytes),
            };
            let node = Rc::new(RefCell::new(RollUp::new(spec, table, outputs)));
            wiring.put_sink::<Windowed<K>, V>(node.clone());
            wiring.put_node(node);
            Ok(())
        });
        let traits = Traits { stores: vec![id], uses_time: true, details, ..Traits::default() };
        let node = draft.add(name, Kind::Processor, &[stream.from], traits, factory);
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
