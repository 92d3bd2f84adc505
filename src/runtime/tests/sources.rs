//! Which topics a source reads, and where it starts without a position.

use super::world::{Guarantee, World};
use crate::dsl::{Consumed, Produced, StreamsBuilder};
use crate::runtime::StreamsConfig;
use crate::serdes::Utf8;
use crate::time::milliseconds;
use crate::topology::AutoOffsetReset;

fn read(consumed: Consumed<String, String>, config: StreamsConfig) -> Vec<String> {
    let builder = StreamsBuilder::new();
    builder.stream("in", consumed).to("out", Produced::with(Utf8, Utf8));
    let mut world = World::new(builder.build().expect("builds"), config, 1);
    world.topic("in", 1);
    world.topic("out", 1);
    // The clock stands at 1,000,000.
    world.put("in", 0, "a", "old", 999_000);
    world.put("in", 0, "a", "young", 999_950);
    world.start(0);
    world.settle();
    world.put("in", 0, "a", "new", 1_000_000);
    world.advance(300);
    world.read("out").remove("a").unwrap_or_default()
}

#[test]
fn a_source_starts_where_its_policy_says() {
    let consumed = || Consumed::<String, String>::with(Utf8, Utf8);
    for guarantee in Guarantee::BOTH {
        let config = || guarantee.config();
        assert_eq!(read(consumed(), config()), ["old", "young", "new"]);
        assert_eq!(read(consumed(), config().set("auto.offset.reset", "latest")), ["new"]);
        let latest = consumed().reset(AutoOffsetReset::Latest);
        assert_eq!(read(latest, config()), ["new"]);
        let younger = consumed().reset(AutoOffsetReset::ByDuration(milliseconds(100)));
        assert_eq!(read(younger, config().set("auto.offset.reset", "latest")), ["young", "new"]);
    }
}

#[test]
fn a_pattern_reads_what_is_there_at_the_start_and_nothing_internal() {
    let builder = StreamsBuilder::new();
    builder
        .stream_pattern("in-.*|app-.*", Consumed::<String, String>::with(Utf8, Utf8))
        .to("out", Produced::with(Utf8, Utf8));
    let mut world = World::new(builder.build().expect("builds"), Guarantee::ExactlyOnce.config(), 1);
    for topic in ["in-1", "in-2", "app-old-changelog", "other", "out"] {
        world.topic(topic, 1);
        world.put(topic, 0, "a", topic, 1);
    }
    world.log.delete_topic("out");
    world.topic("out", 1);
    world.start(0);
    world.advance(2000);
    let mut read = world.read("out").remove("a").unwrap_or_default();
    read.sort();
    assert_eq!(read, ["in-1", "in-2"]);
}
