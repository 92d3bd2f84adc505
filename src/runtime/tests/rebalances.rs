//! Members come and go; every task goes on where its former owner stopped.

use super::world::{Guarantee, World, fed, letters, repartitioned};

#[test]
fn tasks_move_between_two_members() {
    for guarantee in Guarantee::BOTH {
        let mut world = World::new(letters(), guarantee.config(), 2);
        world.topic("in", 2);
        world.topic("out", 2);
        world.start(0);
        let mut next = fed(&mut world, 0, 3);
        world.settle();
        // That was committed; this is not when the second member comes.
        next = fed(&mut world, next, 1);
        world.settle();
        assert!(!world.members[0].instance.as_ref().expect("lives").is_settled());
        world.start(1);
        next = fed(&mut world, next, 3);
        world.advance(300);
        let shares: Vec<usize> =
            world.members.iter().map(|m| m.instance.as_ref().expect("lives").tasks().len()).collect();
        assert_eq!(shares, [1, 1]);
        next = fed(&mut world, next, 3);
        world.members[0].instance.as_mut().expect("lives").stop();
        world.advance(300);
        assert!(world.members[0].instance.as_ref().expect("there").is_over());
        next = fed(&mut world, next, 3);
        world.advance(300);
        assert_eq!(world.members[1].instance.as_ref().expect("lives").tasks().len(), 2);
        world.check(guarantee, next);
    }
}

#[test]
fn several_workers_share_the_tasks() {
    for guarantee in Guarantee::BOTH {
        let mut world = World::new(letters(), guarantee.config().threads(2), 1);
        world.topic("in", 2);
        world.topic("out", 2);
        world.start(0);
        let mut next = fed(&mut world, 0, 5);
        world.advance(300);
        next = fed(&mut world, next, 5);
        world.advance(300);
        world.check(guarantee, next);
    }
}

/// Nothing is processed twice without a crash, so this holds under both guarantees.
#[test]
fn a_repartition_topic_is_emptied_once_it_is_read() {
    for guarantee in Guarantee::BOTH {
        let mut world = World::new(repartitioned(), guarantee.config(), 1);
        world.topic("in", 2);
        world.topic("out", 2);
        world.start(0);
        let mut next = fed(&mut world, 0, 5);
        world.advance(300);
        next = fed(&mut world, next, 5);
        world.advance(300);
        assert!(world.log.read_all("app-again-repartition").is_empty());
        world.check(guarantee, next);
    }
}
