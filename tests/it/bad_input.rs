//! Records, closures and topologies that cannot be: each is told with its place, and nothing is lost or half done.

use highwater::serdes::{BigEndian, Bytes, Utf8};
use highwater::testing::{InputRecord, InputTopic, OutputTopic, TopologyTestDriver};
use highwater::time::{TimeWindows, Timestamp, days, minutes, seconds};
use highwater::{
    AtEnd, Consumed, EmbeddedLog, Error, GapFill, Incomplete, KTable, KafkaStreams, Materialized,
    NullableKey, Produced, Repartitioned, StreamsBuilder, StreamsConfig, Suppressed, Topology, Windowed,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sums of the numbers per key; what a number does to the program is its own business.
fn sums(visit: impl Fn(u64) -> Result<u64, String> + Send + Sync + 'static) -> Topology {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream("numbers", Consumed::<String, u64>::with(Utf8, BigEndian));
    numbers
        .try_map_values(move |n| visit(*n))
        .group_by_key()
        .reduce(|sum, n| *sum += n, Materialized::named("sums"))
        .to_stream()
        .to("sums", Produced::default());
    builder.build().expect("a topology")
}

fn plain() -> Topology {
    sums(Ok)
}

/// A driver, the topic as bytes that may be anything, and the sums.
struct Scene {
    driver: TopologyTestDriver,
    numbers: InputTopic<NullableKey<Vec<u8>>, Option<Vec<u8>>>,
    sums: OutputTopic<String, u64>,
}

impl Scene {
    fn new(topology: Topology, set: &[(&str, &str)]) -> Self {
        let driver = set
            .iter()
            .fold(TopologyTestDriver::new(topology), |driver, (name, value)| driver.set(name, value));
        let bytes = || Produced::<Vec<u8>, Vec<u8>>::with(Bytes, Bytes);
        let numbers = driver.input_topic("numbers", bytes().null_keys().null_values());
        let sums = driver.output_topic("sums", Consumed::default());
        Self { driver, numbers, sums }
    }

    fn try_pipe(&mut self, key: Option<&str>, value: Option<&[u8]>, at: i64) -> Result<(), Error> {
        let key = key.map(|key| key.as_bytes().to_vec());
        let record = InputRecord::new(NullableKey(key), value.map(<[u8]>::to_vec), Timestamp(at));
        self.driver.try_pipe(&self.numbers, &record)
    }

    fn add(&mut self, n: u64, at: i64) {
        self.try_pipe(Some("a"), Some(&n.to_be_bytes()), at).expect("fine");
    }

    fn sums(&mut self) -> Vec<u64> {
        self.driver.read_output(&self.sums).into_iter().map(|(_, sum)| sum).collect()
    }
}

fn tells(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn a_value_that_cannot_be_read_stops_at_its_record_again_and_again() {
    let mut scene = Scene::new(plain(), &[]);
    scene.add(10, 0);
    assert_eq!(scene.sums(), [10]);
    let error = scene.try_pipe(Some("a"), Some(b"xyz"), 1).expect_err("three bytes are no number");
    assert!(error.is_deserialization(), "{error}");
    let parts = [
        "cannot deserialize value at source `KSTREAM-SOURCE-0000000000`",
        "record: numbers-0@1",
        "task: 0_0",
        "payload: 3 bytes, starts `xyz`",
        "action: fail; the offset was not committed",
    ];
    tells(&error, &parts);
    scene.driver.crash_and_restore(0);
    let again = scene.driver.try_read(&scene.sums).expect_err("the offset has not moved");
    tells(&again, &parts);
}

/// On one log: the run that fails leaves everything to the one that is told to go on.
#[test]
fn a_value_that_is_skipped_after_a_restart_is_counted_and_nothing_is_lost() {
    let log = EmbeddedLog::new();
    log.create_topic("numbers", 1).expect("a topic");
    log.create_topic("sums", 1).expect("a topic");
    let bytes = Produced::<Vec<u8>, Vec<u8>>::with(Bytes, Bytes);
    let values: [&[u8]; 3] = [&10_u64.to_be_bytes(), b"xyz", &20_u64.to_be_bytes()];
    for (at, value) in values.into_iter().enumerate() {
        log.append("numbers", &bytes, &b"a".to_vec(), &value.to_vec(), Timestamp(at as i64))
            .expect("written");
    }
    log.end_of_input(AtEnd::Leave);
    let run = |handler: &str| {
        let config =
            StreamsConfig::new("sums", "").exactly_once().set("deserialization.exception.handler", handler);
        let running = KafkaStreams::embedded(plain(), &log, config).expect("a configuration").start();
        while !running.wait_for(seconds(1)) {}
        (running.snapshot().counts, running.wait())
    };
    let read = || log.read("sums", &Consumed::<String, u64>::default()).expect("numbers");

    let (_, ended) = run("fail");
    tells(&ended.expect_err("it fails"), &["record: numbers-0@1"]);
    let before = read();
    assert!(before.is_empty() || before == [("a".to_owned(), 10)], "{before:?}");

    let (counts, ended) = run("continue");
    ended.expect("it goes on");
    assert_eq!(counts.dropped, 1);
    assert_eq!(read().last(), Some(&("a".to_owned(), 30)));
}

#[test]
fn nulls_where_the_types_have_none() {
    for (key, value, part) in [(None, Some(&[0; 8][..]), "key"), (Some("a"), None, "value")] {
        let mut scene = Scene::new(plain(), &[]);
        let error = scene.try_pipe(key, value, 0).expect_err("null");
        assert!(error.is_deserialization(), "{error}");
        let what = format!("cannot deserialize {part} at source");
        tells(&error, &[&what, "payload: null", "record: numbers-0@0", "task: 0_0"]);

        let mut scene = Scene::new(plain(), &[("deserialization.exception.handler", "continue")]);
        scene.try_pipe(key, value, 0).expect("skipped");
        scene.add(7, 1);
        assert_eq!(scene.sums(), [7]);
        assert_eq!(scene.driver.total_counts().dropped, 1);
    }
}

/// Fails or panics at 13 until it is mended.
fn fragile(panics: bool) -> (Topology, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    let seen = mended.clone();
    let topology = sums(move |n| {
        let unlucky = n == 13 && !seen.load(Ordering::SeqCst);
        assert!(!(unlucky && panics), "thirteen");
        if unlucky { Err("thirteen".to_owned()) } else { Ok(n) }
    });
    (topology, mended)
}

#[test]
fn a_closure_that_fails_or_panics_leaves_the_state_of_the_last_commit() {
    for panics in [false, true] {
        let (topology, mended) = fragile(panics);
        let mut scene = Scene::new(topology, &[]);
        scene.add(10, 0);
        assert_eq!(scene.sums(), [10]);
        // Worked on, and not committed.
        scene.add(5, 1);
        let error = scene.try_pipe(Some("a"), Some(&13_u64.to_be_bytes()), 2).expect_err("unlucky");
        assert!(error.is_processing(), "{error}");
        let how = if panics { "panicked" } else { "node `KSTREAM-MAPVALUES-0000000001`" };
        tells(
            &error,
            &[how, "record: numbers-0@2", "task: 0_0", "cause: thirteen", "the offset was not committed"],
        );

        mended.store(true, Ordering::SeqCst);
        scene.driver.crash_and_restore(0);
        assert_eq!(scene.sums().last(), Some(&28), "each number once");
    }
}

#[test]
fn a_record_on_which_a_closure_fails_can_be_skipped() {
    for panics in [false, true] {
        let mut scene = Scene::new(fragile(panics).0, &[("processing.exception.handler", "continue")]);
        [10, 13, 20].into_iter().enumerate().for_each(|(at, n)| scene.add(n, at as i64));
        assert_eq!(scene.sums().last(), Some(&30));
        assert_eq!(scene.driver.total_counts().dropped, 1);
    }
}

#[test]
fn negative_timestamps_are_dropped_and_counted() {
    let mut scene = Scene::new(plain(), &[]);
    scene.add(1, 0);
    scene.add(2, -1);
    scene.add(4, 1);
    assert_eq!(scene.sums().last(), Some(&5));
    let counts = scene.driver.total_counts();
    assert_eq!((counts.processed, counts.dropped), (3, 1));
}

/// Final counts per minute.
fn minutely() -> Topology {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream("numbers", Consumed::<String, u64>::with(Utf8, BigEndian));
    let counts = numbers.group_by_key().windowed_by(TimeWindows::of_size(minutes(1)));
    let finals = counts.count(Materialized::named("counts")).suppress(Suppressed::until_window_closes());
    finals.to_stream().map(|slot, n| (slot.key.clone(), *n)).to("sums", Produced::default());
    builder.build().expect("a topology")
}

#[test]
fn a_record_dated_2100_moves_no_time() {
    const FAR: i64 = 4_102_444_800_000;
    let now = Timestamp(1_709_510_400_000);
    let scene = |policy: &str| {
        let set = [("highwater.max.future.skew.ms", "3600000"), ("highwater.future.skew.policy", policy)];
        let Scene { driver, numbers, sums } = Scene::new(minutely(), &set);
        let mut scene = Scene { driver: driver.start_at(now), numbers, sums };
        scene.add(1, now.0);
        scene
    };
    for policy in ["accept", "skip"] {
        let mut scene = scene(policy);
        scene.add(1, FAR);
        assert!(scene.sums().is_empty(), "{policy}: the minute is open");
        scene.add(1, now.0 + 1);
        scene.add(1, now.0 + 60_000);
        assert_eq!(scene.sums(), [2], "{policy}");
        let counts = scene.driver.total_counts();
        assert_eq!(
            (counts.future, counts.late, counts.dropped),
            (1, 0, u64::from(policy == "skip")),
            "{policy}"
        );
    }
    let error = scene("fail").try_pipe(Some("a"), Some(&[0; 8]), FAR).expect_err("too far ahead");
    let help = "highwater.future.skew.policy";
    tells(
        &error,
        &["dated 2100-01-01T00:00:00.000Z", "ahead of the clock", "record: numbers-0@1", "task: 0_0", help],
    );
}

#[test]
fn topics_that_are_missing_are_told_together() {
    let log = EmbeddedLog::new();
    let config = StreamsConfig::new("sums", "").exactly_once();
    let ended = KafkaStreams::embedded(plain(), &log, config).expect("a configuration").start().wait();
    let error = ended.expect_err("there are no topics");
    assert!(error.is_invalid_topics(), "{error}");
    let read = "topic `numbers` does not exist\n  read by: source `KSTREAM-SOURCE-0000000000`";
    tells(&error, &["2 mistakes", read, "topic `sums` does not exist\n  written by: sub-topology 0"]);
}

#[test]
fn topics_read_together_with_other_partition_counts() {
    let builder = StreamsBuilder::new();
    let stream = |topic: &str| builder.stream(topic, Consumed::<String, u64>::default());
    stream("numbers").merge(&stream("more")).to("sums", Produced::default());
    let driver = TopologyTestDriver::new(builder.build().expect("a topology"));
    let mut driver = driver.topic("numbers", 2).topic("more", 3);
    let numbers = driver.input_topic("numbers", Produced::<String, u64>::default());
    let error =
        driver.try_pipe(&numbers, &InputRecord::new("a".to_owned(), 1, Timestamp(0))).expect_err("refused");
    assert!(error.is_invalid_topics(), "{error}");
    tells(
        &error,
        &[
            "not co-partitioned",
            "`numbers` has 2 partitions",
            "`more` has 3 partitions",
            "help: add a `.repartition(",
        ],
    );
}

#[test]
fn more_writers_of_a_repartition_topic_than_its_metadata_can_hold() {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream("numbers", Consumed::<String, u64>::default());
    let moved =
        numbers.select_key(|_, n| n.to_string()).repartition(Repartitioned::named("by-number").partitions(1));
    moved.group_by_key().count(Materialized::named("counts")).to_stream().to("sums", Produced::default());
    let mut driver = TopologyTestDriver::new(builder.build().expect("a topology")).topic("numbers", 1_000);
    let numbers = driver.input_topic("numbers", Produced::<String, u64>::default());
    let error =
        driver.try_pipe(&numbers, &InputRecord::new("a".to_owned(), 1, Timestamp(0))).expect_err("refused");
    assert!(error.is_invalid_topology(), "{error}");
    let parts = [
        "by-number-repartition-0",
        "the limit is 4096",
        "1000 tasks",
        "help: give the sources above fewer partitions",
    ];
    tells(&error, &parts);
}

fn counts(builder: &StreamsBuilder, windows: TimeWindows, store: &str) -> KTable<Windowed<String>, u64> {
    let numbers = builder.stream("numbers", Consumed::<String, u64>::default());
    numbers.group_by_key().windowed_by(windows).count(Materialized::named(store))
}

/// What `build` says to each mistake, with the line that made it.
#[test]
fn topologies_that_cannot_be() {
    let refused = |parts: &[&str], make: &dyn Fn(&StreamsBuilder) -> u32| {
        let builder = StreamsBuilder::new();
        let line = make(&builder);
        let error = builder.build().expect_err("refused");
        assert!(error.is_invalid_topology(), "{error}");
        tells(&error, parts);
        tells(&error, &[&format!("at: {}:{line}:", file!())]);
    };
    let minute = || TimeWindows::of_size(minutes(1));
    refused(&["size zero"], &|builder| {
        let numbers = builder.stream("numbers", Consumed::<String, u64>::default()).group_by_key();
        let line = line!() + 1;
        let _ = numbers.windowed_by(TimeWindows::of_size(seconds(0))).count(Materialized::named("zero"));
        line
    });
    refused(&["a grace of 5000 ms over windows with 60000 ms"], &|builder| {
        let children = counts(builder, minute().grace(minutes(1)), "children");
        let finals = children.suppress(Suppressed::until_window_closes()).to_stream();
        let line = line!() + 1;
        let parents = finals.roll_up(TimeWindows::of_size(minutes(5)).grace(seconds(5)));
        let _ = parents.incomplete(Incomplete::Emit).aggregate(
            || 0,
            |_, _, _, _| {},
            Materialized::named("parents"),
        );
        line
    });
    refused(&["`fill_gaps` over overlapping windows"], &|builder| {
        let hopping = counts(builder, TimeWindows::of_size(minutes(5)).advance_by(minutes(1)), "hopping");
        let line = line!() + 1;
        let _ = hopping.fill_gaps(GapFill::with(|_| 0).forget_after(days(1)), Materialized::named("known"));
        line
    });
    let builder = StreamsBuilder::new();
    let numbers = builder.stream("numbers", Consumed::<String, u64>::default()).group_by_key();
    let _ = (numbers.count(Materialized::named("same")), numbers.count(Materialized::named("same")));
    tells(&builder.build().expect_err("refused"), &["store `same` is defined twice"]);
}
