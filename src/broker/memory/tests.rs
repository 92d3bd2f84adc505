//! The contract on the in-process log, and what only it can do: faults, late requests, memory.

use super::*;
use crate::broker::Client;
use crate::broker::contract::{Harness, contract_suite};
use crate::time::ManualClock;
use std::sync::atomic::{AtomicU32, Ordering};

const TIMEOUTS: Timeouts = Timeouts { session: 1_000, rebalance: 10_000, request: 500, transaction: 2_000 };

struct MemoryHarness {
    log: MemoryLog,
    clock: ManualClock,
    names: AtomicU32,
}

fn harness() -> MemoryHarness {
    let clock = ManualClock::at(Timestamp(1_700_000_000_000));
    let log = MemoryLog::with_timeouts(Arc::new(clock.clone()), TIMEOUTS);
    MemoryHarness { log, clock, names: AtomicU32::new(0) }
}

impl Harness for MemoryHarness {
    fn client(&self, name: &str) -> Box<dyn Client> {
        Box::new(self.log.client(name))
    }
    fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.names.fetch_add(1, Ordering::SeqCst))
    }
    fn create_topic(&self, name: &str, partitions: u32, config: &[(&str, &str)]) {
        self.log.create_topic(name, partitions, config).expect("create");
    }
    fn delete_topic(&self, name: &str) {
        self.log.delete_topic(name);
    }
    fn pass(&self, ms: i64) {
        self.clock.advance(ms);
    }
    fn date(&self) -> Timestamp {
        self.clock.now()
    }
    fn session_timeout(&self) -> i64 {
        TIMEOUTS.session
    }
    fn rebalance_timeout(&self) -> i64 {
        TIMEOUTS.rebalance
    }
    fn transaction_timeout(&self) -> i64 {
        TIMEOUTS.transaction
    }
    fn compact(&self, _topic: &str) {
        self.log.compact(self.clock.now());
    }
    fn commit_bytes(&self, group: &str, at: &TopicPartition, offset: i64, metadata: &[u8]) {
        self.log.commit(group, &BTreeMap::from([(at.clone(), (offset, metadata.to_vec()))])).expect("commit");
    }
    fn lose_next_produce_answer(&self, client: &str) {
        self.log.lose_next(client, Call::Produce, Loss::Answer);
    }
}

contract_suite!(harness);

use crate::broker::contract::{
    Waiting, answer, at, commit, commit_offsets, flush, member, numbers, offsets, producer, record, refused,
    transaction, values,
};
use crate::broker::{FailureKind, GroupEvent};

/// A log with a topic of one partition, and that partition.
fn with_topic(config: &[(&str, &str)]) -> (MemoryHarness, TopicPartition) {
    let world = harness();
    world.create_topic("t", 1, config);
    (world, at("t", 0))
}

fn end(world: &MemoryHarness, log: &TopicPartition) -> i64 {
    world.log.bounds(log, Isolation::ReadUncommitted).expect("bounds").end
}

fn committed_values(world: &MemoryHarness) -> Vec<String> {
    values(&world.log.read_all("t").into_iter().map(|(_, record)| record).collect::<Vec<_>>())
}

#[test]
fn every_call_is_answered_at_the_first_poll_without_time_passing() {
    let (world, log) = with_topic(&[]);
    let client = world.client("a");
    let (mut writer, mut admin, mut reader) =
        (client.producer(Some("id")), client.admin(), client.consumer("g", "a"));
    reader.subscribe(&["t".to_owned()]);
    assert_eq!(reader.poll_group(), Some(GroupEvent::Assigned(vec![log.clone()])));
    let init = writer.start_init();
    assert!(writer.poll(init).expect("init").is_ok());
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("v"))).expect("send");
    let calls: [&dyn Fn(&mut dyn crate::broker::Producer) -> crate::broker::Ticket; 3] = [
        &|writer| writer.start_flush(),
        &|writer| writer.start_send_offsets(offsets(&log, 1), reader.group_metadata()),
        &|writer| writer.start_commit(),
    ];
    for start in calls {
        let ticket = start(&mut *writer);
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
    let (mut writer, mut ask) = (world.client("a").producer(None), world.client("a").admin());
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
    let mut killed = world.client("a").producer(None);
    killed.send(record(&log, "k", Some("arrived"))).expect("send");
    world.log.hold_sends_of("a", true);
    killed.send(record(&log, "k", Some("late"))).expect("send");
    killed.send(record(&log, "k", Some("lost"))).expect("send");
    let ticket = killed.start_flush();
    assert_eq!(killed.poll(ticket), None);
    drop(killed);
    world.log.hold_sends_of("a", false);
    let mut next = world.client("a").producer(None);
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
    let mut writer = world.client("a").producer(None);
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
    let mut writer = world.client("a").producer(None);
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
    let mut writer = world.client("a").producer(None);
    let large = "x".repeat(200);
    let mut records: Vec<_> = ["a", &large, "c"].map(|value| record(&log, "k", Some(value))).into();
    refused(FailureKind::Fatal, writer.send_all(&mut records));
    assert_eq!(records, ["x".repeat(200).as_str(), "c"].map(|value| record(&log, "k", Some(value))));
    assert_eq!(committed_values(&world), ["a"]);
}

