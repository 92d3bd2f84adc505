//! Operators of tables without state, and the two ends between streams and tables.

use super::live_table::LiveTable;
use super::stateless::failed;
use super::{Cx, Node, Outputs, Sink, TableOutputs, TableSink};
use crate::error::{BoxError, Result};
use crate::serdes::Codec;
use crate::state::Table;
use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

/// Live results as a stream; deletions are left out.
pub(crate) struct ToStream<K, V>(pub(crate) Outputs<K, V>);

impl<K, V> TableSink<K, V> for ToStream<K, V> {
    fn change(&mut self, cx: &mut Cx<'_>, key: &K, new: Option<&V>, _: Option<&V>) -> Result<()> {
        new.map_or(Ok(()), |value| self.0.forward(cx, key, value))
    }
    fn close(&mut self, _: &mut Cx<'_>, _: &K, _: &V) -> Result<()> {
        Ok(())
    }
}

/// Live results as a stream, with deletions as `None`.
pub(crate) struct ToChangelog<K, V>(pub(crate) Outputs<K, Option<V>>);

impl<K, V: Clone> TableSink<K, V> for ToChangelog<K, V> {
    fn change(&mut self, cx: &mut Cx<'_>, key: &K, new: Option<&V>, _: Option<&V>) -> Result<()> {
        self.0.forward(cx, key, &new.cloned())
    }
    fn close(&mut self, _: &mut Cx<'_>, _: &K, _: &V) -> Result<()> {
        Ok(())
    }
}

/// A fallible predicate or mapping of a table's values.
pub(crate) type TablePredicate<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;

/// `filter`: a row that no longer fits is deleted downstream.
pub(crate) struct FilterTable<K, V> {
    pub(crate) keep: TablePredicate<K, V>,
    pub(crate) outputs: TableOutputs<K, V>,
}

impl<K, V> TableSink<K, V> for FilterTable<K, V> {
    fn opened(&mut self, cx: &mut Cx<'_>, key: &K) -> Result<()> {
        self.outputs.opened(cx, key)
    }
    fn change(&mut self, cx: &mut Cx<'_>, key: &K, new: Option<&V>, old: Option<&V>) -> Result<()> {
        let (new, old) = (new.filter(|v| (self.keep)(key, v)), old.filter(|v| (self.keep)(key, v)));
        self.outputs.change(cx, key, new, old)
    }
    fn close(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        if (self.keep)(key, value) { self.outputs.close(cx, key, value) } else { Ok(()) }
    }
    fn needs_old(&self) -> bool {
        true
    }
}

/// `map_values` of a table.
pub(crate) struct MapTable<V, V2, K> {
    pub(crate) map: Arc<dyn Fn(&V) -> V2 + Send + Sync>,
    pub(crate) outputs: TableOutputs<K, V2>,
}

impl<K, V, V2> TableSink<K, V> for MapTable<V, V2, K> {
    fn opened(&mut self, cx: &mut Cx<'_>, key: &K) -> Result<()> {
        self.outputs.opened(cx, key)
    }
    fn change(&mut self, cx: &mut Cx<'_>, key: &K, new: Option<&V>, old: Option<&V>) -> Result<()> {
        let (new, old) = (new.map(&*self.map), old.map(&*self.map));
        self.outputs.change(cx, key, new.as_ref(), old.as_ref())
    }
    fn close(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        self.outputs.close(cx, key, &(self.map)(value))
    }
    fn needs_old(&self) -> bool {
        self.outputs.needs_old()
    }
}

/// `to_table`: the latest value per key, as bytes, because an edge only lends its values.
pub(crate) struct ToTable<K, V> {
    node: Arc<str>,
    value: Arc<dyn Codec<V>>,
    table: LiveTable<K, Raw, Raw>,
}

/// A value's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

/// Bytes as they are.
pub(crate) struct RawCodec;

impl Codec<Raw> for RawCodec {
    fn write(&self, raw: &Raw, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        out.extend_from_slice(&raw.0);
        Ok(true)
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<Raw, BoxError> {
        Ok(Raw(bytes.ok_or("null")?.to_vec()))
    }
}

impl<K: Clone + Eq + Hash + 'static, V: 'static> ToTable<K, V> {
    pub(crate) fn new(
        node: Arc<str>,
        value: Arc<dyn Codec<V>>,
        store: Rc<RefCell<Table<K, Raw>>>,
        max_pending: usize,
        outputs: TableOutputs<K, V>,
    ) -> Self {
        let decoded = Rc::new(RefCell::new(Decode { value: value.clone(), node: node.clone(), outputs }));
        let table = LiveTable::new(store, |raw| Some(raw), max_pending, TableOutputs(vec![decoded]));
        Self { node, value, table }
    }
}

impl<K: Clone + Eq + Hash + 'static, V> Sink<K, V> for ToTable<K, V> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        let mut bytes = Vec::new();
        let some = self.value.write(value, &mut bytes).map_err(|error| failed(cx, &self.node, error))?;
        cx.effects.touched = true;
        let place = self.table.store().borrow_mut().place(key, K::clone)?;
        let raw = some.then_some(Raw(bytes));
        let set = |_: &K, state: &mut Option<Raw>| {
            *state = raw;
            Ok(())
        };
        match self.table.update(cx.timestamp, place, set)? {
            Ok(_) => self.table.changed(cx, place),
            Err(error) => Err(failed(cx, &self.node, error)),
        }
    }
}

impl<K: Clone + Eq + Hash + 'static, V> Node for ToTable<K, V> {
    fn flush(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        self.table.flush(cx)
    }
}

/// From the bytes of a `ToTable` to the values that its table shows.
struct Decode<K, V> {
    value: Arc<dyn Codec<V>>,
    node: Arc<str>,
    outputs: TableOutputs<K, V>,
}

impl<K, V> Decode<K, V> {
    fn read(&self, cx: &Cx<'_>, raw: Option<&Raw>) -> Result<Option<V>> {
        raw.map(|raw| self.value.read(Some(&raw.0)))
            .transpose()
            .map_err(|error| failed(cx, &self.node, error))
    }
}

impl<K, V> TableSink<K, Raw> for Decode<K, V> {
    fn change(&mut self, cx: &mut Cx<'_>, key: &K, new: Option<&Raw>, old: Option<&Raw>) -> Result<()> {
        let (new, old) = (self.read(cx, new)?, self.read(cx, old)?);
        self.outputs.change(cx, key, new.as_ref(), old.as_ref())
    }
    fn close(&mut self, _: &mut Cx<'_>, _: &K, _: &Raw) -> Result<()> {
        Ok(())
    }
    fn needs_old(&self) -> bool {
        self.outputs.needs_old()
    }
}
