//! Heartbeats: as if every known key had a record in every slot.
//!
//! It sits behind a windowed aggregate and follows the watermark. Finals pass through sorted by (end, start, key); the
//! quiet slots' finals are merged into that order, each made at its close from the final of the slot before. A live
//! heartbeat shows a quiet slot before it closes.

use super::filler::{Filler, OpenSlot};
use super::stateless::failed;
use super::window_table::key_bytes;
use super::{Cx, Node, TableOutputs, TableSink};
use crate::error::Result;
use crate::serdes::{Codec, murmur2};
use crate::state::{Place, Table};
use crate::time::{NodeTime, Timestamp, Window, Windowed, Windows, millis};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How gaps are filled.
pub(crate) struct FillGapsSpec<K, A> {
    pub(crate) node: Arc<str>,
    /// The aggregate's own: same windows, same grace, same time.
    pub(crate) windows: Arc<dyn Windows<K>>,
    pub(crate) time: NodeTime,
    /// What stands in a quiet slot, from the final before it.
    pub(crate) quiet: Arc<dyn Fn(&A) -> A + Send + Sync>,
    /// A quiet slot shows its heartbeat so long after its start, plus the key's share of the jitter.
    pub(crate) every: Duration,
    pub(crate) jitter: Duration,
    /// A key is forgotten so long after its last record.
    pub(crate) forget_after: Option<Duration>,
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) value: Arc<dyn Codec<A>>,
}

/// (end or moment, start, key bytes): the order in which things are due.
type Due = (Timestamp, Timestamp, Arc<[u8]>);

/// `fill_gaps` of a windowed table.
pub(crate) struct FillGaps<K, A> {
    spec: FillGapsSpec<K, A>,
    store: Rc<RefCell<Table<K, Filler<A>>>>,
    outputs: TableOutputs<Windowed<K>, A>,
    /// The next slot of each key that closes.
    closes: BTreeMap<Due, K>,
    /// The next slot of each key that shows a heartbeat.
    beats: BTreeMap<Due, (K, Window)>,
    /// When each key is forgotten.
    forgets: BTreeMap<Due, K>,
    /// Where each key stands in the three.
    scheduled: hashbrown::HashMap<K, Scheduled>,
    stopped: bool,
}

#[derive(Default)]
struct Scheduled {
    bytes: Arc<[u8]>,
    closes: Option<Due>,
    beats: Option<Due>,
    forgets: Option<Due>,
}

