//! The soak: the bar pipeline in several processes, killed and stopped at random for as long as wanted, then verified.
#![expect(unreachable_pub, reason = "modules of one program")]

mod chance;
mod faults;
mod fleet;
mod market;
mod options;
mod pauses;
mod summary;

use clap::Parser;
use faults::Faults;
use fleet::Fleet;
use highwater_verifier::Result;
use highwater_verifier::feeder::Feeder;
use highwater_verifier::fold::Rules;
use highwater_verifier::judge::judge;
use highwater_verifier::kafka::{Cluster, Reader};
use highwater_verifier::timeframe::{Timeframe, Topics};
use highwater_verifier::topics;
use highwater_verifier::verdict::Report;
use market::Market;
use options::{Guarantee, Options};
use pauses::Pauses;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use summary::Summary;

const TOLD_EVERY: Duration = Duration::from_secs(10);
const CLEAN_STOP: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let options = Options::parse();
    match soak(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn soak(options: &Options) -> Result<bool> {
    let seed = match options.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as u64 % 1_000_000,
    };
    let temporary = std::env::temp_dir().join(format!("highwater-soak-{seed}-{}", std::process::id()));
    let directory = options.directory.clone().unwrap_or(temporary);
    std::fs::create_dir_all(&directory)?;
    println!("seed {seed}; logs and state in {}", directory.display());
    let summary = run(options, seed, &directory);
    let good = summary.as_ref().is_ok_and(|summary| summary.is_good(options));
    if let Ok(summary) = &summary {
        print!("{summary}");
        let once = if repeats(options) { "" } else { " and once" };
        println!("{}", if good { format!("every final is there, right{once}") } else { "FAILED".to_owned() });
    }
    if good && options.directory.is_none() {
        std::fs::remove_dir_all(&directory)?;
    } else if !good {
        println!("logs are kept in {}; again with --seed {seed}", directory.display());
    }
    summary.map(|_| good)
}

/// Set by Ctrl-C and SIGTERM; read by whoever waits.
fn interrupted() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    ctrlc::set_handler(move || set.store(true, Ordering::Relaxed))?;
    Ok(flag)
}

fn run(options: &Options, seed: u64, directory: &Path) -> Result<Summary> {
    let interrupted = interrupted()?;
    let cluster = Cluster::new(&options.bootstrap_server);
    let topics = prepare(&cluster, options)?;
    let mut market = Market::new(seed, options.symbols, options.rate, options.market_speed);
    market.ends_in_the_past(options.feeding())?;
    let feeder = Feeder::new(&cluster)?;
    let mut fleet = Fleet::start(options, seed, program(options)?, directory)?;
    let written = [topics.finals(Timeframe::M1), topics.live(Timeframe::M1)];
    let mut faults = Faults::new(options, seed, &cluster, &written)?;

    let (pauses, stop, fed) = (Pauses::default(), AtomicBool::new(false), AtomicU64::new(0));
    let minutes = topics.finals(Timeframe::M1);
    std::thread::scope(|scope| -> Result<()> {
        let stops = StopAtEnd(&stop);
        let watching = scope.spawn(|| pauses.watch(&cluster, &minutes, &stop));
        let feeding = scope.spawn(|| market.feed(&feeder, &topics.ticks(), &stop, &fed));
        let hit = hit(options, &mut fleet, &mut faults, &interrupted, &|| {
            if feeding.is_finished() || watching.is_finished() {
                return None;
            }
            Some((fed.load(Ordering::Relaxed), pauses.finals(), pauses.longest()))
        });
        drop(stops);
        feeding.join().map_err(|_| "the feeder panicked")??;
        watching.join().map_err(|_| "the reader panicked")??;
        hit
    })?;
    fleet.all_go_on()?;
    market.close(&feeder, &topics.ticks())?;
    drain(options, &cluster, &topics, &mut fleet, &interrupted)?;
    for process in 0..fleet.size() {
        faults.unclean_stops.extend(fleet.terminate(process, CLEAN_STOP)?);
    }
    let report = judge(&cluster, &topics, Rules::default())?;
    Ok(Summary::new(options, seed, report, &faults, &fleet, &pauses, interrupted.load(Ordering::Relaxed)))
}

/// Threads of a scope end also where something failed.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Topics of the pipeline, which must not hold anything yet.
fn prepare(cluster: &Cluster, options: &Options) -> Result<Topics> {
    let names = Topics::default();
    let bars =
        Timeframe::ALL.into_iter().flat_map(|timeframe| [names.finals(timeframe), names.live(timeframe)]);
    let all: Vec<String> = bars.chain([names.ticks()]).collect();
    topics::create(cluster, &all, options.partitions)?;
    let reader = Reader::of(cluster)?;
    for topic in &all {
        let partitions = reader.partitions(topic)?;
        if reader.ends(topic, &partitions)?.iter().any(|(_, end)| *end > 0) {
            return Err(format!("there are records in {topic}: a soak needs a Kafka of its own").into());
        }
    }
    Ok(names)
}

fn program(options: &Options) -> Result<PathBuf> {
    if let Some(program) = &options.bars {
        return Ok(program.clone());
    }
    let own = std::env::current_exe()?;
    let beside = own.with_file_name("examples").join(format!("bars{}", std::env::consts::EXE_SUFFIX));
    if beside.exists() { Ok(beside) } else { Err(format!("{} is not built", beside.display()).into()) }
}

/// Faults until the time is over; `progress` says nothing more once something failed.
fn hit(
    options: &Options,
    fleet: &mut Fleet,
    faults: &mut Faults,
    interrupted: &AtomicBool,
    progress: &dyn Fn() -> Option<(u64, u64, Duration)>,
) -> Result<()> {
    let began = Instant::now();
    // The first finals show that the pipeline runs at all.
    let mut next = None;
    let mut told = began;
    while began.elapsed() < options.feeding() && !interrupted.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
        fleet.tend()?;
        let Some((ticks, finals, longest)) = progress() else { break };
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            let strikes: u64 = faults.done.values().sum();
            let time = began.elapsed().as_secs();
            println!(
                "{time:>5} s: {ticks} ticks, {finals} M1 finals, {strikes} faults, longest pause {longest:.1?}"
            );
        }
        match next {
            None if finals > 0 => next = Some(Instant::now() + faults.pause()),
            Some(due) if due <= Instant::now() => {
                faults.strike(fleet)?;
                next = Some(Instant::now() + faults.pause());
            }
            _ => (),
        }
    }
    Ok(())
}

/// Until every final is there, or the time for it is over: the report then says what is missing.
fn drain(
    options: &Options,
    cluster: &Cluster,
    topics: &Topics,
    fleet: &mut Fleet,
    interrupted: &AtomicBool,
) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(options.drain_seconds);
    let is_there = |report: &Report| report.sum(|topic| topic.missing.count + topic.undecided) == 0;
    let mut asked = Instant::now();
    while Instant::now() < until && !interrupted.load(Ordering::Relaxed) {
        fleet.tend()?;
        if asked.elapsed() > Duration::from_secs(2) {
            if is_there(&judge(cluster, topics, Rules::default())?) {
                return Ok(());
            }
            asked = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Repeats are what the guarantee allows.
fn repeats(options: &Options) -> bool {
    options.guarantee == Guarantee::AtLeastOnce
}
