//! Processes that kill themselves at each named point of a commit, while another one shares the work; what comes out is
//! the fold, each final once.

#[cfg(feature = "crash-points")]
use super::cluster::LONG;
use super::cluster::{Cluster, Seen};
use highwater::time::{Clock, SystemClock, TimeWindows, minutes};
use highwater::{
    Consumed, Grouped, KafkaStreams, Materialized, Produced, StreamsBuilder, StreamsConfig, Suppressed,
    Topology,
};
use std::collections::BTreeMap;
#[cfg(feature = "crash-points")]
use std::os::unix::process::ExitStatusExt as _;
#[cfg(feature = "crash-points")]
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PARTITIONS: i32 = 4;
#[cfg(feature = "crash-points")]
const KILLS_PER_POINT: u64 = 2;
#[cfg(feature = "crash-points")]
const SIGKILL: i32 = 9;
/// Event time between two rounds of input, ms.
const ROUND: i64 = 7_000;
const MINUTE: i64 = 60_000;

/// What the processes of a test share; passed on in the environment.
struct World {
    cluster: Cluster,
    application: String,
    guarantee: &'static str,
    ticks: String,
    finals: String,
    totals: String,
    state: tempfile::TempDir,
    rounds: i64,
}

impl World {
    fn new(guarantee: &'static str) -> Option<Self> {
        let cluster = Cluster::there()?;
        let [application, ticks, finals, totals] =
            ["kills", "ticks", "finals", "totals"].map(|name| cluster.unique(name));
        for topic in [&ticks, &finals, &totals] {
            cluster.create(topic, PARTITIONS);
        }
        let state = tempfile::tempdir().expect("a folder");
        Some(Self { cluster, application, guarantee, ticks, finals, totals, state, rounds: 0 })
    }

    fn spawn(&self, crash: Option<(&str, u64, u64)>) -> Process {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let of_test = "kafka::kills::a_process_of_these_tests";
        command.args([of_test, "--exact", "--nocapture"]).env("HIGHWATER_CHILD", "1");
        let shared = [&self.cluster.bootstrap, &self.application, &self.ticks, &self.finals, &self.totals];
        command.env("HIGHWATER_CHILD_WORLD", shared.map(String::as_str).join(","));
        command
            .env("HIGHWATER_CHILD_GUARANTEE", self.guarantee)
            .env("HIGHWATER_CHILD_STATE", self.state.path());
        if let Some((point, number, delay)) = crash {
            command.env("HIGHWATER_CRASH_POINT", format!("{point}:{number}"));
            command.env("HIGHWATER_CRASH_DELAY_US", delay.to_string());
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("a log");
        command.stdout(Stdio::null()).stderr(log);
        Process(command.spawn().expect("a process"))
    }

    fn log(&self) -> std::path::PathBuf {
        self.state.path().join("log")
    }

    /// One record more in each partition, some of the same key.
    fn feed(&mut self) {
        for partition in 0..PARTITIONS {
            let key = format!("{partition}-{}", self.rounds % 3);
            self.cluster.write_to(&self.ticks, partition, &key, "tick", 1_000 + self.rounds * ROUND);
        }
        self.rounds += 1;
    }

    /// Finals and totals as a plain fold of the input has them; only windows that the last round has closed.
    fn fold(&self) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        let (mut finals, mut totals) = (BTreeMap::new(), BTreeMap::new());
        let last = 1_000 + (self.rounds - 1) * ROUND;
        for round in 0..self.rounds {
            let start = (1_000 + round * ROUND) / MINUTE * MINUTE;
            for partition in 0..PARTITIONS {
                let key = format!("{partition}-{}", round % 3);
                if start + MINUTE <= last {
                    *finals.entry(format!("{key}@{start}")).or_default() += 1;
                }
                *totals.entry(key).or_default() += 1;
            }
        }
        (finals, totals)
    }

    /// Waits for the fold, and judges the finals.
    fn verify(&self) {
        let (finals, totals) = self.fold();
        let have = |seen: &[Seen]| -> BTreeMap<String, u64> {
            seen.iter().map(|(_, key, value)| (key.clone(), value.parse().expect("a count"))).collect()
        };
        self.cluster.until(&self.totals, "totals are the fold", |seen| have(seen) == totals);
        let seen = self.cluster.until(&self.finals, "finals are the fold", |seen| have(seen) == finals);
        let mut by_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (_, key, value) in &seen {
            by_key.entry(key).or_default().push(value);
        }
        for (key, values) in by_key {
            if self.guarantee == "exactly_once_v2" {
                assert_eq!(values.len(), 1, "{key}: {values:?}");
            }
            assert!(values.iter().all(|value| *value == values[0]), "repeats differ: {key}: {values:?}");
        }
    }
}

