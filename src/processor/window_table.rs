//! The windows of an aggregation: which are open, when they close, and how long their entries stay.
//!
//! One predicate decides acceptance and emission: a window is closed when `end <= time - grace`, where `time` is the
//! node's function of the watermark. It never opens again, whatever the next version of the program says.

use super::live_table::LiveTable;
use super::open_windows::OpenWindows;
use super::{Cx, LongestOpen, Outputs};
use crate::error::Result;
use crate::serdes::Codec;
use crate::state::Place;
use crate::time::{NodeTime, Timestamp, Window, Windowed};
use hashbrown::Equivalent;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// A windowed key by reference, for look-ups that copy nothing.
#[derive(Hash)]
pub(crate) struct WindowedRef<'a, K> {
    pub(crate) key: &'a K,
    pub(crate) window: Window,
}

impl<K: Eq> Equivalent<Windowed<K>> for WindowedRef<'_, K> {
    fn equivalent(&self, other: &Windowed<K>) -> bool {
        self.window == other.window && *self.key == other.key
    }
}

/// Told of an open window of a restored store, with its raw entry.
type EachOpen<'a, K> = &'a mut dyn FnMut(&Windowed<K>, &[u8]) -> Result<()>;

/// When windows close and how long their entries stay after that.
#[derive(Clone, Debug)]
pub(crate) struct Closing {
    pub(crate) time: NodeTime,
    pub(crate) grace: Duration,
    /// How long an entry can still be read after its window closed.
    pub(crate) retention: Duration,
}

/// An aggregation's table by window.
pub(crate) struct WindowTable<K, S, A> {
    pub(crate) live: LiveTable<Windowed<K>, S, A>,
    closing: Closing,
    /// Orders the keys of one window.
    key: Arc<dyn Codec<K>>,
    store: Arc<str>,
    /// Those that the watermark has not closed, in no order within one end.
    pub(crate) open: OpenWindows<K>,
    /// Closed ones that can still be read; ordered by when they go.
    retained: OpenWindows<K>,
    /// What was closed by the watermark that this node was handed, and by its saved state.
    bound: Timestamp,
}

