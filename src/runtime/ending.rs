//! The end of the input on an embedded log, agreed on by all instances of an application.
//!
//! ```text
//!   draining --all tasks have read to the end--> levelling --all tasks are at the largest watermark--> closing --> done
//! ```
//! While it is levelled, gaps are filled as usual; then filling is switched off and, with `AtEnd::Close`, time runs on
//! until nothing is open, task after task along the repartition topics. A task reports when it has committed, so what
//! it wrote can be read. A task that was restored after a crash goes through the same again.

use super::process::{Activity, Step};
use super::running::Running;
use crate::broker::Isolation;
use crate::record::{TaskId, TopicPartition};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens to what is still open at the end of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// Time runs on until everything has closed.
    Close,
    /// It stays open.
    Leave,
}

/// Shared by a log and the instances that run on it.
#[derive(Clone, Default)]
pub(crate) struct EndOfInput(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    declared: Option<(AtEnd, Arc<BTreeMap<TopicPartition, i64>>)>,
    applications: BTreeMap<Arc<str>, Progress>,
}

#[derive(Clone, Default)]
struct Progress {
    phase: Phase,
    reports: BTreeMap<TaskId, Timestamp>,
}

/// How far an application is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Draining,
    Levelling(Timestamp),
    Closing,
    Done,
}

impl EndOfInput {
    pub(crate) fn declare(&self, at_end: AtEnd, ends: BTreeMap<TopicPartition, i64>) {
        let mut state = self.lock();
        if state.declared.is_none() {
            state.declared = Some((at_end, Arc::new(ends)));
        }
    }

    /// No state is left half changed: nothing of a caller runs inside.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, application: &Arc<str>, at: Phase, task: TaskId, watermark: Timestamp, tasks: usize) {
        let mut state = self.lock();
        let progress = state.applications.entry(application.clone()).or_default();
        if progress.phase != at {
            return;
        }
        progress.reports.insert(task, watermark);
        if progress.reports.len() < tasks {
            return;
        }
        let largest = progress.reports.values().copied().max().unwrap_or(Timestamp::MIN);
        progress.reports.clear();
        progress.phase = match at {
            Phase::Draining => Phase::Levelling(largest),
            Phase::Levelling(_) => Phase::Closing,
            Phase::Closing | Phase::Done => Phase::Done,
        };
    }
}

/// The end as an instance sees it in one step.
pub(crate) struct Ending {
    shared: Option<EndOfInput>,
    application: Arc<str>,
    now: Option<Now>,
}

struct Now {
    at_end: AtEnd,
    ends: Arc<BTreeMap<TopicPartition, i64>>,
    phase: Phase,
    reported: BTreeSet<TaskId>,
}

/// How far one task is with it.
#[derive(Debug, Default)]
pub(crate) struct Part {
    told: Told,
    /// The phase in which it has done everything; what it wrote is to be committed.
    finished: Option<Phase>,
    committed: bool,
    reported: Option<Phase>,
}

/// The last thing that its task was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    #[default]
    Nothing,
    Level,
    StopFilling,
    CloseAll,
}

impl Part {
    /// Also where nothing changed, so that what was done can be reported.
    pub(crate) fn wants_commit(&self) -> bool {
        self.finished.is_some() && !self.committed
    }
    pub(crate) fn committed(&mut self) {
        self.committed |= self.finished.is_some();
    }
}

impl Ending {
    pub(crate) fn new(shared: Option<EndOfInput>, application: Arc<str>) -> Self {
        Self { shared, application, now: None }
    }

    /// Reads the shared state once for a step.
    pub(crate) fn refresh(&mut self) {
        let Some(shared) = &self.shared else { return };
        let mut state = shared.lock();
        let Some((at_end, ends)) = state.declared.clone() else { return };
        let progress = state.applications.entry(self.application.clone()).or_default();
        let reported = progress.reports.keys().copied().collect();
        self.now = Some(Now { at_end, ends, phase: progress.phase, reported });
    }

    pub(crate) fn is_done(&self) -> bool {
        self.now.as_ref().is_some_and(|now| now.phase == Phase::Done)
    }

    /// Everything was read: commits need not wait for their interval any longer.
    pub(crate) fn is_under_way(&self) -> bool {
        self.now.as_ref().is_some_and(|now| now.phase > Phase::Draining)
    }

