//! The table an aggregation makes: its store, and the live updates that wait to be forwarded.
//!
//! Conflation: of a key's updates the reader needs the latest. With caching a changed key is only remembered, and
//! forwarded once by the next flush; without, every change is forwarded at once.

use super::{Cx, TableOutputs};
use crate::error::{BoxError, Result};
use crate::state::{Place, Table};
use crate::time::Timestamp;
use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;

/// What is stored as what the table shows; `None`: nothing that shows.
pub(crate) type View<S, A> = fn(&S) -> Option<&A>;

/// A store with its readers downstream.
pub(crate) struct LiveTable<K, S, A> {
    store: Rc<RefCell<Table<K, S>>>,
    view: View<S, A>,
    outputs: TableOutputs<K, A>,
    needs_old: bool,
    /// Most changed keys that may wait; 0: none, every change is forwarded.
    max_pending: usize,
    pending: Vec<Place>,
}

/// What an update did.
pub(crate) struct Updated {
    pub(crate) timestamp: Timestamp,
    /// The key had no value before.
    pub(crate) opened: bool,
}

impl<K: Clone + Eq + Hash + 'static, S, A> LiveTable<K, S, A> {
    /// `max_pending` 0 turns conflation off.
    pub(crate) fn new(
        store: Rc<RefCell<Table<K, S>>>,
        view: View<S, A>,
        max_pending: usize,
        outputs: TableOutputs<K, A>,
    ) -> Self {
        let needs_old = outputs.needs_old();
        Self { store, view, outputs, needs_old, max_pending, pending: Vec::new() }
    }

    pub(crate) fn store(&self) -> &RefCell<Table<K, S>> {
        &self.store
    }
    pub(crate) fn outputs(&self) -> &TableOutputs<K, A> {
        &self.outputs
    }

    /// Changes an entry in place. The entry's timestamp is the largest of its records'. A value that is null deletes it.
    /// The inner error is the user's.
    pub(crate) fn update(
        &mut self,
        at: Timestamp,
        place: Place,
        change: impl FnOnce(&K, &mut Option<S>) -> Result<(), BoxError>,
    ) -> Result<Result<Updated, BoxError>> {
        let mut store = self.store.borrow_mut();
        if self.needs_old && !store.at(place).1.pending {
            let old = store.at(place).1.value.take();
            let bytes = old.as_ref().map(|old| store.value_bytes(old)).transpose()?.flatten();
            let slot = store.at(place).1;
            (slot.value, slot.forwarded) = (old, bytes);
        }
        let (key, slot) = store.at(place);
        let opened = slot.value.is_none();
        if let Err(error) = change(key, &mut slot.value) {
            return Ok(Err(error));
        }
        slot.timestamp = slot.timestamp.max(at);
        let timestamp = slot.timestamp;
        store.drop_null(place);
        store.touch(place);
        Ok(Ok(Updated { timestamp, opened }))
    }

    /// The entry has changed: forwards it, or remembers to.
    pub(crate) fn changed(&mut self, cx: &mut Cx<'_>, place: Place) -> Result<()> {
        if !std::mem::replace(&mut self.store.borrow_mut().at(place).1.pending, true) {
            self.pending.push(place);
        }
        match self.max_pending {
            0 => self.flush(cx),
            most if self.pending.len() > most => self.flush(&mut cx.held_back()),
            _ => Ok(()),
        }
    }

    /// Forwards everything that waits, in the order in which it changed.
    pub(crate) fn flush(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        let done = pending.iter().try_for_each(|place| self.forward_pending(cx, *place));
        pending.clear();
        self.pending = pending;
        done
    }

    /// Forwards an entry's pending update, if it has one.
    pub(crate) fn forward_pending(&mut self, cx: &mut Cx<'_>, place: Place) -> Result<()> {
        let mut store = self.store.borrow_mut();
        let slot = store.at(place).1;
        if !std::mem::take(&mut slot.pending) {
            return Ok(());
        }
        let old = slot.forwarded.take().map(|bytes| store.value_of(&bytes)).transpose()?;
        let (key, slot) = store.at(place);
        let new = slot.value.as_ref().and_then(self.view);
        self.outputs.change(&mut cx.result(slot.timestamp), key, new, old.as_ref().and_then(self.view))
    }

    /// Forwards the pending update and then the final. The entry stays.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, place: Place) -> Result<()> {
        self.forward_pending(cx, place)?;
        let mut store = self.store.borrow_mut();
        let (key, slot) = store.at(place);
        match slot.value.as_ref().and_then(self.view) {
            Some(value) => self.outputs.close(&mut cx.result(slot.timestamp), key, value),
            None => Ok(()),
        }
    }

    /// Deletes an entry, silently.
    pub(crate) fn delete(&mut self, place: Place) {
        let mut store = self.store.borrow_mut();
        store.at(place).1.value = None;
        store.touch(place);
    }
}
