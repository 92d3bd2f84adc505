//! `suppress`: until a window closes, which needs no buffer, and until a time limit, which has one.

use super::window_table::key_bytes;
use super::{Cx, Node, TableOutputs, TableSink};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::serdes::Codec;
use crate::state::Table;
use crate::time::{NodeTime, Timestamp};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Passes on the one final of each window, as a change of the table that it makes. The aggregate's own store holds
/// what is open.
pub(crate) struct SuppressFinal<K, A>(pub(crate) TableOutputs<K, A>);

impl<K, A> TableSink<K, A> for SuppressFinal<K, A> {
    fn change(&mut self, _: &mut Cx<'_>, _: &K, _: Option<&A>, _: Option<&A>) -> Result<()> {
        Ok(())
    }
    fn close(&mut self, cx: &mut Cx<'_>, key: &K, value: &A) -> Result<()> {
        cx.effects.counts.finals += 1;
        self.0.change(cx, key, Some(value), None)?;
        self.0.close(cx, key, value)
    }
}

/// How much a buffer may hold, and what happens beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BufferBound {
    pub(crate) max_records: Option<usize>,
    pub(crate) max_bytes: Option<usize>,
    /// An error instead of letting the oldest leave early.
    pub(crate) or_fail: bool,
}

/// What waits for one key: bytes, because an edge only lends its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buffered {
    /// When it came: its place, which a later update does not change.
    pub(crate) since: Timestamp,
    pub(crate) new: Option<Vec<u8>>,
    pub(crate) old: Option<Vec<u8>>,
}

/// `since (8), flags, length of new (4), new, old`.
pub(crate) struct BufferedCodec;

impl Codec<Buffered> for BufferedCodec {
    fn write(&self, buffered: &Buffered, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        out.extend_from_slice(&buffered.since.0.to_be_bytes());
        out.push(u8::from(buffered.new.is_some()) | u8::from(buffered.old.is_some()) << 1);
        let new = buffered.new.as_deref().unwrap_or_default();
        out.extend_from_slice(&u32::try_from(new.len())?.to_be_bytes());
        out.extend_from_slice(new);
        out.extend_from_slice(buffered.old.as_deref().unwrap_or_default());
        Ok(true)
    }

    fn read(&self, bytes: Option<&[u8]>) -> Result<Buffered, BoxError> {
        let short = "a suppressed entry is cut off";
        let (since, rest) = bytes.and_then(<[u8]>::split_first_chunk::<8>).ok_or(short)?;
        let (flags, rest) = rest.split_first().ok_or(short)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        let (new, old) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(short)?;
        let part = |bit: u8, bytes: &[u8]| (flags & bit != 0).then(|| bytes.to_vec());
        Ok(Buffered { since: Timestamp(i64::from_be_bytes(*since)), new: part(1, new), old: part(2, old) })
    }
}

/// How a time limit works.
pub(crate) struct SuppressTimeSpec<K, V> {
    pub(crate) node: Arc<str>,
    pub(crate) limit: Duration,
    pub(crate) bound: BufferBound,
    pub(crate) time: NodeTime,
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) value: Arc<dyn Codec<V>>,
}

/// Holds a key's updates back for a while and gives the latest.
pub(crate) struct SuppressTime<K, V> {
    spec: SuppressTimeSpec<K, V>,
    store: Rc<RefCell<Table<K, Buffered>>>,
    outputs: TableOutputs<K, V>,
    /// (since, key bytes): the order in which entries leave.
    order: BTreeMap<(Timestamp, Vec<u8>), K>,
    bytes: usize,
}

