//! Counts words. The keys of the lines do not matter; the counts live in a store that is spread by word.

use highwater::serdes::Utf8;
use highwater::{Consumed, Grouped, Materialized, Produced, Result, StreamsBuilder, Topology};

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

fn main() -> Result<()> {
    topology().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::NoKey;
    use highwater::testing::TopologyTestDriver;
    use highwater::time::Timestamp;
    use std::collections::BTreeMap;

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
