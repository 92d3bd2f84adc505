//! What every implementation of the client traits has to keep: one suite, written against the traits alone.
//!
//! `contract_suite!(harness)` makes a test of each item, where `harness` is a function that gives a fresh [`Harness`].
//! Nothing in here knows how a log is made: time passes through the harness, and answers are waited for to a deadline.

pub(crate) mod group;
pub(crate) mod log;
pub(crate) mod transactions;

use super::{
    Acknowledged, Admin, Answer, Client, CommittedOffset, Consumer, Failure, FailureKind, GroupEvent,
    Isolation, LogBounds, LogRecord, Offsets, Outgoing, Producer, Ticket,
};
use crate::record::{Headers, TopicPartition};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A log under test, and the world around it.
pub(crate) trait Harness {
    /// The client objects of a process of this name.
    fn client(&self, name: &str) -> Box<dyn Client>;
    /// A name of a topic, group or transactional id that nobody else uses.
    fn unique(&self, name: &str) -> String;
    fn create_topic(&self, name: &str, partitions: u32, config: &[(&str, &str)]);
    fn delete_topic(&self, name: &str);
    /// Lets so many ms pass for the log and its clients.
    fn pass(&self, ms: i64);
    /// Passes of 1 ms after which a wait has failed.
    fn patience(&self) -> u32 {
        2_000
    }
    /// How long a member may go without being polled before it is out of its group.
    fn silence(&self) -> i64 {
        self.session_timeout()
    }
    /// The date by which compaction measures ages.
    fn date(&self) -> Timestamp;
    fn session_timeout(&self) -> i64;
    fn rebalance_timeout(&self) -> i64;
    fn transaction_timeout(&self) -> i64;
    /// Returns when compaction has passed over a topic, all but its tail, which are the last records of its log; `false`
    /// where that cannot be seen.
    fn compact(&self, topic: &str) -> bool;
    /// Commits an offset as a foreign tool does, with metadata of any bytes.
    fn commit_bytes(&self, group: &str, at: &TopicPartition, offset: i64, metadata: &[u8]);
    /// The next records that this client hands over arrive, and the answer to them is lost.
    fn lose_next_produce_answer(&self, client: &str);
}

/// Makes a test of each item of the suite.
/// With `optional` the function gives an option, and without a harness a test has nothing to do.
macro_rules! contract_suite {
    ($harness:path) => {
        fn some_harness() -> Option<impl $crate::broker::contract::Harness> {
            Some($harness())
        }
        $crate::broker::contract::contract_suite!(optional some_harness);
    };
    (optional $harness:path) => {
        $crate::broker::contract::contract_suite! { $harness;
            log: transaction_markers_take_offsets, a_log_that_ends_in_a_marker_is_read_to_its_end,
                a_log_that_ends_in_an_aborted_batch_is_read_to_its_end,
                a_position_does_not_pass_an_open_transaction, interleaved_transactions_are_told_apart,
                log_end_by_isolation_level, log_end_is_not_older_than_its_question,
                log_start_after_record_deletion, an_offset_out_of_range,
                compaction_keeps_the_last_value_per_key_and_the_tail, compaction_drops_what_was_aborted,
                compaction_spares_what_is_younger_than_the_lag, tombstones_go_later,
                a_record_that_is_too_large, a_record_without_a_key_is_refused_by_a_compacted_topic,
                everything_of_a_record_is_kept, order_under_retries_and_duplicates_dropped,
                acknowledged_offsets_are_those_in_the_log, deletion_of_a_topic_in_use, offsets_for_times,
                topics_are_described_as_they_were_created;
            group: partitions_are_shared_and_co_partitioned, offset_metadata_is_kept,
                offset_metadata_above_the_limit_is_refused, offset_metadata_that_is_not_utf8,
                an_offset_commit_does_not_check_ownership, an_offset_commit_checks_member_and_generation,
                a_simple_commit_is_for_groups_without_members, a_revocation_acknowledged_later_than_it_came,
                a_revocation_never_acknowledged, a_silent_member_is_evicted, leaving_hands_over_at_once,
                a_killed_member_does_not_leave, subscribing_again_rejoins, a_partition_that_was_not_sought;
            transactions: require_stable_fetch, offsets_of_an_aborted_transaction_are_dropped,
                offsets_in_a_transaction_check_member_and_generation, a_fenced_producer_in_each_call,
                a_new_producer_resolves_a_dangling_transaction, a_transaction_that_takes_too_long_is_aborted,
                an_empty_transaction_is_fine, an_empty_list_of_offsets_is_refused, calls_out_of_turn_are_refused,
                a_commit_waits_for_its_records;
        }
    };
    ($harness:path; $($module:ident: $($test:ident),+;)+) => {$($(
        #[test]
        fn $test() {
            if let Some(harness) = $harness() {
                $crate::broker::contract::$module::$test(&harness);
            }
        }
    )+)+};
}
pub(crate) use contract_suite;

