//! What a seed decides before anything runs: topology, partitions, instances, guarantee, and how late the ticks may be.

use crate::run::Chance;
use highwater::serdes::{Json, Utf8, WindowedSerde};
use highwater::testing::TopologyTestDriver;
use highwater::time::{TimeWindows, Timestamp, milliseconds};
use highwater::{
    Consumed, DefaultSerde, GapFill, KStream, KTable, Materialized, Produced, Repartitioned, StreamsBuilder,
    Suppressed, Topology, Windowed,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When every case begins, some day at noon.
pub const START: Timestamp = Timestamp(1_709_899_200_000);

/// What lies in a window: every tick by its number, so that one that is lost, doubled or misplaced is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Ascending.
    pub ids: Vec<u64>,
    /// The largest number so far, through quiet windows too.
    pub last: u64,
    /// How many quiet windows in a row; of a parent, how many quiet ones are in it.
    pub quiet: u32,
    /// Of a parent.
    pub children: u32,
}

impl DefaultSerde for Held {
    type Serde = Json;
}

impl Held {
    pub fn add(&mut self, id: u64) {
        let at = self.ids.partition_point(|other| *other < id);
        self.ids.insert(at, id);
        self.last = self.last.max(id);
    }
    pub fn next_quiet(&self) -> Held {
        Held { ids: Vec::new(), last: self.last, quiet: self.quiet + 1, children: 0 }
    }
    pub fn absorb(&mut self, child: &Held) {
        child.ids.iter().for_each(|id| self.add(*id));
        self.last = self.last.max(child.last);
        self.quiet += u32::from(child.ids.is_empty());
        self.children += 1;
    }
}

/// What is known of lateness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// No tick is older than the watermark can be: nothing may be late.
    Within,
    /// One partition and no idle timeout: what is late follows from the order of the ticks.
    Ordered,
    /// Some are late, and which follows from the clock: every tick is in its window or on the side output.
    Free,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn for itself")]
pub struct Case {
    pub exactly_once: bool,
    pub class: Class,
    pub partitions: u32,
    pub instances: usize,
    pub keys: u64,
    pub repartition: bool,
    pub size: i64,
    pub advance: i64,
    pub grace: i64,
    pub out_of_order: i64,
    pub idle: i64,
    pub fill: bool,
    pub every: i64,
    pub properties: Vec<(&'static str, &'static str)>,
    pub manual_commit: bool,
}

fn one_of<T: Copy>(chance: &mut Chance, all: &[T]) -> T {
    all[chance.below(all.len() as u64) as usize]
}

impl Case {
    pub fn draw(chance: &mut Chance, exactly_once: bool) -> Self {
        let class = one_of(chance, &[Class::Within, Class::Within, Class::Ordered, Class::Free]);
        let ordered = class == Class::Ordered;
        let size = one_of(chance, &[1_000, 5_000, 10_000]);
        let fill = chance.below(3) == 0;
        let hopping = !fill && chance.below(3) == 0;
        let longest = if exactly_once { "5000" } else { "30000" };
        Self {
            exactly_once,
            class,
            partitions: if ordered { 1 } else { 1 + chance.below(4) as u32 },
            instances: 1 + chance.below(3) as usize,
            keys: 1 + chance.below(7),
            repartition: !ordered && chance.below(2) == 0,
            size,
            advance: if hopping { one_of(chance, &[size / 2, size / 5]) } else { size },
            grace: one_of(chance, &[0, 1, 700, 3_000]),
            out_of_order: one_of(chance, &[0, 300, 2_000]),
            idle: one_of(chance, &[2_000, 7_000]),
            fill,
            every: one_of(chance, &[0, size / 3, size * 2]),
            properties: vec![
                ("commit.interval.ms", one_of(chance, &["0", "100", "100", "1000", longest])),
                ("highwater.advance.batch", one_of(chance, &["1", "3", "1000"])),
                ("highwater.process.batch", one_of(chance, &["1", "7", "1000"])),
                ("highwater.restore.batch", one_of(chance, &["1", "5", "10000"])),
                ("num.stream.threads", one_of(chance, &["1", "1", "2"])),
                ("statestore.cache.max.bytes", one_of(chance, &["0", "300", "10485760"])),
            ],
            manual_commit: chance.below(2) == 0,
        }
    }

