//! What a program starts and stops: an instance on a thread of its own, and a handle to it.
//!
//! The thread steps the instance while there is something to do, and otherwise waits to be woken by the log or until
//! the instance has something to do by itself. Everything that decides is in the instance.

use super::embedded::EmbeddedLog;
use super::home::Home;
use super::instance::{Instance, State, Stepped};
#[cfg(feature = "kafka")]
use super::kafka_cluster::KafkaCluster;
use super::progress::{News, Progress, Restoring};
use super::watchdog::{Steps, Watchdog};
use super::{Explanation, Moment, Settings, StreamsConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::processor::Counts;
use crate::record::{TaskId, TopicPartition};
use crate::state::StateDirectory;
use crate::time::Clock;
use crate::topology::Topology;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

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

type Listener = Box<dyn Fn(State, State) + Send>;

/// An application that has not been started.
///
/// ```
/// use highwater::{Consumed, EmbeddedLog, KafkaStreams, Produced, StreamsBuilder, StreamsConfig, AtEnd, time::Timestamp};
/// # fn main() -> highwater::Result<()> {
/// let log = EmbeddedLog::new();
/// log.create_topic("lines", 1)?;
/// log.create_topic("loud", 1)?;
/// let builder = StreamsBuilder::new();
/// builder
///     .stream("lines", Consumed::<String, String>::default())
///     .map_values(|line| line.to_uppercase())
///     .to("loud", Produced::default());
/// log.append("lines", &Produced::<String, String>::default(), &"a".into(), &"hello".into(), Timestamp(0))?;
/// log.end_of_input(AtEnd::Close);
/// let config = StreamsConfig::new("loud", "").exactly_once();
/// KafkaStreams::embedded(builder.build()?, &log, config)?.start().wait()?;
/// let loud = log.read("loud", &Consumed::<String, String>::default())?;
/// assert_eq!(loud, [("a".to_owned(), "HELLO".to_owned())]);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing runs until `run` or `start`"]
pub struct KafkaStreams {
    topology: Topology,
    settings: Settings,
    config: StreamsConfig,
    home: Arc<dyn Home>,
    listener: Option<Listener>,
}

/// An application that runs. Dropping it asks it to stop and does not wait.
pub struct RunningStreams {
    shared: Arc<Shared>,
    home: Arc<dyn Home>,
    ended: Option<oneshot::Receiver<()>>,
}

/// What the thread tells, and is told.
#[derive(Default)]
struct Shared {
    inner: Mutex<Told>,
    over: Condvar,
    steps: Steps,
}

struct Told {
    state: State,
    stop: bool,
    snapshot: Snapshot,
    /// Once it is over.
    outcome: Option<Result<()>>,
    taken: bool,
}

impl Default for Told {
    fn default() -> Self {
        let (stop, snapshot, outcome, taken) = (false, Snapshot::default(), None, false);
        Self { state: State::Created, stop, snapshot, outcome, taken }
    }
}

/// What an application is doing, as of a moment ago.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What its tasks have counted.
    pub counts: Counts,
    /// Commits that succeeded.
    pub commits: u64,
    /// How often the local state of a task was corrupt, was set aside and restored.
    pub stores_set_aside: u64,
    /// The tasks that run here.
    pub tasks: Vec<TaskId>,
    /// Where each of their partitions is read next.
    pub positions: BTreeMap<TopicPartition, i64>,
    /// How many records each of them has behind that, as the log told last.
    pub lag: BTreeMap<TopicPartition, u64>,
    /// Why the windows of each task are still open.
    pub windows: BTreeMap<TaskId, Explanation>,
    /// The tasks that read their changelogs before they run.
    pub restoring: BTreeMap<TaskId, Restoring>,
}

impl KafkaStreams {
    /// The topology on a log in this process.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration. What is wrong with the topics is found when it runs.
    pub fn embedded(topology: Topology, log: &EmbeddedLog, config: StreamsConfig) -> Result<Self> {
        let settings = config.settings()?;
        Ok(Self { topology, settings, config, home: Arc::new(log.clone()), listener: None })
    }