    /// Does for a task what its phase asks for, and reports when that is committed.
    pub(crate) fn drive(&self, step: &mut Step<'_>, running: &mut Running, activity: &mut Activity) {
        let (Some(shared), Some(now)) = (&self.shared, &self.now) else { return };
        if now.phase == Phase::Done || running.ending.reported == Some(now.phase) {
            return;
        }
        if !has_drained(running, &now.ends) {
            return;
        }
        let done = match now.phase {
            Phase::Draining => true,
            Phase::Levelling(to) => {
                raise(running, to, activity);
                running.task.at_rest()
                    && now.upstream_has_reported(step, running)
                    && has_read_all(step, running)
            }
            _ => {
                stop_filling(running, activity);
                let reads_on = !now.upstream_has_reported(step, running) || !has_read_all(step, running);
                if now.at_end == AtEnd::Close
                    && !reads_on
                    && running.task.at_rest()
                    && running.ending.told < Told::CloseAll
                {
                    running.task.close_all();
                    running.ending.told = Told::CloseAll;
                    activity.progressed = true;
                }
                running.task.at_rest() && !reads_on
            }
        };
        if done {
            self.finish(step, shared, now.phase, running, activity);
        }
    }

    fn finish(
        &self,
        step: &Step<'_>,
        shared: &EndOfInput,
        phase: Phase,
        running: &mut Running,
        activity: &mut Activity,
    ) {
        let part = &mut running.ending;
        if phase != Phase::Draining && part.finished != Some(phase) {
            (part.finished, part.committed) = (Some(phase), false);
            activity.progressed = true;
            return;
        }
        if phase == Phase::Draining || part.committed && !running.needs_commit() {
            let tasks = step.process.plan.tasks.len();
            shared.report(&self.application, phase, running.id, largest_watermark(running), tasks);
            running.ending.reported = Some(phase);
            activity.progressed = true;
        }
    }
}

impl Now {
    /// Whether everything that writes what this task reads has finished the phase.
    fn upstream_has_reported(&self, step: &Step<'_>, running: &Running) -> bool {
        let blueprint = &step.process.blueprint;
        let writers =
            running.topics.inputs.iter().filter_map(|input| blueprint.repartitions.get(input.repartition?));
        let mut writers = writers.flat_map(|spec| &spec.writers);
        writers.all(|sub| {
            let mut tasks = step.process.plan.tasks.keys().filter(|id| id.subtopology == *sub);
            tasks.all(|id| id.subtopology == running.id.subtopology || self.reported.contains(id))
        })
    }
}

fn raise(running: &mut Running, to: Timestamp, activity: &mut Activity) {
    if running.ending.told < Told::Level {
        running.task.raise_watermark(to);
        running.ending.told = Told::Level;
        activity.progressed = true;
    }
}

fn stop_filling(running: &mut Running, activity: &mut Activity) {
    if running.ending.told < Told::StopFilling {
        running.task.stop_filling();
        running.ending.told = Told::StopFilling;
        activity.progressed = true;
    }
}

/// Everything that was there when the end was declared has been worked off.
fn has_drained(running: &Running, ends: &BTreeMap<TopicPartition, i64>) -> bool {
    let read = |(at, input): (usize, &super::topics::TaskInput)| {
        let end = ends.get(&input.partition).filter(|_| input.repartition.is_none());
        end.is_none_or(|end| running.task.position(at) >= *end)
    };
    running.task.at_rest() && running.topics.inputs.iter().enumerate().all(read)
}

/// Its repartition topics are read to their ends; nobody writes them any longer.
fn has_read_all(step: &mut Step<'_>, running: &Running) -> bool {
    running.topics.inputs.iter().enumerate().filter(|(_, input)| input.repartition.is_some()).all(
        |(at, input)| {
            let ticket = step.admin.start_bounds(vec![input.partition.clone()], Isolation::ReadUncommitted);
            let told = step.admin.poll_bounds(ticket).and_then(Result::ok);
            let end = told.and_then(|bounds| bounds.get(&input.partition).copied());
            end.is_some_and(|bounds| running.task.position(at) >= bounds.end)
        },
    )
}

fn largest_watermark(running: &Running) -> Timestamp {
    running.task.largest_source_watermark()
}
