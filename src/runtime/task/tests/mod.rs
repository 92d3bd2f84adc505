//! A task over real operators: ticks -> minutes (10, grace 5) -> finals -> hours (30, grace 5) -> finals.

mod advance;
mod failures;
mod idle;
mod markers;
mod order;

use super::*;
use crate::broker::{LogRecord, Offsets, Outgoing};
use crate::error::Result;
use crate::processor::{
    Cx, Edge, FillGaps, FillGapsSpec, Filler, Incomplete, Node, Outputs, RollUp, RollUpOutputs, RollUpSpec,
    Rolled, SharedNode, Sink, Source, SuppressFinal, TableEdge, TableOutputs, ToStream, WindowAggregate,
    WindowAggregateSpec, WindowOutputs,
};
use crate::record::Headers;
use crate::runtime::{Moment, OffsetMetadata};
use crate::serdes::{BigEndian, Codec, Utf8, WindowForm, both, windowed};
use crate::state::{Batch, Disk, Entry, MemoryDisk, SharedBackend, StoreChange, Table};
use crate::time::{NodeTime, TimeWindows, Timestamp, Windowed, Windows, milliseconds as ms};
use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;
use std::time::Duration;

pub(super) type Shared<T> = Rc<RefCell<T>>;
pub(super) fn shared<T>(value: T) -> Shared<T> {
    Rc::new(RefCell::new(value))
}

pub(super) const ID: TaskId = TaskId { subtopology: 1, partition: 0 };

