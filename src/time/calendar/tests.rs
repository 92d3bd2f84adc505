//! Calendar files with mistakes, and what the ready ones hold.

use super::*;
use chrono::{DateTime, Datelike};

/// A file that is right, with one part replaced.
fn file(part: &str, by: &str) -> Result<Calendar> {
    let right = r#"{
        "name": "m",
        "zone": "Europe/Berlin",
        "years": [2024, 2025],
        "hours": [{"week": {"mon-fri": ["09:00-12:00", "13:00-17:00"]}}],
        "closed": {"2024-12-25": "Christmas"},
        "special": {"2024-12-24": {"sessions": ["09:00-12:00"], "why": "Christmas Eve"}}
    }"#;
    assert!(right.contains(part), "{part}");
    Calendar::from_json(&right.replacen(part, by, 1))
}

#[test]
fn a_right_file_is_read() {
    let calendar = file("", "").expect("reads");
    assert_eq!((calendar.to_string().as_str(), calendar.years()), ("m", Some(2024..=2025)));
    let open = |text: &str| {
        calendar.is_open(Timestamp(text.parse::<DateTime<chrono::Utc>>().expect(text).timestamp_millis()))
    };
    for (at, expected) in [
        ("2024-12-23T15:59:59.999Z", true),
        ("2024-12-23T16:00:00Z", false),
        ("2024-12-24T10:59:59.999Z", true),
        ("2024-12-24T12:00:00Z", false),
        ("2024-12-25T10:00:00Z", false),
        ("2024-07-01T07:00:00Z", true),
        ("2024-07-01T06:59:59.999Z", false),
    ] {
        assert_eq!(open(at).expect("covered"), expected, "{at}");
    }
    assert!(open("2023-12-31T22:59:59.999Z").is_err() && open("2023-12-31T23:00:00Z").is_ok());
    assert!(open("2025-12-31T22:59:59.999Z").is_ok() && open("2025-12-31T23:00:00Z").is_err());
}

#[test]
fn the_file_of_the_guide_is_read() {
    let page = include_str!("../../../guide/src/calendar-files.md");
    let (_, rest) = page.split_once("```json\n").expect("a file");
    let (json, _) = rest.split_once("```").expect("its end");
    assert_eq!(Calendar::from_json(json).expect("reads").years(), Some(2024..=2026));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: 500,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..proptest::test_runner::Config::default()
    })]

    /// A damaged file is read or refused, never a panic.
    #[test]
    fn damage_is_an_error(damage in proptest::collection::vec((0..2_000_usize, 0x20..0x7f_u8), 1..4)) {
        let mut file = include_bytes!("data/fx.json").to_vec();
        for (at, byte) in damage {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        if let Err(error) = Calendar::from_json(&String::from_utf8(file).expect("ascii")) {
            assert!(error.is_calendar(), "{error}");
        }
    }
}

