//! Files in, finals out: the same bytes each time.

use crate::program::{Folder, HEADER, MONDAY, files, rows, run_well, ticks};
use rust_decimal::Decimal;
use std::collections::BTreeSet;

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = Folder::new();
    let input = folder.write("ticks.csv", &ticks(3_000));
    let output = |name: &str, more: &[&str]| {
        let out = folder.path(name);
        run_well(&[&["--input", &input, "--output", &out], more].concat());
        files(&out)
    };
    let first = output("first", &[]);
    assert_eq!(first.len(), 5, "five files and no others");
    assert!(
        first.iter().all(|(name, text)| name.starts_with("bars_final_") && text.lines().count() > 5),
        "{first:?}"
    );
    assert!(first == output("second", &[]), "twice");
    assert!(first == output("one", &["--partitions", "1"]), "with one partition");
    assert!(first == output("seven", &["--partitions", "7"]), "with seven partitions");
    assert!(first == output("workers", &["-X", "num.stream.threads=3"]), "with three workers");
}

#[test]
fn finals_are_in_the_order_of_end_start_and_symbol_and_none_comes_twice() {
    let folder = Folder::new();
    let input = folder.write("ticks.csv", &ticks(600));
    let out = folder.path("out");
    run_well(&["--input", &input, "--output", &out]);
    let number = |text: &String| text.parse::<i64>().unwrap();
    for timeframe in ["m1", "h1", "d1", "w1", "mo1"] {
        // The symbol with a comma is quoted, and would need a real reader.
        let text = std::fs::read_to_string(format!("{out}/bars_final_{timeframe}.csv")).unwrap();
        let rows = text.lines().skip(1).map(|line| line.replace("\"A,B\"", "A;B"));
        let keys: Vec<_> = rows
            .map(|line| {
                let row: Vec<String> = line.split(',').map(str::to_owned).collect();
                (number(&row[2]), number(&row[1]), row[0].replace(';', ","))
            })
            .collect();
        assert!(keys.is_sorted(), "{timeframe}");
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{timeframe}");
        assert!(keys.len() >= 5, "{timeframe}");
    }
}

#[test]
fn json_lines_and_files_say_the_same() {
    let folder = Folder::new();
    let input = folder.write("ticks.csv", &ticks(150).replace("\"A,B\"", "AB"));
    let out = folder.path("out");
    run_well(&["--input", &input, "--output", &out]);
    let ended = run_well(&["--input", &input, "--output", "-"]);
    let mut of_files = Vec::new();
    for timeframe in ["m1", "h1", "d1", "w1", "mo1"] {
        of_files.extend(rows(&out, timeframe).into_iter().map(|row| (timeframe.to_owned(), row)));
    }
    let of_lines: Vec<_> = ended.stdout.lines().map(of_json).collect();
    assert_eq!(of_lines.len(), of_files.len());
    assert_eq!(of_lines, of_files);
    assert_eq!(ended.counted("late"), "0", "the summary does not disturb the lines");
}

/// The columns of the files.
fn of_json(line: &str) -> (String, Vec<String>) {
    let bar: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let columns = ["symbol", "start", "end", "open", "high", "low", "close", "volume", "ticks", "complete"];
    let text = |column: &str| match &bar[column] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (text("timeframe"), columns.map(text).to_vec())
}

#[test]
fn quiet_minutes_have_bars_unless_they_are_not_wanted() {
    let folder = Folder::new();
    let lines = [0, 5, 8].map(|minute| format!("A,{},10{minute}.5,1\n", MONDAY + minute * 60_000 + 7));
    let input = folder.write("ticks.csv", &format!("{HEADER}{}", lines.concat()));
    let closes = |more: &[&str]| -> Vec<String> {
        let out = folder.path("out");
        run_well(&[&["--input", &input, "--output", &out], more].concat());
        rows(&out, "m1").into_iter().map(|row| format!("{} of {}", row[6], row[8])).collect()
    };
    assert_eq!(closes(&["--no-heartbeats"]), ["100.5 of 1", "105.5 of 1", "108.5 of 1"]);
    let quiet = "100.5 of 0";
    // Minutes 6 and 7 were not over, with their grace, when the input ended.
    let all = ["100.5 of 1", quiet, quiet, quiet, quiet, "105.5 of 1", "108.5 of 1"];
    assert_eq!(closes(&[]), all);
}

#[test]
fn the_end_of_the_input_closes_what_is_open_or_leaves_it() {
    let folder = Folder::new();
    let lines: Vec<_> = (0..10).map(|minute| format!("A,{},1,1\n", MONDAY + minute * 60_000)).collect();
    let lines = lines.concat();
    let input = folder.write("ticks.csv", &format!("{HEADER}{lines}"));
    let counts = |more: &[&str]| {
        let out = folder.path("out");
        run_well(&[&["--input", &input, "--output", &out], more].concat());
        ["m1", "h1", "d1", "w1", "mo1"].map(|timeframe| rows(&out, timeframe).len())
    };
    assert_eq!(counts(&[]), [10, 1, 1, 1, 1]);
    assert_eq!(counts(&["--at-end", "close"]), [10, 1, 1, 1, 1]);
    // The last tick is at 00:09; minutes that end by 00:07:30 are over.
    assert_eq!(counts(&["--at-end", "leave"]), [7, 0, 0, 0, 0]);
    assert_eq!(counts(&["--at-end", "leave", "--grace", "m1=0s"]), [9, 0, 0, 0, 0]);
}

#[test]
fn parents_sum_what_their_children_have() {
    let folder = Folder::new();
    let input = folder.write("ticks.csv", &ticks(3_000).replace("\"A,B\"", "AB"));
    let out = folder.path("out");
    run_well(&["--input", &input, "--output", &out]);
    let sums = |timeframe: &str| {
        let rows = rows(&out, timeframe);
        let volume: Decimal = rows.iter().map(|row| row[7].parse::<Decimal>().unwrap()).sum();
        let ticks: u64 = rows.iter().map(|row| row[8].parse::<u64>().unwrap()).sum();
        (volume.normalize(), ticks)
    };
    let m1 = sums("m1");
    assert!(m1.1 > 10_000, "{m1:?}");
    assert!(["h1", "d1", "w1", "mo1"].iter().all(|timeframe| sums(timeframe) == m1));
}

#[test]
fn the_default_run_shows_finals_of_all_timeframes() {
    let ended = run_well(&["--speed", "2000"]);
    for timeframe in ["M1", "H1", "D1", "W1", "Mo1"] {
        let finals = ended.stdout.lines().filter(|line| line.split_whitespace().next() == Some(timeframe));
        let symbols: BTreeSet<_> = finals.map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(symbols.len(), 3, "{timeframe}: {symbols:?}\n{}", ended.stdout);
    }
    assert_eq!(
        (ended.counted("late"), ended.counted("outside the session")),
        ("0".to_owned(), "0".to_owned())
    );
}
