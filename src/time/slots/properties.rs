//! What holds for every calendar, timeframe and anchor.

use super::tests::{assigned, at};
use super::*;
use proptest::prelude::*;

const SPECS: [&str; 10] = [
    "24x7",
    "24x7@-05:00",
    "24x7@America/Sao_Paulo",
    "24x7@Australia/Lord_Howe",
    "24x7@Pacific/Apia",
    "xnys",
    "xtks",
    "xlon",
    "xhkg",
    "fx",
];

fn calendar() -> impl Strategy<Value = Calendar> {
    (0..SPECS.len()).prop_map(|i| Calendar::parse(SPECS[i]).expect("ready"))
}

/// Slots of some size, from small to large.
fn ladder(anchor: Anchor) -> [Slots<Calendar>; 6] {
    let of = |calendar: &Calendar| Ok(calendar.clone());
    [
        Slots::minutes(1, of),
        Slots::minutes(15, of),
        Slots::hours(1, of),
        Slots::days(of),
        Slots::weeks(of),
        Slots::months(of),
    ]
    .map(|slots| slots.anchored(anchor))
}

fn anchor() -> impl Strategy<Value = Anchor> {
    prop_oneof![Just(Anchor::Clock), Just(Anchor::Session)]
}

/// Inside what every ready calendar covers, often next to a boundary.
fn time() -> impl Strategy<Value = i64> {
    let (first, last) = (at("2013-02-01 00:00").0, at("2027-11-01 00:00").0);
    prop_oneof![
        first..last,
        (first / 900_000..last / 900_000, -1..=1_i64).prop_map(|(quarter, off)| quarter * 900_000 + off)
    ]
}

fn next(slots: &Slots<Calendar>, calendar: &Calendar, from: i64) -> Window {
    slots.next(calendar, Timestamp(from)).expect("next").expect("there is always another")
}

/// Timeframes of which the first makes up the second; weeks do not make up months.
fn nested() -> impl Strategy<Value = (usize, usize)> {
    let pairs = [
        (0, 1),
        (0, 2),
        (0, 3),
        (0, 4),
        (1, 2),
        (1, 3),
        (1, 4),
        (1, 5),
        (2, 3),
        (2, 4),
        (2, 5),
        (3, 4),
        (3, 5),
    ];
    (0..pairs.len()).prop_map(move |i| pairs[i])
}

fn inside(child: &Slots<Calendar>, calendar: &Calendar, parent: Window) -> Vec<Window> {
    let mut children = Vec::new();
    let mut from = parent.start.0;
    while from < parent.end.0 {
        let next = next(child, calendar, from);
        if next.start >= parent.end {
            break;
        }
        from = next.end.0;
        children.push(next);
    }
    children
}

/// Neighbours that touch are one.
fn joined(windows: &[Window]) -> Vec<Window> {
    let mut joined: Vec<Window> = Vec::new();
    for window in windows {
        match joined.last_mut() {
            Some(last) if last.end == window.start => last.end = window.end,
            _ => joined.push(*window),
        }
    }
    joined
}

/// The segments of each window as one, from the first open to the last close.
fn merged(segments: &[Window], windows: &[Window]) -> Vec<Window> {
    let bounds = |window: &Window| {
        let mut inside = segments.iter().filter(|segment| window.covers(**segment));
        let first = inside.next()?;
        Some(Window::new(first.start, inside.next_back().unwrap_or(first).end))
    };
    windows.iter().filter_map(bounds).collect()
}

/// By the trait's own loop, which the computed answer replaces.
fn counted(slots: &Slots<Calendar>, calendar: &Calendar, parent: Window) -> u32 {
    let (mut count, mut from) = (0, parent.start.0);
    loop {
        let window = next(slots, calendar, from);
        if window.start >= parent.end {
            return count;
        }
        (count, from) = (count + 1, window.end.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn next_and_assign_agree((calendar, anchor, time, level) in (calendar(), anchor(), time(), 0..6_usize)) {
        let slots = &ladder(anchor)[level];
        let following = next(slots, &calendar, time);
        prop_assert!(following.start.0 >= time && following.start < following.end);
        prop_assert_eq!(assigned(slots, &calendar, following.start.0), Some(following));
        prop_assert_eq!(assigned(slots, &calendar, following.end.0 - 1), Some(following));
        if let Some(slot) = assigned(slots, &calendar, time) {
            prop_assert!(slot.contains(Timestamp(time)));
            prop_assert_eq!(next(slots, &calendar, slot.start.0), slot);
            prop_assert!(slot == following || slot.end <= following.start);
        }
    }

    #[test]
    fn a_time_has_a_slot_in_every_timeframe_or_in_none((calendar, anchor, time) in (calendar(), anchor(), time())) {
        let open = calendar.is_open(Timestamp(time)).expect("covered");
        for slots in ladder(anchor) {
            prop_assert_eq!(assigned(&slots, &calendar, time).is_some(), open);
        }
    }

    /// Children lie inside their parent, do not overlap, and between them they hold just the times when it is open.
    #[test]
    fn children_cover_the_sessions_of_their_parent(
        (calendar, anchor, time, (child, parent)) in (calendar(), anchor(), time(), nested())
    ) {
        let [child, parent] = [child, parent].map(|level| ladder(anchor)[level].clone());
        let parent = next(&parent, &calendar, time);
        let (mut at, mut segments) = (parent.start, Vec::new());
        while at < parent.end {
            let segment = calendar.segment_after(at).expect("covered").expect("another");
            at = segment.end;
            segments.push(Window::new(segment.start.max(parent.start), segment.end.min(parent.end)));
        }
        prop_assert_eq!(segments.first().map(|first| first.start), Some(parent.start));
        let children = inside(&child, &calendar, parent);
        prop_assert!(children.iter().all(|child| parent.covers(*child)), "{:?} in {}", children, parent);
        // A day's slot spans its breaks; minutes and hours do not.
        let whole = matches!(child.timeframe, Timeframe::Whole(_));
        let times = if whole { merged(&segments, &children) } else { segments };
        prop_assert_eq!(joined(&children), joined(&times));
    }

    #[test]
    fn count_within_is_what_next_counts(
        (calendar, anchor, time, level, length) in (calendar(), anchor(), time(), 0..6_usize, 1..200_i64)
    ) {
        let slots = &ladder(anchor)[level];
        let parent = Window::new(Timestamp(time), Timestamp(time + length * 1_000_003));
        prop_assert_eq!(slots.count_within(&calendar, parent).expect("counts"), counted(slots, &calendar, parent));
        let slot = next(slots, &calendar, time);
        prop_assert_eq!(slots.count_within(&calendar, slot).expect("counts"), 1);
    }

    /// Never later than the start of a slot that is still open, and never back.
    #[test]
    fn earliest_open_is_a_lower_bound(
        (calendar, anchor, time, level, grace) in (calendar(), anchor(), time(), 0..6_usize, 0..10_000_000_u64)
    ) {
        let slots = ladder(anchor)[level].clone().grace(Duration::from_millis(grace));
        let slot = next(&slots, &calendar, time);
        for watermark in [slot.start.0, slot.end.0 - 1, slot.end.0 + grace as i64 - 1] {
            prop_assert!(slots.earliest_open(Timestamp(watermark)) <= slot.start);
        }
        prop_assert!(slots.earliest_open(Timestamp(time)) <= slots.earliest_open(Timestamp(time + 1)));
        prop_assert!(slot.end.since(slot.start) <= slots.size().longest());
    }
}
