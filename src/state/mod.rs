//! Stores of a task: a typed overlay of one commit interval over a byte backend.
//!
//! Reads and writes go to the overlay. At a commit each dirty key goes to the changelog once; after the commit has
//! succeeded the same entries go to the backend in one atomic batch. So a backend is always at a commit, and a failed
//! commit only drops the overlay.

mod backend;
#[cfg_attr(
    not(feature = "rocksdb"),
    allow(dead_code, reason = "without files, a place is taken for its id alone")
)]
mod directory;
mod key_value_store;
mod memory;
mod readable;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod rocksdb_options;
mod store_builder;
mod table;
#[cfg(test)]
mod tests;
mod window_store;

pub(crate) use backend::{Backend, Batch, Disk, EachUntil, Entry, SharedBackend};
pub(crate) use directory::{StateDirectory, Wanted};
pub use key_value_store::KeyValueStore;
pub(crate) use memory::MemoryDisk;
pub(crate) use readable::{
    KeyValueForm, Readable, WindowedForm, as_it_is, key_value_words, shown, window_words,
};
#[cfg(feature = "rocksdb")]
pub(crate) use rocksdb::RocksDisk;
pub(crate) use rocksdb_options::{Compression, RocksOptions};
pub(crate) use store_builder::StoreSite;
pub(crate) use store_builder::sealed::Attached;
#[cfg(test)]
pub(crate) use store_builder::sealed::Shared;
pub use store_builder::{StateStore, StoreBuilder};
pub(crate) use table::{Place, Row, StoreQuery, StoreScan, Table};
pub use window_store::WindowStore;

use crate::error::{Error, Result};
use crate::time::Timestamp;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// What a commit does to one key: the raw value as the changelog holds it; none is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreChange {
    pub(crate) key: Arc<[u8]>,
    pub(crate) value: Option<Arc<[u8]>>,
    pub(crate) timestamp: Timestamp,
}

impl StoreChange {
    /// The value as a backend holds it: the timestamp (8 bytes, big endian) before the raw bytes.
    pub(crate) fn stored(&self) -> Option<Vec<u8>> {
        self.value.as_ref().map(|raw| {
            let mut out = Vec::with_capacity(8 + raw.len());
            out.extend_from_slice(&self.timestamp.0.to_be_bytes());
            out.extend_from_slice(raw);
            out
        })
    }
}

/// Splits what a backend holds into timestamp and raw value.
pub(crate) fn split_stored(stored: &[u8]) -> Result<(Timestamp, &[u8])> {
    match stored.split_first_chunk::<8>() {
        Some((at, raw)) => Ok((Timestamp(i64::from_be_bytes(*at)), raw)),
        None => {
            Err(Error::state(format!("an entry of {} bytes is too short for its timestamp", stored.len())))
        }
    }
}

/// A store as its task sees it, whatever its types.
pub(crate) trait TaskStore {
    /// What changed since the last `committed`: one entry per dirty key in the order in which they became dirty, none
    /// for a key that is absent both in the backend and now. Stays dirty until `committed`.
    fn collect(&mut self, out: &mut Vec<StoreChange>) -> Result<()>;
    /// What the store holds for a key's bytes now, as a change: for keys that have to be written again.
    fn current(&mut self, key: &[u8]) -> Result<StoreChange>;
    /// The commit succeeded and the batch is in the backend: what was collected is clean.
    fn committed(&mut self);
    /// What it holds now, committed or not, by key bytes ascending.
    fn rows(&self, query: &StoreQuery) -> Result<Vec<Row>>;
    /// About the bytes that wait for a commit.
    fn dirty_bytes(&self) -> usize;
}

/// Shared by the nodes that use it and the task that commits it.
pub(crate) type SharedStore = Rc<RefCell<dyn TaskStore>>;
