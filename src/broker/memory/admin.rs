//! Questions, restore reads and administration.

use super::MemoryLog;
use super::calls::{Calls, Progress, Request};
use super::state::State;
use crate::broker::{Admin, Answer, FailureKind, Isolation, LogBounds, LogRecord, NewTopic, Offsets, Ticket};
use crate::record::TopicPartition;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct MemoryAdmin {
    log: MemoryLog,
    client: Arc<str>,
    describes: Calls<Describe, BTreeMap<String, NewTopic>>,
    creates: Calls<Create, ()>,
    bounds: Calls<Bounds, BTreeMap<TopicPartition, LogBounds>>,
    committed: Calls<Committed, Offsets>,
    times: Calls<Times, BTreeMap<TopicPartition, i64>>,
}

impl MemoryAdmin {
    pub(super) fn new(log: MemoryLog, client: Arc<str>) -> Self {
        Self {
            log,
            client,
            describes: Calls::default(),
            creates: Calls::default(),
            bounds: Calls::default(),
            committed: Calls::default(),
            times: Calls::default(),
        }
    }
}

/// A question, or a request that may be repeated.
pub(super) trait Question: Request {
    type Told;
    fn attempt(&self, state: &mut State, now: i64) -> Progress<Self::Told>;
}

impl<R: Question> Calls<R, R::Told> {
    fn ask(&mut self, log: &MemoryLog, client: &str, question: R) -> Ticket {
        let (mut state, now) = log.current();
        let reaches = state.faults.reaches(client);
        let progress = if reaches { question.attempt(&mut state, now) } else { Progress::Wait };
        self.start(state.ticket(), question, now + state.timeouts.request, progress)
    }

    fn hear(&mut self, log: &MemoryLog, client: &str, ticket: Ticket) -> Option<Answer<R::Told>> {
        let (mut state, now) = log.current();
        let reaches = state.faults.reaches(client);
        self.poll(ticket, now, reaches, |question| question.attempt(&mut state, now))
    }
}

/// Every question may be asked again.
macro_rules! retriable {
    ($($request:ty: $name:literal),+ $(,)?) => {$(
        impl Request for $request {
            fn name(&self) -> &'static str {
                $name
            }
            fn on_timeout(&self) -> FailureKind {
                FailureKind::Retriable
            }
        }
    )+};
}
retriable!(Describe: "describe topics", Create: "create topics", Bounds: "ends of the logs", Committed: "committed offsets", Times: "offsets for times");

struct Describe(Vec<String>);

impl Question for Describe {
    type Told = BTreeMap<String, NewTopic>;
    fn attempt(&self, state: &mut State, _: i64) -> Progress<Self::Told> {
        Progress::Done(Ok(describe(state, &self.0)))
    }
}

/// The topics named, or all.
pub(super) fn describe(state: &State, names: &[String]) -> BTreeMap<String, NewTopic> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    let topics = state.topics.iter().filter(|(name, _)| wanted(name));
    let describe = |(name, topic): (&Arc<str>, &super::topic::Topic)| {
        let partitions = topic.partitions.len() as u32;
        (name.to_string(), NewTopic { name: name.to_string(), partitions, config: topic.config.clone() })
    };
    topics.map(describe).collect()
}

struct Create(Vec<NewTopic>);

impl Question for Create {
    type Told = ();
    fn attempt(&self, state: &mut State, now: i64) -> Progress<()> {
        Progress::Done(self.0.iter().try_for_each(|topic| state.create_topic(topic, now)))
    }
}

struct Bounds(Vec<TopicPartition>, Isolation);

impl Question for Bounds {
    type Told = BTreeMap<TopicPartition, LogBounds>;
    fn attempt(&self, state: &mut State, _: i64) -> Progress<Self::Told> {
        Progress::Done(self.0.iter().map(|at| Ok((at.clone(), state.bounds(at, self.1)?))).collect())
    }
}

struct Committed(String, Vec<TopicPartition>);

impl Question for Committed {
    type Told = Offsets;
    fn attempt(&self, state: &mut State, _: i64) -> Progress<Offsets> {
        match state.groups.get(&self.0).map(|group| group.stable_offsets(&self.1)) {
            None => Progress::Done(Ok(Offsets::new())),
            Some(None) => Progress::Wait,
            Some(Some(offsets)) => Progress::Done(Ok(offsets)),
        }
    }
}

struct Times(BTreeMap<TopicPartition, Timestamp>);

impl Question for Times {
    type Told = BTreeMap<TopicPartition, i64>;
    fn attempt(&self, state: &mut State, _: i64) -> Progress<Self::Told> {
        let offset = |(at, time): (&TopicPartition, &Timestamp)| {
            Ok((at.clone(), state.partition(at)?.offset_for_time(*time)))
        };
        Progress::Done(self.0.iter().map(offset).collect())
    }
}

impl Admin for MemoryAdmin {
    fn start_describe(&mut self, topics: Vec<String>) -> Ticket {
        self.describes.ask(&self.log, &self.client, Describe(topics))
    }
    fn poll_describe(&mut self, ticket: Ticket) -> Option<Answer<BTreeMap<String, NewTopic>>> {
        self.describes.hear(&self.log, &self.client, ticket)
    }
    fn start_create(&mut self, topics: Vec<NewTopic>) -> Ticket {
        self.creates.ask(&self.log, &self.client, Create(topics))
    }
    fn poll_create(&mut self, ticket: Ticket) -> Option<Answer<()>> {
        self.creates.hear(&self.log, &self.client, ticket)
    }
    fn start_bounds(&mut self, partitions: Vec<TopicPartition>, isolation: Isolation) -> Ticket {
        self.bounds.ask(&self.log, &self.client, Bounds(partitions, isolation))
    }
    fn poll_bounds(&mut self, ticket: Ticket) -> Option<Answer<BTreeMap<TopicPartition, LogBounds>>> {
        self.bounds.hear(&self.log, &self.client, ticket)
    }
    fn start_committed(&mut self, group: &str, partitions: Vec<TopicPartition>) -> Ticket {
        self.committed.ask(&self.log, &self.client, Committed(group.to_owned(), partitions))
    }
    fn poll_committed(&mut self, ticket: Ticket) -> Option<Answer<Offsets>> {
        self.committed.hear(&self.log, &self.client, ticket)
    }
    fn start_offsets_for_times(&mut self, times: BTreeMap<TopicPartition, Timestamp>) -> Ticket {
        self.times.ask(&self.log, &self.client, Times(times))
    }
    fn poll_offsets_for_times(&mut self, ticket: Ticket) -> Option<Answer<BTreeMap<TopicPartition, i64>>> {
        self.times.hear(&self.log, &self.client, ticket)
    }

    fn delete_records(&mut self, before: &BTreeMap<TopicPartition, i64>) {
        let (mut state, _) = self.log.current();
        if state.faults.reaches(&self.client) {
            state.delete_records(before);
        }
    }

    fn read(
        &mut self,
        from: &TopicPartition,
        offset: i64,
        isolation: Isolation,
        max: usize,
    ) -> Answer<(Vec<LogRecord>, i64)> {
        let (mut state, _) = self.log.current();
        if !state.faults.reaches(&self.client) {
            return Ok((Vec::new(), offset));
        }
        state.partition(from)?.read(offset, isolation, max)
    }

    /// Nothing is read ahead.
    fn stop_reading(&mut self, _partition: &TopicPartition) {}
}
