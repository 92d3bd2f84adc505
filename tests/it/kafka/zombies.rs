//! Processes that are stopped (SIGSTOP) for longer than the group waits for them, and go on (SIGCONT) when another has
//! long taken over. Under exactly once they write nothing more; under at least once what they write late is put right.
//! They join again, and do the work alone when the other is gone.

#[cfg(feature = "crash-points")]
use super::processes::Fault;
use super::processes::{ALL_KEYS, Process, World};
use std::time::Duration;

fn world(guarantee: &'static str) -> Option<World> {
    let mut world = World::new(guarantee)?;
    // What a stopped process has open holds up its readers for so long.
    world.transaction_timeout = Duration::from_secs(2);
    Some(world)
}

/// The stopped one goes on when the other has done its work, and then is alone.
fn resume(world: &mut World, stopped: &Process, other: Process) {
    world.feed_until_members(1);
    world.until_changelogs_are_the_fold();
    // From now on other keys: of those before, what is written late stays the last.
    world.set += 1;
    stopped.signal("CONT");
    world.feed_until_members(2);
    (0..ALL_KEYS).for_each(|_| world.feed());
    world.until_changelogs_are_the_fold();
    drop(other);
    (0..ALL_KEYS).for_each(|_| world.feed());
    world.until_changelogs_are_the_fold();
}

/// Under at least once a late update may be the last until the next one comes.
fn verify(world: &mut World) {
    world.feed_all_keys();
    world.verify();
    world.until_changelogs_are_the_fold();
}

/// At moments that nobody chose.
fn stopped_at_random(guarantee: &'static str) {
    let Some(mut world) = world(guarantee) else { return };
    let mut other = world.spawn(None);
    for pause in [3, 8] {
        let stopped = world.spawn(None);
        world.feed_until_members(2);
        (0..40 + pause).for_each(|_| world.feed());
        stopped.signal("STOP");
        resume(&mut world, &stopped, other);
        other = stopped;
    }
    verify(&mut world);
}

#[test]
fn a_stopped_process_changes_nothing_when_it_goes_on_exactly_once() {
    stopped_at_random("exactly_once_v2");
}

#[test]
fn a_stopped_process_changes_nothing_when_it_goes_on_at_least_once() {
    stopped_at_random("at_least_once");
}

#[cfg(feature = "crash-points")]
fn stopped_at(guarantee: &'static str, points: &[&str]) {
    use rustix::process::{Pid, WaitOptions, waitpid};
    let Some(mut world) = world(guarantee) else { return };
    let mut other = world.spawn(None);
    for point in points {
        let stopped = world.spawn(Some(Fault { point, number: 6, delay_us: 0, signal: "STOP" }));
        let pid = Pid::from_raw(stopped.0.id() as i32);
        world.feed_until(point, |_| {
            let options = WaitOptions::UNTRACED | WaitOptions::NOHANG;
            let changed = waitpid(pid, options).expect("a child");
            changed.is_some_and(|(_, status)| {
                assert!(status.stopped(), "{status:?}");
                true
            })
        });
        resume(&mut world, &stopped, other);
        other = stopped;
    }
    verify(&mut world);
}

/// With a transaction open: before and after it has the positions.
#[cfg(feature = "crash-points")]
#[test]
fn stopped_with_an_open_transaction() {
    stopped_at("exactly_once_v2", &["S2", "S3"]);
}

#[cfg(feature = "crash-points")]
#[test]
fn stopped_while_a_transaction_ends_and_after_it() {
    stopped_at("exactly_once_v2", &["S3Received", "S4"]);
}

/// Results and changes not written yet; written and not committed.
#[cfg(feature = "crash-points")]
#[test]
fn stopped_before_the_group_has_the_positions() {
    stopped_at("at_least_once", &["A0", "A2"]);
}

#[cfg(feature = "crash-points")]
#[test]
fn stopped_while_the_group_takes_the_positions_and_after_it() {
    stopped_at("at_least_once", &["A2Received", "A1"]);
}
