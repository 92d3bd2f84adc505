//! What is kept with a committed offset, in Kafka Streams' encoding: base64 of a version, the partition time and, if
//! there are any, entries of a name and 8 bytes. After them a block of ours, which Kafka Streams does not look at: a
//! byte, and what a repartition partition heard from its writers.
//!
//! Kafka Streams keeps entries that it does not know: it commits them again and again, for all inputs of a task the
//! largest of each, while offsets and changelogs move on. The block it does not keep. So without the block entries of
//! ours are old: only closed bounds, which stay true, are taken from them.
//!
//! What was heard: hash of the writers (4 bytes), dropped low bits `k` (1), base (8), and per writer a varint, 0 for
//! not heard, else `1 + (value >> k) - base`. Values are cut at absolute multiples of `2^k`, so cutting them again
//! after a restart takes nothing more.

use crate::runtime::writers::Heard;
use crate::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const VERSION: u8 = 2;
/// Every entry of ours.
const OURS: &str = "highwater.";
const WATERMARK: &str = "highwater.watermark";
const COMMIT: &str = "highwater.commit";
const ADVANCE: &str = "highwater.advance";
const CLOSED: &str = "highwater.closed.";
const CHANGELOG: &str = "highwater.changelog.";
/// Version and partition time.
const HEAD: usize = 1 + 8;
/// The first byte of the block.
const BLOCK: u8 = 1;
/// Of what was heard, without its varints.
const HEARD_HEAD: usize = 4 + 1 + 8;
/// The most low bits that a start counts on dropping: 16 seconds, until the next marker of each writer.
const MOST_DROPPED: u32 = 14;
/// No timestamp before the year 2109 needs more bits.
const TIMESTAMP_BITS: u32 = 42;

/// What is kept with a committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffsetMetadata {
    /// The largest timestamp seen; `MIN`: none.
    pub(crate) partition_time: Timestamp,
    /// In the order in which they are written.
    entries: Vec<(String, i64)>,
    /// Of a repartition topic: what was heard from its writers.
    pub(crate) heard: Option<Heard>,
}

impl OffsetMetadata {
    pub(crate) fn new(partition_time: Timestamp) -> Self {
        Self { partition_time, entries: Vec::new(), heard: None }
    }
    pub(crate) fn with_watermark(self, watermark: Timestamp) -> Self {
        if watermark == Timestamp::MIN { self } else { self.with(WATERMARK.to_owned(), watermark.0) }
    }
    pub(crate) fn with_commit_id(self, id: u64) -> Self {
        self.with(COMMIT.to_owned(), id.cast_signed())
    }
    /// The moment that is being worked off, in the middle of an advance.
    pub(crate) fn with_advance(self, moment: Option<Timestamp>) -> Self {
        moment.into_iter().fold(self, |metadata, moment| metadata.with(ADVANCE.to_owned(), moment.0))
    }
    pub(crate) fn with_closed(self, store: &str, bound: Timestamp) -> Self {
        self.with(format!("{CLOSED}{store}"), bound.0)
    }
    pub(crate) fn with_changelog(self, store: &str, offset: i64) -> Self {
        self.with(format!("{CHANGELOG}{store}"), offset)
    }
    fn with(mut self, name: String, value: i64) -> Self {
        self.entries.push((name, value));
        self
    }

    pub(crate) fn watermark(&self) -> Timestamp {
        self.entry(WATERMARK).map_or(Timestamp::MIN, Timestamp)
    }
    pub(crate) fn commit_id(&self) -> Option<u64> {
        self.entry(COMMIT).map(i64::cast_unsigned)
    }
    pub(crate) fn advance(&self) -> Option<Timestamp> {
        self.entry(ADVANCE).map(Timestamp)
    }
    /// The closed bounds, by store.
    pub(crate) fn closed(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.entries.iter().filter_map(|(name, bound)| Some((name.strip_prefix(CLOSED)?, Timestamp(*bound))))
    }
    /// The offset after the last record of a store's changelog.
    pub(crate) fn changelog(&self, store: &str) -> Option<i64> {
        let named = |name: &str| name.strip_prefix(CHANGELOG) == Some(store);
        self.entries.iter().find(|(name, _)| named(name)).map(|(_, offset)| *offset)
    }
    fn entry(&self, name: &str) -> Option<i64> {
        self.entries.iter().find(|(n, _)| n == name).map(|(_, value)| *value)
    }

