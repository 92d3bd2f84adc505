//! Wakes whoever waits for something to happen. Who tells of it and is waited for by nobody pays an increment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A count of what has happened, and those who sleep until it is high enough.
pub(crate) struct Signal {
    count: AtomicU64,
    /// The count at which a sleeper wants to be woken.
    wanted: AtomicU64,
    sleep: Mutex<()>,
    changed: Condvar,
}

impl Default for Signal {
    fn default() -> Self {
        let (count, wanted) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        Self { count, wanted, sleep: Mutex::default(), changed: Condvar::new() }
    }
}

impl Signal {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Something happened; returns the number of it.
    pub(crate) fn notify(&self) -> u64 {
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if count >= self.wanted.load(Ordering::SeqCst) {
            self.wake();
        }
        count
    }

    /// All of them: they say again what they wait for.
    fn wake(&self) {
        let asleep = self.lock();
        self.wanted.store(u64::MAX, Ordering::SeqCst);
        drop(asleep);
        self.changed.notify_all();
    }

    /// Until more than `seen` things have happened, or the time is over, or earlier. The count is looked at after it was
    /// said what is wanted, so no wake-up falls in between.
    pub(crate) fn wait(&self, seen: u64, most: Duration) {
        let asleep = self.lock();
        self.wanted.fetch_min(seen.saturating_add(1), Ordering::SeqCst);
        if self.count() <= seen {
            drop(self.changed.wait_timeout(asleep, most).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Nothing lies under it.
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.sleep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