/// Waits for something to happen, while time passes.
#[track_caller]
pub(crate) fn until<T>(harness: &dyn Harness, what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    for _ in 0..harness.patience() {
        if let Some(found) = poll() {
            return found;
        }
        harness.pass(1);
    }
    panic!("{what}: nothing happened");
}

/// A topic of this test alone.
pub(crate) fn topic(harness: &dyn Harness, partitions: u32, config: &[(&str, &str)]) -> String {
    let name = harness.unique("topic");
    harness.create_topic(&name, partitions, config);
    name
}

pub(crate) fn at(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

pub(crate) fn record(target: &TopicPartition, key: &str, value: Option<&str>) -> Outgoing {
    Outgoing {
        target: target.clone(),
        timestamp: Timestamp(1_000),
        key: Some(key.as_bytes().into()),
        value: value.map(|value| value.as_bytes().into()),
        headers: Headers::new(),
    }
}

pub(crate) fn values(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or(b"-")).into_owned()).collect()
}

pub(crate) fn offsets(at: &TopicPartition, offset: i64) -> Offsets {
    Offsets::from([(at.clone(), CommittedOffset { offset, metadata: String::new() })])
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(kind: FailureKind, answer: Answer<T>) -> Failure {
    let failure = answer.expect_err("it should have been refused");
    assert_eq!(failure.kind, kind, "{failure}");
    failure
}

/// A client's objects, with calls that wait.
pub(crate) struct Waiting<'a> {
    pub(crate) harness: &'a dyn Harness,
    pub(crate) admin: Box<dyn Admin>,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(harness: &'a dyn Harness) -> Self {
        Self { harness, admin: harness.client("admin").admin().expect("client") }
    }

    #[track_caller]
    pub(crate) fn bounds(&mut self, of: &TopicPartition, isolation: Isolation) -> LogBounds {
        let ticket = self.admin.start_bounds(vec![of.clone()], isolation);
        let bounds = until(self.harness, "bounds", || self.admin.poll_bounds(ticket)).expect("bounds");
        bounds[of]
    }

    #[track_caller]
    pub(crate) fn committed(&mut self, group: &str, of: &TopicPartition) -> Option<CommittedOffset> {
        let ticket = self.admin.start_committed(group, vec![of.clone()]);
        until(self.harness, "committed", || self.admin.poll_committed(ticket)).expect("committed").remove(of)
    }

    /// As `committed`, asking again while a transaction that has offsets is not ended in the group's log.
    #[track_caller]
    pub(crate) fn stable(&mut self, group: &str, of: &TopicPartition) -> Option<CommittedOffset> {
        let mut ticket = self.admin.start_committed(group, vec![of.clone()]);
        until(self.harness, "stable offsets", || match self.admin.poll_committed(ticket)? {
            Ok(mut told) => Some(told.remove(of)),
            Err(failure) if failure.kind == FailureKind::Retriable => {
                ticket = self.admin.start_committed(group, vec![of.clone()]);
                None
            }
            Err(failure) => panic!("{failure}"),
        })
    }

    /// An ended transaction is answered before its markers are in all logs.
    #[track_caller]
    pub(crate) fn until_stable(&mut self, of: &TopicPartition) {
        until(self.harness, "markers", || {
            let end = self.bounds(of, Isolation::ReadUncommitted).end;
            (self.bounds(of, Isolation::ReadCommitted).end == end).then_some(())
        });
    }

    /// Reads from `offset` until the position has reached the end as it was when this began.
    #[track_caller]
    pub(crate) fn read(
        &mut self,
        from: &TopicPartition,
        mut offset: i64,
        isolation: Isolation,
    ) -> Vec<LogRecord> {
        let end = self.bounds(from, isolation).end;
        let mut all = Vec::new();
        until(self.harness, "read", || {
            let (records, next) = self.admin.read(from, offset, isolation, 3).expect("read");
            all.extend(records);
            offset = next;
            (offset >= end).then_some(())
        });
        all
    }
}

