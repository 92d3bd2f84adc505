//! Processes of one application, and the plain fold of its input by which their results are judged.

use super::cluster::{Cluster, LONG, Seen};
use super::stars;
use highwater::time::{Clock, SystemClock, TimeWindows, minutes};
use highwater::{
    Consumed, Grouped, KafkaStreams, Materialized, Produced, StreamsBuilder, StreamsConfig, Suppressed,
    Topology,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

pub const PARTITIONS: i32 = 4;
/// Event time between two rounds of input, ms.
const ROUND: i64 = 7_000;
const MINUTE: i64 = 60_000;
/// Rounds after which every key of the input has come.
pub const ALL_KEYS: usize = 3;

/// What the processes of a test share; passed on in the environment.
pub struct World {
    pub cluster: Cluster,
    pub application: String,
    pub guarantee: &'static str,
    pub transaction_timeout: Duration,
    ticks: String,
    finals: String,
    totals: String,
    state: tempfile::TempDir,
    /// Which keys the next rounds are of.
    pub set: u32,
    /// Of which keys each round was.
    rounds: Vec<u32>,
}

/// What a process does to itself at a point of a commit.
#[derive(Clone, Copy)]
pub struct Fault<'a> {
    pub point: &'a str,
    /// The how manieth time that it comes there.
    pub number: u64,
    pub delay_us: u64,
    /// `KILL` or `STOP`.
    pub signal: &'a str,
}

impl World {
    /// On the broker that all tests share.
    pub fn new(guarantee: &'static str) -> Option<Self> {
        Some(Self::on(Cluster::there()?, guarantee))
    }

    pub fn on(cluster: Cluster, guarantee: &'static str) -> Self {
        let [application, ticks, finals, totals] =
            ["kills", "ticks", "finals", "totals"].map(|name| cluster.unique(name));
        for topic in [&ticks, &finals, &totals] {
            cluster.create(topic, PARTITIONS);
        }
        let state = tempfile::tempdir().expect("a folder");
        let transaction_timeout = Duration::from_secs(10);
        let (set, rounds) = (0, Vec::new());
        Self {
            cluster,
            application,
            guarantee,
            transaction_timeout,
            ticks,
            finals,
            totals,
            state,
            set,
            rounds,
        }
    }

    pub fn is_exactly_once(&self) -> bool {
        self.guarantee == "exactly_once_v2"
    }

    /// A process on the disk that all share, each in a place of its own.
    pub fn spawn(&self, fault: Option<Fault<'_>>) -> Process {
        self.spawn_on("disk", fault)
    }

    /// A process on a disk by its name.
    pub fn spawn_on(&self, disk: &str, fault: Option<Fault<'_>>) -> Process {
        let shared = [&self.cluster.bootstrap, &self.application, &self.ticks, &self.finals, &self.totals];
        let timeout = self.transaction_timeout.as_millis().to_string();
        let mut environment = vec![
            ("HIGHWATER_CHILD_WORLD", shared.map(String::as_str).join(",")),
            ("HIGHWATER_CHILD_GUARANTEE", self.guarantee.to_owned()),
            ("HIGHWATER_CHILD_STATE", self.disk(disk).display().to_string()),
            ("HIGHWATER_CHILD_TRANSACTION", timeout),
        ];
        if let Some(fault) = fault {
            environment.push(("HIGHWATER_CRASH_POINT", format!("{}:{}", fault.point, fault.number)));
            environment.push(("HIGHWATER_CRASH_DELAY_US", fault.delay_us.to_string()));
            environment.push(("HIGHWATER_CRASH_SIGNAL", fault.signal.to_owned()));
        }
        Process::spawn(&environment, &self.log())
    }

    pub fn disk(&self, name: &str) -> PathBuf {
        self.state.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.state.path().join("log")
    }

    /// The last words of the processes.
    pub fn last_words(&self) -> String {
        last_words(&self.log())
    }

    /// One record more in each partition, some of the same key.
    pub fn feed(&mut self) {
        let (key, at) = (self.key(self.rounds.len(), self.set), self.at(self.rounds.len()));
        for partition in 0..PARTITIONS {
            self.cluster.write_to(&self.ticks, partition, &format!("{partition}-{key}"), "tick", at);
        }
        self.rounds.push(self.set);
    }

    /// As [`feed`](Self::feed), while the broker is away: the records wait in their producer.
    pub fn hand_over(&mut self) {
        let (key, at) = (self.key(self.rounds.len(), self.set), self.at(self.rounds.len()));
        for partition in 0..PARTITIONS {
            self.cluster.hand_over(&self.ticks, partition, &format!("{partition}-{key}"), "tick", at);
        }
        self.rounds.push(self.set);
    }

