//! Real ticks: the finals are the bars that the exchanges and the broker published.

use crate::program::{Folder, rows, run_well, skip};
use flate2::read::MultiGzDecoder;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A row by the names of its columns.
type Row = BTreeMap<String, String>;
type Slot = (String, i64);

/// How a published file has to be compared.
#[derive(Clone, Copy, PartialEq)]
pub enum Coverage {
    Whole,
    /// It begins and ends within the ticks, and its last bar may have been open.
    Part,
}

pub fn data(test: &str, set: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("HIGHWATER_TICK_DATA").map_or_else(beside, PathBuf::from).join(set);
    if !folder.join("ticks.csv.gz").exists() {
        skip(
            test,
            &format!("there are no ticks in {}; HIGHWATER_TICK_DATA names their folder", folder.display()),
        );
        return None;
    }
    Some(folder)
}

fn published(path: &Path) -> BTreeMap<Slot, Row> {
    let mut text = String::new();
    MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| -> Row {
        names.iter().map(|name| (*name).to_owned()).zip(line.split(',').map(str::to_owned)).collect()
    };
    lines.map(row).map(|row| ((row["symbol"].clone(), row["open_ts_ms"].parse().unwrap()), row)).collect()
}

fn decimal(text: &str) -> Decimal {
    text.parse().or_else(|_| Decimal::from_scientific(text)).unwrap()
}

/// What differs between a published bar and a final; columns that were not published say nothing.
fn differs(bar: &Row, row: &[String]) -> Option<String> {
    let given = |name: &str| bar.get(name).filter(|text| !text.is_empty());
    let prices = ["o", "h", "l", "c"].iter().zip(&row[3..7]);
    let same_prices = prices.clone().all(|(name, ours)| decimal(&bar[*name]) == decimal(ours));
    let volume = |theirs: &String| {
        let (theirs, ours) = (decimal(theirs), decimal(&row[7]));
        // Some were summed as floats.
        (theirs - ours).abs() <= Decimal::new(1, 9) * theirs.abs().max(Decimal::ONE)
    };
    let same = same_prices
        && given("v").is_none_or(volume)
        && given("n").is_none_or(|ticks| *ticks == row[8])
        && given("close_ts_ms").is_none_or(|end| *end == row[2]);
    (!same).then(|| format!("{bar:?} is {row:?}"))
}

/// `rows`: the finals, in the columns of the files.
pub fn compare(folder: &Path, rows: Vec<Vec<String>>, file: &str, coverage: Coverage) {
    let mut expected = published(&folder.join(format!("{file}.csv.gz")));
    if coverage == Coverage::Part {
        let last = expected.keys().max_by_key(|slot| slot.1).cloned().unwrap();
        expected.remove(&last);
    }
    let ends = (
        expected.keys().map(|slot| slot.1).min().unwrap(),
        expected.keys().map(|slot| slot.1).max().unwrap(),
    );
    let mut finals = BTreeMap::new();
    for row in rows {
        let twice = finals.insert((row[0].clone(), row[1].parse::<i64>().unwrap()), row);
        assert_eq!(twice, None, "{file}: twice");
    }
    let missing: Vec<_> = expected.keys().filter(|slot| !finals.contains_key(*slot)).take(3).collect();
    assert!(missing.is_empty(), "{file}: missing {missing:?}");
    let inside = |slot: &&Slot| coverage == Coverage::Whole || (ends.0..=ends.1).contains(&slot.1);
    let more: Vec<_> =
        finals.keys().filter(inside).filter(|slot| !expected.contains_key(*slot)).take(3).collect();
    assert!(more.is_empty(), "{file}: nobody published {more:?}");
    let other: Vec<_> =
        expected.iter().filter_map(|(slot, bar)| differs(bar, &finals[slot])).take(3).collect();
    assert!(other.is_empty(), "{file}: {other:#?}");
    assert!(expected.len() > 10, "{file}: only {} bars", expected.len());
}

fn finals(ticks: &Path, more: &[&str]) -> (Folder, String) {
    let folder = Folder::new();
    let out = folder.path("out");
    let input = ticks.join("ticks.csv.gz");
    run_well(&[&["--input", input.to_str().unwrap(), "--output", &out], more].concat());
    (folder, out)
}

#[test]
fn kraken_publishes_these_minutes_quiet_ones_included() {
    let name = "kraken_publishes_these_minutes_quiet_ones_included";
    let Some(ticks) = data(name, "kraken_xbtusdt_trades_2025-11-10") else { return };
    let (_folder, out) = finals(&ticks, &["--calendar", "24x7"]);
    compare(&ticks, rows(&out, "m1"), "published_M1_filled", Coverage::Part);
}

#[test]
fn binance_publishes_these_minutes() {
    let Some(ticks) = data("binance_publishes_these_minutes", "binance_xrpeth_trades_2019-10") else {
        return;
    };
    let (_folder, out) = finals(&ticks, &["--no-heartbeats"]);
    compare(&ticks, rows(&out, "m1"), "published_M1", Coverage::Whole);
}

#[test]
fn fxcm_publishes_these_minutes_hours_and_days() {
    let name = "fxcm_publishes_these_minutes_hours_and_days";
    let Some(ticks) = data(name, "fxcm_eurusd_ticks_2014-05") else { return };
    let (_folder, out) = finals(&ticks, &["--calendar", "24x7@-05:00", "--no-heartbeats"]);
    for (file, timeframe) in [("published_M1", "m1"), ("published_H1", "h1"), ("published_D1", "d1")] {
        compare(&ticks, rows(&out, timeframe), file, Coverage::Whole);
    }
}
