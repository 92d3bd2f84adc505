//! The shortest way through: one instance, one task.

use super::world::World;
use crate::dsl::{Consumed, Materialized, Produced, StreamsBuilder};
use crate::runtime::{State, StreamsConfig};
use crate::serdes::Utf8;
use crate::topology::Topology;

pub(super) fn counts() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream("in", Consumed::<String, String>::with(Utf8, Utf8))
        .group_by_key()
        .aggregate(String::new, |_, value, all: &mut String| all.push_str(value), Materialized::named("all"))
        .to_stream()
        .to("out", Produced::with(Utf8, Utf8));
    builder.build().expect("builds")
}

#[test]
fn one_instance_one_task() {
    for config in [StreamsConfig::new("app", "").exactly_once(), StreamsConfig::new("app", "")] {
        let mut world = World::new(counts(), config, 1);
        world.topic("in", 1);
        world.topic("out", 1);
        for (at, value) in ["1", "2", "3"].into_iter().enumerate() {
            world.put("in", 0, "a", value, at as i64);
        }
        world.start(0);
        world.settle();
        world.advance(60_000);
        assert_eq!(world.latest("out")["a"], "123");
        let instance = world.members[0].instance.as_mut().expect("lives");
        assert_eq!(instance.state(), State::Running);
        assert_eq!(instance.counts().processed, 3);
        instance.stop();
        world.settle();
        assert_eq!(world.members[0].instance.as_ref().expect("there").state(), State::NotRunning);
    }
}