    /// Each key that there ever was once more.
    pub fn feed_all_keys(&mut self) {
        for set in 0..=self.set {
            self.set = set;
            (0..ALL_KEYS).for_each(|_| self.feed());
        }
    }

    #[expect(clippy::unused_self, reason = "the world's keys")]
    fn key(&self, round: usize, set: u32) -> String {
        format!("{}-{set}", round % ALL_KEYS)
    }
    #[expect(clippy::unused_self, reason = "the world's time")]
    fn at(&self, round: usize) -> i64 {
        1_000 + round as i64 * ROUND
    }

    /// Feeds until something is so, to a deadline.
    #[track_caller]
    pub fn feed_until(&mut self, what: &str, mut so: impl FnMut(&Self) -> bool) {
        let clock = SystemClock::new();
        while !so(self) {
            assert!(clock.monotonic() < LONG.as_millis() as i64, "{what}: not so: {}", self.last_words());
            self.feed();
        }
    }

    /// Feeds until so many processes are in the group.
    #[track_caller]
    pub fn feed_until_members(&mut self, members: usize) {
        let what = format!("a group of {members}");
        self.feed_until(&what, |world| world.cluster.members(&world.application).len() == members);
    }

    /// Finals and totals as a plain fold of the input has them; only windows that the last round has closed.
    fn fold(&self) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        let (mut finals, mut totals) = (BTreeMap::new(), BTreeMap::new());
        self.each_record(|key, start, closed| {
            if closed {
                *finals.entry(format!("{key}@{start}")).or_default() += 1;
            }
            *totals.entry(key).or_default() += 1;
        });
        (finals, totals)
    }

    /// Of each record the key, the start of its minute, and whether that is over.
    fn each_record(&self, mut each: impl FnMut(String, i64, bool)) {
        let last = self.at(self.rounds.len().saturating_sub(1));
        for (round, set) in self.rounds.iter().enumerate() {
            let start = self.at(round) / MINUTE * MINUTE;
            for partition in 0..PARTITIONS {
                each(format!("{partition}-{}", self.key(round, *set)), start, start + MINUTE <= last);
            }
        }
    }

    /// What the two stores have to hold, as their changelogs have it.
    fn stores(&self) -> [(&'static str, Folded); 2] {
        let (mut totals, mut minutes) = (BTreeMap::new(), BTreeMap::new());
        self.each_record(|key, start, closed| {
            if !closed {
                // Key, start, and the number that tells equal ones apart.
                let key = [key.as_bytes(), &start.to_be_bytes(), &[0; 4]].concat();
                *minutes.entry(key).or_default() += 1;
            }
            *totals.entry(key.into_bytes()).or_default() += 1;
        });
        let bytes = |counts: BTreeMap<Vec<u8>, u64>| -> Folded {
            counts.into_iter().map(|(key, count)| (key, count.to_be_bytes().to_vec())).collect()
        };
        [("totals", bytes(totals)), ("per-minute", bytes(minutes))]
    }

    /// Waits until the changelogs, read from their beginning, hold what the stores have to.
    #[track_caller]
    pub fn until_changelogs_are_the_fold(&self) {
        let clock = SystemClock::new();
        for (store, expected) in self.stores() {
            let topic = format!("{}-{store}-changelog", self.application);
            loop {
                let folded = fold(&self.cluster, &topic);
                if folded == expected {
                    break;
                }
                assert!(
                    clock.monotonic() < LONG.as_millis() as i64 / 2,
                    "{topic}: {folded:?} is not {expected:?}; {}",
                    self.last_words()
                );
            }
        }
    }

    /// Waits for the fold, and judges all that was written on the way there.
    #[track_caller]
    pub fn verify(&self) {
        let (finals, totals) = self.fold();
        let have = |seen: &[Seen]| -> BTreeMap<String, u64> {
            seen.iter().map(|(_, key, value)| (key.clone(), value.parse().expect("a count"))).collect()
        };
        let mut updates = Vec::new();
        let came = self.cluster.within(&self.totals, |seen| {
            updates = seen.to_vec();
            have(seen) == totals
        });
        let came_to = have(&updates);
        let wrong: Vec<_> = totals.iter().filter(|(key, count)| came_to.get(*key) != Some(count)).collect();
        let other = wrong.iter().map(|(key, _)| came_to.get(*key)).collect::<Vec<_>>();
        if !came {
            let ticks: Vec<i32> =
                self.cluster.read(&self.ticks).iter().map(|(partition, ..)| *partition).collect();
            let there: Vec<usize> =
                (0..PARTITIONS).map(|partition| ticks.iter().filter(|p| **p == partition).count()).collect();
            let read = self.cluster.committed(&self.application, &self.ticks, PARTITIONS);
            let read: Vec<i64> = read.into_iter().map(|(offset, _)| offset).collect();
            let kept = fold(&self.cluster, &format!("{}-totals-changelog", self.application));
            let kept: Vec<_> = wrong.iter().map(|(key, _)| kept.get(key.as_bytes())).collect();
            panic!(
                "totals are {other:?}, in the changelog {kept:?}, of {wrong:?}; {} rounds, of each partition {there:?} ticks, {read:?} read; {}",
                self.rounds.len(),
                self.last_words()
            );
        }
        let seen = self.cluster.until(&self.finals, "finals are the fold", |seen| have(seen) == finals);
        for (key, values) in by_key(&seen) {
            if self.is_exactly_once() {
                assert_eq!(values.len(), 1, "{key}: {values:?}");
            }
            assert!(values.iter().all(|value| *value == values[0]), "repeats differ: {key}: {values:?}");
        }
        if self.is_exactly_once() {
            for (key, values) in by_key(&updates) {
                assert!(values.windows(2).all(|two| two[0] < two[1]), "{key} goes back: {values:?}");
            }
        }
    }
}

