//! Repartition topics: records without our markers, and what Java makes of our markers.

use super::{Cluster, Java, LONG, config, start};
use highwater::time::{TimeWindows, minutes};
use highwater::{Consumed, Grouped, Materialized, Produced, StreamsBuilder, Topology};
use std::collections::BTreeMap;

/// Counts words per minute, so that its repartition topic carries markers.
fn per_minute(lines: &str, counts: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream(lines, Consumed::<String, String>::default())
        .flat_map_values(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone(), Grouped::named("by-word"))
        .windowed_by(TimeWindows::of_size(minutes(1)))
        .count(Materialized::named("word-counts"))
        .to_stream()
        .map(|word, count| (format!("{}@{}", word.key, word.window.start.0), count.to_string()))
        .to(counts, Produced::default());
    builder.build().expect("topology")
}

struct World {
    cluster: Cluster,
    application: String,
    repartition: String,
    lines: String,
    counts: String,
    /// Of the reader that is not the application.
    elsewhere: String,
    state: tempfile::TempDir,
}

impl World {
    fn new() -> Option<Self> {
        let cluster = Java::there()?;
        let [application, lines, counts, elsewhere] =
            ["parts", "lines", "counts", "elsewhere"].map(|name| cluster.unique(name));
        cluster.create_all([&lines, &counts, &elsewhere], 2);
        let repartition = format!("{application}-by-word-repartition");
        cluster.create_with(&repartition, 2, &[("cleanup.policy", "delete"), ("retention.ms", "-1")]);
        let state = tempfile::tempdir().expect("a folder");
        Some(Self { cluster, application, repartition, lines, counts, elsewhere, state })
    }

    fn until(&self, topic: &str, expected: &[(&str, u64)]) {
        let expected: BTreeMap<String, u64> =
            expected.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect();
        self.cluster.until(topic, &format!("{expected:?}"), |seen| {
            let seen = seen.iter().map(|(_, key, count)| (key.clone(), count.parse().expect("a count")));
            seen.collect::<BTreeMap<String, u64>>() == expected
        });
    }
}

#[test]
fn records_of_java_are_read_without_markers() {
    let Some(world) = World::new() else { return };
    let elsewhere = world.cluster.unique("elsewhere-lines");
    world.cluster.create(&elsewhere, 1);
    world.cluster.write(&elsewhere, [("a", "to be or not to be", 1_000), ("b", "to do", 61_000)]);
    let other = world.cluster.unique("java");
    let java =
        Java::run(&world.cluster, &["split", &other, "exactly_once_v2", &elsewhere, &world.repartition]);
    world.cluster.until(&world.repartition, "words", |seen| seen.len() == 8);
    java.close();

    let config = config(&world.cluster, &world.application, "exactly_once_v2", world.state.path());
    let running = start(per_minute(&world.lines, &world.counts), config);
    let theirs = [("to@0", 2), ("be@0", 2), ("or@0", 1), ("not@0", 1), ("to@60000", 1), ("do@60000", 1)];
    world.until(&world.counts, &theirs);
    // Beside ours, which come with markers.
    world.cluster.write_to(&world.lines, 0, "a", "to be", 2_000);
    world.cluster.write_to(&world.lines, 1, "a", "or", 3_000);
    let both = [("to@0", 3), ("be@0", 3), ("or@0", 2), ("not@0", 1), ("to@60000", 1), ("do@60000", 1)];
    world.until(&world.counts, &both);
    running.close(LONG).expect("a clean stop");
}

/// A marker is a record without key and value: an aggregation leaves it out, and it moves Java's stream time no further
/// than our watermark.
#[test]
fn java_reads_ours_and_skips_markers() {
    let Some(world) = World::new() else { return };
    let other = world.cluster.unique("java");
    let mut java =
        Java::run(&world.cluster, &["look", &other, "at_least_once", &world.repartition, &world.elsewhere]);
    for partition in 0..2 {
        world.cluster.write_to(&world.lines, partition, "a", "to be or", 1_000);
        world.cluster.write_to(&world.lines, partition, "b", "not to be", 61_000);
    }
    // No commit before Java has read: what was committed is deleted from the topic.
    let config = config(&world.cluster, &world.application, "at_least_once", world.state.path())
        .set("commit.interval.ms", "20000")
        .set("highwater.watermark.interval.ms", "100");
    let running = start(per_minute(&world.lines, &world.counts), config);
    let marked = |said: &[String]| {
        let count = |start: &str| said.iter().filter(|line| line.starts_with(start)).count();
        count("record null null ") >= 4 && count("record ") - count("record null null ") == 12
    };
    let said = java.until("records and markers", marked).to_vec();
    let expected =
        [("to@0", 2), ("be@0", 2), ("or@0", 2), ("not@60000", 2), ("to@60000", 2), ("be@60000", 2)];
    world.until(&world.elsewhere, &expected);
    running.close(LONG).expect("a clean stop");
    java.close();
    for line in said.iter().filter(|line| line.starts_with("record ")) {
        let time: i64 = line.rsplit(' ').next().and_then(|time| time.parse().ok()).expect("a stream time");
        assert!(time <= 61_000, "{line}");
    }
}
