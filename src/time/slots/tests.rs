//! Slots as tables of cases, each probed one millisecond before and after its bounds.

use super::*;
use crate::error::Error;
use crate::time::TimeZone;

/// Minutes of UTC: `2024-11-05 06:30`.
pub(super) fn at(text: &str) -> Timestamp {
    let utc = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect(text).and_utc();
    Timestamp(utc.timestamp_millis())
}

fn window(start: &str, end: &str) -> Window {
    Window::new(at(start), at(end))
}

/// The key is the calendar.
fn key(spec: &str) -> Calendar {
    Calendar::parse(spec).expect(spec)
}

#[expect(clippy::unnecessary_wraps, reason = "the closure that slots take")]
fn of(calendar: &Calendar) -> Result<Calendar, BoxError> {
    Ok(calendar.clone())
}

pub(super) fn assigned(slots: &Slots<Calendar>, key: &Calendar, at: i64) -> Option<Window> {
    let mut windows = Vec::new();
    slots.assign(key, Timestamp(at), &mut windows).expect("assigns");
    assert!(windows.len() <= 1, "slots do not overlap");
    windows.pop()
}

/// This slot exists: it holds its first and last millisecond, not those beside it, and `next` finds it.
fn holds(slots: &Slots<Calendar>, spec: &str, start: &str, end: &str) {
    let (key, slot) = (key(spec), window(start, end));
    for inside in [slot.start.0, slot.start.0 + 1, slot.end.0 - 1] {
        assert_eq!(assigned(slots, &key, inside), Some(slot), "{spec} at {}", Timestamp(inside));
    }
    for outside in [slot.start.0 - 1, slot.end.0] {
        assert_ne!(assigned(slots, &key, outside), Some(slot), "{spec} at {}", Timestamp(outside));
    }
    for from in [slot.start.0 - 1, slot.start.0] {
        assert_eq!(
            slots.next(&key, Timestamp(from)).expect("next"),
            Some(slot),
            "{spec} from {}",
            Timestamp(from)
        );
    }
    let after = slots.next(&key, Timestamp(slot.start.0 + 1)).expect("next").expect("another");
    assert!(after.start >= slot.end, "{spec}: {after} after {slot}");
}

/// No timeframe has a slot here.
fn outside(spec: &str, at_ms: i64) {
    let key = key(spec);
    for slots in
        [Slots::minutes(1, of), Slots::hours(1, of), Slots::days(of), Slots::weeks(of), Slots::months(of)]
    {
        assert_eq!(assigned(&slots, &key, at_ms), None, "{spec} at {}", Timestamp(at_ms));
    }
}

fn counts(spec: &str, parent: Window) -> [u32; 5] {
    let key = key(spec);
    [Slots::minutes(1, of), Slots::hours(1, of), Slots::days(of), Slots::weeks(of), Slots::months(of)]
        .map(|slots| slots.count_within(&key, parent).expect("counts"))
}

#[test]
fn utc_slots_are_half_open() {
    holds(&Slots::minutes(1, of), "24x7", "2025-03-30 10:59", "2025-03-30 11:00");
    holds(&Slots::hours(1, of), "24x7", "2025-03-30 10:00", "2025-03-30 11:00");
    holds(&Slots::days(of), "24x7", "2025-03-30 00:00", "2025-03-31 00:00");
    holds(&Slots::weeks(of), "24x7", "2020-12-28 00:00", "2021-01-04 00:00");
    holds(&Slots::weeks(of), "24x7", "2024-12-30 00:00", "2025-01-06 00:00");
    holds(&Slots::months(of), "24x7", "2024-02-01 00:00", "2024-03-01 00:00");
    holds(&Slots::months(of), "24x7", "2024-12-01 00:00", "2025-01-01 00:00");
    assert_eq!(
        counts("24x7", window("2024-02-01 00:00", "2024-03-01 00:00")),
        [29 * 24 * 60, 29 * 24, 29, 4, 1]
    );
}

