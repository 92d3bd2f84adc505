//! The program under test, input for it, and what it left.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use tempfile::TempDir;

/// 2024-03-04T00:00:00Z, a Monday.
pub const MONDAY: i64 = 1_709_510_400_000;
pub const HEADER: &str = "symbol,ts_ms,price,volume\n";

/// The example, as it is built beside this test. Cargo does not build examples for tests that run them, so what is
/// missing or older than its sources is built here.
pub fn program() -> Command {
    static BUILT: Once = Once::new();
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join("examples").join(format!("bars{}", std::env::consts::EXE_SUFFIX));
    BUILT.call_once(|| {
        if !is_newer_than_its_sources(&path) {
            build(profile);
        }
    });
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn is_newer_than_its_sources(program: &Path) -> bool {
    let Ok(built) = program.metadata().and_then(|found| found.modified()) else { return false };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut left =
        ["src", "examples/bars", "examples/on_kafka", "Cargo.toml"].map(|name| root.join(name)).to_vec();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.metadata().unwrap().modified().unwrap() > built {
            return false;
        }
    }
    true
}

/// `profile`: the folder of one in the target directory.
fn build(profile: &Path) {
    let name = profile.file_name().unwrap().to_str().unwrap();
    let name = if name == "debug" { "test" } else { name };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).arg("--quiet").args(["build", "--example", "bars"]);
    cargo.args(["--profile", name]).arg("--target-dir").arg(profile.parent().unwrap());
    assert!(cargo.status().unwrap().success(), "the example cannot be built");
}

pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// One number of the summary, wherever it was printed.
    pub fn counted(&self, what: &str) -> String {
        let mut lines = self.stdout.lines().chain(self.stderr.lines());
        let found = lines.find_map(|line| line.strip_prefix(what));
        found.unwrap_or_else(|| panic!("no `{what}` in {} {}", self.stdout, self.stderr)).trim().to_owned()
    }
}

pub fn run(arguments: &[&str]) -> Ended {
    Ended::of(program().args(arguments).output().unwrap())
}

/// As [`run`], for what has to go well.
pub fn run_well(arguments: &[&str]) -> Ended {
    let ended = run(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended
}

/// A folder of the test's own.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// The finals of a timeframe without the header.
pub fn rows(folder: &str, timeframe: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(Path::new(folder).join(format!("bars_final_{timeframe}.csv"))).unwrap();
    assert!(text.ends_with('\n'), "whole lines");
    let rows = text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    rows.inspect(|row| assert_eq!(row.len(), 10, "{row:?}")).collect()
}

/// All files of a folder, as (name, content).
pub fn files(folder: &str) -> Vec<(String, String)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(path).unwrap_or_default(),
            )
        })
        .collect();
    all.sort();
    all
}

/// Ticks of five symbols over so many minutes, up to a minute out of order, from a seed.
pub fn ticks(minutes: i64) -> String {
    let mut chance = 42_u64;
    let mut below = move |n: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % n
    };
    let mut ticks: Vec<(i64, String)> = Vec::new();
    for symbol in ["BTCUSD", "ETHUSD", "7203.T", "A,B", "x"] {
        let (mut at, mut price) = (MONDAY, 100_000_i64);
        while at < MONDAY + minutes * 60_000 {
            price += below(201) as i64 - 100;
            let symbol = if symbol.contains(',') { format!("\"{symbol}\"") } else { symbol.to_owned() };
            let (whole, part) = (price / 100, price % 100);
            let line = format!("{symbol},{at},{whole}.{part:02},0.{:04}", below(10_000));
            ticks.push((at + below(60_000) as i64, line));
            at += 1 + below(60_000) as i64;
        }
    }
    ticks.sort();
    let mut text = HEADER.to_owned();
    for (_, line) in &ticks {
        writeln!(text, "{line}").unwrap();
    }
    text
}

/// Says in the file that `tests/run` reads that this test could not run here.
pub fn skip(test: &str, reason: &str) {
    println!("skipped {test}: {reason}");
    if let Some(path) = std::env::var_os("HIGHWATER_TEST_SKIPS") {
        let file = fs::OpenOptions::new().create(true).append(true).open(PathBuf::from(path));
        writeln!(file.unwrap(), "{test}: {reason}").unwrap();
    }
}
