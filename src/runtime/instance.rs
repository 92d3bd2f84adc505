//! A process of an application: one member of the group, its workers, and what happens to it, step by step.
//!
//! ```text
//!   preparing --topics are there--> running --stop--> stopping --committed, left--> stopped
//!                                      |  error
//!                                      +------------> failed
//! ```
//! Everything is done by whoever calls `step`; nothing blocks, and nothing is read from a clock but the one given.

use super::ask::Ask;
use super::ending::{EndOfInput, Ending};
use super::housekeeping::Housekeeping;
use super::point::CommitPoint;
use super::preparation::Preparation;
use super::process::{Activity, Process, Step, Surroundings, broker_error};
use super::progress::Restoring;
use super::reads::Read;
use super::restore_listener::RestoreTeller;
use super::worker::{Orders, Worker};
use super::{Explanation, Moment, Settings};
use crate::broker::{Admin, Consumer, Failure, GroupEvent};
use crate::error::{Error, ErrorKind, Result};
use crate::processor::Counts;
use crate::record::{TaskId, TopicPartition};
use crate::time::{Clock, Timestamp};
use crate::topology::Blueprint;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a step did, and when the next one is needed if nothing comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stepped {
    /// Call again at once.
    pub(crate) progressed: bool,
    /// A call of the client is not answered: look again soon, or when the log can be reached again.
    pub(crate) awaiting: bool,
    pub(crate) next_machine_wakeup: Option<i64>,
    pub(crate) next_application_wakeup: Option<Timestamp>,
}

/// Kafka Streams' states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, and not started.
    Created,
    /// Tasks are being assigned or restored.
    Rebalancing,
    /// Every task it owns is running.
    Running,
    /// It commits what there is and leaves the group.
    PendingShutdown,
    /// It has stopped.
    NotRunning,
    /// It has stopped because of an error.
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Preparing,
    Running,
    /// Until when (machine's clock) the last commit may take.
    Stopping(i64),
    Stopped,
    Failed,
}

/// A member of the application's group.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Instance {
    process: Process,
    clock: Arc<dyn Clock>,
    consumer: Box<dyn Consumer>,
    admin: Box<dyn Admin>,
    phase: Phase,
    preparation: Preparation,
    /// After each assignment: are the topics what they were?
    recheck: Option<Ask>,
    workers: Vec<Worker>,
    /// A revocation waits for the workers to commit.
    revoking: bool,
    /// It has an assignment, maybe an empty one.
    assigned: bool,
    ending: Ending,
    commit_wanted: bool,
    paused: bool,
    housekeeping: Housekeeping,
}

