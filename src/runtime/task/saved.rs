//! What a commit keeps of a task's time, twice: in the offset metadata of the group, and beside the stores.

use crate::record::TopicPartition;
use crate::runtime::offset_metadata::OffsetMetadata;
use crate::runtime::writers::Heard;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a task starts. Of each watermark and bound the larger of both copies counts: one of them may be lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Saved {
    /// As `TaskPlan::inputs`.
    pub(crate) inputs: Vec<SavedInput>,
    /// `None`: the store is new, or was set aside.
    pub(crate) checkpoint: Option<TaskCheckpoint>,
}

/// Where an input starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct SavedInput {
    /// The offset to read next.
    pub(crate) position: i64,
    /// `None`: nothing was committed, or it cannot be read.
    pub(crate) metadata: Option<OffsetMetadata>,
}

/// What goes with the stores' batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct TaskCheckpoint {
    pub(crate) inputs: Vec<InputCheckpoint>,
    /// Closed bounds by store.
    pub(crate) closed: BTreeMap<Arc<str>, Timestamp>,
    /// In the middle of an advance: the moment that was being worked off.
    pub(crate) advance: Option<Timestamp>,
}

/// An input at a commit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct InputCheckpoint {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
    /// The offset to read next.
    pub(crate) position: i64,
    pub(crate) partition_time: Timestamp,
    pub(crate) watermark: Timestamp,
    /// Of a repartition topic: what was heard from its writers.
    pub(crate) heard: Option<Heard>,
}

impl TaskCheckpoint {
    pub(super) fn input(&self, partition: &TopicPartition) -> Option<&InputCheckpoint> {
        let same = |input: &&InputCheckpoint| {
            input.topic == partition.topic && input.partition == partition.partition
        };
        self.inputs.iter().find(same)
    }
}
