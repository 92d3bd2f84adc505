//! Outages, lost and late calls, held records and markers.

use super::*;
use crate::broker::contract::{
    Waiting, answer, commit, commit_offsets, flush, member, numbers, offsets, producer, record, refused,
    transaction,
};
use crate::broker::{FailureKind, GroupEvent};

#[test]
fn every_call_is_answered_at_the_first_poll_without_time_passing() {
    let (world, log) = with_topic(&[]);
    let client = world.client("a");
    let (mut writer, mut admin, mut reader) = (
        client.producer(Some("id")).expect("client"),
        client.admin().expect("client"),
        client.consumer("g", "a").expect("client"),
    );
    reader.subscribe(&["t".to_owned()]);
    assert_eq!(reader.poll_group(), Some(GroupEvent::Assigned(vec![log.clone()])));
    let init = writer.start_init();
    assert!(writer.poll(init).expect("init").is_ok());
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("v"))).expect("send");
    let flush = writer.start_flush();
    let sent = writer.start_send_offsets(offsets(&log, 1), reader.group_metadata());
    let commit = writer.start_commit();
    for ticket in [flush, sent, commit] {
        assert!(writer.poll(ticket).expect("answered").is_ok());
        assert_eq!(writer.poll(ticket), None);
    }
    let ticket = admin.start_committed("g", vec![log.clone()]);
    assert_eq!(admin.poll_committed(ticket).expect("answered"), Ok(offsets(&log, 1)));
    let ticket = reader.start_commit(offsets(&log, 1));
    assert_eq!(reader.poll_commit(ticket), Some(Ok(())));
    assert_eq!(world.clock.monotonic(), 0);
}

#[test]
fn in_an_outage_nothing_is_answered_and_afterwards_all_of_it() {
    let (world, log) = with_topic(&[]);
    let mut reader = member(&world, "g", "a", &["t".to_owned()]);
    let (mut writer, mut ask) =
        (world.client("a").producer(None).expect("client"), world.client("a").admin().expect("client"));
    world.log.append(&mut vec![record(&log, "k", Some("before"))]).expect("append");
    reader.seek(&log, 0);
    world.log.outage_of("a", true);
    writer.send(record(&log, "k", Some("held"))).expect("taken");
    assert!(reader.fetch(&log, 9).expect("fetch").records.is_empty());
    assert_eq!(reader.position(&log), Some(0));
    assert_eq!(ask.read(&log, 0, Isolation::ReadCommitted, 9), Ok((Vec::new(), 0)));
    let (flushed, asked) =
        (writer.start_flush(), ask.start_bounds(vec![log.clone()], Isolation::ReadCommitted));
    world.pass(TIMEOUTS.request - 1);
    assert_eq!(writer.poll(flushed), None);
    assert_eq!(ask.poll_bounds(asked), None);
    assert_eq!(end(&world, &log), 1, "ticks go on, what the client sends does not arrive");
    world.log.outage_of("a", false);
    assert_eq!(ask.poll_bounds(asked).expect("answered").expect("bounds")[&log].end, 1);
    assert_eq!(numbers(&writer.poll(flushed).expect("answered").expect("flush"), &log), [1]);
    assert_eq!(values(&reader.fetch(&log, 9).expect("fetch").records), ["before", "held"]);
}

#[test]
fn an_outage_of_the_log_times_out_as_retriable_or_unknown() {
    let (world, log) = with_topic(&[]);
    let mut reader = member(&world, "g", "a", &["t".to_owned()]);
    let (mut writer, mut ask) = (producer(&world, Some("id")), Waiting::new(&world));
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("a"))).expect("send");
    world.log.outage(true);
    let (ended, offset) = (writer.start_commit(), reader.start_commit(offsets(&log, 1)));
    let asked = ask.admin.start_committed("g", vec![log.clone()]);
    world.pass(TIMEOUTS.request);
    refused(FailureKind::Unknown, writer.poll(ended).expect("timed out"));
    refused(FailureKind::Unknown, reader.poll_commit(offset).expect("timed out"));
    refused(FailureKind::Retriable, ask.admin.poll_committed(asked).expect("timed out"));
    world.log.outage(false);
    assert_eq!(ask.committed("g", &log), None, "it never arrived");
    commit(&world, &mut *writer);
    assert_eq!(committed_values(&world), ["a"]);
}

#[test]
fn a_member_cut_off_for_a_session_timeout_knows_it_is_lost() {
    let (world, _) = with_topic(&[]);
    let mut reader = member(&world, "g", "a", &["t".to_owned()]);
    world.log.outage(true);
    world.pass(TIMEOUTS.session - 1);
    assert_eq!(reader.poll_group(), None);
    world.pass(1);
    assert_eq!(reader.poll_group(), Some(GroupEvent::Lost));
    world.log.outage(false);
    assert!(matches!(reader.poll_group(), Some(GroupEvent::Assigned(_))));
}

