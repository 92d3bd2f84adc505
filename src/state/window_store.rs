//! A processor's own values by key and window, which go when the watermark has left them far enough behind.

use super::store_builder::sealed::{Attached, Shared};
use super::store_builder::{StateStore, StoreBuilder};
use super::{Readable, SharedStore, Table, as_it_is};
use crate::error::{BoxError, Result};
use crate::serdes::{Codec, Key, Serde, WindowForm, both, windowed};
use crate::time::{Timestamp, Window, Windowed};
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Values by key and window. An entry is there until the watermark reaches the end of its window plus the retention;
/// one that is older already when it is put goes with the next advance.
///
/// Otherwise as [`KeyValueStore`](crate::KeyValueStore): of one task, part of its commits, shared by processors.
pub struct WindowStore<K, V>(Rc<Inner<K, V>>);

struct Inner<K, V> {
    table: Rc<RefCell<Table<Windowed<K>, V>>>,
    retention: Duration,
    index: RefCell<Index<K>>,
    time: Cell<Timestamp>,
}

/// The windows that have an entry.
struct Index<K> {
    /// By end, then by bytes.
    by_end: BTreeMap<(Timestamp, Vec<u8>), Windowed<K>>,
    by_key: HashMap<K, BTreeSet<Window>>,
}

impl<K: Key> Index<K> {
    fn insert(&mut self, bytes: Vec<u8>, entry: Windowed<K>) {
        self.by_key.entry(entry.key.clone()).or_default().insert(entry.window);
        self.by_end.insert((entry.window.end, bytes), entry);
    }
    fn remove(&mut self, bytes: Vec<u8>, entry: &Windowed<K>) {
        self.by_end.remove(&(entry.window.end, bytes));
        if let Some(windows) = self.by_key.get_mut(&entry.key) {
            windows.remove(&entry.window);
            if windows.is_empty() {
                self.by_key.remove(&entry.key);
            }
        }
    }
}

impl<K: Key, V: 'static> WindowStore<K, V> {
    /// With these serdes. Entries are stored under key, start and end (8 bytes each), so that windows may have any size.
    pub fn with(
        name: &str,
        retention: Duration,
        key: impl Serde<K>,
        value: impl Serde<V>,
    ) -> StoreBuilder<Self> {
        let (key, value): (Arc<dyn Codec<K>>, Arc<dyn Codec<V>>) = (both(key), both(value));
        let form = WindowForm::StartEnd;
        let readable = Readable::windowed(key.clone(), form, as_it_is(value.clone())).anywhere();
        let key = windowed(key, form);
        let details = format!("key {}, value {}", key.describe(), value.describe());
        let table: Arc<str> = name.into();
        StoreBuilder::new(name, details, readable, move |site| {
            let (backend, codecs) = (site.backend.clone(), (key.clone(), value.clone()));
            let table = Table::new(table.clone(), codecs, backend, site.index, site.cache_bytes);
            let table = Rc::new(RefCell::new(table));
            let shared: SharedStore = table.clone();
            let index = RefCell::new(Index { by_end: BTreeMap::new(), by_key: HashMap::new() });
            let time = Cell::new(Timestamp::MIN);
            (Self(Rc::new(Inner { table, retention, index, time })), shared)
        })
    }

    /// The value of a key in a window.
    pub fn get(&self, key: &K, window: Window) -> Result<Option<V>, BoxError>
    where
        V: Clone,
    {
        let entry = Windowed::new(key.clone(), window);
        Ok(self.0.table.borrow_mut().slot(&entry)?.value.clone())
    }

    /// Sets the value of a key in a window.
    pub fn put(&mut self, key: &K, window: Window, value: V) -> Result<(), BoxError> {
        let entry = Windowed::new(key.clone(), window);
        self.0.table.borrow_mut().put(&entry, Some(value), self.0.time.get())?;
        let bytes = self.0.bytes(&entry)?;
        self.0.index.borrow_mut().insert(bytes, entry);
        Ok(())
    }

    /// Removes the value of a key in a window; no matter if there was none.
    pub fn delete(&mut self, key: &K, window: Window) -> Result<(), BoxError> {
        Ok(self.0.remove(&Windowed::new(key.clone(), window))?)
    }

    /// A key's entries whose window starts in a range, by start ascending; a copy.
    pub fn fetch(&self, key: &K, starts: impl RangeBounds<Timestamp>) -> Result<Vec<(Window, V)>, BoxError>
    where
        V: Clone,
    {
        let index = self.0.index.borrow();
        let windows = index.by_key.get(key).into_iter().flatten();
        let mut entries = Vec::new();
        for window in windows.filter(|window| starts.contains(&window.start)) {
            entries.extend(self.get(key, *window)?.map(|value| (*window, value)));
        }
        Ok(entries)
    }
}

impl<K: Key, V: 'static> Inner<K, V> {
    fn bytes(&self, entry: &Windowed<K>) -> Result<Vec<u8>> {
        self.table.borrow().key_bytes(entry)
    }

    fn remove(&self, entry: &Windowed<K>) -> Result<()> {
        self.table.borrow_mut().put(entry, None, self.time.get())?;
        self.index.borrow_mut().remove(self.bytes(entry)?, entry);
        Ok(())
    }

    fn first(&self) -> Option<Windowed<K>> {
        self.index.borrow().by_end.first_key_value().map(|(_, entry)| entry.clone())
    }
    fn due(&self, end: Timestamp) -> Timestamp {
        end.plus(self.retention)
    }
}

impl<K: Key, V: 'static> StateStore for WindowStore<K, V> {}

impl<K: Key, V: 'static> Shared for WindowStore<K, V> {
    fn share(&self) -> Self {
        Self(self.0.clone())
    }
    fn attached(&self) -> Rc<dyn Attached> {
        self.0.clone()
    }
}

impl<K: Key, V: 'static> Attached for Inner<K, V> {
    fn set_time(&self, at: Timestamp) {
        self.time.set(at);
    }
    fn restored(&self) -> Result<()> {
        let mut index = self.index.borrow_mut();
        for (bytes, entry) in self.table.borrow().keys()? {
            index.insert(bytes, entry);
        }
        Ok(())
    }
    fn next_due(&self) -> Timestamp {
        let index = self.index.borrow();
        index.by_end.first_key_value().map_or(Timestamp::MAX, |((end, _), _)| self.due(*end))
    }
    fn expire(&self, watermark: Timestamp, budget: &mut usize) -> Result<bool> {
        while let Some(entry) = self.first() {
            let due = self.due(entry.window.end);
            if due > watermark {
                break;
            }
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            self.time.set(due);
            self.remove(&entry)?;
        }
        Ok(true)
    }
}
