//! A small topology on a broker: repartition, state, restart.

use super::cluster::{Cluster, LONG};
use highwater::{
    Consumed, Grouped, KafkaStreams, Materialized, Produced, StreamsBuilder, StreamsConfig, Topology,
};
use std::collections::BTreeMap;

/// With the names that the Java program of the interchange tests has.
pub fn count(lines: &str, counts: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream(lines, Consumed::<String, String>::default())
        .flat_map_values(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .group_by(|_, word| word.clone(), Grouped::named("by-word"))
        .count(Materialized::named("word-counts"))
        .to_stream()
        .map_values(u64::to_string)
        .to(counts, Produced::default());
    builder.build().expect("topology")
}

fn words(guarantee: &str) {
    let Some(cluster) = Cluster::there() else { return };
    let (lines, counts) = (cluster.unique("lines"), cluster.unique("counts"));
    let (application, state) = (cluster.unique("words"), tempfile::tempdir().expect("a folder"));
    cluster.create(&lines, 2);
    cluster.create(&counts, 2);
    let config = StreamsConfig::new(&application, &cluster.bootstrap)
        .set("processing.guarantee", guarantee)
        .set("commit.interval.ms", "100")
        .set("state.dir", state.path().display().to_string());
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..3_i64 {
        cluster
            .write(&lines, [("a", "the cat and the dog", 1_000 + round), ("b", "the bird", 2_000 + round)]);
        for word in ["the", "cat", "and", "the", "dog", "the", "bird"] {
            *expected.entry(word.to_owned()).or_default() += 1;
        }
        let running = KafkaStreams::new(count(&lines, &counts), config.clone()).expect("starts").start();
        let seen = cluster.until(&counts, "counts", |seen| {
            let last: BTreeMap<&str, &str> = seen.iter().map(|(_, key, value)| (&**key, &**value)).collect();
            expected.iter().all(|(word, count)| last.get(&**word) == Some(&&*count.to_string()))
        });
        let most = seen.iter().filter(|(_, word, _)| word == "cat").count();
        assert_eq!(most as i64, round + 1, "a count is told once");
        running.close(LONG).expect("a clean stop");
    }
}

#[test]
fn words_are_counted_through_restarts_exactly_once() {
    words("exactly_once_v2");
}

#[test]
fn words_are_counted_through_restarts_at_least_once() {
    words("at_least_once");
}
