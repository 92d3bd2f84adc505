//! Real ticks, displaced and repeated, through kills at every point of a commit, against a plain fold.

use crate::run::{Chance, D1, H1, Key, M1, Mo1, Pipeline, Read, Run, TIMEFRAMES, Tick, Timeframe, W1, utc};
use chrono::{Datelike, Days, Months, NaiveDate};
use highwater::Windowed;
use highwater::testing::{CommitPoint, TopologyTestDriver};
use highwater::time::{Timestamp, days, milliseconds, seconds};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

const NAMES: u8 = 12;
/// Of the minutes, as the pipeline has it.
const GRACE: i64 = 90_000;
/// Ticks arrive at most so much later than they happened.
const DISPLACED: u64 = 60_000;
const MINUTE: i64 = 60_000;

/// A tick in order of arrival; its quantity is a number of its own, so a volume tells which ticks are in it.
#[derive(Clone, Debug)]
struct Given {
    name: u8,
    tick: Tick,
}

fn name(n: u8) -> Key {
    Key(n, "name".to_owned())
}

/// Prices by time, given to names and displaced in time; every 50th is repeated beyond the grace if wanted.
fn given(prices: &[(i64, i64)], seed: u64, repeats: bool) -> Vec<Given> {
    let mut chance = Chance::new(seed);
    let mut arrivals = Vec::new();
    for (n, (at, price)) in prices.iter().enumerate() {
        let tick = Tick { at: Timestamp(*at), price: *price, quantity: n as i64 + 1 };
        let given = Given { name: chance.below(u64::from(NAMES)) as u8, tick };
        if repeats && n % 50 == 49 {
            let beyond = MINUTE + GRACE + DISPLACED as i64 + 1 + chance.below(600_000) as i64;
            arrivals.push((at + beyond, given.clone()));
        }
        arrivals.push((at + chance.below(DISPLACED + 1) as i64, given));
    }
    arrivals.sort_by_key(|(arrival, given)| (*arrival, given.tick.quantity));
    arrivals.into_iter().map(|(_, given)| given).collect()
}

/// The first `most` ticks of the set of real ones.
fn real(test: &str, most: usize) -> Option<Vec<(i64, i64)>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("HIGHWATER_TICK_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join("fxcm_eurusd_ticks_2014-05/ticks.csv.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        skipped(test, &format!("there is no {}", path.display()));
        return None;
    };
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines();
    let tick = |line: std::io::Result<String>| {
        let line = line.expect("a line");
        let fields: Vec<&str> = line.split(',').collect();
        let price: f64 = fields[2].parse().expect("a price");
        (fields[1].parse().expect("a time"), (price * 100_000.0).round() as i64)
    };
    Some(lines.skip(1).take(most).map(tick).collect())
}

/// Not silently: `tests/run` counts what is in this file.
fn skipped(test: &str, reason: &str) {
    eprintln!("skipped: ticks::{test}: {reason}");
    if let Some(path) = std::env::var_os("HIGHWATER_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("the file");
        writeln!(file, "ticks::{test}: {reason}").expect("written");
    }
}

/// A generated walk with quiet stretches, over two days and the end of a week and a month.
fn walk(seed: u64, count: usize) -> Vec<(i64, i64)> {
    let mut chance = Chance::new(seed);
    let (mut at, mut price) = (utc("2024-03-31T20:00:00Z").0, 130_000);
    let mut ticks = Vec::new();
    for _ in 0..count {
        let pause = if chance.below(500) == 0 { 1_200_000 } else { 12_000 };
        at += chance.below(pause) as i64;
        price += chance.below(21) as i64 - 10;
        ticks.push((at, price));
    }
    ticks
}

type Slot = (i64, i64, Key);
type Ohlcv = (i64, i64, i64, i64, i64);
type Late = BTreeMap<(Slot, i64), usize>;

/// Bars and late ticks by hand.
#[derive(Default)]
struct Fold {
    bars: BTreeMap<Timeframe, BTreeMap<Slot, (Ohlcv, i64, i64)>>,
    late: Late,
}

