//! The blueprint: an immutable graph of named nodes with typed factories. `dsl` builds it, `runtime` runs it.

mod blueprint;
mod graph;
mod wiring;

pub use blueprint::AutoOffsetReset;
pub(crate) use blueprint::{
    Blueprint, RepartitionSpec, SourceSpec, SourceTopics, StoreSpec, SubTopology, TaskEnv, TopicName,
    changelog_topic,
};
pub(crate) use graph::{Factory, Graph, Kind, NodeId, NodeSpec, Port, RepartitionDef, SinkTopic, StoreDef, StoreId};
pub(crate) use wiring::Wiring;
