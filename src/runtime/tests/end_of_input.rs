//! The end of the input closes everything, level by level, also behind a repartition topic and with several members.

use super::world::{Guarantee, World};
use crate::dsl::{Consumed, Grouped, Materialized, Produced, StreamsBuilder, Suppressed};
use crate::record::TopicPartition;
use crate::runtime::{AtEnd, State};
use crate::serdes::Utf8;
use crate::time::{TimeWindows, milliseconds};
use crate::topology::Topology;
use std::collections::BTreeMap;

/// Finals of windows of 10 ms behind a repartition topic.
fn windows() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream("in", Consumed::<String, String>::with(Utf8, Utf8))
        .group_by(|_, value| value.clone(), Grouped::with("by-value", Utf8, Utf8))
        .windowed_by(TimeWindows::of_size(milliseconds(10)))
        .aggregate(String::new, |key, _, all| all.push_str(key), Materialized::named("windows"))
        .suppress(Suppressed::until_window_closes())
        .to_stream()
        .map(|windowed, all| (format!("{}@{}", windowed.key, windowed.window.start.0), all.clone()))
        .to("out", Produced::with(Utf8, Utf8));
    builder.build().expect("builds")
}

fn run(guarantee: Guarantee, at_end: AtEnd, members: usize) -> BTreeMap<String, Vec<String>> {
    let mut world = World::new(windows(), guarantee.config(), members);
    world.topic("in", 2);
    world.topic("out", 1);
    for at in 0..20 {
        world.put("in", 0, "a", if at % 2 == 0 { "even" } else { "odd" }, at * 2);
    }
    world.put("in", 1, "b", "even", 3);
    (0..members).for_each(|n| world.start(n));
    world.advance(200);
    let end = |partition| (TopicPartition::new("in", partition), if partition == 0 { 20 } else { 1 });
    world.end.declare(at_end, BTreeMap::from([end(0), end(1)]));
    world.advance(2000);
    for member in &mut world.members {
        let instance = member.instance.as_mut().expect("lives");
        assert_eq!(instance.state(), State::Running);
        assert!(instance.is_at_end(), "{guarantee:?} {at_end:?}");
    }
    world.read("out")
}

#[test]
fn everything_closes_once() {
    for guarantee in Guarantee::BOTH {
        for members in [1, 2] {
            let finals = run(guarantee, AtEnd::Close, members);
            let windows: Vec<&str> = finals.keys().map(String::as_str).collect();
            let expected = ["even@0", "even@10", "even@20", "even@30", "odd@0", "odd@10", "odd@20", "odd@30"];
            assert_eq!(windows, expected, "{guarantee:?} with {members}");
            assert!(finals.values().all(|finals| finals.len() == 1), "{finals:?}");
            assert_eq!(finals["even@0"][0], "even".repeat(4), "0, 4, 8 and b's 3");
        }
    }
}

#[test]
fn what_is_open_can_be_left_open() {
    for guarantee in Guarantee::BOTH {
        let finals = run(guarantee, AtEnd::Leave, 2);
        let windows: Vec<&str> = finals.keys().map(String::as_str).collect();
        assert_eq!(
            windows,
            ["even@0", "even@10", "even@20", "odd@0", "odd@10", "odd@20"],
            "the largest is 38"
        );
    }
}
