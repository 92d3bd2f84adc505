//! The instances of an application, their log and their clocks, stepped by one thread.

use crate::broker::memory::{MemoryLog, Timeouts};
use crate::error::Result;
use crate::processor::Counts;
use crate::record::TaskId;
use crate::runtime::{CommitPoint, Explanation, Instance, State, Stepped, StreamsConfig, Surroundings};
use crate::state::MemoryDisk;
use crate::time::{Clock, ManualClock};
use crate::topology::Topology;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// More rounds without an end than any test needs.
const MOST_ROUNDS: usize = 10_000_000;

/// So often (ms) every instance is stepped while time passes: nothing that lives times out.
const HEARTBEAT: i64 = 10_000;

/// What is to be killed next, shared with the instances' hooks; the instance that it was is noted.
#[derive(Clone, Default)]
struct Kill(Rc<RefCell<Option<CommitPoint>>>);

struct Member {
    disk: MemoryDisk,
    instance: Option<Instance>,
    /// What its former lives counted.
    gone: Counts,
}

/// All of it.
pub(super) struct Cluster {
    topology: Topology,
    config: StreamsConfig,
    pub(super) clock: ManualClock,
    pub(super) log: MemoryLog,
    members: Vec<Member>,
    kill: Kill,
    started: u64,
    last: Stepped,
    /// Until then (machine's clock) the group waits for a member that is dead.
    dead_until: i64,
}

impl Cluster {
    pub(super) fn new(
        topology: Topology,
        config: StreamsConfig,
        instances: usize,
        clock: ManualClock,
    ) -> Result<Self> {
        config.check()?;
        let log = MemoryLog::new(Arc::new(clock.clone()));
        let member = |_| Member { disk: MemoryDisk::default(), instance: None, gone: Counts::default() };
        let members = (0..instances).map(member).collect();
        let (kill, last) = (Kill::default(), Stepped::default());
        Ok(Self { topology, config, clock, log, members, kill, started: 0, last, dead_until: 0 })
    }

    pub(super) fn start_all(&mut self) -> Result<()> {
        (0..self.members.len()).try_for_each(|number| self.start(number))
    }

    fn start(&mut self, number: usize) -> Result<()> {
        self.started += 1;
        let kill = self.kill.clone();
        let hook = move |point| {
            let hit = *kill.0.borrow() == Some(point);
            if hit {
                kill.0.replace(None);
            }
            hit
        };
        let Some(member) = self.members.get_mut(number) else { return Ok(()) };
        let surroundings = Surroundings {
            client: Box::new(self.log.client(&format!("instance-{number}"))),
            disk: Box::new(member.disk.clone()),
            instance_id: format!("{number}"),
            seed: self.started << 20,
            kill: Some(Box::new(hook)),
        };
        let blueprint = self.topology.blueprint().clone();
        let settings = self.config.settings()?;
        let clock = Arc::new(self.clock.clone());
        member.instance = Some(Instance::new(blueprint, settings, clock, surroundings, None)?);
        Ok(())
    }

    /// As a process that is killed: its memory is gone, its disk is not, and it says goodbye to nobody.
    pub(super) fn crash(&mut self, number: usize) {
        let Some(member) = self.members.get_mut(number) else { return };
        let Some(instance) = member.instance.take() else { return };
        member.gone += instance.counts();
        if !instance.is_over() {
            // Once for a member, and once more for one that had joined and had no answer yet.
            self.dead_until = self.machine() + 2 * Timeouts::default().session + 1;
        }
    }

    pub(super) fn crash_and_restart(&mut self, number: usize) -> Result<()> {
        self.crash(number);
        self.start(number)
    }

    pub(super) fn lose_disk(&mut self, number: usize) {
        if let Some(member) = self.members.get(number) {
            member.disk.lose();
        }
    }

    pub(super) fn kill_at(&mut self, point: CommitPoint) {
        self.kill.0.replace(Some(point));
    }
    /// The kill that was ordered has not happened yet.
    pub(super) fn kill_pending(&self) -> bool {
        self.kill.0.borrow().is_some()
    }

