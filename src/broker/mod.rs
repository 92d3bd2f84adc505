//! What the engine needs of Kafka, as narrow traits. Nothing here blocks.
//!
//! A call that may wait is a **start** that returns a [`Ticket`] at once; a later `poll` gives its [`Answer`]. The
//! in-memory log and the Kafka client promise the same, and pass the same contract suite.
//! Positions step over transaction markers and aborted batches; an offset of a record is never used as progress.

#[cfg(test)]
mod contract;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
pub(crate) mod memory;
mod record_size;

use crate::record::{Headers, TopicPartition};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a record, shared between the log and its readers.
pub(crate) type Bytes = std::sync::Arc<[u8]>;

/// A record as a log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRecord {
    pub(crate) offset: i64,
    pub(crate) timestamp: Timestamp,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Headers,
}

/// A record on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) target: TopicPartition,
    pub(crate) timestamp: Timestamp,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Headers,
}

/// Why a call failed, by what its caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Nothing happened; try again.
    Retriable,
    /// It may have happened.
    Unknown,
    /// Abort the transaction, then go on.
    Abortable,
    /// Another producer or member took over: rebuild.
    Fenced,
    /// An offset outside the log.
    OutOfRange,
    /// Nothing will help.
    Fatal,
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
    /// Of a record that was refused because of its size.
    pub(crate) too_large: Option<TooLarge>,
}

/// A record that is larger than its topic takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) topic: Arc<str>,
    /// As [`Outgoing::size`] has it.
    pub(crate) size: usize,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), too_large: None }
    }
    /// This record is the reason: it is larger than its topic takes.
    pub(crate) fn too_large(self, record: &Outgoing) -> Self {
        let too_large = Some(TooLarge { topic: record.target.topic.clone(), size: record.size() });
        Self { too_large, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for Failure {}

/// Names a started call until its answer was taken. Unique within one client object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// The answer of a started call: the payload is the call's own.
pub(crate) type Answer<T> = Result<T, Failure>;

/// Which records a reader sees, and what an end of a log means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

/// A committed position with its metadata (at most `offset.metadata.max.bytes`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    pub(crate) metadata: String,
}

/// Positions of several partitions.
pub(crate) type Offsets = BTreeMap<TopicPartition, CommittedOffset>;

/// Offsets of acknowledged records, per partition as ascending ranges: bounded by the gaps, not by the records.
pub(crate) type Acknowledged = BTreeMap<TopicPartition, Vec<Range<i64>>>;

/// Who a member is in its group, read at the moment of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupMetadata {
    pub(crate) group: String,
    /// Empty while the member is not in the group.
    pub(crate) member: String,
    /// Negative while the member is not in the group.
    pub(crate) generation: i32,
}

/// What happened to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupEvent {
    /// All partitions that are owned from now on, in the new generation (eager: nothing is owned before it).
    Assigned(Vec<TopicPartition>),
    /// Give everything back; acknowledged by `acknowledge_revocation`, until which the group waits (to a deadline).
    /// Between two `Assigned` there is always a `Revoked` or a `Lost`, even if nothing was owned.
    Revoked,
    /// The group went on without this member: no commit will be accepted. Nothing is to be acknowledged.
    Lost,
}

/// Records read from a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) records: Vec<LogRecord>,
}

/// A member of a consumer group that reads its partitions read-committed.
pub(crate) trait Consumer: Send {
    /// Joins the group (again) with these topics; what is owned is given back first (`Revoked`).
    fn subscribe(&mut self, topics: &[String]);
    /// The next thing that happened to the membership. Also sends the heartbeat: a member that does not call this
    /// for a session timeout is evicted.
    fn poll_group(&mut self) -> Option<GroupEvent>;
    fn acknowledge_revocation(&mut self);
    fn group_metadata(&self) -> GroupMetadata;
    /// Starts reading a partition at an offset.
    fn seek(&mut self, partition: &TopicPartition, offset: i64);
    /// Records from the position on, at most `max`, and moves the position. Empty: nothing there now (or no answer).
    fn fetch(&mut self, partition: &TopicPartition, max: usize) -> Answer<Fetched>;
    /// Where the next `fetch` continues, past markers and aborted records that were stepped over.
    fn position(&self, partition: &TopicPartition) -> Option<i64>;
    /// The end of what can be read of a partition that is read, as far as it is known without asking.
    fn known_end(&self, partition: &TopicPartition) -> Option<i64>;
    /// Starts an offset commit that checks member and generation (and not who owns the partition).
    fn start_commit(&mut self, offsets: Offsets) -> Ticket;
    fn poll_commit(&mut self, ticket: Ticket) -> Option<Answer<()>>;
    /// Leaves the group at once.
    fn leave(&mut self);
}

