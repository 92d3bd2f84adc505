//! The application's time where the input decides it: the machine's clock stays its own, so commits do not follow.

use highwater::time::{Clock, SystemClock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Clones share the same time. The application's time never goes back.
#[derive(Clone)]
pub struct InputClock(Arc<Inner>);

struct Inner {
    machine: SystemClock,
    now: AtomicI64,
    dated: Dated,
}

/// What a record's time is measured against where it may be too far in the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dated {
    /// Input from the past: the machine's date.
    ByMachine,
    /// A simulated market lives in its own time.
    ByInput,
}

impl InputClock {
    /// Stands at `start` until it is moved.
    pub fn at(start: Timestamp, dated: Dated) -> Self {
        Self(Arc::new(Inner { machine: SystemClock::new(), now: AtomicI64::new(start.0), dated }))
    }

    /// The input has come so far; earlier times change nothing.
    pub fn reached(&self, at: Timestamp) {
        // Asked for every tick: a read is cheaper than an exchange.
        if at.0 > self.0.now.load(Ordering::Relaxed) {
            self.0.now.fetch_max(at.0, Ordering::SeqCst);
        }
    }
}

impl Clock for InputClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> i64 {
        self.0.machine.monotonic()
    }
    fn date(&self) -> Timestamp {
        match self.0.dated {
            Dated::ByMachine => self.0.machine.now(),
            Dated::ByInput => self.now(),
        }
    }
}

/// Event time running at a multiple of the machine's.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Where the input and the machine's clock were when it began.
    origin: (Timestamp, i64),
    times: f64,
}

impl Pace {
    pub fn from(origin: Timestamp, monotonic: i64, times: f64) -> Self {
        Self { origin: (origin, monotonic), times }
    }

    /// What time it is for the input.
    pub fn now(&self, monotonic: i64) -> Timestamp {
        let passed = (monotonic - self.origin.1) as f64 * self.times;
        Timestamp(self.origin.0.0.saturating_add(passed as i64))
    }

    /// How many ms of the machine are left until the input is at `at`.
    pub fn until(&self, at: Timestamp, monotonic: i64) -> u64 {
        let due = (at.0 - self.origin.0.0) as f64 / self.times;
        (due - (monotonic - self.origin.1) as f64).ceil().max(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_moves_the_application_alone() {
        let clock = InputClock::at(Timestamp(1_000), Dated::ByMachine);
        clock.reached(Timestamp(5_000));
        clock.clone().reached(Timestamp(2_000));
        assert_eq!(clock.now(), Timestamp(5_000));
        assert!(clock.date() > Timestamp(1_600_000_000_000), "the machine's");
        assert!(clock.monotonic() < 60_000);
        assert_eq!(InputClock::at(Timestamp(7), Dated::ByInput).date(), Timestamp(7));
    }

    #[test]
    fn a_pace_is_a_multiple_of_real_time() {
        let pace = Pace::from(Timestamp(1_000_000), 50, 60.0);
        assert_eq!(pace.now(1_050), Timestamp(1_060_000));
        assert_eq!(
            (pace.until(Timestamp(1_060_000), 50), pace.until(Timestamp(1_060_000), 1_049)),
            (1_000, 1)
        );
        assert_eq!(pace.until(Timestamp(0), 50), 0);
    }
}