    /// How old a tick may be when it is written.
    pub fn oldest(&self) -> i64 {
        let within = self.out_of_order.min(self.idle) + self.grace;
        if self.class == Class::Within { within } else { 2 * within + self.size + 1_000 }
    }
    pub fn key_of(&self, id: u64) -> String {
        format!("k{}", id * 7 % self.keys)
    }
    pub fn windows(&self) -> TimeWindows {
        let [size, advance, grace] = [self.size, self.advance, self.grace].map(|ms| milliseconds(ms as u64));
        TimeWindows::of_size(size).advance_by(advance).grace(grace)
    }
    pub fn parent_size(&self) -> i64 {
        4 * self.size
    }
    pub fn has_parents(&self) -> bool {
        self.advance == self.size
    }
    /// All of it is closed so long after the last tick, if the clock closes.
    pub fn drain(&self) -> Duration {
        milliseconds((self.idle + self.out_of_order + self.grace + 2 * self.parent_size() + 20_000) as u64)
    }

    pub fn topology(&self) -> Topology {
        let builder = StreamsBuilder::new();
        let consumed = Consumed::<String, u64>::default();
        let consumed = consumed.out_of_orderness(milliseconds(self.out_of_order as u64));
        let idle = milliseconds(self.idle as u64);
        let consumed = if self.class == Class::Ordered { consumed } else { consumed.idle_timeout(idle) };
        let case = self.clone();
        // Ticks with the number 0 only tell the time.
        let ticks = builder.stream("ticks", consumed).filter(|_, id| *id != 0);
        let ticks = if self.repartition {
            let moved = ticks.select_key(move |_, id| case.key_of(*id));
            moved.repartition(Repartitioned::named("by-key"))
        } else {
            ticks
        };
        let windowed = ticks.group_by_key().windowed_by(self.windows());
        windowed.late().to("late", slot());
        let held = Materialized::named("held");
        let table = windowed.aggregate(Held::default, |_, id, held: &mut Held| held.add(*id), held);
        let table = if self.fill {
            let fill = GapFill::with(Held::next_quiet).every(milliseconds(self.every as u64));
            table.fill_gaps(fill.jitter(milliseconds(self.size as u64 / 4)), Materialized::named("known"))
        } else {
            table
        };
        let finals = publish(&table, "live", "final");
        if self.has_parents() {
            let grace = milliseconds(self.grace as u64);
            let parents = TimeWindows::of_size(milliseconds(self.parent_size() as u64)).grace(grace);
            let rolled = finals.roll_up(parents).children(self.windows());
            rolled.late().to("late-children", slot());
            let add = |_: &_, child: &Held, sum: &mut Held, _| sum.absorb(child);
            let parents = rolled.aggregate(Held::default, add, Materialized::named("parents"));
            let _ = publish(&parents, "live-parent", "final-parent");
        }
        builder.build().expect("a topology")
    }

    pub fn driver(&self) -> TopologyTestDriver {
        let driver = TopologyTestDriver::new(self.topology()).partitions(self.partitions);
        let driver = driver.instances(self.instances).start_at(START);
        let driver = if self.exactly_once { driver } else { driver.at_least_once() };
        let driver = if self.manual_commit { driver.manual_commit() } else { driver };
        self.properties.iter().fold(driver, |driver, (name, value)| driver.set(name, value))
    }
}

pub fn slot<V: DefaultSerde>() -> Produced<Windowed<String>, V> {
    Produced::with(WindowedSerde::of(Utf8).with_end(), V::Serde::default())
}

fn publish(
    table: &KTable<Windowed<String>, Held>,
    live: &str,
    last: &str,
) -> KStream<Windowed<String>, Held> {
    table.to_stream().to(live, slot());
    let finals = table.suppress(Suppressed::until_window_closes()).to_stream();
    finals.to(last, slot());
    finals
}
