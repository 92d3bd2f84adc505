//! Another program, Kafka Streams, goes on with an application and hands it back; the disk of ours still has what was
//! true before. And a reset by a tool that knows nothing of that disk.

use super::world::{Guarantee, World, fed, letters};
use crate::broker::{Bytes, CommittedOffset, Outgoing};
use crate::record::{Headers, TopicPartition};
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

fn stopped(world: &mut World) {
    world.advance(300);
    world.members[0].instance.as_mut().expect("lives").stop();
    world.advance(100);
    world.members[0].instance = None;
}

fn inputs() -> [TopicPartition; 2] {
    [0, 1].map(|partition| TopicPartition::new("in", partition))
}

fn commit(world: &World, offsets: BTreeMap<TopicPartition, CommittedOffset>) {
    let offsets = offsets.into_iter().map(|(at, offset)| (at, (offset.offset, offset.metadata.into_bytes())));
    world.log.commit("app", &offsets.collect()).expect("committed");
}

/// What Kafka Streams does: it folds on, writes its changelog, and commits our entries again, without the block.
fn fold_elsewhere(world: &World, all: &str, more: i64) {
    for (partition, key) in [(0, "a"), (1, "b"), (0, "c")] {
        let bytes = |text: &str| -> Bytes { text.as_bytes().into() };
        for (topic, partition) in [("app-all-changelog", partition), ("out", 0)] {
            for n in (0..more).rev() {
                let record = Outgoing {
                    target: TopicPartition::new(topic, partition),
                    timestamp: Timestamp(9),
                    key: Some(bytes(key)),
                    value: Some(bytes(&all[..all.len() - n as usize])),
                    headers: Headers::new(),
                };
                world.log.append(&mut vec![record]).expect("appended");
            }
        }
    }
    let mut committed = world.log.committed("app", &inputs()).expect("settled");
    for (partition, offset) in &mut committed {
        offset.offset += if partition.partition == 0 { 2 * more } else { more };
        let mut bytes = STANDARD.decode(&offset.metadata).expect("base64");
        assert_eq!(bytes.pop(), Some(1), "the block");
        offset.metadata = STANDARD.encode(bytes);
    }
    commit(world, committed);
}

#[test]
fn what_was_done_elsewhere_counts() {
    for guarantee in Guarantee::BOTH {
        let mut world = World::new(letters(), guarantee.config(), 1);
        world.topic("in", 2);
        world.topic("out", 1);
        world.start(0);
        let next = fed(&mut world, 0, 3);
        stopped(&mut world);
        let next = fed(&mut world, next, 2);
        fold_elsewhere(&world, "ABCDE", 2);
        let next = fed(&mut world, next, 2);
        world.start(0);
        world.advance(300);
        world.check(guarantee, next);
    }
}

#[test]
fn a_reset_counts_whatever_the_disk_has() {
    for guarantee in Guarantee::BOTH {
        let mut world = World::new(letters(), guarantee.config(), 1);
        world.topic("in", 2);
        world.topic("out", 1);
        world.start(0);
        let next = fed(&mut world, 0, 3);
        stopped(&mut world);
        world.log.delete_topic("app-all-changelog");
        world.log.delete_topic("out");
        world.topic("out", 1);
        let nothing = CommittedOffset { offset: 0, metadata: String::new() };
        commit(&world, inputs().into_iter().map(|partition| (partition, nothing.clone())).collect());
        world.start(0);
        world.advance(300);
        world.check(guarantee, next);
    }
}
