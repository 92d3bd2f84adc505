//! Operators without windows, in a task.

use super::*;
use crate::processor::Decoded;
use crate::serdes::{BigEndian, Json, NoKey, Utf8};

fn numbers(builder: &StreamsBuilder) -> KStream<String, u64> {
    builder.stream("in", Consumed::with(Utf8, Json))
}
fn text() -> Produced<String, u64> {
    Produced::with(Utf8, Json)
}
fn task(builder: StreamsBuilder) -> Task {
    let topics = ["out", "a", "b", "c", "app-r-repartition"];
    Task::of(&builder.build().expect("builds"), 0, &topics)
}

#[test]
fn a_chain_of_every_stateless_operator() {
    let builder = StreamsBuilder::new();
    numbers(&builder)
        .filter(|_, n| *n > 1)
        .filter_not(|_, n| *n > 100)
        .map_values(|n| n * 10)
        .flat_map_values(|n| [*n, n + 1])
        .peek(|_, n| assert!(*n >= 20))
        .map(|key, n| (format!("{key}{key}"), *n))
        .flat_map(|key, n| (n % 2 == 0).then(|| (key.clone(), *n)))
        .select_key(|key, n| format!("{key}{n}"))
        .to("out", text());
    let mut task = task(builder);
    for n in [1, 2, 3, 101] {
        task.send("k", &n.to_string(), n);
    }
    assert_eq!(task.written("out"), ["kk20=20@2", "kk30=30@3"]);
}

#[test]
fn branches_take_what_the_ones_before_left() {
    let builder = StreamsBuilder::new();
    let mut split = numbers(&builder).split();
    split.branch("-a", |_, n| *n > 10).to("a", text());
    split.branch("-b", |_, n| *n > 5).to("b", text());
    split.default_branch("-c").merge(&numbers_again(&builder)).to("c", text());
    let mut task = task(builder);
    for n in [20, 7, 3] {
        task.send("k", &n.to_string(), 0);
    }
    task.try_send(1, Some("again"), Some("1"), 0).expect("is processed");
    assert_eq!(task.written("a"), ["k=20@0"]);
    assert_eq!(task.written("b"), ["k=7@0"]);
    assert_eq!(task.written("c"), ["k=3@0", "again=1@0"]);
}

fn numbers_again(builder: &StreamsBuilder) -> KStream<String, u64> {
    builder.stream("again", Consumed::with(Utf8, Json))
}

#[test]
fn a_closure_that_fails_names_its_node() {
    let builder = StreamsBuilder::new();
    builder
        .stream("in", Consumed::with(Utf8, Utf8))
        .try_map_values(|line| line.parse::<u64>())
        .try_filter(|_, n| if *n == 13 { Err("thirteen") } else { Ok(true) })
        .to("out", text());
    let mut task = task(builder);
    task.send("k", "1", 0);
    let parse = task.try_send(0, Some("k"), Some("x"), 0).expect_err("fails");
    assert!(parse.is_processing() && parse.to_string().contains("KSTREAM-MAPVALUES-0000000001"), "{parse}");
    let filter = task.try_send(0, Some("k"), Some("13"), 0).expect_err("fails");
    assert!(filter.to_string().contains("cause: thirteen"), "{filter}");
    assert_eq!(task.written("out"), ["k=1@0"]);
}

#[test]
fn bytes_that_cannot_be_read_name_their_serde() {
    let builder = StreamsBuilder::new();
    numbers(&builder).to("out", text());
    let mut task = task(builder);
    let error = task.try_send(0, Some("k"), Some("x"), 0).expect_err("no number");
    assert!(error.is_deserialization() && error.to_string().contains("serde: Json<u64>"), "{error}");
    let error = task.try_send(0, None, Some("1"), 0).expect_err("null key").to_string();
    assert!(error.contains("serde: Utf8<String>") && error.contains("payload: null"), "{error}");
}

#[test]
fn missing_keys_are_dropped_and_counted_or_computed() {
    let builder = StreamsBuilder::new();
    let lines = builder.stream("in", Consumed::with(Utf8, Json).null_keys());
    lines.drop_missing_keys().group_by_key().count(Materialized::named("n")).to_stream().to("a", text());
    lines.filter(|key, _: &u64| key.is_none()).to("b", Produced::with(Utf8, Json).null_keys());
    let mut task = task(builder);
    task.try_send(0, None, Some("1"), 1).expect("is processed");
    task.send("k", "2", 2);
    assert_eq!(task.effects.counts.dropped, 1);
    assert_eq!(task.written("a"), ["k=1@2"]);
    assert_eq!(task.written("b"), ["-=1@1"]);
}

#[test]
fn keys_that_are_not_read_are_written_as_null() {
    let builder = StreamsBuilder::new();
    let lines: KStream<NoKey, String> = builder.stream("in", Consumed::values(Utf8));
    lines.to("a", Produced::default());
    lines.to("b", Produced::values(Utf8));
    let mut task = task(builder);
    task.send("whatever", "line", 0);
    assert_eq!(
        (task.written("a"), task.written("b")),
        (vec!["-=line@0".to_owned()], vec!["-=line@0".to_owned()])
    );
}

