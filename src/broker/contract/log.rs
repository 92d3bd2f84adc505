//! Logs: offsets, ends, deletion, compaction, and what a record keeps.

use super::*;
use Isolation::{ReadCommitted, ReadUncommitted};

pub(crate) fn transaction_markers_take_offsets(harness: &dyn Harness) {
    let (topic, id) = (topic(harness, 1, &[]), harness.unique("id"));
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, Some(&id)), Waiting::new(harness));
    transaction(harness, &mut *writer, &log, &["a", "b"], true);
    transaction(harness, &mut *writer, &log, &["c"], true);
    let records = ask.read(&log, 0, ReadCommitted);
    assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 3]);
    assert_eq!(ask.bounds(&log, ReadCommitted).end, 5);
}

fn read_to_the_end(harness: &dyn Harness, commits: bool) {
    let (topic, id) = (topic(harness, 1, &[]), harness.unique("id"));
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, Some(&id)), Waiting::new(harness));
    transaction(harness, &mut *writer, &log, &["a", "b", "c", "d", "e"], commits);
    for isolation in [ReadUncommitted, ReadCommitted] {
        assert_eq!(ask.bounds(&log, isolation), LogBounds { start: 0, end: 6 });
        // A restore is done when its position has reached the end; the last record's offset never does.
        let seen = ask.read(&log, 0, isolation).len();
        assert_eq!(seen, if commits || isolation == ReadUncommitted { 5 } else { 0 });
    }
    let mut reader = member(harness, &harness.unique("group"), "reader", &[topic]);
    reader.seek(&log, 0);
    let mut seen = 0;
    until(harness, "caught up", || {
        seen += reader.fetch(&log, 2).expect("fetch").records.len();
        (reader.position(&log) == Some(6)).then_some(())
    });
    assert_eq!(seen, if commits { 5 } else { 0 });
}

pub(crate) fn a_log_that_ends_in_a_marker_is_read_to_its_end(harness: &dyn Harness) {
    read_to_the_end(harness, true);
}

pub(crate) fn a_log_that_ends_in_an_aborted_batch_is_read_to_its_end(harness: &dyn Harness) {
    read_to_the_end(harness, false);
}

/// A restore that took the place of the only open record for read would end without it.
pub(crate) fn a_position_does_not_pass_an_open_transaction(harness: &dyn Harness) {
    let (topic, id) = (topic(harness, 1, &[]), harness.unique("id"));
    let (log, mut plain, mut open) = (at(&topic, 0), producer(harness, None), producer(harness, Some(&id)));
    let mut admin = harness.client("admin").admin().expect("client");
    for value in ["a", "b"] {
        send(harness, &mut *plain, record(&log, "k", Some(value))).expect("send");
    }
    open.begin().expect("begin");
    send(harness, &mut *open, record(&log, "k", Some("c"))).expect("send");
    let mut reader = member(harness, &harness.unique("group"), "reader", &[topic]);
    reader.seek(&log, 0);
    let (mut next, mut seen, mut restored) = (0, 0, 0);
    let mut look = |reader: &mut dyn Consumer| {
        seen += reader.fetch(&log, 10).expect("fetch").records.len();
        let (records, after) = admin.read(&log, next, ReadCommitted, 10).expect("read");
        (next, restored) = (after, restored + records.len());
        (reader.position(&log), next, seen, restored)
    };
    until(harness, "both are read", || (look(&mut *reader) == (Some(2), 2, 2, 2)).then_some(()));
    for _ in 0..50 {
        harness.pass(10);
        assert_eq!(look(&mut *reader), (Some(2), 2, 2, 2), "what is open is not passed");
    }
    commit(harness, &mut *open);
    until(harness, "it is read", || (look(&mut *reader) == (Some(4), 4, 3, 3)).then_some(()));
}

