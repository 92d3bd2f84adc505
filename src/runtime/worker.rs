//! A worker ("stream thread"): some of the tasks of an instance, one producer, one commit for all of them.
//!
//! ```text
//!   processing --commit due--> committing --done--> processing
//!       |                          | guard, fence, failure
//!       +------ failure ------> aborting (S9) --> every task starts again at the last batch
//! ```

use super::Verdicts;
use super::audit::Audit;
use super::changelog_reader::Keys;
use super::commit::{Commit, Done, Outcome, Parts};
use super::ending::Ending;
use super::point::CommitPoint;
use super::process::{Activity, Process, Step, broker_error, earlier};
use super::producer::{OwnProducer, Sent};
use super::progress::Restoring;
use super::questions::Questions;
use super::running::Running;
use super::start::{Start, Started};
use crate::broker::{FailureKind, GroupMetadata, Outgoing, Ticket};
use crate::error::{Error, Result};
use crate::processor::Counts;
use crate::record::{TaskId, TopicPartition};
use std::collections::BTreeMap;

/// What its instance wants of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Take nothing more; commit what there is.
    pub(crate) finish: bool,
    /// Commit without waiting for the interval.
    pub(crate) commit: bool,
    /// Process nothing; start, restore and commit all the same.
    pub(crate) pause: bool,
}

/// Tasks with their producer.
pub(crate) struct Worker {
    producer: OwnProducer,
    doing: Doing,
    /// Under whom its tasks are owned; `None`: lost.
    owner: Option<GroupMetadata>,
    /// Given to it while it was busy with what it had before.
    assigned: Option<(GroupMetadata, Vec<TaskId>)>,
    starts: Vec<Start>,
    running: Vec<Running>,
    unsent: Vec<Outgoing>,
    questions: Questions,
    audit: Audit,
    /// The machine's clock; `None`: nothing was committed yet.
    last_commit: Option<i64>,
    commit_due: bool,
    paused: bool,
    rejoin: bool,
    commits: u64,
    /// Of tasks that are gone, as far as they were committed.
    gone: Counts,
}

enum Doing {
    Processing,
    Committing(Commit),
    Aborting(Option<Ticket>),
}

impl Worker {
    pub(crate) fn new(process: &Process, number: usize) -> Self {
        let settings = &process.settings;
        let id = format!("{}-{}-{number}", settings.application_id, process.instance_id);
        Self {
            producer: OwnProducer::new(settings.is_exactly_once().then_some(id)),
            doing: Doing::Processing,
            owner: None,
            assigned: None,
            starts: Vec::new(),
            running: Vec::new(),
            unsent: Vec::new(),
            questions: Questions::default(),
            audit: Audit::default(),
            last_commit: None,
            commit_due: false,
            paused: false,
            rejoin: false,
            commits: 0,
            gone: Counts::default(),
        }
    }

    /// Tasks that are owned from now on.
    pub(crate) fn assign(&mut self, owner: GroupMetadata, tasks: Vec<TaskId>) {
        self.assigned = Some((owner, tasks));
    }

    /// The group went on without this member: nothing more can be committed. An end of a transaction that is under way
    /// is waited for, because it decides what the stores hold.
    pub(crate) fn lose(&mut self) {
        (self.owner, self.assigned) = (None, None);
        self.starts.clear();
        self.questions.forget();
        if matches!(self.doing, Doing::Processing)
            && !(self.running.is_empty() && self.producer.began().is_none())
        {
            self.abort("the assignment is lost");
        }
    }

