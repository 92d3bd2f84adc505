//! Operators without state: each calls a closure and forwards.
//!
//! One node serves them all: the closure is given what it forwards to and is known by its type, so a `map_values` is the
//! user's closure, inlined, and a call per child; nothing is allocated for a record.

use super::{Cx, Edge, Outputs, Sink};
use crate::error::{BoxError, Error, ErrorKind, Result};
use std::sync::Arc;

/// The error of a user's closure, with the record it failed on.
pub(crate) fn failed(cx: &Cx<'_>, node: &Arc<str>, error: impl Into<BoxError>) -> Error {
    let at = cx.metadata.map_or_else(|| "outside a record".to_owned(), ToString::to_string);
    Error::new(ErrorKind::Processing, format!("processing failed at node `{node}`"))
        .with("record", at)
        .cause(error)
        .action("fail; the offset was not committed")
        .at_node(node)
}

/// Where an operator forwards to, and the name it fails under.
pub(crate) struct Stage<K, V> {
    pub(crate) node: Arc<str>,
    pub(crate) outputs: Outputs<K, V>,
}

impl<K, V> Stage<K, V> {
    #[inline]
    pub(crate) fn forward(&self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        self.outputs.forward(cx, key, value)
    }
    #[cold]
    pub(crate) fn failed(&self, cx: &Cx<'_>, error: impl Into<BoxError>) -> Error {
        failed(cx, &self.node, error)
    }
}

/// Any number of records out for one in.
pub(crate) struct Stateless<F, K2, V2> {
    pub(crate) call: Arc<F>,
    pub(crate) stage: Stage<K2, V2>,
}

impl<K, V, K2, V2, F> Sink<K, V> for Stateless<F, K2, V2>
where
    F: Fn(&Stage<K2, V2>, &mut Cx<'_>, &K, &V) -> Result<()>,
{
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        (self.call)(&self.stage, cx, key, value)
    }
}

/// Forwards everything: merge, a branch, late records.
pub(crate) struct Pass<K, V>(pub(crate) Outputs<K, V>);

impl<K, V> Sink<K, V> for Pass<K, V> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        self.0.forward(cx, key, value)
    }
}

/// Which records a branch of a split takes.
pub(crate) type Predicate<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;

/// The first branch whose predicate holds takes the record.
pub(crate) struct Branches<K, V>(pub(crate) Vec<(Predicate<K, V>, Outputs<K, V>)>);

impl<K, V> Sink<K, V> for Branches<K, V> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        match self.0.iter().find(|(takes, _)| takes(key, value)) {
            Some((_, branch)) => branch.forward(cx, key, value),
            None => Ok(()),
        }
    }
}

/// Leaves out null values before an aggregate: they are nothing that could be counted.
pub(crate) struct SkipNulls<K, V> {
    pub(crate) codec: Arc<dyn crate::serdes::Codec<V>>,
    pub(crate) aggregate: Edge<K, V>,
}

impl<K, V> Sink<K, V> for SkipNulls<K, V> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        if self.codec.is_null(value) {
            cx.effects.counts.dropped += 1;
            return Ok(());
        }
        self.aggregate.borrow_mut().process(cx, key, value)
    }
}
