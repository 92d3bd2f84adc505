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
