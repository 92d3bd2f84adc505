//! Cuts a graph into sub-topologies: what is connected by edges or by a shared store runs in one task.
//!
//! They are numbered by their first node in the order in which nodes were added, as Kafka Streams does, so what is
//! upstream has the lower number.

use super::blueprint::{
    Blueprint, RepartitionSpec, SourceSpec, SourceTopics, StoreSpec, SubTopology, TopicName,
};
use super::fingerprint::fingerprint;
use super::graph::{Graph, Kind, NodeId, NodeSpec, SinkTopic};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Blueprint {
    /// Assembles a graph that has no mistakes.
    pub(super) fn of(graph: Graph) -> Result<Self> {
        let parts = components(&graph).into_iter().enumerate();
        let subtopologies =
            parts.map(|(id, nodes)| subtopology(&graph, id as u32, &nodes)).collect::<Result<Vec<_>>>()?;
        let mut repartitions = repartitions(&graph, &subtopologies)?;
        carry_watermarks(&mut repartitions, &subtopologies);
        let fingerprint = fingerprint(&graph, &subtopologies, &repartitions);
        Ok(Self { subtopologies, repartitions, fingerprint, graph })
    }
}

/// Connected nodes, by the first of them.
fn components(graph: &Graph) -> Vec<BTreeSet<usize>> {
    let neighbours = neighbours(graph);
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut components = Vec::new();
    for start in 0..graph.nodes.len() {
        if seen.contains(&start) {
            continue;
        }
        let (mut component, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(node) = open.pop() {
            if component.insert(node) {
                open.extend(neighbours.get(&node).into_iter().flatten());
            }
        }
        seen.extend(&component);
        components.push(component);
    }
    components
}

fn neighbours(graph: &Graph) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut neighbours: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut first_user = BTreeMap::new();
    for (id, node) in graph.nodes.iter().enumerate() {
        let parents = node.parents.iter().map(|(parent, _)| parent.0);
        let sharing = node.stores.iter().map(|store| *first_user.entry(*store).or_insert(id));
        for other in parents.chain(sharing).collect::<Vec<_>>() {
            neighbours.entry(id).or_default().insert(other);
            neighbours.entry(other).or_default().insert(id);
        }
    }
    neighbours
}

fn subtopology(graph: &Graph, id: u32, component: &BTreeSet<usize>) -> Result<SubTopology> {
    let members = || graph.nodes.iter().enumerate().filter(|(id, _)| component.contains(id));
    let used: BTreeSet<_> = members().flat_map(|(_, node)| &node.stores).collect();
    let stores = graph.stores.iter().enumerate().filter(|(place, _)| used.iter().any(|id| id.0 == *place));
    let mut written: Vec<TopicName> = Vec::new();
    for topic in members().filter_map(|(_, node)| written_topic(node)) {
        if !written.contains(topic) {
            written.push(topic.clone());
        }
    }
    Ok(SubTopology {
        id,
        sources: members().filter_map(|(_, node)| source(node)).cloned().collect(),
        written,
        stores: stores.map(|(_, def)| StoreSpec { name: def.name.clone(), logged: def.logged }).collect(),
        copartitioned: copartitioned(graph, component),
        uses_time: members().any(|(_, node)| node.uses_time),
        has_finals: members().any(|(_, node)| node.has_finals),
        nodes: topological_order(graph, component)?,
    })
}

pub(super) fn source(node: &NodeSpec) -> Option<&SourceSpec> {
    match &node.kind {
        Kind::Source(spec) => Some(spec),
        Kind::Processor | Kind::Sink(_) => None,
    }
}

fn written_topic(node: &NodeSpec) -> Option<&TopicName> {
    match &node.kind {
        Kind::Sink(SinkTopic::Named(topic)) => Some(topic),
        Kind::Sink(SinkTopic::Chosen) | Kind::Source(_) | Kind::Processor => None,
    }
}

