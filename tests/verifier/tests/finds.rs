//! The verifier on Apache Kafka: it agrees with what the pipeline made of a file, and finds what is done to it.

use highwater_verifier::calendar::Slot;
use highwater_verifier::feeder::Feeder;
use highwater_verifier::finals::Final;
use highwater_verifier::kafka::Cluster;
use highwater_verifier::tick::Tick;
use highwater_verifier::timeframe::{Timeframe, Topics};
use highwater_verifier::topics;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// 2024-03-04T00:00:00Z, a Monday.
const MONDAY: i64 = 1_709_510_400_000;
const MINUTE: i64 = 60_000;

/// A record of a topic with finals.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    timeframe: Timeframe,
    symbol: String,
    slot: Slot,
    value: String,
}

/// None where there is no Kafka to test on, which is said where `tests/run` counts it.
fn cluster(test: &str) -> Option<Cluster> {
    let Ok(bootstrap) = std::env::var("HIGHWATER_TEST_BOOTSTRAP") else {
        let reason =
            "there is no Kafka; HIGHWATER_TEST_BOOTSTRAP names one, `tests/kafka run -- COMMAND` starts one";
        println!("skipped {test}: {reason}");
        if let Some(path) = std::env::var_os("HIGHWATER_TEST_SKIPS") {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            writeln!(file.unwrap(), "{test}: {reason}").unwrap();
        }
        return None;
    };
    Some(Cluster::new(&bootstrap))
}

/// Topics of a test's own, deleted at its end.
struct Own {
    cluster: Cluster,
    topics: Topics,
}

impl Own {
    fn new(cluster: &Cluster, name: &str, partitions: u32) -> Self {
        let own = Self {
            cluster: cluster.clone(),
            topics: Topics { prefix: format!("verifier-{}-{name}-", std::process::id()) },
        };
        topics::create(cluster, &own.names(), partitions).unwrap();
        own
    }

    fn names(&self) -> Vec<String> {
        let finals = Timeframe::ALL.map(|timeframe| self.topics.finals(timeframe));
        finals.into_iter().chain([self.topics.ticks()]).collect()
    }

    /// By symbol onto partitions, finals as the pipeline does.
    fn feed(&self, ticks: &[Tick], rows: &[Row]) {
        let feeder = Feeder::new(&self.cluster).unwrap();
        for tick in ticks {
            feeder.tick(&self.topics.ticks(), tick).unwrap();
        }
        for row in rows {
            let partition = i32::from(row.symbol == "B") % 3;
            let key = Final::key(&row.symbol, row.slot);
            let topic = self.topics.finals(row.timeframe);
            feeder.send(&topic, Some(partition), &key, row.value.as_bytes(), row.slot.end).unwrap();
        }
        feeder.flush().unwrap();
    }

    /// The exit code, and what it printed.
    fn verify(&self, more: &[&str]) -> (i32, serde_json::Value) {
        let mut verifier = Command::new(env!("CARGO_BIN_EXE_verify-bars"));
        verifier.args(["--bootstrap-server", &self.cluster.bootstrap, "--topic-prefix", &self.topics.prefix]);
        let output = verifier.arg("--json").args(more).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?} {said}"));
        (output.status.code().unwrap(), report)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        _ = topics::delete(&self.cluster, &self.names());
    }
}

/// Two symbols over 26 hours, ticks up to 80 s out of order, with minutes that have none; some ticks are far too late.
fn ticks(late: bool) -> Vec<Tick> {
    let mut chance = 42_u64;
    let mut below = move |n: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((chance >> 33) % n) as i64
    };
    let mut ticks = Vec::new();
    for symbol in ["A", "B"] {
        let (mut now, mut price) = (MONDAY, 10_000);
        while now < MONDAY + 26 * 60 * MINUTE {
            price += below(201) - 100;
            let behind = if late && below(50) == 0 { 4 * MINUTE } else { below(80_000) };
            let at = (now - behind).max(MONDAY);
            let symbol = symbol.to_owned();
            ticks.push((now, Tick { symbol, at, price: price.into(), volume: (1 + below(9)).into() }));
            now += 1 + below(100_000);
        }
    }
    ticks.sort_by_key(|(now, _)| *now);
    ticks.into_iter().map(|(_, tick)| tick).collect()
}

