//! An aggregate per key and window of records.

use super::aggregate::Apply;
use super::live_table::{LiveTable, View};
use super::stateless::failed;
use super::window_table::{Closing, WindowTable, late};
use super::{Cx, LongestOpen, Node, Outputs, Sink, TableOutputs};
use crate::error::Result;
use crate::serdes::Codec;
use crate::state::Table;
use crate::time::{NodeTime, Timestamp, Window, Windowed, Windows};
use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How a windowed aggregate works.
pub(crate) struct WindowAggregateSpec<K, V, S, A> {
    pub(crate) node: Arc<str>,
    pub(crate) windows: Arc<dyn Windows<K>>,
    pub(crate) time: NodeTime,
    /// How long an entry can still be read after its window closed.
    pub(crate) retention: Duration,
    /// Orders the keys of one window.
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) apply: Apply<K, V, S>,
    pub(crate) view: View<S, A>,
    /// Most changed keys that may wait to be forwarded; 0 turns conflation off.
    pub(crate) max_pending: usize,
}

/// Where an aggregate's results and the records it leaves out go.
pub(crate) struct WindowOutputs<K, V, A> {
    pub(crate) table: TableOutputs<Windowed<K>, A>,
    /// With the window that was missed.
    pub(crate) late: Outputs<Windowed<K>, V>,
    pub(crate) outside: Outputs<K, V>,
}

/// `count`, `reduce`, `aggregate` and their kin of a windowed stream.
pub(crate) struct WindowAggregate<K, V, S, A> {
    node: Arc<str>,
    windows: Arc<dyn Windows<K>>,
    apply: Apply<K, V, S>,
    table: WindowTable<K, S, A>,
    late: Outputs<Windowed<K>, V>,
    outside: Outputs<K, V>,
    assigned: Vec<Window>,
}

impl<K: Clone + Eq + Hash + 'static, V, S, A> WindowAggregate<K, V, S, A> {
    pub(crate) fn new(
        spec: WindowAggregateSpec<K, V, S, A>,
        store: Rc<RefCell<Table<Windowed<K>, S>>>,
        outputs: WindowOutputs<K, V, A>,
    ) -> Self {
        let closing = Closing { time: spec.time, grace: spec.windows.grace(), retention: spec.retention };
        let live = LiveTable::new(store, spec.view, spec.max_pending, outputs.table);
        Self {
            node: spec.node,
            windows: spec.windows,
            apply: spec.apply,
            table: WindowTable::new(live, closing, spec.key),
            late: outputs.late,
            outside: outputs.outside,
            assigned: Vec::new(),
        }
    }

    fn accept(&mut self, cx: &mut Cx<'_>, key: &K, value: &V, window: Window) -> Result<()> {
        let at = cx.timestamp;
        cx.effects.touched = true;
        let place = self.table.place(key, window)?;
        let apply = &self.apply;
        match self.table.live.update(at, place, |_, state| apply(key, value, at, state))? {
            Err(error) => return Err(failed(cx, &self.node, error)),
            Ok(updated) if updated.opened => self.table.opened(cx, key, window, updated.timestamp)?,
            Ok(_) => {}
        }
        self.table.live.changed(cx, place)
    }
}

impl<K: Clone + Eq + Hash + 'static, V, S, A> Sink<K, V> for WindowAggregate<K, V, S, A> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        let mut assigned = std::mem::take(&mut self.assigned);
        assigned.clear();
        if let Err(error) = self.windows.assign(key, cx.timestamp, &mut assigned) {
            return Err(failed(cx, &self.node, error));
        }
        if assigned.is_empty() {
            cx.effects.counts.outside += 1;
            self.outside.forward(cx, key, value)?;
        }
        let bound = self.table.bound(cx.judge);
        for window in &assigned {
            if window.end <= bound {
                late(cx, &self.late, key, *window, value)?;
            } else {
                self.accept(cx, key, value, *window)?;
            }
        }
        self.assigned = assigned;
        Ok(())
    }
}

impl<K: Clone + Eq + Hash + 'static, V, S, A> Node for WindowAggregate<K, V, S, A> {
    fn next_due(&self) -> Timestamp {
        self.table.next_due()
    }

    fn advance(&mut self, cx: &mut Cx<'_>, watermark: Timestamp, budget: &mut usize) -> Result<bool> {
        self.table.handed(watermark);
        while !self.table.can_stop(*budget) {
            let Some(closed) = self.table.pop_closed()? else { return self.table.delete_expired(budget) };
            let place = self.table.place(&closed.key, closed.window)?;
            self.table.live.close(cx, place)?;
            self.table.expire(&closed)?;
            *budget = budget.saturating_sub(1);
        }
        Ok(self.table.next_due() > watermark)
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
        self.table.restored(cx, bound, &mut |_, _| Ok(()))
    }
    fn open_windows(&self) -> Option<LongestOpen> {
        self.table.longest_open()
    }
}
