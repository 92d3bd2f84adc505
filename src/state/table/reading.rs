//! What a store holds now, as bytes: for readers that are not its task, and decode for themselves.

use super::{EachUntil, Table, split_stored};
use crate::error::Result;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::ops::{Bound, RangeBounds};

/// What is asked of a store.
#[derive(Clone, Debug)]
pub(crate) enum StoreQuery {
    /// One key.
    Get(Vec<u8>),
    Scan(StoreScan),
}

/// A range of keys.
#[derive(Clone, Debug)]
pub(crate) struct StoreScan {
    pub(crate) keys: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    /// Only keys of so many bytes.
    pub(crate) length: Option<usize>,
    /// At most so many entries.
    pub(crate) limit: usize,
}

/// Key and raw value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

impl StoreScan {
    fn first(&self) -> &[u8] {
        match &self.keys.0 {
            Bound::Included(key) | Bound::Excluded(key) => key,
            Bound::Unbounded => &[],
        }
    }
    fn is_past(&self, key: &[u8]) -> bool {
        match &self.keys.1 {
            Bound::Included(last) => key > last.as_slice(),
            Bound::Excluded(end) => key >= end.as_slice(),
            Bound::Unbounded => false,
        }
    }
    fn takes(&self, key: &[u8]) -> bool {
        let (from, to) = (self.keys.0.as_ref(), self.keys.1.as_ref());
        let range = (from.map(Vec::as_slice), to.map(Vec::as_slice));
        RangeBounds::<[u8]>::contains(&range, key) && self.length.is_none_or(|length| key.len() == length)
    }
}

impl<K: Clone + Eq + Hash, V> Table<K, V> {
    /// What is committed and what is not yet, by key bytes ascending. Keeps nothing decoded.
    pub(super) fn rows(&self, query: &StoreQuery) -> Result<Vec<Row>> {
        match query {
            StoreQuery::Get(key) => {
                Ok(self.raw_value(key)?.map(|value| (key.clone(), value)).into_iter().collect())
            }
            StoreQuery::Scan(scan) => self.rows_of(scan),
        }
    }

    fn raw_value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let typed = self.key.read(Some(key)).map_err(|e| self.failed("read a key of", e))?;
        let loaded = self.places.get(&typed).and_then(|place| self.slots.get(*place)?.as_ref());
        if let Some((_, slot)) = loaded {
            return slot.value.as_ref().map_or(Ok(None), |value| self.value_bytes(value));
        }
        let stored = self.backend.borrow().read(self.index, key)?;
        stored.map(|stored| split_stored(&stored).map(|(_, raw)| raw.to_vec())).transpose()
    }

    fn rows_of(&self, scan: &StoreScan) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        if scan.limit == 0 {
            return Ok(rows);
        }
        let mut changed = self.changed(scan)?.into_iter().peekable();
        let each: EachUntil<'_> = &mut |key, stored| {
            if scan.is_past(key) {
                return Ok(false);
            }
            while let Some((new, value)) = changed.next_if(|(new, _)| new.as_slice() < key) {
                rows.extend(value.map(|value| (new, value)));
            }
            match changed.next_if(|(new, _)| new == key) {
                Some((new, value)) => rows.extend(value.map(|value| (new, value))),
                None if scan.takes(key) => rows.push((key.to_vec(), split_stored(stored)?.1.to_vec())),
                None => {}
            }
            Ok(rows.len() < scan.limit)
        };
        self.backend.borrow().scan_from(self.index, scan.first(), each)?;
        rows.extend(changed.filter_map(|(key, value)| Some((key, value?))));
        rows.truncate(scan.limit);
        Ok(rows)
    }

    /// What waits for the commit; no value: deleted.
    fn changed(&self, scan: &StoreScan) -> Result<BTreeMap<Vec<u8>, Option<Vec<u8>>>> {
        let mut changed = BTreeMap::new();
        for (key, slot) in self.dirty.iter().filter_map(|place| self.slots.get(*place)?.as_ref()) {
            let bytes = self.key_bytes(key)?;
            if scan.takes(&bytes) {
                let value = slot.value.as_ref().map_or(Ok(None), |value| self.value_bytes(value))?;
                changed.insert(bytes, value);
            }
        }
        Ok(changed)
    }
}
