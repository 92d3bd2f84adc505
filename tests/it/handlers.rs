//! Records that fail and do not stop the application: left out, sent to the dead letter topic, or tried again, and as
//! if they had not been processed.

use highwater::serdes::{BigEndian, Bytes, Utf8};
use highwater::testing::{
    CommitPoint, InputRecord, InputTopic, OutputRecord, OutputTopic, TopologyTestDriver,
};
use highwater::time::{TimeWindows, Timestamp, milliseconds, minutes, seconds};
use highwater::{
    BoxError, Consumed, Error, KStream, Materialized, NullableKey, Processor, ProcessorContext, Produced,
    PunctuationType, Record, Response, StreamsBuilder, Suppressed, Topology,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const LETTERS: (&str, &str) = ("errors.dead.letter.queue.topic.name", "dead");

type Raw = OutputRecord<NullableKey<Vec<u8>>, Option<Vec<u8>>>;

fn numbers(builder: &StreamsBuilder) -> KStream<String, u64> {
    builder.stream("numbers", Consumed::with(Utf8, BigEndian))
}

/// A result for each number, then sums that fail at 13 after they have been changed, and results of the sums.
fn sums(builder: StreamsBuilder) -> Topology {
    let numbers = numbers(&builder);
    numbers.to("seen", Produced::with(Utf8, BigEndian));
    let add = |_: &String, n: &u64, sum: &mut u64| {
        *sum += n;
        assert_ne!(*n, 13, "thirteen");
    };
    let sums = numbers.group_by_key().aggregate(|| 0, add, Materialized::with("sums", BigEndian));
    sums.to_stream().to("sums", Produced::with(Utf8, BigEndian));
    builder.build().expect("a topology")
}

struct Scene {
    driver: TopologyTestDriver,
    input: InputTopic<NullableKey<Vec<u8>>, Option<Vec<u8>>>,
    dead: OutputTopic<NullableKey<Vec<u8>>, Option<Vec<u8>>>,
}

impl Scene {
    fn new(topology: Topology, set: &[(&str, &str)]) -> Self {
        Self::of(TopologyTestDriver::new(topology), set)
    }
    fn of(driver: TopologyTestDriver, set: &[(&str, &str)]) -> Self {
        let driver = set.iter().fold(driver, |driver, (name, value)| driver.set(name, value));
        let bytes = Produced::<Vec<u8>, Vec<u8>>::with(Bytes, Bytes).null_keys().null_values();
        let input = driver.input_topic("numbers", bytes);
        let bytes = Consumed::<Vec<u8>, Vec<u8>>::with(Bytes, Bytes).null_keys().null_values();
        let dead = driver.output_topic("dead", bytes);
        Self { driver, input, dead }
    }

    fn try_pipe(&mut self, value: &[u8], at: i64) -> Result<(), Error> {
        let key = NullableKey(Some(b"a".to_vec()));
        let record = InputRecord::new(key, Some(value.to_vec()), Timestamp(at)).header("trace", "7");
        self.driver.try_pipe(&self.input, &record)
    }
    fn add(&mut self, n: u64, at: i64) {
        self.try_pipe(&n.to_be_bytes(), at).expect("goes on");
    }
    fn read(&mut self, topic: &str) -> Vec<u64> {
        let topic = self.driver.output_topic(topic, Consumed::<String, u64>::with(Utf8, BigEndian));
        self.driver.read_output(&topic).into_iter().map(|(_, n)| n).collect()
    }
    fn letters(&mut self) -> Vec<Raw> {
        self.driver.read_records(&self.dead)
    }
}

fn header(letter: &Raw, name: &str) -> String {
    let value = letter.headers.last(name).unwrap_or_else(|| panic!("no header {name}"));
    String::from_utf8(value.expect("a value").to_vec()).expect("text")
}

#[test]
fn a_record_that_cannot_be_read_becomes_a_dead_letter() {
    let set = [("deserialization.exception.handler", "dlq"), LETTERS];
    let mut scene = Scene::new(sums(StreamsBuilder::new()), &set);
    scene.add(1, 0);
    scene.try_pipe(b"xyz", 5).expect("goes on");
    scene.add(2, 6);
    assert_eq!(scene.read("sums").last(), Some(&3));
    let letters = scene.letters();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((&letter.key.0, &letter.value), (&Some(b"a".to_vec()), &Some(b"xyz".to_vec())));
    assert_eq!(letter.timestamp, Timestamp(5));
    assert_eq!(letter.headers.iter().next(), Some((&b"trace"[..], Some(&b"7"[..]))));
    for (name, value) in [("topic", "numbers"), ("partition", "0"), ("offset", "1"), ("exception", "HW0301")]
    {
        assert_eq!(header(letter, &format!("__streams.errors.{name}")), value);
    }
    assert!(header(letter, "__streams.errors.message").starts_with("cannot deserialize value at source"));
    let all = header(letter, "__streams.errors.stacktrace");
    assert!(all.contains("record: numbers-0@1") && all.contains("payload: 3 bytes"), "{all}");
    let counts = scene.driver.total_counts();
    assert_eq!((counts.dropped, counts.dead_letters), (1, 1));
}

/// The sum was changed before it failed, and a result had left: neither is there afterwards.
#[test]
fn a_record_that_fails_late_is_as_if_it_had_not_been_processed() {
    for at_least_once in [false, true] {
        for cache in ["0", "10485760"] {
            let set =
                [("processing.exception.handler", "dlq"), LETTERS, ("statestore.cache.max.bytes", cache)];
            let driver = TopologyTestDriver::new(sums(StreamsBuilder::new()));
            let driver = if at_least_once { driver.at_least_once() } else { driver };
            let mut scene = Scene::of(driver, &set);
            for (at, n) in [1, 13, 2, 13, 13, 4].into_iter().enumerate() {
                scene.add(n, at as i64);
            }
            assert_eq!(scene.read("sums").last(), Some(&7));
            let mut seen = scene.read("seen");
            if at_least_once {
                // What was sent before it went back is repeated, as after a crash.
                seen.dedup();
                assert!(seen.contains(&1) && seen.contains(&4), "{seen:?}");
            } else {
                assert_eq!(seen, [1, 2, 4], "not what the failed records had sent");
            }
            let offsets: Vec<String> =
                scene.letters().iter().map(|letter| header(letter, "__streams.errors.offset")).collect();
            assert_eq!(offsets, ["1", "3", "4"]);
            let counts = scene.driver.total_counts();
            assert_eq!((counts.processed, counts.dropped, counts.dead_letters), (6, 3, 3));
        }
    }
}

/// Under exactly once a reader sees each letter once and the fold without the bad records, wherever it is killed.
#[test]
fn dead_letters_and_state_survive_a_kill_at_every_point_of_a_commit() {
    for point in CommitPoint::EXACTLY_ONCE.into_iter().filter(|p| !matches!(p, CommitPoint::S6)) {
        for lose in [false, true] {
            let set = [
                ("processing.exception.handler", "dlq"),
                ("deserialization.exception.handler", "dlq"),
                LETTERS,
            ];
            let mut scene = Scene::new(sums(StreamsBuilder::new()), &set);
            let mut killed = 0;
            for round in 0..4 {
                scene.driver.kill_at(point);
                if lose {
                    scene.driver.lose_disk(0);
                }
                for (n, at) in [1, 13, 2, 99].into_iter().zip(round * 10..) {
                    let bytes = u64::to_be_bytes(n);
                    scene.try_pipe(if n == 99 { b"99" } else { &bytes }, at).expect("goes on");
                }
                scene.driver.advance_clock(minutes(1));
                killed += u32::from(!scene.driver.is_kill_pending());
            }
            if point != CommitPoint::S9 {
                assert_eq!(killed, 4, "{point:?}");
            }
            scene.driver.crash_and_restore(0);
            scene.add(1, 100);
            assert_eq!(scene.read("sums").last(), Some(&13), "{point:?}");
            assert_eq!(scene.read("seen"), [1, 2, 1, 2, 1, 2, 1, 2, 1], "{point:?}");
            let offsets: Vec<String> =
                scene.letters().iter().map(|letter| header(letter, "__streams.errors.offset")).collect();
            assert_eq!(offsets, ["1", "3", "5", "7", "9", "11", "13", "15"], "{point:?}");
        }
    }
}

/// Fails as often as it is told to, after it has changed the sum.
fn flaky(builder: StreamsBuilder, failures: u64) -> (Topology, Arc<AtomicU64>) {
    let tries = Arc::new(AtomicU64::new(0));
    let counted = tries.clone();
    let add = move |_: &String, n: &u64, sum: &mut u64| {
        *sum += n;
        let flaky = *n == 13 && counted.fetch_add(1, Ordering::SeqCst) < failures;
        assert!(!flaky, "not now");
    };
    let sums = numbers(&builder).group_by_key().aggregate(|| 0, add, Materialized::with("sums", BigEndian));
    sums.to_stream().to("sums", Produced::with(Utf8, BigEndian));
    (builder.build().expect("a topology"), tries)
}

#[test]
fn a_record_is_tried_again_after_pauses_that_double() {
    let (topology, tries) = flaky(StreamsBuilder::new(), 3);
    let mut scene = Scene::new(topology, &[("processing.exception.handler", "retry")]);
    scene.add(1, 0);
    scene.add(13, 1);
    scene.add(2, 2);
    let mut at = Vec::new();
    for _ in 0..100 {
        at.push(tries.load(Ordering::SeqCst));
        scene.driver.advance_clock(milliseconds(10));
    }
    let first = |n: u64| at.iter().position(|tries| *tries == n).map(|step| step * 10);
    assert_eq!((first(1), first(2), first(3), first(4)), (Some(0), Some(100), Some(300), Some(700)));
    assert_eq!(scene.read("sums").last(), Some(&16), "each number once, in order");
    assert_eq!(scene.driver.total_counts().processed, 3);
}

#[test]
fn what_retries_do_not_mend_is_decided_by_configuration() {
    for (exhausted, sum) in [("continue", 3), ("dlq", 3)] {
        let set = [
            ("processing.exception.handler", "retry"),
            ("highwater.max.retries", "2"),
            ("highwater.on.retries.exhausted", exhausted),
            LETTERS,
        ];
        let (topology, tries) = flaky(StreamsBuilder::new(), u64::MAX);
        let mut scene = Scene::new(topology, &set);
        [1, 13, 2].into_iter().enumerate().for_each(|(at, n)| scene.add(n, at as i64));
        scene.driver.advance_clock(seconds(2));
        assert_eq!(scene.read("sums").last(), Some(&sum));
        assert_eq!(tries.load(Ordering::SeqCst), 3);
        assert_eq!(scene.letters().len(), usize::from(exhausted == "dlq"));
    }
    let set = [("processing.exception.handler", "retry"), ("highwater.max.retries", "2")];
    let (topology, _) = flaky(StreamsBuilder::new(), u64::MAX);
    let mut scene = Scene::new(topology, &set);
    scene.add(13, 0);
    let error = scene.driver.try_advance_clock(seconds(2)).expect_err("the last retry");
    let text = error.to_string();
    for part in ["record: numbers-0@0", "retries: 2, the last", "action: fail; the offset was not committed"]
    {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

/// While one task waits to try again, the other goes on.
#[test]
fn a_retry_holds_up_nobody_else() {
    let builder = StreamsBuilder::new();
    builder.on_processing_error(|_, _| Response::Retry);
    let checked = numbers(&builder).try_map_values(|n| if *n == 13 { Err("thirteen") } else { Ok(*n) });
    checked.to("seen", Produced::with(Utf8, BigEndian));
    let driver = TopologyTestDriver::new(builder.build().expect("a topology")).partitions(2);
    let mut scene = Scene::of(driver, &[("highwater.max.retries", "1000")]);
    let record = |n: u64, partition| {
        let key = NullableKey(Some(b"a".to_vec()));
        InputRecord::new(key, Some(n.to_be_bytes().to_vec()), Timestamp(0)).partition(partition)
    };
    for (n, partition) in [(13, 0), (1, 0), (2, 1), (3, 1)] {
        scene.driver.pipe(&scene.input, &record(n, partition));
    }
    scene.driver.advance_clock(minutes(2));
    assert_eq!(scene.read("seen"), [2, 3], "what comes after the bad record waits for it");
}

#[test]
fn a_handler_of_the_program_is_given_the_record_and_decides() {
    let builder = StreamsBuilder::new();
    builder.on_processing_error(|record, error| {
        assert_eq!(record.metadata.map(ToString::to_string).as_deref(), Some("numbers-0@1"));
        assert_eq!((record.key, record.value), (Some(&b"a"[..]), Some(&13_u64.to_be_bytes()[..])));
        assert_eq!((record.node, record.retries), (Some("KSTREAM-MAPVALUES-0000000001"), 0));
        assert_eq!(record.headers.last("trace"), Some(Some(&b"7"[..])));
        assert!(error.is_processing() && record.task.partition == 0 && record.timestamp == Timestamp(1));
        Response::DeadLetter
    });
    let checked = numbers(&builder).try_map_values(|n| if *n == 13 { Err("thirteen") } else { Ok(*n) });
    checked.to("seen", Produced::with(Utf8, BigEndian));
    let mut scene = Scene::new(builder.build().expect("a topology"), &[LETTERS]);
    [1, 13, 2].into_iter().enumerate().for_each(|(at, n)| scene.add(n, at as i64));
    assert_eq!(scene.read("seen"), [1, 2]);
    assert_eq!(scene.letters().len(), 1);
}

#[test]
fn a_handler_that_panics_or_has_no_topic_for_its_letters_stops() {
    let failing = |handler: fn() -> Response| {
        let builder = StreamsBuilder::new();
        builder.on_deserialization_error(move |_, _| handler());
        numbers(&builder).to("seen", Produced::with(Utf8, BigEndian));
        let mut scene = Scene::new(builder.build().expect("a topology"), &[]);
        scene.try_pipe(b"xyz", 0).expect_err("stops").to_string()
    };
    let text = failing(|| panic!("undecided"));
    assert!(text.contains("record: numbers-0@0") && text.contains("action: fail"), "{text}");
    let text = failing(|| Response::DeadLetter);
    assert!(text.contains("help: set errors.dead.letter.queue.topic.name"), "{text}");
    let text = failing(|| Response::Retry);
    assert!(text.contains("the bytes stay as they are"), "{text}");
}

#[test]
fn the_dead_letter_topic_has_to_be_there_and_is_not_read() {
    use highwater::{EmbeddedLog, KafkaStreams, StreamsConfig};
    let log = EmbeddedLog::new();
    let ended = |topic: &str| {
        let config = StreamsConfig::new("sums", "").set("errors.dead.letter.queue.topic.name", topic);
        let topology = sums(StreamsBuilder::new());
        KafkaStreams::embedded(topology, &log, config).expect("fine").start().wait().expect_err("refused")
    };
    let text = ended("dead").to_string();
    assert!(text.contains("4 mistakes") && text.contains("topic `dead` does not exist"), "{text}");
    for topic in ["numbers", "seen", "sums"] {
        log.create_topic(topic, 1).expect("a topic");
    }
    let text = ended("numbers").to_string();
    assert!(text.contains("the dead letter topic `numbers` is read by the topology"), "{text}");
}

#[test]
fn a_result_that_is_too_large_is_left_out_or_buries_its_record_or_stops() {
    let topology = || {
        let builder = StreamsBuilder::new();
        let numbers = numbers(&builder);
        numbers.map_values(|n| vec![0_u8; *n as usize]).to("large", Produced::with(Utf8, Bytes));
        numbers
            .group_by_key()
            .reduce(|sum, n| *sum += n, Materialized::with("sums", BigEndian))
            .to_stream()
            .to("sums", Produced::with(Utf8, BigEndian));
        builder.build().expect("a topology")
    };
    let fed = |handler: &str| {
        let set = [("production.exception.handler", handler), ("max.request.size", "1000"), LETTERS];
        let mut scene = Scene::new(topology(), &set);
        scene.add(10, 0);
        let result = scene.try_pipe(&2000_u64.to_be_bytes(), 1);
        (scene, result)
    };
    let (mut scene, result) = fed("continue");
    result.expect("goes on");
    assert_eq!(scene.read("sums").last(), Some(&2010), "the rest of the record stays");
    let (mut scene, result) = fed("dlq");
    result.expect("goes on");
    scene.add(20, 2);
    assert_eq!(scene.read("sums").last(), Some(&30), "the record is undone");
    assert_eq!(scene.letters().len(), 1);
    let text = fed("fail").1.expect_err("stops").to_string();
    let parts = [
        "a record of 2099 bytes is too large for `large`",
        "limit: max.request.size is 1000",
        "record: numbers-0@1",
    ];
    for part in parts {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

/// Nobody knew the topic's limit before the broker refused: then everything goes back, and the sink meets it again.
#[test]
fn a_result_that_the_broker_refuses_is_met_again_with_its_record() {
    for handler in ["dlq", "continue"] {
        let builder = StreamsBuilder::new();
        let large = numbers(&builder).map_values(|n| vec![0_u8; *n as usize]);
        large.to("large", Produced::with(Utf8, Bytes));
        let set = [
            ("production.exception.handler", handler),
            ("compression.type", "lz4"),
            ("max.request.size", "2000000"),
            LETTERS,
        ];
        let mut scene = Scene::new(builder.build().expect("a topology"), &set);
        [10, 1_500_000, 20].into_iter().enumerate().for_each(|(at, n)| scene.add(n, at as i64));
        let large = scene.driver.output_topic("large", Consumed::<String, Vec<u8>>::with(Utf8, Bytes));
        let sizes: Vec<usize> =
            scene.driver.read_output(&large).iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(sizes, [10, 20], "{handler}");
        assert_eq!(scene.letters().len(), usize::from(handler == "dlq"));
    }
}

#[test]
fn a_record_from_the_far_future_can_be_a_dead_letter() {
    const FAR: i64 = 4_102_444_800_000;
    let set = [
        ("highwater.max.future.skew.ms", "3600000"),
        ("highwater.future.skew.policy", "dead-letter"),
        LETTERS,
    ];
    let driver = TopologyTestDriver::new(sums(StreamsBuilder::new())).start_at(Timestamp(1_709_510_400_000));
    let mut scene = Scene::of(driver, &set);
    scene.add(1, 1_709_510_400_000);
    scene.add(2, FAR);
    assert_eq!(scene.read("sums").last(), Some(&1));
    let letters = scene.letters();
    assert_eq!(letters.len(), 1);
    assert!(header(&letters[0], "__streams.errors.message").contains("dated 2100-01-01"));
    let counts = scene.driver.total_counts();
    assert_eq!((counts.future, counts.dropped, counts.dead_letters), (1, 1, 1));
}

/// A final has no record that it came from: its letter says what failed, and nothing else is lost.
#[test]
fn a_final_that_fails_below_is_left_out_alone() {
    for panics in [false, true] {
        let builder = StreamsBuilder::new();
        let counts = numbers(&builder).group_by_key().windowed_by(TimeWindows::of_size(minutes(1)));
        let finals = counts.count(Materialized::named("counts")).suppress(Suppressed::until_window_closes());
        let checked = finals.to_stream().try_map(move |slot, n| {
            assert!(!(panics && *n == 2), "two");
            if *n == 2 { Err("two") } else { Ok((slot.key.clone(), *n)) }
        });
        checked.to("seen", Produced::with(Utf8, BigEndian));
        let set = [("processing.exception.handler", "dlq"), LETTERS];
        let mut scene = Scene::new(builder.build().expect("a topology"), &set);
        for at in [0, 60_000, 60_001, 120_000, 180_000] {
            scene.add(1, at);
        }
        assert_eq!(scene.read("seen"), [1, 1]);
        let letters = scene.letters();
        let [letter] = letters.as_slice() else { panic!("{letters:?}") };
        assert_eq!((&letter.key.0, &letter.value), (&None, &None));
        assert_eq!(header(letter, "__streams.errors.offset"), "-1");
        assert_eq!(letter.headers.last("__streams.errors.topic"), Some(None));
        assert_eq!(scene.driver.total_counts().dropped, 1);
    }
}

struct Punctual;
impl Processor for Punctual {
    type KIn = String;
    type VIn = u64;
    type KOut = String;
    type VOut = u64;
    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        let _ = ctx.schedule(seconds(1), PunctuationType::WallClock, |_, at, _| {
            if at.0 % 2000 == 0 { Err("even".into()) } else { Ok(()) }
        });
        Ok(())
    }
    fn process(
        &mut self,
        record: Record<'_, String, u64>,
        ctx: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        ctx.forward(record);
        Ok(())
    }
}

#[test]
fn a_punctuator_that_fails_is_called_again() {
    let topology = || {
        let builder = StreamsBuilder::new();
        numbers(&builder).process((), |()| Punctual).to("seen", Produced::with(Utf8, BigEndian));
        builder.build().expect("a topology")
    };
    let mut scene = Scene::new(topology(), &[("processing.exception.handler", "continue")]);
    scene.add(1, 0);
    scene.driver.advance_clock(seconds(10));
    assert_eq!(scene.driver.total_counts().dropped, 5);
    for handler in ["fail", "retry"] {
        let mut scene = Scene::new(topology(), &[("processing.exception.handler", handler)]);
        scene.add(1, 0);
        let text = scene.driver.try_advance_clock(seconds(10)).expect_err("stops").to_string();
        assert!(text.contains("outside a record") && text.contains("cause: even"), "{text}");
    }
}
