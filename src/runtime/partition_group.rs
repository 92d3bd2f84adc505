//! The buffered inputs of a task, and which record is next: the lowest timestamp, ties by topic and partition.
//!
//! The head of a partition is decoded for its timestamp; what lies behind it stays bytes. A partition has three
//! offsets: **fetched**, where the client reads on (it steps over transaction markers); **processed**, which is that
//! one once nothing is buffered; **handled**, after the last record handled: what is committed.

use crate::broker::LogRecord;
use crate::record::{RecordMetadata, TopicPartition};
use crate::time::{Timestamp, millis};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// A decoded record at the front of its partition. Orders by what decides who is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Head {
    pub(crate) at: Timestamp,
    /// Among the task's partitions, by topic and partition.
    rank: usize,
    pub(crate) input: usize,
}

#[derive(Debug)]
struct Buffer {
    /// The record that is being processed.
    metadata: RecordMetadata,
    rank: usize,
    queue: VecDeque<LogRecord>,
    /// Whether the front is decoded.
    head: bool,
    fetched: i64,
    handled: i64,
    partition_time: Timestamp,
    wait: Wait,
}

/// What an empty partition makes the others wait for (machine's clock).
#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    /// The log end that was last heard, read-committed.
    end: Option<i64>,
    asked: Option<i64>,
    /// Caught up: waited for until then.
    until: Option<i64>,
}

/// The heads by order, the lowest at hand: most tasks have one input.
#[derive(Debug, Default)]
struct Heads {
    lowest: Option<Head>,
    others: BinaryHeap<Reverse<Head>>,
}

impl Heads {
    #[inline]
    fn push(&mut self, head: Head) {
        match &mut self.lowest {
            None => self.lowest = Some(head),
            Some(lowest) if head < *lowest => self.others.push(Reverse(std::mem::replace(lowest, head))),
            Some(_) => self.others.push(Reverse(head)),
        }
    }
    #[inline]
    fn pop(&mut self) -> Option<Head> {
        let next = if self.others.is_empty() { None } else { self.others.pop().map(|Reverse(head)| head) };
        std::mem::replace(&mut self.lowest, next)
    }
    fn len(&self) -> usize {
        self.others.len() + usize::from(self.lowest.is_some())
    }
    fn is_empty(&self) -> bool {
        self.lowest.is_none()
    }
}

/// The inputs of one task.
#[derive(Debug)]
pub(crate) struct PartitionGroup {
    inputs: Vec<Buffer>,
    heads: Heads,
    /// Inputs whose front may have to be decoded.
    unsettled: Vec<usize>,
    /// `max.task.idle.ms`; `None`: never wait.
    max_idle: Option<Duration>,
    capacity: usize,
}

impl PartitionGroup {
    /// Partitions with the offset each is read from and its partition time so far.
    pub(crate) fn new(
        inputs: impl Iterator<Item = (TopicPartition, i64, Timestamp)>,
        max_idle: Option<Duration>,
        capacity: usize,
    ) -> Self {
        let mut inputs: Vec<Buffer> = inputs
            .map(|(source, offset, partition_time)| Buffer {
                metadata: RecordMetadata { source, offset },
                rank: 0,
                queue: VecDeque::new(),
                head: false,
                fetched: offset,
                handled: offset,
                partition_time,
                wait: Wait::default(),
            })
            .collect();
        let mut order: Vec<&mut Buffer> = inputs.iter_mut().collect();
        order.sort_by(|a, b| a.metadata.source.cmp(&b.metadata.source));
        order.into_iter().enumerate().for_each(|(rank, buffer)| buffer.rank = rank);
        Self { inputs, heads: Heads::default(), unsettled: Vec::new(), max_idle, capacity: capacity.max(1) }
    }