    /// Whether there is nothing left that a commit would keep.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.doing, Doing::Processing)
            && self.unsent.is_empty()
            && !self.running.iter().any(Running::needs_commit)
    }

    /// Before a revocation is acknowledged: ends its tasks in order.
    pub(crate) fn release(&mut self) {
        (self.owner, self.assigned) = (None, None);
        self.starts.clear();
        self.close_tasks();
    }

    fn close_tasks(&mut self) {
        self.questions.forget();
        self.audit.interrupt();
        for mut running in self.running.drain(..) {
            self.gone += running.counted();
            running.task.close();
        }
    }

    /// Something may be under way that only a new generation makes harmless.
    pub(crate) fn wants_rejoin(&mut self) -> bool {
        std::mem::take(&mut self.rejoin)
    }
    pub(crate) fn commits(&self) -> u64 {
        self.commits
    }
    pub(crate) fn is_starting(&self) -> bool {
        self.assigned.is_some() || !self.starts.is_empty() || matches!(self.doing, Doing::Aborting(_))
    }
    pub(crate) fn running(&self) -> &[Running] {
        &self.running
    }
    /// The tasks whose stores are theirs to show: not what an abort is about to take back.
    pub(crate) fn readable(&self) -> &[Running] {
        match self.doing {
            Doing::Processing | Doing::Committing(_) if self.owner.is_some() => &self.running,
            _ => &[],
        }
    }
    /// The tasks whose changelogs are being read.
    pub(crate) fn restoring(&self) -> impl Iterator<Item = (TaskId, Restoring)> {
        self.starts.iter().filter_map(|start| Some((start.id, start.restoring()?)))
    }
    /// The tasks that are its own, running or not yet.
    pub(crate) fn owned(&self) -> impl Iterator<Item = TaskId> {
        let assigned = self.assigned.iter().flat_map(|(_, tasks)| tasks).copied();
        let starting = self.starts.iter().map(|start| start.id);
        assigned.chain(starting).chain(self.running.iter().map(|running| running.id))
    }

    /// What its tasks counted; repeated work after an abort is counted once.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.gone;
        self.running.iter().for_each(|running| counts += running.task.counts());
        counts
    }

    pub(crate) fn step(&mut self, step: &mut Step<'_>, orders: Orders, ending: &Ending) -> Result<Activity> {
        match &mut self.doing {
            Doing::Processing => self.process(step, orders, ending),
            Doing::Committing(_) => self.commit(step, orders),
            Doing::Aborting(_) => self.aborting(step, orders),
        }
    }

    fn process(&mut self, step: &mut Step<'_>, orders: Orders, ending: &Ending) -> Result<Activity> {
        if orders.finish {
            self.starts.clear();
            self.assigned = None;
        }
        let taken = self.take_assigned(step);
        if self.running.is_empty() && self.starts.is_empty() {
            return Ok(Activity { progressed: taken, ..Activity::default() });
        }
        let made = self.producer.ensure(step)?;
        if !self.producer.is_ready() {
            return Ok(made);
        }
        let mut activity = Activity { progressed: taken, ..made };
        activity.add(self.start_tasks(step)?);
        if !self.send(step, &mut activity)? {
            return Ok(activity);
        }
        self.pause(step, orders);
        if !orders.finish && !orders.pause {
            let worked = match self.work(step, ending, &mut activity) {
                Ok(worked) => worked,
                Err(error) => return self.read_failed(error),
            };
            if !worked || !self.send(step, &mut activity)? {
                return Ok(activity);
            }
            activity.add(self.questions.step(step, &mut self.running));
        }
        if !orders.finish && !step.process.settings.is_exactly_once() {
            activity.add(self.audit.step(step, &mut self.running)?);
        }
        self.begin_commit(step, orders, &mut activity);
        Ok(activity)
    }

    /// What is known of the logs from before a pause, and the silence so far, count for nothing after it.
    fn pause(&mut self, step: &Step<'_>, orders: Orders) {
        if std::mem::replace(&mut self.paused, orders.pause) && !orders.pause {
            self.questions.forget();
            self.running.iter_mut().for_each(|running| running.task.resume(step.moment));
        }
    }

    /// Tasks of an assignment before this one have been committed or dropped by now.
    fn take_assigned(&mut self, step: &Step<'_>) -> bool {
        if self.owner.is_none() {
            self.close_tasks();
        }
        let Some((owner, tasks)) = self.assigned.take() else { return false };
        self.close_tasks();
        self.owner = Some(owner);
        let start = |id| {
            let topics = step.process.plan.tasks.get(&id)?.clone();
            Some(Start::new(id, topics, Vec::new(), Verdicts::default()))
        };
        self.starts = tasks.into_iter().filter_map(start).collect();
        true
    }

    fn start_tasks(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        let mut activity = Activity::default();
        for mut start in std::mem::take(&mut self.starts) {
            match start.step(step)? {
                Started::Not(one) => {
                    activity.add(one);
                    self.starts.push(start);
                }
                Started::Running(running) => {
                    tracing::info!(task = %running.id, "running");
                    self.running.push(*running);
                    activity.progressed = true;
                }
            }
        }
        self.running.sort_by_key(|running| running.id);
        Ok(activity)
    }

    /// `false`: what was read is given up.
    fn work(&mut self, step: &mut Step<'_>, ending: &Ending, activity: &mut Activity) -> Result<bool> {
        let exactly_once = step.process.settings.is_exactly_once();
        for running in &mut self.running {
            let ran = running.work(step, &mut self.unsent)?;
            if ran.given_up {
                self.abort("a record failed after it had changed something, or the next one is gone");
                activity.progressed = true;
                return Ok(false);
            }
            activity.progressed |= ran.progressed;
            self.commit_due |= ran.commit_due;
            if !exactly_once {
                running.tell_watermark(step, &mut self.unsent);
            }
            ending.drive(step, running, activity);
            running.wakeup = running.task.next_wakeup(step.moment);
            let wakeup = &running.wakeup;
            activity.machine = earlier(activity.machine, wakeup.machine);
            if !exactly_once {
                activity.machine = earlier(activity.machine, wakeup.markers);
            }
            // Where nothing is due, the watermark matters only to the tasks below.
            let question = wakeup.question.filter(|_| running.has_outputs);
            activity.application = earlier(activity.application, earlier(wakeup.due, question));
        }
        let waiting: usize = self.running.iter().map(|running| running.task.dirty_bytes()).sum();
        self.commit_due |= waiting > step.process.settings.tasks.uncommitted_max_bytes;
        Ok(true)
    }

    /// `false`: nothing more may be read, or what was read is given up.
    fn send(&mut self, step: &Step<'_>, activity: &mut Activity) -> Result<bool> {
        match self.producer.send(&mut self.unsent, step.moment.machine) {
            Sent::All => Ok(true),
            Sent::Full if self.is_overdue(step) => {
                self.abort("the queue stays full for longer than a transaction may be open");
                activity.progressed = true;
                Ok(false)
            }
            Sent::Full => {
                activity.awaiting = true;
                Ok(false)
            }
            Sent::Failed(failure) if step.process.learns(&failure)? => {
                self.abort(&failure.message);
                activity.progressed = true;
                Ok(false)
            }
            Sent::Failed(failure) if failure.kind == FailureKind::Fatal => {
                Err(broker_error("write a result", &failure))
            }
            Sent::Failed(failure) => {
                self.abort(&failure.message);
                activity.progressed = true;
                Ok(false)
            }
        }
    }

    fn is_overdue(&self, step: &Step<'_>) -> bool {
        self.producer
            .began()
            .is_some_and(|began| step.moment.machine - began > step.process.settings.transaction_timeout)
    }

    fn begin_commit(&mut self, step: &Step<'_>, orders: Orders, activity: &mut Activity) {
        if self.running.is_empty()
            || !self.running.iter().any(|r| r.needs_commit() || r.ending.wants_commit())
        {
            return;
        }
        let machine = step.moment.machine;
        let due = self.last_commit.map_or(machine, |last| last + step.process.settings.commit_interval);
        let now = orders.finish || orders.commit || self.commit_due;
        if !now && machine < due && !self.running.iter().any(Running::is_urgent) {
            activity.machine = earlier(activity.machine, Some(due));
            return;
        }
        (self.last_commit, self.commit_due) = (Some(machine), false);
        self.audit.interrupt();
        self.doing = Doing::Committing(Commit::new(step.process.settings.is_exactly_once(), machine));
        activity.progressed = true;
    }

    fn commit(&mut self, step: &mut Step<'_>, orders: Orders) -> Result<Activity> {
        let Doing::Committing(commit) = &mut self.doing else { return Ok(Activity::default()) };
        let mut parts = Parts {
            producer: &mut self.producer,
            running: &mut self.running,
            unsent: &mut self.unsent,
            owner: self.owner.as_ref(),
        };
        match commit.step(step, &mut parts) {
            Ok(Outcome::Not(activity)) => return Ok(activity),
            Ok(Outcome::Back(why)) => self.abort(&why),
            Ok(Outcome::Done(done)) => self.committed(step, orders, &done),
            Err(error) => return self.read_failed(error),
        }
        Ok(Activity::PROGRESS)
    }

    /// Stores that cannot be read, before anything is committed: the tasks open them again. A store that cannot be
    /// written is no error of a commit.
    fn read_failed(&mut self, error: Error) -> Result<Activity> {
        if !error.is_disk() {
            return Err(error);
        }
        tracing::error!(%error, "the state cannot be read: the tasks are opened again");
        self.abort("the state cannot be read");
        Ok(Activity::PROGRESS)
    }

    fn committed(&mut self, step: &mut Step<'_>, orders: Orders, done: &Done) {
        self.commits += 1;
        self.doing = Doing::Processing;
        self.rejoin |= done.rejoin;
        self.purge(step, &done.positions);
        self.running.iter_mut().for_each(|running| running.ending.committed());
        if !done.restart.is_empty() {
            self.questions.forget();
            let (again, kept) = std::mem::take(&mut self.running)
                .into_iter()
                .partition::<Vec<_>, _>(|running| done.restart.contains(&running.id));
            self.running = kept;
            self.restart(again, orders);
        }
    }

    /// What was read and committed is not needed any longer, where nobody else reads it.
    fn purge(&self, step: &mut Step<'_>, positions: &BTreeMap<TopicPartition, i64>) {
        let inputs = self.running.iter().flat_map(|running| &running.topics.inputs);
        let purged = inputs.filter(|input| input.purged).map(|input| &input.partition);
        let before: BTreeMap<TopicPartition, i64> =
            purged.filter_map(|partition| Some((partition.clone(), *positions.get(partition)?))).collect();
        if !before.is_empty() {
            step.admin.delete_records(&before);
        }
    }

    /// S9: gives up what was not committed.
    fn abort(&mut self, why: &str) {
        tracing::warn!(why, "back to the last commit");
        self.unsent.clear();
        self.questions.forget();
        self.audit.interrupt();
        self.doing = Doing::Aborting(None);
    }

    fn aborting(&mut self, step: &mut Step<'_>, orders: Orders) -> Result<Activity> {
        let Doing::Aborting(ticket) = &mut self.doing else { return Ok(Activity::default()) };
        if ticket.is_none() {
            step.process.before(CommitPoint::S9)?;
        }
        if self.producer.began().is_some() {
            let ticket = match *ticket {
                Some(ticket) => ticket,
                None => *ticket.insert(self.producer.start(|producer| producer.start_abort())?),
            };
            match self.producer.poll(ticket) {
                None => return Ok(Activity::WAIT),
                Some(Ok(_)) => self.producer.ended(),
                Some(Err(failure)) => {
                    tracing::warn!(%failure, "the transaction cannot be aborted: the producer is replaced");
                    self.producer.replace();
                }
            }
        } else if !step.process.settings.is_exactly_once() {
            // What it still has under way may arrive later, and is then found as a gap.
            self.producer.replace();
        }
        self.doing = Doing::Processing;
        let running = std::mem::take(&mut self.running);
        self.restart(running, orders);
        Ok(Activity::PROGRESS)
    }

    /// Tasks go back to the last batch, if they are still owned.
    fn restart(&mut self, tasks: Vec<Running>, orders: Orders) {
        for mut running in tasks {
            self.gone += running.counted();
            let again: Vec<Keys> = running.unsettled_keys();
            let (id, topics, verdicts) = (running.id, running.topics.clone(), running.task.take_verdicts());
            drop(running);
            if self.owner.is_some() && !orders.finish {
                self.starts.push(Start::new(id, topics, again, verdicts));
            }
        }
    }

    /// The process ends in an error: readers need not wait for the transaction to time out.
    pub(crate) fn give_up(&mut self) {
        if self.producer.began().is_some() {
            let _answer_is_not_waited_for = self.producer.start(|producer| producer.start_abort());
        }
        self.gone = self.running.drain(..).fold(self.gone, |mut gone, running| {
            gone += running.counted();
            gone
        });
        self.starts.clear();
    }
}
