//! What every backend does: the same suite on memory and on RocksDB.

use super::{
    Batch, Disk, Entry, MemoryDisk, SharedBackend, StoreChange, StoreQuery, StoreScan, Table, TaskStore,
};
use crate::error::Error;
use crate::record::TaskId;
use crate::serdes::{Utf8, both};
use crate::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

const TASK: TaskId = TaskId { subtopology: 0, partition: 1 };
const OTHER: TaskId = TaskId { subtopology: 0, partition: 2 };

/// A machine whose processes come and go, and whose disk stays.
pub(crate) trait Machine {
    /// As a process finds it; the process before has ended.
    fn disk(&self) -> Box<dyn Disk>;
}

impl Machine for MemoryDisk {
    fn disk(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }
}

/// Store, key and value.
type Row<'a> = (usize, &'a [u8], Option<&'a [u8]>);

/// A process with a task open, which can be ended and started again.
struct Process<'a> {
    machine: &'a dyn Machine,
    names: Vec<Arc<str>>,
    open: Option<(SharedBackend, Box<dyn Disk>)>,
}

impl<'a> Process<'a> {
    fn new(machine: &'a dyn Machine, names: &[&str]) -> Self {
        let mut process = Self { machine, names: Vec::new(), open: None };
        process.restart(names);
        process
    }

    fn restart(&mut self, names: &[&str]) {
        self.names = names.iter().map(|name| Arc::from(*name)).collect();
        self.open = None;
        let disk = self.machine.disk();
        self.open = Some((disk.open(TASK, &self.names).expect("opens"), disk));
    }

    fn backend(&self) -> &SharedBackend {
        &self.open.as_ref().expect("open").0
    }

    fn write(&self, entries: &[Row<'_>], checkpoint: Option<&[u8]>) {
        let entry = |(store, key, value): &Row<'_>| Entry {
            store: *store,
            key: (*key).into(),
            value: value.map(<[u8]>::to_vec),
        };
        let entries = entries.iter().map(entry).collect();
        let batch = Batch { entries, checkpoint: checkpoint.map(<[u8]>::to_vec) };
        self.backend().borrow_mut().write(batch).expect("written");
    }

    fn read(&self, store: usize, key: &[u8]) -> Option<Vec<u8>> {
        self.backend().borrow().read(store, key).expect("read")
    }

    fn scan(&self, store: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        let mut each = |key: &[u8], value: &[u8]| {
            found.push((key.to_vec(), value.to_vec()));
            Ok(())
        };
        self.backend().borrow().scan(store, &mut each).expect("scanned");
        found
    }

    fn checkpoint(&self) -> Option<Vec<u8>> {
        self.backend().borrow().checkpoint().expect("read")
    }
}

#[derive(Clone, Debug)]
enum Action {
    Write(Vec<(usize, Vec<u8>, Option<Vec<u8>>)>, Option<Vec<u8>>),
    Clear,
    Restart,
}

const STORES: [&str; 3] = ["counts", "sums", ""];

fn action() -> impl Strategy<Value = Action> {
    // Few bytes, and those at both ends, so that keys meet and borders are hit.
    let key = || vec(prop_oneof![Just(0_u8), Just(1), Just(b'a'), Just(254), Just(255)], 0..4);
    let value = || proptest::option::weighted(0.7, vec(any::<u8>(), 0..40));
    let write = (vec((0..STORES.len(), key(), value()), 0..12), proptest::option::of(vec(any::<u8>(), 0..9)));
    prop_oneof![
        8 => write.prop_map(|(entries, checkpoint)| Action::Write(entries, checkpoint)),
        1 => Just(Action::Clear),
        2 => Just(Action::Restart),
    ]
}

#[derive(Default)]
struct Model {
    stores: [BTreeMap<Vec<u8>, Vec<u8>>; STORES.len()],
    checkpoint: Option<Vec<u8>>,
}

impl Model {
    fn apply(&mut self, action: &Action) {
        match action {
            Action::Restart => {}
            Action::Clear => *self = Self::default(),
            Action::Write(entries, checkpoint) => {
                for (store, key, value) in entries {
                    match value {
                        Some(value) => drop(self.stores[*store].insert(key.clone(), value.clone())),
                        None => drop(self.stores[*store].remove(key)),
                    }
                }
                self.checkpoint = checkpoint.clone().or(self.checkpoint.take());
            }
        }
    }

    fn compare(&self, process: &Process<'_>) {
        assert_eq!(process.checkpoint(), self.checkpoint);
        for (store, entries) in self.stores.iter().enumerate() {
            let expected: Vec<_> = entries.clone().into_iter().collect();
            assert_eq!(process.scan(store), expected, "store {store}");
            for (key, value) in entries {
                assert_eq!(process.read(store, key).as_ref(), Some(value));
            }
            assert_eq!(process.read(store, b"never there"), None);
        }
    }
}

