//! A wish to stop (Ctrl-C), and waiting that ends with it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Clones share the wish.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<(Mutex<bool>, Condvar)>);

impl Shutdown {
    /// Stops at Ctrl-C and SIGTERM from now on; a second one ends the process at once.
    pub fn on_signals() -> Result<Self, ctrlc::Error> {
        let shutdown = Self::default();
        let wish = shutdown.clone();
        ctrlc::set_handler(move || {
            if wish.requested() {
                std::process::exit(130);
            }
            wish.request();
        })?;
        Ok(shutdown)
    }

    pub fn request(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    pub fn requested(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until the wish comes. Whether it has come.
    pub fn wait(&self, at_most: Duration) -> bool {
        let guard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(guard, at_most, |requested| !*requested);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_ends_the_waiting() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.wait(Duration::from_millis(1)) && !shutdown.requested());
        let wish = shutdown.clone();
        let other = std::thread::spawn(move || wish.request());
        assert!(shutdown.wait(Duration::from_secs(600)) && shutdown.requested());
        other.join().unwrap();
    }
}