    /// Whether it is the first by topic and partition.
    pub(crate) fn is_first(&self, input: usize) -> bool {
        self.inputs.get(input).is_some_and(|buffer| buffer.rank == 0)
    }
    pub(crate) fn fetched(&self, input: usize) -> i64 {
        self.inputs.get(input).map_or(0, |buffer| buffer.fetched)
    }
    pub(crate) fn handled(&self, input: usize) -> i64 {
        self.inputs.get(input).map_or(0, |buffer| buffer.handled)
    }
    pub(crate) fn processed(&self, input: usize) -> i64 {
        let Some(buffer) = self.inputs.get(input) else { return 0 };
        buffer.queue.front().map_or(buffer.fetched, |front| front.offset)
    }
    pub(crate) fn partition_time(&self, input: usize) -> Timestamp {
        self.inputs.get(input).map_or(Timestamp::MIN, |buffer| buffer.partition_time)
    }
    pub(crate) fn buffered(&self, input: usize) -> usize {
        self.inputs.get(input).map_or(0, |buffer| buffer.queue.len())
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.iter().all(|buffer| buffer.queue.is_empty())
    }
    pub(crate) fn metadata(&self, input: usize) -> Option<&RecordMetadata> {
        self.inputs.get(input).map(|buffer| &buffer.metadata)
    }

    pub(crate) fn wants(&self, input: usize) -> bool {
        self.buffered(input) < self.capacity
    }

    pub(crate) fn receive(&mut self, input: usize, records: Vec<LogRecord>, fetched: i64) {
        let Some(buffer) = self.inputs.get_mut(input) else { return };
        buffer.fetched = fetched;
        if records.is_empty() {
            return;
        }
        if buffer.queue.is_empty() {
            buffer.queue = records.into();
        } else {
            buffer.queue.extend(records);
        }
        buffer.wait.until = None;
        if !buffer.head {
            self.unsettled.push(input);
        }
    }

    /// An input that has records and no head.
    #[inline]
    pub(crate) fn unsettled(&mut self) -> Option<usize> {
        while let Some(&input) = self.unsettled.last() {
            if self.inputs.get(input).is_some_and(|buffer| !buffer.head && !buffer.queue.is_empty()) {
                return Some(input);
            }
            self.unsettled.pop();
        }
        None
    }
    /// Its front, to be decoded; the coordinates are those of this record from now on.
    #[inline]
    pub(crate) fn front(&mut self, input: usize) -> Option<(&LogRecord, &RecordMetadata, Timestamp)> {
        let buffer = self.inputs.get_mut(input)?;
        let front = buffer.queue.front()?;
        buffer.metadata.offset = front.offset;
        Some((front, &buffer.metadata, buffer.partition_time))
    }
    /// The front was decoded.
    #[inline]
    pub(crate) fn decoded(&mut self, input: usize, at: Timestamp) {
        if let Some(buffer) = self.inputs.get_mut(input) {
            buffer.head = true;
            self.heads.push(Head { at, rank: buffer.rank, input });
        }
    }
    /// The front was handled without becoming a head.
    pub(crate) fn pass(&mut self, input: usize) {
        if let Some(record) = self.inputs.get_mut(input).and_then(|buffer| buffer.queue.pop_front()) {
            self.handle(input, record.offset);
        }
    }

