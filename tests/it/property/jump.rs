//! A jump of the clock and many small advances: the same finals and heartbeats, in the same order.

use super::case::{Case, Class, Held, START};
use super::each_seed;
use super::world::{Read, Seen, World};
use crate::run::Chance;
use highwater::testing::InputRecord;
use highwater::time::{Timestamp, milliseconds};

/// What has to be in the same order, by topic: finals, and heartbeats among the live updates.
fn orders(seen: &Seen, until: i64) -> [Vec<(u32, Read<Held>)>; 4] {
    let order = |reads: &[Read<Held>], beats: bool| {
        let kept = reads.iter().filter(|read| read.key.window.end.0 <= until);
        let kept = kept.filter(|read| !beats || read.value.ids.is_empty());
        // Offsets count commits too, which may fall elsewhere.
        let mut all: Vec<_> = kept.map(|read| (read.partition, Read { offset: 0, ..read.clone() })).collect();
        all.sort_by_key(|(partition, _)| *partition);
        all
    };
    [
        order(&seen.finals, false),
        order(&seen.parents, false),
        order(&seen.live, true),
        order(&seen.late_children, false),
    ]
}

fn quiet_case(chance: &mut Chance) -> Case {
    let mut case = Case::draw(chance, true);
    case.instances = 1;
    case.manual_commit = false;
    case
}

/// Records that only tell the time, removed by a filter: one, or many up to the same moment.
fn by_records(seed: u64, jumps: bool) -> Seen {
    let mut chance = Chance::new(seed);
    let mut case =
        Case { class: Class::Ordered, partitions: 1, repartition: false, ..quiet_case(&mut chance) };
    if !jumps {
        case.properties.retain(|(name, _)| *name != "highwater.advance.batch");
    }
    let mut world = World::new(case);
    // The two runs draw the same ticks, and the small steps from elsewhere.
    let mut steps = Chance::new(!seed);
    let mut at = START.0;
    for _ in 0..4 + chance.below(6) {
        world.ticks_at(&mut chance, Timestamp(at));
        let end = at + chance.below(8 * world.case.size as u64) as i64;
        while !jumps && at < end {
            world.clock_tick(Timestamp(at));
            at += 1 + steps.below(world.case.size as u64 / 3) as i64;
        }
        at = end;
        world.clock_tick(Timestamp(at));
    }
    world.clock_tick(Timestamp(at + 10 * world.case.size));
    world.read();
    world.seen
}

/// The idle clock: an outage after which it goes on at once, or the same time without one.
fn by_silence(seed: u64, jumps: bool) -> (Seen, i64) {
    let mut chance = Chance::new(seed);
    let case = Case { class: Class::Within, ..quiet_case(&mut chance) };
    let mut world = World::new(case);
    let long = milliseconds(20 * world.case.size as u64);
    // No ticks later: how far the watermark has come when they arrive depends on when the log was asked for its end.
    world.ticks_at(&mut chance, START);
    world.driver.commit();
    for _ in 0..=chance.below(3) {
        if jumps {
            world.driver.outage(long);
        } else {
            world.driver.advance_clock(long);
        }
        world.driver.commit();
    }
    // After an outage the silence is counted again.
    world.driver.advance_clock(world.case.drain());
    world.read();
    let until = world.driver.now().0 - world.case.drain().as_millis() as i64;
    (world.seen, until)
}

impl World {
    /// Some ticks around a moment, in two batches.
    fn ticks_at(&mut self, chance: &mut Chance, now: Timestamp) {
        for _ in 0..2 {
            let records: Vec<_> = (0..=chance.below(5)).map(|_| self.record_at(chance, now)).collect();
            self.driver.pipe_all(&self.input, records);
        }
    }
    fn clock_tick(&mut self, at: Timestamp) {
        self.driver.pipe(&self.input, &InputRecord::new("clock".to_owned(), 0, at));
    }
}

fn same(jump: &[Vec<(u32, Read<Held>)>], steps: &[Vec<(u32, Read<Held>)>]) {
    for (topic, (jump, steps)) in jump.iter().zip(steps).enumerate() {
        let differ = jump.iter().zip(steps).find(|(jump, steps)| jump != steps);
        assert_eq!(differ, None, "in topic {topic}");
        assert_eq!(jump.len(), steps.len(), "in topic {topic}");
    }
}

#[test]
fn of_records() {
    each_seed("jump::of_records", |seed| {
        let [jump, steps] = [true, false].map(|jumps| by_records(seed, jumps));
        let [jump, steps] = [&jump, &steps].map(|seen| orders(seen, i64::MAX));
        assert!(!jump[0].is_empty());
        same(&jump, &steps);
    });
}

#[test]
fn of_the_clock() {
    each_seed("jump::of_the_clock", |seed| {
        let ((jump, until), (steps, _)) = (by_silence(seed, true), by_silence(seed, false));
        let [jump, steps] = [&jump, &steps].map(|seen| orders(seen, until));
        assert!(!jump[0].is_empty());
        same(&jump, &steps);
    });
}
