//! Errors that end the application's thread: what the program's handler says is done.

use crate::UncaughtErrorResponse::{ReplaceThread, ShutdownClient};
use crate::dsl::{Consumed, Materialized, Produced, StreamsBuilder};
use crate::error::BoxError;
use crate::processor::{Processor, ProcessorContext};
use crate::record::Record;
use crate::runtime::{AtEnd, EmbeddedLog, KafkaStreams, State, StreamsConfig};
use crate::serdes::Utf8;
use crate::state::KeyValueStore;
use crate::time::Timestamp;
use crate::topology::Topology;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn log() -> EmbeddedLog {
    let log = EmbeddedLog::new();
    log.create_topic("in", 1).expect("made");
    log.create_topic("out", 1).expect("made");
    let produced = Produced::<String, String>::with(Utf8, Utf8);
    for value in ["a", "b", "bad", "c"] {
        log.append("in", &produced, &"key".to_owned(), &value.to_owned(), Timestamp(0)).expect("written");
    }
    log.end_of_input(AtEnd::Close);
    log
}

fn config() -> StreamsConfig {
    StreamsConfig::new("app", "").exactly_once().set("retry.backoff.ms", "1").set("commit.interval.ms", "0")
}

fn read(log: &EmbeddedLog) -> Vec<String> {
    let out = log.read("out", &Consumed::<String, String>::with(Utf8, Utf8)).expect("read");
    out.into_iter().map(|(_, value)| value).collect()
}

/// Every value so far, one after the other; `bad` fails so many times.
fn fails(times: u64, panics: bool) -> Topology {
    let failures = AtomicU64::new(0);
    let builder = StreamsBuilder::new();
    builder
        .stream("in", Consumed::<String, String>::with(Utf8, Utf8))
        .group_by_key()
        .try_aggregate(
            String::new,
            move |_, value: &String, all: &mut String| -> Result<(), BoxError> {
                if value == "bad" && failures.fetch_add(1, Ordering::SeqCst) < times {
                    assert!(!panics, "no good");
                    return Err("no good".into());
                }
                all.push_str(value);
                Ok(())
            },
            Materialized::named("all").caching(false),
        )
        .to_stream()
        .to("out", Produced::with(Utf8, Utf8));
    builder.build().expect("builds")
}

#[test]
fn a_replaced_thread_goes_on_from_the_last_commit() {
    for panics in [false, true] {
        let log = log();
        let (asked, states) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, seen) = (asked.clone(), states.clone());
        let running = KafkaStreams::embedded(fails(2, panics), &log, config())
            .expect("fine")
            .on_state_change(move |new, _| seen.lock().expect("lock").push(new))
            .on_uncaught_error(move |error| {
                assert!(error.is_processing() && error.to_string().contains("no good"), "{error}");
                count.fetch_add(1, Ordering::SeqCst);
                ReplaceThread
            })
            .start();
        assert!(running.wait_for(LONG), "it ends");
        assert_eq!(running.state(), State::NotRunning);
        assert_eq!(read(&log), ["a", "ab", "abbad", "abbadc"], "each once");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert!(!states.lock().expect("lock").contains(&State::Error));
        assert_eq!(running.counts().processed, 4, "what was given up is not counted");
    }
}

#[test]
fn without_a_handler_and_when_it_says_so_the_client_shuts_down() {
    for handler in [false, true] {
        let log = log();
        let streams = KafkaStreams::embedded(fails(1, true), &log, config()).expect("fine");
        let streams = if handler { streams.on_uncaught_error(|_| ShutdownClient) } else { streams };
        let running = streams.start();
        assert!(running.wait_for(LONG), "it ends");
        assert_eq!(running.state(), State::Error);
        assert!(running.wait().expect_err("failed").is_processing());
        assert!(!read(&log).iter().any(|value| value.contains("bad")));
    }
}

#[test]
fn an_error_that_stays_is_not_met_for_ever() {
    let log = log();
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let running = KafkaStreams::embedded(
        fails(u64::MAX, false),
        &log,
        config().set("highwater.thread.replacements", "3"),
    )
    .expect("fine")
    .on_uncaught_error(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        ReplaceThread
    })
    .start();
    let error = running.wait().expect_err("failed").to_string();
    assert!(error.contains("in-0@2") && error.contains("replaced 3 times without a commit"), "{error}");
    assert!(asked.load(Ordering::SeqCst) >= 4);
}

struct Copy(KeyValueStore<String, String>);

impl Processor for Copy {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;
    fn process(
        &mut self,
        record: Record<'_, String, String>,
        ctx: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        self.0.put(record.key, record.value.clone())?;
        ctx.forward(record);
        Ok(())
    }
}

/// No record is there to be blamed, and nothing but the thread catches it.
#[test]
fn a_panic_where_a_processor_is_made_reaches_the_handler() {
    let log = log();
    let made = AtomicU64::new(0);
    let mut builder = Topology::builder();
    let store = builder.add_state_store(KeyValueStore::with("seen", Utf8, Utf8));
    let lines = builder.add_source("lines", &["in"], Consumed::<String, String>::with(Utf8, Utf8));
    let copies = builder.add_processor("copy", &[&lines], &store, move |store| {
        assert!(made.fetch_add(1, Ordering::SeqCst) > 0, "not the first time");
        Copy(store)
    });
    builder.add_sink("copies", &[&copies], "out", Produced::with(Utf8, Utf8));
    let running = KafkaStreams::embedded(builder.build().expect("builds"), &log, config())
        .expect("fine")
        .on_uncaught_error(|error| {
            assert!(error.to_string().contains("not the first time"), "{error}");
            ReplaceThread
        })
        .start();
    running.wait().expect("ends well");
    assert_eq!(read(&log), ["a", "b", "bad", "c"]);
}

#[test]
fn a_panic_in_a_listener_reaches_the_handler() {
    let log = log();
    let first = AtomicU64::new(0);
    let running = KafkaStreams::embedded(fails(0, false), &log, config())
        .expect("fine")
        .on_restore(move |_| assert!(first.fetch_add(1, Ordering::SeqCst) > 0, "the listener is not ready"))
        .on_uncaught_error(|error| {
            if error.to_string().contains("not ready") { ReplaceThread } else { ShutdownClient }
        })
        .start();
    running.wait().expect("ends well");
    assert_eq!(read(&log).last().map(String::as_str), Some("abbadc"));
}