pub(crate) fn interleaved_transactions_are_told_apart(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[]);
    let (log, mut ask, mut plain) = (at(&topic, 0), Waiting::new(harness), producer(harness, None));
    let mut kept = producer(harness, Some(&harness.unique("kept")));
    let mut dropped = producer(harness, Some(&harness.unique("dropped")));
    kept.begin().expect("begin");
    dropped.begin().expect("begin");
    for (kept_value, dropped_value, plain_value) in [("a", "b", "c"), ("d", "e", "f")] {
        send(harness, &mut *kept, record(&log, "k", Some(kept_value))).expect("send");
        send(harness, &mut *dropped, record(&log, "k", Some(dropped_value))).expect("send");
        send(harness, &mut *plain, record(&log, "k", Some(plain_value))).expect("send");
    }
    abort(harness, &mut *dropped);
    assert!(
        ask.read(&log, 0, ReadCommitted).is_empty(),
        "an open transaction holds back what lies behind it"
    );
    commit(harness, &mut *kept);
    assert_eq!(values(&ask.read(&log, 0, ReadCommitted)), ["a", "c", "d", "f"]);
    assert_eq!(values(&ask.read(&log, 0, ReadUncommitted)), ["a", "b", "c", "d", "e", "f"]);
}

pub(crate) fn log_end_by_isolation_level(harness: &dyn Harness) {
    let (topic, id) = (topic(harness, 1, &[]), harness.unique("id"));
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, Some(&id)), Waiting::new(harness));
    transaction(harness, &mut *writer, &log, &["a"], true);
    writer.begin().expect("begin");
    send(harness, &mut *writer, record(&log, "k", Some("b"))).expect("send");
    assert_eq!(ask.bounds(&log, ReadUncommitted).end, 3);
    assert_eq!(ask.bounds(&log, ReadCommitted).end, 2);
    let (records, position) = ask.admin.read(&log, 2, ReadCommitted, 10).expect("read");
    assert_eq!((records.len(), position), (0, 2));
    commit(harness, &mut *writer);
    assert_eq!(ask.bounds(&log, ReadCommitted).end, 4);
}

pub(crate) fn log_end_is_not_older_than_its_question(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[]);
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    send(harness, &mut *writer, record(&log, "k", Some("a"))).expect("send");
    let ticket = ask.admin.start_bounds(vec![log.clone()], ReadUncommitted);
    send(harness, &mut *writer, record(&log, "k", Some("b"))).expect("send");
    let told = until(harness, "bounds", || ask.admin.poll_bounds(ticket)).expect("bounds")[&log];
    assert!((1..=2).contains(&told.end), "{told:?}");
    assert_eq!(ask.admin.poll_bounds(ticket), None, "an answer is given once");
}

pub(crate) fn log_start_after_record_deletion(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[]);
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    for value in ["a", "b", "c"] {
        send(harness, &mut *writer, record(&log, "k", Some(value))).expect("send");
    }
    ask.admin.delete_records(&BTreeMap::from([(log.clone(), 2)]));
    until(harness, "deletion", || (ask.bounds(&log, ReadCommitted).start == 2).then_some(()));
    assert_eq!(values(&ask.read(&log, 2, ReadCommitted)), ["c"]);
    ask.admin.delete_records(&BTreeMap::from([(log.clone(), 1)]));
    assert_eq!(ask.bounds(&log, ReadCommitted), LogBounds { start: 2, end: 3 }, "the start never goes back");
}

pub(crate) fn an_offset_out_of_range(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[]);
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    for value in ["a", "b", "c"] {
        send(harness, &mut *writer, record(&log, "k", Some(value))).expect("send");
    }
    ask.admin.delete_records(&BTreeMap::from([(log.clone(), 2)]));
    until(harness, "deletion", || (ask.bounds(&log, ReadCommitted).start == 2).then_some(()));
    let mut reader = member(harness, &harness.unique("group"), "reader", &[topic]);
    for offset in [0, 1, 4] {
        let failed =
            |answer: Answer<usize>| answer.is_err().then(|| refused(FailureKind::OutOfRange, answer));
        until(harness, "read", || {
            failed(ask.admin.read(&log, offset, ReadCommitted, 1).map(|(r, _)| r.len()))
        });
        reader.seek(&log, offset);
        until(harness, "fetch", || failed(reader.fetch(&log, 1).map(|fetched| fetched.records.len())));
    }
}

