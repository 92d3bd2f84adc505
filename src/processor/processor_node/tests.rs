//! Processors under a hand-made task: records, both clocks, stores, what goes wrong.

use super::super::{Cancellable, Edge, Effects, FixedKey, FixedKeyProcessor, FixedKeyProcessorContext};
use super::*;
use crate::error::ErrorKind;
use crate::record::{Headers, RecordMetadata, TopicPartition};
use crate::serdes::{BigEndian, Utf8};
use crate::state::{
    Batch, Disk, Entry, KeyValueStore, MemoryDisk, Shared, SharedBackend, SharedStore, StateStore,
};
use crate::state::{StoreBuilder, StoreSite, WindowStore};
use crate::time::{Window, milliseconds as ms};
use std::cell::RefCell;
use std::time::Duration;

const TASK: TaskId = TaskId { subtopology: 1, partition: 2 };

/// Writes down what reaches it; fails on the value -1.
#[derive(Default)]
struct Log(Vec<String>);

impl Sink<String, i64> for Log {
    fn process(&mut self, cx: &mut Cx<'_>, key: &String, value: &i64) -> Result<()> {
        if *value == -1 {
            return Err(Error::new(ErrorKind::Production, "below"));
        }
        let header =
            cx.headers.last("h").flatten().map_or("", |value| std::str::from_utf8(value).expect("text"));
        self.0.push(format!("{key}={value}@{}{header}", cx.timestamp.0));
        Ok(())
    }
}

/// A node, what left it, and the two clocks.
struct Bench<P: Processor<KOut = String, VOut = i64>> {
    node: ProcessorNode<P>,
    log: Rc<RefCell<Log>>,
    effects: Effects,
    now: i64,
}

impl<P: Processor<KIn = String, VIn = i64, KOut = String, VOut = i64>> Bench<P> {
    fn of(processor: P, stores: Vec<Rc<dyn Attached>>) -> Self {
        let log = Rc::new(RefCell::new(Log::default()));
        let outputs = Outputs(vec![log.clone() as Edge<String, i64>]);
        let node = ProcessorNode::new("once".into(), TASK, processor, stores, outputs);
        Self { node, log, effects: Effects::default(), now: 100 }
    }
    fn started(processor: P, stores: Vec<Rc<dyn Attached>>) -> Self {
        let mut bench = Self::of(processor, stores);
        bench.start().expect("starts");
        bench
    }
    fn start(&mut self) -> Result<()> {
        let mut cx = Cx::quiet(Timestamp::MIN, Timestamp(self.now), &mut self.effects);
        self.node.restored(&mut cx, Timestamp::MIN)
    }
    fn record(&mut self, key: &str, value: i64, at: i64) -> Result<()> {
        let metadata = RecordMetadata { source: TopicPartition::new("in", 2), offset: at };
        let mut headers = Headers::new();
        headers.push("h", Some("!"));
        let mut cx = Cx::quiet(Timestamp(at), Timestamp(self.now), &mut self.effects);
        (cx.timestamp, cx.headers, cx.metadata) = (Timestamp(at), &headers, Some(&metadata));
        self.node.process(&mut cx, &key.to_owned(), &value)
    }
    /// As the task does: expiry, then punctuators, if they are due.
    fn advance(&mut self, watermark: i64) -> Result<()> {
        let watermark = Timestamp(watermark);
        let mut cx = Cx::quiet(Timestamp::MIN, Timestamp(self.now), &mut self.effects);
        if self.node.next_due() <= watermark {
            assert!(self.node.advance(&mut cx, watermark, &mut 1000)?);
        }
        if self.node.next_punctuation() <= watermark {
            self.node.punctuate(&mut cx, watermark)?;
        }
        Ok(())
    }
    fn clock(&mut self, now: i64) -> Result<()> {
        self.now = now;
        let mut cx = Cx::quiet(Timestamp(7), Timestamp(now), &mut self.effects);
        if self.node.next_wall_clock() <= Timestamp(now) {
            self.node.wall_clock(&mut cx)?;
        }
        Ok(())
    }
    fn left(&self) -> Vec<String> {
        std::mem::take(&mut self.log.borrow_mut().0)
    }
}