impl Instance {
    /// `end_of_input`: of the log it runs on, if that has one.
    pub(crate) fn new(
        blueprint: Arc<Blueprint>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        surroundings: Surroundings,
        end_of_input: Option<EndOfInput>,
    ) -> Result<Self> {
        let application = settings.application_id.clone();
        let member = surroundings.instance_id.clone();
        let made = |failure: Failure| broker_error("make a client", &failure);
        let consumer = surroundings.client.consumer(&application, &member).map_err(made)?;
        let admin = surroundings.client.admin().map_err(made)?;
        let process = Process::new(blueprint, settings, surroundings);
        let workers = (0..process.settings.workers).map(|number| Worker::new(&process, number)).collect();
        warn_of_finals(&process);
        Ok(Self {
            process,
            clock,
            consumer,
            admin,
            phase: Phase::Preparing,
            preparation: Preparation::default(),
            recheck: None,
            workers,
            revoking: false,
            assigned: false,
            ending: Ending::new(end_of_input, application),
            commit_wanted: false,
            paused: false,
            housekeeping: Housekeeping::default(),
        })
    }

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Running
                if self.assigned && !self.revoking && !self.workers.iter().any(Worker::is_starting) =>
            {
                State::Running
            }
            Phase::Preparing | Phase::Running => State::Rebalancing,
            Phase::Stopping(_) => State::PendingShutdown,
            Phase::Stopped => State::NotRunning,
            Phase::Failed => State::Error,
        }
    }
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Stopped | Phase::Failed)
    }
    /// The kill hook said so: it does nothing any more, as a process that was killed.
    pub(crate) fn is_killed(&self) -> bool {
        self.process.is_killed()
    }
    /// The end of the input was declared, and everything up to it is committed, by all instances.
    pub(crate) fn is_at_end(&self) -> bool {
        self.ending.is_done()
    }
    /// Nothing that a commit would keep waits in it.
    pub(crate) fn is_settled(&self) -> bool {
        self.workers.iter().all(Worker::is_settled)
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.workers.iter().for_each(|worker| counts += worker.counts());
        counts
    }
    pub(crate) fn commits(&self) -> u64 {
        self.workers.iter().map(Worker::commits).sum()
    }
    /// How often the local state of a task was corrupt, and restored.
    pub(crate) fn stores_set_aside(&self) -> u64 {
        self.process.disk.set_aside()
    }
    /// The running tasks.
    pub(crate) fn tasks(&self) -> Vec<TaskId> {
        self.workers.iter().flat_map(Worker::running).map(|running| running.id).collect()
    }
    /// Where the client goes on reading each input of the running tasks.
    pub(crate) fn positions(&self) -> BTreeMap<TopicPartition, i64> {
        let running = self.workers.iter().flat_map(Worker::running);
        let inputs = running.flat_map(|running| {
            let at = |(at, input): (usize, &super::topics::TaskInput)| {
                (input.partition.clone(), running.task.position(at))
            };
            running.topics.inputs.iter().enumerate().map(at).collect::<Vec<_>>()
        });
        inputs.collect()
    }
    /// Records that are there and not read yet, as far as it is known.
    pub(crate) fn lag(&self) -> BTreeMap<TopicPartition, u64> {
        let lag = |(partition, at): (TopicPartition, i64)| {
            let end = self.consumer.known_end(&partition)?;
            Some((partition, u64::try_from(end - at).unwrap_or(0)))
        };
        self.positions().into_iter().filter_map(lag).collect()
    }
    /// The tasks whose changelogs are being read.
    pub(crate) fn restoring(&self) -> BTreeMap<TaskId, Restoring> {
        self.workers.iter().flat_map(Worker::restoring).collect()
    }
    /// Why the windows of each running task are still open.
    pub(crate) fn explain(&self) -> Vec<(TaskId, Explanation)> {
        let moment = Moment::of(&*self.clock);
        let running = self.workers.iter().flat_map(Worker::running);
        running.map(|running| (running.id, running.task.explain(moment))).collect()
    }

    /// Of the group, as this member knows it; negative while it is in none.
    #[cfg(test)]
    pub(crate) fn generation(&self) -> i32 {
        self.consumer.group_metadata().generation
    }

    /// The next step commits without waiting for the interval.
    pub(crate) fn commit_soon(&mut self) {
        self.commit_wanted = true;
    }

    /// Answers a read of a store; called between two steps.
    pub(crate) fn answer(&self, read: &Read) {
        self.workers.iter().for_each(|worker| read.answer(worker, &self.process));
    }

    /// Restores are told there from now on.
    pub(crate) fn tell_restores(&mut self, teller: RestoreTeller) {
        self.process.restores = teller;
    }

    /// While it is paused nothing is processed; everything else goes on.
    pub(crate) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Takes nothing more, commits, leaves the group.
    pub(crate) fn stop(&mut self) {
        if matches!(self.phase, Phase::Preparing | Phase::Running) {
            let until = self.clock.monotonic() + self.process.settings.shutdown_timeout;
            self.phase = Phase::Stopping(until);
        }
    }

    /// Does what there is to do now. An error ends the instance: what was not committed is given up.
    pub(crate) fn step(&mut self) -> Result<Stepped> {
        if self.is_over() || self.is_killed() {
            return Ok(Stepped::default());
        }
        let moment = Moment::of(&*self.clock);
        match self.advance(moment) {
            Ok(activity) => Ok(Stepped {
                progressed: activity.progressed,
                awaiting: activity.awaiting,
                next_machine_wakeup: activity.machine,
                next_application_wakeup: activity.application,
            }),
            Err(error) => {
                if !self.is_killed() {
                    self.fail();
                }
                Err(error)
            }
        }
    }

    fn advance(&mut self, moment: Moment) -> Result<Activity> {
        match self.phase {
            Phase::Preparing => self.prepare(moment),
            Phase::Running => {
                self.ending.refresh();
                let mut activity = self.follow_group()?;
                activity.add(self.check_topics(moment)?);
                let commit = self.commit_wanted || self.ending.is_under_way();
                let orders = Orders { finish: self.revoking, commit, pause: self.paused };
                activity.add(self.step_workers(moment, orders)?);
                self.commit_wanted = false;
                self.finish_revocation(&mut activity)?;
                if self.assigned {
                    let owned = self.workers.iter().flat_map(Worker::owned);
                    self.housekeeping.step(&self.process, owned, moment);
                }
                Ok(activity)
            }
            Phase::Stopping(until) => {
                let mut activity = self.follow_group()?;
                activity.add(self.step_workers(moment, Orders { finish: true, commit: true, pause: false })?);
                let settled = self.workers.iter().all(Worker::is_settled);
                if settled || moment.machine >= until {
                    self.leave(settled);
                    activity.progressed = true;
                }
                activity.machine = super::process::earlier(activity.machine, Some(until));
                Ok(activity)
            }
            Phase::Stopped | Phase::Failed => Ok(Activity::default()),
        }
    }

    fn prepare(&mut self, moment: Moment) -> Result<Activity> {
        let (blueprint, settings) = (self.process.blueprint.clone(), self.process.settings.clone());
        let mut step =
            Step { process: &self.process, consumer: &mut *self.consumer, admin: &mut *self.admin, moment };
        let (plan, activity) = self.preparation.step(&mut step, &blueprint, &settings)?;
        if let Some(plan) = plan {
            self.consumer.subscribe(&plan.subscription);
            self.process.plan = plan;
            self.phase = Phase::Running;
        }
        Ok(activity)
    }

    /// A partition count that changed moves keys to other tasks: nothing may go on.
    fn check_topics(&mut self, moment: Moment) -> Result<Activity> {
        let Some(ask) = &mut self.recheck else { return Ok(Activity::default()) };
        let topics = self.process.plan.subscription.clone();
        let mut step =
            Step { process: &self.process, consumer: &mut *self.consumer, admin: &mut *self.admin, moment };
        let told = ask.poll(
            &mut step,
            "look at the topics",
            |admin| admin.start_describe(topics),
            |admin, ticket| admin.poll_describe(ticket),
        )?;
        let Some(existing) = told else { return Ok(ask.activity()) };
        self.recheck = None;
        self.process.plan.check_unchanged(&existing)?;
        Ok(Activity::PROGRESS)
    }

    /// Also tells the group that this member lives.
    fn follow_group(&mut self) -> Result<Activity> {
        let mut activity = Activity::default();
        while let Some(event) = self.consumer.poll_group() {
            activity.progressed = true;
            match event {
                GroupEvent::Assigned(partitions) => self.assign(&partitions)?,
                GroupEvent::Revoked => {
                    self.revoking = true;
                    break;
                }
                GroupEvent::Lost => {
                    tracing::warn!("the group went on without this member");
                    (self.revoking, self.assigned) = (false, false);
                    self.workers.iter_mut().for_each(Worker::lose);
                }
            }
        }
        Ok(activity)
    }

    /// Tasks whose partitions are all owned, spread over the workers in turn.
    fn assign(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let plan = &self.process.plan;
        let owned: BTreeSet<&TopicPartition> = partitions.iter().collect();
        let unknown = partitions.iter().find(|partition| plan.task_of(partition).is_none());
        if let Some(partition) = unknown {
            let before = plan.counts.get(&*partition.topic).copied().unwrap_or(0);
            let text = format!(
                "{partition} was assigned, but `{}` had {before} partitions at the start",
                partition.topic
            );
            return Err(Error::new(ErrorKind::Topics, text)
                .with("cause", "partition counts must not change while the application runs")
                .help("start the application again"));
        }
        let whole = plan.tasks.iter().filter(|(_, topics)| {
            !topics.inputs.is_empty() && topics.inputs.iter().all(|input| owned.contains(&input.partition))
        });
        let mut shares: Vec<Vec<TaskId>> = vec![Vec::new(); self.workers.len()];
        let count = shares.len().max(1);
        for (at, (id, _)) in whole.enumerate() {
            if let Some(share) = shares.get_mut(at % count) {
                share.push(*id);
            }
        }
        let member = self.consumer.group_metadata();
        for (worker, share) in self.workers.iter_mut().zip(shares) {
            worker.assign(member.clone(), share);
        }
        (self.assigned, self.revoking, self.recheck) = (true, false, Some(Ask::default()));
        Ok(())
    }

    fn step_workers(&mut self, moment: Moment, orders: Orders) -> Result<Activity> {
        let mut activity = Activity::default();
        let mut rejoin = false;
        for worker in &mut self.workers {
            let mut step = Step {
                process: &self.process,
                consumer: &mut *self.consumer,
                admin: &mut *self.admin,
                moment,
            };
            activity.add(worker.step(&mut step, orders, &self.ending)?);
            rejoin |= worker.wants_rejoin();
        }
        if rejoin {
            // Gives everything back and takes it in a new generation.
            self.consumer.subscribe(&self.process.plan.subscription);
            activity.add(self.follow_group()?);
        }
        Ok(activity)
    }

    /// S6: only now, when what was owned is committed, may somebody else own it.
    fn finish_revocation(&mut self, activity: &mut Activity) -> Result<()> {
        if !self.revoking || !self.workers.iter().all(Worker::is_settled) {
            return Ok(());
        }
        self.workers.iter_mut().for_each(Worker::release);
        self.process.before(CommitPoint::S6)?;
        self.consumer.acknowledge_revocation();
        (self.revoking, self.assigned) = (false, false);
        activity.progressed = true;
        Ok(())
    }

    fn leave(&mut self, settled: bool) {
        if settled {
            self.workers.iter_mut().for_each(Worker::release);
        } else {
            tracing::error!("the last commit did not end in time; it is repeated at the next start");
            self.workers.iter_mut().for_each(Worker::give_up);
        }
        self.consumer.leave();
        self.phase = Phase::Stopped;
    }

    /// It is given up. The others need not wait for a session timeout.
    pub(crate) fn fail(&mut self) {
        self.workers.iter_mut().for_each(Worker::give_up);
        self.consumer.leave();
        self.phase = Phase::Failed;
    }
}

/// One empty source partition holds every final below it: said once, with the way out.
fn warn_of_finals(process: &Process) {
    for sub in &process.blueprint.subtopologies {
        let held = sub.sources.iter().find(|source| source.idle_timeout.is_none());
        if let (true, Some(source), None) = (sub.has_finals, held, process.settings.tasks.idle_timeout) {
            tracing::warn!(
                "finals of sub-topology {} wait for records in every partition of source `{}`; with \
                 highwater.idle.timeout.ms or `Consumed::idle_timeout` the clock moves silent ones",
                sub.id,
                source.node
            );
        }
    }
}
