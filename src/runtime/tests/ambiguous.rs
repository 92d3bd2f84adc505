//! Nobody knows whether it happened: ends of transactions, offset commits, outages.

use super::world::{Guarantee, World, fed, letters};
use crate::broker::memory::{Call, Loss};

const LOSSES: [Loss; 3] = [Loss::Request, Loss::Answer, Loss::Delay];

fn world(guarantee: Guarantee) -> (World, usize) {
    let mut world = World::new(letters(), guarantee.config(), 1);
    world.topic("in", 2);
    world.topic("out", 2);
    world.start(0);
    let next = fed(&mut world, 0, 3);
    world.advance(300);
    (world, next)
}

#[test]
fn the_end_of_a_transaction() {
    for loss in LOSSES {
        let (mut world, mut next) = world(Guarantee::ExactlyOnce);
        world.log.lose_next("member0", Call::EndTransaction, loss);
        next = fed(&mut world, next, 3);
        world.advance(60_000);
        world.log.land_late_request();
        next = fed(&mut world, next, 3);
        world.advance(60_000);
        assert_eq!(world.members[0].kills, 0);
        world.check(Guarantee::ExactlyOnce, next);
    }
}

#[test]
fn an_offset_commit_is_repeated_and_followed_by_a_new_generation() {
    for loss in LOSSES {
        let (mut world, mut next) = world(Guarantee::AtLeastOnce);
        let before = world.generation(0);
        world.log.lose_next("member0", Call::OffsetCommit, loss);
        next = fed(&mut world, next, 3);
        world.advance(60_000);
        assert!(world.generation(0) > before, "{loss:?}");
        next = fed(&mut world, next, 3);
        world.advance(200);
        // The late request belongs to a generation that has passed.
        world.log.land_late_request();
        world.check(Guarantee::AtLeastOnce, next);
    }
}

#[test]
fn an_outage_longer_than_the_transaction_timeout() {
    for guarantee in Guarantee::BOTH {
        for length in [11_000, 40_000, 200_000] {
            let (mut world, mut next) = world(guarantee);
            next = fed(&mut world, next, 2);
            world.step(0);
            world.log.outage(true);
            next = fed(&mut world, next, 2);
            world.advance(length);
            world.log.outage(false);
            world.advance(60_000);
            next = fed(&mut world, next, 2);
            world.advance(60_000);
            assert_eq!(world.members[0].kills, 0);
            world.check(guarantee, next);
        }
    }
}
