//! How a processor's store is described in a topology and made in a task.

use super::{Readable, SharedBackend, SharedStore};
use crate::error::Result;
use crate::time::Timestamp;
use std::any::Any;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

/// Where a task keeps a store.
pub(crate) struct StoreSite {
    pub(crate) backend: SharedBackend,
    /// The store's position in the backend.
    pub(crate) index: usize,
    pub(crate) cache_bytes: usize,
}

/// The store for its processors, an `S` behind `Any`, and the same store for its task.
type Make = dyn Fn(&StoreSite) -> (Box<dyn Any>, SharedStore) + Send + Sync;

/// A store of processors before it belongs to a topology: its name, its types, its serdes. Give it to
/// `add_state_store`.
#[must_use = "a store does nothing until it is added"]
pub struct StoreBuilder<S> {
    pub(crate) name: Arc<str>,
    pub(crate) logged: bool,
    /// What decides how its entries are read, in words.
    pub(crate) details: String,
    readable: Readable,
    make: Box<Make>,
    of: PhantomData<fn() -> S>,
}

impl<S: StateStore> StoreBuilder<S> {
    pub(super) fn new(
        name: &str,
        details: String,
        readable: Readable,
        make: impl Fn(&StoreSite) -> (S, SharedStore) + Send + Sync + 'static,
    ) -> Self {
        let make = move |site: &StoreSite| {
            let (store, shared) = make(site);
            (Box::new(store) as Box<dyn Any>, shared)
        };
        Self { name: name.into(), logged: true, details, readable, make: Box::new(make), of: PhantomData }
    }

    /// Keeps no changelog: the store is lost with the machine, and starts empty wherever its task moves to.
    pub fn no_changelog(self) -> Self {
        Self { logged: false, ..self }
    }

    /// How it is read from outside, and how it is made.
    pub(crate) fn into_parts(self) -> (Readable, Box<Make>) {
        (self.readable, self.make)
    }
}

/// What can be a store of processors: [`KeyValueStore`](crate::KeyValueStore) and [`WindowStore`](crate::WindowStore).
pub trait StateStore: sealed::Shared + Sized + 'static {}

/// Public only as far as the compiler asks for it: nobody outside can name what is in here.
pub(crate) mod sealed {
    use super::{Rc, Result, Timestamp};

    /// A store whose processors share it.
    pub trait Shared {
        /// The same store for another processor.
        fn share(&self) -> Self;
        /// The same store for the node around the processor.
        fn attached(&self) -> Rc<dyn Attached>;
    }

    /// A store as the node of a processor that uses it sees it.
    pub trait Attached {
        /// What is written from now on is of this time.
        fn set_time(&self, at: Timestamp);
        /// Called once, before any record.
        fn restored(&self) -> Result<()> {
            Ok(())
        }
        /// The first watermark at which an entry has to go.
        fn next_due(&self) -> Timestamp {
            Timestamp::MAX
        }
        /// Deletes what has had its time, at most `budget` entries, which it lowers; `false`: there is more.
        fn expire(&self, _watermark: Timestamp, _budget: &mut usize) -> Result<bool> {
            Ok(true)
        }
    }
}
