//! Where the engine gets the time from: two clocks, because an application's time may be a file's or a test's.
//!
//! The application's clock decides idleness, wall-clock punctuation and future skew; the machine's, monotonic, decides
//! commit and marker intervals and timeouts. In production both run together.

use super::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Both clocks of a process.
pub trait Clock: Send + Sync + 'static {
    /// The application's time, ms since the epoch.
    fn now(&self) -> Timestamp;
    /// The machine's monotonic time in ms from an arbitrary start.
    fn monotonic(&self) -> i64;
    /// The machine's date, against which future skew is measured; the application's time unless a file's time differs.
    fn date(&self) -> Timestamp {
        self.now()
    }
}

/// The machine's: the date at start plus monotonic time, so that setting the system clock moves nothing.
#[derive(Debug)]
pub struct SystemClock {
    date_at_start: i64,
    start: std::time::Instant,
}

impl SystemClock {
    /// Reads the system's date once.
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's time comes in")]
    pub fn new() -> Self {
        let date = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { date_at_start: i64::try_from(date.as_millis()).unwrap_or(0), start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.date_at_start + self.monotonic())
    }
    fn monotonic(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// Moves only when told; clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<ManualTimes>);

#[derive(Debug, Default)]
struct ManualTimes {
    now: AtomicI64,
    monotonic: AtomicI64,
}

impl ManualClock {
    /// The application's clock at `now`, the machine's at 0.
    pub fn at(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.set(now);
        clock
    }
    /// Sets the application's clock alone.
    pub fn set(&self, now: Timestamp) {
        self.0.now.store(now.0, Ordering::SeqCst);
    }
    /// Moves the application's clock and the machine's.
    pub fn advance(&self, ms: i64) {
        self.0.now.fetch_add(ms, Ordering::SeqCst);
        self.advance_machine(ms);
    }
    /// Moves the machine's clock alone.
    pub fn advance_machine(&self, ms: i64) {
        self.0.monotonic.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> i64 {
        self.0.monotonic.load(Ordering::SeqCst)
    }
}