type Folded = BTreeMap<Vec<u8>, Vec<u8>>;

/// The last value of each key; a tombstone removes it.
fn fold(cluster: &Cluster, changelog: &str) -> Folded {
    let mut folded = Folded::new();
    for record in cluster.read_raw(changelog) {
        let key = record.key.expect("a key");
        match record.value {
            Some(value) => drop(folded.insert(key, value)),
            None => drop(folded.remove(&key)),
        }
    }
    folded
}

fn by_key(seen: &[Seen]) -> BTreeMap<&str, Vec<u64>> {
    let mut by_key: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (_, key, value) in seen {
        by_key.entry(key).or_default().push(value.parse().expect("a count"));
    }
    by_key
}

fn last_words(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(30).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Ends with its test, whatever happens there.
pub struct Process(pub Child);

impl Process {
    pub fn spawn(environment: &[(&str, String)], log: &std::path::Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let of_test = "kafka::processes::a_process_of_these_tests";
        command.args([of_test, "--exact", "--nocapture"]).env("HIGHWATER_CHILD", "1");
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        command.stdout(Stdio::null()).stderr(log);
        Self(command.spawn().expect("a process"))
    }

    /// `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.0.id().to_string()]).status();
        assert!(sent.expect("kill").success(), "{signal}");
    }

    /// A clean stop: it commits, leaves the group, and ends well.
    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.0.wait().expect("a status");
        assert!(status.success(), "{status}");
    }
}

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

/// Does nothing but as a process that a test has started. SIGTERM is a clean stop.
#[test]
fn a_process_of_these_tests() {
    if std::env::var_os("HIGHWATER_CHILD").is_none() {
        return;
    }
    let text = |name: &str| std::env::var(name).expect(name);
    let (world, guarantee) = (text("HIGHWATER_CHILD_WORLD"), text("HIGHWATER_CHILD_GUARANTEE"));
    let names: Vec<&str> = world.split(',').collect();
    let config = StreamsConfig::new(names[1], names[0])
        .set("processing.guarantee", &guarantee)
        .set("commit.interval.ms", "50")
        .set("session.timeout.ms", "1500")
        .set("heartbeat.interval.ms", "300")
        .set("transaction.timeout.ms", text("HIGHWATER_CHILD_TRANSACTION"))
        .set("state.dir", text("HIGHWATER_CHILD_STATE"));
    let config = if cfg!(feature = "rocksdb") { config.set("default.dsl.store", "rocksDB") } else { config };
    let topology = match names[2..] {
        [ticks, finals, totals] => topology(&guarantee, ticks, finals, totals),
        [prefix] => stars::topology(prefix),
        _ => panic!("{world}"),
    };
    let (told, stop) = channel();
    ctrlc::set_handler(move || told.send(()).expect("the test listens")).expect("a handler");
    let running = KafkaStreams::new(topology, config).expect("starts").start();
    while !running.wait_for(Duration::from_millis(20)) {
        if stop.try_recv().is_ok() {
            running.close(LONG).expect("a clean stop");
            return;
        }
    }
    panic!("it ended by itself: {:?}", running.wait());
}
