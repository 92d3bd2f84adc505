//! Stores on RocksDB: one database per task, one atomic batch per commit.
//!
//! The stores of a task share one column family and differ by a prefix of 4 bytes. So a task has one memtable, one log
//! and one set of files, however many stores it has: memory, open files and flushes grow with the tasks alone, a new
//! store needs no change of the database, and a batch cannot be half in one family and half in another. A window that
//! closed is deleted by its key, which its store knows: nothing is scanned for it.
//!
//! The write-ahead log is on and not synced unless the user wants that: what was committed survives a process that is
//! killed. After a power failure the database is at an earlier commit, and the changelog gives the rest.

mod backend;
mod idle;
mod options;
#[cfg(test)]
mod tests;
mod trouble;

use super::directory::{StateDirectory, disk_error};
use super::{Disk, MemoryDisk, RocksOptions, SharedBackend};
use crate::error::{Error, Result};
use crate::record::TaskId;
use crate::time::Timestamp;
use backend::{Database, RocksBackend};
use idle::Idle;
use options::Opened;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use trouble::Trouble;

/// The databases below the directory of a process.
pub(crate) struct RocksDisk {
    shared: Arc<Shared>,
}

/// What the open databases share: memory above all.
struct Shared {
    directory: Arc<StateDirectory>,
    options: Opened,
    /// Tasks whose files could not be read: they are set aside when the task is opened the next time.
    corrupt: Mutex<BTreeSet<TaskId>>,
    set_aside: AtomicU64,
    idle: Idle,
}

impl RocksDisk {
    pub(crate) fn new(directory: Arc<StateDirectory>, options: &RocksOptions) -> Self {
        let (options, corrupt, set_aside) = (Opened::new(options), Mutex::default(), AtomicU64::new(0));
        let idle = Idle::default();
        Self { shared: Arc::new(Shared { directory, options, corrupt, set_aside, idle }) }
    }
}

impl Disk for RocksDisk {
    fn open(&self, task: TaskId, stores: &[Arc<str>]) -> Result<SharedBackend> {
        if stores.is_empty() {
            // What a checkpoint without entries says is in the group's commit as well.
            return MemoryDisk::default().open(task, stores);
        }
        let held = self.shared.directory.open_task(task)?;
        if self.shared.corrupt().remove(&task) {
            self.shared.put_aside(task, "it was found when it was read")?;
        }
        let database = self.shared.database(task, stores)?;
        Ok(Rc::new(RefCell::new(RocksBackend::new(self.shared.clone(), held, task, stores, database))))
    }

    fn clean(&self, owned: &BTreeSet<TaskId>, date: Timestamp, delay: Duration) -> Result<()> {
        for task in self.shared.directory.clean(owned, date, delay)? {
            tracing::info!(%task, "the local state is removed: nobody has owned the task for long enough");
        }
        self.shared.idle.flush().map_err(|trouble| {
            // The next commit of that task meets it as well.
            Error::disk("cannot write what idle tasks hold in memory").cause(trouble.to_string())
        })
    }

    fn set_aside(&self) -> u64 {
        self.shared.set_aside.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Files that cannot be read must not stop the task: the changelog has what was in them.
    fn database(&self, task: TaskId, stores: &[Arc<str>]) -> Result<Database> {
        match self.open(task, stores) {
            Err(Trouble::Corrupt(why)) => {
                self.put_aside(task, &why)?;
                self.open(task, stores).map_err(|trouble| self.error("open", task, trouble))
            }
            opened => opened.map_err(|trouble| self.error("open", task, trouble)),
        }
    }

    fn open(&self, task: TaskId, stores: &[Arc<str>]) -> Result<Database, Trouble> {
        let database = Database::open(&self.options, &self.directory.task_path(task), stores)?;
        self.idle.watch(task, &database.db);
        Ok(database)
    }

    fn put_aside(&self, task: TaskId, why: &str) -> Result<()> {
        let kept = self.directory.set_aside(task)?;
        self.set_aside.fetch_add(1, Ordering::SeqCst);
        let kept = kept.display();
        tracing::warn!(%task, %kept, why, "the local state is corrupt: set aside, restored from the changelog");
        Ok(())
    }

    /// The task is opened again after any of them; a corrupt one is set aside then.
    fn error(&self, doing: &str, task: TaskId, trouble: Trouble) -> Error {
        let path = self.directory.task_path(task);
        let why = match trouble {
            Trouble::Corrupt(why) => {
                self.corrupt().insert(task);
                why
            }
            Trouble::Passing(why) => why,
            Trouble::Files(error) => return disk_error(doing, &path, error),
        };
        let error = Error::disk(format!("cannot {doing} the state of task {task} in {}", path.display()));
        error.help(trouble::way_out(&why)).cause(why)
    }

    fn corrupt(&self) -> MutexGuard<'_, BTreeSet<TaskId>> {
        self.corrupt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