impl<K: Clone + Eq + Hash + 'static, A> FillGaps<K, A> {
    pub(crate) fn new(
        spec: FillGapsSpec<K, A>,
        store: Rc<RefCell<Table<K, Filler<A>>>>,
        outputs: TableOutputs<Windowed<K>, A>,
    ) -> Self {
        let (closes, beats, forgets) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let scheduled = hashbrown::HashMap::new();
        Self { spec, store, outputs, closes, beats, forgets, scheduled, stopped: false }
    }

    fn jitter(&self, bytes: &[u8]) -> Duration {
        let most = u64::try_from(millis(self.spec.jitter)).unwrap_or(0);
        Duration::from_millis(u64::from(murmur2(bytes).cast_unsigned()) % (most + 1))
    }
    fn bound(&self, watermark: Timestamp) -> Timestamp {
        self.spec.time.at(watermark).minus(self.spec.windows.grace())
    }

    fn next(&self, cx: &Cx<'_>, key: &K, from: Timestamp) -> Result<Option<Window>> {
        self.spec.windows.next(key, from).map_err(|error| failed(cx, &self.spec.node, error))
    }

    /// Works out anew what is due next for a key.
    fn schedule(&mut self, cx: &mut Cx<'_>, key: &K) -> Result<()> {
        self.unschedule(key);
        if self.stopped {
            return Ok(());
        }
        let plan = {
            let mut store = self.store.borrow_mut();
            let Some(filler) = &store.slot(key)?.value else { return Ok(()) };
            if filler.quiet.is_none() {
                return Ok(());
            }
            Plan::of(filler)
        };
        let bytes: Arc<[u8]> = key_bytes(&*self.spec.key, key)?.into();
        let mut scheduled = Scheduled { bytes: bytes.clone(), ..Scheduled::default() };
        let closes =
            if plan.forgotten { plan.open.first().copied() } else { self.next(cx, key, plan.last_end)? };
        if let Some(window) = closes {
            let due = (window.end, window.start, bytes.clone());
            self.closes.insert(due.clone(), key.clone());
            scheduled.closes = Some(due);
            cx.wake_at(self.spec.time.first_at(window.end.plus(self.spec.windows.grace())));
        }
        if !plan.forgotten {
            self.schedule_beat(cx, key, &plan, &mut scheduled)?;
            if let Some(after) = self.spec.forget_after {
                let due = (plan.last_record.plus(after), Timestamp::MIN, bytes);
                cx.wake_at(self.spec.time.first_at(due.0));
                self.forgets.insert(due.clone(), key.clone());
                scheduled.forgets = Some(due);
            }
        }
        self.scheduled.insert(key.clone(), scheduled);
        Ok(())
    }

    /// The first slot after the last final that has neither record nor heartbeat.
    fn schedule_beat(
        &mut self,
        cx: &mut Cx<'_>,
        key: &K,
        plan: &Plan,
        scheduled: &mut Scheduled,
    ) -> Result<()> {
        let mut from = plan.last_end;
        let quiet = loop {
            match self.next(cx, key, from)? {
                Some(window) if plan.open.contains(&window) => from = window.end,
                found => break found,
            }
        };
        let Some(window) = quiet else { return Ok(()) };
        let at = window.start.plus(self.spec.every).plus(self.jitter(&scheduled.bytes));
        let due = (at, window.start, scheduled.bytes.clone());
        cx.wake_at(self.spec.time.first_at(at));
        self.beats.insert(due.clone(), (key.clone(), window));
        scheduled.beats = Some(due);
        Ok(())
    }

    fn unschedule(&mut self, key: &K) {
        let Some(scheduled) = self.scheduled.remove(key) else { return };
        scheduled.closes.map(|due| self.closes.remove(&due));
        scheduled.beats.map(|due| self.beats.remove(&due));
        scheduled.forgets.map(|due| self.forgets.remove(&due));
    }

    fn place(&self, key: &K) -> Result<Place> {
        self.store.borrow_mut().place(key, K::clone)
    }

    /// Changes a key's entry, which is made if there is none.
    fn update<T>(&self, key: &K, at: Timestamp, change: impl FnOnce(&mut Filler<A>) -> T) -> Result<T> {
        let place = self.place(key)?;
        let mut store = self.store.borrow_mut();
        let slot = store.at(place).1;
        slot.timestamp = slot.timestamp.max(at);
        let result = change(slot.value.get_or_insert_with(Filler::new));
        store.touch(place);
        Ok(result)
    }

    /// Gives the finals of quiet slots up to a place in the order; `false`: the budget did not suffice.
    fn give_until(&mut self, cx: &mut Cx<'_>, until: &Due, budget: &mut usize) -> Result<bool> {
        while let Some(first) = self.closes.first_entry().filter(|first| first.key() < until) {
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            let (end, start, _) = first.key().clone();
            let key = first.get().clone();
            self.give(cx, &Windowed::new(key, Window::new(start, end)))?;
        }
        Ok(true)
    }

    /// The final of a quiet slot, and before it its live update where none with this value was shown.
    fn give(&mut self, cx: &mut Cx<'_>, slot: &Windowed<K>) -> Result<()> {
        let place = self.place(&slot.key)?;
        let taken = {
            let mut store = self.store.borrow_mut();
            let filler = store.at(place).1.value.as_mut();
            filler.and_then(|filler| Some((filler.close(slot.window), filler.quiet.take()?)))
        };
        let Some((shown, quiet)) = taken else {
            self.unschedule(&slot.key);
            return Ok(());
        };
        let beat = shown.as_ref().and_then(|slot| slot.beat.as_deref());
        if beat != self.store_bytes(&quiet)?.as_deref() {
            if shown.is_none() {
                self.outputs.opened(&mut cx.result(slot.window.start), slot)?;
            }
            self.show(cx, slot, &quiet, beat)?;
        }
        self.outputs.close(&mut cx.result(slot.window.start), slot, &quiet)?;
        let next = (self.spec.quiet)(&quiet);
        self.passed(cx, slot, next, None)
    }

    /// A live update of a slot without records.
    fn show(&self, cx: &mut Cx<'_>, slot: &Windowed<K>, quiet: &A, beat: Option<&[u8]>) -> Result<()> {
        cx.effects.counts.heartbeats += 1;
        let old = beat.map(|bytes| self.read(bytes)).transpose()?;
        self.outputs.change(&mut cx.result(slot.window.start), slot, Some(quiet), old.as_ref())
    }

    fn store_bytes(&self, value: &A) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let some = self.spec.value.write(value, &mut bytes).map_err(|e| self.unreadable(e))?;
        Ok(some.then_some(bytes))
    }
    fn read(&self, bytes: &[u8]) -> Result<A> {
        self.spec.value.read(Some(bytes)).map_err(|e| self.unreadable(e))
    }
    fn unreadable(&self, error: crate::error::BoxError) -> crate::error::Error {
        crate::error::Error::state(format!("cannot write or read a heartbeat of `{}`", self.spec.node))
            .cause(error)
    }

    /// A final has left: the next quiet slot is made from it.
    fn passed(
        &mut self,
        cx: &mut Cx<'_>,
        slot: &Windowed<K>,
        quiet: A,
        record: Option<Timestamp>,
    ) -> Result<()> {
        let gone = self.update(&slot.key, slot.window.start, |filler| {
            filler.close(slot.window);
            filler.quiet = Some(quiet);
            filler.last_end = filler.last_end.max(slot.window.end);
            filler.last_record = filler.last_record.max(record.unwrap_or(Timestamp(0)));
            filler.forgotten &= record.is_none();
            filler.forgotten && filler.open.is_empty()
        })?;
        if gone {
            return self.drop_key(&slot.key);
        }
        self.schedule(cx, &slot.key)
    }

    fn drop_key(&mut self, key: &K) -> Result<()> {
        self.unschedule(key);
        let place = self.place(key)?;
        let mut store = self.store.borrow_mut();
        store.at(place).1.value = None;
        store.touch(place);
        Ok(())
    }

    /// Shows heartbeats that are due; `false`: the budget did not suffice.
    fn beat(&mut self, cx: &mut Cx<'_>, time: Timestamp, budget: &mut usize) -> Result<bool> {
        while let Some(first) = self.beats.first_entry().filter(|first| first.key().0 <= time) {
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            let (key, window) = first.get().clone();
            let slot = Windowed::new(key, window);
            let place = self.place(&slot.key)?;
            let quiet =
                self.store.borrow_mut().at(place).1.value.as_mut().and_then(|filler| filler.quiet.take());
            let Some(quiet) = quiet else {
                self.unschedule(&slot.key);
                continue;
            };
            let beat = self.store_bytes(&quiet)?;
            self.outputs.opened(&mut cx.result(window.start), &slot)?;
            self.show(cx, &slot, &quiet, None)?;
            self.update(&slot.key, window.start, |filler| {
                filler.quiet = Some(quiet);
                filler.insert(OpenSlot { window, real: false, beat });
            })?;
            self.schedule(cx, &slot.key)?;
        }
        Ok(true)
    }

    fn forget(&mut self, cx: &mut Cx<'_>, time: Timestamp, budget: &mut usize) -> Result<bool> {
        while let Some(first) = self.forgets.first_entry().filter(|first| first.key().0 <= time) {
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            let key = first.get().clone();
            let at = first.key().0;
            let empty = self.update(&key, at, |filler| {
                // Records that came after this moment open slots of a key that nobody knows.
                let shows = filler.open.iter().any(|slot| !slot.real);
                filler.forgotten = shows;
                filler.quiet.take_if(|_| !shows);
                filler.open.is_empty()
            })?;
            if empty { self.drop_key(&key)? } else { self.schedule(cx, &key)? }
        }
        Ok(true)
    }
}

