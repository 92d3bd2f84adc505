//! Node names are Kafka Streams': read in its sources, and seen in its descriptions.

use super::*;
use crate::time::{TimeWindows, minutes, seconds};

fn source(builder: &StreamsBuilder) -> KStream<String, String> {
    builder.stream("in", Consumed::default())
}

/// The numbers jump from 2 to 6, for the repartition takes three.
#[test]
fn an_aggregate_takes_its_number_before_its_repartition() {
    let builder = StreamsBuilder::new();
    source(&builder)
        .group_by(|_, value| value.clone(), Grouped::named("byv"))
        .count(Materialized::named("c"))
        .to_stream()
        .map_values(ToString::to_string)
        .to("out", Produced::default());
    let expected = [
        "KSTREAM-SOURCE-0000000000",
        "byv",
        "byv-repartition-filter",
        "byv-repartition-sink",
        "byv-repartition-source",
        "KSTREAM-AGGREGATE-0000000002",
        "KTABLE-TOSTREAM-0000000006",
        "KSTREAM-MAPVALUES-0000000007",
        "KSTREAM-SINK-0000000008",
    ];
    assert_eq!(names(&builder.build().expect("builds")), expected);
}

#[test]
fn the_aggregates_of_a_group_share_its_topic_and_each_take_its_numbers() {
    let builder = StreamsBuilder::new();
    let grouped = source(&builder).group_by(|_, value| value.clone(), Grouped::named("g-repartition"));
    let _ = grouped.count(Materialized::named("n"));
    let _ = grouped.reduce(|all, one| all.push_str(one), Materialized::named("all"));
    let topology = builder.build().expect("builds");
    let aggregates = ["KSTREAM-AGGREGATE-0000000002", "KSTREAM-REDUCE-0000000006"];
    assert_eq!(names(&topology)[5..], aggregates);
    assert_eq!(topology.blueprint().repartitions.len(), 1);
    assert_eq!(names(&topology)[4], "g-repartition-source");
}

#[test]
fn a_repartition_takes_three_numbers() {
    let builder = StreamsBuilder::new();
    source(&builder)
        .select_key(|_, value| value.clone())
        .repartition(Repartitioned::named("r"))
        .peek(|_, _| {})
        .to("out", Produced::default());
    let expected = [
        "KSTREAM-SOURCE-0000000000",
        "KSTREAM-KEY-SELECT-0000000001",
        "r-repartition-filter",
        "r-repartition-sink",
        "r-repartition-source",
        "KSTREAM-PEEK-0000000005",
        "KSTREAM-SINK-0000000006",
    ];
    assert_eq!(names(&builder.build().expect("builds")), expected);
}

#[test]
fn every_stateless_operator() {
    let builder = StreamsBuilder::new();
    let stream = source(&builder);
    stream.filter(|_, _| true).filter_not(|_, _| false).for_each(|_, _| {});
    let _ = stream
        .map(|key, value| (value.clone(), key.clone()))
        .flat_map(|key, value| [(key.clone(), value.clone())]);
    stream.flat_map_values(|value| Some(value.clone())).merge(&stream).to("out", Produced::default());
    let expected = [
        "KSTREAM-SOURCE-0000000000",
        "KSTREAM-FILTER-0000000001",
        "KSTREAM-FILTER-0000000002",
        "KSTREAM-FOREACH-0000000003",
        "KSTREAM-MAP-0000000004",
        "KSTREAM-FLATMAP-0000000005",
        "KSTREAM-FLATMAPVALUES-0000000006",
        "KSTREAM-MERGE-0000000007",
        "KSTREAM-SINK-0000000008",
    ];
    assert_eq!(names(&builder.build().expect("builds")), expected);
}

/// A branch's name has no number, but one is taken for it.
#[test]
fn branches_are_named_after_their_split() {
    let builder = StreamsBuilder::new();
    let mut split = source(&builder).split();
    split.branch("-long", |_, value| value.len() > 3).to("long", Produced::default());
    split.default_branch("-rest").to("rest", Produced::default());
    let expected = [
        "KSTREAM-SOURCE-0000000000",
        "KSTREAM-BRANCH-0000000001",
        "KSTREAM-BRANCH-0000000001-long",
        "KSTREAM-SINK-0000000003",
        "KSTREAM-BRANCH-0000000001-rest",
        "KSTREAM-SINK-0000000005",
    ];
    assert_eq!(names(&builder.build().expect("builds")), expected);
}