fn fold(ticks: &[Given], partitions: u32) -> Fold {
    let mut fold = Fold::default();
    let mut watermarks = vec![i64::MIN; partitions as usize];
    for Given { name: n, tick } in ticks {
        let watermark = &mut watermarks[(u32::from(*n) % partitions) as usize];
        *watermark = tick.at.0.max(*watermark);
        let minute = slot(M1, tick.at.0);
        if minute.1 <= *watermark - GRACE {
            *fold.late.entry(((minute.1, minute.0, name(*n)), tick.quantity)).or_default() += 1;
            continue;
        }
        for timeframe in TIMEFRAMES {
            let (start, end) = slot(timeframe, tick.at.0);
            let bars = fold.bars.entry(timeframe).or_default();
            let at = tick.at.0;
            match bars.entry((end, start, name(*n))) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let price = tick.price;
                    entry.insert(((price, price, price, price, tick.quantity), at, at));
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    let ((open, high, low, close, volume), first, last) = entry.get_mut();
                    if at < *first {
                        (*open, *first) = (tick.price, at);
                    }
                    if at >= *last {
                        (*close, *last) = (tick.price, at);
                    }
                    (*high, *low) = (tick.price.max(*high), tick.price.min(*low));
                    *volume += tick.quantity;
                }
            }
        }
    }
    fold
}

/// `[start, end)` of the slot of a calendar without sessions, in UTC.
fn slot(timeframe: Timeframe, at: i64) -> (i64, i64) {
    let fixed = |size: i64| (at.div_euclid(size) * size, at.div_euclid(size) * size + size);
    let midnight = |day: NaiveDate| day.and_hms_opt(0, 0, 0).expect("midnight").and_utc().timestamp_millis();
    let day = chrono::DateTime::from_timestamp_millis(at).expect("a date").date_naive();
    match timeframe {
        M1 => fixed(MINUTE),
        H1 => fixed(60 * MINUTE),
        D1 => fixed(24 * 60 * MINUTE),
        W1 => {
            let monday = day - Days::new(u64::from(day.weekday().num_days_from_monday()));
            (midnight(monday), midnight(monday + Days::new(7)))
        }
        Mo1 => {
            let first = day.with_day(1).expect("the first");
            (midnight(first), midnight(first + Months::new(1)))
        }
    }
}

fn pipeline() -> Pipeline {
    let mut pipeline = Pipeline::new("24x7");
    pipeline.idle = None;
    pipeline
}

fn driver(partitions: u32, exactly_once: bool) -> TopologyTestDriver {
    let driver = TopologyTestDriver::new(pipeline().topology()).partitions(partitions).instances(2);
    if exactly_once { driver } else { driver.at_least_once().set("commit.interval.ms", "100") }
}

fn pipe(run: &mut Run, ticks: &[Given], partitions: u32) {
    run.ticks_at(ticks.iter().map(|given| {
        let partition = u32::from(given.name) % partitions;
        (name(given.name), given.tick.clone(), partition)
    }));
}

/// Closes everything: one more tick of each name, so much later that a month has ended.
fn close(run: &mut Run, last: Timestamp, partitions: u32) {
    let at = last.plus(days(40));
    let tick = |n| Given { name: n, tick: Tick { at, price: 1, quantity: 0 } };
    let ticks: Vec<_> = (0..NAMES).map(tick).collect();
    pipe(run, &ticks, partitions);
    run.driver.commit();
}

fn latest(ticks: &[Given]) -> Timestamp {
    ticks.iter().map(|given| given.tick.at).max().expect("ticks")
}

/// Runs the ticks with a kill at every point of the commit.
fn through_kills(ticks: &[Given], exactly_once: bool) -> Run {
    let mut points =
        if exactly_once { CommitPoint::EXACTLY_ONCE.to_vec() } else { CommitPoint::AT_LEAST_ONCE.to_vec() };
    let mut run = Run::of(driver(4, exactly_once));
    let chunk = ticks.len().div_ceil(200);
    let mut ordered = None;
    for (n, ticks) in ticks.chunks(chunk).enumerate() {
        if n % 10 == 5 && ordered.is_none() {
            ordered = points.pop();
            if let Some(point) = ordered {
                run.driver.kill_at(point);
            }
        }
        if ordered == Some(CommitPoint::S9) {
            // So long that the group goes on without its members.
            pipe(&mut run, &ticks[..1], 4);
            run.driver.begin_outage();
            pipe(&mut run, &ticks[1..], 4);
            run.driver.advance_clock(seconds(100));
            run.driver.end_outage();
        } else {
            pipe(&mut run, ticks, 4);
        }
        if ordered == Some(CommitPoint::S6) {
            run.driver.rebalance(&[n % 2]);
            run.driver.rebalance(&[0, 1]);
        }
        run.driver.advance_clock(milliseconds(250));
        if ordered.is_some() {
            run.driver.commit();
            if !run.driver.is_kill_pending() {
                ordered = None;
            }
        }
    }
    assert!(points.is_empty() && ordered.is_none(), "killed at every point; not at {ordered:?}, {points:?}");
    close(&mut run, latest(ticks), 4);
    run
}

