//! The program's closures that are called on the application's thread.

use super::instance::State;
use super::restore_listener::StateRestore;
use super::uncaught::UncaughtErrorResponse;
use crate::error::Error;
use std::cell::RefCell;

type OnStateChange = Box<dyn Fn(State, State) + Send>;
type OnRestore = Box<dyn FnMut(&StateRestore) + Send>;
type OnUncaughtError = Box<dyn FnMut(&Error) -> UncaughtErrorResponse + Send>;

/// Those that were given.
#[derive(Default)]
pub(super) struct Listeners {
    pub(super) state: Option<OnStateChange>,
    pub(super) restore: Option<RefCell<OnRestore>>,
    pub(super) uncaught: Option<RefCell<OnUncaughtError>>,
}

impl Listeners {
    pub(super) fn state_changed(&self, new: State, old: State) {
        if let (true, Some(listener)) = (old != new, &self.state) {
            listener(new, old);
        }
    }

    pub(super) fn restored(&self, restore: &StateRestore) {
        if let Some(listener) = &self.restore {
            listener.borrow_mut()(restore);
        }
    }

    pub(super) fn failed(&self, error: &Error) -> UncaughtErrorResponse {
        let handler = self.uncaught.as_ref();
        handler.map_or(UncaughtErrorResponse::ShutdownClient, |handler| handler.borrow_mut()(error))
    }
}
