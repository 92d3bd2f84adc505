//! Slots are half-open, and children cover their parents exactly.

use crate::run::{D1, H1, M1, Mo1, Pipeline, TIMEFRAMES, W1, key, utc};
use highwater::time::{Timestamp, Window, Windows};

fn slot(pipeline: &Pipeline, timeframe: crate::run::Timeframe, at: Timestamp) -> Window {
    let mut slots = Vec::new();
    pipeline.slots(timeframe).assign(&key(1), at, &mut slots).expect("covered");
    assert_eq!(slots.len(), 1);
    slots[0]
}

#[test]
fn rd_round_to_slot_is_half_open_utc_for_all_timeframes() {
    let pipeline = Pipeline::new("24x7");
    for (timeframe, before, start) in [
        (M1, "2024-03-08T10:58:59.999Z", "2024-03-08T10:59:00Z"),
        (H1, "2024-03-08T09:59:59.999Z", "2024-03-08T10:00:00Z"),
        (D1, "2024-03-07T23:59:59.999Z", "2024-03-08T00:00:00Z"),
        (W1, "2024-03-03T23:59:59.999Z", "2024-03-04T00:00:00Z"),
        (Mo1, "2024-02-29T23:59:59.999Z", "2024-03-01T00:00:00Z"),
    ] {
        let start = utc(start);
        assert_eq!(slot(&pipeline, timeframe, start).start, start, "{timeframe:?}: the start is inside");
        assert_eq!(slot(&pipeline, timeframe, Timestamp(start.0 + 1)).start, start, "{timeframe:?}");
        assert_eq!(utc(before).0, start.0 - 1);
        assert_eq!(slot(&pipeline, timeframe, utc(before)).end, start, "{timeframe:?}: the end is outside");
    }
    assert_eq!(slot(&pipeline, M1, utc("2024-03-08T10:59:59.999Z")).start, utc("2024-03-08T10:59:00Z"));
}

#[test]
fn rd_round_to_slot_aligns_across_levels_child_covers_parent_exactly() {
    let pipeline = Pipeline::new("24x7");
    for parent in [H1, D1, W1, Mo1] {
        let child = match parent {
            H1 => M1,
            D1 => H1,
            _ => D1,
        };
        let parent = slot(&pipeline, parent, utc("2024-02-14T12:34:56Z"));
        let slots = pipeline.slots(child);
        let (mut from, mut count) = (parent.start, 0);
        while from < parent.end {
            let next = slots.next(&key(1), from).expect("covered").expect("a slot");
            assert_eq!(next.start, from, "without a gap");
            assert!(parent.covers(next));
            (from, count) = (next.end, count + 1);
        }
        assert_eq!(from, parent.end, "exactly");
        assert_eq!(slots.count_within(&key(1), parent).expect("covered"), count);
    }
    assert_eq!(TIMEFRAMES.len(), 5);
}
