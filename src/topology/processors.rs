//! Adds processors of the user's, and their stores, to a graph.

use super::graph::{Graph, Kind, NodeId, NodeSpec, Port, StoreDef, StoreId};
use super::store_set::{Connection, StoreHandle, StoreSet};
use crate::error::Error;
use crate::processor::{FixedKey, FixedKeyProcessor, Processor, ProcessorNode};
use crate::state::{StateStore, StoreBuilder, StoreSite};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

impl Graph {
    /// A store for processors.
    pub(crate) fn add_state_store<S: StateStore>(&mut self, store: StoreBuilder<S>) -> StoreHandle<S> {
        let (name, logged) = (store.name.clone(), store.logged);
        let details = store.details.as_str().into();
        let (readable, make) = store.into_parts();
        let StoreId(place) = self.add_store(StoreDef {
            name: name.clone(),
            logged,
            readable: Some(readable),
            factory: Box::new(move |env, index| {
                let (backend, cache_bytes) = (env.backend.clone(), env.cache_bytes);
                Ok(make(&StoreSite { backend, index, cache_bytes }))
            }),
        });
        StoreHandle { connection: Connection { place, name, details }, of: PhantomData }
    }

    /// A node that runs a processor; `make` is called once per task.
    pub(crate) fn add_processor<S, P>(
        &mut self,
        name: Arc<str>,
        parents: Vec<(NodeId, Port)>,
        stores: S,
        make: impl Fn(S::Opened) -> P + Send + Sync + 'static,
    ) -> NodeId
    where
        S: StoreSet,
        S::Opened: 'static,
        P: Processor,
    {
        let connections = stores.connections();
        for Connection { place, name: store, .. } in &connections {
            if self.stores.get(*place).is_none_or(|def| def.name != *store) {
                self.mistake(
                    Error::topology(format!("store `{store}` of node `{name}` belongs to another topology"))
                        .help("add it to the builder that the node is added to"),
                );
            }
        }
        let open = stores.opener();
        self.add(NodeSpec {
            name,
            kind: Kind::Processor,
            parents,
            stores: connections.iter().map(|connection| StoreId(connection.place)).collect(),
            // What it does with the watermark only it knows.
            uses_time: true,
            has_finals: false,
            details: connections.iter().map(|c| ("store", format!("{}: {}", c.name, c.details))).collect(),
            factory: Box::new(move |wiring| {
                let (opened, attached) = wiring.open(&*open)?;
                let outputs = wiring.outputs(Port::Main)?;
                let task = wiring.env().task;
                let node = ProcessorNode::new(wiring.name()?, task, make(opened), attached, outputs);
                let node = Rc::new(RefCell::new(node));
                wiring.put_sink::<P::KIn, P::VIn>(node.clone());
                wiring.put_node(node);
                Ok(())
            }),
        })
    }

    /// The same for a processor that keeps the key.
    pub(crate) fn add_fixed_key_processor<S, P>(
        &mut self,
        name: Arc<str>,
        parents: Vec<(NodeId, Port)>,
        stores: S,
        make: impl Fn(S::Opened) -> P + Send + Sync + 'static,
    ) -> NodeId
    where
        S: StoreSet,
        S::Opened: 'static,
        P: FixedKeyProcessor,
    {
        self.add_processor(name, parents, stores, move |opened| FixedKey(make(opened)))
    }
}