const COMPACTED: (&str, &str) = ("cleanup.policy", "compact");

/// A record for a compacted topic. Kafka compacts whole segments that are not written any more; a later timestamp than
/// that of the record before begins a segment where `segment.ms` is small.
fn later(record: Outgoing, at: i64) -> Outgoing {
    Outgoing { timestamp: Timestamp(record.timestamp.0 + at * 60_000), ..record }
}

fn keys_and_values(records: &[LogRecord]) -> Vec<(String, String)> {
    let key = |r: &LogRecord| String::from_utf8_lossy(r.key.as_deref().expect("key")).into_owned();
    records.iter().map(key).zip(values(records)).collect()
}

pub(crate) fn compaction_keeps_the_last_value_per_key_and_the_tail(harness: &dyn Harness) {
    let (topic, id) = (topic(harness, 1, &[COMPACTED]), harness.unique("id"));
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    for (at, (key, value)) in (0..).zip([("x", "1"), ("y", "2"), ("x", "3"), ("x", "4"), ("z", "5")]) {
        send(harness, &mut *writer, later(record(&log, key, Some(value)), at)).expect("send");
    }
    // The tail: what lies behind the first open transaction.
    let mut open = producer(harness, Some(&id));
    open.begin().expect("begin");
    for (at, value) in [(5, "6"), (6, "7")] {
        send(harness, &mut *open, later(record(&log, "y", Some(value)), at)).expect("send");
    }
    if !harness.compact(&topic) {
        return;
    }
    let left = keys_and_values(&ask.read(&log, 0, ReadUncommitted));
    let expected = [("y", "2"), ("x", "4"), ("z", "5"), ("y", "6"), ("y", "7")];
    assert_eq!(left, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert_eq!(ask.bounds(&log, ReadUncommitted), LogBounds { start: 0, end: 7 }, "offsets stay");
    assert_eq!(ask.read(&log, 2, ReadCommitted)[0].offset, 3, "a hole is read over");
}

pub(crate) fn compaction_drops_what_was_aborted(harness: &dyn Harness) {
    let (topic, id) = (topic(harness, 1, &[COMPACTED]), harness.unique("id"));
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, Some(&id)), Waiting::new(harness));
    transaction(harness, &mut *writer, &log, &["a"], true);
    transaction(harness, &mut *writer, &log, &["b"], false);
    writer.begin().expect("begin");
    send(harness, &mut *writer, record(&log, "tail", Some("c"))).expect("send");
    if !harness.compact(&topic) {
        return;
    }
    assert_eq!(values(&ask.read(&log, 0, ReadUncommitted)), ["a", "c"]);
    commit(harness, &mut *writer);
    ask.until_stable(&log);
    assert_eq!(values(&ask.read(&log, 0, ReadCommitted)), ["a", "c"]);
}

pub(crate) fn compaction_spares_what_is_younger_than_the_lag(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[COMPACTED, ("min.compaction.lag.ms", "60000")]);
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    let now = harness.date();
    for (value, age) in [("1", 120_000), ("2", 120_000), ("3", 0), ("4", 120_000)] {
        let timestamp = Timestamp(now.0 - age);
        send(harness, &mut *writer, Outgoing { timestamp, ..record(&log, "k", Some(value)) }).expect("send");
    }
    if !harness.compact(&topic) {
        return;
    }
    assert_eq!(values(&ask.read(&log, 0, ReadCommitted)), ["2", "3", "4"], "by the records' timestamps");
}

