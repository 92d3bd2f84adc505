//! The blueprint: an immutable graph of named nodes with typed factories. `dsl` builds it, `runtime` runs it.

mod blueprint;
mod description;
mod fingerprint;
mod graph;
mod java;
mod names;
#[cfg(test)]
mod processor_tests;
mod processors;
mod store_set;
mod subtopology;
#[cfg(test)]
mod tests;
mod validation;
mod wiring;

pub use blueprint::AutoOffsetReset;
pub(crate) use blueprint::{
    Blueprint, RepartitionSpec, SourceSpec, SourceTopics, StoreSpec, SubTopology, TaskEnv, TopicName,
    changelog_topic,
};
pub(crate) use graph::{
    Factory, Graph, Kind, NodeId, NodeSpec, Port, RepartitionDef, SinkTopic, StoreDef, StoreId,
};
pub(crate) use names::TopicPattern;
pub use store_set::{StoreHandle, StoreSet};
pub(crate) use wiring::Wiring;

use crate::error::{Error, Result};
use std::sync::Arc;

/// What runs: immutable once built, cheap to clone, shared by all threads. Its `Display` is [`describe`](Self::describe).
#[derive(Clone)]
pub struct Topology(Arc<Blueprint>);

impl Topology {
    /// Checks a graph and cuts it into sub-topologies; fails with everything that is wrong with it.
    pub(crate) fn of(mut graph: Graph) -> Result<Self> {
        match Error::all(validation::mistakes(&mut graph)) {
            Some(error) => Err(error),
            None => Ok(Self(Arc::new(Blueprint::of(graph)?))),
        }
    }
    pub(crate) fn blueprint(&self) -> &Arc<Blueprint> {
        &self.0
    }
}
