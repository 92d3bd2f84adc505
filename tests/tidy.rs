//! The house rules that the compiler does not know: layers, banned calls, sizes. Reports all breaches at once.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of a test")]

use std::path::{Path, PathBuf};
use std::{env, fs};

/// What each layer may name. Arrows point downwards only.
const LAYERS: &[(&str, &[&str])] = &[
    ("guide", &[]),
    ("error", &[]),
    ("time", &["error"]),
    ("record", &["time", "error"]),
    ("serdes", &["record", "time", "error"]),
    ("state", &["serdes", "record", "time", "error"]),
    ("broker", &["record", "time", "error"]),
    ("processor", &["state", "broker", "serdes", "record", "time", "error"]),
    ("topology", &["processor", "state", "broker", "serdes", "record", "time", "error"]),
    ("dsl", &["topology", "processor", "state", "serdes", "record", "time", "error"]),
    ("runtime", &["topology", "processor", "state", "broker", "serdes", "record", "time", "error"]),
    ("embedded", &["runtime", "dsl", "broker", "serdes", "record", "time", "error"]),
    (
        "testing",
        &["runtime", "dsl", "topology", "processor", "state", "broker", "serdes", "record", "time", "error"],
    ),
];

/// Where Kafka's client may be named.
const KAFKA: &[&str] = &[
    "src/broker/kafka/",
    // Feeding ticks and making topics stand for other programs, which do not have Highwater.
    "examples/bars/cluster.rs",
    "examples/bars/feed.rs",
    "examples/on_kafka/cluster.rs",
    // The judge of a broker's topics must not be what is judged.
    "tests/it/kafka/",
];

/// A call, below which folder it is banned, where alone it may stand, and what takes its place elsewhere.
const BANNED: &[(&str, &str, &[&str], &str)] = &[
    ("SystemTime::now", "", &["src/time/clock.rs"], "take the time from a `time::Clock`"),
    ("Instant::now", "", &["src/time/clock.rs"], "take the time from a `time::Clock`"),
    ("thread::sleep", "", &[], "wait on a condition, with a deadline"),
    ("thread_rng", "", &[], "take chance from a seeded generator"),
    ("rand::random", "", &[], "take chance from a seeded generator"),
    ("RandomState", "src/", &[], "its order differs from run to run; use `hashbrown` or a `BTreeMap`"),
    (
        "collections::HashMap",
        "src/",
        &[],
        "its order differs from run to run; use `hashbrown` or a `BTreeMap`",
    ),
    ("collections::HashSet", "src/", &[], "its order differs from run to run; use a `BTreeSet`"),
    ("rdkafka::", "", KAFKA, "speak to Kafka through the traits of `broker`"),
    ("todo!(", "", &[], "return an error that says what is not there"),
    ("unimplemented!(", "", &[], "return an error that says what is not there"),
    ("dbg!(", "", &[], "log with `tracing`"),
];

/// A program of its own: it lives by the machine's clock, and speaks to Kafka without what it judges.
const OUTSIDE: &str = "tests/verifier/";

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 70;

#[test]
fn the_house_rules_hold() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut breaches = Vec::new();
    let mut files = Vec::new();
    for folder in ["src", "examples", "tests", "benches"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 10, "found only {} source files below {}", files.len(), root.display());
    for file in files {
        let path = file.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&file).expect("a text file");
        breaches.extend(check(&path, &text));
    }
    assert!(breaches.is_empty(), "{} breaches of the house rules\n{}", breaches.len(), breaches.join("\n"));
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn check(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut breaches = Vec::new();
    if lines.len() > LONGEST_FILE {
        breaches.push(format!("{path}:{}: more than {LONGEST_FILE} lines; split it by noun", lines.len()));
    }
    let of_tests = lines.windows(2).position(|two| two[0] == "#[cfg(test)]" && two[1].ends_with('{'));
    let tests = if is_test_file(path) { 0 } else { of_tests.unwrap_or(lines.len()) };
    for (at, line) in lines.iter().enumerate() {
        let mut breach = |what: String| breaches.push(format!("{path}:{}: {what}", at + 1));
        let code = line.split("//").next().unwrap_or_default();
        if path != "tests/tidy.rs" && !path.starts_with(OUTSIDE) {
            let banned = BANNED.iter().filter(|(call, below, only, _)| {
                let allowed = only.iter().any(|place| path.starts_with(place));
                code.contains(call) && path.starts_with(below) && !allowed
            });
            banned.for_each(|(call, _, _, instead)| breach(format!("`{call}` is banned: {instead}")));
        }
        if at < tests {
            wrong_arrows(path, code).into_iter().for_each(&mut breach);
        }
        if let Some(length) = function_length(&lines, at).filter(|length| *length > LONGEST_FUNCTION) {
            breach(format!("a function of {length} lines, at most {LONGEST_FUNCTION}"));
        }
    }
    breaches
}

