//! A final leaves once.

use crate::run::{D1, H1, M1, Pipeline, Run, TIMEFRAMES, key, once, random_ticks, utc};
use highwater::testing::{CommitPoint, TopologyTestDriver};
use highwater::time::{Timestamp, days, hours, minutes, seconds};

#[test]
fn fn_emit_once_after_watermark_per_slot() {
    let mut run = Run::new(&Pipeline::new("24x7"));
    let start = utc("2024-03-08T10:00:00Z");
    let at = |s: u64| start.plus(seconds(s));
    run.tick(&key(1), at(5), 100, 1);
    run.tick(&key(1), at(59), 110, 1);
    run.tick(&key(1), at(149), 120, 1);
    assert!(run.finals(M1).is_empty(), "the slot ends at 60 s, and 90 s of grace end at 150 s");
    run.tick(&key(1), at(7), 90, 2);
    run.tick(&key(2), at(150), 120, 1);
    // The other key may live in the same partition or not; the clock closes it in any case.
    run.driver.advance_clock(minutes(3));
    let finals = run.finals(M1);
    let first =
        finals.iter().find(|read| read.key.window.start == start && read.key.key == key(1)).expect("a final");
    assert_eq!(first.value.ohlcv(), (100, 110, 90, 110, 4));
    run.tick(&key(1), at(8), 500, 1);
    assert_eq!(run.late().len(), 1, "late records are aside");
    run.driver.advance_clock(minutes(10));
    assert!(!run.finals(M1).iter().any(|read| read.key.window.start == start), "and change nothing");
}

/// Restarts and kills at every point of the commit, at every level.
#[test]
fn fn_restart_does_not_duplicate_final() {
    let pipeline = Pipeline::new("24x7").heartbeats();
    let expected = finals_of(&pipeline, None);
    for point in CommitPoint::EXACTLY_ONCE {
        assert_eq!(finals_of(&pipeline, Some(point)), expected, "killed before {point:?}");
    }
}

/// The finals of two days, with a crash after every chunk or a kill at a point of every commit.
fn finals_of(pipeline: &Pipeline, point: Option<CommitPoint>) -> Vec<Vec<String>> {
    let mut run = Run::new(pipeline);
    let start = utc("2024-02-29T22:30:00Z");
    let ticks = random_ticks(7, 3, start, hours(2), 40_000);
    for (n, (key, at, price, quantity)) in ticks.iter().enumerate() {
        run.until(*at);
        run.tick(key, *at, *price, *quantity);
        if n % 50 == 49 {
            match point {
                Some(point) => run.driver.kill_at(point),
                None => run.driver.crash_and_restore(0),
            }
        }
    }
    run.driver.advance_clock(days(1) + hours(3));
    TIMEFRAMES
        .map(|timeframe| {
            let finals = run.finals(timeframe);
            once(&finals).into_iter().map(|(slot, bar)| format!("{slot:?} {bar:?}")).collect()
        })
        .into()
}

#[test]
fn fn_multiple_calls_same_slot_no_duplicate() {
    let mut run =
        Run::of(TopologyTestDriver::new(Pipeline::new("24x7").topology()).partitions(2).instances(2));
    let start = utc("2024-03-08T10:00:00Z");
    for n in 0..4 {
        run.tick(&key(n), start.plus(seconds(1)), 100, 1);
    }
    let mut finals = Vec::new();
    for _ in 0..40 {
        run.driver.advance_clock(seconds(5));
        run.driver.advance_clock(seconds(0));
        run.driver.commit();
        finals.extend(run.finals(M1));
        finals.extend(run.finals(M1));
    }
    assert_eq!(once(&finals).len(), 4);
    let _: (Vec<_>, Vec<_>, Timestamp) = (run.finals(H1), run.finals(D1), start);
}