/// What arrives, as text: `M a[0,10)=3`.
struct Log(Shared<Vec<String>>, &'static str);
impl Sink<Windowed<String>, i64> for Log {
    fn process(&mut self, _: &mut Cx<'_>, key: &Windowed<String>, value: &i64) -> Result<()> {
        let (start, end) = (key.window.start.0, key.window.end.0);
        self.0.borrow_mut().push(format!("{} {}[{start},{end})={value}", self.1, key.key));
        Ok(())
    }
}

/// The application's clock, the date and the machine's together.
pub(super) fn at(now: i64) -> Moment {
    Moment { now: Timestamp(now), date: Timestamp(now), machine: now }
}

pub(super) fn record(offset: i64, key: &str, value: i64, time: i64) -> LogRecord {
    LogRecord {
        offset,
        timestamp: Timestamp(time),
        key: Some(key.as_bytes().into()),
        value: Some(Arc::from(value.to_be_bytes())),
        headers: Headers::new(),
    }
}

pub(super) fn source(topic: &str, slot: usize, idle: Option<u64>) -> InputPlan {
    let kind = InputKind::Source { out_of_orderness: Duration::ZERO, idle_timeout: idle.map(ms) };
    InputPlan { partition: TopicPartition::new(topic, 0), source: 0, slot, kind }
}

/// What a topology is, and where its state lies; clones of the disk share it.
pub(super) struct Setup {
    pub(super) inputs: Vec<InputPlan>,
    pub(super) outputs: Vec<(Arc<str>, u32)>,
    pub(super) settings: TaskSettings,
    pub(super) judging: Judging,
    pub(super) disk: MemoryDisk,
    pub(super) log: Shared<Vec<String>>,
    pub(super) fill: bool,
    pub(super) forget_after: Option<Duration>,
    pub(super) retention: Duration,
    pub(super) live: bool,
    /// Put before the others.
    pub(super) extra: Option<SharedNode>,
}

impl Default for Setup {
    fn default() -> Self {
        let settings = TaskSettings { max_future_skew: None, max_task_idle: None, ..TaskSettings::default() };
        Self {
            inputs: vec![source("ticks", 0, None)],
            outputs: Vec::new(),
            settings,
            judging: Judging::default(),
            disk: MemoryDisk::default(),
            log: Shared::default(),
            fill: false,
            forget_after: Some(ms(200)),
            retention: Duration::ZERO,
            live: false,
            extra: None,
        }
    }
}

const STORES: [&str; 3] = ["minutes", "known", "hours"];

/// A task beside its backend, which is committed as the runtime does it.
pub(super) struct Running {
    pub(super) task: Task,
    pub(super) log: Shared<Vec<String>>,
    backend: SharedBackend,
    commits: u64,
}

impl Setup {
    pub(super) fn start(&self) -> Running {
        self.start_at(&Offsets::new(), 0)
    }

    /// From what a group has, with whatever is on the disk.
    pub(super) fn start_at(&self, offsets: &Offsets, now: i64) -> Running {
        self.try_start(offsets, now).expect("starts")
    }

    pub(super) fn try_start(&self, offsets: &Offsets, now: i64) -> Result<Running> {
        let names = STORES.map(Arc::from);
        let backend = self.disk.open(ID, &names)?;
        let checkpoint = backend.borrow().checkpoint()?;
        let inputs = self.inputs.iter().map(|input| match offsets.get(&input.partition) {
            Some(committed) => SavedInput {
                position: committed.offset,
                metadata: OffsetMetadata::decode(&committed.metadata),
            },
            None => SavedInput::default(),
        });
        let saved = Saved {
            inputs: inputs.collect(),
            checkpoint: checkpoint.map(|bytes| serde_json::from_slice(&bytes).expect("a checkpoint")),
        };
        let plan = TaskPlan {
            id: ID,
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            changelogs: Vec::new(),
            judging: self.judging.clone(),
        };
        let graph = self.graph(&backend, &names);
        let task = Task::new(plan, graph, self.settings.clone(), &saved, at(now))?;
        Ok(Running { task, log: self.log.clone(), backend, commits: 0 })
    }

    fn graph(&self, backend: &SharedBackend, names: &[Arc<str>; 3]) -> TaskGraph {
        let hours_key = windowed(text(), WindowForm::StartSequence(ms(30)));
        let hours_store = table(backend, names, 2, (hours_key, Rolled::codec(number())));
        let hours = shared(self.hours(hours_store.clone()));
        let finals = shared(ToStream(Outputs(vec![self.to("M"), hours.clone()])));
        let mut below: Vec<TableEdge<Windowed<String>, i64>> = Vec::new();
        if self.live {
            below.push(shared(ToStream(Outputs(vec![self.to("m")]))));
        }
        below.push(shared(SuppressFinal(TableOutputs(vec![finals]))));
        let known_store = table(backend, names, 1, (text(), Filler::codec(number())));
        let filler = shared(filler(known_store.clone(), self.forget_after, TableOutputs(below.clone())));
        if self.fill {
            below = vec![filler.clone()];
        }
        let minutes_key = windowed(text(), WindowForm::StartSequence(ms(10)));
        let minutes_store = table(backend, names, 0, (minutes_key, number()));
        let minutes = shared(self.minutes(minutes_store.clone(), TableOutputs(below)));
        let source = Source {
            node: "ticks-source".into(),
            key: text(),
            value: number(),
            extract: None,
            slots: Vec::new(),
            outputs: Outputs(vec![minutes.clone()]),
        };
        let mut nodes: Vec<SharedNode> = self.extra.iter().cloned().collect();
        nodes.push(minutes);
        nodes.extend(self.fill.then_some(filler as SharedNode));
        nodes.push(hours);
        TaskGraph {
            inputs: vec![Box::new(source)],
            nodes,
            stores: vec![minutes_store, known_store, hours_store],
        }
    }

    fn to(&self, name: &'static str) -> Edge<Windowed<String>, i64> {
        shared(Log(self.log.clone(), name))
    }

    fn minutes(
        &self,
        store: Shared<Table<Windowed<String>, i64>>,
        below: TableOutputs<Windowed<String>, i64>,
    ) -> WindowAggregate<String, i64, i64, i64> {
        let spec = WindowAggregateSpec {
            node: "minutes".into(),
            windows: windows(10),
            time: NodeTime::IDENTITY,
            retention: self.retention,
            key: text(),
            apply: Arc::new(|_, value, _, sum| match value {
                -13 => Err("thirteen".into()),
                -66 => panic!("sixty-six"),
                value => {
                    *sum.get_or_insert(0) += value;
                    Ok(())
                }
            }),
            view: |sum| Some(sum),
            max_pending: 1 << 20,
        };
        let late = Outputs(vec![self.to("late")]);
        WindowAggregate::new(spec, store, WindowOutputs { table: below, late, outside: Outputs(vec![]) })
    }

    fn hours(&self, store: Shared<Table<Windowed<String>, Rolled<i64>>>) -> RollUp<String, i64, i64> {
        let spec = RollUpSpec {
            node: "hours".into(),
            parents: windows(30),
            children: Some(windows(10)),
            incomplete: Incomplete::Emit,
            time: NodeTime::IDENTITY,
            retention: self.retention,
            key: text(),
            init: Arc::new(|| 0),
            absorb: Arc::new(|_, child, sum, _| {
                *sum += child;
                Ok(())
            }),
            max_pending: 1 << 20,
        };
        let finals = shared(SuppressFinal(TableOutputs(vec![shared(ToStream(Outputs(vec![self.to("H")])))])));
        let late = Outputs(vec![self.to("hlate")]);
        let outputs = RollUpOutputs { table: TableOutputs(vec![finals]), late, outside: Outputs(vec![]) };
        RollUp::new(spec, store, outputs)
    }
}

fn filler(
    store: Shared<Table<String, Filler<i64>>>,
    forget_after: Option<Duration>,
    below: TableOutputs<Windowed<String>, i64>,
) -> FillGaps<String, i64> {
    let spec = FillGapsSpec {
        node: "fill".into(),
        windows: windows(10),
        time: NodeTime::IDENTITY,
        quiet: Arc::new(|last| last % 1000 + 1000),
        every: ms(3),
        jitter: ms(4),
        forget_after,
        key: text(),
        value: number(),
    };
    FillGaps::new(spec, store, below)
}

fn text() -> Arc<dyn Codec<String>> {
    both(Utf8)
}
fn number() -> Arc<dyn Codec<i64>> {
    both(BigEndian)
}
fn windows(size: u64) -> Arc<dyn Windows<String>> {
    Arc::new(TimeWindows::of_size(ms(size)).grace(ms(5)))
}
fn table<K: Clone + Eq + Hash, V>(
    backend: &SharedBackend,
    names: &[Arc<str>; 3],
    at: usize,
    codecs: (Arc<dyn Codec<K>>, Arc<dyn Codec<V>>),
) -> Shared<Table<K, V>> {
    shared(Table::new(names[at].clone(), codecs, backend.clone(), at, 1 << 20))
}

impl Running {
    /// Records of the first input, one after the other, all work done between them.
    pub(super) fn feed(&mut self, records: &[(i64, &str, i64, i64)], now: i64) {
        for &(offset, key, value, time) in records {
            self.task.receive(0, vec![record(offset, key, value, time)], offset + 1);
            self.run(now);
        }
    }

    /// Until nothing is left to do.
    pub(super) fn run(&mut self, now: i64) {
        while self.task.run(at(now), 100).expect("runs").progressed {}
    }

    pub(super) fn taken(&mut self) -> Vec<String> {
        std::mem::take(&mut *self.log.borrow_mut())
    }

    pub(super) fn output(&mut self) -> Vec<Outgoing> {
        let mut out = Vec::new();
        self.task.take_output(&mut out);
        out
    }

    /// As the runtime: live updates, markers, positions, one batch to the disk.
    pub(super) fn commit(&mut self, now: i64) -> Offsets {
        self.commits += 1;
        self.task.flush(at(now)).expect("flushes");
        self.task.markers(at(now), true);
        let offsets = self.task.commit_offsets(self.commits, &[]);
        let checkpoint = serde_json::to_vec(&self.task.checkpoint()).expect("writes");
        let mut batch = Batch { entries: Vec::new(), checkpoint: Some(checkpoint) };
        for (index, store) in self.task.stores().iter().enumerate() {
            let mut changes: Vec<StoreChange> = Vec::new();
            store.borrow_mut().collect(&mut changes).expect("collects");
            batch.entries.extend(changes.into_iter().map(|change| Entry {
                store: index,
                key: change.key.clone(),
                value: change.stored(),
            }));
        }
        self.backend.borrow_mut().write(batch).expect("writes");
        self.task.stores().iter().for_each(|store| store.borrow_mut().committed());
        offsets
    }

    /// Answers every question that is due with this log end.
    pub(super) fn answer(&mut self, now: i64, end: i64) -> usize {
        let questions = self.task.questions(at(now));
        for question in &questions {
            self.task.answered(question, Timestamp(now), end);
        }
        questions.len()
    }
}

/// Seeded chance.
pub(super) struct Chance(pub(super) u64);
impl Chance {
    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}