/// Tests may look upwards.
fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

fn wrong_arrows(path: &str, code: &str) -> Vec<String> {
    let Some(inside) = path.strip_prefix("src/").filter(|inside| *inside != "lib.rs") else {
        return Vec::new();
    };
    let layer = inside.split(['/', '.']).next().unwrap_or_default();
    let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("`{layer}` is not in the table of layers")];
    };
    // A macro's `$crate::` names what is public, whoever uses the macro.
    let code = code.replace("$crate::", "");
    let named = code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    });
    let wrong = named.filter(|name| *name != layer && !below.contains(name));
    wrong.map(|name| format!("`{layer}` names `crate::{name}`; it may name {}", below.join(", "))).collect()
}

/// The lines of the function that starts here, as rustfmt lays it out.
fn function_length(lines: &[&str], start: usize) -> Option<usize> {
    let line = lines[start].trim_start();
    let words: Vec<&str> = line
        .split_whitespace()
        .take_while(|word| !word.contains('(') || *word == "pub(crate)" || *word == "pub(super)")
        .collect();
    let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
    let is_function = line.starts_with("fn ")
        || words.split(|word| *word == "fn").next().is_some_and(|before| {
            before.len() < words.len()
                && !before.is_empty()
                && before.iter().all(|word| modifiers.contains(word))
        });
    if !is_function {
        return None;
    }
    let opens = (start..lines.len()).find(|at| lines[*at].ends_with(['{', ';', '}']))?;
    if !lines[opens].ends_with('{') {
        return Some(opens + 1 - start);
    }
    let end = format!("{}}}", " ".repeat(lines[start].len() - line.len()));
    (opens + 1..lines.len()).find(|at| lines[*at] == end).map(|at| at + 1 - start)
}

#[test]
fn a_breach_is_found_with_its_line() {
    let long = format!("pub(crate) fn long() {{\n{}}}\n", "    step();\n".repeat(69));
    for (path, text, expected) in [
        (
            "src/time/a.rs",
            "//! Text.\nuse crate::state::Table;\n",
            "src/time/a.rs:2: `time` names `crate::state`",
        ),
        ("src/runtime/a.rs", "use crate::dsl::KStream;", "src/runtime/a.rs:1: `runtime` names `crate::dsl`"),
        ("src/dsl/a.rs", "$crate::Key", ""),
        ("examples/a.rs", "use std::collections::HashMap;", ""),
        ("src/dsl/a.rs", "use crate::{KStream};", "src/dsl/a.rs:1: `dsl` names `crate::`"),
        ("src/other/a.rs", "", ""),
        ("src/other/a.rs", "fn f() {}", "`other` is not in the table"),
        ("src/time/a.rs", "let now = Instant::now();", "src/time/a.rs:1: `Instant::now` is banned"),
        ("src/time/clock.rs", "let now = Instant::now();", ""),
        ("tests/verifier/src/a.rs", "let now = Instant::now();", ""),
        (
            "src/time/a.rs",
            "// as `Instant::now` would\n#[cfg(test)]\nmod tests {\nuse crate::dsl::KStream;\n}",
            "",
        ),
        ("src/time/a.rs", &long, "src/time/a.rs:1: a function of 71 lines"),
        ("src/time/a.rs", &"\n".repeat(501), "src/time/a.rs:501: more than 500 lines"),
    ] {
        let breaches = check(path, text).join("\n");
        assert_eq!(breaches.is_empty(), expected.is_empty(), "{path}: {text}: {breaches}");
        assert!(breaches.contains(expected), "{expected} is not in {breaches}");
    }
}
