//! The orders in which Java's collections give their elements, which the description text shows.

use std::cmp::Ordering;

/// A `HashMap` by string: buckets ascending, within a bucket as inserted.
pub(super) struct HashOrder;

impl HashOrder {
    pub(super) fn of<'a, T>(entries: impl Iterator<Item = (&'a str, T)>) -> impl Iterator<Item = T> {
        let mut entries: Vec<(&str, T)> = entries.collect();
        let mut buckets: u32 = 16;
        while entries.len() as u64 > u64::from(buckets) / 4 * 3 {
            buckets *= 2;
        }
        let bucket = |name: &str| {
            let hash = hash(name);
            (hash ^ (hash >> 16)) & (buckets - 1)
        };
        entries.sort_by_key(|(name, _)| bucket(name));
        entries.into_iter().map(|(_, entry)| entry)
    }
}

/// `String.hashCode`.
fn hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// A `TreeSet` of node names by size, larger first, then by name. The sizes are those of the moment of insertion.
#[derive(Default)]
pub(super) struct TreeOrder<'a>(Vec<&'a str>);

impl<'a> TreeOrder<'a> {
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().copied()
    }
    pub(super) fn insert(&mut self, name: &'a str, size: impl Fn(&str) -> u64) {
        let order = |other: &&str| size(other).cmp(&size(name)).then_with(|| name.cmp(other));
        let before = self.0.iter().position(|other| order(other) == Ordering::Less);
        self.0.insert(before.unwrap_or(self.0.len()), name);
    }
}