fn slot_of(key: &Windowed<Key>) -> Slot {
    (key.window.end.0, key.window.start.0, key.key.clone())
}

/// Finals by slot; a second one only under at least once, and with the same bytes.
fn finals(read: &[Read], exactly_once: bool) -> BTreeMap<Slot, Ohlcv> {
    let mut found: BTreeMap<Slot, &Read> = BTreeMap::new();
    for read in read {
        if let Some(before) = found.insert(slot_of(&read.key), read) {
            assert!(!exactly_once, "a second final of {:?}", read.key);
            assert_eq!((&before.value, before.timestamp), (&read.value, read.timestamp), "{:?}", read.key);
        }
    }
    found.into_iter().map(|(slot, read)| (slot, read.value.ohlcv())).collect()
}

fn check(ticks: &[Given], exactly_once: bool) {
    let mut run = through_kills(ticks, exactly_once);
    let expected = fold(ticks, 4);
    assert!(!expected.late.is_empty(), "some are late");
    for timeframe in TIMEFRAMES {
        let found = finals(&run.finals(timeframe), exactly_once);
        let bars = &expected.bars[&timeframe];
        assert_eq!(found.len(), bars.len(), "{timeframe:?}");
        for (slot, (bar, ..)) in bars {
            assert_eq!(found.get(slot), Some(bar), "{timeframe:?} {slot:?}");
        }
    }
    let mut late = Late::new();
    for read in run.late() {
        *late.entry((slot_of(&read.key), read.value.quantity)).or_default() += 1;
    }
    if exactly_once {
        assert_eq!(late, expected.late, "late records");
    } else {
        let keys = |late: &Late| late.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&late), keys(&expected.late), "late records, as a set");
    }
    assert!(run.late_children().is_empty(), "no final is late below");
}

#[test]
fn generated_ticks_are_the_folds_under_exactly_once() {
    check(&given(&walk(5, 20_000), 6, true), true);
}

#[test]
fn generated_ticks_are_the_folds_under_at_least_once() {
    check(&given(&walk(7, 20_000), 8, true), false);
}

#[test]
fn fx_ticks_are_the_folds_under_exactly_once() {
    let Some(prices) = real("fx_ticks_are_the_folds_under_exactly_once", MOST) else { return };
    check(&given(&prices, 9, true), true);
}

#[test]
fn fx_ticks_are_the_folds_under_at_least_once() {
    let Some(prices) = real("fx_ticks_are_the_folds_under_at_least_once", MOST) else { return };
    check(&given(&prices, 10, true), false);
}

/// All of them.
const MOST: usize = usize::MAX;

/// A record as its reader has it.
type Raw = (Vec<u8>, Vec<u8>, Timestamp);

/// What a reader has of all finals, sorted: keys and values as bytes, and timestamps.
fn bytes(ticks: &[Given], partitions: u32, crash: bool) -> Vec<Vec<Raw>> {
    let mut run = Run::of(driver(partitions, true));
    let half = ticks.len() / 2;
    for (n, chunk) in ticks.chunks(ticks.len().div_ceil(20)).enumerate() {
        pipe(&mut run, chunk, partitions);
        if n == 10 && crash {
            run.driver.crash_and_restore(0);
            run.driver.crash_and_restore(1);
        }
        run.driver.advance_clock(milliseconds(250));
    }
    assert!(half > 0);
    close(&mut run, latest(ticks), partitions);
    let sorted = |timeframe| {
        let mut finals = run.final_bytes(timeframe);
        finals.sort();
        finals
    };
    TIMEFRAMES.map(sorted).into()
}

fn same_bytes(ticks: &[Given]) {
    let first = bytes(ticks, 4, false);
    assert!(first.iter().all(|finals| !finals.is_empty()));
    assert!(first == bytes(ticks, 4, false), "the same input twice");
    assert!(first == bytes(ticks, 1, false), "one partition");
    assert!(first == bytes(ticks, 4, true), "a crash and a restore in the middle");
}

#[test]
fn generated_ticks_give_the_same_bytes_again() {
    same_bytes(&given(&walk(11, 5_000), 12, false));
}

#[test]
fn fx_ticks_give_the_same_bytes_again() {
    let Some(prices) = real("fx_ticks_give_the_same_bytes_again", MOST) else { return };
    same_bytes(&given(&prices, 13, false));
}