    /// As text of at most `max_bytes`, as long as a start with that limit was not refused.
    pub(crate) fn encode(&self, max_bytes: usize) -> String {
        let mut out = vec![VERSION];
        // Kafka Streams writes -1 for unknown.
        out.extend_from_slice(&self.partition_time.0.max(-1).to_be_bytes());
        let heard = self.heard.as_ref().filter(|heard| heard.values.iter().any(|v| *v > Timestamp::MIN));
        if !self.entries.is_empty() || heard.is_some() {
            out.extend_from_slice(&(self.entries.len() as u32).to_be_bytes());
        }
        for (name, value) in &self.entries {
            out.extend_from_slice(&(name.len() as u32).to_be_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&value.to_be_bytes());
        }
        if heard.is_some() || self.entries.iter().any(|(name, _)| name.starts_with(OURS)) {
            out.push(BLOCK);
        }
        if let Some(heard) = heard {
            let room = (max_bytes / 4 * 3).saturating_sub(out.len());
            pack(heard, room, &mut out);
        }
        STANDARD.encode(out)
    }

    /// Also what Kafka Streams wrote, of any application; `None`: in no encoding that is known.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let (&version, rest) = bytes.split_first()?;
        let (time, mut rest) = rest.split_first_chunk::<8>()?;
        let time = i64::from_be_bytes(*time);
        let mut metadata = Self::new(if time < 0 { Timestamp::MIN } else { Timestamp(time) });
        match version {
            1 => return Some(metadata),
            VERSION => {}
            _ => return None,
        }
        if rest.is_empty() {
            return Some(metadata);
        }
        for _ in 0..take_u32(&mut rest)? {
            let length = take_u32(&mut rest)? as usize;
            let (name, after) = rest.split_at_checked(length)?;
            let (value, after) = after.split_first_chunk::<8>()?;
            metadata.entries.push((String::from_utf8_lossy(name).into_owned(), i64::from_be_bytes(*value)));
            rest = after;
        }
        match rest.split_first() {
            Some((&BLOCK, heard)) => metadata.heard = unpack(heard),
            _ => metadata.entries.retain(|(name, _)| !name.starts_with(OURS) || name.starts_with(CLOSED)),
        }
        Some(metadata)
    }

    /// The most bytes that this metadata can have as text: of a task's first input, with an entry for each closing
    /// store and each changelog offset, and a number of writers.
    pub(crate) fn worst_case_bytes(closed: &[&str], changelogs: &[&str], writers: usize) -> usize {
        let entry = |name: usize| 4 + name + 8;
        let stores: usize = closed.iter().map(|name| entry(CLOSED.len() + name.len())).sum::<usize>()
            + changelogs.iter().map(|name| entry(CHANGELOG.len() + name.len())).sum::<usize>();
        let varint = (TIMESTAMP_BITS - MOST_DROPPED).div_ceil(7) as usize;
        let block = if writers == 0 { 0 } else { HEARD_HEAD + writers * varint };
        let task = entry(WATERMARK.len()) + entry(COMMIT.len()) + entry(ADVANCE.len());
        (HEAD + 4 + task + stores + 1 + block).div_ceil(3) * 4
    }
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (value, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*value))
}

/// Drops as few low bits as fit into `room`; writes nothing if nothing fits.
fn pack(heard: &Heard, room: usize, out: &mut Vec<u8>) {
    let known = || heard.values.iter().filter(|value| **value > Timestamp::MIN).map(|value| value.0);
    let (Some(least), Some(room)) = (known().min(), room.checked_sub(HEARD_HEAD)) else { return };
    let number = |value: Timestamp, dropped: u32| match value {
        Timestamp::MIN => 0,
        Timestamp(ms) => 1 + (ms >> dropped).abs_diff(least >> dropped),
    };
    let size =
        |dropped: u32| -> usize { heard.values.iter().map(|v| varint_bytes(number(*v, dropped))).sum() };
    let Some(dropped) = (0..i64::BITS).find(|dropped| size(*dropped) <= room) else { return };
    out.extend_from_slice(&heard.hash.to_be_bytes());
    out.push(dropped as u8);
    out.extend_from_slice(&(least >> dropped).to_be_bytes());
    for value in &heard.values {
        put_varint(number(*value, dropped), out);
    }
}

fn unpack(block: &[u8]) -> Option<Heard> {
    let (hash, rest) = block.split_first_chunk::<4>()?;
    let (&dropped, rest) = rest.split_first()?;
    let (base, mut rest) = rest.split_first_chunk::<8>()?;
    let base = i64::from_be_bytes(*base);
    let mut values = Vec::new();
    while !rest.is_empty() {
        values.push(match take_varint(&mut rest)? {
            0 => Timestamp::MIN,
            number => {
                let cut = base.checked_add_unsigned(number - 1)?;
                Timestamp(cut.checked_mul(1_i64.checked_shl(u32::from(dropped)).filter(|unit| *unit > 0)?)?)
            }
        });
    }
    Some(Heard { hash: u32::from_be_bytes(*hash), values })
}

fn varint_bytes(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()).div_ceil(7).max(1) as usize
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
#[path = "offset_metadata_tests.rs"]
mod tests;
