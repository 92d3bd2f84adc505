//! RocksDB: the suite of all backends, and what only files can do: grow, rot, run out of space, outlive a kill.

mod corrupt;
mod killed;
mod limits;

use super::idle::buffered;
use super::{Database, RocksDisk};
use crate::record::TaskId;
use crate::state::tests::{Machine, backend_suite};
use crate::state::{Batch, Compression, Disk, Entry, RocksOptions, StateDirectory, Wanted};
use crate::time::{Clock, SystemClock, Timestamp};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const TASK: TaskId = TaskId { subtopology: 0, partition: 0 };

fn options() -> RocksOptions {
    RocksOptions {
        block_cache_bytes: 8 << 20,
        write_buffer_bytes: 2 << 20,
        compression: Compression::Lz4,
        max_open_files: 64,
        sync: false,
    }
}

fn disk_at(path: &Path, options: &RocksOptions) -> RocksDisk {
    let wanted = Wanted { state_dir: path, application_id: "app", instance: None, seed: 7 };
    RocksDisk::new(Arc::new(StateDirectory::take(&wanted).expect("taken")), options)
}

struct OnRocks(TempDir);

impl OnRocks {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }
    fn open(&self) -> RocksDisk {
        disk_at(self.0.path(), &options())
    }
    fn task(&self) -> PathBuf {
        self.0.path().join("app/0").join(TASK.to_string())
    }
}

impl Machine for OnRocks {
    fn disk(&self) -> Box<dyn Disk> {
        Box::new(self.open())
    }
}

backend_suite!(OnRocks::new(), 48);

fn names() -> [Arc<str>; 1] {
    [Arc::from("store")]
}

/// One commit: a value per key, and a checkpoint.
fn batch(entries: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>, checkpoint: u64) -> Batch {
    let entry = |(key, value): (Vec<u8>, Option<Vec<u8>>)| Entry { store: 0, key: key.into(), value };
    let checkpoint = Some(checkpoint.to_be_bytes().to_vec());
    Batch { entries: entries.into_iter().map(entry).collect(), checkpoint }
}

/// Bytes that no compression makes smaller, the same for the same seed (splitmix64).
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    (0..len.div_ceil(8)).flat_map(|_| next().to_be_bytes()).take(len).collect()
}

/// The bytes of the files in a folder.
fn size(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).expect("a folder").map(|file| file.expect("a file"));
    files.map(|file| file.metadata().expect("metadata").len()).sum()
}

/// The files in a folder that end like this, by name.
fn files(path: &Path, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("a folder").map(|file| file.expect("a file").path());
    let mut files: Vec<PathBuf> = entries.filter(|file| file.to_string_lossy().ends_with(end)).collect();
    files.sort();
    files
}

#[test]
fn a_task_has_one_handle() {
    let machine = OnRocks::new();
    let disk = machine.open();
    let open = disk.open(TASK, &names()).expect("opens");
    let error = disk.open(TASK, &names()).err().expect("still open");
    assert!(error.is_disk(), "{error}");
    drop(open);
    disk.open(TASK, &names()).expect("opens again");
}

#[test]
fn a_task_without_stores_has_no_files() {
    let machine = OnRocks::new();
    machine.open().open(TASK, &[]).expect("opens");
    assert!(!machine.task().exists());
}

#[test]
fn cleared_files_are_gone_at_once() {
    let machine = OnRocks::new();
    let disk = machine.open();
    let backend = disk.open(TASK, &names()).expect("opens");
    for n in 0..20 {
        let entries =
            (0..64_u64).map(|key| (key.to_be_bytes().to_vec(), Some(noise(n * 64 + key, 16 << 10))));
        backend.borrow_mut().write(batch(entries, n)).expect("written");
    }
    let full = size(&machine.task());
    assert!(full > 1 << 20, "{full} bytes");
    backend.borrow_mut().clear().expect("cleared");
    let left = size(&machine.task());
    assert!(left < 64 << 10, "{left} of {full} bytes are left");
    assert_eq!(backend.borrow().checkpoint().expect("read"), None);
    backend.borrow_mut().write(batch([(b"k".to_vec(), Some(b"v".to_vec()))], 1)).expect("written");
    assert_eq!(backend.borrow().read(0, b"k").expect("read"), Some(b"v".to_vec()));
}

/// Tasks with their databases, and as many bytes written to each.
fn tasks(disk: &RocksDisk, count: u32, kilobytes: u64) -> Vec<Database> {
    let names = names();
    let open = |partition| disk.shared.database(TaskId { subtopology: 0, partition }, &names).expect("opens");
    let mut databases: Vec<Database> = (0..count).map(open).collect();
    for n in 0..kilobytes / 4 {
        for (at, database) in databases.iter_mut().enumerate() {
            put(disk, database, n * 1_000 + at as u64, 4 << 10);
        }
    }
    databases
}

fn put(disk: &RocksDisk, database: &mut Database, seed: u64, len: usize) {
    let entry = (seed.to_be_bytes().to_vec(), Some(noise(seed, len)));
    database.write(batch([entry], seed), &disk.shared.options).expect("written");
}

/// Repeats until the buffers are as small as that.
fn until_buffered(databases: &mut [Database], most: u64, mut again: impl FnMut(&mut [Database])) {
    let clock = SystemClock::new();
    loop {
        let sum: u64 = databases.iter().map(|database| buffered(&database.db)).sum();
        if sum < most {
            return;
        }
        assert!(clock.monotonic() < 60_000, "{sum} bytes are buffered, not less than {most}");
        again(databases);
        std::thread::yield_now();
    }
}

/// The memory of all tasks has one bound: none of them has filled its own part when all of them together have.
#[test]
fn write_buffers_are_shared() {
    let machine = OnRocks::new();
    let disk = machine.open();
    let own = options().write_buffer_bytes as u64 / 8;
    let mut databases = tasks(&disk, 24, 200);
    assert!(200 << 10 < own && 24 * (200 << 10) > 2 * options().write_buffer_bytes);
    let mut n = 1 << 40;
    until_buffered(&mut databases, options().write_buffer_bytes as u64 * 5 / 4, |databases| {
        for database in databases {
            n += 1;
            put(&disk, database, n, 10);
        }
    });
}

#[test]
fn tasks_that_have_stopped_writing_give_their_buffers_back() {
    let machine = OnRocks::new();
    let disk = machine.open();
    let mut databases = tasks(&disk, 4, 128);
    let clean =
        |_: &mut [Database]| disk.clean(&BTreeSet::new(), Timestamp(0), Duration::MAX).expect("cleaned");
    until_buffered(&mut databases, 4 * (16 << 10), clean);
    for (at, database) in databases.iter().enumerate() {
        let prefixed = [1_u32.to_be_bytes().as_slice(), (at as u64).to_be_bytes().as_slice()].concat();
        assert_eq!(database.db.get(prefixed).expect("read"), Some(noise(at as u64, 4 << 10)));
    }
}
