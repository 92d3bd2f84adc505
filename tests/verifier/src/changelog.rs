//! A compacted topic folded to what a store restored from it has: the last value of each key.

use crate::Result;
use crate::kafka::{Cluster, Reader};
use std::collections::BTreeMap;

/// The contents of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Contents {
    pub fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => _ = self.entries.insert(key.to_vec(), value.to_vec()),
            None => _ = self.entries.remove(key),
        }
    }

    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// FNV-1a (64 bits) over all entries in order of their keys: length (4 bytes, big endian) and bytes of the key, then
    /// of the value.
    pub fn hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for (key, value) in &self.entries {
            for bytes in [key, value] {
                add(&(bytes.len() as u32).to_be_bytes());
                add(bytes);
            }
        }
        hash
    }
}

/// Per partition of a changelog, by committed records.
pub fn fold(cluster: &Cluster, topic: &str) -> Result<BTreeMap<i32, Contents>> {
    let reader = Reader::of(cluster)?;
    let partitions = reader.partitions(topic)?;
    let mut all: BTreeMap<i32, Contents> = partitions.into_iter().map(|p| (p, Contents::default())).collect();
    reader.read(topic, |record| {
        all.entry(record.partition).or_default().put(record.key, record.value);
        Ok(())
    })?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_counts_and_tombstones_delete() {
        let mut contents = Contents::default();
        assert_eq!((contents.entries(), contents.hash()), (0, 0xcbf2_9ce4_8422_2325));
        for (key, value) in
            [("b", Some("1")), ("a", Some("1")), ("b", Some("2")), ("c", Some("3")), ("c", None)]
        {
            contents.put(key.as_bytes(), value.map(str::as_bytes));
        }
        let mut other = Contents::default();
        other.put(b"a", Some(b"1"));
        assert_ne!(other.hash(), contents.hash());
        other.put(b"b", Some(b"2"));
        assert_eq!((other.entries(), other.hash()), (2, contents.hash()));
    }
}