#[test]
fn a_named_node_takes_its_number_all_the_same() {
    let builder = StreamsBuilder::new();
    let lines = builder.stream::<String, String>("in", Consumed::default().named("lines"));
    let long = lines.filter(|_, line| line.len() > 80).named("long");
    long.to("out", Produced::default().named("out"));
    long.peek(|_, _| {}).to("again", Produced::default());
    let expected = ["lines", "long", "out", "KSTREAM-PEEK-0000000003", "KSTREAM-SINK-0000000004"];
    assert_eq!(names(&builder.build().expect("builds")), expected);
}

/// An unnamed suppress takes a number for its node and one for its buffer, a named one none; the side outputs are
/// numbered when they are asked for.
#[test]
fn tables_and_windows() {
    let builder = StreamsBuilder::new();
    let windowed = source(&builder).group_by_key().windowed_by(TimeWindows::of_size(minutes(1)));
    windowed.late().to("late", Produced::default());
    let counts = windowed.count(Materialized::named("n")).filter(|_, n| *n > 1);
    counts.suppress(Suppressed::until_window_closes()).to_stream().to("finals", Produced::default());
    let soon = counts.suppress(Suppressed::until_time_limit(seconds(1), Materialized::named("soon")));
    soon.map_values(|n| n + 1).to_changelog().to("soon", Produced::default());
    let _ = source_table(&builder);
    let expected = [
        "KSTREAM-SOURCE-0000000000",
        "HIGHWATER-LATE-0000000001",
        "KSTREAM-SINK-0000000002",
        "KSTREAM-AGGREGATE-0000000003",
        "KTABLE-FILTER-0000000004",
        "KTABLE-SUPPRESS-0000000005",
        "KTABLE-TOSTREAM-0000000007",
        "KSTREAM-SINK-0000000008",
        "soon",
        "KTABLE-MAPVALUES-0000000009",
        "KTABLE-TOSTREAM-0000000010",
        "KSTREAM-SINK-0000000011",
        "KSTREAM-SOURCE-0000000012",
        "KSTREAM-TOTABLE-0000000013",
    ];
    assert_eq!(names(&builder.build().expect("builds")), expected);
}

fn source_table(builder: &StreamsBuilder) -> KTable<String, u64> {
    builder.stream("table", Consumed::default()).to_table(Materialized::named("table"))
}

/// The whole text as Kafka Streams prints it for this program (with the node of `group_by` named as its group).
#[test]
fn the_description_is_kafka_streams_own() {
    let builder = StreamsBuilder::new();
    source(&builder)
        .select_key(|_, value| value.clone())
        .repartition(Repartitioned::named("byv"))
        .group_by_key()
        .count(Materialized::named("c"))
        .to_stream()
        .to("out", Produced::default());
    let expected = "Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [in])
      --> KSTREAM-KEY-SELECT-0000000001
    Processor: KSTREAM-KEY-SELECT-0000000001 (stores: [])
      --> byv-repartition-filter
      <-- KSTREAM-SOURCE-0000000000
    Processor: byv-repartition-filter (stores: [])
      --> byv-repartition-sink
      <-- KSTREAM-KEY-SELECT-0000000001
    Sink: byv-repartition-sink (topic: byv-repartition)
      <-- byv-repartition-filter

  Sub-topology: 1
    Source: byv-repartition-source (topics: [byv-repartition])
      --> KSTREAM-AGGREGATE-0000000005
    Processor: KSTREAM-AGGREGATE-0000000005 (stores: [c])
      --> KTABLE-TOSTREAM-0000000006
      <-- byv-repartition-source
    Processor: KTABLE-TOSTREAM-0000000006 (stores: [])
      --> KSTREAM-SINK-0000000007
      <-- KSTREAM-AGGREGATE-0000000005
    Sink: KSTREAM-SINK-0000000007 (topic: out)
      <-- KTABLE-TOSTREAM-0000000006

";
    assert_eq!(builder.build().expect("builds").describe(), expected);
}
