//! A process is killed at every point of a commit, with and without its disk; what is restored is the fold. On memory
//! and on files.

use super::disks::Disks;
use super::world::{Guarantee, World, fed, letters, repartitioned};
use crate::runtime::CommitPoint;

/// Feeds, kills member 0 before the point, lets it come back, feeds again.
fn kill_and_return(disks: Disks, guarantee: Guarantee, point: CommitPoint, lose_disk: bool) {
    let mut world = World::on(letters(), guarantee.config(), 2, |_| disks.machine());
    world.topic("in", 2);
    world.topic("out", 2);
    world.start(0);
    let mut next = fed(&mut world, 0, 3);
    world.advance(300);
    world.members[0].kill.replace(Some(point));
    if point == CommitPoint::S6 {
        world.start(1);
    }
    next = fed(&mut world, next, 4);
    if point == CommitPoint::S9 {
        // Its session runs out while it holds an open transaction.
        world.step(0);
        world.log.outage_of("member0", true);
        world.advance(60_000);
        world.log.outage_of("member0", false);
    }
    world.advance(300);
    assert_eq!(world.members[0].kills, 1, "it was not killed at {point:?} on {disks:?}");
    if lose_disk {
        world.members[0].disk.lose();
    }
    next = fed(&mut world, next, 2);
    world.start(0);
    world.advance(60_000);
    next = fed(&mut world, next, 2);
    world.advance(60_000);
    world.check(guarantee, next);
}

#[test]
fn exactly_once_at_every_point() {
    for &disks in Disks::ALL {
        for point in CommitPoint::EXACTLY_ONCE {
            for lose_disk in [false, true] {
                kill_and_return(disks, Guarantee::ExactlyOnce, point, lose_disk);
            }
        }
    }
}

#[test]
fn at_least_once_at_every_point() {
    for &disks in Disks::ALL {
        for point in CommitPoint::AT_LEAST_ONCE {
            for lose_disk in [false, true] {
                kill_and_return(disks, Guarantee::AtLeastOnce, point, lose_disk);
            }
        }
    }
}

#[test]
fn through_a_repartition_topic() {
    for point in [CommitPoint::S0, CommitPoint::S2, CommitPoint::S3Received, CommitPoint::S4] {
        let mut world = World::new(repartitioned(), Guarantee::ExactlyOnce.config(), 2);
        world.topic("in", 2);
        world.topic("out", 2);
        world.start(0);
        world.start(1);
        let mut next = fed(&mut world, 0, 3);
        for member in [0, 1, 0] {
            world.advance(200);
            world.members[member].kill.replace(Some(point));
            next = fed(&mut world, next, 3);
            world.advance(200);
            world.members[member].kill.replace(None);
            if world.members[member].instance.is_none() {
                world.start(member);
            }
        }
        world.advance(60_000);
        world.check(Guarantee::ExactlyOnce, next);
        let kills: usize = world.members.iter().map(|member| member.kills).sum();
        assert!(kills >= 3, "{kills} kills at {point:?}");
    }
}

/// The group has a position before anything is in a changelog, so what a first commit left behind is known for what it
/// is.
#[test]
fn before_the_first_commit() {
    for guarantee in Guarantee::BOTH {
        for point in [CommitPoint::S3, CommitPoint::A2, CommitPoint::A2Received, CommitPoint::S3Received] {
            let mut world = World::new(letters(), guarantee.config(), 1);
            world.topic("in", 2);
            world.topic("out", 2);
            world.start(0);
            world.settle();
            world.members[0].kill.replace(Some(point));
            let next = fed(&mut world, 0, 2);
            world.advance(200);
            world.members[0].kill.replace(None);
            if world.members[0].instance.is_none() {
                world.start(0);
            }
            world.advance(60_000);
            world.check(guarantee, next);
        }
    }
}
