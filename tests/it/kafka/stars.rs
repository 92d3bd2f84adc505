//! Named tests of the pipeline of bars, on a broker: processes that come and go, and time that goes on with the records.

use super::cluster::{Cluster, LONG};
use super::processes::Process;
use crate::run::{
    Bar, D1, H1, Key, M1, Mo1, Pipeline, Read, TIMEFRAMES, Tick, Timeframe, W1, conserved, key, name, once,
    random_ticks, utc,
};
use highwater::serdes::{Deserializer, Json, WindowedSerde};
use highwater::testing::OutputRecord;
use highwater::time::{Clock, SystemClock, Timestamp, days, hours, minutes, seconds};
use highwater::{Headers, Topology, Windowed};
use std::collections::BTreeMap;

/// From this number on the keys are of ticks that only move time.
const MOVERS: u8 = 200;

/// End, start, key.
type Slot = (i64, i64, Key);
type Bars = BTreeMap<Slot, Bar>;

fn pipeline(prefix: &str) -> Pipeline {
    Pipeline { idle: None, prefix: prefix.to_owned(), ..Pipeline::new("24x7").heartbeats() }
}

/// Of a process.
pub fn topology(prefix: &str) -> Topology {
    pipeline(prefix).topology()
}

/// The application's topics, and its processes by number.
struct World {
    cluster: Cluster,
    pipeline: Pipeline,
    partitions: u8,
    state: tempfile::TempDir,
    processes: BTreeMap<u8, Process>,
}

impl World {
    fn new(partitions: u8) -> Option<Self> {
        let cluster = Cluster::there()?;
        let pipeline = pipeline(&format!("{}-", cluster.unique("stars")));
        for topic in ["ticks", "late", "outside", "late-children"] {
            cluster.create(&pipeline.topic(topic), partitions.into());
        }
        for timeframe in TIMEFRAMES {
            for kind in ["live", "final"] {
                cluster.create(&pipeline.topic(&name(kind, timeframe)), partitions.into());
            }
        }
        let state = tempfile::tempdir().expect("a folder");
        Some(Self { cluster, pipeline, partitions, state, processes: BTreeMap::new() })
    }

    fn start(&mut self, number: u8) {
        let prefix = &self.pipeline.prefix;
        let world = [self.cluster.bootstrap.clone(), format!("{prefix}app"), prefix.clone()].join(",");
        let environment = [
            ("HIGHWATER_CHILD_WORLD", world),
            ("HIGHWATER_CHILD_GUARANTEE", "exactly_once_v2".to_owned()),
            ("HIGHWATER_CHILD_STATE", self.state.path().join(number.to_string()).display().to_string()),
            ("HIGHWATER_CHILD_TRANSACTION", "10000".to_owned()),
        ];
        self.processes.insert(number, Process::spawn(&environment, &self.state.path().join("log")));
    }

    /// kill -9.
    fn kill(&mut self, number: u8) {
        self.processes.remove(&number).expect("it runs");
    }
    fn stop(&mut self, number: u8) {
        self.processes.remove(&number).expect("it runs").stop();
    }

    /// Each key has its partition.
    fn tick(&self, key: &Key, at: Timestamp, price: i64, quantity: i64) {
        let tick = serde_json::to_string(&Tick { at, price, quantity }).expect("JSON");
        let (topic, partition) = (self.pipeline.topic("ticks"), i32::from(key.0 % self.partitions));
        self.cluster.hand_over(&topic, partition, &serde_json::to_string(key).expect("JSON"), &tick, at.0);
    }

    /// Time goes on to this moment in every partition.
    fn until(&self, at: Timestamp) {
        for partition in 0..self.partitions {
            let first = (MOVERS..=u8::MAX).find(|n| n % self.partitions == partition);
            self.tick(&key(first.expect("a number")), at, 1, 1);
        }
        self.cluster.flush();
    }

    /// What is committed, without the keys that only move time.
    fn read<V>(&self, topic: &str) -> Vec<OutputRecord<Windowed<Key>, V>>
    where
        Json: Deserializer<V>,
    {
        let records = self.cluster.read_raw(&self.pipeline.topic(topic)).into_iter();
        let read = records.map(|raw| {
            let key: Windowed<Key> = windowed(&raw.key.expect("a key"));
            let value: V = Json.deserialize(&raw.value.expect("a value")).expect("JSON");
            let (timestamp, partition) = (Timestamp(raw.timestamp), raw.partition as u32);
            OutputRecord { key, value, timestamp, headers: Headers::new(), partition, offset: 0 }
        });
        read.filter(|read| read.key.key.0 < MOVERS).collect()
    }
    fn live(&self, timeframe: Timeframe) -> Vec<Read> {
        self.read(&name("live", timeframe))
    }
    fn finals(&self, timeframe: Timeframe) -> Vec<Read> {
        self.read(&name("final", timeframe))
    }

    #[track_caller]
    fn wait(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let clock = SystemClock::new();
        while !so(self) {
            let log = || std::fs::read_to_string(self.state.path().join("log")).unwrap_or_default();
            assert!(clock.monotonic() < LONG.as_millis() as i64, "{what}: not so: {}", log());
        }
    }

