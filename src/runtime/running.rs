//! A task at work, with what a commit of it needs: its backend, where its changelogs stand, what waits.

use super::changelog_reader::{EVENT_TIME_HEADER, Keys};
use super::checkpoint::Checkpoint;
use super::process::{Process, Step, broker_error};
use super::start::stored_offsets;
use super::topics::{TaskInput, TaskTopics};
use super::{InputKind, InputPlan, Judging, Ran, Saved, Task, TaskCheckpoint, TaskPlan, Verdicts, Wakeup};
use crate::broker::{Acknowledged, FailureKind, Offsets, Outgoing};
use crate::error::{Error, Result};
use crate::processor::Counts;
use crate::record::{Headers, TaskId, TopicPartition};
use crate::state::{Batch, Entry, SharedBackend, StoreChange};
use crate::time::Timestamp;
use crate::topology::{SubTopology, TaskEnv, TopicName};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The changelog of a store.
#[derive(Clone, Debug)]
pub(crate) struct StoreLog {
    pub(crate) name: Arc<str>,
    pub(crate) partition: TopicPartition,
    /// The offset after the last record that is in the backend.
    pub(crate) stored: i64,
    /// Where the next record is expected: what lies before it was acknowledged to this task or has been looked at.
    pub(crate) next: i64,
    /// Keys whose value has to be written again.
    pub(crate) again: Keys,
    /// Keys written since the last commit, under `at_least_once`.
    pub(crate) sent: Keys,
    /// `min.compaction.lag.ms`.
    pub(crate) compaction_lag: i64,
}

/// What a start found out.
pub(crate) struct Made {
    pub(crate) id: TaskId,
    pub(crate) commit_id: Option<u64>,
    /// Whether the group has a position of it.
    pub(crate) is_committed: bool,
    /// Whether the stores have moved on from the checkpoint beside them.
    pub(crate) restored: bool,
    /// The date when the group was asked.
    pub(crate) since: Timestamp,
    pub(crate) backend: SharedBackend,
    pub(crate) logs: Vec<Option<StoreLog>>,
    pub(crate) again: Vec<Keys>,
    /// What was decided about records that failed, in a life before.
    pub(crate) verdicts: Verdicts,
}

/// A running task.
pub(crate) struct Running {
    pub(crate) id: TaskId,
    pub(crate) task: Task,
    pub(crate) topics: TaskTopics,
    pub(crate) logs: Vec<Option<StoreLog>>,
    pub(crate) ending: super::ending::Part,
    backend: SharedBackend,
    /// `false` under `at_least_once` until the group has a position: nothing is processed before.
    born: bool,
    pub(crate) has_outputs: bool,
    /// When it wants to be looked at again, as of its last work.
    pub(crate) wakeup: Wakeup,
    /// At the last commit.
    counted: Counts,
    /// Something was written since.
    wrote: bool,
    pending: Option<Pending>,
}

/// A commit that is under way.
struct Pending {
    id: u64,
    entries: Vec<Entry>,
    checkpoint: TaskCheckpoint,
    positions: BTreeMap<TopicPartition, i64>,
}

impl Running {
    pub(crate) fn make(step: &mut Step<'_>, topics: &TaskTopics, made: Made, saved: &Saved) -> Result<Self> {
        let process = step.process;
        let env = TaskEnv {
            task: made.id,
            application_id: process.settings.application_id.clone(),
            backend: made.backend.clone(),
            topics: process.plan.counts.clone(),
            limits: Rc::new(process.record_limits()),
            cache_bytes: cache_share(process),
        };
        let graph = process.blueprint.instantiate(&env)?;
        let plan = task_plan(process, made.id, topics)?;
        let has_outputs = !plan.outputs.is_empty();
        let mut task = Task::new(plan, graph, process.settings.tasks.clone(), saved, step.moment)?;
        task.set_verdicts(made.verdicts);
        for (at, input) in topics.inputs.iter().enumerate() {
            step.consumer.seek(&input.partition, task.position(at));
        }
        let running = Self {
            id: made.id,
            counted: task.counts(),
            task,
            topics: topics.clone(),
            logs: made.logs,
            ending: super::ending::Part::default(),
            backend: made.backend,
            born: made.is_committed || process.settings.is_exactly_once(),
            has_outputs,
            wakeup: Wakeup::default(),
            wrote: false,
            pending: None,
        };
        if made.restored {
            running.note_restored(process, made.commit_id, made.since)?;
        }
        Ok(running)
    }