fn is_the_model(machine: &dyn Machine, actions: &[Action]) {
    let mut process = Process::new(machine, &STORES);
    let mut model = Model::default();
    for action in actions {
        match action {
            Action::Clear => process.backend().borrow_mut().clear().expect("cleared"),
            Action::Restart => process.restart(&STORES),
            Action::Write(entries, checkpoint) => {
                let entries = entries.iter().map(|(store, key, value)| (*store, &**key, value.as_deref()));
                process.write(&entries.collect::<Vec<_>>(), checkpoint.as_deref());
            }
        }
        model.apply(action);
        model.compare(&process);
    }
}

/// Runs it on as many machines as there are cases.
pub(crate) fn model(cases: u32, machine: impl Fn() -> Box<dyn Machine>) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(actions in vec(action(), 1..25))| is_the_model(&*machine(), &actions));
}

/// Stores are known by their names: they may come, go and change places.
pub(crate) fn stores_are_known_by_name(machine: &dyn Machine) {
    let mut process = Process::new(machine, &["a", "b"]);
    process.write(&[(0, b"k", Some(b"of a")), (1, b"k", Some(b"of b"))], Some(b"1"));
    process.restart(&["new", "b", "a"]);
    let read = |process: &Process<'_>| [0, 1, 2].map(|store| process.read(store, b"k"));
    assert_eq!(read(&process), [None, Some(b"of b".to_vec()), Some(b"of a".to_vec())]);
    process.write(&[(0, b"k", Some(b"of new"))], None);
    process.restart(&["b"]);
    assert_eq!((process.scan(0).len(), process.read(0, b"k")), (1, Some(b"of b".to_vec())));
    process.restart(&["a", "new", "b"]);
    assert_eq!(process.read(1, b"k"), Some(b"of new".to_vec()));
    assert_eq!(process.checkpoint().as_deref(), Some(b"1".as_slice()));
}

/// Tasks share nothing.
pub(crate) fn tasks_are_apart(machine: &dyn Machine) {
    let disk = machine.disk();
    let names = [Arc::from("a")];
    let (one, two) = (disk.open(TASK, &names).expect("opens"), disk.open(OTHER, &names).expect("opens"));
    let entry = |value: &[u8]| Entry { store: 0, key: b"k".as_slice().into(), value: Some(value.to_vec()) };
    for (backend, value) in [(&one, b"1"), (&two, b"2")] {
        let batch = Batch { entries: vec![entry(value)], checkpoint: None };
        backend.borrow_mut().write(batch).expect("written");
    }
    one.borrow_mut().clear().expect("cleared");
    assert_eq!(one.borrow().read(0, b"k").expect("read"), None);
    assert_eq!(two.borrow().read(0, b"k").expect("read"), Some(b"2".to_vec()));
}

/// Mistakes of the caller, and an error of what looks at the entries.
pub(crate) fn errors_come_through(machine: &dyn Machine) {
    let process = Process::new(machine, &["a"]);
    process.write(&[(0, b"1", Some(b"")), (0, b"2", Some(b""))], None);
    let mut seen = 0;
    let stopped = process.backend().borrow().scan(0, &mut |_, _| {
        seen += 1;
        Err(Error::internal("enough"))
    });
    assert!(stopped.expect_err("the error comes back").to_string().contains("enough"));
    assert_eq!(seen, 1, "it stops at once");
    let backend = process.backend();
    assert!(backend.borrow().read(1, b"k").is_err());
    assert!(backend.borrow().scan(1, &mut |_, _| Ok(())).is_err());
    let entry = Entry { store: 1, key: b"k".as_slice().into(), value: None };
    assert!(backend.borrow_mut().write(Batch { entries: vec![entry], checkpoint: None }).is_err());
}

/// The typed overlay: what was committed is there after a restart, what was not is gone.
pub(crate) fn a_table_lies_over_it(machine: &dyn Machine) {
    let mut process = Process::new(machine, &["names"]);
    let table = |process: &Process<'_>| -> Table<String, String> {
        let codecs = (both::<String>(Utf8), both::<String>(Utf8));
        Table::new("names".into(), codecs, process.backend().clone(), 0, 1_000)
    };
    let keys: Vec<String> = (0..50).map(|n| format!("key {n}")).collect();
    let mut overlay = table(&process);
    for (n, key) in keys.iter().enumerate() {
        overlay.put(key, Some(format!("value {n}")), Timestamp(n as i64)).expect("put");
    }
    overlay.put(&keys[7], None, Timestamp(100)).expect("deleted");
    commit(&process, &mut overlay);
    overlay.put(&keys[3], Some("lost".to_owned()), Timestamp(200)).expect("put");
    drop(overlay);
    process.restart(&["names"]);
    let mut overlay = table(&process);
    assert_eq!(overlay.keys().expect("read").len(), 49);
    for (n, key) in keys.iter().enumerate() {
        let slot = overlay.slot(key).expect("read");
        assert_eq!(slot.value, (n != 7).then(|| format!("value {n}")));
        assert_eq!(slot.timestamp, if n == 7 { Timestamp::MIN } else { Timestamp(n as i64) });
    }
    for key in &keys {
        overlay.put(key, None, Timestamp(300)).expect("deleted");
    }
    commit(&process, &mut overlay);
    assert_eq!(process.scan(0), []);
}

