//! A topology as it grows: shared by a builder and all streams that came from it.

use super::materialized::Materialized;
use crate::error::Error;
use crate::serdes::{Codec, Key};
use crate::state::{Readable, SharedStore, Table};
use crate::topology::{Factory, Graph, Kind, NodeId, NodeSpec, Port, SourceTopics, StoreDef, StoreId};
use std::any::Any;
use std::cell::{RefCell, RefMut};
use std::collections::BTreeSet;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// A node and one of its outputs.
pub(super) type From = (NodeId, Port);

/// Where a line of the program is.
pub(super) type Line = &'static Location<'static>;

#[derive(Default)]
struct Growing {
    graph: Graph,
    /// Nodes where all records of a key must meet.
    meetings: Vec<NodeId>,
    /// Side outputs, and where they were asked for.
    sides: Vec<(NodeId, Line)>,
}

/// The shared graph. Cheap to clone; never borrowed while a closure of the user runs.
#[derive(Clone, Default)]
pub(super) struct Draft(Rc<RefCell<Growing>>);

/// What makes a node besides its name and factory.
#[derive(Default)]
pub(super) struct Traits {
    pub(super) stores: Vec<StoreId>,
    pub(super) uses_time: bool,
    pub(super) has_finals: bool,
    pub(super) details: Vec<(&'static str, String)>,
}

impl Draft {
    pub(super) fn graph(&self) -> RefMut<'_, Graph> {
        RefMut::map(self.0.borrow_mut(), |growing| &mut growing.graph)
    }
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// The name given, or the next of this prefix. A number is taken in any case, so that naming one node leaves the
    /// names of the others as they were.
    pub(super) fn name(&self, prefix: &str, given: Option<&str>) -> Arc<str> {
        let numbered = self.graph().numbered(prefix);
        given.map_or(numbered, Into::into)
    }
    pub(super) fn numbered(&self, prefix: &str) -> Arc<str> {
        self.graph().numbered(prefix)
    }
    /// Takes a number that names nothing.
    pub(super) fn burn(&self) {
        self.graph().number();
    }

    pub(super) fn add(
        &self,
        name: Arc<str>,
        kind: Kind,
        parents: &[From],
        traits: Traits,
        factory: Factory,
    ) -> NodeId {
        let Traits { stores, uses_time, has_finals, details } = traits;
        let parents = parents.to_vec();
        self.graph().add(NodeSpec { name, kind, parents, stores, uses_time, has_finals, details, factory })
    }
    /// A node without state.
    pub(super) fn processor(&self, name: Arc<str>, parents: &[From], factory: Factory) -> NodeId {
        self.add(name, Kind::Processor, parents, Traits::default(), factory)
    }
    /// A node whose parent comes later.
    pub(super) fn side(&self, name: Arc<str>, line: Line, factory: Factory) -> NodeId {
        let node = self.processor(name, &[], factory);
        self.0.borrow_mut().sides.push((node, line));
        node
    }
    pub(super) fn link(&self, child: NodeId, parent: NodeId, port: Port) {
        self.graph().link(child, parent, port);
    }
    pub(super) fn replace_factory(&self, node: NodeId, factory: Factory) {
        if let Some(node) = self.graph().nodes.get_mut(node.0) {
            node.factory = factory;
        }
    }
    pub(super) fn rename(&self, node: NodeId, name: &str) {
        if let Some(node) = self.graph().nodes.get_mut(node.0) {
            node.name = name.into();
            if let Kind::Source(source) = &mut node.kind {
                source.node = name.into();
            }
        }
    }
    pub(super) fn repartition(&self, name: &str, partitions: Option<u32>) {
        let def = crate::topology::RepartitionDef { name: name.into(), partitions };
        self.graph().repartitions.push(def);
    }

    /// A store of typed entries, and how programs read it, if they may.
    pub(super) fn store<K: Key, S: 'static>(
        &self,
        spec: &StoreOf<K, S>,
        readable: Option<Readable>,
    ) -> StoreId {
        let StoreOf { name, logged, key, value } = spec;
        let (made, key, value) = (name.clone(), key.clone(), value.clone());
        self.graph().add_store(StoreDef {
            name: name.clone(),
            logged: *logged,
            readable,
            factory: Box::new(move |env, index| {
                let codecs = (key.clone(), value.clone());
                let table = Table::new(made.clone(), codecs, env.backend.clone(), index, env.cache_bytes);
                let table = Rc::new(RefCell::new(table));
                Ok((Box::new(table.clone()) as Box<dyn Any>, table as SharedStore))
            }),
        })
    }
    /// All records of a key must come to this node.
    pub(super) fn meets(&self, node: NodeId) {
        self.0.borrow_mut().meetings.push(node);
    }

    pub(super) fn mistake(&self, line: Line, error: Error) {
        self.graph().mistake(error.with("at", line.to_string()));
    }

    /// The graph, finished; nothing is left here.
    pub(super) fn finish(&self) -> Graph {
        let Growing { mut graph, meetings, sides } = std::mem::take(&mut *self.0.borrow_mut());
        for (node, line) in sides {
            let spec = graph.nodes.get(node.0);
            let Some(name) = spec.filter(|spec| spec.parents.is_empty()).map(|spec| &spec.name) else {
                continue;
            };
            let error = Error::topology(format!("no aggregate leaves records to `{name}`"))
                .with("at", line.to_string())
                .help("`late()` and `outside()` get what the aggregate of the same windowed stream leaves out: aggregate it");
            graph.mistake(error);
        }
        graph.copartitioned = meetings.into_iter().filter(|node| reads_several(&graph, *node)).collect();
        graph
    }
}

/// What a store is made from.
pub(super) struct StoreOf<K, S> {
    name: Arc<str>,
    logged: bool,
    key: Arc<dyn Codec<K>>,
    value: Arc<dyn Codec<S>>,
}

impl<K, S> StoreOf<K, S> {
    /// The store that `materialized` names, with what it really holds: `value`.
    pub(super) fn of<A>(
        materialized: &Materialized<A>,
        key: Arc<dyn Codec<K>>,
        value: Arc<dyn Codec<S>>,
    ) -> Self {
        Self { name: materialized.name.clone(), logged: materialized.logged, key, value }
    }
    /// What decides how its bytes are read.
    pub(super) fn details(&self) -> Vec<(&'static str, String)> {
        vec![("key", self.key.describe()), ("value", self.value.describe())]
    }
}

/// Whether a node's records come from more than one topic: then these need equal partition counts.
fn reads_several(graph: &Graph, node: NodeId) -> bool {
    let (mut seen, mut open, mut topics) = (BTreeSet::new(), vec![node], 0);
    while let Some(id) = open.pop() {
        let Some(spec) = graph.nodes.get(id.0).filter(|_| seen.insert(id)) else { continue };
        open.extend(spec.parents.iter().map(|(parent, _)| *parent));
        if let Kind::Source(source) = &spec.kind {
            topics += match &source.topics {
                SourceTopics::Named(names) => names.len(),
                SourceTopics::Pattern(_) => 2,
            };
        }
    }
    topics > 1
}