/// Ends with its test, whatever happens there.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub fn topology(guarantee: &str, ticks: &str, finals: &str, totals: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let stream = builder.stream(ticks, Consumed::<String, String>::default());
    stream
        .group_by_key()
        .count(Materialized::named("totals"))
        .to_stream()
        .map_values(u64::to_string)
        .to(totals, Produced::default());
    // What is repeated into a repartition topic is new input below it: only exactly once counts it once.
    let grouped = match guarantee {
        "exactly_once_v2" => stream.group_by(|key, _| key.clone(), Grouped::named("again")),
        _ => stream.group_by_key(),
    };
    grouped
        .windowed_by(TimeWindows::of_size(minutes(1)))
        .count(Materialized::named("per-minute"))
        .suppress(Suppressed::until_window_closes())
        .to_stream()
        .map(|minute, count| (format!("{}@{}", minute.key, minute.window.start.0), count.to_string()))
        .to(finals, Produced::default());
    builder.build().expect("topology")
}

/// Does nothing but as a process that a test of this file has started.
#[test]
fn a_process_of_these_tests() {
    if std::env::var_os("HIGHWATER_CHILD").is_none() {
        return;
    }
    let text = |name: &str| std::env::var(name).expect(name);
    let (world, guarantee) = (text("HIGHWATER_CHILD_WORLD"), text("HIGHWATER_CHILD_GUARANTEE"));
    let [bootstrap, application, ticks, finals, totals] =
        world.split(',').collect::<Vec<_>>().try_into().expect("five names");
    let config = StreamsConfig::new(application, bootstrap)
        .set("processing.guarantee", &guarantee)
        .set("commit.interval.ms", "50")
        .set("session.timeout.ms", "1500")
        .set("heartbeat.interval.ms", "300")
        .set("state.dir", text("HIGHWATER_CHILD_STATE"));
    let config = if cfg!(feature = "rocksdb") { config.set("default.dsl.store", "rocksDB") } else { config };
    let topology = topology(&guarantee, ticks, finals, totals);
    let ended = KafkaStreams::new(topology, config).expect("starts").start().wait();
    panic!("it ended by itself: {ended:?}");
}

#[cfg(feature = "crash-points")]
fn kill_at(guarantee: &'static str, points: &[&str]) {
    let Some(mut world) = World::new(guarantee) else { return };
    let clock = SystemClock::new();
    let steady = world.spawn(None);
    for (at, point) in points.iter().enumerate() {
        for kill in 0..KILLS_PER_POINT {
            // The number of the commit and the delay differ from kill to kill, and from run to run of the same.
            let chance = at as u64 * 31 + kill * 17;
            let mut victim = world.spawn(Some((point, 1 + chance % 5, chance * 257 % 4_000)));
            let until = clock.monotonic() + LONG.as_millis() as i64;
            let status = loop {
                world.feed();
                if let Some(status) = victim.0.try_wait().expect("a status") {
                    break status;
                }
                assert!(clock.monotonic() < until, "never came to {point}: {}", tail(&world.log()));
            };
            assert_eq!(status.signal(), Some(SIGKILL), "at {point}: {}", tail(&world.log()));
        }
    }
    let second = world.spawn(None);
    (0..20).for_each(|_| world.feed());
    world.verify();
    drop((steady, second));
}

#[cfg(feature = "crash-points")]
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(30).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

#[cfg(feature = "crash-points")]
#[test]
fn killed_at_each_point_exactly_once() {
    kill_at("exactly_once_v2", &["S0", "S1", "S2", "S3", "S3Received", "S4", "S5"]);
}

#[cfg(feature = "crash-points")]
#[test]
fn killed_at_each_point_at_least_once() {
    kill_at("at_least_once", &["A0", "S1", "A2", "A2Received", "A1"]);
}

/// kill -9 of either process at moments that nobody chose.
fn kill_at_random(guarantee: &'static str) {
    let Some(mut world) = World::new(guarantee) else { return };
    let mut processes = vec![world.spawn(None), world.spawn(None)];
    let clock = SystemClock::new();
    for kill in 0..8_u64 {
        let until = clock.monotonic() + 700 + (kill * 977 % 1_900) as i64;
        while clock.monotonic() < until {
            world.feed();
        }
        processes.remove(0);
        processes.push(world.spawn(None));
    }
    (0..20).for_each(|_| world.feed());
    world.verify();
}

#[test]
fn killed_at_random_exactly_once() {
    kill_at_random("exactly_once_v2");
}

#[test]
fn killed_at_random_at_least_once() {
    kill_at_random("at_least_once");
}
