//! A windowed store that both sides have in turn.

use super::topics::count_per_minute;
use super::{Cluster, Java, LONG, config, script};
use highwater::KafkaStreams;
use std::collections::BTreeMap;

struct World {
    cluster: Cluster,
    application: String,
    lines: String,
    counts: String,
    state: tempfile::TempDir,
    records: u64,
}

impl World {
    fn new() -> Option<Self> {
        let cluster = Java::there()?;
        let [application, lines, counts] = ["windows", "lines", "counts"].map(|name| cluster.unique(name));
        cluster.create_all([&lines, &counts], 1);
        let state = tempfile::tempdir().expect("a folder");
        Some(Self { cluster, application, lines, counts, state, records: 0 })
    }

    /// One more of each of two keys, all in one minute; waits until both have as many.
    fn round(&mut self) {
        self.records += 1;
        let at = 60_000 + self.records as i64;
        self.cluster.write(&self.lines, [("a", "x", at), ("b", "x", at)]);
        self.cluster.until(&self.counts, "both counts", |_| {
            let seen = self.cluster.read_raw(&self.counts).into_iter();
            let last: BTreeMap<_, _> = seen.map(|record| (record.key, record.value)).collect();
            last.len() == 2
                && last.into_values().all(|count| count == Some(self.records.to_be_bytes().into()))
        });
    }

    fn java(&mut self) {
        let words = ["windows", &self.application, "exactly_once_v2", &self.lines, &self.counts];
        let java = Java::run(&self.cluster, &words);
        self.round();
        self.round();
        java.close();
    }

    fn ours(&self) -> KafkaStreams {
        let config = config(&self.cluster, &self.application, "exactly_once_v2", self.state.path());
        KafkaStreams::new(count_per_minute(&self.lines, &self.counts), config).expect("starts")
    }

    fn highwater(&mut self) {
        let running = self.ours().start();
        self.round();
        self.round();
        running.close(LONG).expect("a clean stop");
    }
}

/// Java's changelog of windows is deleted by time too, which is refused; without that it is the same.
#[test]
fn a_windowed_store_of_java_goes_on_once_its_changelog_is_compacted_only() {
    let Some(mut world) = World::new() else { return };
    world.java();
    let error = world.ours().start().wait().expect_err("refused");
    let changelog = format!("{}-per-minute-changelog", world.application);
    let text = error.to_string();
    assert!(text.contains(&changelog) && text.contains("cleanup.policy=`compact,delete`"), "{text}");
    let alter = ["configs", "--alter", "--entity-type", "topics", "--entity-name", &changelog];
    let done = script(&world.cluster).args(alter).args(["--add-config", "cleanup.policy=compact"]).output();
    let done = done.expect("tests/kafka");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    world.highwater();
}

#[test]
fn java_goes_on_with_a_windowed_store_of_ours() {
    let Some(mut world) = World::new() else { return };
    world.highwater();
    world.java();
    world.highwater();
}