    /// What was restored need not be read again.
    fn note_restored(&self, process: &Process, commit_id: Option<u64>, since: Timestamp) -> Result<()> {
        let fingerprint = &process.blueprint.fingerprint;
        let checkpoint = Checkpoint::new(
            commit_id,
            stored_offsets(&self.logs),
            since,
            fingerprint,
            self.task.checkpoint(),
        );
        let checkpoint = Some(checkpoint.encode()?);
        self.backend.borrow_mut().write(Batch { entries: Vec::new(), checkpoint })
    }

    /// Takes what there is of its inputs and works on it; what leaves goes to `out`.
    pub(crate) fn work(&mut self, step: &mut Step<'_>, out: &mut Vec<Outgoing>) -> Result<Ran> {
        if !self.born {
            return Ok(Ran::default());
        }
        let most = step.process.settings.tasks.max_buffered_records;
        for at in 0..self.topics.inputs.len() {
            if self.task.wants(at) && !self.fetch(step, at, most)? {
                return Ok(Ran { given_up: true, ..Ran::default() });
            }
        }
        let ran = self.task.run(step.moment, step.process.settings.process_batch)?;
        if !ran.given_up {
            self.take_output(out);
        }
        Ok(ran)
    }

    /// `false`: what is read next is no longer in the log. Another owner may have committed it and had it deleted, or it
    /// is lost: a start finds out, by what the group has.
    fn fetch(&mut self, step: &mut Step<'_>, at: usize, most: usize) -> Result<bool> {
        let Some(TaskInput { partition, .. }) = self.topics.inputs.get(at) else { return Ok(true) };
        match step.consumer.fetch(partition, most) {
            Ok(fetched) => {
                if let Some(position) = step.consumer.position(partition)
                    && (!fetched.records.is_empty() || position != self.task.position(at))
                {
                    self.task.receive(at, fetched.records, position);
                }
                Ok(true)
            }
            Err(failure) => match failure.kind {
                FailureKind::Retriable | FailureKind::Unknown => Ok(true),
                FailureKind::OutOfRange => {
                    let position = self.task.position(at);
                    tracing::warn!(%partition, position, %failure, "what is read next is no longer in the log");
                    Ok(false)
                }
                _ => Err(broker_error(&format!("read {partition}"), &failure)),
            },
        }
    }

    fn take_output(&mut self, out: &mut Vec<Outgoing>) {
        let before = out.len();
        self.task.take_output(out);
        self.wrote |= out.len() > before;
    }

    /// Under `at_least_once` watermarks are told between commits too, behind what was written before.
    pub(crate) fn tell_watermark(&mut self, step: &Step<'_>, out: &mut Vec<Outgoing>) {
        if self.has_outputs && self.born {
            self.task.markers(step.moment, false);
            self.take_output(out);
        }
    }

    /// Whether a commit would keep anything.
    pub(crate) fn needs_commit(&self) -> bool {
        !self.born
            || self.wrote
            || self.task.counts() != self.counted
            || self.task.dirty_bytes() > 0
            || self.wakeup.markers.is_some()
            || self.logs.iter().flatten().any(|log| !log.again.is_empty())
    }

    /// S0, A0: what is held back is forwarded, and the watermark is told.
    pub(crate) fn forward_pending(&mut self, step: &Step<'_>, out: &mut Vec<Outgoing>) -> Result<()> {
        self.task.flush(step.moment)?;
        self.task.markers(step.moment, true);
        self.take_output(out);
        Ok(())
    }