/// Parents first; of those that could come next, the one that was added first. (A side output may have been added
/// before the aggregate that it hangs on.)
fn topological_order(graph: &Graph, component: &BTreeSet<usize>) -> Result<Vec<usize>> {
    let parents = |id: &usize| -> BTreeSet<usize> {
        graph.nodes.get(*id).into_iter().flat_map(|node| &node.parents).map(|(parent, _)| parent.0).collect()
    };
    let mut waiting: BTreeMap<usize, BTreeSet<usize>> =
        component.iter().map(|id| (*id, parents(id))).collect();
    let mut order = Vec::with_capacity(component.len());
    while let Some((&next, _)) = waiting.iter().find(|(_, parents)| parents.is_empty()) {
        waiting.remove(&next);
        for parents in waiting.values_mut() {
            parents.remove(&next);
        }
        order.push(next);
    }
    if waiting.is_empty() {
        return Ok(order);
    }
    let names: Vec<&str> = waiting.keys().filter_map(|id| Some(&*graph.nodes.get(*id)?.name)).collect();
    Err(Error::internal(format!("nodes lie on a cycle, or below one: {}", names.join(", "))))
}

/// For each node that asks for it, the sources above it, where they have more than one topic together.
fn copartitioned(graph: &Graph, component: &BTreeSet<usize>) -> Vec<(Arc<str>, Vec<usize>)> {
    let is_source = |id: &&usize| graph.nodes.get(**id).and_then(source).is_some();
    let sources: Vec<usize> = component.iter().filter(is_source).copied().collect();
    let asking = graph.copartitioned.iter().filter(|id| component.contains(&id.0));
    asking
        .filter_map(|id| {
            let above = ancestors(graph, *id);
            let positions = sources.iter().enumerate().filter(|(_, source)| above.contains(source));
            let group: Vec<usize> = positions.map(|(position, _)| position).collect();
            let specs = above.iter().filter_map(|id| graph.nodes.get(*id).and_then(source));
            let several = group.len() > 1 || specs.into_iter().any(has_several_topics);
            several.then(|| Some((graph.nodes.get(id.0)?.name.clone(), group))).flatten()
        })
        .collect()
}

fn has_several_topics(source: &SourceSpec) -> bool {
    match &source.topics {
        SourceTopics::Named(topics) => topics.len() > 1,
        SourceTopics::Pattern(_) => true,
    }
}

/// A node and all above it.
fn ancestors(graph: &Graph, node: NodeId) -> BTreeSet<usize> {
    let (mut above, mut open) = (BTreeSet::new(), vec![node.0]);
    while let Some(id) = open.pop() {
        if above.insert(id) {
            open.extend(graph.nodes.get(id).into_iter().flat_map(|node| &node.parents).map(|(up, _)| up.0));
        }
    }
    above
}

fn repartitions(graph: &Graph, subtopologies: &[SubTopology]) -> Result<Vec<RepartitionSpec>> {
    let specs = graph.repartitions.iter().map(|def| {
        let topic = TopicName::Repartition(def.name.clone());
        let is_writer = |sub: &&SubTopology| sub.written.contains(&topic);
        let is_reader = |sub: &&SubTopology| {
            let named = sub.sources.iter().filter_map(|source| source.topics.named());
            named.flatten().any(|read| *read == topic)
        };
        let writers: Vec<u32> = subtopologies.iter().filter(is_writer).map(|sub| sub.id).collect();
        match subtopologies.iter().find(is_reader) {
            Some(reader) if !writers.is_empty() => Ok(RepartitionSpec {
                name: def.name.clone(),
                partitions: def.partitions,
                writers,
                reader: reader.id,
                carries_watermark: false,
            }),
            _ => Err(Error::internal(format!("repartition `{}` has no writer or no reader", def.name))),
        }
    });
    specs.collect()
}

/// A task's watermark is the minimum over all its inputs: where it uses time, each of them has to bring one, and so
/// on upwards.
fn carry_watermarks(repartitions: &mut [RepartitionSpec], subtopologies: &[SubTopology]) {
    let mut needing: BTreeSet<u32> =
        subtopologies.iter().filter(|sub| sub.uses_time).map(|sub| sub.id).collect();
    loop {
        let before = needing.len();
        for spec in repartitions.iter_mut() {
            if needing.contains(&spec.reader) {
                spec.carries_watermark = true;
                needing.extend(&spec.writers);
            }
        }
        if needing.len() == before {
            return;
        }
    }
}
