//! What lies below the stores of a task: bytes by key, written in one atomic batch per commit.

use crate::error::Result;
use crate::record::TaskId;
use crate::time::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// One atomic write: what a commit changed, and where that commit stands in the logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    /// Positions, watermarks, closed bounds, changelog offsets and the commit id, encoded by the runtime. `None`
    /// leaves the one before.
    pub(crate) checkpoint: Option<Vec<u8>>,
}

/// A key of one store; no value: deleted. The value is a timestamp (8 bytes, big endian, ms) before the raw bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The position among the stores that the backend was opened with.
    pub(crate) store: usize,
    pub(crate) key: Arc<[u8]>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Told of an entry: its key, and its value as it is stored.
pub(crate) type EachEntry<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<()>;

/// As `EachEntry`; `false`: that is enough.
pub(crate) type EachUntil<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<bool>;

/// The stores of one task as bytes.
pub(crate) trait Backend {
    fn read(&self, store: usize, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// The entries of a store from this key on, by key bytes ascending, until it is enough.
    fn scan_from(&self, store: usize, from: &[u8], each: EachUntil<'_>) -> Result<()>;
    /// Every entry of a store, by key bytes ascending.
    fn scan(&self, store: usize, each: EachEntry<'_>) -> Result<()> {
        self.scan_from(store, &[], &mut |key, value| each(key, value).map(|()| true))
    }
    /// The last checkpoint written; `None` for a new store.
    fn checkpoint(&self) -> Result<Option<Vec<u8>>>;
    /// All of it or nothing.
    fn write(&mut self, batch: Batch) -> Result<()>;
    /// Forgets everything, the checkpoint included: before a restore from the beginning.
    fn clear(&mut self) -> Result<()>;
}

/// Shared by the stores of a task, which read, and the task, which writes.
pub(crate) type SharedBackend = Rc<RefCell<dyn Backend>>;

/// Where the tasks of a process keep their state.
pub(crate) trait Disk {
    /// The backend of a task with these stores; empty if there was none. One handle at a time.
    ///
    /// # Errors
    /// [`Error::is_disk`](crate::Error::is_disk) if that may pass: a full disk, or a handle that is not closed yet.
    fn open(&self, task: TaskId, stores: &[Arc<str>]) -> Result<SharedBackend>;
    /// Called now and then: what no task of `owned` has needed for `delay` may go.
    fn clean(&self, _owned: &BTreeSet<TaskId>, _date: Timestamp, _delay: Duration) -> Result<()> {
        Ok(())
    }
    /// How often the state of a task could not be read and was set aside.
    fn set_aside(&self) -> u64 {
        0
    }
}
