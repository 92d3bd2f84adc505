//! The application's thread: steps the instance while there is something to do, and otherwise waits to be woken by the
//! log or until the instance has something to do by itself. Everything that decides is in the instance.

use super::home::Home;
use super::instance::{Instance, State, Stepped};
use super::listeners::Listeners;
use super::progress::{News, Progress};
use super::restore_listener::{RestoreTeller, StateRestore};
use super::running_streams::{Shared, Snapshot};
use super::uncaught::{Replacements, UncaughtErrorResponse, panicked};
use super::watchdog::Watchdog;
use super::{Moment, Settings};
use crate::error::Result;
use crate::time::Clock;
use crate::topology::Topology;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// The longest sleep of the thread: the group hears of it at least that often.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);
/// The longest sleep while the application's clock has something to do, for that clock need not run with the machine's.
const CLOCK_SLEEP: Duration = Duration::from_millis(10);
/// The longest sleep while an answer is awaited.
const ANSWER_SLEEP: Duration = Duration::from_millis(5);
/// After it has worked, so many things may happen before it is woken, or so much time may pass: a writer that is slower
/// than it would otherwise wake it for every record.
const FEW: u64 = 64;
const NAP: Duration = Duration::from_millis(1);
/// Steps between two looks at the counts while it is busy.
const PUBLISH_STEPS: u32 = 64;

/// The application's thread.
pub(super) struct ApplicationThread {
    pub(super) shared: Arc<Shared>,
    pub(super) listeners: Listeners,
    pub(super) home: Arc<dyn Home>,
    pub(super) progress: RefCell<Progress>,
}

/// A member of the group while it lives.
struct Life {
    instance: Instance,
    /// What its tasks restore, if anybody listens.
    restores: Option<Receiver<StateRestore>>,
    /// What its predecessors had done.
    before: Snapshot,
}

impl ApplicationThread {
    /// Until it stops, or fails for good.
    pub(super) fn run(&self, topology: &Topology, settings: &Settings) -> Result<()> {
        let mut replacements = Replacements::new(settings);
        loop {
            let Err(error) = self.live(topology, settings) else { return Ok(()) };
            // Whoever reads is told at once; the next life answers later ones.
            self.shared.forget_reads();
            let stops = self.shared.lock().stop;
            if stops || self.listeners.failed(&error) != UncaughtErrorResponse::ReplaceThread {
                return Err(error);
            }
            let Some(wait) = replacements.next(self.shared.lock().snapshot.commits) else {
                return Err(replacements.exhausted(error));
            };
            tracing::error!(%error, "starts anew from the last commit in {} ms", wait.as_millis());
            if self.shared.is_stopped_within(wait) {
                return Ok(());
            }
        }
    }

    /// One member of the group, from its start to its end.
    fn live(&self, topology: &Topology, settings: &Settings) -> Result<()> {
        let before = self.shared.lock().snapshot.clone();
        let blueprint = topology.blueprint().clone();
        let surroundings = self.home.surroundings(settings, &blueprint.fingerprint)?;
        let (clock, end) = (self.home.clock(), self.home.end_of_input());
        let mut instance = Instance::new(blueprint, settings.clone(), clock, surroundings, end)?;
        let restores = self.listeners.restore.is_some().then(|| {
            let (teller, restores) = RestoreTeller::channel();
            instance.tell_restores(teller);
            restores
        });
        let mut life = Life { instance, restores, before };
        let lived = catch_unwind(AssertUnwindSafe(|| self.drive(&mut life)));
        lived.unwrap_or_else(|panic| {
            // What the panic left half done may panic again.
            let _gives_up_what_it_can = catch_unwind(AssertUnwindSafe(|| life.instance.fail()));
            Err(panicked(&*panic))
        })
    }

