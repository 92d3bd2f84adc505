//! The engine on files: durable over restarts, rotten files restored, one process at a time.

use super::disks::Files;
use super::world::{Guarantee, World, fed, letters};
use crate::dsl::{Consumed, Produced};
use crate::runtime::{EmbeddedLog, KafkaStreams, State, StreamsConfig};
use crate::serdes::Utf8;
use crate::time::Timestamp;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn config(state_dir: &Path) -> StreamsConfig {
    StreamsConfig::new("app", "")
        .set("default.dsl.store", "rocksDB")
        .set("state.dir", state_dir.display().to_string())
        .set("commit.interval.ms", "10")
}

/// Appends a letter and runs until it has left.
fn append(log: &EmbeddedLog, letter: &str, all: &str) {
    let before = all.len();
    let produced = Produced::<String, String>::with(Utf8, Utf8);
    log.append("in", &produced, &"k".to_owned(), &letter.to_owned(), Timestamp(before as i64))
        .expect("written");
    let read = || log.read("out", &Consumed::<String, String>::with(Utf8, Utf8)).expect("read");
    let deadline = log.clock().monotonic() + LONG.as_millis() as i64;
    while read().last().is_none_or(|(_, value)| value != all) {
        assert!(log.clock().monotonic() < deadline, "{all} does not come: {:?}", read());
        std::thread::yield_now();
    }
}

/// The changelog is emptied between two runs, so what the second one knows is from its files.
#[test]
fn state_outlives_its_process() {
    for guarantee in ["exactly_once_v2", "at_least_once"] {
        let root = tempfile::tempdir().expect("a directory");
        let log = EmbeddedLog::new();
        log.create_topic("in", 1).expect("made");
        log.create_topic("out", 1).expect("made");
        let config = config(root.path()).set("processing.guarantee", guarantee);
        let streams = || KafkaStreams::embedded(letters(), &log, config.clone()).expect("fine");
        let running = streams().start();
        append(&log, "A", "A");
        append(&log, "B", "AB");
        let error = streams().clean_up().expect_err("it is running").to_string();
        assert!(error.contains("app/0 is in use"), "{error}");
        running.close(LONG).expect("stopped");
        assert!(root.path().join("app/0/0_0/CURRENT").exists());
        log.truncate("app-all-changelog").expect("emptied");
        let running = streams().start();
        append(&log, "C", "ABC");
        assert_eq!(running.snapshot().stores_set_aside, 0);
        running.close(LONG).expect("stopped");
        streams().clean_up().expect("nobody lives there");
        assert!(!root.path().join("app/0").exists());
    }
}

#[test]
fn a_state_directory_that_cannot_be_used_is_an_error_with_its_path() {
    let root = tempfile::tempdir().expect("a directory");
    let file = root.path().join("file");
    std::fs::write(&file, "").expect("written");
    let log = EmbeddedLog::new();
    log.create_topic("in", 1).expect("made");
    let running = KafkaStreams::embedded(letters(), &log, config(&file)).expect("fine").start();
    let error = running.wait().expect_err("a file").to_string();
    assert!(error.contains(&file.display().to_string()) && error.contains("state.dir"), "{error}");
}

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let paths = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    };
    let tasks = paths(folder).into_iter().filter(|path| path.is_dir());
    tasks.flat_map(|task| paths(&task)).filter(|path| path.to_string_lossy().contains("MANIFEST")).collect()
}

/// No crash loop: the tasks start with empty stores, read their changelogs, and go on.
#[test]
fn corrupt_state_is_restored_from_the_changelog() {
    for guarantee in Guarantee::BOTH {
        let machine = Files::new();
        let path = machine.path().join("app/0");
        let mut world = World::on(letters(), guarantee.config(), 1, |_| Box::new(machine.clone()));
        world.topic("in", 2);
        world.topic("out", 2);
        world.start(0);
        let mut next = fed(&mut world, 0, 3);
        world.advance(1_000);
        world.crash(0);
        let manifests = manifests(&path);
        assert_eq!(manifests.len(), 2, "{manifests:?}");
        for manifest in &manifests {
            std::fs::write(manifest, "rubbish").expect("written");
        }
        next = fed(&mut world, next, 2);
        world.start(0);
        world.advance(60_000);
        let instance = world.members[0].instance.as_ref().expect("lives");
        assert_eq!((instance.state(), instance.stores_set_aside()), (State::Running, 2));
        assert!(path.join("0_0.corrupt").is_dir() && path.join("0_1.corrupt").is_dir());
        world.check(guarantee, next);
    }
}

/// What a process no longer owns goes after the delay, and what it owns stays.
#[test]
fn state_that_went_elsewhere_is_removed() {
    let machine = Files::new();
    let path = machine.path().join("app/0");
    let config = Guarantee::ExactlyOnce.config().set("state.cleanup.delay.ms", "120000");
    let others = Files::new();
    let mut world =
        World::on(letters(), config, 2, |n| Box::new(if n == 0 { machine.clone() } else { others.clone() }));
    world.topic("in", 2);
    world.topic("out", 2);
    world.start(0);
    fed(&mut world, 0, 3);
    world.advance(1_000);
    let tasks = || ["0_0", "0_1"].into_iter().filter(|task| path.join(task).is_dir()).count();
    assert_eq!(tasks(), 2);
    world.start(1);
    world.advance(100_000);
    assert_eq!(world.members[0].instance.as_ref().expect("lives").tasks().len(), 1);
    assert_eq!(tasks(), 2, "not yet");
    world.advance(120_000);
    assert_eq!(tasks(), 1);
}