/// What a test's processor does in each of its methods.
type Step<'f> =
    Box<dyn FnMut(Record<'_, String, i64>, &mut ProcessorContext<'_, Scripted>) -> Result<(), BoxError> + 'f>;

struct Scripted {
    every: Option<(Duration, PunctuationType)>,
    handle: Option<Cancellable>,
    on_record: Step<'static>,
    /// Counts down to the tick in which it cancels itself.
    cancel_in: usize,
}

impl Scripted {
    fn ticking(every: Duration, clock: PunctuationType) -> Self {
        Self { every: Some((every, clock)), ..Self::doing(|_, _| Ok(())) }
    }
    fn doing(
        step: impl FnMut(Record<'_, String, i64>, &mut ProcessorContext<'_, Self>) -> Result<(), BoxError>
        + 'static,
    ) -> Self {
        Self { every: None, handle: None, on_record: Box::new(step), cancel_in: usize::MAX }
    }
    #[expect(clippy::unnecessary_wraps, reason = "a punctuator")]
    fn tick(&mut self, at: Timestamp, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        assert_eq!(ctx.metadata(), None);
        ctx.forward(Record::new(&"tick".to_owned(), &at.0, at));
        self.cancel_in -= 1;
        if self.cancel_in == 0 {
            self.handle.take().expect("scheduled").cancel();
        }
        Ok(())
    }
}

impl Processor for Scripted {
    type KIn = String;
    type VIn = i64;
    type KOut = String;
    type VOut = i64;
    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        assert_eq!((ctx.task_id(), ctx.watermark()), (TASK, Timestamp::MIN));
        if let Some((every, clock)) = self.every {
            self.handle = Some(ctx.schedule(every, clock, Self::tick));
        }
        Ok(())
    }
    fn process(
        &mut self,
        record: Record<'_, String, i64>,
        ctx: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        (self.on_record)(record, ctx)
    }
}

#[test]
fn forward_reaches_what_follows_at_once() {
    let seen = Rc::new(RefCell::new(None::<Rc<RefCell<Log>>>));
    let log = seen.clone();
    let mut bench = Bench::started(
        Scripted::doing(move |record, ctx| {
            let at = ctx.metadata().map(ToString::to_string);
            assert_eq!(
                (at.as_deref(), ctx.watermark(), ctx.now()),
                (Some("in-2@5"), Timestamp(5), Timestamp(100))
            );
            ctx.forward(record);
            ctx.forward(Record { timestamp: Timestamp(9), ..record.with_value(&2) });
            ctx.forward(Record::new(&"new".to_owned(), &3, Timestamp(4)));
            let left = log.borrow().as_ref().map(|log| log.borrow().0.len());
            assert_eq!(left, Some(3), "all have left before the call ends");
            Ok(())
        }),
        Vec::new(),
    );
    *seen.borrow_mut() = Some(bench.log.clone());
    bench.record("a", 1, 5).expect("processed");
    assert_eq!(bench.left(), ["a=1@5!", "a=2@9!", "new=3@4"]);
}

#[test]
fn the_watermark_fires_at_its_first_advance_then_at_multiples() {
    let mut bench = Bench::started(Scripted::ticking(ms(10), PunctuationType::Watermark), Vec::new());
    assert_eq!(bench.effects.alarm, Timestamp::MIN, "the task is told that any advance will do");
    for (watermark, ticks) in [
        (-3, vec!["tick=-3@-3"]),
        (-1, vec![]),
        (0, vec!["tick=0@0"]),
        (9, vec![]),
        (10, vec!["tick=10@10"]),
        (45, vec!["tick=45@45"]),
        (49, vec![]),
        (50, vec!["tick=50@50"]),
    ] {
        bench.advance(watermark).expect("punctuates");
        assert_eq!(bench.left(), ticks, "at {watermark}");
    }
}