    fn drive(&self, life: &mut Life) -> Result<()> {
        let (clock, signal) = (self.home.clock(), self.home.signal());
        let (mut seen, mut busy, mut steps) = (signal.count(), false, 0);
        let mut full = self.home.times_full();
        while !life.instance.is_over() {
            let orders = self.shared.orders();
            orders.reads.iter().for_each(|read| life.instance.answer(read));
            life.instance.pause(orders.pause);
            if orders.stop || life.instance.is_at_end() {
                life.instance.stop();
            }
            let now_full = self.home.times_full();
            if std::mem::replace(&mut full, now_full) != now_full {
                life.instance.commit_soon();
            }
            let stepped = life.instance.step();
            steps += 1;
            self.shared.steps.count();
            life.restores.iter().flat_map(Receiver::try_iter).for_each(|told| self.listeners.restored(&told));
            let state = self.shared.lock().state;
            let Ok(stepped) = stepped else {
                // Whether it has failed for good is not known yet.
                self.publish(life, state);
                return stepped.map(drop);
            };
            let now = life.instance.state();
            if !stepped.progressed || steps % PUBLISH_STEPS == 0 || now != state {
                self.publish(life, now);
            }
            busy |= stepped.progressed;
            if !stepped.progressed {
                self.rest(&*clock, stepped, &mut seen, &mut busy);
            }
        }
        self.publish(life, life.instance.state());
        Ok(())
    }

    /// Tells the others what was done, and sleeps unless something has happened since the last look.
    fn rest(&self, clock: &dyn Clock, stepped: Stepped, seen: &mut u64, busy: &mut bool) {
        let signal = self.home.signal();
        let before = signal.count();
        let news = std::mem::replace(seen, before) != before;
        let worked = std::mem::take(busy);
        if worked && signal.notify() == before + 1 {
            *seen = before + 1;
        }
        if worked && !self.shared.lock().stop {
            signal.wait(seen.saturating_add(FEW), NAP.min(sleep(clock, stepped)));
        } else if !news {
            signal.wait(*seen, sleep(clock, stepped));
        }
    }

    fn publish(&self, Life { instance, before, .. }: &Life, state: State) {
        let mut counts = before.counts;
        counts += instance.counts();
        let snapshot = Snapshot {
            counts,
            commits: before.commits + instance.commits(),
            stores_set_aside: before.stores_set_aside + instance.stores_set_aside(),
            tasks: instance.tasks(),
            positions: instance.positions(),
            lag: instance.lag(),
            windows: instance.explain().into_iter().collect(),
            restoring: instance.restoring(),
            paused: instance.is_paused(),
        };
        let moment = Moment::of(&*self.home.clock());
        self.progress.borrow_mut().look(moment, state, &snapshot).iter().for_each(News::log);
        let mut told = self.shared.lock();
        let old = std::mem::replace(&mut told.state, state);
        told.snapshot = snapshot;
        drop(told);
        self.listeners.state_changed(state, old);
    }

    pub(super) fn end(&self, outcome: Result<()>) {
        let state = if outcome.is_ok() { State::NotRunning } else { State::Error };
        let moment = Moment::of(&*self.home.clock());
        self.progress.borrow_mut().look(moment, state, &Snapshot::default()).iter().for_each(News::log);
        let mut told = self.shared.lock();
        let old = std::mem::replace(&mut told.state, state);
        told.outcome = Some(outcome);
        drop(told);
        self.shared.forget_reads();
        self.shared.over.notify_all();
        self.listeners.state_changed(state, old);
    }
}

pub(super) fn watch(shared: Arc<Shared>, clock: Arc<dyn Clock>, timeout: i64) {
    let mut watchdog = Watchdog::new(timeout, &*clock);
    std::thread::spawn(move || {
        while !shared.wait(Some(watchdog.interval())) {
            if let Some(silent) = watchdog.look(&shared.steps, &*clock) {
                tracing::error!(
                    "no step was finished for {silent} ms: the program's code hangs, or waits for something; its \
                     tasks stand still, and after max.poll.interval.ms the group gives them to others"
                );
            }
        }
    });
}

fn sleep(clock: &dyn Clock, stepped: Stepped) -> Duration {
    let mut most = LONGEST_SLEEP;
    if let Some(at) = stepped.next_machine_wakeup {
        let left = at.saturating_sub(clock.monotonic()).max(1);
        most = most.min(Duration::from_millis(left.unsigned_abs()));
    }
    if stepped.next_application_wakeup.is_some() {
        most = most.min(CLOCK_SLEEP);
    }
    if stepped.awaiting {
        most = most.min(ANSWER_SLEEP);
    }
    most
}
