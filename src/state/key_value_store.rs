//! A processor's own map, kept over restarts.

use super::store_builder::sealed::{Attached, Shared};
use super::store_builder::{StateStore, StoreBuilder};
use super::{Readable, SharedStore, Table, as_it_is};
use crate::error::{BoxError, Result};
use crate::serdes::{Codec, DefaultSerde, Key, Serde, both};
use crate::time::Timestamp;
use std::cell::{Cell, RefCell};
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;
use std::sync::Arc;

/// Values by key. It lives in one task and sees the keys of its partition; processors of the task may share it.
///
/// What is written belongs to the running commit: after a crash the store is as the last commit left it. An error of a
/// method is passed on with `?` and stops the task, for the state is then not known.
pub struct KeyValueStore<K, V>(Rc<Inner<K, V>>);

struct Inner<K, V> {
    table: Rc<RefCell<Table<K, V>>>,
    time: Cell<Timestamp>,
}

impl<K: Key, V: 'static> KeyValueStore<K, V> {
    /// With the default serdes of both types.
    pub fn named(name: &str) -> StoreBuilder<Self>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        Self::with(name, K::Serde::default(), V::Serde::default())
    }

    /// With these serdes.
    pub fn with(name: &str, key: impl Serde<K>, value: impl Serde<V>) -> StoreBuilder<Self> {
        let codecs: (Arc<dyn Codec<K>>, Arc<dyn Codec<V>>) = (both(key), both(value));
        let details = format!("key {}, value {}", codecs.0.describe(), codecs.1.describe());
        let table: Arc<str> = name.into();
        let readable = Readable::key_value(codecs.0.clone(), as_it_is(codecs.1.clone())).anywhere();
        StoreBuilder::new(name, details, readable, move |site| {
            let (backend, codecs) = (site.backend.clone(), codecs.clone());
            let table = Table::new(table.clone(), codecs, backend, site.index, site.cache_bytes);
            let table = Rc::new(RefCell::new(table));
            let shared: SharedStore = table.clone();
            (Self(Rc::new(Inner { table, time: Cell::new(Timestamp::MIN) })), shared)
        })
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Result<Option<V>, BoxError>
    where
        V: Clone,
    {
        Ok(self.0.table.borrow_mut().slot(key)?.value.clone())
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: &K, value: V) -> Result<(), BoxError> {
        Ok(self.0.table.borrow_mut().put(key, Some(value), self.0.time.get())?)
    }

    /// Removes a key; no matter if it was not there.
    pub fn delete(&mut self, key: &K) -> Result<(), BoxError> {
        Ok(self.0.table.borrow_mut().put(key, None, self.0.time.get())?)
    }

    /// Everything that is in the store now, by key bytes ascending. Copies all entries: not for every record.
    pub fn all(&self) -> Result<impl Iterator<Item = (K, V)> + use<K, V>, BoxError>
    where
        V: Clone,
    {
        self.within(&(Bound::Unbounded, Bound::Unbounded))
    }

    /// The entries whose key bytes lie in a range, ascending. Numbers are in order as bytes only if none is negative.
    /// Reads all keys of the store.
    pub fn range<R>(&self, keys: R) -> Result<impl Iterator<Item = (K, V)> + use<K, V, R>, BoxError>
    where
        R: RangeBounds<K>,
        V: Clone,
    {
        self.within(&(self.bound(keys.start_bound())?, self.bound(keys.end_bound())?))
    }

    /// How many entries there are; reads all keys of the store. Exact here; Kafka Streams' name is kept.
    pub fn approximate_num_entries(&self) -> Result<usize, BoxError> {
        Ok(self.0.table.borrow().keys()?.len())
    }

    fn bound(&self, bound: Bound<&K>) -> Result<Bound<Vec<u8>>> {
        let bytes = |key: &K| self.0.table.borrow().key_bytes(key);
        Ok(match bound {
            Bound::Included(key) => Bound::Included(bytes(key)?),
            Bound::Excluded(key) => Bound::Excluded(bytes(key)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    }

    fn within(
        &self,
        range: &(Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> Result<impl Iterator<Item = (K, V)> + use<K, V>, BoxError>
    where
        V: Clone,
    {
        let table = self.0.table.borrow();
        let mut entries = Vec::new();
        for (bytes, key) in table.keys()? {
            if range.contains(&bytes)
                && let Some(value) = table.peek(&key, &bytes)?
            {
                entries.push((key, value));
            }
        }
        Ok(entries.into_iter())
    }
}

impl<K: Key, V: 'static> StateStore for KeyValueStore<K, V> {}

impl<K: Key, V: 'static> Shared for KeyValueStore<K, V> {
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
}