#[test]
fn the_wall_clock_fires_first_after_one_interval() {
    let mut bench = Bench::started(Scripted::ticking(ms(10), PunctuationType::WallClock), Vec::new());
    assert_eq!(bench.node.next_wall_clock(), Timestamp(110));
    for (now, ticks) in [
        (100, vec![]),
        (109, vec![]),
        (110, vec!["tick=110@110"]),
        (111, vec![]),
        (145, vec!["tick=145@145"]),
        (149, vec![]),
        (150, vec!["tick=150@150"]),
    ] {
        bench.clock(now).expect("punctuates");
        assert_eq!(bench.left(), ticks, "at {now}");
    }
    bench.advance(1000).expect("not its clock");
    assert!(bench.left().is_empty());
}

#[test]
fn a_punctuator_can_cancel_itself() {
    let mut processor = Scripted::ticking(ms(10), PunctuationType::WallClock);
    processor.cancel_in = 2;
    let mut bench = Bench::started(processor, Vec::new());
    for now in [110, 120, 130] {
        bench.clock(now).expect("punctuates");
    }
    assert_eq!(bench.left(), ["tick=110@110", "tick=120@120"]);
    assert_eq!(bench.node.next_wall_clock(), Timestamp::MAX);
}

#[test]
fn a_punctuator_can_cancel_another_that_is_due_and_schedule_more() {
    let other: Rc<RefCell<Option<Cancellable>>> = Rc::default();
    let mut bench = Bench::started(
        Scripted::doing(move |_, ctx| {
            let handle = other.clone();
            let _ = ctx.schedule(ms(10), PunctuationType::WallClock, move |this, at, ctx| {
                handle.take().expect("scheduled").cancel();
                let _ = ctx.schedule(ms(5), PunctuationType::WallClock, |_, _, _| Ok(()));
                this.tick(at, ctx)
            });
            let never = |_: &mut _, _, _: &mut ProcessorContext<'_, _>| Err("cancelled, and called".into());
            *other.borrow_mut() = Some(ctx.schedule(ms(10), PunctuationType::WallClock, never));
            Ok(())
        }),
        Vec::new(),
    );
    bench.record("a", 1, 5).expect("processed");
    bench.clock(110).expect("the second is not called");
    assert_eq!(bench.left(), ["tick=110@110"]);
    assert_eq!(bench.node.next_wall_clock(), Timestamp(115), "what was scheduled meanwhile");
}

#[test]
fn errors_have_coordinates() {
    let mut bench = Bench::started(Scripted::doing(|_, _| Err("no such currency".into())), Vec::new());
    let error = bench.record("a", 1, 5).expect_err("failed");
    assert!(error.is_processing());
    let text = error.to_string();
    assert!(
        text.contains("`once`") && text.contains("in-2@5") && text.contains("no such currency"),
        "{text}"
    );

    let mut bench = Bench::started(
        Scripted::doing(|record, ctx| {
            ctx.forward(record.with_value(&-1));
            ctx.forward(record);
            Ok(())
        }),
        Vec::new(),
    );
    let error = bench.record("a", 1, 5).expect_err("what follows failed");
    assert_eq!(
        (error.kind(), bench.left()),
        (ErrorKind::Production, vec![]),
        "nothing leaves after a failure"
    );
}

#[test]
fn an_interval_of_nothing_is_an_error() {
    let mut bench =
        Bench::of(Scripted::ticking(Duration::from_nanos(1), PunctuationType::WallClock), Vec::new());
    let text = bench.start().expect_err("too short").to_string();
    assert!(text.contains("1 ms is the least"), "{text}");
}