/// The day's end clips slots of a size that does not divide it, or a day would not be covered by whole slots.
#[test]
fn a_day_clips_odd_sizes() {
    let key = key("24x7");
    let (clock, session) = (Slots::hours(5, of), Slots::hours(5, of).anchored(Anchor::Session));
    let day = window("1970-01-02 00:00", "1970-01-03 00:00");
    holds(&clock, "24x7", "1970-01-02 00:00", "1970-01-02 01:00");
    holds(&clock, "24x7", "1970-01-02 01:00", "1970-01-02 06:00");
    holds(&clock, "24x7", "1970-01-02 21:00", "1970-01-03 00:00");
    holds(&session, "24x7", "1970-01-02 00:00", "1970-01-02 05:00");
    holds(&session, "24x7", "1970-01-02 20:00", "1970-01-03 00:00");
    assert_eq!(
        (clock.count_within(&key, day).expect("counts"), session.count_within(&key, day).expect("counts")),
        (6, 5)
    );
}

#[test]
fn local_days_have_23_and_25_hours() {
    for (start, end, hours) in [
        ("2024-03-30 23:00", "2024-03-31 22:00", 23),
        ("2024-10-26 22:00", "2024-10-27 23:00", 25),
        ("2024-06-30 22:00", "2024-07-01 22:00", 24),
    ] {
        holds(&Slots::days(of), "24x7@Europe/Paris", start, end);
        assert_eq!(counts("24x7@Europe/Paris", window(start, end))[..3], [60 * hours, hours, 1]);
    }
    holds(&Slots::weeks(of), "24x7@Europe/Paris", "2024-03-24 23:00", "2024-03-31 22:00");
    holds(&Slots::months(of), "24x7@Europe/Paris", "2024-10-31 23:00", "2024-11-30 23:00");
    holds(&Slots::weeks(of), "24x7@-05:00", "2024-03-04 05:00", "2024-03-11 05:00");
    holds(&Slots::days(of), "24x7@+05:30", "2024-03-03 18:30", "2024-03-04 18:30");
    holds(&Slots::hours(1, of), "24x7@Asia/Kolkata", "2024-03-30 18:00", "2024-03-30 18:30");
    holds(&Slots::hours(1, of), "24x7@Asia/Kolkata", "2024-03-30 18:30", "2024-03-30 19:00");
    holds(&Slots::hours(1, of), "24x7@Asia/Kolkata", "2024-03-30 19:00", "2024-03-30 20:00");
}

/// Midnight is skipped, repeated, or the whole date is.
#[test]
fn days_at_odd_clock_changes() {
    holds(&Slots::days(of), "24x7@America/Sao_Paulo", "2018-11-04 03:00", "2018-11-05 02:00");
    holds(&Slots::days(of), "24x7@America/Havana", "2024-11-03 04:00", "2024-11-04 05:00");
    holds(&Slots::days(of), "24x7@America/St_Johns", "2006-10-29 02:30", "2006-10-30 03:30");
    holds(&Slots::days(of), "24x7@Pacific/Apia", "2011-12-29 10:00", "2011-12-30 10:00");
    holds(&Slots::days(of), "24x7@Pacific/Apia", "2011-12-30 10:00", "2011-12-31 10:00");
    assert_eq!(counts("24x7@Pacific/Apia", window("2011-12-25 10:00", "2012-01-01 10:00"))[2], 7);
}

#[test]
fn new_york_has_half_days_and_clock_changes() {
    holds(&Slots::days(of), "xnys", "2024-03-08 14:30", "2024-03-08 21:00");
    holds(&Slots::days(of), "xnys", "2024-03-11 13:30", "2024-03-11 20:00");
    holds(&Slots::days(of), "xnys", "2024-11-29 14:30", "2024-11-29 18:00");
    holds(&Slots::weeks(of), "xnys", "2024-11-25 14:30", "2024-11-29 18:00");
    holds(&Slots::months(of), "xnys", "2024-11-01 13:30", "2024-11-29 18:00");
    holds(&Slots::hours(1, of), "xnys", "2024-11-29 14:30", "2024-11-29 15:00");
    holds(&Slots::hours(1, of), "xnys", "2024-11-29 15:00", "2024-11-29 16:00");
    let session = Slots::hours(1, of).anchored(Anchor::Session);
    holds(&session, "xnys", "2024-11-29 14:30", "2024-11-29 15:30");
    holds(&session, "xnys", "2024-11-29 17:30", "2024-11-29 18:00");
    assert_eq!(counts("xnys", window("2024-11-29 14:30", "2024-11-29 18:00"))[..3], [210, 4, 1]);
    assert_eq!(counts("xnys", window("2024-11-27 14:30", "2024-11-27 21:00"))[..3], [390, 7, 1]);
    for closed in ["2018-12-05 15:00", "2025-01-09 15:00", "2024-11-28 15:00", "2024-11-30 15:00"] {
        outside("xnys", at(closed).0);
    }
    // The last trade date of an ISO year that reaches into the next calendar year, and the other way round.
    holds(&Slots::weeks(of), "xnys", "2024-12-30 14:30", "2025-01-03 21:00");
    holds(&Slots::weeks(of), "xnys", "2020-12-28 14:30", "2020-12-31 21:00");
}

