//! Everything that is wrong with a graph, at once: whoever mends a topology should not have to build it ten times.

use super::blueprint::{SourceTopics, TopicName};
use super::graph::{Graph, Kind, NodeSpec, SinkTopic};
use super::names::{Named, TopicPattern, check_name};
use super::subtopology::source;
use crate::error::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the builder noticed already, then what only the whole graph shows.
pub(super) fn mistakes(graph: &mut Graph) -> Vec<Error> {
    let mut mistakes = std::mem::take(&mut graph.mistakes);
    let noticed: String = mistakes.iter().map(ToString::to_string).collect();
    mistakes.extend(no_sources(graph));
    mistakes.extend(bad_names(graph));
    mistakes.extend(names_twice(graph));
    mistakes.extend(topics_twice(graph));
    mistakes.extend(unused_stores(graph));
    mistakes.extend(orphans(graph, &noticed));
    mistakes
}

fn no_sources(graph: &Graph) -> Option<Error> {
    let none = !graph.nodes.iter().any(|node| source(node).is_some());
    none.then(|| Error::topology("the topology has no source").help("read a topic first"))
}

fn bad_names(graph: &Graph) -> Vec<Error> {
    let nodes = graph.nodes.iter().map(|node| (Named::Node, node.name.clone()));
    let topics = graph.nodes.iter().flat_map(topics_of).map(|topic| (Named::Topic, topic));
    let stores = graph.stores.iter().map(|store| (Named::Store, store.name.clone()));
    let repartitions = graph.repartitions.iter().map(|def| (Named::Repartition, def.name.clone()));
    let mut seen = BTreeSet::new();
    let all = topics.chain(stores).chain(repartitions).chain(nodes);
    // A repartition's nodes carry its name: what is said of the one need not be said of the other.
    let new = all.filter(|(_, name)| seen.insert(name.clone()));
    new.filter_map(|(named, name)| check_name(named, &name).err()).collect()
}

/// The user's topics that a node names.
fn topics_of(node: &NodeSpec) -> Vec<Arc<str>> {
    let topics = match &node.kind {
        Kind::Source(spec) => spec.topics.named().unwrap_or_default(),
        Kind::Sink(SinkTopic::Named(topic)) => std::slice::from_ref(topic),
        Kind::Sink(SinkTopic::Chosen) | Kind::Processor => &[],
    };
    let external = |topic: &TopicName| match topic {
        TopicName::External(name) => Some(name.clone()),
        TopicName::Repartition(_) => None,
    };
    topics.iter().filter_map(external).collect()
}

fn names_twice(graph: &Graph) -> Vec<Error> {
    let repartitions = repeated(graph.repartitions.iter().map(|def| &def.name));
    let nodes = repeated(graph.nodes.iter().map(|node| &node.name));
    // The nodes of a repartition named twice are named twice because of it.
    let of_repartition = |node: &Arc<str>| {
        repartitions
            .iter()
            .any(|name| node.strip_prefix(&**name).is_some_and(|rest| rest.starts_with("-repartition-")))
    };
    let nodes = nodes.into_iter().filter(|node| !of_repartition(node));
    let stores = repeated(graph.stores.iter().map(|store| &store.name));
    let stores = stores.into_iter().map(|name| {
        Error::topology(format!("store `{name}` is defined twice"))
            .help("a store's name is the name of its changelog; give the second one a name of its own")
    });
    let repartitioned = repartitions.iter().map(|name| {
        Error::topology(format!("two repartitions are named `{name}`"))
            .help("give the second one a name of its own, or repartition once and use the stream twice")
    });
    let doubles = nodes.map(|name| {
        Error::topology(format!("two nodes are named `{name}`")).help("give the second one a name of its own")
    });
    stores.chain(repartitioned).chain(doubles).collect()
}

/// Each name that occurs more than once.
fn repeated<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> Vec<Arc<str>> {
    let mut counts: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name.clone()).collect()
}

/// A topic feeds one source, as in Kafka Streams: its position is one number per partition, and one node's to move.
fn topics_twice(graph: &Graph) -> Vec<Error> {
    let mut mistakes = Vec::new();
    let mut readers: BTreeMap<Arc<str>, &Arc<str>> = BTreeMap::new();
    let mut patterns: Vec<(TopicPattern, &Arc<str>, &Arc<str>)> = Vec::new();
    for node in &graph.nodes {
        let Some(spec) = source(node) else { continue };
        for topic in topics_of(node) {
            if let Some(other) = readers.insert(topic.clone(), &node.name) {
                mistakes.push(read_twice(&topic, other, &node.name));
            }
        }
        let SourceTopics::Pattern(text) = &spec.topics else { continue };
        if let Some((_, _, other)) = patterns.iter().find(|(_, earlier, _)| *earlier == text) {
            mistakes.push(read_twice(text, other, &node.name));
        }
        match TopicPattern::new(text) {
            Ok(pattern) => patterns.push((pattern, text, &node.name)),
            Err(error) => mistakes.push(error.with("source", &*node.name)),
        }
    }
    for (pattern, text, by) in patterns {
        for (topic, other) in readers.iter().filter(|(topic, _)| pattern.matches(topic)) {
            mistakes.push(
                Error::topology(format!(
                    "pattern `{text}` of source `{by}` matches topic `{topic}`, which source `{other}` reads"
                ))
                .help("a topic can feed one source only; narrow the pattern"),
            );
        }
    }
    mistakes
}

fn read_twice(topics: &str, first: &str, second: &str) -> Error {
    let message = if first == second {
        format!("source `{first}` names `{topics}` twice")
    } else {
        format!("sources `{first}` and `{second}` both read `{topics}`")
    };
    Error::topology(message).help("a topic can feed one source only; read it once and use the stream twice")
}

fn unused_stores(graph: &Graph) -> Vec<Error> {
    let used: BTreeSet<usize> = graph.nodes.iter().flat_map(|node| &node.stores).map(|id| id.0).collect();
    let unused = graph.stores.iter().enumerate().filter(|(place, _)| !used.contains(place));
    unused
        .map(|(_, store)| {
            Error::topology(format!("no node uses store `{}`", store.name))
                .help("give it to a processor, or leave it out")
        })
        .collect()
}

/// Side outputs of what was never aggregated. Silent about nodes of which the builder has said something better.
fn orphans(graph: &Graph, noticed: &str) -> Vec<Error> {
    let orphan = |node: &&NodeSpec| node.parents.is_empty() && source(node).is_none();
    let unsaid = |node: &&NodeSpec| !noticed.contains(&format!("`{}`", node.name));
    let orphans = graph.nodes.iter().filter(orphan).filter(unsaid);
    orphans
        .map(|node| {
            Error::topology(format!("node `{}` hangs on nothing", node.name))
                .help("late and outside records leave from an aggregate: aggregate the windowed stream too")
        })
        .collect()
}
