//! Transactions: what becomes visible together, and who may still write.

use super::*;
use crate::broker::GroupMetadata;
use Isolation::{ReadCommitted, ReadUncommitted};

#[track_caller]
fn send_offsets(
    harness: &dyn Harness,
    writer: &mut dyn Producer,
    offsets: Offsets,
    from: GroupMetadata,
) -> Answer<Acknowledged> {
    let ticket = writer.start_send_offsets(offsets, from);
    answer(harness, writer, ticket)
}

pub(crate) fn require_stable_fetch(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 2, &[]), harness.unique("group"), Waiting::new(harness));
    let (log, other) = (at(&topic, 0), at(&topic, 1));
    let reader = member(harness, &group, "a", &[topic]);
    let mut writer = producer(harness, Some(&harness.unique("id")));
    writer.begin().expect("begin");
    send_offsets(harness, &mut *writer, offsets(&log, 4), reader.group_metadata()).expect("offsets");
    let ticket = ask.admin.start_committed(&group, vec![log.clone()]);
    for _ in 0..3 {
        // Unanswered, or told to ask again; never the offset before, of which a commit may already be under way.
        if let Some(told) = ask.admin.poll_committed(ticket) {
            refused(FailureKind::Retriable, told);
        }
        harness.pass(1);
    }
    assert_eq!(ask.committed(&group, &other), None, "another partition is not held back");
    commit(harness, &mut *writer);
    // The markers are written after the commit is answered.
    assert_eq!(ask.stable(&group, &log).map(|committed| committed.offset), Some(4));
}

pub(crate) fn offsets_of_an_aborted_transaction_are_dropped(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 1, &[]), harness.unique("group"), Waiting::new(harness));
    let log = at(&topic, 0);
    let reader = member(harness, &group, "a", &[topic]);
    let mut writer = producer(harness, Some(&harness.unique("id")));
    for (offset, commits) in [(1, true), (2, false)] {
        writer.begin().expect("begin");
        send_offsets(harness, &mut *writer, offsets(&log, offset), reader.group_metadata()).expect("offsets");
        if commits { commit(harness, &mut *writer) } else { abort(harness, &mut *writer) }
    }
    assert_eq!(ask.committed(&group, &log).map(|committed| committed.offset), Some(1));
}

pub(crate) fn offsets_in_a_transaction_check_member_and_generation(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 1, &[]), harness.unique("group"), Waiting::new(harness));
    let log = at(&topic, 0);
    let mut reader = member(harness, &group, "a", std::slice::from_ref(&topic));
    let old = reader.group_metadata();
    reader.subscribe(&[topic]);
    assert_eq!(event(harness, &mut *reader), GroupEvent::Revoked);
    reader.acknowledge_revocation();
    assert!(matches!(event(harness, &mut *reader), GroupEvent::Assigned(_)));
    let mut writer = producer(harness, Some(&harness.unique("id")));
    let stranger = GroupMetadata { member: "stranger".to_owned(), ..reader.group_metadata() };
    for from in [old, stranger] {
        writer.begin().expect("begin");
        let refusal = send_offsets(harness, &mut *writer, offsets(&log, 1), from);
        refused(FailureKind::Abortable, refusal);
        abort(harness, &mut *writer);
    }
    // The trap that the guard of the commit protocol is for: who says nothing is believed.
    writer.begin().expect("begin");
    let nobody = GroupMetadata { group: group.clone(), member: String::new(), generation: -1 };
    send_offsets(harness, &mut *writer, offsets(&log, 2), nobody).expect("offsets");
    commit(harness, &mut *writer);
    assert_eq!(ask.committed(&group, &log).map(|committed| committed.offset), Some(2));
}

type Step = fn(&dyn Harness, &mut dyn Producer, &TopicPartition, GroupMetadata) -> Answer<Acknowledged>;

pub(crate) fn a_fenced_producer_in_each_call(harness: &dyn Harness) {
    let (topic, group) = (topic(harness, 1, &[]), harness.unique("group"));
    let (log, mut ask) = (at(&topic, 0), Waiting::new(harness));
    let reader = member(harness, &group, "a", &[topic]);
    let steps: [Step; 4] = [
        |harness, old, log, _| send(harness, old, record(log, "k", Some("zombie"))),
        |harness, old, log, from| send_offsets(harness, old, offsets(log, 1), from),
        |harness, old, _, _| {
            let ticket = old.start_commit();
            answer(harness, old, ticket)
        },
        |harness, old, _, _| {
            let ticket = old.start_abort();
            answer(harness, old, ticket)
        },
    ];
    for step in steps {
        let id = harness.unique("id");
        let mut old = producer(harness, Some(&id));
        old.begin().expect("begin");
        send(harness, &mut *old, record(&log, "k", Some("old"))).expect("send");
        let mut new = producer(harness, Some(&id));
        refused(FailureKind::Fenced, step(harness, &mut *old, &log, reader.group_metadata()));
        transaction(harness, &mut *new, &log, &["new"], true);
    }
    assert_eq!(values(&ask.read(&log, 0, ReadCommitted)), ["new"; 4]);
    assert_eq!(ask.committed(&group, &log), None);
}