/// Takes the answer of a producer's call.
#[track_caller]
pub(crate) fn answer(
    harness: &dyn Harness,
    producer: &mut dyn Producer,
    ticket: Ticket,
) -> Answer<Acknowledged> {
    until(harness, "answer of a producer's call", || producer.poll(ticket))
}

#[track_caller]
pub(crate) fn flush(harness: &dyn Harness, producer: &mut dyn Producer) -> Acknowledged {
    let ticket = producer.start_flush();
    answer(harness, producer, ticket).expect("flush")
}

/// Hands a record over and flushes: a record may be refused by either.
pub(crate) fn send(
    harness: &dyn Harness,
    producer: &mut dyn Producer,
    record: Outgoing,
) -> Answer<Acknowledged> {
    producer.send(record)?;
    let ticket = producer.start_flush();
    answer(harness, producer, ticket)
}

/// A producer of a client named `producer`; with an id, initialised.
#[track_caller]
pub(crate) fn producer(harness: &dyn Harness, id: Option<&str>) -> Box<dyn Producer> {
    let mut producer = harness.client("producer").producer(id).expect("client");
    if id.is_some() {
        let ticket = producer.start_init();
        answer(harness, &mut *producer, ticket).expect("init");
    }
    producer
}

#[track_caller]
pub(crate) fn commit(harness: &dyn Harness, producer: &mut dyn Producer) {
    let ticket = producer.start_commit();
    answer(harness, producer, ticket).expect("commit");
}

#[track_caller]
pub(crate) fn abort(harness: &dyn Harness, producer: &mut dyn Producer) {
    let ticket = producer.start_abort();
    answer(harness, producer, ticket).expect("abort");
}

/// Sends values under the key `k` and ends the transaction.
#[track_caller]
pub(crate) fn transaction(
    harness: &dyn Harness,
    producer: &mut dyn Producer,
    target: &TopicPartition,
    values: &[&str],
    commits: bool,
) {
    producer.begin().expect("begin");
    for value in values {
        producer.send(record(target, "k", Some(value))).expect("send");
    }
    flush(harness, producer);
    if commits {
        commit(harness, producer);
    } else {
        abort(harness, producer);
    }
    Waiting::new(harness).until_stable(target);
}

/// The next group event of a member, while the others keep polling without an event of their own.
#[track_caller]
pub(crate) fn event(harness: &dyn Harness, member: &mut dyn Consumer) -> GroupEvent {
    until(harness, "group event", || member.poll_group())
}

/// A member that has joined alone, with what it was assigned.
#[track_caller]
pub(crate) fn member(harness: &dyn Harness, group: &str, name: &str, topics: &[String]) -> Box<dyn Consumer> {
    let mut member = harness.client(name).consumer(group, name).expect("client");
    member.subscribe(topics);
    assert!(matches!(event(harness, &mut *member), GroupEvent::Assigned(_)));
    member
}

#[track_caller]
pub(crate) fn commit_offsets(
    harness: &dyn Harness,
    member: &mut dyn Consumer,
    offsets: Offsets,
) -> Answer<()> {
    let ticket = member.start_commit(offsets);
    until(harness, "offset commit", || member.poll_commit(ticket))
}

/// Acknowledged offsets as single numbers.
pub(crate) fn numbers(acknowledged: &Acknowledged, of: &TopicPartition) -> Vec<i64> {
    acknowledged.get(of).into_iter().flatten().cloned().flatten().collect()
}

pub(crate) type Times = BTreeMap<TopicPartition, Timestamp>;
