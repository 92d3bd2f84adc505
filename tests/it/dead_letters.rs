//! Random records, some of them bad in one way or another, and random trouble: each bad one is a dead letter once, none is
//! lost, and the state is the fold without them.

use crate::run::Chance;
use highwater::serdes::{BigEndian, Bytes, Utf8};
use highwater::testing::{CommitPoint, InputRecord, TopologyTestDriver};
use highwater::time::{Timestamp, milliseconds};
use highwater::{Consumed, Materialized, Produced, StreamsBuilder, Topology};
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 60;

/// Refuses multiples of 7 before and of 11 behind the sums; a payload of another size cannot be read.
fn topology() -> Topology {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream("numbers", Consumed::<String, u64>::with(Utf8, BigEndian));
    let early = numbers.try_map_values(|n| if n % 7 == 0 { Err("seven") } else { Ok(*n) });
    early.to("seen", Produced::with(Utf8, BigEndian));
    let add = |_: &String, n: &u64, sum: &mut u64| {
        *sum += n;
        assert_ne!(n % 11, 0, "eleven");
    };
    let sums = early.group_by_key().aggregate(|| 0, add, Materialized::with("sums", BigEndian));
    sums.to_stream().to("sums", Produced::with(Utf8, BigEndian));
    builder.build().expect("a topology")
}

fn is_bad(n: u64) -> bool {
    n.is_multiple_of(5) || n.is_multiple_of(7) || n.is_multiple_of(11)
}

struct World {
    driver: TopologyTestDriver,
    exactly_once: bool,
    written: BTreeMap<String, Vec<u64>>,
    letters: Vec<(String, String, String)>,
    seen: BTreeMap<String, Vec<u64>>,
    sums: BTreeMap<String, u64>,
}

impl World {
    fn new(exactly_once: bool) -> Self {
        let driver = TopologyTestDriver::new(topology()).partitions(3).instances(2);
        let driver =
            if exactly_once { driver } else { driver.at_least_once().set("commit.interval.ms", "100") };
        let driver = driver
            .set("deserialization.exception.handler", "dlq")
            .set("processing.exception.handler", "dlq")
            .set("errors.dead.letter.queue.topic.name", "dead");
        let (written, seen, sums) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { driver, exactly_once, written, letters: Vec::new(), seen, sums }
    }

    fn feed(&mut self, chance: &mut Chance, next: &mut u64) {
        let input = self.driver.input_topic("numbers", Produced::<String, Vec<u8>>::with(Utf8, Bytes));
        let records: Vec<_> = (0..=chance.below(6)).map(|_| self.record(chance, next)).collect();
        self.driver.pipe_all(&input, records);
    }

    fn record(&mut self, chance: &mut Chance, next: &mut u64) -> InputRecord<String, Vec<u8>> {
        *next += 1;
        let (n, key) = (*next, format!("k{}", chance.below(5)));
        self.written.entry(key.clone()).or_default().push(n);
        let bytes = n.to_be_bytes();
        let value = if n % 5 == 0 { bytes[1..].to_vec() } else { bytes.to_vec() };
        InputRecord::new(key, value, Timestamp(n as i64))
    }

    fn trouble(&mut self, chance: &mut Chance) {
        let points: &[CommitPoint] =
            if self.exactly_once { &CommitPoint::EXACTLY_ONCE } else { &CommitPoint::AT_LEAST_ONCE };
        match chance.below(6) {
            0 | 1 => self.driver.kill_at(points[chance.below(points.len() as u64) as usize]),
            2 => self.driver.crash_and_restore(chance.below(2) as usize),
            3 => self.driver.lose_disk(chance.below(2) as usize),
            4 => self.driver.rebalance([&[0][..], &[1], &[0, 1]][chance.below(3) as usize]),
            _ => self.driver.advance_clock(milliseconds(chance.below(20_000))),
        }
    }

    fn read(&mut self) {
        let dead = self.driver.output_topic("dead", Consumed::<String, Vec<u8>>::with(Utf8, Bytes));
        for letter in self.driver.read_records(&dead) {
            let text = |name: &str| {
                let value = letter.headers.last(format!("__streams.errors.{name}")).flatten();
                String::from_utf8(value.expect("a header").to_vec()).expect("text")
            };
            self.letters.push((letter.key.clone(), text("partition"), text("offset")));
        }
        let seen = self.driver.output_topic("seen", Consumed::<String, u64>::with(Utf8, BigEndian));
        for (key, n) in self.driver.read_output(&seen) {
            self.seen.entry(key).or_default().push(n);
        }
        let sums = self.driver.output_topic("sums", Consumed::<String, u64>::with(Utf8, BigEndian));
        self.sums.extend(self.driver.read_output(&sums));
    }

    fn check(&mut self, seed: u64) {
        self.driver.rebalance(&[0, 1]);
        for _ in 0..3 {
            self.driver.advance_clock(milliseconds(60_000));
            self.read();
        }
        let distinct: BTreeSet<_> = self.letters.iter().collect();
        let bad = self.written.values().flatten().filter(|n| is_bad(**n)).count();
        assert_eq!(distinct.len(), bad, "seed {seed}: each bad record is a letter");
        if self.exactly_once {
            assert_eq!(self.letters.len(), bad, "seed {seed}: once");
        }
        for (key, numbers) in &self.written {
            let good: Vec<u64> = numbers.iter().copied().filter(|n| !is_bad(*n)).collect();
            let sum = self.sums.get(key).copied().unwrap_or_default();
            assert_eq!(sum, good.iter().sum::<u64>(), "seed {seed}: the state of {key} is the fold");
            let results = self.seen.get(key).cloned().unwrap_or_default();
            if self.exactly_once {
                assert_eq!(results, good, "seed {seed}: no result of {key} by a record that failed later");
            } else {
                assert!(good.iter().all(|n| results.contains(n)), "seed {seed}: none of {key} is lost");
            }
        }
    }
}

fn run(exactly_once: bool) {
    for seed in 0..SEEDS {
        let mut chance = Chance::new(seed);
        let (mut world, mut next) = (World::new(exactly_once), 0);
        for _ in 0..25 {
            world.feed(&mut chance, &mut next);
            match chance.below(4) {
                0 => world.trouble(&mut chance),
                1 => world.driver.advance_clock(milliseconds(chance.below(300))),
                2 => world.read(),
                _ => {}
            }
        }
        world.check(seed);
    }
}

#[test]
fn exactly_once() {
    run(true);
}

#[test]
fn at_least_once() {
    run(false);
}