impl<K: Clone + Eq + Hash + 'static, S, A> WindowTable<K, S, A> {
    pub(crate) fn new(live: LiveTable<Windowed<K>, S, A>, closing: Closing, key: Arc<dyn Codec<K>>) -> Self {
        let store = live.store().borrow().name().clone();
        let (open, retained) = (OpenWindows::default(), OpenWindows::default());
        Self { live, closing, key, store, open, retained, bound: Timestamp::MIN }
    }

    pub(crate) fn store(&self) -> &Arc<str> {
        &self.store
    }

    /// A window is closed if it ends here or before.
    #[inline]
    pub(crate) fn bound(&self, judge: Timestamp) -> Timestamp {
        self.bound.max(self.time(judge).minus(self.closing.grace))
    }
    /// What this watermark closes, once it is worked off. In the middle of an advance `bound` is ahead of it; saved,
    /// it would call windows closed whose finals have not left. (The task never saves less than it began with.)
    pub(crate) fn closed_by(&self, handed: Timestamp) -> Timestamp {
        self.time(handed).minus(self.closing.grace)
    }
    /// Whether an advance may stop between two windows of one moment: not where closed entries stay, for a restore
    /// could not tell them from open ones.
    pub(crate) fn can_stop(&self, budget: usize) -> bool {
        budget == 0 && self.closing.retention.is_zero()
    }
    /// The node's own time at this watermark.
    #[inline]
    pub(crate) fn time(&self, watermark: Timestamp) -> Timestamp {
        self.closing.time.at(watermark)
    }
    /// The first watermark that brings the node's own time to `time`.
    pub(crate) fn first_at(&self, time: Timestamp) -> Timestamp {
        self.closing.time.first_at(time)
    }
    fn closes_at(&self, end: Timestamp) -> Timestamp {
        self.first_at(end.plus(self.closing.grace))
    }

    pub(crate) fn longest_open(&self) -> Option<LongestOpen> {
        let longest = |end| LongestOpen { end, closes_at: self.closes_at(end), windows: self.open.len() };
        self.open.first_end().map(longest)
    }

    /// The entry of a window of a key.
    #[inline]
    pub(crate) fn place(&self, key: &K, window: Window) -> Result<Place> {
        let own = |w: &WindowedRef<'_, K>| Windowed::new(w.key.clone(), w.window);
        self.live.store().borrow_mut().place(&WindowedRef { key, window }, own)
    }

    /// A window has its first record: it will close, and who listens hears of it.
    pub(crate) fn opened(&mut self, cx: &mut Cx<'_>, key: &K, window: Window, at: Timestamp) -> Result<()> {
        self.open.insert(window, key.clone());
        cx.wake_at(self.closes_at(window.end));
        if self.live.outputs().is_empty() {
            return Ok(());
        }
        self.live.outputs().opened(&mut cx.result(at), &Windowed::new(key.clone(), window))
    }

    pub(crate) fn next_due(&self) -> Timestamp {
        let open = self.open.first_end().map(|end| self.closes_at(end));
        let retained = self.retained.first_end().map(|end| self.closes_at(end));
        open.into_iter().chain(retained).min().unwrap_or(Timestamp::MAX)
    }

    /// The watermark was handed to this node; returns the new bound.
    pub(crate) fn handed(&mut self, watermark: Timestamp) -> Timestamp {
        self.bound = self.bound(watermark);
        self.bound
    }

    /// The next window that the watermark has closed, in order.
    pub(crate) fn pop_closed(&mut self) -> Result<Option<Windowed<K>>> {
        let key = &self.key;
        self.open.pop(self.bound, |k| key_bytes(&**key, k))
    }

    /// A window has closed and its final has left: the entry goes, now or after the retention.
    pub(crate) fn expire(&mut self, window: &Windowed<K>) -> Result<()> {
        if self.closing.retention.is_zero() {
            let place = self.place(&window.key, window.window)?;
            self.live.delete(place);
        } else {
            self.retain(window.key.clone(), window.window);
        }
        Ok(())
    }

    fn retain(&mut self, key: K, window: Window) {
        let goes = Window::new(window.start, window.end.plus(self.closing.retention));
        self.retained.insert(goes, key);
    }

    /// Deletes entries whose retention has ended; `false`: the budget did not suffice.
    pub(crate) fn delete_expired(&mut self, budget: &mut usize) -> Result<bool> {
        let key = self.key.clone();
        while !self.can_stop(*budget) {
            let Some(gone) = self.retained.pop(self.bound, |k| key_bytes(&*key, k))? else { return Ok(true) };
            let window = Window::new(gone.window.start, gone.window.end.minus(self.closing.retention));
            let place = self.place(&gone.key, window)?;
            self.live.delete(place);
            *budget = budget.saturating_sub(1);
        }
        Ok(self.retained.first_end().is_none_or(|end| end > self.bound))
    }

    /// Finds the windows of a restored store; `each` is told of those that are open.
    pub(crate) fn restored(
        &mut self,
        cx: &mut Cx<'_>,
        bound: Timestamp,
        each: EachOpen<'_, K>,
    ) -> Result<()> {
        self.bound = bound;
        let mut found = Vec::new();
        self.live.store().borrow().scan(&mut |windowed, _, raw| {
            if windowed.window.end > bound {
                each(&windowed, raw)?;
            }
            found.push(windowed);
            Ok(())
        })?;
        for Windowed { key, window } in found {
            if window.end > bound {
                self.open.insert(window, key);
            } else {
                self.retain(key, window);
            }
        }
        cx.wake_at(self.next_due());
        Ok(())
    }
}

/// The bytes of a key, which decide the order within one window.
pub(crate) fn key_bytes<K>(codec: &dyn Codec<K>, key: &K) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    codec.write(key, &mut bytes).map_err(|error| {
        crate::error::Error::new(crate::error::ErrorKind::State, "cannot write a key").cause(error)
    })?;
    Ok(bytes)
}

/// A record whose window had closed.
pub(crate) fn late<K: Clone, V>(
    cx: &mut Cx<'_>,
    outputs: &Outputs<Windowed<K>, V>,
    key: &K,
    window: Window,
    value: &V,
) -> Result<()> {
    cx.effects.counts.late += 1;
    if outputs.is_empty() {
        return Ok(());
    }
    outputs.forward(cx, &Windowed::new(key.clone(), window), value)
}
