//! Kafka Streams' own description text, byte for byte, so that its visualisers read it.
//!
//! Its order is an accident of Java's collections that has become the format: nodes by the number of paths below them,
//! arrows in the order in which a tree took them while those numbers were still growing.

use super::Topology;
use super::blueprint::{SourceTopics, StoreSpec, SubTopology, TopicName};
use super::graph::{Graph, Kind, NodeSpec, SinkTopic};
use super::java::{HashOrder, TreeOrder};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write};

impl Topology {
    /// The sub-topologies with their nodes, stores and topics, as Kafka Streams prints them. Repartition topics
    /// are named without the application id. `{:#}` adds lines that start with `~~`: windows, grace, changelogs.
    ///
    /// A sink whose topic is chosen per record prints `(extractor class: chosen per record)`, where Kafka Streams has
    /// the address of a Java object.
    pub fn describe(&self) -> String {
        self.to_string()
    }
}

impl Display for Topology {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Topologies:\n ")?;
        let blueprint = self.blueprint();
        for sub in &blueprint.subtopologies {
            writeln!(f, "  Sub-topology: {}", sub.id)?;
            Described::of(&blueprint.graph, sub).write(f, f.alternate())?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// A sub-topology with the arrows of its nodes, by name.
struct Described<'a> {
    graph: &'a Graph,
    stores: &'a [StoreSpec],
    nodes: Vec<&'a NodeSpec>,
    arrows: BTreeMap<&'a str, Arrows<'a>>,
}

/// The neighbours of a node, and how many paths start here: one, and those of each successor.
#[derive(Default)]
struct Arrows<'a> {
    size: u64,
    to: TreeOrder<'a>,
    from: TreeOrder<'a>,
}

impl<'a> Described<'a> {
    fn of(graph: &'a Graph, sub: &'a SubTopology) -> Self {
        let mut ids = sub.nodes.clone();
        ids.sort_unstable();
        let nodes: Vec<&NodeSpec> = ids.iter().filter_map(|id| graph.nodes.get(*id)).collect();
        let arrows =
            nodes.iter().map(|node| (&*node.name, Arrows { size: 1, ..Arrows::default() })).collect();
        let in_hash_order = HashOrder::of(nodes.iter().map(|node| (&*node.name, *node)));
        let mut this = Self { graph, stores: &sub.stores, nodes: nodes.clone(), arrows };
        in_hash_order.for_each(|node| this.connect(node));
        this
    }

    /// Joins a node to its parents: each arrow finds its place by the sizes of the moment.
    fn connect(&mut self, node: &'a NodeSpec) {
        let mut parents: Vec<&str> = Vec::new();
        for (parent, _) in &node.parents {
            let Some(name) = self.graph.nodes.get(parent.0).map(|parent| &*parent.name) else { continue };
            if !parents.contains(&name) {
                parents.push(name);
            }
        }
        for parent in parents {
            let sizes: BTreeMap<&str, u64> =
                self.arrows.iter().map(|(name, arrows)| (*name, arrows.size)).collect();
            let size = |name: &str| sizes.get(name).copied().unwrap_or(1);
            if let Some(arrows) = self.arrows.get_mut(&*node.name) {
                arrows.from.insert(parent, size);
            }
            if let Some(arrows) = self.arrows.get_mut(parent) {
                arrows.to.insert(&node.name, size);
            }
            self.grow(parent, size(&node.name));
        }
    }

    /// A node and all above it have so many paths more.
    fn grow(&mut self, node: &str, by: u64) {
        let Some(arrows) = self.arrows.get_mut(node) else { return };
        arrows.size = arrows.size.saturating_add(by);
        let above: Vec<&str> = arrows.from.names().collect();
        for parent in above {
            self.grow(parent, by);
        }
    }

    fn write(&self, f: &mut Formatter<'_>, detailed: bool) -> fmt::Result {
        let mut order = TreeOrder::default();
        let size = |name: &str| self.arrows.get(name).map_or(1, |arrows| arrows.size);
        self.nodes.iter().for_each(|node| order.insert(&node.name, size));
        for name in order.names() {
            let Some(node) = self.nodes.iter().find(|node| &*node.name == name) else { continue };
            self.write_node(f, node)?;
            if detailed {
                self.write_details(f, node)?;
            }
        }
        Ok(())
    }

    fn write_node(&self, f: &mut Formatter<'_>, node: &NodeSpec) -> fmt::Result {
        let name = &node.name;
        match &node.kind {
            Kind::Source(spec) => writeln!(f, "    Source: {name} (topics: {})", topics(&spec.topics))?,
            Kind::Processor => {
                writeln!(f, "    Processor: {name} (stores: {})", bracketed(self.store_names(node)))?;
            }
            Kind::Sink(SinkTopic::Named(topic)) => {
                writeln!(f, "    Sink: {name} (topic: {})", topic.without_application())?;
            }
            Kind::Sink(SinkTopic::Chosen) => {
                writeln!(f, "    Sink: {name} (extractor class: chosen per record)")?;
            }
        }
        let Some(arrows) = self.arrows.get(&**name) else { return Ok(()) };
        if !matches!(node.kind, Kind::Sink(_)) {
            writeln!(f, "      --> {}", listed(&arrows.to))?;
        }
        if !matches!(node.kind, Kind::Source(_)) {
            writeln!(f, "      <-- {}", listed(&arrows.from))?;
        }
        Ok(())
    }

    fn store_names(&self, node: &NodeSpec) -> impl Iterator<Item = &'a str> {
        node.stores.iter().filter_map(|id| self.graph.stores.get(id.0)).map(|def| &*def.name)
    }

    fn write_details(&self, f: &mut Formatter<'_>, node: &NodeSpec) -> fmt::Result {
        for (label, text) in &node.details {
            writeln!(f, "      ~~ {label}: {text}")?;
        }
        for store in self.store_names(node) {
            let logged = self.stores.iter().any(|spec| &*spec.name == store && spec.logged);
            if logged {
                writeln!(f, "      ~~ changelog: {store}-changelog")?;
            } else {
                writeln!(f, "      ~~ changelog of {store}: none")?;
            }
        }
        Ok(())
    }
}

fn topics(topics: &SourceTopics) -> String {
    match topics {
        SourceTopics::Pattern(pattern) => pattern.to_string(),
        SourceTopics::Named(names) => {
            let names: Vec<_> = names.iter().map(TopicName::without_application).collect();
            bracketed(names.iter().map(|name| &**name))
        }
    }
}

/// A Java set of strings.
fn bracketed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = HashOrder::of(names.map(|name| (name, name))).collect();
    format!("[{}]", names.join(", "))
}

fn listed(arrows: &TreeOrder<'_>) -> String {
    let names: Vec<&str> = arrows.names().collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
