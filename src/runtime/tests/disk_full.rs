//! A disk fails for a while: the tasks wait for it, and nothing is lost or counted twice.

use super::disks::{Broken, FailingDisk};
use super::world::{Guarantee, World, fed, letters};
use std::cell::Cell;
use std::rc::Rc;

fn set(breaking: &[Rc<Cell<bool>>], broken: bool) {
    for breaks in breaking {
        breaks.set(broken);
    }
}

/// Feeds, breaks the disk, feeds, mends it, feeds; what is committed is the fold.
fn broken_for_a_while(guarantee: Guarantee, breaks: impl Fn(&Broken) -> Vec<Rc<Cell<bool>>>) {
    let disk = FailingDisk::default();
    let broken = disk.broken.clone();
    let mut world = World::on(letters(), guarantee.config(), 1, |_| Box::new(disk.clone()));
    world.topic("in", 2);
    world.topic("out", 2);
    world.start(0);
    let mut next = fed(&mut world, 0, 3);
    world.advance(1_000);
    let breaking = breaks(&broken);
    set(&breaking, true);
    next = fed(&mut world, next, 3);
    world.advance(5_000);
    assert!(broken.failures.get() > 0, "the disk was not asked");
    next = fed(&mut world, next, 1);
    world.advance(5_000);
    set(&breaking, false);
    next = fed(&mut world, next, 2);
    world.advance(60_000);
    let instance = world.members[0].instance.as_ref().expect("it lives through it");
    assert_eq!(instance.state(), crate::runtime::State::Running);
    assert_eq!(instance.tasks().len(), 2);
    world.check(guarantee, next);
}

#[test]
fn a_commit_that_cannot_be_stored_is_no_commit_lost() {
    for guarantee in Guarantee::BOTH {
        broken_for_a_while(guarantee, |broken| vec![broken.writes.clone()]);
    }
}

/// As a full disk does it: nothing can be written, and the stores do not open again either.
#[test]
fn stores_that_cannot_be_opened_again_are_waited_for() {
    for guarantee in Guarantee::BOTH {
        broken_for_a_while(guarantee, |broken| vec![broken.writes.clone(), broken.opens.clone()]);
    }
}

/// The cache is off, so that an entry is read again by every commit interval.
#[test]
fn stores_that_cannot_be_read_are_opened_again() {
    for guarantee in Guarantee::BOTH {
        let disk = FailingDisk::default();
        let broken = disk.broken.clone();
        let config = guarantee.config().set("statestore.cache.max.bytes", "0");
        let mut world = World::on(letters(), config, 1, |_| Box::new(disk.clone()));
        world.topic("in", 2);
        world.topic("out", 2);
        world.start(0);
        let mut next = fed(&mut world, 0, 3);
        world.advance(1_000);
        broken.reads.set(true);
        next = fed(&mut world, next, 2);
        // Every round of an abort comes back to the same record, so it does not come to rest until it is mended.
        for _ in 0..1_000 {
            world.step(0);
        }
        assert!(broken.failures.get() > 0, "{guarantee:?}: the disk was not asked");
        broken.reads.set(false);
        next = fed(&mut world, next, 2);
        world.advance(60_000);
        world.check(guarantee, next);
    }
}
