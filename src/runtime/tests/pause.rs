//! Pause and resume: nothing is processed, the rest goes on, and the time that passes cuts no window.

use super::world::{Guarantee, World, fed, letters};
use crate::dsl::{Consumed, Materialized, Produced, StreamsBuilder, Suppressed};
use crate::runtime::State;
use crate::serdes::Utf8;
use crate::time::{TimeWindows, milliseconds, seconds};
use crate::topology::Topology;

fn pause(world: &mut World, paused: bool) {
    for member in &mut world.members {
        member.instance.as_mut().expect("lives").pause(paused);
    }
}

fn processed(world: &World) -> u64 {
    world.members.iter().map(|member| member.instance.as_ref().expect("lives").counts().processed).sum()
}

/// Per minute and key the letters, as a final.
fn minutes() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream("in", Consumed::<String, String>::with(Utf8, Utf8).idle_timeout(seconds(5)))
        .group_by_key()
        .windowed_by(TimeWindows::of_size(seconds(60)).grace(milliseconds(0)))
        .aggregate(String::new, |_, value, all| all.push_str(value), Materialized::named("minutes"))
        .suppress(Suppressed::until_window_closes())
        .to_stream()
        .map(|minute, all| (minute.key.clone(), all.clone()))
        .to("out", Produced::with(Utf8, Utf8));
    builder.build().expect("builds")
}

fn started(topology: Topology, guarantee: Guarantee, members: usize) -> World {
    let mut world = World::new(topology, guarantee.config(), members);
    world.topic("in", 2);
    world.topic("out", 2);
    (0..members).for_each(|n| world.start(n));
    world.advance(2_000);
    world
}

#[test]
fn what_comes_during_a_pause_waits_in_the_log() {
    for guarantee in Guarantee::BOTH {
        let mut world = started(letters(), guarantee, 2);
        let mut count = fed(&mut world, 0, 3);
        world.settle();
        assert_eq!(processed(&world), 9);
        let generations = [world.generation(0), world.generation(1)];
        pause(&mut world, true);
        count = fed(&mut world, count, 4);
        // Longer than any session or transaction may last.
        world.advance(120_000);
        assert_eq!(processed(&world), 9, "{guarantee:?}");
        assert_eq!([world.generation(0), world.generation(1)], generations, "members still");
        assert_eq!(world.latest("out")["a"], "ABC", "what it had done is committed");
        for member in &world.members {
            let instance = member.instance.as_ref().expect("lives");
            assert!(instance.is_settled() && instance.state() == State::Running);
        }
        pause(&mut world, false);
        world.advance(60_000);
        world.check(guarantee, count);
    }
}

#[test]
fn no_window_closes_during_a_pause_and_none_is_cut_after_it() {
    for guarantee in Guarantee::BOTH {
        let mut world = started(minutes(), guarantee, 1);
        // The clock stands at 1,002,000; the window ends at 1,020,000.
        for partition in 0..2 {
            world.put("in", partition, ["a", "b"][partition as usize], "x", 1_002_000);
        }
        world.settle();
        pause(&mut world, true);
        world.advance(100_000);
        assert!(world.read("out").is_empty(), "{guarantee:?}: closed during the pause");
        // Dated within the window, and there before the pause ends. Only one partition has any.
        for n in 0..20 {
            world.put("in", 0, "a", "y", 1_003_000 + n * 500);
        }
        pause(&mut world, false);
        world.settle();
        world.advance(4_000);
        assert!(world.read("out").is_empty(), "{guarantee:?}: the silence is counted anew");
        world.advance(60_000);
        let out = world.read("out");
        assert_eq!(out["a"], [format!("x{}", "y".repeat(20))], "{guarantee:?}");
        assert_eq!(out["b"], ["x"], "{guarantee:?}");
        assert_eq!(world.members[0].instance.as_ref().expect("lives").counts().late, 0);
    }
}

#[test]
fn a_paused_member_restores_and_stops_in_order() {
    for guarantee in Guarantee::BOTH {
        let mut world = started(letters(), guarantee, 1);
        let count = fed(&mut world, 0, 3);
        world.advance(1_000);
        world.crash(0);
        world.members[0].disk.lose();
        fed(&mut world, count, 2);
        world.start(0);
        pause(&mut world, true);
        world.advance(60_000);
        let instance = world.members[0].instance.as_mut().expect("lives");
        assert_eq!((instance.state(), instance.tasks().len()), (State::Running, 2), "{guarantee:?}");
        assert_eq!(instance.counts().processed, 0);
        instance.stop();
        world.settle();
        assert_eq!(world.members[0].instance.as_ref().expect("there").state(), State::NotRunning);
        assert_eq!(world.latest("out")["a"], "ABC", "{guarantee:?}");
        world.start(0);
        world.advance(60_000);
        world.check(guarantee, count + 2);
    }
}
