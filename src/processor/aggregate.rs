//! An aggregate per key, without windows.

use super::live_table::{LiveTable, View};
use super::stateless::failed;
use super::{Cx, Node, Sink, TableOutputs};
use crate::error::{BoxError, Result};
use crate::state::Table;
use crate::time::Timestamp;
use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

/// Puts a record into an aggregate; `None`: this is the first.
pub(crate) type Apply<K, V, S> =
    Arc<dyn Fn(&K, &V, Timestamp, &mut Option<S>) -> Result<(), BoxError> + Send + Sync>;

/// `count`, `reduce`, `aggregate` and their kin of a grouped stream.
pub(crate) struct Aggregate<K, V, S, A> {
    node: Arc<str>,
    apply: Apply<K, V, S>,
    table: LiveTable<K, S, A>,
}

impl<K: Clone + Eq + Hash + 'static, V, S, A> Aggregate<K, V, S, A> {
    /// `max_pending` 0 turns conflation off.
    pub(crate) fn new(
        node: Arc<str>,
        store: Rc<RefCell<Table<K, S>>>,
        (apply, view): (Apply<K, V, S>, View<S, A>),
        max_pending: usize,
        outputs: TableOutputs<K, A>,
    ) -> Self {
        Self { node, apply, table: LiveTable::new(store, view, max_pending, outputs) }
    }
}

impl<K: Clone + Eq + Hash + 'static, V, S, A> Sink<K, V> for Aggregate<K, V, S, A> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        let at = cx.timestamp;
        cx.effects.touched = true;
        let place = self.table.store().borrow_mut().place(key, K::clone)?;
        let apply = &self.apply;
        match self.table.update(at, place, |key, state| apply(key, value, at, state))? {
            Ok(_) => self.table.changed(cx, place),
            Err(error) => Err(failed(cx, &self.node, error)),
        }
    }
}

impl<K: Clone + Eq + Hash + 'static, V, S, A> Node for Aggregate<K, V, S, A> {
    fn flush(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        self.table.flush(cx)
    }
}
