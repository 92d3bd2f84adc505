//! Mistakes on the command line and in files: an exit code, the place, the reason, and nothing half written.

use crate::program::{Folder, HEADER, MONDAY, files, rows, run, run_well};

/// Exit code and standard error of a run over these lines.
fn refused(folder: &Folder, lines: &str, more: &[&str]) -> (i32, String) {
    let input = folder.write("ticks.csv", &format!("{HEADER}{lines}"));
    let out = folder.path("out");
    let ended = run(&[&["--input", &input, "--output", &out], more].concat());
    if std::path::Path::new(&out).exists() {
        assert!(files(&out).is_empty(), "nothing half written: {:?}", files(&out));
    }
    (ended.code.expect("no signal"), ended.stderr)
}

fn tick(symbol: &str, at: i64) -> String {
    format!("{symbol},{at},1,1\n")
}

#[test]
fn a_malformed_line_is_named_with_its_number_and_reason() {
    let folder = Folder::new();
    let good = tick("A", MONDAY);
    for (line, reason) in [
        ("A,now,1,1", "ts_ms: \"now\" is not a whole number of milliseconds"),
        ("A,1", "2 columns instead of the 4 of symbol,ts_ms,price,volume"),
        ("A,-5,1,1", "ts_ms: -5 is negative, before 1970"),
        ("A,1709510400000000,1,1", "is after the year 9999; is it in microseconds or nanoseconds?"),
        ("A,1709510400000,abc,1", "price: \"abc\" is not a number"),
    ] {
        let (code, error) = refused(&folder, &format!("{good}{line}\n{good}"), &[]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("/ticks.csv:3: ") && error.contains(reason), "{line}: {error}");
    }
}

#[test]
fn bad_lines_that_are_skipped_are_counted() {
    let folder = Folder::new();
    let lines = format!("{}A,now,1,1\n\u{fffd}\n{}", tick("A", MONDAY), tick("A", MONDAY + 60_000));
    let input = folder.write("ticks.csv", &format!("{HEADER}{lines}"));
    let out = folder.path("out");
    let ended = run_well(&["--input", &input, "--output", &out, "--on-bad-line", "skip"]);
    assert_eq!(
        (ended.counted("bad lines skipped"), ended.counted("ticks read")),
        ("2".to_owned(), "2".to_owned())
    );
    assert!(
        ended.stderr.contains("warning: skipped ") && ended.stderr.contains("ticks.csv:4: "),
        "{}",
        ended.stderr
    );
    assert_eq!(rows(&out, "m1").len(), 2);
}

#[test]
fn an_input_that_is_not_there_or_no_tick_file() {
    let folder = Folder::new();
    for (name, text) in
        [("none.csv", None), ("other.csv", Some("a,b,c\n1,2,3\n")), ("plain.csv.gz", Some("no gzip"))]
    {
        let input = text.map_or_else(|| folder.path(name), |text| folder.write(name, text));
        let ended = run(&["--input", &input]);
        assert_eq!(ended.code, Some(1), "{name}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(name), "{}", ended.stderr);
    }
}

#[test]
fn mistakes_on_the_command_line_are_told_together() {
    let ended = run(&["--calendar", "xxxx", "--partitions", "0", "--speed", "x"]);
    assert_eq!(ended.code, Some(2));
    for part in ["error: 3 mistakes", "--calendar xxxx", "--partitions 0", "--speed x"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let ended = run(&["-X", "num.steam.threads=2", "--speed", "2000"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("did you mean `num.stream.threads`?"), "{}", ended.stderr);
}

#[test]
fn a_symbol_without_a_calendar_is_named_with_its_line() {
    let folder = Folder::new();
    let (code, error) =
        refused(&folder, &(tick("A.T", MONDAY) + &tick("B", MONDAY)), &["--calendar", "*.T=24x7"]);
    assert_eq!(code, 1);
    assert!(error.contains("ticks.csv:3: symbol \"B\" has no calendar"), "{error}");
}

#[test]
fn a_date_outside_the_years_of_a_calendar_is_an_error_and_no_wrong_bar() {
    let folder = Folder::new();
    let (code, error) = refused(&folder, &tick("A", 1_000), &["--calendar", "xnys"]);
    assert_eq!(code, 1);
    assert!(error.starts_with("error[HW0"), "{error}");
    for part in ["1970-01-01", "calendar `xnys`", "covers: 20", "record: ticks-"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_calendar_file_with_overlapping_sessions_is_refused() {
    let folder = Folder::new();
    let week = r#"{"week": {"mon": ["09:00-12:00", "11:30-15:00"]}}"#;
    let text =
        format!(r#"{{"name": "mine", "zone": "Asia/Tokyo", "years": [2020, 2025], "hours": [{week}]}}"#);
    let calendar = folder.write("mine.json", &text);
    let (code, error) = refused(&folder, &tick("A", MONDAY), &["--calendar", &calendar]);
    assert_eq!(code, 2);
    assert!(error.contains("mine.json") && error.contains("overlap"), "{error}");
}

/// Its own bar closes when time runs out; all the others are what they would be without it.
#[test]
fn a_tick_dated_2100_moves_no_time_and_is_counted() {
    let folder = Folder::new();
    let lines = |with: bool| -> String {
        let ticks = (0..200).map(|minute| {
            let far = if with && minute == 3 { tick("A", 4_102_444_800_000) } else { String::new() };
            far + &tick("A", MONDAY + minute * 60_000)
        });
        ticks.collect()
    };
    let replay = |name: &str, with: bool| {
        let input = folder.write("ticks.csv", &format!("{HEADER}{}", lines(with)));
        let out = folder.path(name);
        let ended = run_well(&["--input", &input, "--output", &out]);
        let near = |row: &Vec<String>| row[1].starts_with("17");
        let bars = ["m1", "h1", "d1"].map(|tf| rows(&out, tf).into_iter().filter(near).collect::<Vec<_>>());
        (bars, ended.counted("late"), ended.counted("too far ahead"))
    };
    let (without, with) = (replay("without", false), replay("with", true));
    assert_eq!(without.0[0].len(), 200);
    assert_eq!(with.0, without.0);
    assert_eq!((with.1.as_str(), with.2.as_str(), without.2.as_str()), ("0", "1", "0"));
}