    /// The topology on Apache Kafka, as one process of the application: a member of the group `application.id`.
    ///
    /// ```no_run
    /// use highwater::{Consumed, KafkaStreams, Produced, StreamsBuilder, StreamsConfig};
    /// # fn main() -> highwater::Result<()> {
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream("lines", Consumed::<String, String>::default())
    ///     .map_values(|line| line.to_uppercase())
    ///     .to("loud", Produced::default());
    /// let config = StreamsConfig::new("loud", "localhost:9092").exactly_once();
    /// KafkaStreams::new(builder.build()?, config)?.start().wait()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, what librdkafka does not take included. Whether the brokers can
    /// be reached, and what is wrong with the topics, is found when it runs.
    #[cfg(feature = "kafka")]
    pub fn new(topology: Topology, config: StreamsConfig) -> Result<Self> {
        let settings = config.settings()?;
        let home = Arc::new(KafkaCluster::new(&config, &settings)?);
        Ok(Self { topology, settings, config, home, listener: None })
    }

    /// Calls `listener(new, old)` on the application's thread whenever its state changes.
    pub fn on_state_change(self, listener: impl Fn(State, State) + Send + 'static) -> Self {
        Self { listener: Some(Box::new(listener)), ..self }
    }

    /// Removes the local state of the application in `state.dir`, the ids of its processes included. What was committed
    /// is restored from the changelogs; this is no reset of the application.
    ///
    /// # Errors
    /// If a process of the application lives there, or a file cannot be removed.
    pub fn clean_up(&self) -> Result<()> {
        StateDirectory::clean_up(&self.settings.stores.state_dir, &self.settings.application_id)
    }

    /// Runs until `shutdown` is ready, whatever it gives, or until the end of the input was declared and everything is
    /// committed; then a clean stop.
    ///
    /// # Errors
    /// What ended it: a closure that failed, a record that cannot be read, topics that do not fit.
    pub async fn run(self, shutdown: impl Future) -> Result<()> {
        let mut running = self.start();
        let Some(mut ended) = running.ended.take() else {
            return Err(Error::internal("an application runs that was not started"));
        };
        let shutdown_came = tokio::select! {
            _ = &mut ended => false,
            _ = shutdown => true,
        };
        if shutdown_came {
            running.stop();
            // The stop has a deadline of its own.
            ended.await.ok();
        }
        running.outcome()
    }

    /// Starts it on a thread of its own.
    pub fn start(self) -> RunningStreams {
        tracing::info!("the effective configuration\n{}", self.config);
        let shared = Arc::new(Shared::default());
        let (told, ended) = oneshot::channel();
        let home = self.home.clone();
        let progress = RefCell::new(Progress::of(&self.settings));
        let thread = Thread { shared: shared.clone(), listener: self.listener, home: self.home, progress };
        watch(shared.clone(), home.clock(), self.settings.kafka.watchdog_timeout);
        std::thread::spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| thread.run(&self.topology, self.settings)));
            let outcome =
                outcome.unwrap_or_else(|_| Err(Error::internal("the application's thread panicked")));
            thread.end(outcome);
            told.send(()).ok();
        });
        RunningStreams { shared, home, ended: Some(ended) }
    }
}

impl RunningStreams {
    /// What it is doing.
    pub fn state(&self) -> State {
        self.shared.lock().state
    }
    /// What its tasks have counted so far.
    pub fn counts(&self) -> Counts {
        self.shared.lock().snapshot.counts
    }
    /// Counts, commits, tasks and positions.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.lock().snapshot.clone()
    }

    /// By partition, the records that its tasks have not read yet, as the log told last.
    pub fn lag(&self) -> BTreeMap<TopicPartition, u64> {
        self.shared.lock().snapshot.lag.clone()
    }

    /// Asks it to commit, leave the group and end, and does not wait.
    pub fn stop(&self) {
        self.shared.lock().stop = true;
        self.home.signal().notify();
    }

    /// Stops it and waits for the end.
    ///
    /// # Errors
    /// What ended it before, or if it has not ended by the deadline.
    pub fn close(self, within: Duration) -> Result<()> {
        self.stop();
        if self.shared.wait(Some(within)) {
            return self.outcome();
        }
        let text = format!("the application has not stopped within {} ms", within.as_millis());
        Err(Error::new(ErrorKind::Retriable, text))
    }

    /// Waits until it ends by itself: at the end of the input, or with an error.
    ///
    /// # Errors
    /// What ended it.
    pub fn wait(self) -> Result<()> {
        self.shared.wait(None);
        self.outcome()
    }

    /// Waits until it is over, at most so long; whether it is.
    pub fn wait_for(&self, most: Duration) -> bool {
        self.shared.wait(Some(most))
    }

    fn outcome(&self) -> Result<()> {
        let mut told = self.shared.lock();
        told.taken = true;
        told.outcome.take().unwrap_or_else(|| Err(Error::internal("the application has no outcome")))
    }
}