impl<K: Clone + Eq + Hash + 'static, V> SuppressTime<K, V> {
    pub(crate) fn new(
        spec: SuppressTimeSpec<K, V>,
        store: Rc<RefCell<Table<K, Buffered>>>,
        outputs: TableOutputs<K, V>,
    ) -> Self {
        Self { spec, store, outputs, order: BTreeMap::new(), bytes: 0 }
    }

    fn due_at(&self, since: Timestamp) -> Timestamp {
        self.spec.time.first_at(since.plus(self.spec.limit))
    }

    fn encode(&self, value: Option<&V>) -> Result<Option<Vec<u8>>> {
        let Some(value) = value else { return Ok(None) };
        let mut bytes = Vec::new();
        let some = self.spec.value.write(value, &mut bytes).map_err(|e| self.failed(e))?;
        Ok(some.then_some(bytes))
    }
    fn decode(&self, bytes: Option<&[u8]>) -> Result<Option<V>> {
        bytes.map(|bytes| self.spec.value.read(Some(bytes))).transpose().map_err(|e| self.failed(e))
    }
    fn failed(&self, error: BoxError) -> Error {
        Error::state(format!("cannot write or read what `{}` holds back", self.spec.node)).cause(error)
    }

    /// Key, new and previous value and 8 bytes.
    fn size(key: &[u8], buffered: &Buffered) -> usize {
        let part = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        key.len() + part(&buffered.new) + part(&buffered.old) + 8
    }

    fn hold(&mut self, cx: &mut Cx<'_>, key: &K, new: Option<Vec<u8>>, old: Option<Vec<u8>>) -> Result<()> {
        let bytes = key_bytes(&*self.spec.key, key)?;
        let mut store = self.store.borrow_mut();
        let place = store.place(key, K::clone)?;
        let slot = store.at(place).1;
        let before = slot.value.take();
        let buffered = match &before {
            Some(first) => Buffered { since: first.since, new, old: first.old.clone() },
            None => Buffered { since: cx.timestamp, new, old },
        };
        self.bytes += Self::size(&bytes, &buffered);
        self.bytes -= before.as_ref().map_or(0, |before| Self::size(&bytes, before));
        let since = buffered.since;
        slot.timestamp = slot.timestamp.max(cx.timestamp);
        slot.value = Some(buffered);
        store.touch(place);
        drop(store);
        if before.is_none() {
            self.order.insert((since, bytes), key.clone());
            cx.wake_at(self.due_at(since));
        }
        Ok(())
    }

    fn emit(&mut self, cx: &mut Cx<'_>, key: &K) -> Result<()> {
        let bytes = key_bytes(&*self.spec.key, key)?;
        let (buffered, timestamp) = {
            let mut store = self.store.borrow_mut();
            let place = store.place(key, K::clone)?;
            let slot = store.at(place).1;
            let taken = (slot.value.take(), std::mem::replace(&mut slot.timestamp, Timestamp::MIN));
            store.touch(place);
            taken
        };
        let Some(buffered) = buffered else { return Ok(()) };
        self.bytes = self.bytes.saturating_sub(Self::size(&bytes, &buffered));
        self.order.remove(&(buffered.since, bytes));
        let (new, old) = (self.decode(buffered.new.as_deref())?, self.decode(buffered.old.as_deref())?);
        self.outputs.change(&mut cx.result(timestamp), key, new.as_ref(), old.as_ref())
    }

    fn over(&self) -> bool {
        let BufferBound { max_records, max_bytes, .. } = self.spec.bound;
        max_records.is_some_and(|most| self.order.len() > most)
            || max_bytes.is_some_and(|most| self.bytes > most)
    }

    fn make_room(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        while self.over() {
            if self.spec.bound.or_fail {
                return Err(self.full());
            }
            let Some((_, key)) = self.order.first_key_value() else { return Ok(()) };
            let key = key.clone();
            self.emit(cx, &key)?;
        }
        Ok(())
    }

    fn full(&self) -> Error {
        let BufferBound { max_records, max_bytes, .. } = self.spec.bound;
        let most = |most: Option<usize>| most.map_or_else(|| "no limit".to_owned(), |most| most.to_string());
        Error::new(ErrorKind::Processing, format!("the buffer of `{}` is full", self.spec.node))
            .with("records", format!("{} of {}", self.order.len(), most(max_records)))
            .with("bytes", format!("{} of {}", self.bytes, most(max_bytes)))
            .help("raise the limit, or leave `.or_fail()` out to let the oldest leave early")
    }
}

impl<K: Clone + Eq + Hash + 'static, V> TableSink<K, V> for SuppressTime<K, V> {
    fn change(&mut self, cx: &mut Cx<'_>, key: &K, new: Option<&V>, old: Option<&V>) -> Result<()> {
        let (new, old) = (self.encode(new)?, self.encode(old)?);
        cx.effects.touched = true;
        self.hold(cx, key, new, old)?;
        let waits = self.store.borrow_mut().slot(key)?.value.as_ref().map(|buffered| buffered.since);
        if waits.is_some_and(|since| self.due_at(since) <= cx.judge) {
            return self.emit(cx, key);
        }
        self.make_room(cx)
    }

    /// What waits leaves before the final.
    fn close(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        self.emit(cx, key)?;
        self.outputs.close(cx, key, value)
    }

    fn needs_old(&self) -> bool {
        self.outputs.needs_old()
    }
}

impl<K: Clone + Eq + Hash + 'static, V> Node for SuppressTime<K, V> {
    fn next_due(&self) -> Timestamp {
        self.order.first_key_value().map_or(Timestamp::MAX, |((since, _), _)| self.due_at(*since))
    }

    fn advance(&mut self, cx: &mut Cx<'_>, watermark: Timestamp, budget: &mut usize) -> Result<bool> {
        while let Some(((since, _), key)) = self.order.first_key_value() {
            if self.due_at(*since) > watermark {
                return Ok(true);
            }
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            let key = key.clone();
            self.emit(cx, &key)?;
        }
        Ok(true)
    }

    fn restored(&mut self, cx: &mut Cx<'_>, _bound: Timestamp) -> Result<()> {
        let (codec, mut found) = (BufferedCodec, Vec::new());
        self.store.borrow().scan(&mut |key, _, raw| {
            let buffered = codec.read(Some(raw)).map_err(|e| self.failed(e))?;
            found.push((key, buffered));
            Ok(())
        })?;
        for (key, buffered) in found {
            let bytes = key_bytes(&*self.spec.key, &key)?;
            self.bytes += Self::size(&bytes, &buffered);
            self.order.insert((buffered.since, bytes), key);
        }
        cx.wake_at(self.next_due());
        Ok(())
    }
}