    /// Until each of the first keys has the last minute that is over at this moment.
    #[track_caller]
    fn wait_for_minutes(&self, keys: u8, now: Timestamp) {
        let last = now.minus(seconds(90)).0 / 60_000 * 60_000 - 60_000;
        self.wait("the last minute of each key", |world| {
            let finals = world.finals(M1);
            (0..keys)
                .all(|n| finals.iter().any(|read| read.key.key == key(n) && read.key.window.start.0 == last))
        });
    }
}

fn windowed(key: &[u8]) -> Windowed<Key> {
    WindowedSerde::of(Json).with_end().deserialize(key).expect("a windowed key")
}

fn starts(finals: &[Read], n: u8) -> Vec<i64> {
    once(finals).keys().filter(|(.., k)| *k == key(n)).map(|(_, start, _)| *start).collect()
}

fn inside(children: &[Read], parents: &[Read]) -> Vec<Read> {
    let closed = parents.iter().map(|read| read.key.window.end).max().expect("parents");
    children.iter().filter(|read| read.key.window.end <= closed).cloned().collect()
}

#[test]
fn fn_emit_once_after_watermark_per_slot() {
    let Some(mut world) = World::new(2) else { return };
    world.start(0);
    let start = utc("2024-03-08T10:00:00Z");
    let at = |s: u64| start.plus(seconds(s));
    world.tick(&key(1), at(5), 100, 1);
    world.tick(&key(1), at(59), 110, 1);
    world.tick(&key(1), at(149), 120, 1);
    world.cluster.flush();
    world.wait("the live bar of 10:02", |world| {
        world.live(M1).iter().any(|read| read.key.window.start == start.plus(minutes(2)))
    });
    assert!(world.finals(M1).is_empty(), "the slot ends at 60 s, and 90 s of grace end at 150 s");
    world.tick(&key(1), at(7), 90, 2);
    world.until(at(150));
    world.wait("a final", |world| !world.finals(M1).is_empty());
    world.tick(&key(1), at(8), 500, 1);
    world.until(at(750));
    world.wait_for_minutes(0, at(750));
    world.wait("more finals", |world| starts(&world.finals(M1), 1).len() == 11);
    let finals = once(&world.finals(M1));
    assert_eq!(finals[&(start.0 + 60_000, start.0, key(1))].ohlcv(), (100, 110, 90, 110, 4));
    assert_eq!(world.read::<Tick>("late").len(), 1, "late records are aside");
    world.stop(0);
}

#[test]
fn fn_restart_does_not_duplicate_final() {
    let (Some(expected), Some(came)) = (finals_of(false), finals_of(true)) else { return };
    for (timeframe, (expected, came)) in TIMEFRAMES.iter().zip(expected.into_iter().zip(came)) {
        assert!(!expected.is_empty(), "{timeframe:?}");
        assert_eq!(came, expected, "{timeframe:?}");
    }
}

/// The finals of a day, with a kill -9 or a clean stop after every chunk or without one.
fn finals_of(restarts: bool) -> Option<Vec<Bars>> {
    let mut world = World::new(2)?;
    let start = utc("2024-02-29T22:30:00Z");
    world.start(0);
    for (n, (key, at, price, quantity)) in random_ticks(7, 3, start, hours(2), 40_000).iter().enumerate() {
        world.tick(key, *at, *price, *quantity);
        if n % 110 == 109 {
            world.cluster.flush();
            world.wait("what leads there", |world| {
                let minute = Timestamp(at.minus(minutes(1)).0 / 60_000 * 60_000);
                world.live(M1).iter().any(|read| read.key.window.start >= minute)
            });
            match n / 110 % 2 {
                _ if !restarts => continue,
                0 => world.kill(0),
                _ => world.stop(0),
            }
            world.start(0);
        }
    }
    let end = start.plus(days(1) + hours(3));
    world.until(end);
    world.wait_for_minutes(3, end);
    world.stop(0);
    Some(TIMEFRAMES.map(|timeframe| once(&world.finals(timeframe))).into())
        .map(|finals: Vec<_>| finals.into_iter().filter(|finals| !finals.is_empty()).collect())
}

#[test]
fn mp_heartbeat_switch_on_rebalance_no_dup() {
    let Some(mut world) = World::new(2) else { return };
    let start = utc("2024-03-08T10:00:05Z");
    (0..6).for_each(|n| world.tick(&key(n), start, 100, 1));
    let mut now = start;
    for (turn, members) in [&[0, 1, 2][..], &[0, 1], &[1], &[1, 2], &[0], &[0, 1]].iter().enumerate() {
        for number in 0..3 {
            match (world.processes.contains_key(&number), members.contains(&number)) {
                (false, true) => world.start(number),
                (true, false) if turn % 2 == 0 => world.kill(number),
                (true, false) => world.stop(number),
                _ => {}
            }
        }
        now = now.plus(minutes(3) + seconds(13));
        world.until(now);
        world.wait_for_minutes(6, now);
    }
    let mut beats = BTreeMap::new();
    for read in world.live(M1).iter().filter(|read| read.value.ticks == 0) {
        *beats.entry((read.key.key.clone(), read.key.window)).or_insert(0) += 1;
    }
    assert!(beats.len() >= 6 * 10, "{beats:?}");
    assert!(beats.values().all(|times| *times == 1), "each quiet slot once: {beats:?}");
    let finals = world.finals(M1);
    for n in 0..6 {
        let slots = starts(&finals, n);
        assert!(slots.len() >= 10, "{n}: {}", slots.len());
        assert!(slots.windows(2).all(|w| w[1] - w[0] == 60_000), "{n}: no slot is skipped");
    }
}

