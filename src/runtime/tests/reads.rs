//! Reads of local stores from other threads.

use super::world::{Guarantee, World, fed, letters};
use crate::dsl::{Consumed, GapFill, Materialized, Produced, StreamsBuilder, Suppressed};
use crate::error::{BoxError, Error};
use crate::processor::{Processor, ProcessorContext};
use crate::record::Record;
use crate::runtime::reads::{Part, Read};
use crate::runtime::{
    EmbeddedLog, KafkaStreams, ReadOnlyKeyValueStore, ReadOnlyWindowStore, RunningStreams, State,
    StreamsConfig,
};
use crate::serdes::{BigEndian, Utf8};
use crate::state::{KeyValueStore, StoreQuery, WindowStore};
use crate::time::{TimeWindows, Timestamp, Window, minutes, seconds};
use crate::topology::Topology;
use std::ops::Bound;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

type Texts = ReadOnlyKeyValueStore<String, String>;

fn log(partitions: u32) -> EmbeddedLog {
    let log = EmbeddedLog::new();
    log.create_topic("in", partitions).expect("made");
    log.create_topic("out", partitions).expect("made");
    log
}

/// Nothing is committed by itself but the birth.
fn config() -> StreamsConfig {
    StreamsConfig::new("app", "").set("commit.interval.ms", "3600000")
}

fn put(log: &EmbeddedLog, key: &str, value: &str, at: i64) {
    let produced = Produced::<String, String>::with(Utf8, Utf8);
    log.append("in", &produced, &key.to_owned(), &value.to_owned(), Timestamp(at)).expect("written");
}

fn start(topology: Topology, log: &EmbeddedLog) -> RunningStreams {
    KafkaStreams::embedded(topology, log, config()).expect("fine").start()
}

fn wait(running: &RunningStreams, what: impl Fn(&RunningStreams) -> bool) {
    let mut looks = 0;
    while !what(running) {
        assert!(!running.wait_for(Duration::from_millis(2)), "it has ended");
        looks += 1;
        assert!(looks < 30_000, "{:?} {:?}", running.state(), running.snapshot());
    }
}