#[test]
fn a_record_refused_after_it_was_taken_fails_the_flush_and_the_transaction() {
    let (world, log) = with_topic(&[("max.message.bytes", "200")]);
    let (mut plain, mut writer) = (world.client("a").producer(None), producer(&world, Some("id")));
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

fn slots(world: &MemoryHarness, log: &TopicPartition) -> (usize, usize) {
    let mut state = world.log.lock();
    let records = &state.partition(log).expect("partition").records;
    (records.len(), records.capacity())
}

#[test]
fn memory_of_deleted_records_is_given_back() {
    let (world, log) = with_topic(&[]);
    let value: crate::broker::Bytes = b"shared"[..].into();
    let mut records = vec![record(&log, "k", None); 50_000];
    records.iter_mut().for_each(|record| record.value = Some(value.clone()));
    world.log.append(&mut records).expect("append");
    drop(records);
    assert_eq!(Arc::strong_count(&value), 50_001);
    world.log.delete_records(&BTreeMap::from([(log.clone(), 49_990)]));
    assert_eq!(Arc::strong_count(&value), 11);
    let (held, room) = slots(&world, &log);
    assert!(held == 10 && room < 2_000, "{held} records in {room} slots");
    assert_eq!(world.log.read(&log, 49_990, Isolation::ReadCommitted, 1).expect("read").0[0].offset, 49_990);
}

#[test]
fn a_changelog_does_not_grow_without_bound() {
    let (world, log) = with_topic(&[("cleanup.policy", "compact")]);
    for round in 0..100 {
        let mut records: Vec<_> =
            (0..1_000).map(|n| record(&log, &format!("{}", n % 100), Some("v"))).collect();
        world.log.append(&mut records).expect("append");
        let (held, room) = slots(&world, &log);
        assert!(held <= 21_000 && room <= 65_536, "{held} records in {room} slots in round {round}");
    }
    world.log.compact(world.clock.now());
    assert_eq!(slots(&world, &log).0, 100);
    assert_eq!(end(&world, &log), 100_000);
}

#[test]
fn the_next_timeout_is_told_and_kept() {
    let (world, log) = with_topic(&[]);
    assert_eq!(world.log.next_timeout(), None);
    let mut writer = producer(&world, Some("id"));
    writer.begin().expect("begin");
    writer.send(record(&log, "k", Some("a"))).expect("send");
    assert_eq!(world.log.next_timeout(), Some(TIMEOUTS.transaction));
    let killed = member(&world, "g", "a", &["t".to_owned()]);
    drop(killed);
    assert_eq!(world.log.next_timeout(), Some(TIMEOUTS.session));
    world.pass(TIMEOUTS.session);
    assert_eq!(world.log.next_timeout(), Some(TIMEOUTS.transaction));
    world.pass(TIMEOUTS.transaction - TIMEOUTS.session);
    assert_eq!(world.log.next_timeout(), None);
    assert_eq!(end(&world, &log), 2, "aborted by whoever looked");
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let (world, _) = with_topic(&[]);
    world.create_topic("application-some-store-repartition", 4, &[]);
    for n in 0..20 {
        world.create_topic(&format!("application-some-store-{n}-changelog"), 4, &[]);
    }
    let clock = std::sync::Arc::new(crate::time::SystemClock::new());
    let _ = &clock;
    let logs: Vec<_> = (0..4).map(|p| at("application-some-store-repartition", p)).collect();
    let bytes: crate::broker::Bytes = b"0123456789012345678901234567890123456789"[..].into();
    for id in [None, Some("id")] {
        for batch in [1usize, 500] {
            let mut writer = producer(&world, id);
            if id.is_some() {
                writer.begin().expect("begin");
            }
            let mut made: Vec<Vec<_>> = (0..1_000_000 / batch)
                .map(|b| {
                    (0..batch)
                        .map(|n| {
                            let mut r = record(&logs[(b + n) % 4], "k", None);
                            r.key = Some(bytes.clone());
                            r.value = Some(bytes[..].into());
                            r
                        })
                        .collect()
                })
                .collect();
            let start = clock.monotonic();
            for records in &mut made {
                if batch == 1 {
                    writer.send(records.pop().expect("one")).expect("send");
                } else {
                    writer.send_all(records).expect("send");
                }
            }
            let sent = clock.monotonic();
            let ticket = writer.start_flush();
            writer.poll(ticket).expect("flush").expect("flush");
            if id.is_some() {
                commit(&world, &mut *writer);
            }
            let mut reader = world.client("r").consumer("g", "r");
            let mut n = 0;
            let from = clock.monotonic();
            for log in &logs {
                reader.seek(log, world.log.bounds(log, Isolation::ReadCommitted).expect("bounds").start);
                loop {
                    let got = reader.fetch(log, 500).expect("fetch").records.len();
                    n += got;
                    if got == 0 {
                        break;
                    }
                }
            }
            let read = clock.monotonic();
            eprintln!(
                "id {id:?} batch {batch}: send {} ns, fetch {} ns of {n}",
                (sent - start),
                (read - from)
            );
            let before = logs.iter().map(|l| (l.clone(), i64::MAX)).collect();
            world.log.delete_records(&before);
            eprintln!("delete {} ns", clock.monotonic() - read);
        }
    }
}
