//! A broker that is away.

use super::cluster::{LONG, Seen};
use super::node::Node;
use super::processes::topology;
use highwater::{KafkaStreams, State, StreamsConfig};
use std::collections::BTreeMap;
use std::time::Duration;

const PARTITIONS: i32 = 2;

fn have(seen: &[Seen]) -> BTreeMap<String, u64> {
    seen.iter().map(|(_, key, value)| (key.clone(), value.parse().expect("a count"))).collect()
}

/// Two minutes of ticks, the broker away in the middle of the first; the ticks of that time wait in their producer.
fn broker_away(guarantee: &str, outage: Duration) {
    let Some(node) = Node::start() else { return };
    let cluster = &node.cluster;
    let [ticks, finals, totals] = ["ticks", "finals", "totals"].map(|name| cluster.unique(name));
    for topic in [&ticks, &finals, &totals] {
        cluster.create(topic, PARTITIONS);
    }
    let state = tempfile::tempdir().expect("a folder");
    let config = StreamsConfig::new(cluster.unique("outage"), &cluster.bootstrap)
        .set("processing.guarantee", guarantee)
        .set("commit.interval.ms", "50")
        .set("transaction.timeout.ms", "3000")
        .set("session.timeout.ms", "3000")
        .set("heartbeat.interval.ms", "500")
        .set("highwater.idle.timeout.ms", "6000")
        .set("state.dir", state.path().display().to_string());
    let now = cluster.now();
    let minute = now / 60_000 * 60_000;
    // Dated so that an idle partition's clock would close the minute at once if it were believed.
    let at = |second: i64| minute - 120_000 + second * 1_000;
    let tick = |second: i64| {
        for partition in 0..PARTITIONS {
            cluster.hand_over(&ticks, partition, &format!("key-{partition}"), "tick", at(second));
        }
    };
    let running =
        KafkaStreams::new(topology(guarantee, &ticks, &finals, &totals), config).expect("starts").start();
    (0..20).for_each(&tick);
    cluster.flush();
    cluster
        .until(&totals, "the first ticks", |seen| have(seen).values().sum::<u64>() == 20 * PARTITIONS as u64);
    node.away(outage, |_| (20..50).for_each(&tick));
    cluster.flush();
    (50..70).for_each(&tick);
    cluster.flush();
    let expected = |count: u64| -> BTreeMap<String, u64> {
        (0..PARTITIONS).map(|partition| (format!("key-{partition}"), count)).collect()
    };
    let mut last = BTreeMap::new();
    let came = cluster.within(&totals, |seen| {
        last = have(seen);
        last == expected(70) || matches!(running.state(), State::Error)
    });
    if !came || last != expected(70) {
        let (state, snapshot) = (running.state(), running.snapshot());
        panic!("{last:?}, {state:?}, {snapshot:?}, {:?}", running.close(Duration::from_secs(5)));
    }
    let of_first = |seen: &[Seen]| -> Vec<u64> {
        let first = seen.iter().filter(|(_, key, _)| key.ends_with(&format!("@{}", minute - 120_000)));
        first.map(|(_, _, value)| value.parse().expect("a count")).collect()
    };
    let seen = cluster.until(&finals, "the first minute", |seen| of_first(seen).len() >= PARTITIONS as usize);
    assert!(of_first(&seen).iter().all(|count| *count == 60), "a minute was cut: {seen:?}");
    if guarantee == "exactly_once_v2" {
        assert_eq!(of_first(&seen).len(), PARTITIONS as usize, "{seen:?}");
    }
    assert_eq!(running.counts().late, 0);
    running.close(LONG).expect("a clean stop");
}

#[test]
fn a_broker_that_restarts_is_waited_for() {
    broker_away("exactly_once_v2", Duration::ZERO);
}

/// Longer than the transaction timeout and the idle timeout, while ticks wait in their producer: nothing is cut.
#[test]
fn a_broker_that_is_away_for_long_cuts_no_window_exactly_once() {
    broker_away("exactly_once_v2", Duration::from_secs(9));
}

#[test]
fn a_broker_that_is_away_for_long_cuts_no_window_at_least_once() {
    broker_away("at_least_once", Duration::from_secs(9));
}