/// What decides a key's schedule, copied so that the store is free while the windows are asked.
struct Plan {
    last_end: Timestamp,
    last_record: Timestamp,
    forgotten: bool,
    open: Vec<Window>,
}

impl Plan {
    fn of<A>(filler: &Filler<A>) -> Self {
        let open = filler.open.iter().map(|slot| slot.window).collect();
        Self { last_end: filler.last_end, last_record: filler.last_record, forgotten: filler.forgotten, open }
    }
}

impl<K: Clone + Eq + Hash + 'static, A> TableSink<Windowed<K>, A> for FillGaps<K, A> {
    fn opened(&mut self, cx: &mut Cx<'_>, slot: &Windowed<K>) -> Result<()> {
        let at = cx.timestamp;
        cx.effects.touched = true;
        let keep = self.outputs.needs_old();
        let (time, forget_after) = (self.spec.time.at(cx.judge), self.spec.forget_after);
        let shown = self.update(&slot.key, at, |filler| {
            // A record that is itself what moves the time past the key's end comes after it.
            let over =
                filler.quiet.is_some() && forget_after.is_some_and(|d| filler.last_record.plus(d) <= time);
            if !over && !filler.forgotten {
                filler.last_record = filler.last_record.max(at);
            }
            let Some(open) = filler.slot(slot.window) else {
                filler.insert(OpenSlot { window: slot.window, real: true, beat: None });
                return false;
            };
            open.real = true;
            open.beat.take_if(|_| !keep);
            true
        })?;
        self.schedule(cx, &slot.key)?;
        if shown { Ok(()) } else { self.outputs.opened(cx, slot) }
    }

    fn change(
        &mut self,
        cx: &mut Cx<'_>,
        slot: &Windowed<K>,
        new: Option<&A>,
        old: Option<&A>,
    ) -> Result<()> {
        if old.is_some() || !self.outputs.needs_old() {
            return self.outputs.change(cx, slot, new, old);
        }
        let beat = self
            .update(&slot.key, cx.timestamp, |filler| filler.slot(slot.window).and_then(|s| s.beat.take()))?;
        let shown = beat.map(|bytes| self.read(&bytes)).transpose()?;
        self.outputs.change(cx, slot, new, shown.as_ref())
    }

    fn close(&mut self, cx: &mut Cx<'_>, slot: &Windowed<K>, value: &A) -> Result<()> {
        let bytes: Arc<[u8]> = key_bytes(&*self.spec.key, &slot.key)?.into();
        let mut unbounded = usize::MAX;
        self.give_until(cx, &(slot.window.end, slot.window.start, bytes), &mut unbounded)?;
        self.outputs.close(cx, slot, value)?;
        let record = Some(cx.timestamp);
        let quiet = (self.spec.quiet)(value);
        self.passed(cx, slot, quiet, record)
    }

    fn needs_old(&self) -> bool {
        self.outputs.needs_old()
    }
}

