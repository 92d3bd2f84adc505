//! The fingerprint: a text that changes with whatever decides how old state and old positions are read.
//!
//! Positional node names are not in it: inserting a `peek` changes them and no state.

use super::blueprint::{RepartitionSpec, SourceTopics, SubTopology};
use super::graph::Graph;
use std::fmt::Write;

pub(super) fn fingerprint(graph: &Graph, subs: &[SubTopology], repartitions: &[RepartitionSpec]) -> String {
    let mut out = String::new();
    for sub in subs {
        put(&mut out, format_args!("sub-topology {}", sub.id));
        let mut topics: Vec<String> =
            sub.sources.iter().flat_map(|source| topic_lines(&source.topics)).collect();
        topics.sort();
        for topic in topics {
            put(&mut out, format_args!("  reads {topic}"));
        }
        for store in &sub.stores {
            let log = if store.logged { "with" } else { "without" };
            put(&mut out, format_args!("  store {} {log} changelog", store.name));
            for (label, text) in details(graph, &store.name) {
                put(&mut out, format_args!("    {label}: {text}"));
            }
        }
    }
    for spec in repartitions {
        let partitions = spec.partitions.map_or_else(|| "as upstream".to_owned(), |n| n.to_string());
        put(&mut out, format_args!("repartition {} partitions {partitions}", spec.name));
    }
    out
}

/// What its nodes say of a store, sorted so that the order of the program's lines does not count.
fn details<'a>(graph: &'a Graph, store: &str) -> Vec<&'a (&'static str, String)> {
    let place = graph.stores.iter().position(|def| &*def.name == store);
    let users = graph.nodes.iter().filter(|node| node.stores.iter().any(|id| Some(id.0) == place));
    // A processor may have several stores, and says of each which it is.
    let of_this = |label: &str, text: &str| label != "store" || text.starts_with(&format!("{store}: "));
    let all = users.flat_map(|node| &node.details);
    let mut details: Vec<_> = all.filter(|(label, text)| of_this(label, text)).collect();
    details.sort();
    details.dedup();
    details
}

fn topic_lines(topics: &SourceTopics) -> Vec<String> {
    match topics {
        SourceTopics::Named(names) => {
            names.iter().map(|topic| format!("topic {}", topic.without_application())).collect()
        }
        SourceTopics::Pattern(pattern) => vec![format!("pattern {pattern}")],
    }
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{line}");
}
