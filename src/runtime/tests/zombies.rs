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

/// How the new owner finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// It writes nothing, and looks at the end of its changelogs from time to time.
    ByAudit,
    /// Its own next records lie behind what is not its own.
    AsGap,
    /// It starts again, without its disk.
    AsOrphan,
}

/// What a dead owner had under way arrives when the new one has long gone on: the changelog is put right, so that a
/// later owner restores true values.
#[test]
fn late_changelog_records_are_written_again() {
    for found in [Found::ByAudit, Found::AsGap, Found::AsOrphan] {
        let mut world = World::new(letters(), Guarantee::AtLeastOnce.config(), 2);
        world.topic("in", 2);
        world.topic("out", 2);
        world.start(0);
        let next = fed(&mut world, 0, 3);
        world.advance(300);
        let next = fed(&mut world, next, 1);
        world.settle();
        // That was committed; of these the outputs arrive, the changelog records do not.
        let next = fed(&mut world, next, 1);
        world.settle();
        world.log.hold_sends_of("member0", true);
        world.advance(200);
        world.crash(0);
        world.log.hold_sends_of("member0", false);
        world.start(1);
        world.advance(60_000);
        fed(&mut world, next, 2);
        world.advance(200);
        let true_values = world.latest("app-all-changelog");
        assert_eq!(true_values["b"], "ABCDEFG");
        while world.log.land_late_request() {}
        assert_ne!(world.latest("app-all-changelog"), true_values, "old values hide the true ones");
        match found {
            Found::ByAudit => world.advance(20 * 60_000),
            Found::AsGap => {}
            Found::AsOrphan => {
                world.crash(1);
                world.members[1].disk.lose();
                world.start(1);
                world.advance(60_000);
            }
        }
        if found == Found::AsGap {
            world.put("in", 0, "a", "!", 50);
            world.put("in", 1, "b", "!", 50);
            world.advance(200);
            assert_eq!(world.latest("app-all-changelog")["c"], true_values["c"]);
        } else {
            assert_eq!(world.latest("app-all-changelog"), true_values, "{found:?}");
            world.put("in", 0, "a", "!", 50);
            world.put("in", 1, "b", "!", 50);
            world.advance(200);
        }
        world.crash(1);
        world.members[1].disk.lose();
        world.start(1);
        world.advance(60_000);
        for (partition, key) in [(0, "a"), (1, "b"), (0, "c")] {
            world.put("in", partition, key, "?", 60);
        }
        world.advance(200);
        let expected = [("a", "ABCDEFG!?"), ("b", "ABCDEFG!?"), ("c", "ABCDEFG?")];
        let out = world.latest("out");
        for (key, all) in expected {
            assert_eq!(out[key], all, "{key} {found:?}");
        }
    }
}