impl<K: Clone + Eq + Hash + 'static, A> Node for FillGaps<K, A> {
    fn next_due(&self) -> Timestamp {
        let grace = self.spec.windows.grace();
        let closes = self.closes.first_key_value().map(|((end, ..), _)| end.plus(grace));
        let beats = self.beats.first_key_value().map(|((at, ..), _)| *at);
        let forgets = self.forgets.first_key_value().map(|((at, ..), _)| *at);
        let first = closes.into_iter().chain(beats).chain(forgets).min();
        first.map_or(Timestamp::MAX, |time| self.spec.time.first_at(time))
    }

    fn advance(&mut self, cx: &mut Cx<'_>, watermark: Timestamp, budget: &mut usize) -> Result<bool> {
        let (bound, time) = (self.bound(watermark), self.spec.time.at(watermark));
        let after = (bound.plus(Duration::from_millis(1)), Timestamp::MIN, Arc::from([]));
        Ok(self.give_until(cx, &after, budget)?
            && self.beat(cx, time, budget)?
            && self.forget(cx, time, budget)?)
    }

    fn stop_filling(&mut self) {
        self.stopped = true;
        self.closes.clear();
        self.beats.clear();
        self.forgets.clear();
        self.scheduled.clear();
    }

    fn restored(&mut self, cx: &mut Cx<'_>, _bound: Timestamp) -> Result<()> {
        let mut keys = Vec::new();
        self.store.borrow().scan(&mut |key, _, _| {
            keys.push(key);
            Ok(())
        })?;
        keys.iter().try_for_each(|key| self.schedule(cx, key))
    }
}