/// An idempotent producer, transactional if it was made with an id. Records of one partition keep their order.
pub(crate) trait Producer: Send {
    /// Registers the transactional id: fences older producers and resolves their dangling transaction.
    fn start_init(&mut self) -> Ticket;
    /// Local; a transactional producer sends only inside a transaction.
    fn begin(&mut self) -> Answer<()>;
    /// Hands a record over; `Retriable`: the queue is full, the record was not taken.
    #[cfg_attr(not(test), expect(dead_code, reason = "the engine hands over in batches"))]
    fn send(&mut self, record: Outgoing) -> Answer<()>;
    /// Hands records over in order, in one piece where that is cheaper, and removes them from `records`. After a
    /// failure the first one left is the one that was refused.
    fn send_all(&mut self, records: &mut Vec<Outgoing>) -> Answer<()>;
    /// Answered when every record handed over before is acknowledged, with the offsets of those that were not told
    /// before; with the first failure if one was refused after it had been handed over.
    fn start_flush(&mut self) -> Ticket;
    /// Sends positions into the open transaction. An empty list is refused.
    fn start_send_offsets(&mut self, offsets: Offsets, group: GroupMetadata) -> Ticket;
    /// Flushes, then commits. May be called again after `Unknown`: the same request twice is one commit.
    fn start_commit(&mut self) -> Ticket;
    fn start_abort(&mut self) -> Ticket;
    /// Errors so far that belong to no call: a connection that was lost, a broker that said no.
    fn troubles(&self) -> u64 {
        0
    }
    /// The offsets are those of a flush or of a commit, and empty for other calls.
    fn poll(&mut self, ticket: Ticket) -> Option<Answer<Acknowledged>>;
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    pub(crate) partitions: u32,
    pub(crate) config: BTreeMap<String, String>,
}

/// What a log says of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogBounds {
    pub(crate) start: i64,
    /// Log end offset, or last stable offset if asked for read-committed.
    pub(crate) end: i64,
}

/// Questions, restore reads and administration, beside the group.
pub(crate) trait Admin: Send {
    /// Topics by name with their partition counts and configuration; missing ones are left out. None named: all.
    fn start_describe(&mut self, topics: Vec<String>) -> Ticket;
    fn poll_describe(&mut self, ticket: Ticket) -> Option<Answer<BTreeMap<String, NewTopic>>>;
    /// An existing topic is no failure.
    fn start_create(&mut self, topics: Vec<NewTopic>) -> Ticket;
    fn poll_create(&mut self, ticket: Ticket) -> Option<Answer<()>>;
    fn start_bounds(&mut self, partitions: Vec<TopicPartition>, isolation: Isolation) -> Ticket;
    fn poll_bounds(&mut self, ticket: Ticket) -> Option<Answer<BTreeMap<TopicPartition, LogBounds>>>;
    /// With require-stable: unanswered (retriable at its deadline) while a transaction with offsets is open.
    fn start_committed(&mut self, group: &str, partitions: Vec<TopicPartition>) -> Ticket;
    fn poll_committed(&mut self, ticket: Ticket) -> Option<Answer<Offsets>>;
    /// Per partition the offset of the first record at or after a time, or the log end if there is none.
    fn start_offsets_for_times(&mut self, times: BTreeMap<TopicPartition, Timestamp>) -> Ticket;
    fn poll_offsets_for_times(&mut self, ticket: Ticket) -> Option<Answer<BTreeMap<TopicPartition, i64>>>;
    /// Deletes records before the offsets. Fire and forget: a failure is repeated by the next call.
    fn delete_records(&mut self, before: &BTreeMap<TopicPartition, i64>);
    /// Reads a partition from an offset: the records, and the position to go on at.
    fn read(
        &mut self,
        from: &TopicPartition,
        offset: i64,
        isolation: Isolation,
        max: usize,
    ) -> Answer<(Vec<LogRecord>, i64)>;
    /// It will not be read on: what was read ahead is given up.
    fn stop_reading(&mut self, partition: &TopicPartition);
}

/// Makes the client objects of one process.
pub(crate) trait Client: Send + Sync {
    fn consumer(&self, group: &str, member_name: &str) -> Answer<Box<dyn Consumer>>;
    /// With an id it is transactional.
    fn producer(&self, transactional_id: Option<&str>) -> Answer<Box<dyn Producer>>;
    fn admin(&self) -> Answer<Box<dyn Admin>>;
}
