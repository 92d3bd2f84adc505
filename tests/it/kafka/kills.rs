//! Processes that kill themselves at each named point of a commit, while another one shares the work; what comes out is
//! the fold, each final once.

#[cfg(feature = "crash-points")]
use super::cluster::LONG;
#[cfg(feature = "crash-points")]
use super::processes::Fault;
use super::processes::World;
use highwater::time::{Clock, SystemClock};
#[cfg(feature = "crash-points")]
use std::os::unix::process::ExitStatusExt as _;

#[cfg(feature = "crash-points")]
const KILLS_PER_POINT: u64 = 2;
#[cfg(feature = "crash-points")]
const SIGKILL: i32 = 9;

#[cfg(feature = "crash-points")]
fn kill_at(guarantee: &'static str, points: &[&str]) {
    let Some(mut world) = World::new(guarantee) else { return };
    let clock = SystemClock::new();
    let steady = world.spawn(None);
    for (at, point) in points.iter().enumerate() {
        for kill in 0..KILLS_PER_POINT {
            // The number of the commit and the delay differ from kill to kill, and from run to run of the same.
            let chance = at as u64 * 31 + kill * 17;
            let (number, delay_us) = (1 + chance % 5, chance * 257 % 4_000);
            let mut victim = world.spawn(Some(Fault { point, number, delay_us, signal: "KILL" }));
            let until = clock.monotonic() + LONG.as_millis() as i64;
            let status = loop {
                world.feed();
                if let Some(status) = victim.0.try_wait().expect("a status") {
                    break status;
                }
                assert!(clock.monotonic() < until, "never came to {point}: {}", world.last_words());
            };
            assert_eq!(status.signal(), Some(SIGKILL), "at {point}: {}", world.last_words());
        }
    }
    let second = world.spawn(None);
    (0..20).for_each(|_| world.feed());
    world.verify();
    drop((steady, second));
}

#[cfg(feature = "crash-points")]
#[test]
fn killed_at_each_point_exactly_once() {
    kill_at("exactly_once_v2", &["S0", "S1", "S2", "S3", "S3Received", "S4", "S5"]);
}

#[cfg(feature = "crash-points")]
#[test]
fn killed_at_each_point_at_least_once() {
    kill_at("at_least_once", &["A0", "S1", "A2", "A2Received", "A1"]);
}

/// kill -9 of either process at moments that nobody chose.
fn kill_at_random(guarantee: &'static str) {
    let Some(mut world) = World::new(guarantee) else { return };
    let mut processes = vec![world.spawn(None), world.spawn(None)];
    let clock = SystemClock::new();
    for kill in 0..8_u64 {
        let until = clock.monotonic() + 700 + (kill * 977 % 1_900) as i64;
        while clock.monotonic() < until {
            world.feed();
        }
        processes.remove(0);
        processes.push(world.spawn(None));
    }
    (0..20).for_each(|_| world.feed());
    world.verify();
}

#[test]
fn killed_at_random_exactly_once() {
    kill_at_random("exactly_once_v2");
}

#[test]
fn killed_at_random_at_least_once() {
    kill_at_random("at_least_once");
}
