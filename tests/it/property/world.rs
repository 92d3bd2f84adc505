//! A case as it runs: ticks, and everything that happens to the instances and to the log meanwhile.

use super::case::{Case, Class, Held, START};
use crate::run::Chance;
use highwater::serdes::{Utf8, WindowedSerde};
use highwater::testing::{CommitPoint, InputRecord, InputTopic, OutputRecord, TopologyTestDriver};
use highwater::time::{Timestamp, milliseconds};
use highwater::{Consumed, DefaultSerde, Produced, Windowed};
use std::collections::BTreeSet;

pub type Read<V> = OutputRecord<Windowed<String>, V>;

/// A tick in the order in which it was written.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    pub id: u64,
    pub at: i64,
}

/// What a reader has read.
#[derive(Debug, Default)]
pub struct Seen {
    pub live: Vec<Read<Held>>,
    pub finals: Vec<Read<Held>>,
    pub live_parents: Vec<Read<Held>>,
    pub parents: Vec<Read<Held>>,
    pub late: Vec<Read<u64>>,
    pub late_children: Vec<Read<Held>>,
}

pub struct World {
    pub case: Case,
    pub driver: TopologyTestDriver,
    pub ticks: Vec<Tick>,
    pub seen: Seen,
    /// Points at which an instance was killed.
    pub killed: BTreeSet<CommitPoint>,
    pub input: InputTopic<String, u64>,
    ordered: Option<CommitPoint>,
    next_id: u64,
}

impl World {
    pub fn new(case: Case) -> Self {
        let driver = case.driver();
        let input = driver.input_topic("ticks", Produced::default());
        let (ticks, seen, killed) = (Vec::new(), Seen::default(), BTreeSet::new());
        Self { case, driver, ticks, seen, killed, input, ordered: None, next_id: 1 }
    }

    /// Everything until nothing is open.
    pub fn run(&mut self, chance: &mut Chance) {
        let steps = 20 + chance.below(60);
        for _ in 0..steps {
            self.step(chance);
        }
        self.drain();
    }

    fn step(&mut self, chance: &mut Chance) {
        match chance.below(40) {
            0..18 => self.tick(chance),
            18..27 => self.wait(chance),
            27..31 => self.kill(chance),
            31 => self.driver.crash_and_restore(chance.below(self.case.instances as u64) as usize),
            32 => {
                let instance = chance.below(self.case.instances as u64) as usize;
                self.driver.lose_disk(instance);
                self.driver.crash_and_restore(instance);
            }
            33..35 => self.rebalance(chance),
            35 => self.outage(chance),
            36 => self.driver.commit(),
            _ => self.read(),
        }
    }

    fn record(&mut self, chance: &mut Chance) -> InputRecord<String, u64> {
        let now = self.driver.now();
        self.record_at(chance, now)
    }
    pub fn record_at(&mut self, chance: &mut Chance, now: Timestamp) -> InputRecord<String, u64> {
        let id = self.next_id;
        self.next_id += 1;
        let age = match chance.below(4) {
            0 => 0,
            1 => self.case.oldest(),
            _ => chance.below(self.case.oldest() as u64 + 1) as i64,
        };
        let at = Timestamp(now.0 - age);
        self.ticks.push(Tick { id, at: at.0 });
        let record = InputRecord::new(self.case.key_of(id), id, at);
        if !self.case.repartition {
            return record;
        }
        record.partition(chance.below(u64::from(self.case.partitions)) as u32)
    }

    fn tick(&mut self, chance: &mut Chance) {
        for _ in 0..=chance.below(3) {
            let burst = 1 + chance.below(6);
            let records: Vec<_> = (0..burst).map(|_| self.record(chance)).collect();
            self.driver.pipe_all(&self.input, records);
            self.driver.advance_clock(milliseconds(chance.below(400)));
        }
    }

    fn wait(&mut self, chance: &mut Chance) {
        let Case { size, idle, .. } = self.case;
        let most = [200, size, idle, 3 * (idle + size)][chance.below(4) as usize];
        self.driver.advance_clock(milliseconds(chance.below(most as u64)));
    }

    fn kill(&mut self, chance: &mut Chance) {
        self.note_kill();
        let points: &[CommitPoint] =
            if self.case.exactly_once { &CommitPoint::EXACTLY_ONCE } else { &CommitPoint::AT_LEAST_ONCE };
        let point = points[chance.below(points.len() as u64) as usize];
        self.driver.kill_at(point);
        self.ordered = Some(point);
        match point {
            CommitPoint::S6 => self.rebalance(chance),
            CommitPoint::S9 => self.outage(chance),
            _ => {}
        }
    }
    pub fn note_kill(&mut self) {
        if let Some(point) = self.ordered.take()
            && !self.driver.is_kill_pending()
        {
            self.killed.insert(point);
        }
    }

    fn rebalance(&mut self, chance: &mut Chance) {
        let all = 1 << self.case.instances;
        let chosen = 1 + chance.below(all - 1);
        let members: Vec<usize> = (0..self.case.instances).filter(|n| chosen >> n & 1 == 1).collect();
        self.driver.rebalance(&members);
    }

    /// Longer than the idle timeout, with ticks that reach the log at once, and others that their producer holds back.
    fn outage(&mut self, chance: &mut Chance) {
        let mut held = Vec::new();
        // The producer holds back all of them or none: it does not change their order.
        let holds = chance.below(2) == 0;
        self.driver.begin_outage();
        for _ in 0..3 + chance.below(6) {
            let burst: Vec<_> = (0..chance.below(4)).map(|_| self.record(chance)).collect();
            if holds {
                held.extend(burst);
            } else {
                self.driver.pipe_all(&self.input, burst);
            }
            let long = if chance.below(3) == 0 { 12_000 } else { self.case.idle };
            self.driver.advance_clock(milliseconds(chance.below(long as u64)));
        }
        self.driver.advance_clock(milliseconds(self.case.idle as u64));
        self.driver.pipe_all(&self.input, held);
        self.driver.end_outage();
    }

    fn drain(&mut self) {
        self.note_kill();
        let everyone: Vec<usize> = (0..self.case.instances).collect();
        self.driver.rebalance(&everyone);
        // A kill that is still to come restarts the count of the silence.
        for _ in 0..3 {
            self.driver.advance_clock(self.case.drain());
            if self.case.class == Class::Ordered {
                let at = self.driver.now();
                let record = InputRecord::new("clock".to_owned(), 0, at);
                self.ticks.push(Tick { id: 0, at: at.0 });
                self.driver.pipe(&self.input, &record);
            }
            self.driver.commit();
            self.read();
        }
        assert!(self.driver.now() > START);
    }

    pub fn read(&mut self) {
        fn read<V: DefaultSerde>(driver: &mut TopologyTestDriver, topic: &str) -> Vec<Read<V>> {
            let consumed = Consumed::with(WindowedSerde::of(Utf8).with_end(), V::Serde::default());
            let topic = driver.output_topic(topic, consumed);
            driver.read_records(&topic)
        }
        let driver = &mut self.driver;
        self.seen.live.extend(read(driver, "live"));
        self.seen.finals.extend(read(driver, "final"));
        self.seen.late.extend(read(driver, "late"));
        if self.case.has_parents() {
            self.seen.live_parents.extend(read(driver, "live-parent"));
            self.seen.parents.extend(read(driver, "final-parent"));
            self.seen.late_children.extend(read(driver, "late-children"));
        }
    }
}
