//! Finals of child windows into the windows that contain them.
//!
//! A parent closes at the watermark like every window, or early: all expected children have come, its end has passed
//! and no earlier window of its key is open. An early close leaves a mark in place of the contents until the
//! watermark closes the window, so that a child which comes after it is late, also after a restore.

use super::live_table::LiveTable;
use super::open_windows::OpenWindows;
use super::rolled::{Children, Rolled};
use super::stateless::failed;
use super::window_table::{Closing, WindowTable, key_bytes};
use super::{Cx, LongestOpen, Node, Outputs, Sink, TableOutputs};
use crate::error::{BoxError, Result};
use crate::serdes::Codec;
use crate::state::Table;
use crate::time::{NodeTime, Timestamp, Window, Windowed, Windows};
use hashbrown::HashMap;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a parent does that the watermark closes before all its children have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Incomplete {
    /// Its final leaves, with the number of children that have come.
    #[default]
    Emit,
    /// No final leaves; it is counted, and the parent above sees it as missing.
    HoldBack,
}

/// `(child, value, aggregate, children)`.
pub(crate) type Absorb<K, C, A> =
    Arc<dyn Fn(&Windowed<K>, &C, &mut A, Children) -> Result<(), BoxError> + Send + Sync>;

/// How a roll-up works.
pub(crate) struct RollUpSpec<K, C, A> {
    pub(crate) node: Arc<str>,
    pub(crate) parents: Arc<dyn Windows<K>>,
    /// The windows whose number within a parent is expected.
    pub(crate) children: Option<Arc<dyn Windows<K>>>,
    pub(crate) incomplete: Incomplete,
    pub(crate) time: NodeTime,
    pub(crate) retention: Duration,
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) init: Arc<dyn Fn() -> A + Send + Sync>,
    pub(crate) absorb: Absorb<K, C, A>,
    pub(crate) max_pending: usize,
}

/// Where a roll-up's results and the children it leaves out go.
pub(crate) struct RollUpOutputs<K, C, A> {
    pub(crate) table: TableOutputs<Windowed<K>, A>,
    pub(crate) late: Outputs<Windowed<K>, C>,
    pub(crate) outside: Outputs<Windowed<K>, C>,
}

/// The open windows of one key, by (end, start), and whether all their children have come.
type OfKey = BTreeMap<(Timestamp, Timestamp), bool>;

/// `roll_up` of a stream of finals.
pub(crate) struct RollUp<K, C, A> {
    spec: RollUpSpec<K, C, A>,
    table: WindowTable<K, Rolled<A>, A>,
    late: Outputs<Windowed<K>, C>,
    outside: Outputs<Windowed<K>, C>,
    by_key: HashMap<K, OfKey>,
    /// Complete and the earliest of their key: they close as soon as their end has passed.
    ready: OpenWindows<K>,
    assigned: Vec<Window>,
}

