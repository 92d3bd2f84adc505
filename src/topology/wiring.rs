//! Joins the nodes of one task: children first, so that each finds the edges it forwards to.

use super::blueprint::{SubTopology, TaskEnv};
use super::graph::{Graph, NodeId, Port, StoreId};
use super::store_set::{Open, Opening};
use crate::error::{Error, Result};
use crate::processor::{
    Edge, Input, Outputs, SharedNode, Sink, TableEdge, TableOutputs, TableSink, TaskGraph,
};
use crate::state::{Attached, SharedStore};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What a factory sees while its task is made.
pub(crate) struct Wiring<'a> {
    graph: &'a Graph,
    env: &'a TaskEnv,
    node: NodeId,
    /// The edge into a node, a boxed `Edge<K, V>` or `TableEdge<K, V>`.
    edges: BTreeMap<NodeId, Box<dyn Any>>,
    stores: BTreeMap<StoreId, Box<dyn Any>>,
    nodes: Vec<SharedNode>,
    inputs: BTreeMap<NodeId, Box<dyn Input>>,
}

impl Wiring<'_> {
    pub(crate) fn env(&self) -> &TaskEnv {
        self.env
    }

    /// This node's name.
    pub(crate) fn name(&self) -> Result<Arc<str>> {
        self.graph.node(self.node).map(|node| node.name.clone())
    }

    /// The children of this node's output.
    pub(crate) fn outputs<K: 'static, V: 'static>(&self, port: Port) -> Result<Outputs<K, V>> {
        self.edges_of::<Edge<K, V>>(port).map(Outputs)
    }
    /// The children of this node's table.
    pub(crate) fn table_outputs<K: 'static, V: 'static>(&self) -> Result<TableOutputs<K, V>> {
        self.edges_of::<TableEdge<K, V>>(Port::Main).map(TableOutputs)
    }
    fn edges_of<E: Clone + 'static>(&self, port: Port) -> Result<Vec<E>> {
        self.graph.children(self.node, port).map(|child| self.edge::<E>(child)).collect()
    }
    fn edge<E: Clone + 'static>(&self, child: NodeId) -> Result<E> {
        let edge = self.edges.get(&child).and_then(|edge| edge.downcast_ref::<E>());
        edge.cloned().ok_or_else(|| {
            let name = self.graph.node(child).map_or("?", |node| &node.name);
            Error::internal(format!("node `{name}` was joined to a parent of another type"))
        })
    }

    /// The store of this task, the same for every node that names it.
    pub(crate) fn store<S: 'static>(&self, id: StoreId) -> Result<Rc<RefCell<S>>> {
        let store = self.stores.get(&id).and_then(|store| store.downcast_ref::<Rc<RefCell<S>>>());
        store.cloned().ok_or_else(|| Error::internal(format!("store {} has another type", id.0)))
    }

    /// The stores of a processor, and the same for the node around it.
    pub(crate) fn open<O>(&self, open: &Open<O>) -> Result<(O, Vec<Rc<dyn Attached>>)> {
        let find = |place| self.stores.get(&StoreId(place)).map(|store| &**store);
        let mut opening = Opening { find: &find, attached: Vec::new() };
        let opened = open(&mut opening)?;
        Ok((opened, opening.attached))
    }

    /// This node takes records of a stream.
    pub(crate) fn put_sink<K: 'static, V: 'static>(&mut self, sink: Rc<RefCell<dyn Sink<K, V>>>) {
        self.edges.insert(self.node, Box::new(sink as Edge<K, V>));
    }
    /// This node takes changes of a table.
    pub(crate) fn put_table_sink<K: 'static, V: 'static>(&mut self, sink: Rc<RefCell<dyn TableSink<K, V>>>) {
        self.edges.insert(self.node, Box::new(sink as TableEdge<K, V>));
    }
    /// This node is to be told the time.
    pub(crate) fn put_node(&mut self, node: SharedNode) {
        self.nodes.push(node);
    }
    /// This node decodes the records of its topics.
    pub(crate) fn put_input(&mut self, input: Box<dyn Input>) {
        self.inputs.insert(self.node, input);
    }
}

impl Graph {
    /// Makes the nodes of a task and joins them.
    pub(crate) fn instantiate(&self, subtopologies: &[SubTopology], env: &TaskEnv) -> Result<TaskGraph> {
        let id = env.task.subtopology;
        let Some(sub) = subtopologies.iter().find(|sub| sub.id == id) else {
            return Err(Error::internal(format!("no sub-topology {id}")));
        };
        let mut task_stores: Vec<SharedStore> = Vec::new();
        let mut stores: BTreeMap<StoreId, Box<dyn Any>> = BTreeMap::new();
        for (index, spec) in sub.stores.iter().enumerate() {
            let found = self.stores.iter().enumerate().find(|(_, def)| def.name == spec.name);
            let Some((place, def)) = found else {
                return Err(Error::internal(format!("no store `{}`", spec.name)));
            };
            let (typed, store) = (def.factory)(env, index)?;
            task_stores.push(store);
            stores.insert(StoreId(place), typed);
        }
        let mut wiring = Wiring {
            graph: self,
            env,
            node: NodeId(0),
            edges: BTreeMap::new(),
            stores,
            nodes: Vec::new(),
            inputs: BTreeMap::new(),
        };
        for &node in sub.nodes.iter().rev() {
            wiring.node = NodeId(node);
            (self.node(wiring.node)?.factory)(&mut wiring)?;
        }
        let Wiring { mut nodes, inputs, .. } = wiring;
        nodes.reverse();
        // Sources come in the order in which they were added, as in `SubTopology::sources`.
        Ok(TaskGraph { inputs: inputs.into_values().collect(), nodes, stores: task_stores })
    }
}
