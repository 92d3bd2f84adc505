//! A run on Apache Kafka: topics are made, a file is fed, the topic is served until the process is stopped.

use crate::clock::Pace;
use crate::cluster::{Cluster, Pipeline};
use crate::feed::Ends;
use crate::input::Input;
use crate::kafka_options::OnKafka;
use crate::options::Options;
use crate::outlet::Outlet;
use crate::progress;
use crate::run::Ended;
use crate::shutdown::Shutdown;
use crate::ticks::TickFile;
use crate::topology::topology;
use highwater::BoxError;
use highwater::time::{Clock, SystemClock, Timestamp, days};
use std::io::{self, Write};
use std::time::Duration;

/// The longest wait before looking again.
const LOOK: Duration = Duration::from_millis(200);
/// Ticks between two looks at whether it is to stop.
const BATCH: u64 = 1_024;
/// How long the last ticks may take to the broker once it is to stop, in ms.
const LAST_TICKS: i64 = 10_000;

pub fn run(options: &Options, on: &OnKafka, shutdown: &Shutdown) -> Result<Ended, BoxError> {
    progress::show();
    let cluster = Cluster::new(options, on)?;
    if on.create_topics {
        let made = cluster.create_topics()?;
        note(&format!(
            "topics made: {}",
            if made.is_empty() { "none, all are there".into() } else { made.join(", ") }
        ));
    }
    if let Some(file) = &on.feed {
        let feeding = Feeding { cluster: &cluster, options, on, shutdown, pipeline: None };
        feeding.feed(file)?;
        return Ok(if shutdown.requested() { Ended::Interrupted } else { Ended::Whole });
    }
    let pipeline = cluster.start(topology(&options.market, options.choices, &on.topics)?, || say("ready"))?;
    let served = serve(options, on, shutdown, &cluster, &pipeline);
    pipeline.close()?;
    served?;
    say("stopped");
    Ok(Ended::Whole)
}

/// Until it is to stop, or the pipeline has failed.
fn serve(
    options: &Options,
    on: &OnKafka,
    shutdown: &Shutdown,
    cluster: &Cluster<'_>,
    pipeline: &Pipeline,
) -> Result<(), BoxError> {
    let stops = || shutdown.wait(LOOK) || pipeline.is_over();
    if let Some(file) = &options.input {
        let ends = Feeding { cluster, options, on, shutdown, pipeline: Some(pipeline) }.feed(file)?;
        while !stops() {
            // A broker that is away is waited for, as the pipeline does.
            if cluster.has_committed(&ends).unwrap_or(false) {
                note("all ticks of the file are processed and committed; serving on until it is stopped");
                say("processed");
                break;
            }
        }
    }
    while !stops() {}
    Ok(())
}

struct Feeding<'a> {
    cluster: &'a Cluster<'a>,
    options: &'a Options,
    on: &'a OnKafka,
    shutdown: &'a Shutdown,
    /// Where one runs in this process, feeding ends with it.
    pipeline: Option<&'a Pipeline>,
}

impl Feeding<'_> {
    /// Where the ticks ended in the topic.
    fn feed(&self, file: &TickFile) -> Result<Ends, BoxError> {
        let mut outlet = Outlet::open(self.options)?;
        let mut input = Input::open(file, self.options)?;
        let mut feed = self.cluster.feed()?;
        outlet.progress(input.length());
        let clock = SystemClock::new();
        let mut pace = None;
        while let Some((symbol, tick)) = input.next(&outlet)? {
            let pace = pace.get_or_insert_with(|| self.begin(tick.at, &outlet));
            if !self.is_due(pace.as_ref(), tick.at, feed.sent(), &clock) {
                break;
            }
            while !feed.push(&symbol, &tick)? && !self.stopped() {}
            if input.ticks.is_multiple_of(BATCH) {
                outlet.progressed(input.position(), input.ticks);
                if self.stopped() {
                    break;
                }
            }
        }
        let deadline = clock.monotonic() + LAST_TICKS;
        while !feed.flush()? {
            if self.stopped() && clock.monotonic() > deadline {
                return Err("the broker has not taken the last ticks".into());
            }
        }
        outlet.progress_ends();
        let (ticks, took) = (feed.sent(), clock.monotonic().max(1));
        let rate = ticks * 1_000 / took.unsigned_abs();
        note(&format!(
            "{ticks} ticks fed in {:.2} s, {rate} a second; {} bad lines skipped",
            took as f64 / 1_000.0,
            input.skipped
        ));
        Ok(feed.ends())
    }

    fn begin(&self, first: Timestamp, outlet: &Outlet) -> Option<Pace> {
        let silence = self.options.choices.idle_timeout;
        let old = first.plus(days(1)) < SystemClock::new().now();
        if let (true, true, Some(silence)) = (old, self.pipeline.is_some(), silence) {
            outlet.warn(&format!(
                "these ticks are old: a partition without ticks for {silence:?} is taken for caught up with today, and \
                 ticks that come to it later are late; --idle-timeout off or longer prevents it"
            ));
        }
        self.options.speed.map(|times| Pace::from(first, 0, times))
    }

    /// Waits until the next tick is due; `false` if it is to stop before.
    fn is_due(&self, pace: Option<&Pace>, at: Timestamp, sent: u64, clock: &SystemClock) -> bool {
        loop {
            let now = clock.monotonic();
            let by_rate = self.on.rate.map(|rate| (sent as f64 * 1_000.0 / rate) as i64 - now);
            let by_pace = pace.map(|pace| pace.until(at, now) as i64);
            match by_rate.or(by_pace) {
                Some(left @ 1..) => self.shutdown.wait(LOOK.min(Duration::from_millis(left.unsigned_abs()))),
                _ => return true,
            };
            if self.stopped() {
                return false;
            }
        }
    }

    fn stopped(&self) -> bool {
        self.shutdown.requested() || self.pipeline.is_some_and(Pipeline::is_over)
    }
}

/// For programs that read standard output; nobody need do so.
fn say(word: &str) {
    let mut out = io::stdout().lock();
    _ = writeln!(out, "{word}").and_then(|()| out.flush());
}

/// For people.
fn note(text: &str) {
    _ = writeln!(io::stderr(), "{text}");
}
