//! Databases that have stopped writing give their buffers back.
//!
//! RocksDB writes a file for whoever writes when the shared buffers are full, and never for somebody else: without this,
//! tasks that are idle would keep the buffers, and every commit of the others would make a file.

use super::trouble::Trouble;
use crate::record::TaskId;
use rocksdb::{DB, FlushOptions};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is left of a buffer that is empty.
const EMPTY: u64 = 64 << 10;

/// The open databases.
#[derive(Default)]
pub(super) struct Idle(Mutex<BTreeMap<TaskId, Watched>>);

struct Watched {
    database: Weak<DB>,
    /// The last write, as of the last look.
    written: Option<u64>,
}

impl Idle {
    pub(super) fn watch(&self, task: TaskId, database: &Arc<DB>) {
        let watched = Watched { database: Arc::downgrade(database), written: None };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(task, watched);
    }

    /// Starts to write what has not changed since the last look; nobody waits for it.
    pub(super) fn flush(&self) -> Result<(), Trouble> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, watched| watched.database.strong_count() > 0);
        for watched in all.values_mut() {
            let Some(database) = watched.database.upgrade() else { continue };
            let written = Some(database.latest_sequence_number());
            if std::mem::replace(&mut watched.written, written) == written && buffered(&database) > EMPTY {
                let mut options = FlushOptions::default();
                options.set_wait(false);
                database.flush_opt(&options)?;
            }
        }
        Ok(())
    }
}

/// Bytes in memory that are in no file yet.
pub(super) fn buffered(database: &DB) -> u64 {
    database.property_int_value("rocksdb.cur-size-all-mem-tables").ok().flatten().unwrap_or(0)
}