#[test]
fn a_commit_whose_answer_is_lost_happened_and_may_be_repeated() {
    let (world, log) = with_topic(&[]);
    let mut writer = producer(&world, Some("id"));
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("a"))).expect("send");
    world.log.lose_next("producer", Call::EndTransaction, Loss::Answer);
    let ticket = writer.start_commit();
    assert_eq!(writer.poll(ticket), None);
    assert_eq!(committed_values(&world), ["a"]);
    world.pass(TIMEOUTS.request);
    refused(FailureKind::Unknown, writer.poll(ticket).expect("timed out"));
    commit(&world, &mut *writer);
    assert_eq!(end(&world, &log), 2, "one marker");
    transaction(&world, &mut *writer, &log, &["b"], true);
    assert_eq!(committed_values(&world), ["a", "b"]);
}

#[test]
fn a_delayed_end_of_transaction_can_commit_a_later_one() {
    let (world, log) = with_topic(&[]);
    let mut writer = producer(&world, Some("id"));
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("a"))).expect("send");
    world.log.lose_next("producer", Call::EndTransaction, Loss::Delay);
    let ticket = writer.start_commit();
    world.pass(TIMEOUTS.request);
    refused(FailureKind::Unknown, writer.poll(ticket).expect("timed out"));
    commit(&world, &mut *writer);
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("half"))).expect("send");
    assert!(world.log.land_late_request());
    assert_eq!(
        committed_values(&world),
        ["a", "half"],
        "which is why a producer is built again after such an answer"
    );
    let _rebuilt = producer(&world, Some("id"));
    assert!(!world.log.land_late_request());
}

#[test]
fn a_delayed_end_of_transaction_of_an_older_producer_is_fenced() {
    let (world, log) = with_topic(&[]);
    let mut old = producer(&world, Some("id"));
    old.begin().expect("begin");
    old.send(record(&log, "k", Some("a"))).expect("send");
    world.log.lose_next("producer", Call::EndTransaction, Loss::Delay);
    old.start_commit();
    let mut new = producer(&world, Some("id"));
    new.begin().expect("begin");
    new.send(record(&log, "k", Some("b"))).expect("send");
    assert!(world.log.land_late_request());
    assert!(committed_values(&world).is_empty());
}

#[test]
fn an_offset_commit_can_be_lost_in_each_way() {
    let (world, log) = with_topic(&[]);
    let mut reader = member(&world, "g", "a", &["t".to_owned()]);
    let committed =
        || world.log.committed("g", std::slice::from_ref(&log)).expect("stable").get(&log).map(|c| c.offset);
    for (offset, loss, then, landed) in [
        (1, Loss::Request, None, None),
        (2, Loss::Answer, Some(2), Some(2)),
        (3, Loss::Delay, Some(2), Some(3)),
    ] {
        world.log.lose_next("a", Call::OffsetCommit, loss);
        let ticket = reader.start_commit(offsets(&log, offset));
        world.pass(TIMEOUTS.request);
        refused(FailureKind::Unknown, reader.poll_commit(ticket).expect("timed out"));
        assert_eq!(committed(), then);
        world.log.land_late_request();
        assert_eq!(committed(), landed);
        assert_eq!(reader.poll_group(), None);
    }
    commit_offsets(&world, &mut *reader, offsets(&log, 4)).expect("commit");
    assert_eq!(committed(), Some(4));
}

#[test]
fn a_killed_producers_requests_may_land_later() {
    let (world, log) = with_topic(&[]);
    let mut killed = world.client("a").producer(None).expect("client");
    killed.send(record(&log, "k", Some("arrived"))).expect("send");
    world.log.hold_sends_of("a", true);
    killed.send(record(&log, "k", Some("late"))).expect("send");
    killed.send(record(&log, "k", Some("lost"))).expect("send");
    let ticket = killed.start_flush();
    assert_eq!(killed.poll(ticket), None);
    drop(killed);
    world.log.hold_sends_of("a", false);
    let mut next = world.client("a").producer(None).expect("client");
    next.send(record(&log, "k", Some("next"))).expect("send");
    assert_eq!(world.log.late_requests(), 2);
    assert!(world.log.land_late_request());
    world.log.drop_late_requests();
    assert!(!world.log.land_late_request());
    assert_eq!(committed_values(&world), ["arrived", "next", "late"]);
}

#[test]
fn a_late_request_that_had_arrived_is_not_appended_again() {
    let (world, log) = with_topic(&[]);
    let mut writer = world.client("a").producer(None).expect("client");
    world.log.lose_next("a", Call::Produce, Loss::Delay);
    writer.send(record(&log, "k", Some("a"))).expect("send");
    flush(&world, &mut *writer);
    writer.send(record(&log, "k", Some("b"))).expect("send");
    assert!(world.log.land_late_request());
    assert_eq!(committed_values(&world), ["a", "b"]);
}

#[test]
fn a_late_record_of_a_transaction_begins_none() {
    let (world, log) = with_topic(&[]);
    let mut killed = producer(&world, Some("id"));
    world.log.hold_sends_of("producer", true);
    killed.begin().expect("begin");
    killed.send(record(&log, "k", Some("late"))).expect("send");
    drop(killed);
    assert!(world.log.land_late_request());
    assert_eq!(end(&world, &log), 0);
    assert_eq!(world.log.next_timeout(), None);
}

