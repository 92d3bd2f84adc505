//! A chain of stateful operators without a task: minutes, perhaps filled, and hours above them.

use super::super::*;
use crate::error::BoxError;
use crate::serdes::Codec;
use crate::state::{Batch, Disk, Entry, MemoryDisk, StoreChange, Table};
use crate::time::{NodeTime, TimeWindows, Window, Windowed, Windows, milliseconds as ms};
use std::time::Duration;

/// Text and numbers as text: bytes that order as they read.
struct Text;
impl Codec<String> for Text {
    fn write(&self, value: &String, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        out.extend_from_slice(value.as_bytes());
        Ok(true)
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<String, BoxError> {
        Ok(String::from_utf8(bytes.ok_or("null")?.to_vec())?)
    }
}
impl Codec<i64> for Text {
    fn write(&self, value: &i64, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        out.extend_from_slice(&value.to_be_bytes());
        Ok(true)
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<i64, BoxError> {
        Ok(i64::from_be_bytes(bytes.ok_or("null")?.try_into()?))
    }
}
impl Codec<Windowed<String>> for Text {
    fn write(&self, value: &Windowed<String>, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        out.extend_from_slice(value.key.as_bytes());
        out.extend_from_slice(&value.window.start.0.to_be_bytes());
        out.extend_from_slice(&value.window.end.0.to_be_bytes());
        Ok(true)
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<Windowed<String>, BoxError> {
        let bytes = bytes.ok_or("null")?;
        let (rest, end) = bytes.split_last_chunk::<8>().ok_or("short")?;
        let (key, start) = rest.split_last_chunk::<8>().ok_or("short")?;
        let window = Window::new(Timestamp(i64::from_be_bytes(*start)), Timestamp(i64::from_be_bytes(*end)));
        Ok(Windowed::new(String::from_utf8(key.to_vec())?, window))
    }
}

/// Writes down what reaches it.
struct Log(Rc<RefCell<Vec<String>>>, &'static str);
impl Sink<Windowed<String>, i64> for Log {
    fn process(&mut self, cx: &mut Cx<'_>, key: &Windowed<String>, value: &i64) -> Result<()> {
        let Window { start, end } = key.window;
        self.0
            .borrow_mut()
            .push(format!("{} {}[{},{})={value}@{}", self.1, key.key, start.0, end.0, cx.timestamp.0));
        Ok(())
    }
}

type Shared<T> = Rc<RefCell<T>>;

fn shared<T>(value: T) -> Shared<T> {
    Rc::new(RefCell::new(value))
}

/// minutes -> (fill) -> live and final -> hours -> live and final, in units of 10 and 30.
pub(super) struct Chain {
    pub(super) minutes: Shared<WindowAggregate<String, i64, i64, i64>>,
    pub(super) hours: Shared<RollUp<String, i64, i64>>,
    pub(super) nodes: Vec<SharedNode>,
    pub(super) stores: Vec<SharedStore>,
    pub(super) backend: crate::state::SharedBackend,
    pub(super) log: Shared<Vec<String>>,
    pub(super) effects: Effects,
    pub(super) watermark: Timestamp,
}

pub(super) struct Options {
    pub(super) grace: Duration,
    pub(super) parent_grace: Duration,
    pub(super) fill: Option<(Duration, Option<Duration>)>,
    pub(super) incomplete: Incomplete,
    pub(super) advance: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let grace = ms(5);
        Self { grace, parent_grace: grace, fill: None, incomplete: Incomplete::Emit, advance: ms(10) }
    }
}

impl Options {
    fn minute_windows(&self) -> Arc<dyn Windows<String>> {
        Arc::new(TimeWindows::of_size(ms(10)).advance_by(self.advance).grace(self.grace))
    }
}

/// Where the stores of a chain are, and where what leaves it is written down.
struct Site {
    backend: crate::state::SharedBackend,
    log: Shared<Vec<String>>,
}

impl Site {
    const STORES: [&'static str; 3] = ["minutes", "known", "hours"];

    fn on(disk: &MemoryDisk) -> Self {
        let task = crate::record::TaskId { subtopology: 0, partition: 0 };
        let backend = disk.open(task, &Self::STORES.map(Arc::from)).expect("opens");
        Self { backend, log: shared(Vec::new()) }
    }
    fn table<K: Clone + Eq + std::hash::Hash, S>(
        &self,
        at: usize,
        value: Arc<dyn Codec<S>>,
    ) -> Shared<Table<K, S>>
    where
        Text: Codec<K>,
    {
        let name = Self::STORES[at].into();
        shared(Table::new(name, (Arc::new(Text), value), self.backend.clone(), at, 1 << 20))
    }
    fn to(&self, name: &'static str) -> Edge<Windowed<String>, i64> {
        shared(Log(self.log.clone(), name))
    }
    fn live(&self, name: &'static str) -> TableEdge<Windowed<String>, i64> {
        shared(ToStream(Outputs(vec![self.to(name)])))
    }
    fn finals(to: Vec<Edge<Windowed<String>, i64>>) -> TableEdge<Windowed<String>, i64> {
        shared(SuppressFinal(TableOutputs(vec![shared(ToStream(Outputs(to)))])))
    }
}

fn hours(
    options: &Options,
    site: &Site,
    store: Shared<Table<Windowed<String>, Rolled<i64>>>,
) -> RollUp<String, i64, i64> {
    RollUp::new(
        RollUpSpec {
            node: "hours".into(),
            parents: Arc::new(TimeWindows::of_size(ms(30)).grace(options.parent_grace)),
            children: Some(Arc::new(TimeWindows::of_size(ms(10)))),
            incomplete: options.incomplete,
            time: NodeTime::IDENTITY,
            retention: Duration::ZERO,
            key: Arc::new(Text),
            init: Arc::new(|| 0),
            absorb: Arc::new(|_, child, sum, _| {
                *sum += child;
                Ok(())
            }),
            max_pending: 9,
        },
        store,
        RollUpOutputs {
            table: TableOutputs(vec![site.live("h"), Site::finals(vec![site.to("H")])]),
            late: Outputs(vec![site.to("hlate")]),
            outside: Outputs(vec![]),
        },
    )
}

fn filler(
    options: &Options,
    store: Shared<Table<String, Filler<i64>>>,
    outputs: Vec<TableEdge<Windowed<String>, i64>>,
) -> FillGaps<String, i64> {
    let (every, forget_after) = options.fill.unwrap_or_default();
    FillGaps::new(
        FillGapsSpec {
            node: "fill".into(),
            windows: options.minute_windows(),
            time: NodeTime::IDENTITY,
            quiet: Arc::new(|last| last % 100 + 100),
            every,
            jitter: Duration::ZERO,
            forget_after,
            key: Arc::new(Text),
            value: Arc::new(Text),
        },
        store,
        TableOutputs(outputs),
    )
}

fn minutes(
    options: &Options,
    site: &Site,
    store: Shared<Table<Windowed<String>, i64>>,
    outputs: Vec<TableEdge<Windowed<String>, i64>>,
) -> WindowAggregate<String, i64, i64, i64> {
    WindowAggregate::new(
        WindowAggregateSpec {
            node: "minutes".into(),
            windows: options.minute_windows(),
            time: NodeTime::IDENTITY,
            retention: Duration::ZERO,
            key: Arc::new(Text),
            apply: Arc::new(|_, value, _, state| {
                *state.get_or_insert(0) += value;
                Ok(())
            }),
            view: |sum| Some(sum),
            max_pending: 9,
        },
        store,
        WindowOutputs {
            table: TableOutputs(outputs),
            late: Outputs(vec![site.to("late")]),
            outside: Outputs(vec![]),
        },
    )
}

impl Chain {
    pub(super) fn new(disk: &MemoryDisk, options: &Options, watermark: Timestamp) -> Self {
        let site = Site::on(disk);
        let hours_store = site.table(2, Rolled::codec(Arc::new(Text)));
        let hours = shared(hours(options, &site, hours_store.clone()));
        let outputs = vec![site.live("m"), Site::finals(vec![site.to("M"), hours.clone()])];
        let known = site.table(1, Filler::codec(Arc::new(Text)));
        let filler = shared(filler(options, known.clone(), outputs.clone()));
        let store = site.table(0, Arc::new(Text));
        let outputs = if options.fill.is_some() { vec![filler.clone() as _] } else { outputs };
        let minutes = shared(minutes(options, &site, store.clone(), outputs));
        let mut chain = Self {
            minutes: minutes.clone(),
            hours: hours.clone(),
            nodes: vec![minutes, filler, hours],
            stores: vec![store, known, hours_store],
            backend: site.backend,
            log: site.log,
            effects: Effects::default(),
            watermark,
        };
        for (node, grace) in chain.nodes.iter().zip([options.grace, options.grace, options.parent_grace]) {
            let mut cx = Cx::quiet(Timestamp::MIN, Timestamp(0), &mut chain.effects);
            node.borrow_mut().restored(&mut cx, watermark.minus(grace)).expect("restores");
        }
        chain
    }