/// Adds to the value; may try to forward in a punctuator.
struct Plus(bool);

impl FixedKeyProcessor for Plus {
    type KIn = String;
    type VIn = i64;
    type VOut = i64;
    fn init(&mut self, ctx: &mut FixedKeyProcessorContext<'_, Self>) -> Result<(), BoxError> {
        let _ = ctx.schedule(ms(10), PunctuationType::WallClock, |this, _, ctx| {
            if this.0 {
                ctx.forward(&0);
            }
            Ok(())
        });
        Ok(())
    }
    fn process(
        &mut self,
        record: Record<'_, String, i64>,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        ctx.forward(&(record.value + 1));
        ctx.forward_at(&(record.value + 2), Timestamp(8));
        Ok(())
    }
}

#[test]
fn fixed_keys_stay() {
    let mut bench = Bench::started(FixedKey(Plus(false)), Vec::new());
    bench.record("a", 1, 5).expect("processed");
    bench.clock(110).expect("punctuates");
    assert_eq!(bench.left(), ["a=2@5!", "a=3@8!"]);
    let mut bench = Bench::started(FixedKey(Plus(true)), Vec::new());
    let text = bench.clock(110).expect_err("no key").to_string();
    assert!(text.contains("only forward while it processes a record"), "{text}");
}

/// A store as its task makes it, over a backend that outlives it.
fn open<S: StateStore>(builder: StoreBuilder<S>, backend: &SharedBackend) -> (S, SharedStore) {
    let site = StoreSite { backend: backend.clone(), index: 0, cache_bytes: 1 << 20 };
    let (store, shared) = builder.into_parts().1(&site);
    (store.downcast_ref::<S>().expect("its type").share(), shared)
}

/// What a commit does; gives how many keys it wrote.
fn commit(backend: &SharedBackend, store: &SharedStore) -> usize {
    let mut changes = Vec::new();
    store.borrow_mut().collect(&mut changes).expect("collects");
    let entry = |change: &crate::state::StoreChange| Entry {
        store: 0,
        key: change.key.clone(),
        value: change.stored(),
    };
    let batch = Batch { entries: changes.iter().map(entry).collect(), checkpoint: None };
    backend.borrow_mut().write(batch).expect("writes");
    store.borrow_mut().committed();
    changes.len()
}

fn backend() -> SharedBackend {
    MemoryDisk::default().open(TASK, &["s".into()]).expect("opens")
}