    /// The record to process next.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<(Head, LogRecord)> {
        let head = self.heads.pop()?;
        let buffer = self.inputs.get_mut(head.input)?;
        let record = buffer.queue.pop_front()?;
        buffer.metadata.offset = record.offset;
        buffer.head = false;
        if !buffer.queue.is_empty() {
            self.unsettled.push(head.input);
        }
        Some((head, record))
    }
    /// A record that was taken is the next one again.
    pub(crate) fn put_back(&mut self, input: usize, record: LogRecord) {
        if let Some(buffer) = self.inputs.get_mut(input) {
            buffer.queue.push_front(record);
            self.unsettled.push(input);
        }
    }
    /// Its record moves time.
    #[inline]
    pub(crate) fn observe(&mut self, input: usize, at: Timestamp) {
        if let Some(buffer) = self.inputs.get_mut(input) {
            buffer.partition_time = buffer.partition_time.max(at);
        }
    }
    /// Its record at this offset need not be read again.
    #[inline]
    pub(crate) fn handle(&mut self, input: usize, offset: i64) {
        if let Some(buffer) = self.inputs.get_mut(input) {
            buffer.handled = offset + 1;
        }
    }

    /// Whether the lowest head is known to be the next record, or was waited for long enough.
    #[inline]
    pub(crate) fn ready(&mut self, machine: i64) -> bool {
        if self.heads.len() == self.inputs.len() {
            return true;
        }
        let Some(max_idle) = self.max_idle else { return !self.heads.is_empty() };
        if self.heads.is_empty() {
            return false;
        }
        let mut ready = true;
        for buffer in self.inputs.iter_mut().filter(|buffer| !buffer.head) {
            // Not known, or known to have data: it comes.
            let caught_up = buffer.wait.end.is_some_and(|end| end <= buffer.fetched);
            ready &= caught_up
                && machine >= *buffer.wait.until.get_or_insert(machine.saturating_add(millis(max_idle)));
        }
        ready
    }
    /// When waiting for caught-up partitions ends (machine's clock).
    pub(crate) fn waits_until(&self) -> Option<i64> {
        let waiting = self.inputs.iter().filter(|buffer| !buffer.head);
        (!self.heads.is_empty()).then(|| waiting.filter_map(|buffer| buffer.wait.until).max()).flatten()
    }

    /// Whether its log end must be asked for, so that the others need not wait for it; then notes that it was.
    pub(crate) fn asks(&mut self, input: usize, machine: i64, interval: Duration) -> bool {
        let several = self.inputs.len() > 1 && !self.heads.is_empty() && self.max_idle.is_some();
        let Some(buffer) = self.inputs.get_mut(input).filter(|buffer| several && !buffer.head) else {
            return false;
        };
        let due = buffer.wait.asked.is_none_or(|asked| machine >= asked.saturating_add(millis(interval)));
        if due {
            buffer.wait.asked = Some(machine);
        }
        due
    }
    /// When `asks` has to be called again.
    pub(crate) fn next_asks(&self, interval: Duration) -> Option<i64> {
        if self.inputs.len() < 2 || self.heads.is_empty() || self.max_idle.is_none() {
            return None;
        }
        let empty = self.inputs.iter().filter(|buffer| !buffer.head);
        empty
            .map(|buffer| buffer.wait.asked.map_or(i64::MIN, |asked| asked.saturating_add(millis(interval))))
            .min()
    }
    /// After a pause: nothing is known of their ends, and no wait has begun.
    pub(crate) fn forget_waits(&mut self) {
        self.inputs.iter_mut().for_each(|buffer| buffer.wait = Wait::default());
    }
    pub(crate) fn answered(&mut self, input: usize, end: i64) {
        if let Some(buffer) = self.inputs.get_mut(input) {
            buffer.wait.end = Some(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Headers;
    use crate::time::milliseconds as ms;

    fn record(offset: i64, at: i64) -> LogRecord {
        LogRecord { offset, timestamp: Timestamp(at), key: None, value: None, headers: Headers::new() }
    }
    fn group(topics: &[&str], max_idle: Option<Duration>) -> PartitionGroup {
        let inputs = topics.iter().map(|topic| (TopicPartition::new(*topic, 0), 0, Timestamp::MIN));
        PartitionGroup::new(inputs, max_idle, 3)
    }
    fn settle(group: &mut PartitionGroup) {
        while let Some(input) = group.unsettled() {
            let at = group.front(input).expect("a front").0.timestamp;
            group.decoded(input, at);
        }
    }
    fn drain(group: &mut PartitionGroup) -> Vec<(usize, i64)> {
        let mut taken = Vec::new();
        loop {
            settle(group);
            let Some((head, record)) = group.take() else { return taken };
            taken.push((head.input, record.offset));
        }
    }

    #[test]
    fn lowest_timestamp_first_then_topic_then_offset() {
        let mut group = group(&["b", "a", "c"], None);
        group.receive(0, vec![record(0, 5), record(1, 5), record(2, 1)], 3);
        group.receive(1, vec![record(0, 5), record(1, 5)], 2);
        group.receive(2, vec![record(0, 4), record(1, 6)], 2);
        // Equal heads: the first partition is drained; a record behind its head waits, however old.
        assert_eq!(drain(&mut group), [(2, 0), (1, 0), (1, 1), (0, 0), (0, 1), (0, 2), (2, 1)]);
    }

    #[test]
    fn three_offsets() {
        let mut group = group(&["a"], None);
        group.receive(0, vec![record(4, 5), record(6, 7)], 9);
        assert_eq!((group.fetched(0), group.processed(0), group.handled(0)), (9, 4, 0));
        settle(&mut group);
        group.take().expect("a record");
        group.handle(0, 4);
        assert_eq!((group.fetched(0), group.processed(0), group.handled(0)), (9, 6, 5));
        settle(&mut group);
        group.take().expect("a record");
        group.handle(0, 6);
        assert_eq!((group.fetched(0), group.processed(0), group.handled(0)), (9, 9, 7));
        group.receive(0, Vec::new(), 11);
        assert_eq!((group.processed(0), group.handled(0)), (11, 7), "markers were stepped over");
    }

    #[test]
    fn wants_up_to_its_capacity() {
        let mut group = group(&["a"], None);
        group.receive(0, vec![record(0, 5), record(1, 5)], 2);
        assert!(group.wants(0));
        group.receive(0, vec![record(2, 5)], 3);
        assert!(!group.wants(0));
    }

    /// `max.task.idle.ms` of -1.
    #[test]
    fn never_waits() {
        let mut group = group(&["a", "b"], None);
        assert!(!group.ready(0));
        group.receive(0, vec![record(0, 5)], 1);
        settle(&mut group);
        assert!(group.ready(0));
        assert!(!group.asks(1, 0, ms(10)));
    }

    /// `max.task.idle.ms` of 0.
    #[test]
    fn waits_while_a_partition_is_known_to_have_data() {
        let mut group = group(&["a", "b"], Some(Duration::ZERO));
        group.receive(0, vec![record(0, 5)], 1);
        settle(&mut group);
        assert!(!group.ready(0), "nothing is known of b");
        assert!(!group.asks(0, 0, ms(10)), "a has data");
        assert!(group.asks(1, 0, ms(10)) && !group.asks(1, 9, ms(10)) && group.asks(1, 10, ms(10)));
        group.answered(1, 2);
        assert!(!group.ready(20), "b has data that were not fetched");
        group.receive(1, Vec::new(), 2);
        assert!(group.ready(20), "b is caught up: those were markers");
    }

    #[test]
    fn after_a_pause_it_waits_until_the_ends_are_known_again() {
        let mut group = group(&["a", "b"], Some(ms(50)));
        group.receive(0, vec![record(0, 5)], 1);
        settle(&mut group);
        assert!(group.asks(1, 0, ms(1_000)));
        group.answered(1, 0);
        assert!(!group.ready(10) && group.waits_until() == Some(60));
        group.forget_waits();
        assert!(!group.ready(1_000), "b may have grown");
        assert!(group.asks(1, 20, ms(1_000)), "asked at once");
        group.answered(1, 0);
        assert!(!group.ready(1_000) && group.ready(1_050));
    }

    /// `max.task.idle.ms` above 0.
    #[test]
    fn waits_so_long_for_a_partition_that_is_caught_up() {
        let mut group = group(&["a", "b"], Some(ms(50)));
        group.receive(0, vec![record(0, 5), record(1, 9)], 2);
        settle(&mut group);
        group.answered(1, 0);
        assert!(!group.ready(100));
        assert_eq!(group.waits_until(), Some(150));
        assert!(!group.ready(149) && group.ready(150));
        group.receive(1, vec![record(0, 4)], 1);
        settle(&mut group);
        assert_eq!(group.take().expect("b").0.input, 1);
        assert!(!group.ready(160), "the wait starts anew");
        assert_eq!(group.waits_until(), Some(210));
    }
}