impl Drop for RunningStreams {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Nothing is left half changed under the lock.
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, most: Option<Duration>) -> bool {
        let running = |told: &mut Told| told.outcome.is_none() && !told.taken;
        match most {
            None => drop(self.over.wait_while(self.lock(), running).unwrap_or_else(PoisonError::into_inner)),
            Some(most) => {
                let waited = self.over.wait_timeout_while(self.lock(), most, running);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
        !running(&mut self.lock())
    }
}

fn watch(shared: Arc<Shared>, clock: Arc<dyn Clock>, timeout: i64) {
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

/// The application's thread.
struct Thread {
    shared: Arc<Shared>,
    listener: Option<Listener>,
    home: Arc<dyn Home>,
    progress: RefCell<Progress>,
}

impl Thread {
    fn run(&self, topology: &Topology, settings: Settings) -> Result<()> {
        let (clock, signal) = (self.home.clock(), self.home.signal());
        let blueprint = topology.blueprint().clone();
        let surroundings = self.home.surroundings(&settings, &blueprint.fingerprint)?;
        let mut instance =
            Instance::new(blueprint, settings, clock.clone(), surroundings, self.home.end_of_input())?;
        let (mut seen, mut busy, mut steps) = (signal.count(), false, 0);
        let mut full = self.home.times_full();
        while !instance.is_over() {
            if self.shared.lock().stop || instance.is_at_end() {
                instance.stop();
            }
            let now_full = self.home.times_full();
            if std::mem::replace(&mut full, now_full) != now_full {
                instance.commit_soon();
            }
            let stepped = instance.step();
            steps += 1;
            self.shared.steps.count();
            let progressed = stepped.as_ref().is_ok_and(|stepped| stepped.progressed);
            if !progressed || steps % PUBLISH_STEPS == 0 || instance.state() != self.shared.lock().state {
                self.publish(&instance);
            }
            let stepped = stepped?;
            busy |= progressed;
            if !progressed {
                self.rest(&*clock, stepped, &mut seen, &mut busy);
            }
        }
        self.publish(&instance);
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

    fn publish(&self, instance: &Instance) {
        let state = instance.state();
        let snapshot = Snapshot {
            counts: instance.counts(),
            commits: instance.commits(),
            stores_set_aside: instance.stores_set_aside(),
            tasks: instance.tasks(),
            positions: instance.positions(),
            lag: instance.lag(),
            windows: instance.explain().into_iter().collect(),
            restoring: instance.restoring(),
        };
        let moment = Moment::of(&*self.home.clock());
        self.progress.borrow_mut().look(moment, state, &snapshot).iter().for_each(News::log);
        let mut told = self.shared.lock();
        let old = std::mem::replace(&mut told.state, state);
        told.snapshot = snapshot;
        drop(told);
        if let (true, Some(listener)) = (old != state, &self.listener) {
            listener(state, old);
        }
    }

    fn end(&self, outcome: Result<()>) {
        let state = if outcome.is_ok() { State::NotRunning } else { State::Error };
        let moment = Moment::of(&*self.home.clock());
        self.progress.borrow_mut().look(moment, state, &Snapshot::default()).iter().for_each(News::log);
        let mut told = self.shared.lock();
        let old = std::mem::replace(&mut told.state, state);
        told.outcome = Some(outcome);
        drop(told);
        self.shared.over.notify_all();
        if let (true, Some(listener)) = (old != state, &self.listener) {
            listener(state, old);
        }
    }
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
