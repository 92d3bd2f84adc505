//! Plain topics: windowed keys, and which partition a key goes to.

use super::{Cluster, Java, LONG, config, start};
use highwater::serdes::{BigEndian, Utf8, WindowedSerde};
use highwater::time::{TimeWindows, minutes};
use highwater::{Consumed, Materialized, Produced, StreamsBuilder, Topology, Windowed};
use std::collections::{BTreeMap, BTreeSet};

const KEYS: [&str; 6] = ["a", "EURUSD", "BTC-USD", "€ and more", "0123456789", "\u{1f30a}"];

/// Partition and key, with the last value.
type Last = BTreeMap<(i32, Vec<u8>), Vec<u8>>;

fn last(cluster: &Cluster, topic: &str) -> Last {
    let records = cluster.read_raw(topic).into_iter();
    records.map(|r| ((r.partition, r.key.expect("a key")), r.value.expect("a value"))).collect()
}

/// Reads until there are so many different keys, whose counts are so much together.
fn until_counted(cluster: &Cluster, topic: &str, keys: usize, sum: u64) -> Last {
    let mut counted = Last::new();
    cluster.until(topic, "counts", |_| {
        counted = last(cluster, topic);
        let number = |bytes: &Vec<u8>| u64::from_be_bytes(bytes.as_slice().try_into().expect("8 bytes"));
        (counted.len(), counted.values().map(number).sum()) == (keys, sum)
    });
    counted
}

pub(super) fn count_per_minute(lines: &str, counts: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream(lines, Consumed::<String, String>::default())
        .group_by_key()
        .windowed_by(TimeWindows::of_size(minutes(1)))
        .count(Materialized::named("per-minute"))
        .to_stream()
        .to(counts, Produced::with(WindowedSerde::of(Utf8), BigEndian));
    builder.build().expect("topology")
}

fn tell_windows(counts: &str, told: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Windowed<String>, u64>(
            counts,
            Consumed::with(WindowedSerde::of(Utf8).size(minutes(1)), BigEndian),
        )
        .map(|key, count| {
            (format!("{}@{}-{}", key.key, key.window.start.0, key.window.end.0), count.to_string())
        })
        .to(told, Produced::default());
    builder.build().expect("topology")
}

/// The same key and window have the same bytes and the same partition, and each side reads the other's.
#[test]
fn windowed_keys_are_the_same() {
    let Some(cluster) = Java::there() else { return };
    let [lines, theirs, ours, told] = ["lines", "theirs", "ours", "told"].map(|name| cluster.unique(name));
    let sizes = [(&lines, 2), (&theirs, 5), (&ours, 5), (&told, 1)];
    for (topic, n) in sizes {
        cluster.create(topic, n);
    }
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for (minute, times) in [(1, 1), (2, 3), (28_000_000, 2)] {
        let start = minute * 60_000;
        for key in KEYS {
            (0..times).for_each(|n| cluster.write(&lines, [(key, "x", start + n * 29_999)]));
            expected.insert(format!("{key}@{start}-{}", start + 60_000), times as u64);
        }
    }
    let sum = expected.values().sum();

    let java = Java::run(&cluster, &["windows", &cluster.unique("java"), "at_least_once", &lines, &theirs]);
    let of_theirs = until_counted(&cluster, &theirs, expected.len(), sum);
    java.close();
    let state = tempfile::tempdir().expect("a folder");
    let own = config(&cluster, &cluster.unique("highwater"), "exactly_once_v2", state.path());
    let running = start(count_per_minute(&lines, &ours), own);
    let of_ours = until_counted(&cluster, &ours, expected.len(), sum);
    running.close(LONG).expect("a clean stop");
    assert_eq!(of_ours, of_theirs);

    let reader = config(&cluster, &cluster.unique("reader"), "at_least_once", state.path());
    let running = start(tell_windows(&theirs, &told), reader);
    cluster.until(&told, "their windows", |seen| {
        let seen = seen.iter().map(|(_, key, count)| (key.clone(), count.parse().expect("a count")));
        seen.collect::<BTreeMap<_, _>>() == expected
    });
    running.close(LONG).expect("a clean stop");

    let records = cluster.read_raw(&ours).len().to_string();
    let read = Java::output(&cluster, &["windowed-keys", &ours, &records]);
    let read = read.iter().map(|line| {
        let (place, count) = line.rsplit_once(' ').expect("a count");
        let (_, window) = place.split_once(' ').expect("a partition");
        (window.to_owned(), count.parse().expect("a count"))
    });
    assert_eq!(read.collect::<BTreeMap<_, u64>>(), expected);
}

fn copy(from: &str, to: &str) -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream(from, Consumed::<String, String>::default()).to(to, Produced::default());
    builder.build().expect("topology")
}

#[test]
fn a_key_goes_to_the_same_partition() {
    let Some(cluster) = Java::there() else { return };
    let [input, theirs, ours] = ["input", "theirs", "ours"].map(|name| cluster.unique(name));
    let sizes = [(&input, 1), (&theirs, 12), (&ours, 12)];
    for (topic, n) in sizes {
        cluster.create(topic, n);
    }
    let keys: BTreeSet<String> =
        KEYS.iter().map(|key| (*key).to_owned()).chain((0..150).map(|n| "k".repeat(n))).collect();
    cluster.write(&input, keys.iter().map(|key| (&**key, "x", 1)));
    let all = |seen: &[(i32, String, String)]| seen.len() == keys.len();

    let java = Java::run(&cluster, &["copy", &cluster.unique("java"), "at_least_once", &input, &theirs]);
    cluster.until(&theirs, "a copy", all);
    java.close();
    let state = tempfile::tempdir().expect("a folder");
    let own = config(&cluster, &cluster.unique("highwater"), "at_least_once", state.path());
    let running = start(copy(&input, &ours), own);
    cluster.until(&ours, "a copy", all);
    running.close(LONG).expect("a clean stop");
    let (theirs, ours) = (last(&cluster, &theirs), last(&cluster, &ours));
    assert_eq!(ours, theirs);
    let used: BTreeSet<i32> = ours.keys().map(|(partition, _)| *partition).collect();
    assert_eq!(used.len(), 12, "every partition has some");
}
