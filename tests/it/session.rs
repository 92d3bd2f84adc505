//! Slots follow the sessions.

use crate::run::{D1, H1, M1, Mo1, Pipeline, Run, W1, key, once, random_ticks, utc};
use highwater::time::{Windows, days, hours};

#[test]
fn ss_daily_final_ends_at_session_close() {
    for (calendar, tick, open, close) in [
        ("xnys", "2024-11-29T15:00:00Z", "2024-11-29T14:30:00Z", "2024-11-29T18:00:00Z"),
        ("xnys", "2024-07-02T15:00:00Z", "2024-07-02T13:30:00Z", "2024-07-02T20:00:00Z"),
        ("xtks", "2024-11-05T01:00:00Z", "2024-11-05T00:00:00Z", "2024-11-05T06:30:00Z"),
        ("xtks", "2024-11-01T01:00:00Z", "2024-11-01T00:00:00Z", "2024-11-01T06:00:00Z"),
        ("xlon", "2024-12-24T10:00:00Z", "2024-12-24T08:00:00Z", "2024-12-24T12:30:00Z"),
        ("fx", "2024-03-11T01:00:00Z", "2024-03-10T21:00:00Z", "2024-03-11T21:00:00Z"),
        ("24x7", "2024-03-11T01:00:00Z", "2024-03-11T00:00:00Z", "2024-03-12T00:00:00Z"),
        ("24x7@-05:00", "2024-03-11T01:00:00Z", "2024-03-10T05:00:00Z", "2024-03-11T05:00:00Z"),
    ] {
        let mut run = Run::new(&Pipeline::new(calendar));
        run.tick(&key(1), utc(tick), 100, 1);
        run.driver.advance_clock(hours(25));
        let finals = run.finals(D1);
        assert_eq!(finals.len(), 1, "{calendar} {tick}");
        let window = finals[0].key.window;
        assert_eq!((window.start, window.end), (utc(open), utc(close)), "{calendar} {tick}");
    }
}

#[test]
fn ss_weekly_monthly_aggregates_calendar_aware() {
    for (calendar, tick, week, month) in [
        (
            "xnys",
            "2024-03-27T15:00:00Z",
            ("2024-03-25T13:30:00Z", "2024-03-28T20:00:00Z"),
            ("2024-03-01T14:30:00Z", "2024-03-28T20:00:00Z"),
        ),
        (
            "fx",
            "2024-03-27T15:00:00Z",
            ("2024-03-24T21:00:00Z", "2024-03-29T21:00:00Z"),
            ("2024-02-29T22:00:00Z", "2024-03-29T21:00:00Z"),
        ),
        (
            "24x7",
            "2024-12-31T15:00:00Z",
            ("2024-12-30T00:00:00Z", "2025-01-06T00:00:00Z"),
            ("2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ),
    ] {
        let mut run = Run::new(&Pipeline::new(calendar));
        run.tick(&key(1), utc(tick), 100, 1);
        run.driver.advance_clock(days(8));
        for (timeframe, (start, end)) in [(W1, week), (Mo1, month)] {
            let finals = run.finals(timeframe);
            let window = finals.first().map(|read| read.key.window);
            assert_eq!(
                window.map(|w| (w.start, w.end)),
                Some((utc(start), utc(end))),
                "{calendar} {timeframe:?}"
            );
        }
    }
}

/// With heartbeats every slot of the session has a final: their union is the session's.
#[test]
fn ss_session_union_equals_child_finals_union() {
    for calendar in ["xnys", "xtks", "xhkg", "24x7"] {
        let pipeline = Pipeline::new(calendar).heartbeats();
        let mut run = Run::new(&pipeline);
        for (key, at, price, quantity) in random_ticks(6, 1, utc("2024-11-06T00:00:00Z"), days(2), 900_000) {
            run.until(at);
            run.tick(&key, at, price, quantity);
        }
        run.driver.advance_clock(days(2));
        let (m1, h1, d1) = (once(&run.finals(M1)), once(&run.finals(H1)), once(&run.finals(D1)));
        let first = m1.keys().next().expect("minutes").1;
        let last = d1.keys().last().expect("days").0;
        for (timeframe, finals) in [(M1, &m1), (H1, &h1)] {
            let slots = pipeline.slots(timeframe);
            let mut from = highwater::time::Timestamp(first);
            // The first parent began before the first tick.
            let skip = finals.keys().filter(|(_, start, _)| *start < first).count();
            let mut had = finals.keys().skip(skip).map(|(end, start, _)| (*start, *end));
            while let Some(slot) =
                slots.next(&key(0), from).expect("covered").filter(|slot| slot.end.0 <= last)
            {
                assert_eq!(had.next(), Some((slot.start.0, slot.end.0)), "{calendar} {timeframe:?}");
                from = slot.end;
            }
        }
    }
}
