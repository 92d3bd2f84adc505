//! The handle of an application that runs, and what its thread tells it.

use super::Explanation;
use super::home::Home;
use super::instance::State;
use super::progress::Restoring;
use super::reads::Read;
use super::watchdog::Steps;
use crate::error::{Error, ErrorKind, Result};
use crate::processor::Counts;
use crate::record::{TaskId, TopicPartition};
use crate::topology::Topology;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// An application that runs. Dropping it asks it to stop and does not wait.
pub struct RunningStreams {
    pub(super) shared: Arc<Shared>,
    pub(super) home: Arc<dyn Home>,
    pub(super) topology: Topology,
    /// Each of them answers a read.
    pub(super) workers: usize,
    /// How long one may take.
    pub(super) read_timeout: Duration,
    pub(super) ended: Option<oneshot::Receiver<()>>,
}

/// Reads of stores that may wait at once: more than threads that ask.
const MOST_READS: usize = 1_024;

/// What the thread is told.
pub(super) struct Orders {
    pub(super) stop: bool,
    pub(super) pause: bool,
    pub(super) reads: Vec<Read>,
}

/// What the thread tells, and is told.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) inner: Mutex<Told>,
    pub(super) over: Condvar,
    pub(super) steps: Steps,
}

pub(super) struct Told {
    pub(super) state: State,
    pub(super) stop: bool,
    pub(super) paused: bool,
    /// Reads of stores that wait for the end of a step.
    reads: Vec<Read>,
    pub(super) snapshot: Snapshot,
    /// Once it is over.
    pub(super) outcome: Option<Result<()>>,
    pub(super) taken: bool,
}

impl Default for Told {
    fn default() -> Self {
        let (stop, paused, taken) = (false, false, false);
        let (reads, snapshot, outcome) = (Vec::new(), Snapshot::default(), None);
        Self { state: State::Created, stop, paused, reads, snapshot, outcome, taken }
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
    /// Nothing is processed until it is [resumed](RunningStreams::resume).
    pub paused: bool,
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

    /// Stops processing, punctuation and the closing of windows here, until [`resume`](Self::resume); as in Kafka Streams
    /// (KIP-834), it stays a member of the group and keeps its tasks, restores go on, and what was done before is
    /// committed. Asks for it and does not wait; the other processes of the application are not told. Calls on a paused
    /// application change nothing.
    ///
    /// Nothing is lost and no window is cut: what comes meanwhile waits in the log and is read first, and after that an
    /// idle timeout begins anew. Finals that a paused task owes hold up the tasks below it in other processes too.
    ///
    /// ```
    /// # use highwater::{Consumed, EmbeddedLog, KafkaStreams, Produced, StreamsBuilder, StreamsConfig, AtEnd, time::Timestamp};
    /// # let log = EmbeddedLog::new();
    /// # log.create_topic("lines", 1)?;
    /// # log.create_topic("loud", 1)?;
    /// # let builder = StreamsBuilder::new();
    /// # let lines = builder.stream("lines", Consumed::<String, String>::default());
    /// # lines.map_values(|line| line.to_uppercase()).to("loud", Produced::default());
    /// # let streams = KafkaStreams::embedded(builder.build()?, &log, StreamsConfig::new("loud", "").exactly_once())?;
    /// let running = streams.start();
    /// running.pause();
    /// assert!(running.is_paused());
    /// log.append("lines", &Produced::<String, String>::default(), &"a".into(), &"hello".into(), Timestamp(0))?;
    /// running.resume();
    /// log.end_of_input(AtEnd::Close);
    /// running.wait()?;
    /// assert_eq!(log.read("loud", &Consumed::<String, String>::default())?.len(), 1);
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn pause(&self) {
        self.shared.lock().paused = true;
        self.home.signal().notify();
    }

    /// Goes on after [`pause`](Self::pause).
    ///
    /// ```
    /// # use highwater::{Consumed, EmbeddedLog, KafkaStreams, Produced, StreamsBuilder, StreamsConfig};
    /// # let log = EmbeddedLog::new();
    /// # log.create_topic("lines", 1)?;
    /// # log.create_topic("loud", 1)?;
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream("lines", Consumed::<String, String>::default()).to("loud", Produced::default());
    /// # let streams = KafkaStreams::embedded(builder.build()?, &log, StreamsConfig::new("loud", ""))?;
    /// let running = streams.paused().start();
    /// running.resume();
    /// assert!(!running.is_paused());
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn resume(&self) {
        self.shared.lock().paused = false;
        self.home.signal().notify();
    }

    /// Whether it was told to pause. A step that was under way then may still be.
    pub fn is_paused(&self) -> bool {
        self.shared.lock().paused
    }

    /// Asks it to commit, leave the group and end, and does not wait.
    pub fn stop(&self) {
        self.shared.lock().stop = true;
        self.shared.over.notify_all();
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

    pub(super) fn outcome(&self) -> Result<()> {
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
    pub(super) fn lock(&self) -> MutexGuard<'_, Told> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is told.
    pub(super) fn orders(&self) -> Orders {
        let mut told = self.lock();
        Orders { stop: told.stop, pause: told.paused, reads: std::mem::take(&mut told.reads) }
    }

    /// Hands a read to the thread.
    ///
    /// # Errors
    /// If it has not begun, or is over, or too many wait already.
    pub(super) fn read(&self, read: Read) -> Result<()> {
        let mut told = self.lock();
        match told.state {
            State::PendingShutdown | State::NotRunning | State::Error => {
                let text = format!("stores cannot be read in the state {:?}", told.state);
                Err(Error::new(ErrorKind::Retriable, text))
            }
            _ if told.reads.len() >= MOST_READS => {
                Err(Error::new(ErrorKind::Retriable, format!("{MOST_READS} reads wait already")))
            }
            _ => {
                told.reads.push(read);
                Ok(())
            }
        }
    }

    /// Reads that nobody will answer: their readers hear of it at once.
    pub(super) fn forget_reads(&self) {
        self.lock().reads.clear();
    }

    /// Waits so long, unless it is told to stop; whether it was.
    pub(super) fn is_stopped_within(&self, most: Duration) -> bool {
        let goes_on = |told: &mut Told| !told.stop;
        let waited = self.over.wait_timeout_while(self.lock(), most, goes_on);
        waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }

    pub(super) fn wait(&self, most: Option<Duration>) -> bool {
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