#[test]
fn records_that_never_left_are_dropped_by_an_abort() {
    let (world, log) = with_topic(&[]);
    let mut writer = producer(&world, Some("id"));
    transaction(&world, &mut *writer, &log, &["a"], true);
    writer.begin().expect("begin");
    world.log.hold_sends_of("producer", true);
    writer.send(record(&log, "k", Some("b"))).expect("send");
    let ticket = writer.start_abort();
    answer(&world, &mut *writer, ticket).expect("nothing of it is in the log, and the producer goes on");
    world.log.hold_sends_of("producer", false);
    transaction(&world, &mut *writer, &log, &["c"], true);
    assert_eq!(committed_values(&world), ["a", "c"]);
}

#[test]
fn held_markers_hold_back_the_log_the_offsets_and_the_next_transaction() {
    let (world, log) = with_topic(&[]);
    let reader = member(&world, "g", "a", &["t".to_owned()]);
    let mut writer = producer(&world, Some("id"));
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("a"))).expect("send");
    let sent = writer.start_send_offsets(offsets(&log, 1), reader.group_metadata());
    answer(&world, &mut *writer, sent).expect("offsets");
    world.log.hold_markers(true);
    commit(&world, &mut *writer);
    assert!(committed_values(&world).is_empty());
    assert_eq!(world.log.committed("g", std::slice::from_ref(&log)), None);
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("b"))).expect("send");
    let ticket = writer.start_commit();
    assert_eq!(writer.poll(ticket), None);
    world.log.hold_markers(false);
    writer.poll(ticket).expect("answered").expect("commit");
    assert_eq!(committed_values(&world), ["a", "b"]);
    assert_eq!(world.log.committed("g", std::slice::from_ref(&log)), Some(offsets(&log, 1)));
}

#[test]
fn a_full_queue_takes_no_more() {
    let (world, log) = with_topic(&[]);
    let mut writer = world.client("a").producer(None).expect("client");
    world.log.outage(true);
    let mut records = vec![record(&log, "k", Some("a")); 100_002];
    refused(FailureKind::Retriable, writer.send_all(&mut records));
    assert_eq!(records.len(), 2);
    refused(FailureKind::Retriable, writer.send(record(&log, "k", Some("b"))));
    world.log.outage(false);
    flush(&world, &mut *writer);
    writer.send_all(&mut records).expect("room again");
    assert_eq!(end(&world, &log), 100_002);
}

#[test]
fn a_refused_record_stays_first_and_those_before_it_are_written() {
    let (world, log) = with_topic(&[("max.message.bytes", "200")]);
    let mut writer = world.client("a").producer(None).expect("client");
    let large = "x".repeat(200);
    let mut records: Vec<_> = ["a", &large, "c"].map(|value| record(&log, "k", Some(value))).into();
    refused(FailureKind::Fatal, writer.send_all(&mut records));
    assert_eq!(records, ["x".repeat(200).as_str(), "c"].map(|value| record(&log, "k", Some(value))));
    assert_eq!(committed_values(&world), ["a"]);
}

#[test]
fn a_record_refused_after_it_was_taken_fails_the_flush_and_the_transaction() {
    let (world, log) = with_topic(&[("max.message.bytes", "200")]);
    let (mut plain, mut writer) =
        (world.client("a").producer(None).expect("client"), producer(&world, Some("id")));
    writer.begin().expect("begin");
    world.log.outage(true);
    let large = "x".repeat(200);
    for writer in [&mut plain, &mut writer] {
        writer.send(record(&log, "k", Some(&large))).expect("taken");
        writer.send(record(&log, "k", Some("b"))).expect("taken");
    }
    world.log.outage(false);
    let flushed = plain.start_flush();
    refused(FailureKind::Fatal, answer(&world, &mut *plain, flushed));
    assert_eq!(numbers(&flush(&world, &mut *plain), &log), [0]);
    let ticket = writer.start_commit();
    refused(FailureKind::Abortable, answer(&world, &mut *writer, ticket));
    let ticket = writer.start_abort();
    answer(&world, &mut *writer, ticket).expect("abort");
    assert_eq!(committed_values(&world), ["b"]);
}

#[test]
fn what_a_lost_flush_would_have_told_is_told_by_the_next() {
    let (world, log) = with_topic(&[]);
    let mut writer = world.client("a").producer(None).expect("client");
    writer.send(record(&log, "k", Some("a"))).expect("send");
    let lost = writer.start_flush();
    world.log.outage(true);
    world.pass(TIMEOUTS.request);
    refused(FailureKind::Retriable, writer.poll(lost).expect("timed out"));
    writer.send(record(&log, "k", Some("b"))).expect("taken");
    world.log.outage(false);
    assert_eq!(numbers(&flush(&world, &mut *writer), &log), [0, 1]);
}
