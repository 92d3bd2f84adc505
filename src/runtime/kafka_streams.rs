//! What a program starts: a topology with its configuration, and who is told what while it runs.

use super::application_thread::{ApplicationThread, watch};
use super::embedded::EmbeddedLog;
use super::home::Home;
use super::instance::State;
#[cfg(feature = "kafka")]
use super::kafka_cluster::KafkaCluster;
use super::listeners::Listeners;
use super::progress::Progress;
use super::restore_listener::StateRestore;
use super::running_streams::{RunningStreams, Shared};
use super::uncaught::{UncaughtErrorResponse, panicked};
use super::{Settings, StreamsConfig};
use crate::error::{Error, Result};
use crate::state::StateDirectory;
use crate::topology::Topology;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

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
    listeners: Listeners,
    paused: bool,
}

impl KafkaStreams {
    /// The topology on a log in this process.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration. What is wrong with the topics is found when it runs.
    pub fn embedded(topology: Topology, log: &EmbeddedLog, config: StreamsConfig) -> Result<Self> {
        let settings = config.settings()?;
        Ok(Self {
            topology,
            settings,
            config,
            home: Arc::new(log.clone()),
            listeners: Listeners::default(),
            paused: false,
        })
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
        Ok(Self { topology, settings, config, home, listeners: Listeners::default(), paused: false })
    }

    /// Calls `listener(new, old)` on the application's thread whenever its state changes.
    pub fn on_state_change(mut self, listener: impl Fn(State, State) + Send + 'static) -> Self {
        self.listeners.state = Some(Box::new(listener));
        self
    }

    /// Calls `listener` on the application's thread while stores are restored: for each store with a changelog of each task
    /// that starts here, a start, a batch as often as records were written to it, and an end, or that it was suspended;
    /// Kafka Streams' `StateRestoreListener`. It should be quick: everything else waits for it.
    ///
    /// ```
    /// # use highwater::*;
    /// # let log = EmbeddedLog::new();
    /// # log.create_topic("words", 1)?;
    /// # let builder = StreamsBuilder::new();
    /// # let words = builder.stream("words", Consumed::<String, String>::default());
    /// # words.group_by_key().count(Materialized::named("counts"));
    /// # let streams = KafkaStreams::embedded(builder.build()?, &log, StreamsConfig::new("app", "").exactly_once())?;
    /// let streams = streams.on_restore(|restore: &StateRestore| {
    ///     let StateRestore { partition, store, stage } = restore;
    ///     match stage {
    ///         RestoreStage::Start { starting_offset, ending_offset } => {
    ///             println!("{store}: reads {partition} from {starting_offset} up to {ending_offset}");
    ///         }
    ///         RestoreStage::End { total_restored } => println!("{store}: {total_restored} records"),
    ///         _ => {}
    ///     }
    /// });
    /// # log.end_of_input(AtEnd::Close);
    /// streams.start().wait()?;
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn on_restore(mut self, listener: impl FnMut(&StateRestore) + Send + 'static) -> Self {
        self.listeners.restore = Some(RefCell::new(Box::new(listener)));
        self
    }

    /// Decides what follows an error that ends the application's thread: one that no handler of a topology has dealt with,
    /// and panics in the program's code; Kafka Streams' uncaught exception handler. Called on that thread, which has by
    /// then given up what it had not committed and left the group. Without a handler the client shuts down. An error
    /// while it stops is not asked about.
    ///
    /// ```
    /// use highwater::UncaughtErrorResponse::{ReplaceThread, ShutdownClient};
    /// # use highwater::*;
    /// # let log = EmbeddedLog::new();
    /// # log.create_topic("lines", 1)?;
    /// # log.create_topic("loud", 1)?;
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream("lines", Consumed::<String, String>::default()).to("loud", Produced::default());
    /// # let streams = KafkaStreams::embedded(builder.build()?, &log, StreamsConfig::new("loud", ""))?;
    /// let streams = streams.on_uncaught_error(|error| {
    ///     eprintln!("{error}");
    ///     if error.is_processing() { ShutdownClient } else { ReplaceThread }
    /// });
    /// # log.end_of_input(AtEnd::Close);
    /// streams.start().wait()?;
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn on_uncaught_error(
        mut self,
        handler: impl FnMut(&Error) -> UncaughtErrorResponse + Send + 'static,
    ) -> Self {
        self.listeners.uncaught = Some(RefCell::new(Box::new(handler)));
        self
    }

    /// Starts [paused](RunningStreams::pause): it joins the group and restores its tasks, and processes nothing until
    /// [`RunningStreams::resume`].
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
    /// assert!(running.is_paused());
    /// running.resume();
    /// assert!(!running.is_paused());
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn paused(self) -> Self {
        Self { paused: true, ..self }
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
        shared.lock().paused = self.paused;
        let (told, ended) = oneshot::channel();
        let home = self.home.clone();
        let progress = RefCell::new(Progress::of(&self.settings));
        let (topology, workers) = (self.topology.clone(), self.settings.workers);
        let read_timeout = Duration::from_millis(self.settings.kafka.request_timeout.unsigned_abs());
        let listeners = self.listeners;
        let thread = ApplicationThread { shared: shared.clone(), listeners, home: self.home, progress };
        watch(shared.clone(), home.clock(), self.settings.kafka.watchdog_timeout);
        std::thread::spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| thread.run(&self.topology, &self.settings)));
            thread.end(outcome.unwrap_or_else(|panic| Err(panicked(&*panic))));
            told.send(()).ok();
        });
        RunningStreams { shared, home, topology, workers, read_timeout, ended: Some(ended) }
    }
}