    /// S0, A0: one changelog record per dirty key. The commit is this task's from here on.
    pub(crate) fn collect(&mut self, step: &Step<'_>, out: &mut Vec<Outgoing>) -> Result<()> {
        let mut changes = Vec::new();
        let mut entries = Vec::new();
        let exactly_once = step.process.settings.is_exactly_once();
        for (at, store) in self.task.stores().iter().enumerate() {
            store.borrow_mut().collect(&mut changes)?;
            let log = self.logs.get_mut(at).and_then(Option::as_mut);
            entries.reserve(changes.len());
            if let Some(log) = log {
                out.reserve(changes.len());
                for change in &changes {
                    log.again.remove(&change.key);
                    if !exactly_once {
                        log.sent.insert(change.key.clone());
                    }
                    out.push(log.record(change, exactly_once, step.moment.date));
                }
            }
            let entry = |c: StoreChange| Entry { store: at, value: c.stored(), key: c.key };
            entries.extend(changes.drain(..).map(entry));
        }
        let (id, checkpoint) = (step.process.next_commit_id(), TaskCheckpoint::default());
        self.pending = Some(Pending { id, entries, checkpoint, positions: BTreeMap::new() });
        self.write_again(step, out)
    }

    /// The present values of keys that somebody else has written, or tombstones.
    pub(crate) fn write_again(&mut self, step: &Step<'_>, out: &mut Vec<Outgoing>) -> Result<()> {
        let exactly_once = step.process.settings.is_exactly_once();
        for (store, log) in self.task.stores().iter().zip(&mut self.logs) {
            let Some(log) = log else { continue };
            for key in std::mem::take(&mut log.again) {
                let change = store.borrow_mut().current(&key)?;
                out.push(log.record(&change, exactly_once, step.moment.date));
                log.sent.insert(key);
            }
        }
        Ok(())
    }

    /// S2, A2: the positions of all inputs, changed or not.
    pub(crate) fn offsets(&mut self, exactly_once: bool) -> Result<Offsets> {
        let pending = self.pending.as_mut().ok_or_else(|| Error::internal("positions without a commit"))?;
        let next = |log: &StoreLog| (log.name.clone(), log.next);
        let changelogs: Vec<_> =
            if exactly_once { Vec::new() } else { self.logs.iter().flatten().map(next).collect() };
        let offsets = self.task.commit_offsets(pending.id, &changelogs);
        pending.checkpoint = self.task.checkpoint();
        pending.positions = offsets.iter().map(|(partition, at)| (partition.clone(), at.offset)).collect();
        Ok(offsets)
    }

    /// Whether a commit cannot wait: nothing is processed before the first one, or somebody else's values are to be
    /// put right.
    pub(crate) fn is_urgent(&self) -> bool {
        !self.born
            || self.ending.wants_commit()
            || self.logs.iter().flatten().any(|log| !log.again.is_empty())
    }

    /// What it had counted at its last commit.
    pub(crate) fn counted(&self) -> Counts {
        self.counted
    }

    pub(crate) fn pending_id(&self) -> Option<u64> {
        self.pending.as_ref().map(|pending| pending.id)
    }

    /// Where its changelogs end now, as the transaction's end told.
    pub(crate) fn acknowledged(&mut self, acknowledged: &Acknowledged) {
        for log in self.logs.iter_mut().flatten() {
            if let Some(last) = acknowledged.get(&log.partition).and_then(|ranges| ranges.last()) {
                log.next = last.end;
                log.stored = last.end;
            }
        }
    }

    /// S4, A1: one atomic batch; returns the positions that the group has now.
    pub(crate) fn write(&mut self, step: &Step<'_>) -> Result<BTreeMap<TopicPartition, i64>> {
        let pending = self.pending.take().ok_or_else(|| Error::internal("a batch without a commit"))?;
        if !step.process.settings.is_exactly_once() {
            self.logs.iter_mut().flatten().for_each(|log| log.stored = log.next);
        }
        let fingerprint = &step.process.blueprint.fingerprint;
        let offsets = stored_offsets(&self.logs);
        let checkpoint =
            Checkpoint::new(Some(pending.id), offsets, step.moment.date, fingerprint, pending.checkpoint);
        let batch = Batch { entries: pending.entries, checkpoint: Some(checkpoint.encode()?) };
        self.backend.borrow_mut().write(batch)?;
        self.task.stores().iter().for_each(|store| store.borrow_mut().committed());
        self.logs.iter_mut().flatten().for_each(|log| log.sent.clear());
        (self.born, self.wrote) = (true, false);
        self.counted = self.task.counts();
        self.task.committed();
        self.wakeup.markers = None;
        Ok(pending.positions)
    }