/// What the pipeline makes of them without Kafka.
fn finals(ticks: &[Tick], more: &[&str]) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ticks.csv");
    let rows =
        ticks.iter().map(|tick| format!("{},{},{},{}\n", tick.symbol, tick.at, tick.price, tick.volume));
    std::fs::write(&file, format!("symbol,ts_ms,price,volume\n{}", rows.collect::<String>())).unwrap();
    let output = Command::new(program())
        .arg("--input")
        .arg(&file)
        .args(["--output", "-"])
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<_> = text.lines().map(row).collect();
    assert!(rows.len() > 100, "{} finals", rows.len());
    rows
}

/// The line is the JSON of the topics with the timeframe before it.
fn row(line: &str) -> Row {
    let json: serde_json::Value = serde_json::from_str(line).unwrap();
    let (start, rest) = line.split_once(',').unwrap();
    let timeframe = start.rsplit('"').nth(1).and_then(Timeframe::named).unwrap();
    let slot = Slot { start: json["start"].as_i64().unwrap(), end: json["end"].as_i64().unwrap() };
    Row { timeframe, symbol: json["symbol"].as_str().unwrap().to_owned(), slot, value: format!("{{{rest}") }
}

/// The example beside this test; cargo builds none for it, `tests/run` does it before.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let bars = profile.join("examples").join(format!("bars{}", std::env::consts::EXE_SUFFIX));
    if bars.exists() {
        return bars;
    }
    let name = profile.file_name().unwrap().to_str().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    cargo.args([
        "build",
        "--quiet",
        "--example",
        "bars",
        "--profile",
        if name == "debug" { "test" } else { name },
    ]);
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    assert!(cargo.status().unwrap().success(), "the example cannot be built");
    bars
}

/// What is found in all topics together, of one kind.
fn found(report: &serde_json::Value, kind: &str) -> u64 {
    report["topics"].as_array().unwrap().iter().map(|topic| topic[kind]["count"].as_u64().unwrap()).sum()
}

const KINDS: [&str; 5] = ["missing", "twice", "different", "unexpected", "disordered"];

#[test]
fn a_drop_a_repeat_a_change_and_a_swap_are_found() {
    let Some(cluster) = cluster("a_drop_a_repeat_a_change_and_a_swap_are_found") else { return };
    let ticks = ticks(false);
    let rows = finals(&ticks, &["--no-heartbeats", "--at-end", "close"]);
    let at = |timeframe, nth| {
        let of = |row: &&Row| row.timeframe == timeframe && row.symbol == "A";
        let row = rows.iter().filter(of).nth(nth).unwrap();
        rows.iter().position(|other| other == row).unwrap()
    };
    let (minute, hour, next_hour, day) =
        (at(Timeframe::M1, 7), at(Timeframe::H1, 3), at(Timeframe::H1, 4), at(Timeframe::D1, 0));
    let but = |change: &dyn Fn(&mut Vec<Row>)| {
        let mut changed = rows.clone();
        change(&mut changed);
        changed
    };
    let altered = |row: &Row, field: &str| {
        let mut json: serde_json::Value = serde_json::from_str(&row.value).unwrap();
        json[field] = 4711.into();
        Row { value: json.to_string(), ..row.clone() }
    };
    let stranger = Row {
        symbol: "C".to_owned(),
        value: rows[minute].value.replace("\"A\"", "\"C\""),
        ..rows[minute].clone()
    };
    let cases: [(&str, Vec<Row>, [u64; 5]); 9] = [
        ("as-it-is", rows.clone(), [0; 5]),
        ("drop", but(&|rows| drop(rows.remove(minute))), [1, 0, 0, 0, 0]),
        ("drop-parent", but(&|rows| drop(rows.remove(day))), [1, 0, 0, 0, 0]),
        ("repeat", but(&|rows| rows.insert(hour + 1, rows[hour].clone())), [0, 1, 0, 0, 0]),
        ("repeat-later", but(&|rows| rows.push(rows[minute].clone())), [0, 1, 0, 0, 0]),
        ("change", but(&|rows| rows[day] = altered(&rows[day], "volume")), [0, 0, 1, 0, 0]),
        ("change-children", but(&|rows| rows[hour] = altered(&rows[hour], "children")), [0, 0, 1, 0, 0]),
        ("swap", but(&|rows| rows.swap(hour, next_hour)), [0, 0, 0, 0, 1]),
        ("stranger", but(&|rows| rows.push(stranger.clone())), [0, 0, 0, 1, 0]),
    ];
    for (name, rows, expected) in cases {
        let own = Own::new(&cluster, name, 3);
        own.feed(&ticks, &rows);
        let (code, report) = own.verify(&["--closed"]);
        assert_eq!(KINDS.map(|kind| found(&report, kind)), expected, "{name}: {report:#}");
        assert_eq!(code, i32::from(expected != [0; 5]), "{name}");
        assert_eq!(report["ticks"], ticks.len(), "{name}");
        let (code, _) = own.verify(&["--closed", "--at-least-once"]);
        assert_eq!(
            code,
            i32::from(expected != [0; 5] && !name.starts_with("repeat")),
            "{name} at least once"
        );
    }
}