pub(crate) fn a_new_producer_resolves_a_dangling_transaction(harness: &dyn Harness) {
    let (topic, group, id) = (topic(harness, 1, &[]), harness.unique("group"), harness.unique("id"));
    let (log, mut ask) = (at(&topic, 0), Waiting::new(harness));
    let reader = member(harness, &group, "a", &[topic]);
    let mut killed = producer(harness, Some(&id));
    killed.begin().expect("begin");
    send(harness, &mut *killed, record(&log, "k", Some("dangling"))).expect("send");
    send_offsets(harness, &mut *killed, offsets(&log, 1), reader.group_metadata()).expect("offsets");
    drop(killed);
    assert_eq!(ask.bounds(&log, ReadCommitted).end, 0);
    let _new = producer(harness, Some(&id));
    let bounds =
        until(harness, "marker", || Some(ask.bounds(&log, ReadCommitted)).filter(|bounds| bounds.end > 0));
    assert_eq!(bounds.end, ask.bounds(&log, ReadUncommitted).end);
    assert!(ask.read(&log, 0, ReadCommitted).is_empty());
    assert_eq!(ask.committed(&group, &log), None);
}

pub(crate) fn a_transaction_that_takes_too_long_is_aborted(harness: &dyn Harness) {
    let (topic, mut ask) = (topic(harness, 1, &[]), Waiting::new(harness));
    let (log, id) = (at(&topic, 0), harness.unique("id"));
    let mut stopped = producer(harness, Some(&id));
    stopped.begin().expect("begin");
    send(harness, &mut *stopped, record(&log, "k", Some("a"))).expect("send");
    harness.pass(harness.transaction_timeout() + 1);
    until(harness, "abort", || (ask.bounds(&log, ReadCommitted).end == 2).then_some(()));
    assert!(ask.read(&log, 0, ReadCommitted).is_empty());
    let ticket = stopped.start_commit();
    refused(FailureKind::Fenced, answer(harness, &mut *stopped, ticket));
}

pub(crate) fn an_empty_transaction_is_fine(harness: &dyn Harness) {
    let mut writer = producer(harness, Some(&harness.unique("id")));
    for commits in [true, false, true] {
        writer.begin().expect("begin");
        if commits { commit(harness, &mut *writer) } else { abort(harness, &mut *writer) }
    }
}

pub(crate) fn an_empty_list_of_offsets_is_refused(harness: &dyn Harness) {
    let from = GroupMetadata { group: harness.unique("group"), member: String::new(), generation: -1 };
    let mut writer = producer(harness, Some(&harness.unique("id")));
    writer.begin().expect("begin");
    refused(FailureKind::Fatal, send_offsets(harness, &mut *writer, Offsets::new(), from));
}

pub(crate) fn calls_out_of_turn_are_refused(harness: &dyn Harness) {
    let topic = topic(harness, 1, &[]);
    let log = at(&topic, 0);
    let mut plain = producer(harness, None);
    refused(FailureKind::Fatal, plain.begin());
    let mut early = harness.client("producer").producer(Some(&harness.unique("id"))).expect("client");
    refused(FailureKind::Fatal, early.begin());
    let mut writer = producer(harness, Some(&harness.unique("id")));
    refused(FailureKind::Fatal, writer.send(record(&log, "k", None)));
    let ticket = writer.start_commit();
    refused(FailureKind::Fatal, answer(harness, &mut *writer, ticket));
    writer.begin().expect("begin");
    refused(FailureKind::Fatal, writer.begin());
}

pub(crate) fn a_commit_waits_for_its_records(harness: &dyn Harness) {
    let (topic, id) = (topic(harness, 1, &[]), harness.unique("id"));
    let (log, mut writer, mut ask) = (at(&topic, 0), producer(harness, Some(&id)), Waiting::new(harness));
    writer.begin().expect("begin");
    harness.lose_next_produce_answer("producer");
    let mut records: Vec<_> = ["a", "b"].map(|value| record(&log, "k", Some(value))).into();
    writer.send_all(&mut records).expect("send");
    let ticket = writer.start_commit();
    let acknowledged = answer(harness, &mut *writer, ticket).expect("commit");
    assert_eq!(numbers(&acknowledged, &log), [0, 1], "a commit tells what a flush would have");
    ask.until_stable(&log);
    assert_eq!(values(&ask.read(&log, 0, ReadCommitted)), ["a", "b"]);
}