fn processed(running: &RunningStreams, count: u64) {
    wait(running, |running| running.counts().processed == count);
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn err<T>(read: crate::error::Result<T>) -> Error {
    read.err().expect("refused")
}

#[test]
fn what_is_not_committed_is_read_too() {
    ["1", "3"].into_iter().for_each(uncommitted);
}

fn uncommitted(workers: &str) {
    let log = log(2);
    let config = config().set("num.stream.threads", workers);
    let running = KafkaStreams::embedded(letters(), &log, config).expect("fine").start();
    let store: Texts = running.store("all").expect("there");
    for key in KEYS {
        put(&log, key, "x", 0);
    }
    processed(&running, 6);
    assert_eq!(store.get(&text("a")).expect("read"), Some(text("x")));
    assert_eq!(store.get(&text("nobody")).expect("read"), None);
    put(&log, "a", "y", 1);
    processed(&running, 7);
    assert!(running.snapshot().commits <= 2, "the births alone");
    let all: Vec<_> =
        KEYS.iter().map(|key| (text(key), text(if *key == "a" { "xy" } else { "x" }))).collect();
    assert_eq!(store.all(100).expect("read"), all, "by key, whatever the task");
    assert_eq!(store.all(3).expect("read"), all[..3]);
    assert_eq!(store.range(text("b")..text("d"), 100).expect("read"), all[1..3]);
    assert_eq!(store.range(text("b")..=text("d"), 2).expect("read"), all[1..3]);
    assert_eq!(store.range(..text("a"), 9).expect("read"), []);
    running.pause();
    assert_eq!(store.all(1).expect("a paused one is read too"), all[..1]);
    let store = store.clone();
    running.close(LONG).expect("stops");
    let error = err(store.get(&text("a")));
    assert!(error.is_retriable() && error.to_string().contains("NotRunning"), "{error}");
}

#[test]
fn keys_of_another_process_are_not_here() {
    let log = log(2);
    for key in KEYS {
        put(&log, key, "x", 0);
    }
    let members = [start(letters(), &log), start(letters(), &log)];
    for member in &members {
        wait(member, |member| member.state() == State::Running && member.snapshot().tasks.len() == 1);
    }
    let stores: Vec<Texts> = members.iter().map(|member| member.store("all").expect("there")).collect();
    let [first, second] = [&stores[0], &stores[1]];
    wait(&members[0], |_| {
        let count = |store: &Texts| store.all(10).map_or(0, |all| all.len());
        count(first) + count(second) == 6
    });
    for key in KEYS {
        let (here, there): (Vec<_>, Vec<_>) =
            stores.iter().map(|store| store.get(&text(key))).partition(Result::is_ok);
        assert_eq!(here.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [Some(text("x"))], "{key}");
        let error = err(there.into_iter().next().expect("the other"));
        let partition = crate::serdes::partition_for(key.as_bytes(), 2);
        assert!(error.is_not_here() && !error.is_retriable(), "{error}");
        assert!(
            error.to_string().contains(&format!("partition {partition}, and task 0_{partition} does")),
            "{error}"
        );
        assert!(error.to_string().contains("store: all"), "{error}");
    }
}

#[test]
fn names_and_types_are_checked_at_once() {
    let log = log(1);
    let builder = StreamsBuilder::new();
    let windows = builder
        .stream("in", Consumed::<String, String>::with(Utf8, Utf8))
        .group_by_key()
        .windowed_by(TimeWindows::of_size(seconds(10)))
        .count(Materialized::named("counts"));
    let filled = windows.fill_gaps(GapFill::with(|_: &u64| 0), Materialized::named("filled"));
    filled
        .suppress(Suppressed::until_time_limit(seconds(5), Materialized::named("held")))
        .to_stream()
        .to("out", Produced::default());
    let running = start(builder.build().expect("builds"), &log);
    running.store::<ReadOnlyWindowStore<String, u64>>("counts").expect("fits");
    let error = err(running.store::<ReadOnlyWindowStore<String, u64>>("count"));
    assert!(error.is_state() && error.to_string().contains("no store `count`"), "{error}");
    let error = err(running.store::<ReadOnlyWindowStore<String, i64>>("counts")).to_string();
    let words = "`counts` is a window store of `String` and `u64`, not a window store of `String` and `i64`";
    assert!(error.contains(words), "{error}");
    let error = err(running.store::<ReadOnlyKeyValueStore<String, u64>>("counts")).to_string();
    assert!(error.contains("not a key-value store of `String` and `u64`"), "{error}");
    for buffer in ["filled", "held"] {
        let error = err(running.store::<ReadOnlyWindowStore<String, u64>>(buffer)).to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}

#[test]
fn every_kind_of_aggregation_shows_its_values() {
    let log = log(1);
    let builder = StreamsBuilder::new();
    let lines = builder.stream("in", Consumed::<String, String>::with(Utf8, Utf8));
    let grouped = lines.group_by_key();
    drop(lines.to_table(Materialized::named("latest")));
    drop(grouped.earliest_by_time(Materialized::named("earliest")));
    drop(grouped.count(Materialized::named("counts")));
    let minute = grouped.windowed_by(TimeWindows::of_size(minutes(1)).grace(minutes(9)));
    drop(minute.latest_by_time(Materialized::named("minutes")));
    let running = start(builder.build().expect("builds"), &log);
    for (value, at) in [("b", 20), ("a", 10), ("c", 60_000)] {
        put(&log, "k", value, at);
    }
    processed(&running, 3);
    let get = |name: &str| running.store::<Texts>(name).expect("fits").get(&text("k")).expect("read");
    assert_eq!([get("latest"), get("earliest")], [Some(text("c")), Some(text("a"))]);
    let counts: ReadOnlyKeyValueStore<String, u64> = running.store("counts").expect("fits");
    assert_eq!(counts.all(9).expect("read"), [(text("k"), 3)]);
    let windows: ReadOnlyWindowStore<String, String> = running.store("minutes").expect("fits");
    let minute = |n: i64| Window::new(Timestamp(n * 60_000), Timestamp((n + 1) * 60_000));
    assert_eq!(windows.get(&text("k"), minute(0)).expect("read"), Some(text("b")));
    let fetch = |range| windows.fetch(&text("k"), range, 9).expect("read");
    assert_eq!(fetch(Timestamp(0)..Timestamp(60_001)), [(minute(0), text("b")), (minute(1), text("c"))]);
    assert_eq!(fetch(Timestamp(0)..Timestamp(60_000)), [(minute(0), text("b"))]);
    assert_eq!(fetch(Timestamp(1)..Timestamp(i64::MAX)), [(minute(1), text("c"))]);
    assert_eq!(windows.fetch(&text("k"), .., 1).expect("read"), [(minute(0), text("b"))]);
    assert_eq!(windows.fetch(&text("kk"), .., 9).expect("read"), []);
    assert_eq!(windows.all(9).expect("read").len(), 2);
}

/// Keeps what it is given, under keys and windows of its own.
struct Keeper(KeyValueStore<String, u64>, WindowStore<String, u64>);

impl Processor for Keeper {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;
    fn process(
        &mut self,
        record: Record<'_, String, String>,
        _: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        self.0.put(record.value, 7)?;
        for start in [-60_000, 0, 60_000] {
            let window = Window::new(Timestamp(start), Timestamp(start + 60_000));
            self.1.put(record.value, window, (start + 60_000).unsigned_abs())?;
            // A longer key that begins with the same bytes.
            self.1.put(&format!("{}\0", record.value), window, 1)?;
        }
        Ok(())
    }
}

#[test]
fn stores_of_processors_are_read_wherever_their_keys_are() {
    let log = log(2);
    let mut builder = Topology::builder();
    let values = builder.add_state_store(KeyValueStore::with("values", Utf8, BigEndian));
    let windows = builder.add_state_store(WindowStore::with("windows", minutes(60), Utf8, BigEndian));
    let lines = builder.add_source("lines", &["in"], Consumed::<String, String>::with(Utf8, Utf8));
    let kept = builder.add_processor("keep", &[&lines], (&values, &windows), |(a, b)| Keeper(a, b));
    builder.add_sink("none", &[&kept], "out", Produced::with(Utf8, Utf8));
    let topology = builder.build().expect("builds");
    let running = start(topology.clone(), &log);
    for key in KEYS {
        put(&log, key, "own", 0);
    }
    processed(&running, 6);
    let values: ReadOnlyKeyValueStore<String, u64> = running.store("values").expect("fits");
    assert_eq!(values.get(&text("own")).expect("read"), Some(7));
    assert_eq!(values.get(&text("other")).expect("all tasks are here"), None);
    let windows: ReadOnlyWindowStore<String, u64> = running.store("windows").expect("fits");
    let starts = |range: (Bound<Timestamp>, Bound<Timestamp>), limit| -> Vec<i64> {
        let mut starts: Vec<i64> =
            windows.fetch(&text("own"), range, limit).expect("read").iter().map(|(w, _)| w.start.0).collect();
        starts.dedup();
        starts
    };
    assert_eq!(starts((Unbounded, Unbounded), 100), [-60_000, 0, 60_000], "in the order of time");
    assert_eq!(starts((Unbounded, Excluded(Timestamp(0))), 100), [-60_000]);
    assert_eq!(starts((Included(Timestamp(-60_000)), Included(Timestamp(0))), 100), [-60_000, 0]);
    assert_eq!(starts((Excluded(Timestamp(-1)), Included(Timestamp(60_000))), 100), [0, 60_000]);
    let second = start(topology, &log);
    wait(&running, |running| running.state() == State::Running && running.snapshot().tasks.len() == 1);
    let error = err(values.get(&text("other")));
    assert!(
        error.is_not_here() && error.to_string().contains("none of the 1 tasks that run here, of 2"),
        "{error}"
    );
    drop(second);
}

#[test]
fn a_read_does_not_wait_for_ever() {
    let log = log(1);
    let (go_on, held) = channel::<()>();
    let held = Mutex::new(held);
    let builder = StreamsBuilder::new();
    builder
        .stream("in", Consumed::<String, String>::with(Utf8, Utf8))
        .peek(move |_, _| held.lock().expect("lock").recv().unwrap_or_default())
        .group_by_key()
        .count(Materialized::named("counts"))
        .to_stream()
        .to("out", Produced::default());
    let running = Arc::new(start(builder.build().expect("builds"), &log));
    let counts: ReadOnlyKeyValueStore<String, u64> = running.store("counts").expect("fits");
    wait(&running, |running| running.state() == State::Running && counts.all(1).is_ok());
    put(&log, "a", "x", 0);
    let hurried = counts.clone().timeout(Duration::from_millis(20));
    // Until the closure has the record, reads are answered.
    let mut reads = 0;
    let error = loop {
        match hurried.get(&text("a")) {
            Ok(value) => assert_eq!(value, None),
            Err(error) => break error,
        }
        reads += 1;
        assert!(reads < 1_000_000);
    };
    assert!(error.is_retriable() && error.to_string().contains("not read within 20 ms"), "{error}");
    let patient = std::thread::spawn(move || counts.get(&text("a")));
    go_on.send(()).expect("waits");
    assert_eq!(patient.join().expect("read").expect("read"), Some(1), "answered after the step");
    drop(go_on);
}

fn part(world: &World) -> Part {
    let (parts, answers) = channel();
    let read = Read { subtopology: 0, place: 0, query: StoreQuery::Get(b"a".to_vec()), parts };
    world.members[0].instance.as_ref().expect("lives").answer(&read);
    answers.try_recv().expect("one worker, one part")
}

#[test]
fn tasks_that_do_not_run_yet_are_named() {
    for guarantee in Guarantee::BOTH {
        let mut world = World::new(letters(), guarantee.config(), 1);
        world.topic("in", 2);
        world.topic("out", 2);
        world.start(0);
        assert_eq!((part(&world).tasks, part(&world).read.len()), (0, 0), "{guarantee:?}");
        world.advance(2_000);
        fed(&mut world, 0, 1);
        world.advance(1_000);
        let running = part(&world);
        assert_eq!((running.read.len(), running.starting.len(), running.tasks), (2, 0, 2), "{guarantee:?}");
        assert_eq!(running.rows.expect("read"), [(b"a".to_vec(), b"A".to_vec())]);
        world.crash(0);
        world.start(0);
        let mut steps = 0;
        while part(&world).starting.is_empty() {
            if !world.step(0) {
                world.clock.advance(50);
            }
            steps += 1;
            assert!(steps < 100_000, "{guarantee:?}: never assigned");
        }
        let starting = part(&world);
        assert_eq!((starting.read.len(), starting.starting.len()), (0, 2), "{guarantee:?}");
        assert_eq!(starting.rows.expect("read"), []);
    }
}
