//! What a topology is to the runtime: sub-topologies with their sources, sinks and stores, and how to make a task.

use super::graph::Graph;
use crate::error::Result;
use crate::processor::{Handler, Handlers, PartitionCounts, RecordLimits, TaskGraph};
use crate::record::TaskId;
use crate::state::{Readable, SharedBackend};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A topic as the program names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TopicName {
    /// Of the user's: the name on the broker.
    External(Arc<str>),
    /// `<application.id>-<name>-repartition` on the broker.
    Repartition(Arc<str>),
}

impl TopicName {
    /// The name on the broker.
    pub(crate) fn on_broker(&self, application_id: &str) -> Arc<str> {
        match self {
            Self::External(name) => name.clone(),
            Self::Repartition(name) => format!("{application_id}-{name}-repartition").into(),
        }
    }
    /// The name as the description prints it.
    pub(crate) fn without_application(&self) -> Arc<str> {
        match self {
            Self::External(name) => name.clone(),
            Self::Repartition(name) => format!("{name}-repartition").into(),
        }
    }
}

/// `<application.id>-<store>-changelog`.
pub(crate) fn changelog_topic(application_id: &str, store: &str) -> Arc<str> {
    format!("{application_id}-{store}-changelog").into()
}

/// Where a partition starts to be read if the group has no position for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoOffsetReset {
    /// At the start of the log.
    #[default]
    Earliest,
    /// At its end.
    Latest,
    /// At the first record at most this old by the clock.
    ByDuration(Duration),
    /// Not at all: an error.
    None,
}

/// The topics of a source.
#[derive(Clone, Debug)]
pub(crate) enum SourceTopics {
    Named(Vec<TopicName>),
    /// All topics whose whole name matches, as found when the application starts.
    Pattern(Arc<str>),
}

impl SourceTopics {
    /// The topics, unless they are found by a pattern.
    pub(crate) fn named(&self) -> Option<&[TopicName]> {
        match self {
            Self::Named(topics) => Some(topics),
            Self::Pattern(_) => None,
        }
    }
}

/// A source node.
#[derive(Clone, Debug)]
pub(crate) struct SourceSpec {
    pub(crate) node: Arc<str>,
    pub(crate) topics: SourceTopics,
    pub(crate) out_of_orderness: Duration,
    /// `None`: as configured.
    pub(crate) idle_timeout: Option<Duration>,
    /// `None`: as configured.
    pub(crate) reset: Option<AutoOffsetReset>,
    /// Decides about records that cannot be read; `None`: the topology's, or as configured.
    pub(crate) on_deserialization_error: Option<Handler>,
}

/// A store of a sub-topology.
#[derive(Clone, Debug)]
pub(crate) struct StoreSpec {
    pub(crate) name: Arc<str>,
    /// Whether it has a changelog.
    pub(crate) logged: bool,
}

/// A repartition topic.
#[derive(Clone, Debug)]
pub(crate) struct RepartitionSpec {
    pub(crate) name: Arc<str>,
    /// `None`: the largest count of the sources above.
    pub(crate) partitions: Option<u32>,
    /// The sub-topologies that write it, ascending.
    pub(crate) writers: Vec<u32>,
    /// The sub-topology that reads it.
    pub(crate) reader: u32,
    /// Whether anything below uses time, so that watermarks have to travel through.
    pub(crate) carries_watermark: bool,
}

/// A connected part of the topology: one task per partition of its sources.
#[derive(Clone, Debug)]
pub(crate) struct SubTopology {
    pub(crate) id: u32,
    pub(crate) sources: Vec<SourceSpec>,
    /// Topics that a sink writes by name; those chosen per record are not known here.
    pub(crate) written: Vec<TopicName>,
    pub(crate) stores: Vec<StoreSpec>,
    /// Groups of sources (by position) whose topics must have equal partition counts, with the node that needs it.
    pub(crate) copartitioned: Vec<(Arc<str>, Vec<usize>)>,
    /// Whether a node of it uses the watermark.
    pub(crate) uses_time: bool,
    /// Whether finals leave: without an idle timeout an empty partition would hold them.
    pub(crate) has_finals: bool,
    /// Node indexes of the graph, in topological order.
    pub(crate) nodes: Vec<usize>,
}

/// What a task is made with.
pub(crate) struct TaskEnv {
    pub(crate) task: TaskId,
    pub(crate) application_id: Arc<str>,
    pub(crate) backend: SharedBackend,
    pub(crate) topics: Arc<PartitionCounts>,
    pub(crate) limits: Rc<RecordLimits>,
    /// About the bytes of clean entries that each store may keep decoded; 0 turns conflation off everywhere.
    pub(crate) cache_bytes: usize,
}

/// A built topology.
pub(crate) struct Blueprint {
    pub(crate) subtopologies: Vec<SubTopology>,
    pub(crate) repartitions: Vec<RepartitionSpec>,
    /// Changes with whatever decides how old state is read; text, for a difference.
    pub(crate) fingerprint: String,
    pub(crate) graph: Graph,
}

impl Blueprint {
    /// What the program says about failures.
    pub(crate) fn handlers(&self) -> &Handlers {
        &self.graph.handlers
    }
    /// A store by the name that the program gave it: its sub-topology, its place there, and how it is read.
    pub(crate) fn store(&self, name: &str) -> Option<(u32, usize, Option<&Readable>)> {
        let found = self
            .subtopologies
            .iter()
            .find_map(|sub| Some((sub.id, sub.stores.iter().position(|store| &*store.name == name)?)));
        let (subtopology, place) = found?;
        let def = self.graph.stores.iter().find(|def| &*def.name == name)?;
        Some((subtopology, place, def.readable.as_ref()))
    }
    /// Makes the nodes of a task and joins them.
    pub(crate) fn instantiate(&self, env: &TaskEnv) -> Result<TaskGraph> {
        self.graph.instantiate(&self.subtopologies, env)
    }
}
