//! The stores of one task in one database.
//!
//! Keys: 4 bytes that say which store, then the store's own. Prefix 0 is the database's: the checkpoint, and by name
//! the prefix of each store, so that stores may come, go and change places.

use super::options::Opened;
use super::trouble::Trouble;
use super::{Shared, disk_error};
use crate::error::{Error, Result};
use crate::record::TaskId;
use crate::state::directory::OpenTask;
use crate::state::{Backend, Batch, EachUntil};
use rocksdb::{DB, ReadOptions, WriteBatch};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const PREFIX: usize = 4;
const CHECKPOINT: &[u8] = b"\0\0\0\0checkpoint";
const NAMES: &[u8] = b"\0\0\0\0store/";

pub(super) struct RocksBackend {
    /// `None`: it could not be opened again after it was cleared. Closed before the task is given back.
    database: Option<Database>,
    shared: Arc<Shared>,
    task: TaskId,
    names: Vec<Arc<str>>,
    _held: OpenTask,
}

/// An open database and where its stores are in it.
pub(super) struct Database {
    pub(super) db: Arc<DB>,
    /// By position of the store.
    prefixes: Vec<[u8; PREFIX]>,
    /// Nothing was ever written to it.
    empty: bool,
}

impl Database {
    pub(super) fn open(options: &Opened, path: &Path, stores: &[Arc<str>]) -> Result<Self, Trouble> {
        std::fs::create_dir_all(path).map_err(Trouble::Files)?;
        let db = DB::open(&options.database, path)?;
        let known = names(&db)?;
        let mut next = known.values().copied().max().unwrap_or(0);
        let (mut prefixes, mut new) = (Vec::new(), WriteBatch::default());
        for store in stores {
            let prefix = known.get(store.as_bytes()).copied().unwrap_or_else(|| {
                next += 1;
                new.put([NAMES, store.as_bytes()].concat(), next.to_be_bytes());
                next
            });
            prefixes.push(prefix.to_be_bytes());
        }
        if !new.is_empty() {
            db.write_opt(new, &options.write())?;
        }
        let empty = known.is_empty();
        Ok(Self { db: Arc::new(db), prefixes, empty })
    }

    fn scan_from(
        &self,
        prefix: [u8; PREFIX],
        from: &[u8],
        each: EachUntil<'_>,
    ) -> Result<Result<()>, Trouble> {
        let mut iterator = self.db.raw_iterator_opt(whole(prefix));
        iterator.seek([&prefix, from].concat());
        while let Some((key, value)) = iterator.item() {
            let own = key.get(PREFIX..).unwrap_or_default();
            match each(own, value) {
                Ok(true) => iterator.next(),
                Ok(false) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        // It also ends where it cannot read on.
        iterator.status()?;
        Ok(Ok(()))
    }

    pub(super) fn write(&mut self, batch: Batch, options: &Opened) -> Result<(), Trouble> {
        let mut writes = WriteBatch::default();
        let mut key = Vec::new();
        for entry in batch.entries {
            key.clear();
            key.extend(self.prefixes.get(entry.store).into_iter().flatten());
            key.extend_from_slice(&entry.key);
            match entry.value {
                Some(value) => writes.put(&key, value),
                None => writes.delete(&key),
            }
        }
        if let Some(checkpoint) = batch.checkpoint {
            writes.put(CHECKPOINT, checkpoint);
        }
        if !writes.is_empty() {
            self.empty = false;
            self.db.write_opt(writes, &options.write())?;
        }
        Ok(())
    }
}

/// The prefix of each store by its name.
fn names(db: &DB) -> Result<BTreeMap<Vec<u8>, u32>, Trouble> {
    let mut known = BTreeMap::new();
    let mut iterator = db.raw_iterator_opt(whole([0; PREFIX]));
    iterator.seek(NAMES);
    while let Some((key, value)) = iterator.item() {
        let prefix = <[u8; PREFIX]>::try_from(value)
            .map_err(|_| Trouble::Corrupt("Corruption: the prefix of a store has not 4 bytes".to_owned()))?;
        known.insert(key.get(NAMES.len()..).unwrap_or_default().into(), u32::from_be_bytes(prefix));
        iterator.next();
    }
    iterator.status()?;
    Ok(known)
}

/// A pass over everything with a prefix, which must not push out of the cache what is read by key.
fn whole(prefix: [u8; PREFIX]) -> ReadOptions {
    let mut options = ReadOptions::default();
    if let Some(next) = u32::from_be_bytes(prefix).checked_add(1) {
        options.set_iterate_upper_bound(next.to_be_bytes());
    }
    options.fill_cache(false);
    options
}

impl RocksBackend {
    pub(super) fn new(
        shared: Arc<Shared>,
        held: OpenTask,
        task: TaskId,
        names: &[Arc<str>],
        database: Database,
    ) -> Self {
        Self { database: Some(database), shared, task, names: names.to_vec(), _held: held }
    }

    fn database(&self) -> Result<&Database> {
        self.database.as_ref().ok_or_else(|| self.closed())
    }

    fn closed(&self) -> Error {
        Error::disk(format!("the state of task {} is closed", self.task))
    }

    fn at(&self, store: usize) -> Result<(&Database, [u8; PREFIX])> {
        let database = self.database()?;
        let prefix = database.prefixes.get(store).copied();
        Ok((database, prefix.ok_or_else(|| Error::internal(format!("the task has no store {store}")))?))
    }

    fn failed(&self, doing: &str, trouble: impl Into<Trouble>) -> Error {
        self.shared.error(doing, self.task, trouble.into())
    }
}

impl Backend for RocksBackend {
    fn read(&self, store: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let (database, prefix) = self.at(store)?;
        let value = database.db.get([&prefix, key].concat());
        value.map_err(|error| self.failed("read", error))
    }

    fn scan_from(&self, store: usize, from: &[u8], each: EachUntil<'_>) -> Result<()> {
        let (database, prefix) = self.at(store)?;
        let scanned = database.scan_from(prefix, from, each);
        scanned.unwrap_or_else(|trouble| Err(self.failed("read", trouble)))
    }

    fn checkpoint(&self) -> Result<Option<Vec<u8>>> {
        self.database()?.db.get(CHECKPOINT).map_err(|error| self.failed("read", error))
    }

    fn write(&mut self, batch: Batch) -> Result<()> {
        let unknown = batch.entries.iter().find(|entry| entry.store >= self.names.len());
        if let Some(entry) = unknown {
            return Err(Error::internal(format!("the task has no store {}", entry.store)));
        }
        let Some(database) = &mut self.database else { return Err(self.closed()) };
        let written = database.write(batch, &self.shared.options);
        written.map_err(|trouble| self.failed("write", trouble))
    }

    /// The files go at once: a restore from the beginning needs their space.
    fn clear(&mut self) -> Result<()> {
        if self.database.as_ref().is_some_and(|database| database.empty) {
            return Ok(());
        }
        self.database = None;
        let path = self.shared.directory.task_path(self.task);
        std::fs::remove_dir_all(&path).map_err(|error| disk_error("clear", &path, error))?;
        self.database = Some(self.shared.database(self.task, &self.names)?);
        Ok(())
    }
}