#[test]
fn every_mistake_has_coordinates() {
    for (part, by, expected) in [
        ("\"name\": \"m\",", "", "the field `name` is missing"),
        ("\"m\"", "\" \"", "at: name"),
        ("Berlin", "Berlim", "did you mean `Europe/Berlin`?"),
        ("[2024, 2025]", "[2025, 2024]", "at: years"),
        ("[2024, 2025]", "[2024, 3000]", "inside 1970 to 2099"),
        ("[2024, 2025]", "[2024.5, 2025]", "at: years"),
        ("[2024, 2025]", "2024", "at: years"),
        ("\"closed\"", "\"closd\"", "unknown field `closd`, did you mean `closed`?"),
        ("\"closed\"", "\"name\"", "at: name\n"),
        ("\"mon-fri\"", "\"mon-fry\"", "at: hours[0].week.mon-fry"),
        ("\"mon-fri\"", "\"fri-mon\"", "at: hours[0].week.fri-mon"),
        ("{\"mon-fri\"", "{\"wed\": [\"09:00-10:00\"], \"mon-fri\"", "a weekday is written twice"),
        ("09:00-12:00", "9:00-12:00", "`9:00` is not a time from 00:00 to 24:00"),
        ("09:00-12:00", "09:00", "at: hours[0].week.mon-fri[0]"),
        ("[\"09:00-12:00\", \"13:00-17:00\"]", "\"09:00-17:00\"", "this is a text, not a list"),
        ("13:00-17:00", "11:00-17:00", "sessions overlap, or are not in order"),
        ("13:00-17:00", "08:00-09:00", "sessions overlap, or are not in order"),
        ("13:00-17:00", "17:00-13:00", "`17:00-13:00` does not close after it opens"),
        ("\"09:00-12:00\", \"13:00-17:00\"", "\"fri 09:00-17:00\"", "sessions overlap"),
        ("13:00-17:00", "mon 13:00-17:00", "`mon 13:00` is more than 4 days before its trade date"),
        ("[{\"week\"", "[{\"from\": \"2024-06-01\", \"week\"", "nothing says the hours before"),
        ("[{\"week\"", "[{\"from\": \"1.6.2024\", \"week\"", "`1.6.2024` is not a date such as `2024-11-05`"),
        ("}}],", "}}, {\"week\": {}}],", "`from` is not after that of the hours before"),
        (
            "}}],",
            "}}, {\"from\": \"2024-06-01\", \"weeks\": {}}],",
            "unknown field `weeks`, did you mean `week`?",
        ),
        ("[{\"week\": {\"mon-fri\": [\"09:00-12:00\", \"13:00-17:00\"]}}]", "[]", "at: hours"),
        ("2024-12-25", "2026-12-25", "2026-12-25 is outside the years covered, 2024 to 2025"),
        ("2024-12-25", "2024-12-32", "`2024-12-32` is not a date"),
        ("2024-12-25", "2024-12-24", "this date is in `closed` as well"),
        ("\"Christmas\"", "true", "this is true, not a text"),
        ("[\"09:00-12:00\"], \"why\"", "[], \"why\"", "a date without any belongs into `closed`"),
        ("\"sessions\"", "\"session\"", "did you mean `sessions`?"),
        ("\"2024-12-24\": {", "\"2024-12-24\": {\"why\": \"twice\", ", "at: special.2024-12-24.why\n"),
        (
            "2024-12-24\": {\"sessions\": [\"09:00-12:00\"]",
            "2024-03-31\": {\"sessions\": [\"02:30-12:00\"]",
            "a local time does not exist",
        ),
        ("}\n", "\n", "a calendar is not JSON"),
    ] {
        let error = file(part, by).expect_err(by);
        assert!(error.is_calendar() && format!("{error}\n").contains(expected), "{part} -> {by}: {error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let error = Calendar::from_json(
        r#"{"name": "m", "zone": "Nowhere", "years": [1, 2], "hours": [], "holiday": {}}"#,
    );
    let text = error.expect_err("four mistakes").to_string();
    assert!(text.starts_with("error[HW0401]: 4 mistakes"), "{text}");
    for expected in ["unknown time zone `Nowhere`", "at: years", "at: hours", "unknown field `holiday`"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // A wrong rule is wrong on hundreds of days.
    let text = file("13:00-17:00", "11:00-17:00").expect_err("overlaps").to_string();
    assert!(text.contains("mistakes like these") && text.len() < 2_000, "{text}");
}

#[test]
fn an_unknown_name_is_told_with_the_nearest() {
    for (spec, nearest) in
        [("xnyse", "xnys"), ("XTK", "xtks"), ("24x5", "24x7"), ("", "24x7"), ("nyse", "xnys")]
    {
        let error = Calendar::parse(spec).expect_err(spec);
        assert!(error.is_calendar() && error.to_string().contains("unknown calendar"), "{error}");
        assert!(
            spec.is_empty() || error.to_string().contains(&format!("did you mean `{nearest}`?")),
            "{error}"
        );
    }
    assert!(Calendar::parse("24x7@Mars").expect_err("no zone").to_string().contains("unknown time zone"));
    for spec in ["24x7", "24X7@-05:00", "XNYS", "Xtks", "xlon", "xhkg", "FX"] {
        assert!(Calendar::parse(spec).expect(spec).to_string().eq_ignore_ascii_case(spec));
    }
}

/// Trade dates per year: a slip of the pen in a data file shows here.
#[test]
fn ready_calendars_have_their_trade_dates() {
    let expected: [(&str, [u32; 15]); 5] = [
        ("xnys", [252, 252, 252, 252, 251, 251, 252, 253, 252, 251, 250, 252, 250, 251, 251]),
        ("xtks", [245, 244, 244, 245, 247, 245, 241, 242, 245, 244, 246, 245, 243, 242, 244]),
        ("xlon", [253, 253, 253, 253, 252, 253, 253, 254, 253, 250, 251, 254, 253, 253, 253]),
        ("xhkg", [244, 247, 247, 245, 246, 246, 246, 248, 247, 246, 243, 246, 246, 247, 248]),
        ("fx", [259, 259, 259, 260, 259, 259, 259, 260, 260, 260, 259, 260, 259, 259, 260]),
    ];
    for (name, years) in expected {
        let calendar = Calendar::ready(name).expect(name);
        assert_eq!(calendar.years(), Some(2013..=2027));
        let mut counts = [0; 15];
        let mut from = at(2013, 1, 1).plus(crate::time::hours(12));
        // The last session ends where nothing more is known.
        while let Ok(Some(day)) = calendar.next_period(Period::Day, from) {
            let close = DateTime::from_timestamp_millis(day.end.0).expect("a date");
            counts[(close.year() - 2013) as usize] += 1;
            from = day.end;
        }
        assert_eq!(counts, years, "{name}");
    }
}

fn at(year: i32, month: u32, day: u32) -> Timestamp {
    let midnight = chrono::NaiveDate::from_ymd_opt(year, month, day)
        .expect("date")
        .and_hms_opt(0, 0, 0)
        .expect("midnight");
    Timestamp(midnight.and_utc().timestamp_millis())
}