/// Half an hour of children counted by one process and half by the next give one final.
#[test]
fn mp_finalization_progress_resumed_no_dup_on_switch() {
    for killed in [false, true] {
        let Some(mut world) = World::new(1) else { return };
        let start = utc("2024-03-08T10:00:05Z");
        world.start(0);
        for minute in 0..60 {
            if minute == 30 {
                world.cluster.flush();
                world.wait("most of the first half", |world| world.finals(M1).len() >= 27);
                if killed {
                    world.kill(0);
                } else {
                    world.stop(0);
                }
                assert!(world.finals(H1).is_empty());
                world.start(1);
            }
            world.tick(&key(1), start.plus(minutes(minute)), 100 + minute as i64, 1);
        }
        world.until(start.plus(minutes(75)));
        world.wait("the hour", |world| !world.finals(H1).is_empty());
        world.stop(1);
        let (m1, h1) = (world.finals(M1), world.finals(H1));
        assert_eq!(h1.len(), 1);
        assert!(h1[0].value.children.complete());
        conserved(&inside(&m1, &h1), &h1);
    }
}

#[test]
fn e2e_flow_live_to_final_cascade_all_levels_passes() {
    let Some(mut world) = World::new(3) else { return };
    let start = utc("2024-02-28T21:07:00Z");
    let ticks = random_ticks(11, 4, start, hours(3), 50_000);
    (0..2).for_each(|number| world.start(number));
    for (n, (key, at, price, quantity)) in ticks.iter().enumerate() {
        world.tick(key, *at, *price, *quantity);
        if n % 300 == 299 {
            world.cluster.flush();
            world.wait("an update", |world| {
                world.live(M1).iter().any(|read| read.key.window.end >= at.minus(minutes(1)))
            });
            let number = (n / 300 % 2) as u8;
            if number == 0 {
                world.kill(number);
            } else {
                world.stop(number);
            }
            world.start(number);
        }
    }
    let end = start.plus(days(4) + hours(4));
    world.until(end);
    world.wait_for_minutes(4, end);
    (0..2).for_each(|number| world.stop(number));

    let finals: BTreeMap<Timeframe, Vec<Read>> =
        TIMEFRAMES.into_iter().map(|timeframe| (timeframe, world.finals(timeframe))).collect();
    let m1 = once(&finals[&M1]);
    let real = m1.iter().filter(|(_, bar)| bar.ticks > 0).map(|(k, v)| (k.clone(), v.ohlcv()));
    assert_eq!(real.collect::<BTreeMap<_, _>>(), fold(&ticks), "the minutes with ticks are the fold's");
    for n in 0..4 {
        let slots = starts(&finals[&M1], n);
        assert!(slots.windows(2).all(|two| two[1] - two[0] == 60_000), "every quiet minute of {n} is filled");
    }
    for (child, parent) in [(M1, H1), (H1, D1), (D1, W1), (D1, Mo1)] {
        conserved(&inside(&finals[&child], &finals[&parent]), &finals[&parent]);
    }
    assert_eq!(once(&finals[&Mo1]).len(), 4, "February of four keys");
    assert_eq!(once(&finals[&W1]).len(), 4, "the week until Sunday");
    for timeframe in TIMEFRAMES {
        let live = world.live(timeframe).into_iter();
        let latest: BTreeMap<_, Bar> =
            live.map(|read| ((read.key.key, read.key.window.start.0), read.value)).collect();
        for ((_, start, key), bar) in once(&finals[&timeframe]) {
            assert_eq!(
                latest.get(&(key, start)),
                Some(&bar),
                "{timeframe:?}: the last live update is the final"
            );
        }
    }
    assert!(world.read::<Tick>("late").is_empty() && world.read::<Bar>("late-children").is_empty());
}

/// The minutes of a plain fold over the ticks.
fn fold(ticks: &[(Key, Timestamp, i64, i64)]) -> BTreeMap<Slot, (i64, i64, i64, i64, i64)> {
    let mut bars: Bars = BTreeMap::new();
    for (key, at, price, quantity) in ticks {
        let start = at.0 - at.0 % 60_000;
        let bar = bars.entry((start + 60_000, start, key.clone())).or_default();
        bar.trade(&Tick { at: *at, price: *price, quantity: *quantity });
    }
    bars.into_iter().map(|(slot, bar)| (slot, bar.ohlcv())).collect()
}
