//! A typed store of one task: decoded entries over the backend, dirty from their first change to the next commit.

mod reading;

pub(crate) use reading::{Row, StoreQuery, StoreScan};

use super::{EachUntil, SharedBackend, StoreChange, TaskStore, split_stored};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::serdes::Codec;
use crate::time::Timestamp;
use hashbrown::{Equivalent, HashMap};
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

/// Told of an entry of the backend: its key, its timestamp, its raw value.
pub(crate) type EachTyped<'a, K> = &'a mut dyn FnMut(K, Timestamp, &[u8]) -> Result<()>;

/// One key's entry as it is now.
pub(crate) struct Slot<V> {
    /// `None`: absent.
    pub(crate) value: Option<V>,
    pub(crate) timestamp: Timestamp,
    /// An update waits to be forwarded (set and cleared by the node that owns the store).
    pub(crate) pending: bool,
    /// The bytes of the value that was forwarded last, kept while an update is pending and somebody needs the old value.
    pub(crate) forwarded: Option<Vec<u8>>,
    /// Whether the backend has the key.
    stored: bool,
    dirty: bool,
}

impl<V> Slot<V> {
    fn absent() -> Self {
        let timestamp = Timestamp::MIN;
        Self { value: None, timestamp, pending: false, forwarded: None, stored: false, dirty: false }
    }
}

/// Where a slot is. Valid until the next `committed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// The store `name` of one task.
pub(crate) struct Table<K, V> {
    name: Arc<str>,
    key: Arc<dyn Codec<K>>,
    value: Arc<dyn Codec<V>>,
    backend: SharedBackend,
    /// Its position in the backend.
    index: usize,
    places: HashMap<K, usize>,
    slots: Vec<Option<(K, Slot<V>)>>,
    free: Vec<usize>,
    /// In the order in which they became dirty, so that the changelog is the same for the same input.
    dirty: Vec<usize>,
    cache_bytes: usize,
    /// Running estimate of an entry's encoded size.
    entry_bytes: usize,
    scratch: Vec<u8>,
}

