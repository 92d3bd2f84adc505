//! Operators without state: each calls a closure and forwards.

use super::{Cx, Edge, Outputs, Sink};
use crate::error::{BoxError, Error, ErrorKind, Result};
use std::sync::Arc;

/// The error of a user's closure, with the record it failed on.
pub(crate) fn failed(cx: &Cx<'_>, node: &str, error: impl Into<BoxError>) -> Error {
    let at = cx.metadata.map_or_else(|| "outside a record".to_owned(), ToString::to_string);
    Error::new(ErrorKind::Processing, format!("processing failed at node `{node}`"))
        .with("record", at)
        .cause(error)
        .with("action", "fail; the offset was not committed")
}

/// One record in, at most one record out: filter, map, select_key, peek, merge.
pub(crate) struct Map<F, K2, V2> {
    pub(crate) call: Arc<F>,
    pub(crate) node: String,
    pub(crate) outputs: Outputs<K2, V2>,
}

/// What a `Map` does with a record; a closure over references decides what is forwarded.
impl<K, V, K2, V2, F> Sink<K, V> for Map<F, K2, V2>
where
    F: Fn(&K, &V, &mut dyn FnMut(&K2, &V2) -> Result<()>) -> Result<Result<()>, BoxError>,
{
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        let outputs = &self.outputs;
        match (self.call)(key, value, &mut |k, v| outputs.forward(cx, k, v)) {
            Ok(forwarded) => forwarded,
            Err(error) => Err(failed(cx, &self.node, error)),
        }
    }
}

/// One record in, any number out.
pub(crate) struct FlatMap<F, K2, V2> {
    pub(crate) call: Arc<F>,
    pub(crate) node: String,
    pub(crate) outputs: Outputs<K2, V2>,
}

impl<K, V, K2, V2, I, F> Sink<K, V> for FlatMap<F, K2, V2>
where
    I: IntoIterator<Item = (K2, V2)>,
    F: Fn(&K, &V) -> Result<I, BoxError>,
{
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        let all = (self.call)(key, value).map_err(|error| failed(cx, &self.node, error))?;
        all.into_iter().try_for_each(|(k, v)| self.outputs.forward(cx, &k, &v))
    }
}

/// Forwards everything: merge, late, outside, default branch.
pub(crate) struct Pass<K, V>(pub(crate) Outputs<K, V>);

impl<K, V> Sink<K, V> for Pass<K, V> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        self.0.forward(cx, key, value)
    }
}

/// The first branch whose predicate holds takes the record.
pub(crate) struct Branches<K, V> {
    pub(crate) branches: Vec<(Predicate<K, V>, Edge<K, V>)>,
}

pub(crate) type Predicate<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;

impl<K, V> Sink<K, V> for Branches<K, V> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        match self.branches.iter().find(|(takes, _)| takes(key, value)) {
            Some((_, branch)) => branch.borrow_mut().process(cx, key, value),
            None => Ok(()),
        }
    }
}
