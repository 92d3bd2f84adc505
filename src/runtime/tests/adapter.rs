//! The adapter: threads, futures, a bounded feed. Waits are on conditions with a deadline.

use super::world::letters;
use crate::dsl::{Consumed, Produced, StreamsBuilder};
use crate::runtime::home::Home as _;
use crate::runtime::{AtEnd, EmbeddedLog, KafkaStreams, State, StreamsConfig};
use crate::serdes::Utf8;
use crate::time::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn written() -> Produced<String, String> {
    Produced::with(Utf8, Utf8)
}
fn read() -> Consumed<String, String> {
    Consumed::with(Utf8, Utf8)
}

fn log(partitions: u32) -> EmbeddedLog {
    let log = EmbeddedLog::new();
    log.create_topic("in", partitions).expect("made");
    log.create_topic("out", partitions).expect("made");
    log
}

#[test]
fn it_ends_by_itself_at_the_end_of_the_input() {
    for config in [StreamsConfig::new("app", ""), StreamsConfig::new("app", "").exactly_once()] {
        let log = log(2);
        let states = Arc::new(Mutex::new(Vec::new()));
        let seen = states.clone();
        let streams = KafkaStreams::embedded(letters(), &log, config).expect("fine");
        let running = streams.on_state_change(move |new, _| seen.lock().expect("lock").push(new)).start();
        for n in 0..100 {
            let key = format!("k{}", n % 7);
            log.append("in", &written(), &key, &"x".to_owned(), Timestamp(n)).expect("written");
        }
        log.end_of_input(AtEnd::Close);
        running.wait().expect("ends well");
        let out = log.read("out", &read()).expect("read");
        let longest: usize = out.iter().map(|(_, all)| all.len()).max().expect("some");
        assert_eq!((out.len(), longest), (100, 15));
        let states = states.lock().expect("lock");
        assert_eq!(states.first(), Some(&State::Rebalancing), "{states:?}");
        assert_eq!(states.last(), Some(&State::NotRunning), "{states:?}");
    }
}

#[test]
fn a_future_stops_it() {
    let log = log(1);
    let streams = KafkaStreams::embedded(letters(), &log, StreamsConfig::new("app", "")).expect("fine");
    log.append("in", &written(), &"a".to_owned(), &"x".to_owned(), Timestamp(0)).expect("written");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let watched = log.clone();
    let looking = std::thread::spawn(move || {
        let deadline = std::time::Duration::from_secs(60).as_millis() as i64 + watched.clock().monotonic();
        while watched.read("out", &read()).expect("read").is_empty() {
            assert!(watched.clock().monotonic() < deadline, "nothing came");
            watched.signal().wait(watched.signal().count(), Duration::from_millis(5));
        }
        stop.send(()).expect("told");
    });
    runtime.block_on(streams.run(stopped)).expect("ends well");
    looking.join().expect("watched");
    let out = log.take("out", &read()).expect("read");
    assert_eq!(out, [("a".to_owned(), "x".to_owned())]);
    assert!(log.read("out", &read()).expect("read").is_empty(), "taken is gone");
}

#[test]
fn a_failing_closure_stops_it_with_its_record() {
    let log = log(1);
    let builder = StreamsBuilder::new();
    builder
        .stream("in", read())
        .try_map_values(|value: &String| if value == "bad" { Err("no good") } else { Ok(value.clone()) })
        .to("out", written());
    let topology = builder.build().expect("builds");
    let running = KafkaStreams::embedded(topology, &log, StreamsConfig::new("app", "").exactly_once())
        .expect("fine")
        .start();
    for value in ["good", "bad", "good"] {
        log.append("in", &written(), &"a".to_owned(), &value.to_owned(), Timestamp(0)).expect("written");
    }
    let error = running.wait().expect_err("fails");
    assert!(error.is_processing(), "{error}");
    assert!(error.to_string().contains("in-0@1"), "{error}");
}

#[test]
fn a_feed_stays_a_bounded_number_of_records_ahead() {
    let log = EmbeddedLog::new();
    log.create_feed("in", 1, 10).expect("made");
    log.create_topic("out", 1).expect("made");
    let config = StreamsConfig::new("app", "").set("commit.interval.ms", "3600000");
    for n in 0..10 {
        assert!(log.try_append("in", &written(), &"a".into(), &"x".into(), Timestamp(n)).expect("written"));
    }
    assert!(!log.try_append("in", &written(), &"a".into(), &"x".into(), Timestamp(10)).expect("full"));
    let running = KafkaStreams::embedded(letters(), &log, config).expect("fine").start();
    for n in 10..200 {
        log.append("in", &written(), &"a".into(), &"x".into(), Timestamp(n)).expect("written");
    }
    log.end_of_input(AtEnd::Leave);
    assert!(running.wait_for(LONG), "it ends");
    assert_eq!(running.counts().processed, 200);
    assert!(running.snapshot().commits >= 19, "a commit makes room for ten at most");
    running.close(LONG).expect("ended well");
    assert_eq!(log.read("in", &read()).expect("read").len(), 0);
}
