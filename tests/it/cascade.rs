//! A parent is the pure aggregate of its children's finals.

use crate::run::{D1, H1, M1, Mo1, Pipeline, Run, W1, conserved, once, random_ticks, utc};
use highwater::testing::TopologyTestDriver;
use highwater::time::{days, hours};

#[test]
fn cs_m1_to_h1_ohlcv_conservation() {
    for (seed, heartbeats) in [(1, false), (2, true), (3, true)] {
        let mut pipeline = Pipeline::new("24x7");
        pipeline.heartbeats = heartbeats;
        let mut run = Run::of(TopologyTestDriver::new(pipeline.topology()).partitions(3));
        for (key, at, price, quantity) in random_ticks(seed, 5, utc("2024-03-08T09:17:00Z"), hours(4), 30_000)
        {
            run.until(at);
            run.tick(&key, at, price, quantity);
        }
        run.driver.advance_clock(hours(2));
        let (m1, h1) = (run.finals(M1), run.finals(H1));
        let closed = h1.iter().map(|read| read.key.window.end).max().expect("parents");
        let m1: Vec<_> = m1.into_iter().filter(|read| read.key.window.end <= closed).collect();
        assert!(h1.len() >= 5 * 4, "four hours of five keys: {}", h1.len());
        conserved(&m1, &h1);
    }
}

#[test]
fn cs_h1_to_d1_ohlcv_conservation_with_session_boundary() {
    for (calendar, from, children) in [
        // An early close at 18:00 UTC on the day after Thanksgiving: 14:30 to 18:00.
        ("xnys", "2024-11-29T14:31:00Z", 4),
        // A morning and an afternoon session, the hour of the break cut in two: 00:00-02:30, 03:30-06:30 UTC.
        ("xtks", "2024-11-06T00:01:00Z", 7),
    ] {
        let mut run = Run::new(&Pipeline::new(calendar).heartbeats());
        for (key, at, price, quantity) in random_ticks(4, 2, utc(from), hours(8), 60_000) {
            run.until(at);
            run.tick(&key, at, price, quantity);
        }
        run.driver.advance_clock(hours(12));
        let (h1, d1) = (run.finals(H1), run.finals(D1));
        assert_eq!(d1.len(), 2, "{calendar}: one day of two keys");
        conserved(&h1, &d1);
        for read in &d1 {
            assert_eq!(read.value.children.expected, Some(children), "{calendar}");
            assert!(read.value.children.complete(), "{calendar}");
        }
        assert!(run.driver.total_counts().outside > 0, "{calendar}: ticks after the close are outside");
    }
}

#[test]
fn cs_d1_to_w1_mo1_ohlcv_conservation_with_calendar_edges() {
    // The ISO week of 2024-12-30 lies in two months and two years; New Year's Day is a holiday.
    let mut run = Run::new(&Pipeline::new("xnys").heartbeats());
    for (key, at, price, quantity) in random_ticks(5, 2, utc("2024-12-23T15:00:00Z"), days(11), 3_600_000) {
        run.until(at);
        run.tick(&key, at, price, quantity);
    }
    run.driver.advance_clock(days(31));
    let (d1, w1, mo1) = (run.finals(D1), run.finals(W1), run.finals(Mo1));
    let until = |end: &str| {
        let end = utc(end);
        d1.iter().filter(|read| read.key.window.end <= end).cloned().collect::<Vec<_>>()
    };
    conserved(&until("2025-01-31T23:00:00Z"), &mo1);
    let weeks = w1.iter().map(|read| read.key.window.end).max().expect("weeks");
    let in_weeks: Vec<_> = d1.iter().filter(|read| read.key.window.end <= weeks).cloned().collect();
    conserved(&in_weeks, &w1);
    let week =
        once(&w1).into_iter().find(|((end, ..), _)| *end == utc("2025-01-03T21:00:00Z").0).expect("the week");
    assert_eq!(week.1.children.expected, Some(4), "Monday, Tuesday, Thursday, Friday");
    let december = once(&mo1)
        .into_iter()
        .find(|((end, ..), _)| *end == utc("2024-12-31T21:00:00Z").0)
        .expect("the month");
    assert_eq!(
        (december.1.children.arrived, december.1.children.expected),
        (6, Some(21)),
        "the feed began on the 23rd"
    );
}