#[test]
fn aggregates_forward_the_latest_and_skip_nulls() {
    let builder = StreamsBuilder::new();
    let grouped = builder.stream("in", Consumed::with(Utf8, Json).null_values()).group_by_key();
    let sum = |_: &String, n: &Option<u64>, sum: &mut u64| *sum += n.unwrap_or(0);
    grouped.aggregate(|| 0, sum, Materialized::named("sum")).to_stream().to("a", text());
    grouped.count(Materialized::named("n")).to_stream().to("b", text());
    let mut task = task(builder);
    task.send("k", "5", 3);
    task.try_send(0, Some("k"), None, 4).expect("is processed");
    task.send("k", "6", 1);
    assert_eq!(task.effects.counts.dropped, 2, "one for each aggregate");
    assert_eq!(task.written("a"), ["k=5@3", "k=11@3"]);
    assert_eq!(task.written("b"), ["k=1@3", "k=2@3"]);
}

#[test]
fn a_table_deletes_on_null_and_its_changelog_says_so() {
    let builder = StreamsBuilder::new();
    let updates: KStream<String, Option<u64>> =
        builder.stream("in", Consumed::with(Utf8, Json).null_values());
    let table = updates.to_table(Materialized::with("t", Json).null_values());
    table.to_stream().to("a", text().null_values());
    let kept = table.filter(|_, n| n.is_some_and(|n| n > 1)).map_values(|n| n.unwrap_or(0) * 10);
    kept.to_changelog().to("b", text().null_values());
    let mut task = task(builder);
    task.send("k", "5", 1);
    task.send("k", "1", 2);
    task.try_send(0, Some("k"), None, 3).expect("is processed");
    assert_eq!(task.written("a"), ["k=5@1", "k=1@2"]);
    assert_eq!(task.written("b"), ["k=50@1", "k=-@2"]);
}

#[test]
fn a_repartition_writes_with_the_groups_serdes_and_reads_with_them() {
    let builder = StreamsBuilder::new();
    let grouped = Grouped::with("r", Utf8, Json);
    let by_parity = numbers(&builder).group_by(|_, n| format!("{}", n % 2), grouped);
    by_parity.reduce(|sum, n| *sum += n, Materialized::with("sum", Json)).to_stream().to("out", text());
    let topology = builder.build().expect("builds");
    let mut above = Task::of(&topology, 0, &["app-r-repartition"]);
    above.send("k", "5", 1);
    assert_eq!(above.written("app-r-repartition"), ["1=5@1"]);
    let mut below = Task::of(&topology, 1, &["out"]);
    below.send("1", "5", 1);
    below.send("1", "7", 2);
    assert_eq!(below.written("out"), ["1=5@1", "1=12@2"]);
}

#[test]
fn the_serde_that_was_read_with_travels_while_the_type_stays() {
    let builder = StreamsBuilder::new();
    let stream = numbers(&builder);
    stream.filter(|_, _| true).to("a", Produced::default());
    stream.map_values(|n| *n).to("b", Produced::default());
    let mut task = task(builder);
    task.send("k", "7", 0);
    assert_eq!(task.written("a"), ["k=7@0"], "JSON, as it was read");
    assert_eq!(task.written("b"), ["k=[7]@0"], "eight bytes, the type's default");
}

#[test]
fn records_choose_their_topic_and_users_their_partition() {
    let builder = StreamsBuilder::new();
    let chosen = Produced::with(Utf8, BigEndian).partition_by(|_, n: &u64, _| *n as u32);
    numbers(&builder).to_chosen(|record| record.key.clone(), chosen);
    let mut task = task(builder);
    task.send("a", "0", 0);
    assert_eq!(task.written("a").len(), 1);
    let error = task.try_send(0, Some("b"), Some("1"), 0).expect_err("one partition").to_string();
    assert!(error.contains("chose 1 of `b`, which has 1"), "{error}");
    assert!(task.try_send(0, Some("nowhere"), Some("0"), 0).is_err_and(|error| error.is_invalid_topics()));
}

#[test]
fn timestamps_come_from_the_record_a_closure_or_the_clock() {
    let builder = StreamsBuilder::new();
    let own = Consumed::with(Utf8, Json).timestamp(|_, n: &u64| Timestamp(*n as i64));
    let own = builder.stream("in", own);
    let partition = Consumed::with(Utf8, Json).timestamp_extractor(|_, _: &u64, record, partition| {
        record.max(Timestamp(partition.0.saturating_add(5)))
    });
    let partition = builder.stream("again", partition);
    let clock = builder.stream("clock", Consumed::with(Utf8, Json).wall_clock());
    own.merge(&partition).merge(&clock).to("a", text());
    let mut task = task(builder);
    let mut at = |input: usize, record: i64, value: &str, partition: i64| {
        let key = Some(Arc::from(b"k".as_slice()));
        let value = Some(Arc::from(value.as_bytes()));
        let record =
            LogRecord { offset: 0, timestamp: Timestamp(record), key, value, headers: Headers::new() };
        task.graph.inputs[input].decode(0, &record, Timestamp(partition), Timestamp(99)).expect("decodes")
    };
    assert_eq!(at(0, 1, "7", i64::MIN), Decoded::At(Timestamp(7)));
    assert_eq!(at(1, 3, "7", 20), Decoded::At(Timestamp(25)));
    assert_eq!(at(2, 3, "7", 20), Decoded::At(Timestamp(99)));
    assert_eq!(at(1, -3, "7", -9), Decoded::Negative);
}
