//! Pause, replacement and reads on a broker.

use super::cluster::{Cluster, LONG};
use super::words::count;
use highwater::{
    BoxError, Consumed, KafkaStreams, Materialized, Produced, ReadOnlyKeyValueStore, RestoreStage,
    RunningStreams, State, StreamsBuilder, StreamsConfig, UncaughtErrorResponse,
};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn config(cluster: &Cluster, application: &str, guarantee: &str, state: &Path) -> StreamsConfig {
    StreamsConfig::new(application, &cluster.bootstrap)
        .set("processing.guarantee", guarantee)
        .set("commit.interval.ms", "100")
        .set("state.dir", state.display().to_string())
}

fn wait(running: &RunningStreams, what: impl Fn(&RunningStreams) -> bool) {
    let mut looks = 0;
    while !what(running) {
        assert!(!running.wait_for(Duration::from_millis(20)), "it has ended");
        looks += 1;
        assert!(looks < 3_000, "{:?} {:?}", running.state(), running.snapshot());
    }
}

/// Paused for longer than the session and the poll interval: it stays a member, and nothing is lost.
fn paused(guarantee: &str) {
    let Some(cluster) = Cluster::there() else { return };
    let (lines, counts) = (cluster.unique("lines"), cluster.unique("counts"));
    let (application, state) = (cluster.unique("paused"), tempfile::tempdir().expect("a folder"));
    cluster.create_all([&lines, &counts], 2);
    let config = config(&cluster, &application, guarantee, state.path())
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "1000")
        .set("max.poll.interval.ms", "7000");
    let told = Arc::new(Mutex::new(Vec::new()));
    let states = told.clone();
    let running = KafkaStreams::new(count(&lines, &counts), config)
        .expect("starts")
        .on_state_change(move |new, _| states.lock().expect("lock").push(new))
        .paused()
        .start();
    cluster.write(&lines, [("a", "cat dog", 1_000), ("b", "cat", 2_000)]);
    wait(&running, |running| running.state() == State::Running && running.snapshot().tasks.len() == 4);
    assert!(!running.wait_for(Duration::from_secs(9)));
    assert_eq!(running.counts().processed, 0, "paused");
    assert_eq!(*told.lock().expect("lock"), [State::Rebalancing, State::Running], "no rebalance meanwhile");
    running.resume();
    let last = |seen: &[(i32, String, String)], word: &str| {
        seen.iter().rev().find(|(_, key, _)| key == word).map(|(_, _, value)| value.clone())
    };
    cluster.until(&counts, "counts", |seen| {
        last(seen, "cat").as_deref() == Some("2") && last(seen, "dog").as_deref() == Some("1")
    });
    let store: ReadOnlyKeyValueStore<String, u64> = running.store("word-counts").expect("fits");
    let all = store.all(10).expect("read");
    assert_eq!(all, [("cat".to_owned(), 2), ("dog".to_owned(), 1)]);
    running.close(LONG).expect("a clean stop");
}

#[test]
fn a_pause_outlives_sessions_exactly_once() {
    paused("exactly_once_v2");
}

#[test]
fn a_pause_outlives_sessions_at_least_once() {
    paused("at_least_once");
}

/// The thread fails twice, and panics once in the middle; a static member, so its place and its id are taken again.
#[test]
fn a_replaced_thread_goes_on_as_the_same_static_member() {
    let Some(cluster) = Cluster::there() else { return };
    let (lines, out) = (cluster.unique("lines"), cluster.unique("out"));
    let (application, state) = (cluster.unique("replaced"), tempfile::tempdir().expect("a folder"));
    cluster.create_all([&lines, &out], 1);
    let failures = AtomicU64::new(0);
    let builder = StreamsBuilder::new();
    builder
        .stream(&lines, Consumed::<String, String>::default())
        .group_by_key()
        .try_aggregate(
            String::new,
            move |_, value: &String, all: &mut String| -> Result<(), BoxError> {
                if value == "bad" {
                    match failures.fetch_add(1, Ordering::SeqCst) {
                        0 => return Err("no good".into()),
                        1 => panic!("no good at all"),
                        _ => {}
                    }
                }
                all.push_str(value);
                Ok(())
            },
            Materialized::named("all").caching(false),
        )
        .to_stream()
        .to(&out, Produced::default());
    let config =
        config(&cluster, &application, "exactly_once_v2", state.path()).set("group.instance.id", "blue");
    let (asked, restored) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (count, stages) = (asked.clone(), restored.clone());
    let running = KafkaStreams::new(builder.build().expect("builds"), config)
        .expect("starts")
        .on_restore(move |restore| stages.lock().expect("lock").push(restore.stage))
        .on_uncaught_error(move |error| {
            assert!(error.is_processing(), "{error}");
            count.fetch_add(1, Ordering::SeqCst);
            UncaughtErrorResponse::ReplaceThread
        })
        .start();
    cluster.write(&lines, [("a", "x", 1_000), ("a", "bad", 2_000), ("a", "y", 3_000)]);
    let seen = cluster.until(&out, "values", |seen| seen.iter().any(|(_, _, value)| value == "xbady"));
    let values: Vec<&str> = seen.iter().map(|(_, _, value)| &**value).collect();
    assert_eq!(values, ["x", "xbad", "xbady"], "each once");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    running.close(LONG).expect("a clean stop");
    let restored = restored.lock().expect("lock");
    let ends = restored.iter().filter(|stage| matches!(stage, RestoreStage::End { .. })).count();
    assert_eq!(ends, 3, "once for each life: {restored:?}");
}

/// One broker cannot keep two copies: what is asked for reaches it.
#[test]
fn internal_topics_are_made_with_the_replication_that_is_set() {
    let Some(cluster) = Cluster::there() else { return };
    let (lines, counts) = (cluster.unique("lines"), cluster.unique("counts"));
    let (application, state) = (cluster.unique("copies"), tempfile::tempdir().expect("a folder"));
    cluster.create_all([&lines, &counts], 1);
    let config = config(&cluster, &application, "at_least_once", state.path()).set("replication.factor", "2");
    let running = KafkaStreams::new(count(&lines, &counts), config).expect("starts").start();
    assert!(running.wait_for(LONG), "it has no topics");
    let error = running.wait().expect_err("refused").to_string();
    assert!(error.to_lowercase().contains("replication"), "{error}");
}