    /// Keys that this task has written since its last commit, or has to write again, by store.
    pub(crate) fn unsettled_keys(&mut self) -> Vec<Keys> {
        let take = |log: &mut Option<StoreLog>| {
            let Some(log) = log else { return Keys::new() };
            let mut keys = std::mem::take(&mut log.again);
            keys.append(&mut log.sent);
            keys
        };
        self.logs.iter_mut().map(take).collect()
    }
}

impl StoreLog {
    /// A change as the changelog holds it. Under `at_least_once` the timestamp is the wall clock's, because the cleaner
    /// measures the compaction lag by it; the event time is in a header.
    fn record(&self, change: &StoreChange, exactly_once: bool, date: Timestamp) -> Outgoing {
        let mut headers = Headers::new();
        let mut timestamp = change.timestamp;
        if !exactly_once {
            headers.push(EVENT_TIME_HEADER, Some(change.timestamp.0.to_be_bytes()));
            timestamp = date;
        }
        Outgoing {
            target: self.partition.clone(),
            timestamp,
            key: Some(change.key.clone()),
            value: change.value.clone(),
            headers,
        }
    }
}

/// Of the budget for decoded entries, what each store of each task may use.
fn cache_share(process: &Process) -> usize {
    match process.settings.cache_bytes {
        0 => 0,
        bytes => {
            let stores: usize = process.plan.tasks.values().map(|topics| topics.changelogs.len()).sum();
            (bytes / stores.max(1)).max(1)
        }
    }
}

fn task_plan(process: &Process, id: TaskId, topics: &TaskTopics) -> Result<TaskPlan> {
    let blueprint = &process.blueprint;
    let sub = blueprint.subtopologies.iter().find(|sub| sub.id == id.subtopology);
    let sub = sub.ok_or_else(|| Error::internal(format!("no sub-topology for task {id}")))?;
    let mut slots: BTreeMap<usize, usize> = BTreeMap::new();
    let inputs = topics.inputs.iter().map(|input| {
        let slot = slots.entry(input.source).or_default();
        let plan = InputPlan {
            partition: input.partition.clone(),
            source: input.source,
            slot: *slot,
            kind: input_kind(process, sub, input)?,
        };
        *slot += 1;
        Ok(plan)
    });
    let inputs = inputs.collect::<Result<_>>()?;
    let told =
        blueprint.repartitions.iter().filter(|spec| spec.carries_watermark && spec.writers.contains(&sub.id));
    let outputs = told.filter_map(|spec| {
        let name = TopicName::Repartition(spec.name.clone()).on_broker(&process.settings.application_id);
        process.plan.counts.get(&name).map(|count| (name, *count))
    });
    let logged = sub.stores.iter().filter(|store| store.logged && !process.settings.is_exactly_once());
    let changelogs = logged.map(|store| store.name.clone()).collect();
    let (outputs, judging) = (outputs.collect(), judging(process, sub));
    Ok(TaskPlan { id, inputs, outputs, changelogs, judging })
}

fn judging(process: &Process, sub: &SubTopology) -> Judging {
    let topic = process.settings.dead_letter_topic.as_ref();
    let partitions = |topic: &Arc<str>| process.plan.counts.get(topic).copied();
    Judging {
        handlers: process.blueprint.handlers().clone(),
        sources: sub.sources.iter().map(|source| source.on_deserialization_error.clone()).collect(),
        dead_letters: topic.and_then(|topic| Some((topic.clone(), partitions(topic)?))),
    }
}

fn input_kind(process: &Process, sub: &SubTopology, input: &TaskInput) -> Result<InputKind> {
    let source = sub.sources.get(input.source);
    let source = source.ok_or_else(|| Error::internal(format!("no source for {}", input.partition)))?;
    let repartition = input.repartition.and_then(|at| process.blueprint.repartitions.get(at));
    Ok(match repartition {
        None => {
            InputKind::Source { out_of_orderness: source.out_of_orderness, idle_timeout: source.idle_timeout }
        }
        Some(spec) => {
            let writes = |id: &&TaskId| spec.writers.contains(&id.subtopology);
            InputKind::Repartition { writers: process.plan.tasks.keys().filter(writes).copied().collect() }
        }
    })
}
