//! Several instances share the work.

use crate::run::{H1, M1, Pipeline, Run, conserved, key, once, utc};
use highwater::testing::TopologyTestDriver;
use highwater::time::{minutes, seconds};

#[test]
fn mp_heartbeat_switch_on_rebalance_no_dup() {
    let pipeline = Pipeline::new("24x7").heartbeats();
    let mut run = Run::of(TopologyTestDriver::new(pipeline.topology()).partitions(2).instances(3));
    let start = utc("2024-03-08T10:00:05Z");
    for n in 0..6 {
        run.tick(&key(n), start, 100, 1);
    }
    let (mut live, mut finals) = (Vec::new(), Vec::new());
    for members in [&[0, 1, 2][..], &[0, 1], &[1], &[1, 2], &[0], &[0, 1, 2]] {
        run.driver.rebalance(members);
        run.driver.advance_clock(minutes(2) + seconds(13));
        live.extend(run.live(M1));
        finals.extend(run.finals(M1));
    }
    let mut beats = std::collections::BTreeMap::new();
    for read in live.iter().filter(|read| read.value.ticks == 0) {
        *beats.entry((read.key.key.clone(), read.key.window)).or_insert(0) += 1;
    }
    assert!(beats.values().all(|times| *times == 1), "each quiet slot once: {beats:?}");
    let finals = once(&finals);
    for n in 0..6 {
        let slots: Vec<i64> =
            finals.keys().filter(|(.., k)| *k == key(n)).map(|(_, start, _)| *start).collect();
        assert!(slots.len() >= 10, "{n}: {}", slots.len());
        assert!(slots.windows(2).all(|w| w[1] - w[0] == 60_000), "{n}: no slot is skipped");
    }
}

/// Half an hour of children counted by one instance and half by the next give one final.
#[test]
fn mp_finalization_progress_resumed_no_dup_on_switch() {
    let pipeline = Pipeline::new("24x7");
    let mut run = Run::of(TopologyTestDriver::new(pipeline.topology()).partitions(1).instances(2));
    run.driver.rebalance(&[0]);
    let start = utc("2024-03-08T10:00:05Z");
    let (mut m1, mut h1) = (Vec::new(), Vec::new());
    for minute in 0..60 {
        if minute == 30 {
            run.driver.rebalance(&[1]);
        }
        run.until(start.plus(minutes(minute)));
        run.tick(&key(1), start.plus(minutes(minute)), 100 + minute as i64, 1);
        m1.extend(run.finals(M1));
        h1.extend(run.finals(H1));
    }
    assert!(h1.is_empty());
    run.driver.advance_clock(minutes(10));
    m1.extend(run.finals(M1));
    h1.extend(run.finals(H1));
    assert_eq!(h1.len(), 1);
    assert!(h1[0].value.children.complete());
    conserved(&m1, &h1);
}
