//! A task begins at its last commit: of each time that was saved twice the larger counts.

use super::advance::Handed;
use super::input::InputWatermark;
use super::{InputCheckpoint, InputPlan, Saved, SavedInput, Stops, Task, TaskPlan, TaskSettings, Verdicts};
use crate::error::{Error, Result};
use crate::processor::{Cx, DeadLetters, Effects, Judge, TaskGraph, guarded};
use crate::runtime::offset_metadata::OffsetMetadata;
use crate::runtime::partition_group::PartitionGroup;
use crate::runtime::{InputKind, Moment};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Task {
    /// Makes a task at its last commit. Its nodes read what they have open; what is due up to the saved watermark is
    /// worked off by `run` before it takes a record. Refused where the offset metadata could grow too large.
    pub(crate) fn new(
        plan: TaskPlan,
        graph: TaskGraph,
        settings: TaskSettings,
        saved: &Saved,
        moment: Moment,
    ) -> Result<Self> {
        if saved.inputs.len() != plan.inputs.len() {
            return Err(Error::internal(format!("task {} starts with positions of other inputs", plan.id)));
        }
        check_metadata(&plan, &graph, settings.metadata_max_bytes)?;
        let (mut watermarks, mut starts) = (Vec::new(), Vec::new());
        for (input, saved_input) in plan.inputs.iter().zip(&saved.inputs) {
            let checkpoint =
                saved.checkpoint.as_ref().and_then(|checkpoint| checkpoint.input(&input.partition));
            let (watermark, partition_time) = restored(input, saved_input, checkpoint, &settings, moment.now);
            watermarks.push(watermark);
            starts.push((input.partition.clone(), saved_input.position, partition_time));
        }
        let closed = closed_bounds(saved, &closing_stores(&graph));
        let group =
            PartitionGroup::new(starts.into_iter(), settings.max_task_idle, settings.max_buffered_records);
        let judge = judge(&plan, &settings);
        let mut task = Self {
            id: plan.id,
            plan,
            graph,
            settings,
            group,
            watermarks,
            watermark: Timestamp::MIN,
            handed: Handed::nothing(begun(saved)),
            effects: Effects::new(judge),
            closed,
            told: Timestamp::MIN,
            marked: None,
            closing: false,
            verdicts: Verdicts::default(),
            waits_until: None,
            stops: Stops::No,
        };
        task.move_watermark();
        task.restore_nodes(moment.now)?;
        Ok(task)
    }

    fn restore_nodes(&mut self, now: Timestamp) -> Result<()> {
        for node in &self.graph.nodes {
            let mut node = node.borrow_mut();
            let bound = node.closes().and_then(|store| self.closed.get(store)).copied();
            let mut cx = Cx::quiet(Timestamp::MIN, now, &mut self.effects);
            guarded(|| node.restored(&mut cx, bound.unwrap_or(Timestamp::MIN)))
                .map_err(|error| error.with("task", self.id.to_string()).with("while", "restoring"))?;
        }
        // The first `run` looks for itself.
        self.effects.alarm = Timestamp::MIN;
        Ok(())
    }
}

fn judge(plan: &TaskPlan, settings: &TaskSettings) -> Judge {
    let letters = plan.judging.dead_letters.clone();
    Judge {
        task: plan.id,
        handlers: plan.judging.handlers.clone(),
        configured: settings.on_error,
        retries: settings.retries,
        letters: letters.map(|(topic, partitions)| DeadLetters::new(topic, partitions)),
    }
}

fn restored(
    input: &InputPlan,
    saved: &SavedInput,
    checkpoint: Option<&InputCheckpoint>,
    settings: &TaskSettings,
    now: Timestamp,
) -> (InputWatermark, Timestamp) {
    let mut watermark = InputWatermark::new(input, settings, now);
    let mut partition_time = Timestamp::MIN;
    if let Some(metadata) = &saved.metadata {
        partition_time = metadata.partition_time;
        watermark.raise(metadata.watermark());
        metadata.heard.iter().for_each(|heard| watermark.restore(heard));
    }
    if let Some(checkpoint) = checkpoint {
        partition_time = partition_time.max(checkpoint.partition_time);
        watermark.raise(checkpoint.watermark);
        checkpoint.heard.iter().for_each(|heard| watermark.restore(heard));
    }
    (watermark, partition_time)
}

/// The moment that an earlier task was working off when it committed.
fn begun(saved: &Saved) -> Timestamp {
    let metadata = saved.inputs.iter().filter_map(|input| input.metadata.as_ref()?.advance());
    metadata.chain(saved.checkpoint.as_ref().and_then(|c| c.advance)).max().unwrap_or(Timestamp::MIN)
}

/// The stores whose windows close in this task, as the user named them.
fn closing_stores(graph: &TaskGraph) -> Vec<Arc<str>> {
    graph.nodes.iter().filter_map(|node| node.borrow().closes().cloned()).collect()
}

fn closed_bounds(saved: &Saved, stores: &[Arc<str>]) -> BTreeMap<Arc<str>, Timestamp> {
    let mut closed: BTreeMap<Arc<str>, Timestamp> = BTreeMap::new();
    let mut take = |store: Arc<str>, bound: Timestamp| {
        let known = closed.entry(store).or_insert(bound);
        *known = (*known).max(bound);
    };
    for metadata in saved.inputs.iter().filter_map(|input| input.metadata.as_ref()) {
        metadata.closed().for_each(|(store, bound)| take(store.into(), bound));
    }
    if let Some(checkpoint) = &saved.checkpoint {
        checkpoint.closed.iter().for_each(|(store, bound)| take(store.clone(), *bound));
    }
    // Of stores that the program does not have any more nothing is carried on.
    closed.retain(|store, _| stores.contains(store));
    closed
}

/// A commit that the broker would refuse must not be found out in the middle of the night.
fn check_metadata(plan: &TaskPlan, graph: &TaskGraph, limit: usize) -> Result<()> {
    let closed = closing_stores(graph);
    let closed: Vec<&str> = closed.iter().map(|store| &**store).collect();
    let changelogs: Vec<&str> = plan.changelogs.iter().map(|store| &**store).collect();
    let first = plan.inputs.iter().map(|input| &input.partition).min();
    for input in &plan.inputs {
        let writers = match &input.kind {
            InputKind::Source { .. } => 0,
            InputKind::Repartition { writers } => writers.len(),
        };
        let (closed, changelogs): (&[&str], &[&str]) =
            if Some(&input.partition) == first { (&closed, &changelogs) } else { (&[], &[]) };
        let bytes = OffsetMetadata::worst_case_bytes(closed, changelogs, writers);
        if bytes > limit {
            return Err(Error::topology(format!(
                "the offset metadata of {} could need {bytes} bytes, the limit is {limit}",
                input.partition
            ))
            .with("task", plan.id.to_string())
            .with("writers", format!("{writers} tasks write the topic"))
            .with(
                "stores",
                format!("{} with a closed bound, {} changelog offsets", closed.len(), changelogs.len()),
            )
            .help("give the sources above fewer partitions"));
        }
    }
    Ok(())
}
