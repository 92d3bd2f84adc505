//! What lies under a member: memory that outlives it, files, or a disk that fails when it is told to.

use crate::error::{Error, Result};
use crate::record::TaskId;
use crate::state::{Backend, Batch, Disk, EachUntil, MemoryDisk, SharedBackend};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// The machine of a member: its processes come and go, its disk stays.
pub(super) trait Machine {
    /// As a process finds it; the one before is gone.
    fn disk(&self) -> Box<dyn Disk>;
    /// As if the disk had been replaced; no process is alive.
    fn lose(&self);
}

impl Machine for MemoryDisk {
    fn disk(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }
    fn lose(&self) {
        MemoryDisk::lose(self);
    }
}

/// What every test of a kill runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disks {
    Memory,
    #[cfg(feature = "rocksdb")]
    Rocks,
}

impl Disks {
    pub(super) const ALL: &'static [Self] = &[
        Self::Memory,
        #[cfg(feature = "rocksdb")]
        Self::Rocks,
    ];

    pub(super) fn machine(self) -> Box<dyn Machine> {
        match self {
            Self::Memory => Box::new(MemoryDisk::default()),
            #[cfg(feature = "rocksdb")]
            Self::Rocks => Box::new(Files::new()),
        }
    }
}

#[cfg(feature = "rocksdb")]
pub(super) use files::Files;

#[cfg(feature = "rocksdb")]
mod files {
    use super::Machine;
    use crate::runtime::{LocalState, StreamsConfig};
    use crate::state::{Disk, StateDirectory};
    use std::path::Path;
    use std::rc::Rc;
    use tempfile::TempDir;

    /// RocksDB in a state directory, as an application opens it.
    #[derive(Clone)]
    pub(in crate::runtime::tests) struct Files(Rc<TempDir>);

    impl Files {
        pub(in crate::runtime::tests) fn new() -> Self {
            Self(Rc::new(tempfile::tempdir().expect("a directory")))
        }
        pub(in crate::runtime::tests) fn path(&self) -> &Path {
            self.0.path()
        }
    }

    impl Machine for Files {
        fn disk(&self) -> Box<dyn Disk> {
            let config = StreamsConfig::new("app", "")
                .set("default.dsl.store", "rocksDB")
                .set("state.dir", self.0.path().display().to_string());
            let settings = config.settings().expect("settings");
            LocalState::open(&settings, "a topology", None, 1).expect("opens").disk
        }
        fn lose(&self) {
            StateDirectory::clean_up(self.0.path(), "app").expect("nobody lives there");
        }
    }
}

/// What goes wrong at the moment.
#[derive(Clone, Default)]
pub(super) struct Broken {
    pub(super) reads: Rc<Cell<bool>>,
    pub(super) writes: Rc<Cell<bool>>,
    pub(super) opens: Rc<Cell<bool>>,
    /// Calls that failed.
    pub(super) failures: Rc<Cell<usize>>,
}

impl Broken {
    fn call(&self, breaks: &Cell<bool>) -> Result<()> {
        if !breaks.get() {
            return Ok(());
        }
        self.failures.set(self.failures.get() + 1);
        Err(Error::disk("no space left on device"))
    }
}

/// Memory that fails as a disk does.
#[derive(Clone, Default)]
pub(super) struct FailingDisk {
    disk: MemoryDisk,
    pub(super) broken: Broken,
}

impl Machine for FailingDisk {
    fn disk(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }
    fn lose(&self) {
        self.disk.lose();
    }
}

impl Disk for FailingDisk {
    fn open(&self, task: TaskId, stores: &[Arc<str>]) -> Result<SharedBackend> {
        self.broken.call(&self.broken.opens)?;
        let backend = FailingBackend { backend: self.disk.open(task, stores)?, broken: self.broken.clone() };
        Ok(Rc::new(RefCell::new(backend)))
    }
}

struct FailingBackend {
    backend: SharedBackend,
    broken: Broken,
}

impl Backend for FailingBackend {
    fn read(&self, store: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.broken.call(&self.broken.reads)?;
        self.backend.borrow().read(store, key)
    }
    fn scan_from(&self, store: usize, from: &[u8], each: EachUntil<'_>) -> Result<()> {
        self.broken.call(&self.broken.reads)?;
        self.backend.borrow().scan_from(store, from, each)
    }
    fn checkpoint(&self) -> Result<Option<Vec<u8>>> {
        self.backend.borrow().checkpoint()
    }
    fn write(&mut self, batch: Batch) -> Result<()> {
        self.broken.call(&self.broken.writes)?;
        self.backend.borrow_mut().write(batch)
    }
    fn clear(&mut self) -> Result<()> {
        self.broken.call(&self.broken.writes)?;
        self.backend.borrow_mut().clear()
    }
}