    /// These are members from now on; the others stop in order.
    pub(super) fn members(&mut self, wanted: &[usize]) -> Result<()> {
        for number in 0..self.members.len() {
            let runs = self.members.get(number).is_some_and(|member| member.instance.is_some());
            match (wanted.contains(&number), runs) {
                (true, false) => self.start(number)?,
                (false, true) => self.stop(number)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn stop(&mut self, number: usize) -> Result<()> {
        let instance = |cluster: &mut Self| -> Option<bool> {
            let instance = cluster.members.get_mut(number)?.instance.as_mut()?;
            instance.stop();
            Some(instance.is_over())
        };
        for _ in 0..MOST_ROUNDS {
            if instance(self) != Some(false) {
                break;
            }
            if !self.round()? {
                self.wait_for_log();
            }
        }
        self.crash(number);
        Ok(())
    }

    /// Steps every instance once; whether anything was done. One that was killed starts again.
    fn round(&mut self) -> Result<bool> {
        let mut all = Stepped::default();
        for number in 0..self.members.len() {
            let Some(instance) = self.members.get_mut(number).and_then(|member| member.instance.as_mut())
            else {
                continue;
            };
            match instance.step() {
                Ok(stepped) => all = merge(all, stepped),
                Err(_) if instance.is_killed() => {
                    self.crash_and_restart(number)?;
                    all.progressed = true;
                }
                Err(error) => return Err(error),
            }
        }
        self.last = all;
        Ok(all.progressed)
    }

    /// Until nothing is left to do at this moment.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut rounds = 0;
        while self.round()? && rounds < MOST_ROUNDS {
            rounds += 1;
        }
        Ok(())
    }

    /// Until nothing is left to do and, if asked, everything is committed. Where all that is left is to wait for the log (a dangling
    /// transaction, a dead member), the machine's clock passes it.
    pub(super) fn settle(&mut self, commit: bool) -> Result<()> {
        for _ in 0..MOST_ROUNDS {
            self.run()?;
            let unsettled = |member: &Member| member.instance.as_ref().is_some_and(|i| !i.is_settled());
            if self.last.awaiting || !self.is_running() || self.machine() < self.dead_until {
                self.wait_for_log();
            } else if commit && self.members.iter().any(unsettled) {
                self.instances().for_each(Instance::commit_soon);
            } else {
                return Ok(());
            }
        }
        Err(crate::error::Error::internal("the application does not come to rest"))
    }

    /// Commits once, whatever there is.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.settle(false)?;
        self.instances().for_each(Instance::commit_soon);
        self.settle(true)
    }

    fn instances(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.members.iter_mut().filter_map(|member| member.instance.as_mut())
    }

    fn is_running(&self) -> bool {
        let running = |instance: &Instance| matches!(instance.state(), State::Running);
        self.members.iter().filter_map(|member| member.instance.as_ref()).all(running)
    }

    /// The machine's clock goes to the next moment at which the log or an instance does something by itself.
    fn wait_for_log(&mut self) {
        let now = self.machine();
        let next = [self.last.next_machine_wakeup, self.log.next_timeout(), Some(now + HEARTBEAT)];
        let next = next.into_iter().flatten().min().unwrap_or(now);
        self.clock.advance_machine((next - now).max(1));
    }

    /// Both clocks go on, from one moment at which something is due to the next.
    pub(super) fn pass(&mut self, time: Duration) -> Result<()> {
        let end = self.clock.now().plus(time);
        loop {
            self.run()?;
            let (now, machine) =
                (crate::time::Clock::now(&self.clock), crate::time::Clock::monotonic(&self.clock));
            if now >= end {
                return Ok(());
            }
            let application = self.last.next_application_wakeup.map(|at| at.0.saturating_sub(now.0));
            let machine = self.last.next_machine_wakeup.map(|at| at - machine);
            let soonest =
                [application, machine, Some(HEARTBEAT)].into_iter().flatten().min().unwrap_or(HEARTBEAT);
            self.clock.advance(soonest.clamp(1, end.0 - now.0));
        }
    }

    pub(super) fn counts(&self, number: usize) -> Counts {
        let Some(member) = self.members.get(number) else { return Counts::default() };
        let mut counts = member.gone;
        if let Some(instance) = &member.instance {
            counts += instance.counts();
        }
        counts
    }
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }
    pub(super) fn tasks(&self, number: usize) -> Vec<TaskId> {
        let instance = self.members.get(number).and_then(|member| member.instance.as_ref());
        instance.map(Instance::tasks).unwrap_or_default()
    }
    pub(super) fn explain(&self, number: usize) -> BTreeMap<TaskId, Explanation> {
        let instance = self.members.get(number).and_then(|member| member.instance.as_ref());
        instance.map(Instance::explain).into_iter().flatten().collect()
    }
    fn machine(&self) -> i64 {
        self.clock.monotonic()
    }
}

fn merge(a: Stepped, b: Stepped) -> Stepped {
    fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
        a.into_iter().chain(b).min()
    }
    Stepped {
        progressed: a.progressed || b.progressed,
        awaiting: a.awaiting || b.awaiting,
        next_machine_wakeup: earlier(a.next_machine_wakeup, b.next_machine_wakeup),
        next_application_wakeup: earlier(a.next_application_wakeup, b.next_application_wakeup),
    }
}
