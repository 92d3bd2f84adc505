//! Positions that are gone, or point at what is gone.

use super::world::{Guarantee, World, fed, letters};
use crate::record::TopicPartition;
use std::collections::BTreeMap;

fn fails(world: &mut World) -> String {
    for _ in 0..10_000 {
        let instance = world.members[0].instance.as_mut().expect("there");
        match instance.step() {
            Ok(stepped) if stepped.progressed => {}
            Ok(_) => world.clock.advance(50),
            Err(error) => return error.to_string(),
        }
    }
    panic!("it does not fail");
}

fn ran(guarantee: Guarantee) -> World {
    let mut world = World::new(letters(), guarantee.config(), 1);
    world.topic("in", 2);
    world.topic("out", 2);
    world.start(0);
    fed(&mut world, 0, 3);
    world.advance(300);
    world.members[0].instance.as_mut().expect("lives").stop();
    world.advance(100);
    world
}

#[test]
fn without_positions_a_changelog_with_records_is_refused() {
    for guarantee in Guarantee::BOTH {
        let mut world = ran(guarantee);
        world.log.delete_topic("in");
        world.topic("in", 2);
        world.start(0);
        let error = fails(&mut world);
        assert!(
            error.contains("the group has no position for task 0_0, but app-all-changelog-0 has records"),
            "{error}"
        );
        assert!(error.contains("highwater.on.lost.offsets=reset"), "{error}");
    }
}

#[test]
fn starting_over_begins_with_empty_state_for_good() {
    for guarantee in Guarantee::BOTH {
        let mut world = ran(guarantee);
        world.log.delete_topic("in");
        world.topic("in", 2);
        world.log.delete_topic("out");
        world.topic("out", 2);
        world.config = world.config.clone().set("highwater.on.lost.offsets", "reset");
        world.start(0);
        world.advance(300);
        let next = fed(&mut world, 0, 2);
        world.advance(300);
        world.check(guarantee, next);
    }
}

#[test]
fn a_position_before_the_log_names_what_is_lost() {
    let mut world = ran(Guarantee::ExactlyOnce);
    let partition = TopicPartition::new("in", 0);
    world.log.commit("app", &BTreeMap::from([(partition.clone(), (2, Vec::new()))])).expect("committed");
    world.log.delete_records(&BTreeMap::from([(partition, 4)]));
    world.start(0);
    let error = fails(&mut world);
    assert!(error.contains("offsets 2 to 3 of in-0 are lost: the log starts at 4"), "{error}");
}

#[test]
fn what_a_running_task_has_not_read_is_lost_with_names() {
    for guarantee in Guarantee::BOTH {
        let mut world = ran(guarantee);
        world.start(0);
        world.advance(300);
        fed(&mut world, 3, 3);
        world.log.delete_records(&BTreeMap::from([(TopicPartition::new("in", 0), 10)]));
        let error = fails(&mut world);
        assert!(error.contains("offsets 6 to 9 of in-0 are lost: the log starts at 10"), "{error}");
        assert!(error.contains("highwater.on.lost.offsets=reset"), "{error}");
    }
}