#[test]
fn tokyo_has_a_break_and_a_later_close() {
    holds(&Slots::days(of), "xtks", "2024-11-01 00:00", "2024-11-01 06:00");
    holds(&Slots::days(of), "xtks", "2024-11-05 00:00", "2024-11-05 06:30");
    holds(&Slots::hours(1, of), "xtks", "2024-11-05 02:00", "2024-11-05 02:30");
    holds(&Slots::hours(1, of), "xtks", "2024-11-05 03:30", "2024-11-05 04:00");
    holds(&Slots::hours(1, of), "xtks", "2024-11-05 06:00", "2024-11-05 06:30");
    let session = Slots::hours(1, of).anchored(Anchor::Session);
    holds(&session, "xtks", "2024-11-05 03:30", "2024-11-05 04:30");
    holds(&session, "xtks", "2024-11-05 05:30", "2024-11-05 06:30");
    assert_eq!(counts("xtks", window("2024-11-01 00:00", "2024-11-01 06:00"))[..3], [300, 6, 1]);
    assert_eq!(counts("xtks", window("2024-11-05 00:00", "2024-11-05 06:30"))[..3], [330, 7, 1]);
    for closed in
        ["2024-11-05 02:30", "2024-11-05 03:29", "2024-11-04 01:00", "2024-11-05 06:30", "2019-05-01 01:00"]
    {
        outside("xtks", at(closed).0);
    }
    outside("xtks", at("2024-11-05 03:30").0 - 1);
    // Ten days without trading: no slot of that ISO week at all.
    assert_eq!(
        Slots::weeks(of).next(&key("xtks"), at("2019-04-27 00:00")).expect("next"),
        Some(window("2019-05-07 00:00", "2019-05-10 06:00"))
    );
}

#[test]
fn hong_kong_and_london_close_early() {
    holds(&Slots::days(of), "xhkg", "2024-12-24 01:30", "2024-12-24 04:00");
    holds(&Slots::days(of), "xhkg", "2024-12-23 01:30", "2024-12-23 08:00");
    outside("xhkg", at("2024-12-23 04:30").0);
    outside("xhkg", at("2023-09-08 02:00").0);
    holds(&Slots::days(of), "xlon", "2024-12-24 08:00", "2024-12-24 12:30");
    holds(&Slots::days(of), "xlon", "2024-07-01 07:00", "2024-07-01 15:30");
    outside("xlon", at("2022-09-19 10:00").0);
    outside("xlon", at("2020-05-08 10:00").0);
}

#[test]
fn a_currency_day_ends_at_five_in_new_york() {
    holds(&Slots::days(of), "fx", "2024-03-07 22:00", "2024-03-08 22:00");
    holds(&Slots::days(of), "fx", "2024-03-10 21:00", "2024-03-11 21:00");
    holds(&Slots::weeks(of), "fx", "2024-03-10 21:00", "2024-03-15 21:00");
    // Monday is the first of July; its trade date begins in June.
    holds(&Slots::months(of), "fx", "2024-06-30 21:00", "2024-07-31 21:00");
    outside("fx", at("2024-03-08 22:00").0);
    outside("fx", at("2024-03-10 21:00").0 - 1);
    assert_eq!(counts("fx", window("2024-03-10 21:00", "2024-03-15 21:00")), [5 * 1440, 120, 5, 1, 0]);
}