pub(crate) fn tombstones_go_later(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[COMPACTED, ("delete.retention.ms", "500")]);
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    for (at, (key, value)) in (0..).zip([("x", Some("1")), ("x", None), ("y", Some("2"))]) {
        send(harness, &mut *writer, later(record(&log, key, value), at)).expect("send");
    }
    if !harness.compact(&topic) {
        return;
    }
    assert_eq!(
        values(&ask.read(&log, 0, ReadCommitted)),
        ["-", "2"],
        "a reader under way must see the tombstone"
    );
    harness.pass(501);
    // The cleaner comes again only where something is dirty.
    for (at, key) in [(3, "z"), (4, "tail")] {
        send(harness, &mut *writer, later(record(&log, key, Some("3")), at)).expect("send");
    }
    if !harness.compact(&topic) {
        return;
    }
    assert_eq!(values(&ask.read(&log, 0, ReadCommitted)), ["2", "3", "3"]);
}

pub(crate) fn a_record_that_is_too_large(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[("max.message.bytes", "1000")]);
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    let failure =
        refused(FailureKind::Fatal, send(harness, &mut *writer, record(&log, "k", Some(&"x".repeat(1_001)))));
    assert!(failure.message.contains("too large"), "{failure}");
    send(harness, &mut *writer, record(&log, "k", Some(&"x".repeat(500)))).expect("the producer goes on");
    assert_eq!(ask.bounds(&log, ReadUncommitted).end, 1);
}

pub(crate) fn a_record_without_a_key_is_refused_by_a_compacted_topic(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[COMPACTED]);
    let (log, mut writer) = (at(&topic, 0), producer(harness, None));
    refused(
        FailureKind::Fatal,
        send(harness, &mut *writer, Outgoing { key: None, ..record(&log, "", None) }),
    );
}

pub(crate) fn everything_of_a_record_is_kept(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[]);
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    let mut headers = Headers::new();
    headers.push([0xff, 0xfe], Some([0x80]));
    headers.push("twice", None::<Vec<u8>>);
    headers.push("twice", Some(""));
    let key: Option<super::super::Bytes> = Some([0xc3, 0x28][..].into());
    let sent = [
        Outgoing { headers, key, timestamp: Timestamp(5), ..record(&log, "", None) },
        Outgoing { key: None, ..record(&log, "", Some("")) },
        record(&log, "", None),
    ];
    let mut records = sent.to_vec();
    writer.send_all(&mut records).expect("send");
    assert!(records.is_empty());
    flush(harness, &mut *writer);
    for (offset, (read, sent)) in (0..).zip(ask.read(&log, 0, ReadCommitted).into_iter().zip(sent)) {
        let Outgoing { timestamp, key, value, headers, .. } = sent;
        assert_eq!(read, LogRecord { offset, timestamp, key, value, headers });
    }
}

pub(crate) fn order_under_retries_and_duplicates_dropped(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[]);
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    for value in ["a", "b", "c", "d"] {
        harness.lose_next_produce_answer("producer");
        writer.send(record(&log, "k", Some(value))).expect("send");
    }
    writer.send(record(&log, "k", Some("e"))).expect("send");
    let acknowledged = flush(harness, &mut *writer);
    assert_eq!(values(&ask.read(&log, 0, ReadCommitted)), ["a", "b", "c", "d", "e"]);
    assert_eq!(numbers(&acknowledged, &log), [0, 1, 2, 3, 4]);
}

