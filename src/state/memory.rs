//! State in memory that outlives its tasks: the disk of a process that has none, and of the tests.

use super::{Backend, Batch, Disk, EachUntil, SharedBackend};
use crate::error::{Error, Result};
use crate::record::TaskId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Entries = BTreeMap<Arc<[u8]>, Vec<u8>>;

#[derive(Debug, Default)]
struct Tables {
    stores: BTreeMap<Arc<str>, Entries>,
    checkpoint: Option<Vec<u8>>,
}

/// Clones share the same state, so a clone kept aside survives the process that a test kills.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<BTreeMap<TaskId, Arc<Mutex<Tables>>>>>);

impl MemoryDisk {
    /// As if the disk had been replaced.
    pub(crate) fn lose(&self) {
        lock(&self.0).clear();
    }
}

impl Disk for MemoryDisk {
    fn open(&self, task: TaskId, stores: &[Arc<str>]) -> Result<SharedBackend> {
        let tables = lock(&self.0).entry(task).or_default().clone();
        Ok(Rc::new(RefCell::new(MemoryBackend { names: stores.to_vec(), tables })))
    }
}

struct MemoryBackend {
    names: Vec<Arc<str>>,
    tables: Arc<Mutex<Tables>>,
}

impl MemoryBackend {
    fn name(&self, store: usize) -> Result<&Arc<str>> {
        self.names.get(store).ok_or_else(|| Error::internal(format!("the task has no store {store}")))
    }
}

impl Backend for MemoryBackend {
    fn read(&self, store: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let name = self.name(store)?;
        Ok(lock(&self.tables).stores.get(name).and_then(|entries| entries.get(key)).cloned())
    }

    fn scan_from(&self, store: usize, from: &[u8], each: EachUntil<'_>) -> Result<()> {
        let name = self.name(store)?;
        let tables = lock(&self.tables);
        let Some(entries) = tables.stores.get(name) else { return Ok(()) };
        for (key, value) in entries.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)) {
            if !each(key, value)? {
                break;
            }
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<Option<Vec<u8>>> {
        Ok(lock(&self.tables).checkpoint.clone())
    }

    fn write(&mut self, batch: Batch) -> Result<()> {
        let mut tables = lock(&self.tables);
        for entry in batch.entries {
            let entries = tables.stores.entry(self.name(entry.store)?.clone()).or_default();
            match entry.value {
                Some(value) => drop(entries.insert(entry.key, value)),
                None => drop(entries.remove(&entry.key)),
            }
        }
        if batch.checkpoint.is_some() {
            tables.checkpoint = batch.checkpoint;
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        *lock(&self.tables) = Tables::default();
        Ok(())
    }
}

/// A panic of a worker leaves whole entries behind: every write is one call under the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
