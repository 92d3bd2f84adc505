//! What is found out about topics before anything is processed.

use super::world::{Guarantee, World, letters, repartitioned};
use crate::dsl::{Consumed, Produced, StreamsBuilder};
use crate::serdes::Utf8;

fn error(world: &mut World) -> String {
    world.start(0);
    let instance = world.members[0].instance.as_mut().expect("there");
    for _ in 0..100 {
        match instance.step() {
            Ok(_) => {}
            Err(error) => {
                assert!(error.is_invalid_topics(), "{error}");
                return error.to_string();
            }
        }
    }
    panic!("it does not fail");
}

#[test]
fn missing_topics_are_told_together() {
    let mut world = World::new(letters(), Guarantee::ExactlyOnce.config(), 1);
    let text = error(&mut world);
    assert!(text.contains("2 mistakes"), "{text}");
    assert!(
        text.contains("topic `in` does not exist\n  read by: source `KSTREAM-SOURCE-0000000000`"),
        "{text}"
    );
    assert!(text.contains("topic `out` does not exist\n  written by: sub-topology 0"), "{text}");
}

#[test]
fn topics_read_together_need_equal_counts() {
    let builder = StreamsBuilder::new();
    let left = builder.stream("left", Consumed::<String, String>::with(Utf8, Utf8));
    let right = builder.stream("right", Consumed::<String, String>::with(Utf8, Utf8));
    left.merge(&right).to("out", Produced::with(Utf8, Utf8));
    let topology = builder.build().expect("builds");
    let mut world = World::new(topology, Guarantee::ExactlyOnce.config(), 1);
    world.topic("left", 2);
    world.topic("right", 3);
    world.topic("out", 1);
    let text = error(&mut world);
    assert!(text.contains("not co-partitioned: `left` has 2 partitions, `right` has 3 partitions"), "{text}");
}

#[test]
fn an_assignor_that_parts_what_is_read_together_is_refused() {
    for (strategy, refused) in [("range", false), ("cooperative-sticky", true)] {
        let builder = StreamsBuilder::new();
        let left = builder.stream("left", Consumed::<String, String>::with(Utf8, Utf8));
        let right = builder.stream("right", Consumed::<String, String>::with(Utf8, Utf8));
        left.merge(&right).to("out", Produced::with(Utf8, Utf8));
        let config = Guarantee::ExactlyOnce.config().set("partition.assignment.strategy", strategy);
        let mut world = World::new(builder.build().expect("builds"), config, 1);
        for topic in ["left", "right", "out"] {
            world.topic(topic, 2);
        }
        if refused {
            let text = error(&mut world);
            assert!(text.contains("a task of sub-topology 0 reads 2 topics"), "{text}");
            assert!(text.contains("topics: left, right"), "{text}");
        } else {
            world.start(0);
            world.settle();
        }
    }
}

#[test]
fn internal_topics_are_made_and_checked() {
    let mut world = World::new(repartitioned(), Guarantee::AtLeastOnce.config(), 1);
    world.topic("in", 3);
    world.topic("out", 1);
    world.start(0);
    world.settle();
    let topics = world.log.topics();
    let (changelog, repartition) = (&topics["app-all-changelog"], &topics["app-again-repartition"]);
    assert_eq!((changelog.partitions, repartition.partitions), (3, 3));
    assert_eq!(changelog.config["cleanup.policy"], "compact");
    assert_eq!(changelog.config["min.compaction.lag.ms"], "3600000");
    assert_eq!(repartition.config["cleanup.policy"], "delete");
    assert_eq!(repartition.config["retention.ms"], "-1");
    assert_eq!(repartition.config["message.timestamp.after.max.ms"], i64::MAX.to_string());

    let mut world = World::new(repartitioned(), Guarantee::AtLeastOnce.config(), 1);
    world.topic("in", 3);
    world.topic("out", 1);
    world.log.create_topic("app-all-changelog", 2, &[("cleanup.policy", "compact,delete")]).expect("made");
    let text = error(&mut world);
    assert!(text.contains("internal topic `app-all-changelog` has 2 partitions, 3 are needed"), "{text}");
    assert!(text.contains("has cleanup.policy=`compact,delete`, not `compact`"), "{text}");
}

#[test]
fn a_partition_count_that_changes_stops_the_application() {
    for (count, expected) in [
        (3, "in-2 was assigned, but `in` had 2 partitions at the start"),
        (1, "the partition count of `in` changed from 2 to 1 while running"),
    ] {
        let mut world = World::new(letters(), Guarantee::ExactlyOnce.config(), 1);
        world.topic("in", 2);
        world.topic("out", 1);
        world.start(0);
        world.settle();
        world.log.delete_topic("in");
        world.topic("in", count);
        let instance = world.members[0].instance.as_mut().expect("there");
        let error = (0..100).find_map(|_| instance.step().err());
        let error =
            error.unwrap_or_else(|| panic!("{count}: {:?} with {:?}", instance.state(), instance.tasks()));
        assert!(error.to_string().contains(expected), "{error}");
    }
}
