//! A run: from the first tick to the summary.

use crate::clock::{Dated, InputClock, Pace};
use crate::engine::{Counts, Engine};
use crate::input::Input;
use crate::options::Options;
use crate::outlet::Outlet;
use crate::report::Closed;
use crate::shutdown::Shutdown;
use crate::simulate::{self, Simulation};
use crate::summary::{Summary, peak_memory};
use crate::symbol::Symbol;
use crate::tick::Tick;
use crate::ticks::TickFile;
use crate::timeframe::Timeframe;
use crate::topics::Topics;
use crate::topology::topology;
use highwater::BoxError;
use highwater::time::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How a run ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Whole,
    /// By Ctrl-C; the finals so far are written.
    Interrupted,
}

/// Ticks between two looks at what has closed.
const BATCH: u64 = 1_024;
/// The longest wait before looking again.
const LOOK: Duration = Duration::from_millis(20);
/// Of the simulated market.
const SEED: u64 = 7;

pub fn run(options: &Options, shutdown: &Shutdown) -> Result<Ended, BoxError> {
    #[cfg(feature = "kafka")]
    if let Some(on) = &options.kafka {
        return crate::serve::run(options, on, shutdown);
    }
    let outlet = Outlet::open(options)?;
    match &options.input {
        Some(file) => replay(options, file, outlet, shutdown),
        None => simulate(options, outlet, shutdown),
    }
}

fn replay(
    options: &Options,
    file: &TickFile,
    mut outlet: Outlet,
    shutdown: &Shutdown,
) -> Result<Ended, BoxError> {
    let mut input = Input::open(file, options)?;
    outlet.progress(input.length());
    let first = input.next(&outlet)?;
    let start = first.as_ref().map_or(Timestamp(0), |(_, tick)| tick.at);
    let mut run = Run::start(options, InputClock::at(start, Dated::ByMachine), outlet, shutdown)?;
    run.feed(first, &mut input)?;
    run.flush()?;
    if !run.stopped() {
        run.engine.end_of_input(options.at_end);
        while run.wait()? && !run.stopped() {}
    }
    run.finish(input.ticks, input.skipped)
}

fn simulate(options: &Options, outlet: Outlet, shutdown: &Shutdown) -> Result<Ended, BoxError> {
    let longest =
        Timeframe::ALL.map(|timeframe| options.market.grace(timeframe)).into_iter().max().unwrap_or_default();
    let market = Simulation::new(SEED, longest + options.choices.idle_timeout.unwrap_or_default());
    let mut run = Run::start(options, InputClock::at(Simulation::start(), Dated::ByInput), outlet, shutdown)?;
    let pace = run.pace(Simulation::start(), options.speed.unwrap_or(simulate::SPEED));
    let mut ticks = 0;
    for step in market {
        if run.stopped() {
            break;
        }
        for (symbol, tick) in &step.ticks {
            run.append(symbol, tick)?;
            ticks += 1;
        }
        run.flush()?;
        run.wait_until(step.now, &pace)?;
        run.drain()?;
    }
    run.finish(ticks, 0)
}

struct Run<'a> {
    engine: Engine,
    clock: InputClock,
    outlet: Outlet,
    options: &'a Options,
    shutdown: &'a Shutdown,
    closed: Vec<Closed>,
    /// On the machine's clock.
    started: i64,
}

impl<'a> Run<'a> {
    fn start(
        options: &'a Options,
        clock: InputClock,
        outlet: Outlet,
        shutdown: &'a Shutdown,
    ) -> Result<Self, BoxError> {
        let mut choices = options.choices;
        if options.input.is_some() {
            // Until its end a file is all the input there is: silence in it says nothing.
            choices.idle_timeout = None;
        }
        let topology = topology(&options.market, choices, &Topics::default())?;
        let started = clock.monotonic();
        let engine = Engine::start(topology, Arc::new(clock.clone()), options)?;
        Ok(Self { engine, clock, outlet, options, shutdown, closed: Vec::new(), started })
    }

    fn stopped(&self) -> bool {
        self.shutdown.requested() || self.outlet.is_pointless()
    }

    fn pace(&self, origin: Timestamp, times: f64) -> Pace {
        Pace::from(origin, self.clock.monotonic(), times)
    }

    fn feed(&mut self, first: Option<(Symbol, Tick)>, input: &mut Input) -> Result<(), BoxError> {
        let origin = first.as_ref().map_or(Timestamp(0), |(_, tick)| tick.at);
        let pace = self.options.speed.map(|times| self.pace(origin, times));
        let mut next = first;
        while let Some((symbol, tick)) = next {
            if let Some(pace) = &pace {
                self.wait_until(tick.at, pace)?;
            }
            self.clock.reached(tick.at);
            if !self.append(&symbol, &tick)? || pace.is_some() && !self.flush()? {
                break;
            }
            if input.ticks.is_multiple_of(BATCH) || pace.is_some() {
                self.outlet.progressed(input.position(), input.ticks);
                if !self.drain()? || self.stopped() {
                    break;
                }
            }
            next = input.next(&self.outlet)?;
        }
        Ok(())
    }

    /// `false`: no more ticks are wanted, for the run is to stop or the engine has ended.
    fn append(&mut self, symbol: &Symbol, tick: &Tick) -> Result<bool, BoxError> {
        while !self.engine.append(symbol, tick)? {
            if !self.wait()? || self.stopped() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// As [`append`](Self::append).
    fn flush(&mut self) -> Result<bool, BoxError> {
        while !self.engine.flush()? {
            if !self.wait()? || self.stopped() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets the clock run until the input is at `at`; what closes in the meantime is shown.
    fn wait_until(&mut self, at: Timestamp, pace: &Pace) -> Result<(), BoxError> {
        loop {
            let left = pace.until(at, self.clock.monotonic());
            if left == 0 || self.stopped() {
                self.clock.reached(at);
                return Ok(());
            }
            self.clock.reached(pace.now(self.clock.monotonic()).min(at));
            self.drain()?;
            self.shutdown.wait(LOOK.min(Duration::from_millis(left)));
        }
    }

    /// Takes what has closed. Whether the engine still runs.
    fn drain(&mut self) -> Result<bool, BoxError> {
        let runs = self.engine.poll(&mut self.closed)?;
        self.show()?;
        Ok(runs)
    }

    /// As [`drain`](Self::drain), after a pause if nothing has closed.
    fn wait(&mut self) -> Result<bool, BoxError> {
        let runs = self.engine.wait(&mut self.closed)?;
        self.show()?;
        Ok(runs)
    }

    fn show(&mut self) -> Result<(), BoxError> {
        self.outlet.take(&self.closed)?;
        self.closed.clear();
        Ok(())
    }

    fn finish(mut self, ticks: u64, skipped_lines: u64) -> Result<Ended, BoxError> {
        let ended = if self.shutdown.requested() { Ended::Interrupted } else { Ended::Whole };
        let Counts { late, outside, future } = self.engine.stop(&mut self.closed)?;
        self.outlet.take(&self.closed)?;
        let summary = Summary {
            ticks,
            skipped_lines,
            late,
            outside,
            future,
            bars: self.outlet.bars,
            took: Duration::from_millis((self.clock.monotonic() - self.started).max(0) as u64),
            peak_memory: peak_memory(),
        };
        self.outlet.finish(&summary).map(|()| ended)
    }
}
