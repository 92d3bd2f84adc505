//! What is kept in memory, and when something is due.

use super::*;
use crate::broker::contract::{member, producer, record};

fn slots(world: &MemoryHarness, log: &TopicPartition) -> (usize, usize) {
    let mut state = world.log.lock();
    let records = &state.partition(log).expect("partition").records;
    (records.len(), records.capacity())
}

#[test]
fn memory_of_deleted_records_is_given_back() {
    let (world, log) = with_topic(&[]);
    let value: crate::broker::Bytes = b"shared"[..].into();
    let mut records = vec![record(&log, "k", None); 50_000];
    for record in &mut records {
        record.value = Some(value.clone());
    }
    world.log.append(&mut records).expect("append");
    drop(records);
    assert_eq!(Arc::strong_count(&value), 50_001);
    world.log.delete_records(&BTreeMap::from([(log.clone(), 49_990)]));
    assert_eq!(Arc::strong_count(&value), 11);
    let (held, room) = slots(&world, &log);
    assert!(held == 10 && room < 2_000, "{held} records in {room} slots");
    assert_eq!(world.log.read(&log, 49_990, Isolation::ReadCommitted, 1).expect("read").0[0].offset, 49_990);
}

#[test]
fn a_changelog_does_not_grow_without_bound() {
    let (world, log) = with_topic(&[("cleanup.policy", "compact")]);
    for round in 0..100 {
        let mut records: Vec<_> =
            (0..1_000).map(|n| record(&log, &format!("{}", n % 100), Some("v"))).collect();
        world.log.append(&mut records).expect("append");
        let (held, room) = slots(&world, &log);
        assert!(held <= 21_000 && room <= 65_536, "{held} records in {room} slots in round {round}");
    }
    world.log.compact(world.clock.now());
    assert_eq!(slots(&world, &log).0, 100);
    assert_eq!(end(&world, &log), 100_000);
}

#[test]
fn the_next_timeout_is_told_and_kept() {
    let (world, log) = with_topic(&[]);
    assert_eq!(world.log.next_timeout(), None);
    let mut writer = producer(&world, Some("id"));
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("a"))).expect("send");
    assert_eq!(world.log.next_timeout(), Some(TIMEOUTS.transaction));
    let killed = member(&world, "g", "a", &["t".to_owned()]);
    drop(killed);
    assert_eq!(world.log.next_timeout(), Some(TIMEOUTS.session));
    world.pass(TIMEOUTS.session);
    assert_eq!(world.log.next_timeout(), Some(TIMEOUTS.transaction));
    world.pass(TIMEOUTS.transaction - TIMEOUTS.session);
    assert_eq!(world.log.next_timeout(), None);
    assert_eq!(end(&world, &log), 2, "aborted by whoever looked");
}