#[test]
fn a_key_value_store_survives_by_its_commits() {
    let backend = backend();
    let builder = || KeyValueStore::<String, i64>::named("s");
    let (mut store, shared) = open(builder(), &backend);
    for (key, value) in [("b", 2), ("a", 1), ("d", 4), ("c", 3)] {
        store.put(&key.to_owned(), value).expect("puts");
    }
    store.delete(&"d".to_owned()).expect("deletes");
    assert_eq!(commit(&backend, &shared), 3, "a key that came and went leaves nothing");
    store.put(&"b".to_owned(), 20).expect("puts, and is never committed");

    let (mut store, _) = open(builder(), &backend);
    let all = |store: &KeyValueStore<String, i64>| store.all().expect("iterates").collect::<Vec<_>>();
    assert_eq!(all(&store), [("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)]);
    assert_eq!(store.get(&"b".to_owned()).expect("gets"), Some(2));
    store.put(&"b".to_owned(), 5).expect("puts");
    store.delete(&"a".to_owned()).expect("deletes");
    assert_eq!(all(&store), [("b".to_owned(), 5), ("c".to_owned(), 3)]);
    assert_eq!(store.approximate_num_entries().expect("counts"), 2);
    let range = store.range("b".to_owned().."c".to_owned()).expect("ranges").collect::<Vec<_>>();
    assert_eq!(range, [("b".to_owned(), 5)]);
    assert_eq!(store.range("c".to_owned()..="b".to_owned()).expect("an empty range").count(), 0);
}

#[test]
fn what_is_written_has_the_records_time() {
    let backend = backend();
    let (store, shared) = open(KeyValueStore::<String, i64>::with("s", Utf8, BigEndian), &backend);
    let attached = store.attached();
    let mut writing = store.share();
    let processor = Scripted::doing(move |record, ctx| {
        ctx.forward(Record { timestamp: Timestamp(99), ..record });
        writing.put(record.key, *record.value)
    });
    let mut bench = Bench::started(processor, vec![attached]);
    bench.record("a", 1, 5).expect("processed");
    let mut changes = Vec::new();
    shared.borrow_mut().collect(&mut changes).expect("collects");
    assert_eq!(changes.iter().map(|change| change.timestamp.0).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_broken_store_is_not_the_records_fault() {
    let backend = backend();
    let key: std::sync::Arc<[u8]> = b"a".as_slice().into();
    let short = Entry { store: 0, key, value: Some(vec![0; 3]) };
    backend.borrow_mut().write(Batch { entries: vec![short], checkpoint: None }).expect("writes");
    let (store, _) = open(KeyValueStore::<String, i64>::named("s"), &backend);
    let processor = Scripted::doing(move |record, _| {
        store.get(record.key)?;
        Ok(())
    });
    let error = Bench::started(processor, Vec::new()).record("a", 1, 5).expect_err("broken");
    assert!(error.is_state() && error.to_string().contains("node: once"), "{error}");
}

fn window(start: i64) -> Window {
    Window::new(Timestamp(start), Timestamp(start + 10))
}

#[test]
fn windows_go_when_the_watermark_has_left_them() {
    let backend = backend();
    let builder = || WindowStore::<String, i64>::with("s", ms(5), Utf8, BigEndian);
    let (store, shared) = open(builder(), &backend);
    let (attached, mut writing) = (store.attached(), store.share());
    let put = Scripted::doing(move |record, _| {
        writing.put(record.key, window(record.timestamp.0 / 10 * 10), *record.value)
    });
    let mut bench = Bench::started(put, vec![attached]);
    for (key, value, at) in [("a", 1, 3), ("a", 2, 12), ("b", 3, 4), ("a", 4, 25)] {
        bench.record(key, value, at).expect("processed");
    }
    assert_eq!(bench.effects.alarm, Timestamp(15), "the task is told when the first goes");
    let starts = |store: &WindowStore<String, i64>, from: i64, to: i64| {
        let found = store.fetch(&"a".to_owned(), Timestamp(from)..=Timestamp(to)).expect("fetches");
        found.into_iter().map(|(window, value)| (window.start.0, value)).collect::<Vec<_>>()
    };
    assert_eq!(starts(&store, 0, 20), [(0, 1), (10, 2), (20, 4)]);
    assert_eq!(starts(&store, 1, 19), [(10, 2)]);
    bench.advance(14).expect("nothing is due");
    assert_eq!(store.get(&"b".to_owned(), window(0)).expect("gets"), Some(3));
    commit(&backend, &shared);

    // A restart finds what was there, and forgets it in time.
    let (store, shared) = open(builder(), &backend);
    let mut bench = Bench::started(Scripted::doing(|_, _| Ok(())), vec![store.attached()]);
    assert_eq!(bench.node.next_due(), Timestamp(15));
    let mut cx = Cx::quiet(Timestamp::MIN, Timestamp(0), &mut bench.effects);
    assert!(
        !bench.node.advance(&mut cx, Timestamp(15), &mut 1).expect("advances"),
        "the budget is one of two"
    );
    bench.advance(15).expect("the rest");
    assert_eq!(starts(&store, 0, 20), [(10, 2), (20, 4)]);
    assert_eq!(store.get(&"b".to_owned(), window(0)).expect("gets"), None);
    assert_eq!(commit(&backend, &shared), 2, "two tombstones");
}
