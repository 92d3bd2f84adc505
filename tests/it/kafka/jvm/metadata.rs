//! What is kept with a committed offset.

use super::{Cluster, Java, LONG, config, start};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use highwater::time::{Clock, SystemClock, TimeWindows, Timestamp, minutes};
use highwater::{Consumed, Grouped, Materialized, Produced, StreamsBuilder, Suppressed, Topology};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Metadata taken apart by hand: partition time, entries, and what lies behind them.
#[derive(Debug, PartialEq)]
struct Apart {
    time: i64,
    entries: BTreeMap<String, i64>,
    rest: Vec<u8>,
}

fn apart(text: &str) -> Apart {
    let bytes = STANDARD.decode(text).expect("base64");
    let mut bytes = bytes.as_slice();
    let mut take = |n: usize| bytes.split_off(..n).expect("bytes");
    assert_eq!(take(1), [2], "the version");
    let long = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().expect("8 bytes"));
    let int = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("4 bytes"));
    let time = long(take(8));
    let mut entries = BTreeMap::new();
    for _ in 0..int(take(4)) {
        let length = int(take(4)) as usize;
        let name = String::from_utf8(take(length).to_vec()).expect("a name");
        entries.insert(name, long(take(8)));
    }
    Apart { time, entries, rest: bytes.to_vec() }
}

fn finals(ticks: &str, finals: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream(ticks, Consumed::<String, String>::default())
        .group_by(|_, tick| tick.clone(), Grouped::named("by-tick"))
        .windowed_by(TimeWindows::of_size(minutes(1)))
        .count(Materialized::named("per-minute"))
        .suppress(Suppressed::until_window_closes())
        .to_stream()
        .map(|minute, count| (format!("{}@{}", minute.key, minute.window.start.0), count.to_string()))
        .to(finals, Produced::default());
    builder.build().expect("topology")
}

/// The committed metadata of a topic, once it is as it should be.
fn until_committed(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    right: impl Fn(&[(i64, String)]) -> bool,
) -> Vec<(i64, String)> {
    let clock = SystemClock::new();
    loop {
        let committed = cluster.committed(group, topic, 2);
        if right(&committed) {
            return committed;
        }
        assert!(clock.monotonic() < LONG.as_millis() as i64, "{topic}: {committed:?}");
    }
}

/// Kafka Streams' decoder takes the partition time and every entry, and does not look at what lies behind them.
fn is_read_by_java(guarantee: &str) {
    let Some(cluster) = Java::there() else { return };
    let [application, ticks, results] = ["metadata", "ticks", "finals"].map(|name| cluster.unique(name));
    cluster.create_all([&ticks, &results], 2);
    for partition in 0..2 {
        for (tick, at) in [("x", 1_000), ("y", 59_000), ("x", 61_000), ("z", 122_000)] {
            cluster.write_to(&ticks, partition, "k", tick, at + i64::from(partition));
        }
    }
    let state = tempfile::tempdir().expect("a folder");
    let running = start(finals(&ticks, &results), config(&cluster, &application, guarantee, state.path()));
    let repartition = format!("{application}-by-tick-repartition");
    cluster.until(&results, "finals", |seen| seen.len() == 3);
    let closed = |committed: &[(i64, String)]| {
        committed.iter().all(|(offset, text)| {
            *offset > 0 && apart(text).entries.contains_key("highwater.closed.per-minute")
        })
    };
    until_committed(&cluster, &application, &repartition, closed);
    running.close(LONG).expect("a clean stop");

    let names = [
        "highwater.watermark",
        "highwater.commit",
        "highwater.closed.per-minute",
        "highwater.changelog.per-minute",
    ];
    let told = Java::output(&cluster, &[&["metadata", &application][..], &names].concat());
    assert_eq!(told.len(), 4, "{told:#?}");
    for topic in [&ticks, &repartition] {
        for (partition, (offset, text)) in cluster.committed(&application, topic, 2).into_iter().enumerate() {
            let ours = apart(&text);
            let start = format!("{topic}-{partition} offset {offset} time {} again ", ours.time);
            let line = told.iter().find_map(|line| line.strip_prefix(&*start));
            let mut words = line.unwrap_or_else(|| panic!("no `{start}` in {told:#?}")).split(' ');
            let again = apart(words.next().expect("encoded again"));
            // One byte, and of a repartition topic what was heard.
            assert_eq!((ours.rest.len() > 1, ours.rest[0], again.rest.len()), (*topic == repartition, 1, 0));
            assert_eq!((again.time, &again.entries), (ours.time, &ours.entries));
            for (word, name) in words.zip(names) {
                let value = ours.entries.get(name).map_or("null".to_owned(), i64::to_string);
                assert_eq!(word, format!("{name}={value}"));
            }
        }
    }
    let ours = apart(&cluster.committed(&application, &ticks, 2)[1].1);
    assert_eq!((ours.time, ours.entries["highwater.watermark"]), (122_001, 122_001));
}

#[test]
fn our_metadata_is_read_by_java_exactly_once() {
    is_read_by_java("exactly_once_v2");
}

#[test]
fn our_metadata_is_read_by_java_at_least_once() {
    is_read_by_java("at_least_once");
}

/// What Java committed is where we begin, its partition time included.
#[test]
fn a_partition_time_of_java_is_read() {
    let Some(cluster) = Java::there() else { return };
    let [application, input, output] = ["times", "input", "output"].map(|name| cluster.unique(name));
    cluster.create_all([&input, &output], 1);
    cluster.write(&input, [("a", "first", 5_000), ("a", "second", 4_000)]);
    let java = Java::run(&cluster, &["copy", &application, "exactly_once_v2", &input, &output]);
    cluster.until(&output, "a copy", |seen| seen.len() == 2);
    java.close();

    cluster.write(&input, [("a", "third", 6_000)]);
    let times = Arc::new(Mutex::new(Vec::new()));
    let tell = times.clone();
    let consumed =
        Consumed::<String, String>::default().timestamp_extractor(move |_, value, record, so_far| {
            tell.lock().expect("times").push((value.clone(), so_far));
            record
        });
    let builder = StreamsBuilder::new();
    builder.stream(&input, consumed).to(&output, Produced::default());
    let state = tempfile::tempdir().expect("a folder");
    let own = config(&cluster, &application, "exactly_once_v2", state.path());
    let running = start(builder.build().expect("topology"), own);
    cluster.until(&output, "a copy", |seen| seen.len() == 3);
    running.close(LONG).expect("a clean stop");
    assert_eq!(*times.lock().expect("times"), [("third".to_owned(), Timestamp(5_000))]);
}
