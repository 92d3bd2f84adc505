//! The soak on a stand-in for the pipeline: a right one passes, one that is wrong on purpose does not.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CANNOT_HERE: i32 = 77;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Cargo builds no examples for a test that runs them; `tests/run` does it before.
fn stand_in() -> PathBuf {
    let soak = Path::new(env!("CARGO_BIN_EXE_soak"));
    let profile = soak.parent().unwrap();
    let stand_in = profile.join("examples").join(format!("stand-in{}", std::env::consts::EXE_SUFFIX));
    if stand_in.exists() {
        return stand_in;
    }
    let name = profile.file_name().unwrap().to_str().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--quiet", "-p", "highwater-verifier", "--example", "stand-in"]);
    cargo.args(["--profile", if name == "debug" { "test" } else { name }]);
    assert!(cargo.arg("--target-dir").arg(profile.parent().unwrap()).status().unwrap().success());
    stand_in
}

/// On a Kafka of its own.
fn soak(mistake: &str, more: &[&str]) -> Output {
    let mut command = Command::new(root().join("tests/kafka"));
    command.args(["run", "--", env!("CARGO_BIN_EXE_soak"), "--bars"]).arg(stand_in());
    command.args(["--minutes", "0.7", "--rate", "200", "--kill-every-ms", "2500", "--seed", "7"]).args(more);
    command.env("STAND_IN_MISTAKE", mistake).env_remove("HIGHWATER_TEST_BOOTSTRAP").output().unwrap()
}

fn skip(test: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    println!("skipped {test}: {said}");
    if let Some(path) = std::env::var_os("HIGHWATER_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{test}: {}", said.lines().last().unwrap_or_default()).unwrap();
    }
}

/// A number of the last line of figures.
fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().rfind(|line| line.starts_with("kills ")).unwrap_or_else(|| panic!("{text}"));
    let found = line.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {name} in {line}")).parse().unwrap()
}

#[test]
fn a_soak_passes_what_is_right_and_finds_what_is_lost_or_repeated() {
    for (mistake, wrong) in [("", None), ("lose", Some("lost")), ("repeat", Some("repeated"))] {
        let folder = tempfile::tempdir().unwrap();
        let more = ["--faults", "kill", "--drain-seconds", if wrong == Some("lost") { "3" } else { "120" }];
        let output = soak(mistake, &[&more[..], &["--directory", folder.path().to_str().unwrap()]].concat());
        if output.status.code() == Some(CANNOT_HERE) {
            return skip("a_soak_passes_what_is_right_and_finds_what_is_lost_or_repeated", &output);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(wrong.is_some())), "{mistake}: {text} {said}");
        assert!(figure(&text, "kills") > 0 && figure(&text, "ticks") > 1000, "{text}");
        for kind in ["lost", "repeated", "different", "unexpected", "out of order"] {
            assert_eq!(figure(&text, kind) > 0, wrong == Some(kind), "{mistake}: {kind}: {text}");
        }
    }
}
