//! What a process finds on its disk when it starts: nothing any more, or a state that others have long gone beyond. The
//! changelogs have the rest.

use super::processes::{ALL_KEYS, Process, World};

fn feed(world: &mut World, rounds: usize) {
    (0..rounds).for_each(|_| world.feed());
}

/// The disk is gone between a kill -9, with something under way, and the next start.
fn lost(guarantee: &'static str) {
    let Some(mut world) = World::new(guarantee) else { return };
    let mut process = world.spawn_on("a", None);
    for rounds in [12, 17] {
        feed(&mut world, ALL_KEYS);
        world.until_changelogs_are_the_fold();
        feed(&mut world, rounds);
        drop(process);
        assert!(world.disk("a").join(&world.application).is_dir(), "it kept nothing there");
        std::fs::remove_dir_all(world.disk("a")).expect("removed");
        feed(&mut world, ALL_KEYS);
        process = world.spawn_on("a", None);
    }
    feed(&mut world, 2 * ALL_KEYS);
    world.verify();
    process.stop();
    world.until_changelogs_are_the_fold();
}

#[test]
fn a_lost_state_directory_is_restored_exactly_once() {
    lost("exactly_once_v2");
}

#[test]
fn a_lost_state_directory_is_restored_at_least_once() {
    lost("at_least_once");
}

/// From one process to another with a disk of its own, and back to a disk that is behind: each hand-over once by a
/// kill -9 and once by a clean stop.
fn moved(guarantee: &'static str) {
    let Some(mut world) = World::new(guarantee) else { return };
    let ends: [fn(Process); 2] = [drop, Process::stop];
    let turns = [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 0)];
    for (disk, end) in turns {
        let process = world.spawn_on(disk, None);
        // Of some keys the disk has the last value, of others an old one, of others none.
        world.set += 1;
        feed(&mut world, 7);
        world.until_changelogs_are_the_fold();
        feed(&mut world, ALL_KEYS + 1);
        ends[end](process);
        feed(&mut world, 1);
    }
    let last = world.spawn_on("b", None);
    world.feed_all_keys();
    world.verify();
    last.stop();
    world.until_changelogs_are_the_fold();
}

#[test]
fn a_task_moves_to_another_disk_and_back_exactly_once() {
    moved("exactly_once_v2");
}

#[test]
fn a_task_moves_to_another_disk_and_back_at_least_once() {
    moved("at_least_once");
}
