//! The graph of named nodes: what the streams of a builder add to, and what tasks are made from.
//!
//! A node knows its parents and has a factory. Types are erased once, between two factories of one task, where a
//! node's edge waits for its parent; records then pass through typed edges.

use super::blueprint::{SourceSpec, TopicName};
use super::wiring::Wiring;
use crate::error::{Error, Result};
use crate::processor::Handlers;
use crate::state::{Readable, SharedStore};
use crate::topology::TaskEnv;
use std::any::Any;
use std::sync::Arc;

/// A node's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) usize);

/// A store's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StoreId(pub(crate) usize);

/// Which of a parent's outputs a node listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Port {
    /// What it makes.
    Main,
    /// Records whose window had closed.
    Late,
    /// Records that belong to no window.
    Outside,
    /// A branch of a split, by number.
    Branch(usize),
}

/// Where a sink writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SinkTopic {
    Named(TopicName),
    /// Chosen per record.
    Chosen,
}

/// What a node is to the description and to the runtime.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Source(SourceSpec),
    Processor,
    Sink(SinkTopic),
}

/// Makes the node in a task: takes its outputs from the wiring, leaves its own edge there.
pub(crate) type Factory = Box<dyn Fn(&mut Wiring<'_>) -> Result<()> + Send + Sync>;

/// A node as it was added.
pub(crate) struct NodeSpec {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    /// In the order in which they were linked.
    pub(crate) parents: Vec<(NodeId, Port)>,
    pub(crate) stores: Vec<StoreId>,
    /// Whether the watermark matters to it: windows, buffers, punctuation.
    pub(crate) uses_time: bool,
    /// Finals leave here.
    pub(crate) has_finals: bool,
    /// What decides how its state is read, for the fingerprint and the detailed description: window, grace, serdes.
    pub(crate) details: Vec<(&'static str, String)>,
    pub(crate) factory: Factory,
}

/// The typed store for its nodes, and the same store for its task.
pub(crate) type MadeStore = (Box<dyn Any>, SharedStore);

/// Makes a store in a task, given its position in the backend.
pub(crate) type StoreFactory = Box<dyn Fn(&TaskEnv, usize) -> Result<MadeStore> + Send + Sync>;

/// A store as it was added.
pub(crate) struct StoreDef {
    pub(crate) name: Arc<str>,
    pub(crate) logged: bool,
    /// `None`: what it holds is its node's alone.
    pub(crate) readable: Option<Readable>,
    pub(crate) factory: StoreFactory,
}

/// A repartition topic as it was added; its sink and source nodes refer to it by name.
#[derive(Clone, Debug)]
pub(crate) struct RepartitionDef {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Option<u32>,
}

/// Grows while a program adds to it; immutable once built.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<NodeSpec>,
    pub(crate) stores: Vec<StoreDef>,
    pub(crate) repartitions: Vec<RepartitionDef>,
    /// Nodes that need their sources to have equal partition counts: joins, and aggregates behind a merge.
    pub(crate) copartitioned: Vec<NodeId>,
    /// What the program says about failures.
    pub(crate) handlers: Handlers,
    /// What is wrong so far; reported together by `build()`.
    pub(crate) mistakes: Vec<Error>,
    numbers: usize,
}

impl Graph {
    /// `PREFIX-0000000007`: the next number of the one counter, as in Kafka Streams.
    pub(crate) fn numbered(&mut self, prefix: &str) -> Arc<str> {
        let number = self.number();
        format!("{prefix}{number:010}").into()
    }
    /// Takes a number without using it in a name.
    pub(crate) fn number(&mut self) -> usize {
        let number = self.numbers;
        self.numbers += 1;
        number
    }
    pub(crate) fn add(&mut self, node: NodeSpec) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }
    /// For nodes whose parent comes later than they: side outputs.
    pub(crate) fn link(&mut self, child: NodeId, parent: NodeId, port: Port) {
        if let Some(node) = self.nodes.get_mut(child.0) {
            node.parents.push((parent, port));
        }
    }
    pub(crate) fn add_store(&mut self, store: StoreDef) -> StoreId {
        self.stores.push(store);
        StoreId(self.stores.len() - 1)
    }
    pub(crate) fn mistake(&mut self, error: Error) {
        self.mistakes.push(error);
    }

    pub(crate) fn node(&self, id: NodeId) -> Result<&NodeSpec> {
        self.nodes.get(id.0).ok_or_else(|| Error::internal(format!("no node {}", id.0)))
    }
    /// The children of a node's output, in the order in which they were added.
    pub(crate) fn children(&self, parent: NodeId, port: Port) -> impl Iterator<Item = NodeId> {
        let listens = move |node: &NodeSpec| node.parents.contains(&(parent, port));
        self.nodes.iter().enumerate().filter(move |(_, node)| listens(node)).map(|(id, _)| NodeId(id))
    }
}