impl<K: Clone + Eq + Hash, V> Table<K, V> {
    pub(crate) fn new(
        name: Arc<str>,
        codecs: (Arc<dyn Codec<K>>, Arc<dyn Codec<V>>),
        backend: SharedBackend,
        index: usize,
        cache_bytes: usize,
    ) -> Self {
        let (key, value) = codecs;
        Self {
            name,
            key,
            value,
            backend,
            index,
            places: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            cache_bytes,
            entry_bytes: 64,
            scratch: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The place of a key, which is read from the backend the first time; `own` makes the key then.
    #[inline]
    pub(crate) fn place<Q>(&mut self, key: &Q, own: impl FnOnce(&Q) -> K) -> Result<Place>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        match self.places.get(key) {
            Some(&place) => Ok(Place(place)),
            None => self.load(own(key)),
        }
    }

    fn load(&mut self, key: K) -> Result<Place> {
        self.scratch.clear();
        self.key.write(&key, &mut self.scratch).map_err(|e| self.failed("write a key of", e))?;
        let stored = self.backend.borrow().read(self.index, &self.scratch)?;
        let mut slot = Slot::absent();
        if let Some(stored) = stored {
            let (timestamp, raw) = split_stored(&stored)?;
            let value = self.value.read(Some(raw)).map_err(|e| self.failed("read an entry of", e))?;
            (slot.value, slot.timestamp, slot.stored) = (Some(value), timestamp, true);
        }
        let entry = Some((key.clone(), slot));
        let place = if let Some(place) = self.free.pop() {
            if let Some(free) = self.slots.get_mut(place) {
                *free = entry;
            }
            place
        } else {
            self.slots.push(entry);
            self.slots.len() - 1
        };
        self.places.insert(key, place);
        Ok(Place(place))
    }

    /// A key and its slot.
    #[inline]
    #[expect(
        clippy::expect_used,
        reason = "a place is only made for a slot that is there, and outlives no commit"
    )]
    pub(crate) fn at(&mut self, place: Place) -> (&K, &mut Slot<V>) {
        let entry =
            self.slots.get_mut(place.0).and_then(Option::as_mut).expect("a place of this commit interval");
        (&entry.0, &mut entry.1)
    }

    /// The entry of a key.
    pub(crate) fn slot(&mut self, key: &K) -> Result<&mut Slot<V>> {
        let place = self.place(key, K::clone)?;
        Ok(self.at(place).1)
    }

    /// The slot has changed: it goes to the changelog with the next commit.
    #[inline]
    pub(crate) fn touch(&mut self, place: Place) {
        let (_, slot) = self.at(place);
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(place.0);
        }
    }

    /// Sets or deletes an entry.
    pub(crate) fn put(&mut self, key: &K, value: Option<V>, timestamp: Timestamp) -> Result<()> {
        let place = self.place(key, K::clone)?;
        let slot = self.at(place).1;
        (slot.value, slot.timestamp) = (value, timestamp);
        self.touch(place);
        Ok(())
    }

    /// The bytes of a key, which order what has no other order.
    pub(crate) fn key_bytes(&self, key: &K) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.key.write(key, &mut bytes).map_err(|e| self.failed("write a key of", e))?;
        Ok(bytes)
    }
    /// The bytes of a value; `None` is null.
    pub(crate) fn value_bytes(&self, value: &V) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let some = self.value.write(value, &mut bytes).map_err(|e| self.failed("write an entry of", e))?;
        Ok(some.then_some(bytes))
    }
    pub(crate) fn value_codec(&self) -> &Arc<dyn Codec<V>> {
        &self.value
    }
    /// A value from its bytes.
    pub(crate) fn value_of(&self, bytes: &[u8]) -> Result<V> {
        self.value.read(Some(bytes)).map_err(|e| self.failed("read an entry of", e))
    }
    /// A value that is null deletes its entry.
    #[inline]
    pub(crate) fn drop_null(&mut self, place: Place) {
        let codec = &self.value;
        if let Some(Some((_, slot))) = self.slots.get_mut(place.0) {
            slot.value.take_if(|value| codec.is_null(value));
        }
    }

    /// What the backend holds, by key bytes: `(key, timestamp, raw value)`. Changes of this commit interval are not in it.
    pub(crate) fn scan(&self, each: EachTyped<'_, K>) -> Result<()> {
        self.backend.borrow().scan(self.index, &mut |key, stored| {
            let key = self.key.read(Some(key)).map_err(|e| self.failed("read a key of", e))?;
            let (timestamp, raw) = split_stored(stored)?;
            each(key, timestamp, raw)
        })
    }

    /// The value of a key now, without keeping it decoded: for passes over many keys.
    pub(crate) fn peek(&self, key: &K, bytes: &[u8]) -> Result<Option<V>>
    where
        V: Clone,
    {
        let loaded = self.places.get(key).and_then(|place| self.slots.get(*place)?.as_ref());
        if let Some((_, slot)) = loaded {
            return Ok(slot.value.clone());
        }
        let Some(stored) = self.backend.borrow().read(self.index, bytes)? else { return Ok(None) };
        let (_, raw) = split_stored(&stored)?;
        self.value_of(raw).map(Some)
    }

    /// The keys that have a value now, by their bytes.
    pub(crate) fn keys(&self) -> Result<BTreeMap<Vec<u8>, K>> {
        let mut keys = BTreeMap::new();
        self.backend.borrow().scan(self.index, &mut |bytes, _| {
            let key = self.key.read(Some(bytes)).map_err(|e| self.failed("read a key of", e))?;
            keys.insert(bytes.to_vec(), key);
            Ok(())
        })?;
        for (key, slot) in self.dirty.iter().filter_map(|place| self.slots.get(*place)?.as_ref()) {
            let bytes = self.key_bytes(key)?;
            match slot.value {
                Some(_) => drop(keys.insert(bytes, key.clone())),
                None => drop(keys.remove(&bytes)),
            }
        }
        Ok(keys)
    }

    fn change(&mut self, place: usize) -> Result<Option<StoreChange>> {
        let Some(Some((key, slot))) = self.slots.get(place) else { return Ok(None) };
        let bytes = self.key_bytes(key)?;
        let value = match &slot.value {
            Some(value) => self.value_bytes(value)?,
            None => None,
        };
        if value.is_none() && !slot.stored {
            return Ok(None);
        }
        let timestamp = slot.timestamp.max(Timestamp(0));
        let size = bytes.len() + value.as_ref().map_or(0, Vec::len);
        self.entry_bytes = (self.entry_bytes * 15 + size) / 16;
        Ok(Some(StoreChange { key: bytes.into(), value: value.map(Into::into), timestamp }))
    }

    fn failed(&self, what: &str, error: BoxError) -> Error {
        Error::new(ErrorKind::State, format!("cannot {what} store `{}`", self.name)).cause(error)
    }

    fn remove(&mut self, place: usize) {
        if let Some((key, _)) = self.slots.get_mut(place).and_then(Option::take) {
            self.places.remove(&key);
            self.free.push(place);
        }
    }

    /// Clean entries are only a cache of the backend.
    fn evict(&mut self) {
        let most = self.cache_bytes / (2 * self.entry_bytes + 96);
        if self.places.len() <= most {
            return;
        }
        for place in 0..self.slots.len() {
            let clean = |(_, slot): &(K, Slot<V>)| !slot.dirty && !slot.pending;
            if self.slots.get(place).and_then(Option::as_ref).is_some_and(clean) {
                self.remove(place);
            }
        }
    }
}

impl<K: Clone + Eq + Hash, V> TaskStore for Table<K, V> {
    fn collect(&mut self, out: &mut Vec<StoreChange>) -> Result<()> {
        out.reserve(self.dirty.len());
        for at in 0..self.dirty.len() {
            let Some(&place) = self.dirty.get(at) else { break };
            out.extend(self.change(place)?);
        }
        Ok(())
    }

    fn current(&mut self, key: &[u8]) -> Result<StoreChange> {
        let typed = self.key.read(Some(key)).map_err(|e| self.failed("read a key of", e))?;
        let place = self.place(&typed, K::clone)?;
        let tombstone = || StoreChange { key: key.into(), value: None, timestamp: Timestamp(0) };
        Ok(self.change(place.0)?.unwrap_or_else(tombstone))
    }

    fn committed(&mut self) {
        for place in std::mem::take(&mut self.dirty) {
            let Some(Some((_, slot))) = self.slots.get_mut(place) else { continue };
            slot.dirty = false;
            slot.stored = slot.value.is_some();
            if !slot.stored && !slot.pending {
                self.remove(place);
            }
        }
        self.evict();
    }

    fn rows(&self, query: &StoreQuery) -> Result<Vec<Row>> {
        Table::rows(self, query)
    }

    fn dirty_bytes(&self) -> usize {
        self.dirty.len() * (2 * self.entry_bytes + 96)
    }
}
