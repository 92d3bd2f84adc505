//! Quiet slots: who fills them, when, and how often.

use crate::run::{M1, Pipeline, Read, Run, key, once, utc};
use highwater::testing::{CommitPoint, TopologyTestDriver};
use highwater::time::{Timestamp, Windows, hours, minutes, seconds};
use std::collections::{BTreeMap, BTreeSet};

/// How often each quiet slot was shown.
fn beats(live: &[Read]) -> BTreeMap<(u8, i64), usize> {
    let mut beats = BTreeMap::new();
    for read in live.iter().filter(|read| read.value.ticks == 0) {
        *beats.entry((read.key.key.0, read.key.window.start.0)).or_default() += 1;
    }
    beats
}

#[test]
fn hb_assigned_partition_only_emits_owned_keys() {
    let pipeline = Pipeline::new("24x7").heartbeats();
    let mut run = Run::of(TopologyTestDriver::new(pipeline.topology()).partitions(4).instances(2));
    let start = utc("2024-03-08T10:00:05Z");
    for n in 0..12 {
        run.tick(&key(n), start.plus(seconds(u64::from(n))), 100, 1);
    }
    let home: BTreeMap<u8, u32> = run.live(M1).iter().map(|read| (read.key.key.0, read.partition)).collect();
    assert_eq!(home.values().collect::<BTreeSet<_>>().len(), 4, "every partition has keys");
    assert!((0..2).all(|instance| !run.driver.tasks(instance).is_empty()), "both instances own some");

    run.driver.advance_clock(minutes(10));
    let live = run.live(M1);
    for read in &live {
        assert_eq!(read.partition, home[&read.key.key.0], "written where the key's records are");
    }
    let beats = beats(&live);
    assert!(beats.len() >= 12 * 6, "each key has its quiet minutes: {}", beats.len());
    assert!(beats.values().all(|times| *times == 1), "only the owner of a key fills for it");
}

#[test]
fn hb_stops_immediately_on_partitions_revoked() {
    let pipeline = Pipeline::new("24x7").heartbeats();
    let mut run = Run::of(TopologyTestDriver::new(pipeline.topology()).partitions(1).instances(2));
    run.driver.rebalance(&[0]);
    run.tick(&key(1), utc("2024-03-08T10:00:05Z"), 100, 1);
    run.driver.advance_clock(minutes(5));
    let mut all = run.live(M1);
    let before = run.driver.counts(0).heartbeats;
    assert!(before >= 2, "the owner fills: {before}");

    run.driver.rebalance(&[1]);
    run.driver.advance_clock(minutes(5));
    all.extend(run.live(M1));
    assert!(run.driver.tasks(0).is_empty());
    assert_eq!(run.driver.counts(0).heartbeats, before, "the old owner fills nothing more");
    assert!(run.driver.counts(1).heartbeats >= 4, "the new owner goes on");
    assert!(
        beats(&all).values().all(|times| *times == 1),
        "without a gap and without a repeat: {:?}",
        beats(&all)
    );
    once(&run.finals(M1));
}

#[test]
fn hb_session_filter_blocks_outside_session() {
    let pipeline = Pipeline::new("xnys").heartbeats();
    let mut run = Run::new(&pipeline);
    // A Friday; the next session opens on Monday, after a change of the clocks.
    run.tick(&key(1), utc("2024-03-08T20:50:05Z"), 100, 1);
    run.driver.advance_clock(hours(64) + minutes(45));
    let slots = pipeline.slots(M1);
    let finals = once(&run.finals(M1));
    for (end, start, _) in finals.keys() {
        let mut inside = Vec::new();
        slots.assign(&key(1), Timestamp(*start), &mut inside).expect("covered");
        assert_eq!((inside[0].start.0, inside[0].end.0), (*start, *end), "a slot of the session");
    }
    let ends: Vec<i64> = finals.keys().map(|(end, ..)| *end).collect();
    let friday = ends.iter().filter(|end| **end <= utc("2024-03-08T21:00:00Z").0).count();
    assert_eq!(friday, 10, "20:50 to the close at 21:00");
    let monday = ends.iter().find(|end| **end > utc("2024-03-08T21:00:00Z").0);
    assert_eq!(monday, Some(&utc("2024-03-11T13:31:00Z").0), "nothing over the weekend");
    assert!(
        run.live(M1).iter().all(|read| pipeline.calendar.is_open(read.key.window.start).expect("covered"))
    );
}

#[test]
fn hb_idempotent_upsert_same_slot_once() {
    let pipeline = Pipeline::new("24x7").heartbeats();
    for point in [
        None,
        Some(CommitPoint::S0),
        Some(CommitPoint::S2),
        Some(CommitPoint::S3Received),
        Some(CommitPoint::S4),
    ] {
        let mut run = Run::new(&pipeline);
        let start = utc("2024-03-08T10:00:05Z");
        run.tick(&key(1), start, 100, 1);
        let mut live = Vec::new();
        for step in 0..60 {
            if step == 30 {
                match point {
                    Some(point) => run.driver.kill_at(point),
                    None => run.driver.crash_and_restore(0),
                }
            }
            run.driver.advance_clock(seconds(7));
            live.extend(run.live(M1));
        }
        let beats = beats(&live);
        assert!(beats.len() >= 4, "{point:?}: {beats:?}");
        assert!(beats.values().all(|times| *times == 1), "{point:?}: {beats:?}");

        // A tick for a slot that was shown as quiet replaces it whole, live and final.
        let (_, slot) = *beats.keys().last().expect("a beat");
        run.tick(&key(1), Timestamp(slot + 1), 250, 3);
        let real = run.live(M1).into_iter().rfind(|read| read.key.window.start.0 == slot).expect("an update");
        assert_eq!(real.value.ohlcv(), (250, 250, 250, 250, 3));
        run.driver.advance_clock(minutes(5));
        assert_eq!(once(&run.finals(M1))[&(slot + 60_000, slot, key(1))].ohlcv(), (250, 250, 250, 250, 3));
    }
}