    pub(super) fn record(&mut self, key: &str, value: i64, at: i64) {
        let to = self.watermark.max(Timestamp(at));
        let mut cx = Cx::quiet(to, Timestamp(0), &mut self.effects);
        cx.timestamp = Timestamp(at);
        self.minutes.borrow_mut().process(&mut cx, &key.to_owned(), &value).expect("processes");
        self.advance(to.0);
    }

    pub(super) fn flush(&mut self) {
        let mut cx = Cx::quiet(self.watermark, Timestamp(0), &mut self.effects);
        self.nodes.iter().for_each(|node| node.borrow_mut().flush(&mut cx).expect("flushes"));
    }

    pub(super) fn advance(&mut self, to: i64) {
        let to = Timestamp(to);
        loop {
            let due = self.nodes.iter().map(|node| node.borrow().next_due()).min().expect("nodes");
            if due > to {
                break;
            }
            let at = due.max(self.watermark);
            for node in &self.nodes {
                let mut cx = Cx::quiet(self.watermark, Timestamp(0), &mut self.effects);
                while !node.borrow_mut().advance(&mut cx, at, &mut 1).expect("advances") {}
            }
            self.watermark = at;
        }
        self.watermark = self.watermark.max(to);
    }

    /// To a watermark in steps.
    pub(super) fn creep(&mut self, to: i64, step: i64) {
        let from = self.watermark.0.max(0);
        (from..to).step_by(step as usize).skip(1).for_each(|at| self.advance(at));
        self.advance(to);
    }

    pub(super) fn commit(&mut self) -> Vec<StoreChange> {
        self.flush();
        let (mut entries, mut all) = (Vec::new(), Vec::new());
        for (store, shared) in self.stores.iter().enumerate() {
            let mut changes = Vec::new();
            shared.borrow_mut().collect(&mut changes).expect("collects");
            entries.extend(changes.iter().map(|c| Entry { store, key: c.key.clone(), value: c.stored() }));
            all.extend(changes);
        }
        self.backend.borrow_mut().write(Batch { entries, checkpoint: None }).expect("writes");
        self.stores.iter().for_each(|store| store.borrow_mut().committed());
        all
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut *self.log.borrow_mut())
    }
}

pub(super) fn chain(options: &Options) -> Chain {
    Chain::new(&MemoryDisk::default(), options, Timestamp::MIN)
}