impl<K: Clone + Eq + Hash + 'static, C, A> RollUp<K, C, A> {
    pub(crate) fn new(
        spec: RollUpSpec<K, C, A>,
        store: Rc<RefCell<Table<Windowed<K>, Rolled<A>>>>,
        outputs: RollUpOutputs<K, C, A>,
    ) -> Self {
        let closing =
            Closing { time: spec.time.clone(), grace: spec.parents.grace(), retention: spec.retention };
        let live = LiveTable::new(store, Rolled::shown, spec.max_pending, outputs.table);
        let table = WindowTable::new(live, closing, spec.key.clone());
        let (by_key, ready) = (HashMap::new(), OpenWindows::default());
        Self {
            spec,
            table,
            late: outputs.late,
            outside: outputs.outside,
            by_key,
            ready,
            assigned: Vec::new(),
        }
    }

    fn expected(&self, key: &K, parent: Window) -> Result<Option<u32>, BoxError> {
        self.spec.children.as_ref().map(|children| children.count_within(key, parent)).transpose()
    }

    fn late(&self, cx: &mut Cx<'_>, child: &Windowed<K>, value: &C) -> Result<()> {
        cx.effects.counts.late += 1;
        self.late.forward(cx, child, value)
    }

    fn accept(&mut self, cx: &mut Cx<'_>, child: &Windowed<K>, value: &C, parent: Window) -> Result<()> {
        let key = &child.key;
        if parent.end <= self.table.bound(cx.judge) {
            return self.late(cx, child, value);
        }
        let place = self.table.place(key, parent)?;
        let state = self
            .table
            .live
            .store()
            .borrow_mut()
            .at(place)
            .1
            .value
            .as_ref()
            .map(|r| (r.closed, r.has(child.window)));
        match state {
            Some((true, _)) => return self.late(cx, child, value),
            Some((_, true)) => {
                cx.effects.counts.duplicates += 1;
                return Ok(());
            }
            _ => {}
        }
        let expected = match state {
            None => self.expected(key, parent).map_err(|error| failed(cx, &self.spec.node, error))?,
            Some(_) => None,
        };
        let (init, absorb) = (&self.spec.init, &self.spec.absorb);
        let mut complete = false;
        let updated = self.table.live.update(cx.timestamp, place, |_, state| {
            let rolled = state.get_or_insert_with(|| Rolled::new(expected, init()));
            rolled.count(child.window);
            let children = rolled.children();
            complete = children.complete();
            rolled.value.as_mut().map_or(Ok(()), |sum| absorb(child, value, sum, children))
        })?;
        let updated = updated.map_err(|error| failed(cx, &self.spec.node, error))?;
        if updated.opened {
            self.table.opened(cx, key, parent, updated.timestamp)?;
            self.opened(key, parent);
        }
        if complete {
            self.completed(cx, key, parent);
        }
        self.table.live.changed(cx, place)
    }

    /// An earlier window than the ready one takes its turn away.
    fn opened(&mut self, key: &K, parent: Window) {
        let place = (parent.end, parent.start);
        let windows = self.by_key.entry_ref(key).or_default();
        if let Some((&(end, start), true)) = windows.first_key_value()
            && place < (end, start)
        {
            self.ready.remove(Window::new(start, end), key);
        }
        windows.insert(place, false);
    }

    fn completed(&mut self, cx: &mut Cx<'_>, key: &K, parent: Window) {
        let place = (parent.end, parent.start);
        let Some(windows) = self.by_key.get_mut(key) else { return };
        if windows.insert(place, true) == Some(true) {
            return;
        }
        if windows.first_key_value().is_some_and(|(first, _)| *first == place) {
            self.ready.insert(parent, key.clone());
            cx.wake_at(self.table.first_at(parent.end));
        }
    }

    /// A window of a key is no longer open; the next may have waited for it.
    fn forget(&mut self, key: &K, parent: Window) {
        let Some(windows) = self.by_key.get_mut(key) else { return };
        let was_first =
            windows.first_key_value().is_some_and(|(first, _)| *first == (parent.end, parent.start));
        windows.remove(&(parent.end, parent.start));
        match windows.first_key_value() {
            Some((&(end, start), true)) if was_first => {
                self.ready.insert(Window::new(start, end), key.clone());
            }
            Some(_) => {}
            None => drop(self.by_key.remove(key)),
        }
    }

    /// The watermark has closed a window: its final leaves, unless it left early or is held back.
    fn close(&mut self, cx: &mut Cx<'_>, parent: &Windowed<K>) -> Result<()> {
        let place = self.table.place(&parent.key, parent.window)?;
        let (closed, children) = {
            let mut store = self.table.live.store().borrow_mut();
            let rolled = store.at(place).1.value.as_ref();
            (rolled.is_none_or(|r| r.closed), rolled.map(Rolled::children).unwrap_or_default())
        };
        if closed {
            return self.table.expire(parent);
        }
        let incomplete = children.expected.is_some() && !children.complete();
        if incomplete && self.spec.incomplete == Incomplete::HoldBack {
            cx.effects.counts.held_back += 1;
            self.table.live.forward_pending(cx, place)?;
        } else {
            self.table.live.close(cx, place)?;
        }
        self.table.expire(parent)?;
        self.forget(&parent.key, parent.window);
        Ok(())
    }

    /// All children have come: the final leaves and a mark takes the place of the contents. One that the watermark
    /// closed meanwhile is only dropped.
    fn close_early(&mut self, cx: &mut Cx<'_>, parent: &Windowed<K>) -> Result<()> {
        let place = self.table.place(&parent.key, parent.window)?;
        if self.table.live.store().borrow_mut().at(place).1.value.as_ref().is_none_or(|r| r.closed) {
            return Ok(());
        }
        self.table.live.close(cx, place)?;
        {
            let mut store = self.table.live.store().borrow_mut();
            if let Some(rolled) = &mut store.at(place).1.value {
                rolled.closed = true;
                rolled.children = Vec::new();
                rolled.value.take_if(|_| self.spec.retention.is_zero());
            }
            store.touch(place);
        }
        self.forget(&parent.key, parent.window);
        Ok(())
    }

    /// The next to close, and whether it closes early: in the order (end, start, key) over both.
    fn pop(&mut self, bound: Timestamp, time: Timestamp) -> Result<Option<(Windowed<K>, bool)>> {
        let place = |w: Window| (w.end, w.start);
        let closed = self.table.open.first().filter(|w| w.end <= bound).map(place);
        let ready = self.ready.first().filter(|w| w.end <= time).map(place);
        match (closed, ready) {
            (Some(closed), ready) if ready.is_none_or(|ready| closed <= ready) => {
                Ok(self.table.pop_closed()?.map(|parent| (parent, false)))
            }
            (_, Some((end, _))) => {
                let key = self.spec.key.clone();
                Ok(self.ready.pop(end, |k| key_bytes(&*key, k))?.map(|parent| (parent, true)))
            }
            _ => Ok(None),
        }
    }
}

