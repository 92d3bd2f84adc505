//! Counts words. The keys of the lines do not matter; the counts live in a store that is spread by word.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "on_kafka/mod.rs"]
mod on_kafka;

use highwater::serdes::Utf8;
use highwater::time::Timestamp;
use highwater::{
    AtEnd, BoxError, Consumed, EmbeddedLog, Grouped, KafkaStreams, Materialized, NoKey, Produced, Result,
    StreamsBuilder, StreamsConfig, Topology,
};
use std::collections::BTreeMap;

const LINES: [&str; 3] = ["All the world is a stage", "and all the men and women", "merely players"];

fn topology() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    builder
        .stream("lines", Consumed::values(Utf8))
        .flat_map_values(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .group_by(|_, word| word.clone(), Grouped::named("by-word"))
        .count(Materialized::named("word-counts"))
        .to_stream()
        .to("counts", Produced::default());
    builder.build()
}

fn lines() -> impl Iterator<Item = (NoKey, String, Timestamp)> {
    (1..).zip(LINES).map(|(at, line)| (NoKey, line.to_owned(), Timestamp(at)))
}

fn show(counts: Vec<(String, u64)>) {
    for (word, count) in counts {
        println!("{word} {count}");
    }
}

fn main() -> Result<(), BoxError> {
    match on_kafka::Demo::asked("word-count", &["lines", "counts"])? {
        None => Ok(embedded()?),
        Some(demo) => on_kafka(&demo),
    }
}

/// On a log inside the process.
#[tokio::main(flavor = "current_thread")]
async fn embedded() -> Result<()> {
    let log = EmbeddedLog::new();
    log.create_topic("lines", 2)?;
    log.create_topic("counts", 2)?;
    for (key, line, at) in lines() {
        log.append("lines", &Produced::values(Utf8), &key, &line, at)?;
    }
    log.end_of_input(AtEnd::Close);

    let config = StreamsConfig::new("word-count", "").exactly_once();
    KafkaStreams::embedded(topology()?, &log, config)?.run(tokio::signal::ctrl_c()).await?;
    show(log.read("counts", &Consumed::default())?);
    Ok(())
}

/// With `--bootstrap-server`: until all words are counted.
fn on_kafka(demo: &on_kafka::Demo) -> Result<(), BoxError> {
    demo.feed("lines", &Produced::values(Utf8), lines())?;
    let counts = || demo.read("counts", &Consumed::<String, u64>::default());
    let words = lines().map(|(_, line, _)| line.split_whitespace().count() as u64).sum::<u64>();
    demo.run(topology()?, || {
        Ok(counts()?.into_iter().collect::<BTreeMap<_, _>>().values().sum::<u64>() == words)
    })?;
    show(counts()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::testing::TopologyTestDriver;

    #[test]
    fn the_program_runs() {
        embedded().unwrap();
    }

    /// The latest count of each word, over several partitions and a crash.
    #[test]
    fn words_are_counted_across_partitions_and_a_crash() {
        let mut driver = TopologyTestDriver::new(topology().unwrap()).partitions(3).instances(2);
        let lines = driver.input_topic("lines", Produced::values(Utf8));
        let counts = driver.output_topic("counts", Consumed::<String, u64>::default());
        driver.pipe_input(&lines, NoKey, "The sea, the sea".to_owned(), Timestamp(0));
        let mut latest: BTreeMap<_, _> = driver.read_output(&counts).into_iter().collect();
        driver.crash_and_restore(0);
        driver.crash_and_restore(1);
        driver.pipe_input(&lines, NoKey, "The high sea".to_owned(), Timestamp(1));
        latest.extend(driver.read_output(&counts));
        let expected = [("high", 1), ("sea", 2), ("sea,", 1), ("the", 3)];
        assert_eq!(latest, expected.map(|(word, count)| (word.to_owned(), count)).into());
    }
}