#[test]
fn late_ticks_quiet_minutes_and_open_slots_are_judged_as_the_pipeline_does() {
    let name = "late_ticks_quiet_minutes_and_open_slots_are_judged_as_the_pipeline_does";
    let Some(cluster) = cluster(name) else { return };
    let ticks = ticks(true);
    for (heartbeats, option) in [(true, &["--heartbeats"][..]), (false, &[])] {
        let own = Own::new(&cluster, &format!("late-{heartbeats}"), 1);
        let more: &[&str] = if heartbeats { &[] } else { &["--no-heartbeats"] };
        let rows = finals(&ticks, &[&["--at-end", "leave", "--partitions", "1"], more].concat());
        let feeder = Feeder::new(&cluster).unwrap();
        for tick in &ticks {
            feeder.tick(&own.topics.ticks(), tick).unwrap();
        }
        for row in &rows {
            let key = Final::key(&row.symbol, row.slot);
            feeder
                .send(&own.topics.finals(row.timeframe), None, &key, row.value.as_bytes(), row.slot.end)
                .unwrap();
        }
        feeder.flush().unwrap();
        let (code, report) = own.verify(option);
        assert_eq!(code, 0, "{report:#}");
        assert!(report["late"].as_u64().unwrap() > 10, "{report:#}");
        let quiet = rows.iter().filter(|row| row.value.contains("\"ticks\":0,")).count();
        assert_eq!(quiet > 100, heartbeats, "{quiet} quiet finals");
        let (code, report) = own.verify(&[option, &["--closed"][..]].concat());
        assert!(code == 1 && found(&report, "missing") > 0, "the last slots are open: {report:#}");
    }
}

#[test]
fn a_changelog_is_folded_to_its_last_values() {
    let Some(cluster) = cluster("a_changelog_is_folded_to_its_last_values") else { return };
    let own = Own::new(&cluster, "changelog", 2);
    let topic = own.topics.ticks();
    let feeder = Feeder::new(&cluster).unwrap();
    for value in ["1", "2"] {
        feeder.send(&topic, Some(1), b"key", value.as_bytes(), 0).unwrap();
    }
    feeder.flush().unwrap();
    let verifier = Command::new(env!("CARGO_BIN_EXE_verify-bars"))
        .args(["--bootstrap-server", &cluster.bootstrap, "--changelog", &topic])
        .output()
        .unwrap();
    let printed = String::from_utf8(verifier.stdout).unwrap();
    let mut contents = highwater_verifier::changelog::Contents::default();
    let empty = contents.hash();
    contents.put(b"key", Some(b"2"));
    assert_eq!(printed, format!("{topic} 0 0 {empty:016x}\n{topic} 1 1 {:016x}\n", contents.hash()));
}
