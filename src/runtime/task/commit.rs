//! What a commit takes from a task, and what its markers tell the tasks below.

use super::input::InputWatermark;
use super::{InputCheckpoint, Task, TaskCheckpoint};
use crate::broker::{CommittedOffset, Offsets, Outgoing};
use crate::record::TopicPartition;
use crate::runtime::Moment;
use crate::runtime::offset_metadata::OffsetMetadata;
use crate::runtime::writers::Marker;
use crate::time::{Timestamp, millis};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Task {
    /// Moves what is to be written to `out`, in order.
    pub(crate) fn take_output(&mut self, out: &mut Vec<Outgoing>) {
        out.append(&mut self.effects.records);
    }

    /// Adds markers to the output where the present watermark was not told yet: with a commit, and between commits at
    /// most once per interval. What they tell has been worked off: whatever it closed lies before them.
    pub(crate) fn markers(&mut self, moment: Moment, commit: bool) {
        let watermark = self.handed.watermark;
        if watermark <= self.told || !commit && self.next_markers().is_some_and(|next| moment.machine < next)
        {
            return;
        }
        let headers = Marker { writer: self.id, watermark }.headers();
        for (topic, partitions) in &self.plan.outputs {
            for partition in 0..*partitions {
                self.effects.records.push(Outgoing {
                    target: TopicPartition { topic: topic.clone(), partition },
                    // Kafka Streams takes a marker for a record, and its time must not run ahead of ours.
                    timestamp: watermark.max(Timestamp(0)),
                    key: None,
                    value: None,
                    headers: headers.clone(),
                });
            }
        }
        self.told = watermark;
        self.marked = Some(moment.machine);
    }

    /// When markers may be written between commits; `None`: there is nothing to tell.
    pub(super) fn next_markers(&self) -> Option<i64> {
        let untold = !self.plan.outputs.is_empty() && self.handed.watermark > self.told;
        let interval = millis(self.settings.marker_interval);
        untold.then(|| self.marked.map_or(i64::MIN, |marked| marked.saturating_add(interval)))
    }

    /// Positions of **all** inputs with their metadata; `changelogs`: by store, the offset after the last record.
    pub(crate) fn commit_offsets(&self, commit_id: u64, changelogs: &[(Arc<str>, i64)]) -> Offsets {
        let (closed, advance) = (self.closed_bounds(), self.handed.unfinished(self.watermark));
        let committed = |(at, partition): (usize, &TopicPartition)| {
            let mut metadata = OffsetMetadata::new(self.group.partition_time(at))
                .with_watermark(self.input_watermark(at))
                .with_commit_id(commit_id);
            if self.group.is_first(at) {
                metadata = metadata.with_advance(advance);
                metadata = closed.iter().fold(metadata, |m, (store, bound)| m.with_closed(store, *bound));
                metadata =
                    changelogs.iter().fold(metadata, |m, (store, next)| m.with_changelog(store, *next));
            }
            metadata.heard = self.watermarks.get(at).and_then(InputWatermark::heard);
            let metadata = metadata.encode(self.settings.metadata_max_bytes);
            (partition.clone(), CommittedOffset { offset: self.group.handled(at), metadata })
        };
        self.partitions().enumerate().map(committed).collect()
    }

    /// What goes with the stores' batch. It belongs to the same moment as `commit_offsets`.
    pub(crate) fn checkpoint(&self) -> TaskCheckpoint {
        let input = |(at, partition): (usize, &TopicPartition)| InputCheckpoint {
            topic: partition.topic.clone(),
            partition: partition.partition,
            position: self.group.handled(at),
            partition_time: self.group.partition_time(at),
            watermark: self.input_watermark(at),
            heard: self.watermarks.get(at).and_then(InputWatermark::heard),
        };
        TaskCheckpoint {
            inputs: self.partitions().enumerate().map(input).collect(),
            closed: self.closed_bounds(),
            advance: self.handed.unfinished(self.watermark),
        }
    }

    fn input_watermark(&self, at: usize) -> Timestamp {
        self.watermarks.get(at).map_or(Timestamp::MIN, InputWatermark::watermark)
    }

    /// How far each node came, which in the middle of an advance differs; never less than was saved before, so that a
    /// larger grace opens nothing again.
    fn closed_bounds(&self) -> BTreeMap<Arc<str>, Timestamp> {
        let mut closed = self.closed.clone();
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let node = node.borrow();
            let Some(store) = node.closes() else { continue };
            let bound = node.closed_bound(self.handed.at(at));
            let known = closed.entry(store.clone()).or_insert(bound);
            *known = (*known).max(bound);
        }
        closed.retain(|_, bound| *bound > Timestamp::MIN);
        closed
    }
}
