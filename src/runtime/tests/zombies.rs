//! An owner that does not know yet that it is none.

use super::world::{Guarantee, World, fed, letters};

/// Member 0 cannot be reached until its session has ended and member 1 has its tasks; then it comes back.
#[test]
fn a_member_that_was_away_changes_nothing() {
    for guarantee in Guarantee::BOTH {
        for away in [46_000, 120_000] {
            let mut world = World::new(letters(), guarantee.config(), 2);
            world.topic("in", 2);
            world.topic("out", 2);
            world.start(0);
            let mut next = fed(&mut world, 0, 3);
            world.advance(300);
            world.start(1);
            world.advance(300);
            next = fed(&mut world, next, 3);
            world.step(0);
            world.log.outage_of("member0", true);
            world.advance(away);
            next = fed(&mut world, next, 3);
            world.advance(1000);
            world.log.outage_of("member0", false);
            next = fed(&mut world, next, 3);
            world.advance(60_000);
            let shares: Vec<usize> =
                world.members.iter().map(|m| m.instance.as_ref().expect("lives").tasks().len()).collect();
            assert_eq!(shares, [1, 1], "{guarantee:?}");
            world.check(guarantee, next);
        }
    }
}

/// What a dead owner had under way arrives when the new one has long gone on: the changelog is put right.
#[test]
fn late_changelog_records_are_written_again() {
    let guarantee = Guarantee::AtLeastOnce;
    for crash in [false, true] {
        let mut world = World::new(letters(), guarantee.config(), 2);
        world.topic("in", 2);
        world.topic("out", 2);
        world.start(0);
        let mut next = fed(&mut world, 0, 3);
        world.advance(300);
        world.log.hold_sends_of("member0", true);
        next = fed(&mut world, next, 2);
        world.advance(200);
        world.crash(0);
        world.log.hold_sends_of("member0", false);
        world.start(1);
        world.advance(60_000);
        next = fed(&mut world, next, 2);
        world.advance(200);
        let mut late = 0;
        while world.log.land_late_request() {
            late += 1;
        }
        assert!(late > 0);
        if crash {
            world.crash(1);
            world.members[1].disk.lose();
            world.start(1);
            world.advance(60_000);
        } else {
            // The audit comes every quarter of the lag.
            world.advance(20 * 60_000);
        }
        // The late outputs are old updates; the next one of each key is the last again.
        next = fed(&mut world, next, 1);
        world.advance(60_000);
        world.check(guarantee, next);
    }
}
