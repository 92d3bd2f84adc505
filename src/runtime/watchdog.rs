//! Watches the application's thread: a closure that hangs stops its tasks without an error, and any poll of a queue keeps
//! the member in its group.

use crate::time::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps that were begun and ended, counted by the thread that does them.
#[derive(Debug, Default)]
pub(super) struct Steps(AtomicU64);

impl Steps {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a look has seen.
pub(super) struct Watchdog {
    timeout: i64,
    seen: u64,
    since: i64,
    told: bool,
}

impl Watchdog {
    /// `timeout`: ms on the machine's clock.
    pub(super) fn new(timeout: i64, clock: &dyn Clock) -> Self {
        Self { timeout, seen: 0, since: clock.monotonic(), told: false }
    }

    /// How long to wait between two looks.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis((self.timeout / 4).max(1).unsigned_abs())
    }

    /// For how many ms there was no step, told once for each time that it hangs.
    pub(super) fn look(&mut self, steps: &Steps, clock: &dyn Clock) -> Option<i64> {
        let (count, now) = (steps.0.load(Ordering::Relaxed), clock.monotonic());
        if count != self.seen {
            (self.seen, self.since, self.told) = (count, now, false);
        }
        let silent = now - self.since;
        let tell = silent >= self.timeout && !self.told;
        self.told |= tell;
        tell.then_some(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ManualClock;

    #[test]
    fn a_thread_that_hangs_is_told_once_each_time() {
        let (clock, steps) = (ManualClock::default(), Steps::default());
        let mut watchdog = Watchdog::new(1_000, &clock);
        let mut pass = |ms| {
            clock.advance(ms);
            watchdog.look(&steps, &clock)
        };
        assert_eq!(pass(999), None);
        assert_eq!(pass(1), Some(1_000));
        assert_eq!(pass(5_000), None, "told once");
        steps.count();
        assert_eq!(pass(1), None, "it goes on");
        assert_eq!(pass(999), None);
        assert_eq!(pass(1), Some(1_000), "it hangs again");
    }
}