impl<K: Clone + Eq + Hash + 'static, C, A> Sink<Windowed<K>, C> for RollUp<K, C, A> {
    fn process(&mut self, cx: &mut Cx<'_>, child: &Windowed<K>, value: &C) -> Result<()> {
        let mut assigned = std::mem::take(&mut self.assigned);
        assigned.clear();
        if let Err(error) = self.spec.parents.assign(&child.key, child.window.start, &mut assigned) {
            return Err(failed(cx, &self.spec.node, error));
        }
        assigned.retain(|parent| parent.covers(child.window));
        if assigned.is_empty() {
            cx.effects.counts.outside += 1;
            self.outside.forward(cx, child, value)?;
        }
        cx.effects.touched = true;
        for parent in &assigned {
            self.accept(cx, child, value, *parent)?;
        }
        self.assigned = assigned;
        Ok(())
    }
}

impl<K: Clone + Eq + Hash + 'static, C, A> Node for RollUp<K, C, A> {
    fn next_due(&self) -> Timestamp {
        let ready = self.ready.first_end().map_or(Timestamp::MAX, |end| self.table.first_at(end));
        ready.min(self.table.next_due())
    }

    fn advance(&mut self, cx: &mut Cx<'_>, watermark: Timestamp, budget: &mut usize) -> Result<bool> {
        let (bound, time) = (self.table.handed(watermark), self.table.time(watermark));
        while !self.table.can_stop(*budget) {
            match self.pop(bound, time)? {
                None => return self.table.delete_expired(budget),
                Some((parent, true)) => self.close_early(cx, &parent)?,
                Some((parent, false)) => self.close(cx, &parent)?,
            }
            *budget = budget.saturating_sub(1);
        }
        Ok(self.next_due() > watermark)
    }

    fn flush(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        self.table.live.flush(cx)
    }
    fn closes(&self) -> Option<&Arc<str>> {
        Some(self.table.store())
    }
    fn closed_bound(&self, handed: Timestamp) -> Timestamp {
        self.table.closed_by(handed)
    }

    fn restored(&mut self, cx: &mut Cx<'_>, bound: Timestamp) -> Result<()> {
        let codec = self.table.live.store().borrow().value_codec().clone();
        let mut open = Vec::new();
        self.table.restored(cx, bound, &mut |parent, raw| {
            let rolled = codec
                .read(Some(raw))
                .map_err(|e| crate::error::Error::state("cannot read a roll-up's entry").cause(e))?;
            if !rolled.closed {
                open.push((parent.clone(), rolled.children().complete()));
            }
            Ok(())
        })?;
        for (Windowed { key, window }, _) in &open {
            self.by_key.entry_ref(key).or_default().insert((window.end, window.start), false);
        }
        for (Windowed { key, window }, complete) in open {
            if complete {
                self.completed(cx, &key, window);
            }
        }
        Ok(())
    }

    fn open_windows(&self) -> Option<LongestOpen> {
        self.table.longest_open()
    }
}
