//! The engine on the embedded log: everything that knows how that is started, fed, read and stopped is here.

use crate::options::Options;
use crate::published::Published;
use crate::report::Closed;
use crate::symbol::{Symbol, SymbolUtf8};
use crate::tick::{Tick, TickJson};
use crate::timeframe::Timeframe;
use crate::topics::Topics;
use highwater::serdes::{Json, WindowedSerde};
use highwater::time::{Clock, Windowed};
use highwater::{
    AtEnd, BoxError, Consumed, EmbeddedLog, Feed, KafkaStreams, Produced, RunningStreams, StreamsConfig,
    Topology,
};
use std::sync::Arc;
use std::time::Duration;

/// Ticks that a partition may be ahead of the last commit.
const AHEAD: usize = 20_000;
/// How long to wait for finals where none are there.
const PAUSE: Duration = Duration::from_millis(2);
/// How long the last commit may take.
const STOP: Duration = Duration::from_secs(30);

/// The topology, running on a log in this process.
pub struct Engine {
    log: EmbeddedLog,
    running: RunningStreams,
    clock: Arc<dyn Clock>,
    ticks: Feed<Symbol, Tick>,
    finals: Consumed<Windowed<Symbol>, Published>,
    topics: Topics,
}

/// What the engine counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub late: u64,
    pub outside: u64,
    /// Dated so far in the future that they moved no time.
    pub future: u64,
}

/// Results are written in transactions unless the command line says otherwise.
pub fn with_properties(config: StreamsConfig, options: &Options) -> StreamsConfig {
    let set = |config: StreamsConfig, (name, value): &(String, String)| config.set(name, value);
    options.properties.iter().fold(config.exactly_once(), set)
}

impl Engine {
    pub fn start(topology: Topology, clock: Arc<dyn Clock>, options: &Options) -> Result<Self, BoxError> {
        let log = EmbeddedLog::with_clock(clock.clone());
        let topics = Topics::default();
        log.create_feed(&topics.ticks(), options.partitions, AHEAD)?;
        for timeframe in Timeframe::ALL {
            log.create_topic(&topics.live(timeframe), options.partitions)?;
            log.create_topic(&topics.finals(timeframe), options.partitions)?;
        }
        let config = with_properties(StreamsConfig::new("bars", ""), options);
        let running = KafkaStreams::embedded(topology, &log, config)?.start();
        let ticks = log.feed(&topics.ticks(), Produced::with(SymbolUtf8, TickJson))?;
        let finals = Consumed::with(WindowedSerde::of(SymbolUtf8).with_end(), Json);
        Ok(Self { log, running, clock, ticks, finals, topics })
    }

    /// Ticks are written in batches. `false`: the log is as far ahead as it may be, or the engine has ended; poll, then
    /// try again.
    pub fn append(&mut self, symbol: &Symbol, tick: &Tick) -> Result<bool, BoxError> {
        Ok(self.ticks.push(symbol, tick, tick.at)?)
    }

    /// Writes the ticks that wait for others. `false` as in [`append`](Self::append).
    pub fn flush(&mut self) -> Result<bool, BoxError> {
        Ok(self.ticks.flush()?)
    }

    /// Adds the finals that were committed since the last time. Whether the engine still runs.
    pub fn poll(&mut self, closed: &mut Vec<Closed>) -> Result<bool, BoxError> {
        self.take(closed)?;
        Ok(!self.running.wait_for(Duration::ZERO))
    }

    /// As [`poll`](Self::poll), and waits a moment where there is none.
    pub fn wait(&mut self, closed: &mut Vec<Closed>) -> Result<bool, BoxError> {
        let before = closed.len();
        self.take(closed)?;
        let most = if closed.len() == before { PAUSE } else { Duration::ZERO };
        Ok(!self.running.wait_for(most))
    }

    fn take(&self, closed: &mut Vec<Closed>) -> Result<(), BoxError> {
        let at = self.clock.now();
        for timeframe in Timeframe::ALL {
            let taken = self.log.take_by_partition(&self.topics.finals(timeframe), &self.finals)?.into_iter();
            closed.extend(taken.map(|(partition, _, bar)| Closed { timeframe, partition, bar, at }));
            // Nobody reads the live bars here.
            self.log.truncate(&self.topics.live(timeframe))?;
        }
        Ok(())
    }

    /// No more ticks will come: poll until it runs no longer.
    pub fn end_of_input(&mut self, at_end: AtEnd) {
        self.log.end_of_input(at_end);
    }

    /// Commits, adds the last finals, and stops.
    pub fn stop(self, closed: &mut Vec<Closed>) -> Result<Counts, BoxError> {
        self.running.stop();
        self.running.wait_for(STOP);
        let counts = self.running.counts();
        self.take(closed)?;
        self.running.close(STOP)?;
        Ok(Counts { late: counts.late, outside: counts.outside, future: counts.future })
    }
}