fn commit(process: &Process<'_>, overlay: &mut Table<String, String>) {
    commit_at(process, overlay, 0);
}

fn commit_at(process: &Process<'_>, overlay: &mut Table<String, String>, store: usize) {
    let mut changes: Vec<StoreChange> = Vec::new();
    overlay.collect(&mut changes).expect("collected");
    let entry = |change: StoreChange| Entry { store, value: change.stored(), key: change.key };
    let batch = Batch { entries: changes.into_iter().map(entry).collect(), checkpoint: None };
    process.backend().borrow_mut().write(batch).expect("written");
    overlay.committed();
}

/// A change of one of a few keys, or a commit.
#[derive(Clone, Debug)]
enum Step {
    Put(String, Option<String>),
    Commit,
}

fn step() -> impl Strategy<Value = Step> {
    let change = ("[ab]{0,3}", proptest::option::weighted(0.7, "[x-z]{1,3}"));
    prop_oneof![8 => change.prop_map(|(key, value)| Step::Put(key, value)), 1 => Just(Step::Commit)]
}

fn scan() -> impl Strategy<Value = StoreScan> {
    let bound = || {
        let key = || "[ab]{0,3}".prop_map(String::into_bytes);
        prop_oneof![key().prop_map(Bound::Included), key().prop_map(Bound::Excluded), Just(Bound::Unbounded)]
    };
    let limit = prop_oneof![0_usize..6, Just(usize::MAX)];
    (bound(), bound(), proptest::option::of(0_usize..4), limit)
        .prop_map(|(from, to, length, limit)| StoreScan { keys: (from, to), length, limit })
}

/// What others read of a table is what was put, committed or not.
pub(crate) fn it_is_read_as_it_is_now<M: Machine>(cases: u32, machine: impl Fn() -> M) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    proptest!(config, |(steps in vec(step(), 0..40), scans in vec(scan(), 1..8), cache in 0_usize..2)| {
        let machine = machine();
        let process = Process::new(&machine, &["other", "names"]);
        process.write(&[(0, b"a", Some(b"of another store"))], None);
        let codecs = (both::<String>(Utf8), both::<String>(Utf8));
        let backend = process.backend().clone();
        let mut table = Table::<String, String>::new("names".into(), codecs, backend, 1, cache * 1_000);
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(key, value) => {
                    table.put(&key, value.clone(), Timestamp(0)).expect("put");
                    match value {
                        Some(value) => drop(model.insert(key.into_bytes(), value.into_bytes())),
                        None => drop(model.remove(key.as_bytes())),
                    }
                }
                Step::Commit => commit_at(&process, &mut table, 1),
            }
        }
        for key in [&b""[..], b"a", b"ab", b"bbb"] {
            let row = model.get(key).map(|value| (key.to_vec(), value.clone()));
            let read = TaskStore::rows(&table, &StoreQuery::Get(key.to_vec())).expect("read");
            prop_assert_eq!(read, Vec::from_iter(row));
        }
        for scan in scans {
            let fits = |key: &Vec<u8>| {
                scan.keys.contains(key) && scan.length.is_none_or(|length| length == key.len())
            };
            let rows = model.iter().filter(|(key, _)| fits(key)).take(scan.limit);
            let rows: Vec<_> = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
            prop_assert_eq!(TaskStore::rows(&table, &StoreQuery::Scan(scan)).expect("read"), rows);
        }
    });
}

/// A `#[test]` for each of the suite, on new machines of this kind.
macro_rules! backend_suite {
    ($machine:expr, $cases:expr) => {
        #[test]
        fn it_is_the_model() {
            $crate::state::tests::model($cases, || Box::new($machine));
        }
        #[test]
        fn it_is_read_as_it_is_now() {
            $crate::state::tests::it_is_read_as_it_is_now($cases, || $machine);
        }
        #[test]
        fn stores_are_known_by_name() {
            $crate::state::tests::stores_are_known_by_name(&$machine);
        }
        #[test]
        fn tasks_are_apart() {
            $crate::state::tests::tasks_are_apart(&$machine);
        }
        #[test]
        fn errors_come_through() {
            $crate::state::tests::errors_come_through(&$machine);
        }
        #[test]
        fn a_table_lies_over_it() {
            $crate::state::tests::a_table_lies_over_it(&$machine);
        }
    };
}
pub(crate) use backend_suite;

mod memory {
    use crate::state::MemoryDisk;

    super::backend_suite!(MemoryDisk::default(), 256);
}