#[test]
fn outside_the_years_is_an_error() {
    let key = key("xnys");
    let unanswered = |slots: Slots<Calendar>, time: &str| {
        let parent = Window::new(at(time), Timestamp(at(time).0 + 60_000));
        let errors = [
            slots.assign(&key, at(time), &mut Vec::new()).expect_err("not covered"),
            slots.next(&key, at(time)).expect_err("not covered"),
            slots.count_within(&key, parent).expect_err("not covered"),
        ];
        for error in errors {
            let error = error.downcast::<Error>().expect("of this crate");
            assert!(error.is_calendar(), "{error}");
            assert!(error.to_string().contains("covers: 2013 to 2027"), "{error}");
        }
    };
    for time in ["2013-01-01 04:59", "2028-01-01 05:00", "2100-01-01 00:00", "1970-01-01 00:00"] {
        for slots in [Slots::minutes(1, of), Slots::days(of), Slots::weeks(of), Slots::months(of)] {
            unanswered(slots, time);
        }
    }
    // Nothing is known of the session after the last one.
    holds(&Slots::days(of), "xnys", "2027-12-30 14:30", "2027-12-30 21:00");
    assert!(Slots::minutes(1, of).next(&key, at("2027-12-31 21:00")).is_err());
}

/// The week of 2012-12-31 has sessions that are not covered; that of 2027-12-27 ends with a weekend.
#[test]
fn a_week_that_is_covered_in_part_is_an_error() {
    let (weeks, key) = (Slots::weeks(of), key("xnys"));
    assert!(weeks.assign(&key, at("2013-01-02 15:00"), &mut Vec::new()).is_err());
    assert_eq!(
        weeks.next(&key, at("2013-01-03 00:00")).expect("next"),
        Some(window("2013-01-07 14:30", "2013-01-11 21:00"))
    );
    assert_eq!(
        assigned(&weeks, &key, at("2027-12-31 15:00").0),
        Some(window("2027-12-27 14:30", "2027-12-31 21:00"))
    );
    holds(&Slots::months(of), "xnys", "2027-11-01 13:30", "2027-11-30 21:00");
}

#[test]
fn absurd_times_are_no_panic() {
    for spec in ["24x7", "24x7@Europe/Paris", "24x7@+05:30", "xnys", "fx"] {
        let key = key(spec);
        for slots in
            [Slots::minutes(1, of), Slots::hours(1, of), Slots::days(of), Slots::weeks(of), Slots::months(of)]
        {
            for time in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
                let error =
                    slots.assign(&key, Timestamp(time), &mut Vec::new()).expect_err("beyond all dates");
                assert!(error.downcast::<Error>().expect("of this crate").is_calendar());
                let _ = (slots.next(&key, Timestamp(time)), slots.earliest_open(Timestamp(time)));
            }
        }
    }
    assert_eq!(Slots::days(of).next(&key("24x7"), Timestamp::MAX).expect("next"), None);
}

#[test]
fn a_failing_closure_and_bad_sizes_are_told() {
    let slots = Slots::days(|(): &()| Err("no such market".into()));
    assert_eq!(
        slots.assign(&(), Timestamp(0), &mut Vec::new()).expect_err("fails").to_string(),
        "no such market"
    );
    assert!(Slots::minutes(0, of).check().is_err());
    assert!(Slots::hours(25, of).check().is_err());
    assert!(Slots::hours(24, of).check().is_ok());
}

/// The zone comes with the key.
#[test]
fn calendar_windows_follow_the_zone_of_the_key() {
    let days = crate::time::CalendarWindows::days(|zone: &TimeZone| *zone);
    for (zone, start, end) in [
        ("Europe/Paris", "2024-03-30 23:00", "2024-03-31 22:00"),
        ("America/New_York", "2024-03-31 04:00", "2024-04-01 04:00"),
        ("+14:00", "2024-03-31 10:00", "2024-04-01 10:00"),
    ] {
        let zone = zone.parse().expect(zone);
        let mut windows = Vec::new();
        days.assign(&zone, at("2024-03-31 12:00"), &mut windows).expect("assigns");
        assert_eq!(windows, [window(start, end)]);
    }
}