pub(crate) fn acknowledged_offsets_are_those_in_the_log(harness: &dyn Harness) {
    let topic = topic(harness, 2, &[]);
    let (first, second) = (at(&topic, 0), at(&topic, 1));
    let (mut mine, mut other) = (producer(harness, None), producer(harness, None));
    for target in [&first, &second, &first] {
        send(harness, &mut *other, record(target, "k", Some("foreign"))).expect("send");
        mine.send(record(target, "k", Some("mine"))).expect("send");
        mine.send(record(&first, "k", Some("mine"))).expect("send");
        let ticket = mine.start_flush();
        let acknowledged = answer(harness, &mut *mine, ticket).expect("flush");
        let mut ask = Waiting::new(harness);
        for log in [&first, &second] {
            for offset in numbers(&acknowledged, log) {
                assert_eq!(values(&ask.read(log, offset, ReadCommitted))[0], "mine");
            }
        }
        assert_eq!(acknowledged.values().flatten().cloned().flatten().count(), 2);
    }
    assert!(flush(harness, &mut *mine).is_empty(), "told once");
}

pub(crate) fn deletion_of_a_topic_in_use(harness: &dyn Harness) {
    let (gone, stays, group) = (topic(harness, 1, &[]), topic(harness, 1, &[]), harness.unique("group"));
    let (log, mut ask) = (at(&gone, 0), Waiting::new(harness));
    let mut reader = member(harness, &group, "reader", &[gone.clone(), stays.clone()]);
    let mut writer = producer(harness, None);
    send(harness, &mut *writer, record(&log, "k", Some("a"))).expect("send");
    commit_offsets(harness, &mut *reader, offsets(&log, 1)).expect("commit");
    harness.delete_topic(&gone);
    assert_eq!(event(harness, &mut *reader), GroupEvent::Revoked);
    reader.acknowledge_revocation();
    assert_eq!(event(harness, &mut *reader), GroupEvent::Assigned(vec![at(&stays, 0)]));
    reader.seek(&log, 0);
    until(harness, "fetch", || {
        reader.fetch(&log, 1).err().filter(|failure| failure.kind == FailureKind::Fatal)
    });
    let failure = refused(FailureKind::Fatal, send(harness, &mut *writer, record(&log, "k", Some("b"))));
    assert!(failure.message.contains(&gone), "{failure}");
    let ticket = ask.admin.start_describe(vec![gone.clone(), stays.clone()]);
    let left = until(harness, "describe", || ask.admin.poll_describe(ticket)).expect("describe");
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [stays]);
    assert_eq!(ask.committed(&group, &log), None, "its offsets go with it");
}

pub(crate) fn offsets_for_times(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[]);
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, None), Waiting::new(harness));
    for timestamp in [10, 30, 20] {
        let timestamp = Timestamp(timestamp);
        send(harness, &mut *writer, Outgoing { timestamp, ..record(&log, "k", None) }).expect("send");
    }
    for (time, offset) in [(0, 0), (10, 0), (11, 1), (30, 1), (31, 3)] {
        let ticket = ask.admin.start_offsets_for_times(Times::from([(log.clone(), Timestamp(time))]));
        let told = until(harness, "offsets", || ask.admin.poll_offsets_for_times(ticket)).expect("offsets");
        assert_eq!(told[&log], offset, "at {time}");
    }
}

pub(crate) fn topics_are_described_as_they_were_created(harness: &dyn Harness) {
    let (name, mut ask) = (harness.unique("topic"), Waiting::new(harness));
    let config = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let topic = super::super::NewTopic { name: name.clone(), partitions: 3, config };
    for partitions in [3, 5] {
        let ticket = ask.admin.start_create(vec![super::super::NewTopic { partitions, ..topic.clone() }]);
        until(harness, "create", || ask.admin.poll_create(ticket)).expect("an existing topic is no failure");
    }
    let ticket = ask.admin.start_describe(vec![name.clone(), harness.unique("missing")]);
    let described = until(harness, "describe", || ask.admin.poll_describe(ticket)).expect("describe");
    assert_eq!(described.len(), 1);
    assert_eq!(described[&name].partitions, 3);
    assert_eq!(described[&name].config["cleanup.policy"], "compact");
    let ticket = ask.admin.start_describe(Vec::new());
    let all = until(harness, "describe", || ask.admin.poll_describe(ticket)).expect("describe");
    assert!(all.contains_key(&name), "none named: all");
}
