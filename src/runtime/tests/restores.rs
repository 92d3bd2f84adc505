//! What is told of restores: each store of each task that starts, from its start to its end, or that it went away.

use super::world::{Guarantee, World, fed, letters};
use crate::runtime::restore_listener::{RestoreStage, RestoreTeller, StateRestore};
use std::sync::mpsc::Receiver;

fn world(guarantee: Guarantee, batch: &str) -> World {
    let config = guarantee.config().set("highwater.restore.batch", batch);
    let world = World::new(letters(), config, 1);
    world.topic("in", 2);
    world.topic("out", 2);
    world
}

fn start(world: &mut World) -> Receiver<StateRestore> {
    world.start(0);
    let (teller, told) = RestoreTeller::channel();
    world.members[0].instance.as_mut().expect("lives").tell_restores(teller);
    told
}

/// What was told of a partition of the changelog.
fn of(told: &[StateRestore], partition: u32) -> Vec<RestoreStage> {
    let of = |told: &&StateRestore| told.partition.partition == partition;
    assert!(told.iter().all(|t| &*t.store == "all" && &*t.partition.topic == "app-all-changelog"));
    told.iter().filter(of).map(|told| told.stage).collect()
}

#[test]
fn nothing_to_restore_has_a_start_and_an_end() {
    for guarantee in Guarantee::BOTH {
        let mut world = world(guarantee, "10");
        let told = start(&mut world);
        world.advance(2_000);
        let told: Vec<_> = told.try_iter().collect();
        let start = RestoreStage::Start { starting_offset: 0, ending_offset: 0 };
        for partition in 0..2 {
            assert_eq!(
                of(&told, partition),
                [start, RestoreStage::End { total_restored: 0 }],
                "{guarantee:?}"
            );
        }
    }
}

#[test]
fn a_lost_disk_is_restored_in_batches_up_to_the_commit() {
    for guarantee in Guarantee::BOTH {
        let mut world = world(guarantee, "2");
        world.start(0);
        world.advance(2_000);
        // Two keys in partition 0, one in the other; each commit writes each key once.
        let mut count = 0;
        for _ in 0..3 {
            count = fed(&mut world, count, 1);
            world.advance(1_000);
        }
        world.crash(0);
        world.members[0].disk.lose();
        let told = start(&mut world);
        world.advance(60_000);
        let told: Vec<_> = told.try_iter().collect();
        for (partition, records) in [(0, 6), (1, 3)] {
            let stages = of(&told, partition);
            let Some(RestoreStage::Start { starting_offset: 0, ending_offset }) = stages.first() else {
                panic!("{guarantee:?}: {stages:?}");
            };
            assert_eq!(stages.last(), Some(&RestoreStage::End { total_restored: records }), "{guarantee:?}");
            let batches: Vec<(i64, u64)> = stages[1..stages.len() - 1]
                .iter()
                .map(|stage| match stage {
                    RestoreStage::Batch { batch_end_offset, restored } => (*batch_end_offset, *restored),
                    other => panic!("{guarantee:?}: {other:?}"),
                })
                .collect();
            assert!(batches.len() > 1 && batches.is_sorted(), "{guarantee:?}: {batches:?}");
            assert!(batches.iter().all(|(at, restored)| at < ending_offset && *restored <= 2), "{batches:?}");
            assert_eq!(batches.iter().map(|(_, restored)| restored).sum::<u64>(), records, "{guarantee:?}");
        }
    }
}

#[test]
fn a_restore_that_is_given_up_is_suspended() {
    for guarantee in Guarantee::BOTH {
        let mut world = world(guarantee, "1");
        world.start(0);
        world.advance(2_000);
        let mut count = 0;
        for _ in 0..3 {
            count = fed(&mut world, count, 1);
            world.advance(1_000);
        }
        world.crash(0);
        world.members[0].disk.lose();
        let told = start(&mut world);
        let mut heard: Vec<StateRestore> = Vec::new();
        let mut steps = 0;
        while !heard.iter().any(|told| matches!(told.stage, RestoreStage::Batch { .. })) {
            if !world.step(0) {
                world.clock.advance(50);
            }
            heard.extend(told.try_iter());
            steps += 1;
            assert!(steps < 100_000, "{guarantee:?}: no restore");
        }
        world.members[0].instance.as_mut().expect("lives").stop();
        world.settle();
        heard.extend(told.try_iter());
        for partition in 0..2 {
            let stages = of(&heard, partition);
            let starts = stages.iter().filter(|s| matches!(s, RestoreStage::Start { .. })).count();
            let restored: u64 = stages
                .iter()
                .map(|s| if let RestoreStage::Batch { restored, .. } = s { *restored } else { 0 })
                .sum();
            assert_eq!(starts, 1, "{guarantee:?}: {stages:?}");
            assert_eq!(stages.last(), Some(&RestoreStage::Suspended { total_restored: restored }));
        }
    }
}
