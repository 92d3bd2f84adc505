//! Questions beside the group's, internal topics, and reads of changelogs.
//!
//! They go through consumers that are in no group: librdkafka looks after a coordinator that has moved only in a client
//! that has a group id, and reading needs one anyway.

use super::Waker;
use super::changelog_reader::ChangelogReader;
use super::failure::{Call, failure};
use super::ffi::{AdminEvent, Event, Handle, KafkaError, Notice, OfTopic, OffsetSpec, Question, Queue, Told};
use super::health::{self, Health};
use crate::broker::{
    Admin, Answer, CommittedOffset, Failure, FailureKind, Isolation, LogBounds, LogRecord, NewTopic, Offsets,
    Ticket,
};
use crate::record::TopicPartition;
use crate::time::{Clock, Timestamp};
use rdkafka::types::RDKafkaErrorCode as Code;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

type Topics = BTreeMap<String, NewTopic>;
type Handles = Box<dyn Fn(Isolation) -> Answer<Handle> + Send>;

/// How long after a look at all topics the next one may come, ms, where answers say that what is known is old.
const REFRESH_MS: i64 = 500;

/// The answers of one client object.
pub(super) struct KafkaAdmin {
    handle: Handle,
    events: Queue,
    answers: Queue,
    health: Health,
    clock: Arc<dyn Clock>,
    timeout: i32,
    replication: i32,
    tickets: u64,
    asked: BTreeMap<Ticket, Asked>,
    /// Which ticket a question of librdkafka belongs to.
    numbers: BTreeMap<u64, (Ticket, Side)>,
    last_number: u64,
    handles: Handles,
    waker: Waker,
    /// The machine's clock when all topics were looked at because of an answer.
    refreshed: i64,
    committed_log: Option<ChangelogReader>,
    uncommitted_log: Option<ChangelogReader>,
}

/// Which of a call's two questions about offsets an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Start,
    End,
}

/// A call with more than one question behind it.
#[derive(Default)]
struct Asked {
    open: u32,
    failure: Option<Failure>,
    topics: Topics,
    /// Topics that were made, and are waited for until they can be seen.
    made: Vec<String>,
    all_topics: Option<Receiver<Result<BTreeMap<String, u32>, KafkaError>>>,
    until: i64,
    starts: BTreeMap<TopicPartition, i64>,
    ends: BTreeMap<TopicPartition, i64>,
    committed: Offsets,
}

impl KafkaAdmin {
    pub(super) fn new(
        handles: Handles,
        waker: &Waker,
        clock: Arc<dyn Clock>,
        timeout: i32,
        replication: i32,
    ) -> Answer<Self> {
        let none = || Failure::new(FailureKind::Fatal, "the admin client has no queue");
        let handle = handles(Isolation::ReadCommitted)?;
        let events = Queue::consumer(&handle).ok_or_else(none)?;
        let mut answers = Queue::new(&handle).ok_or_else(none)?;
        answers.wake(waker.clone());
        Ok(Self {
            handle,
            events,
            answers,
            health: Health::default(),
            clock,
            timeout,
            replication,
            tickets: 0,
            asked: BTreeMap::new(),
            numbers: BTreeMap::new(),
            last_number: 0,
            handles,
            waker: waker.clone(),
            refreshed: i64::MIN / 2,
            committed_log: None,
            uncommitted_log: None,
        })
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        let until = self.clock.monotonic() + i64::from(self.timeout);
        self.asked.insert(Ticket(self.tickets), Asked { until, ..Asked::default() });
        Ticket(self.tickets)
    }

    fn ask(&mut self, ticket: Ticket, question: &Question<'_>) {
        self.ask_side(ticket, Side::Start, question);
    }

    fn ask_side(&mut self, ticket: Ticket, side: Side, question: &Question<'_>) {
        self.last_number += 1;
        self.numbers.insert(self.last_number, (ticket, side));
        if let Some(asked) = self.asked.get_mut(&ticket) {
            asked.open += 1;
        }
        self.handle.ask(question, &self.answers, self.timeout, self.last_number);
    }

    /// The list of all topics is a call of librdkafka that waits, so a thread waits for it.
    fn ask_all_topics(&mut self, ticket: Ticket) {
        let (told, all_topics): (Sender<_>, _) = channel();
        let (handle, timeout, waker) = (self.handle.clone(), self.timeout, self.waker.clone());
        std::thread::spawn(move || {
            told.send(handle.all_topics(timeout)).ok();
            waker();
        });
        if let Some(asked) = self.asked.get_mut(&ticket) {
            asked.all_topics = Some(all_topics);
        }
    }

    /// librdkafka asks with the leader's epoch that it knows, and does not look for another after it was told that it
    /// is old (2.12.1, seen after a restart of a broker): a look at all topics brings it up to date.
    fn refresh(&mut self) {
        let now = self.clock.monotonic();
        if now - self.refreshed >= REFRESH_MS {
            self.refreshed = now;
            let (handle, timeout) = (self.handle.clone(), self.timeout);
            std::thread::spawn(move || drop(handle.all_topics(timeout)));
        }
    }

    fn serve(&mut self) {
        while let Some(event) = self.events.poll(0) {
            match event.told() {
                Notice::Error(error) => self.health.error("admin", &error),
                Notice::Log(severity, line) => health::log("admin", severity, &line),
                _ => {}
            }
        }
        while let Some(event) = self.answers.poll(0) {
            self.answer(&event);
        }
        let waiting: Vec<Ticket> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.all_topics.is_some())
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in waiting {
            self.hear_all_topics(ticket);
        }
    }

    fn answer(&mut self, event: &Event) {
        let Some((ticket, side)) = self.numbers.remove(&event.number()) else { return };
        let Some(asked) = self.asked.get_mut(&ticket) else { return };
        asked.open -= 1;
        if let Err(error) = event.result() {
            asked.failure.get_or_insert(failure(&error, Call::Ask, "the broker's answer"));
            return;
        }
        self.health.answered();
        let Notice::Admin(answer) = event.told() else { return };
        match answer {
            AdminEvent::Topics(topics) => self.hear_topics(ticket, topics),
            AdminEvent::Configs(configs) => asked.hear_configs(configs),
            AdminEvent::Created(made) => self.hear_created(ticket, made),
            AdminEvent::Offsets(offsets) => {
                let old =
                    offsets.iter().any(|told| told.error.as_ref().is_some_and(|error| is_old(error.code)));
                asked.hear_offsets(side, offsets);
                if old {
                    self.refresh();
                }
            }
            AdminEvent::Committed(committed) => asked.hear_committed(committed),
            AdminEvent::RecordsDeleted(deleted) => {
                for (partition, error) in
                    deleted.into_iter().filter_map(|told| Some((told.partition, told.error?)))
                {
                    tracing::warn!(%partition, "records are not deleted: {}", error.message);
                }
            }
        }
    }

    fn hear_topics(&mut self, ticket: Ticket, topics: Vec<OfTopic<u32>>) {
        let mut found = BTreeMap::new();
        for (name, told) in topics {
            match told {
                Ok(partitions) => drop(found.insert(name, partitions)),
                Err(error) if error.code == Code::UnknownTopicOrPartition => {}
                Err(error) => {
                    if let Some(asked) = self.asked.get_mut(&ticket) {
                        asked.failure.get_or_insert(failure(&error, Call::Ask, &format!("topic `{name}`")));
                    }
                }
            }
        }
        self.hear_found(ticket, found);
    }

    /// With their properties, which are asked for now.
    fn hear_found(&mut self, ticket: Ticket, found: BTreeMap<String, u32>) {
        let names: Vec<String> = found.keys().cloned().collect();
        if let Some(asked) = self.asked.get_mut(&ticket) {
            let topic = |(name, partitions): (String, u32)| {
                (name.clone(), NewTopic { name, partitions, config: BTreeMap::new() })
            };
            asked.topics.extend(found.into_iter().map(topic));
        }
        if !names.is_empty() {
            self.ask(ticket, &Question::Configs(&names));
        }
    }

    fn hear_created(&mut self, ticket: Ticket, made: Vec<OfTopic<()>>) {
        if let Some(asked) = self.asked.get_mut(&ticket) {
            for (name, told) in made {
                match told {
                    Ok(()) => {}
                    Err(error) if error.code == Code::TopicAlreadyExists => {}
                    Err(error) => {
                        let failure = failure(&error, Call::Change, &format!("topic `{name}`"));
                        asked.failure.get_or_insert(failure);
                    }
                }
                asked.made.push(name);
            }
        }
        self.ask_all_topics(ticket);
    }

    fn hear_all_topics(&mut self, ticket: Ticket) {
        let now = self.clock.monotonic();
        let Some(asked) = self.asked.get_mut(&ticket) else { return };
        let Some(waiting) = &asked.all_topics else { return };
        let told = match waiting.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Ok(BTreeMap::new()),
            Ok(told) => told,
        };
        asked.all_topics = None;
        match told {
            Err(error) => {
                asked.failure.get_or_insert(failure(&error, Call::Ask, "the list of topics"));
            }
            Ok(found) if asked.made.is_empty() => {
                self.hear_found(
                    ticket,
                    found.into_iter().filter(|(name, _)| !name.starts_with("__")).collect(),
                );
            }
            Ok(found) => {
                let missing = asked.made.iter().any(|name| !found.contains_key(name));
                if missing && asked.failure.is_none() && now < asked.until {
                    self.ask_all_topics(ticket);
                }
            }
        }
    }

    /// What became of a call, once all of it is answered.
    fn poll(&mut self, ticket: Ticket) -> Option<Answer<Asked>> {
        self.serve();
        let asked = self.asked.get(&ticket)?;
        if asked.open > 0 || asked.all_topics.is_some() {
            let refused = self.health.refused()?;
            self.asked.remove(&ticket);
            return Some(Err(refused));
        }
        let asked = self.asked.remove(&ticket)?;
        Some(match asked.failure {
            Some(failure) => Err(failure),
            None => Ok(asked),
        })
    }

    fn log(&mut self, isolation: Isolation) -> Answer<&mut ChangelogReader> {
        let log = match isolation {
            Isolation::ReadCommitted => &mut self.committed_log,
            Isolation::ReadUncommitted => &mut self.uncommitted_log,
        };
        if log.is_none() {
            let handle = match isolation {
                Isolation::ReadCommitted => self.handle.clone(),
                Isolation::ReadUncommitted => (self.handles)(isolation)?,
            };
            *log = Some(ChangelogReader::new(handle, &self.waker)?);
        }
        log.as_mut().ok_or_else(|| Failure::new(FailureKind::Fatal, "there is no reader"))
    }
}

fn is_old(code: Code) -> bool {
    matches!(
        code,
        Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::NotLeaderForPartition
            | Code::LeaderNotAvailable
            | Code::ReplicaNotAvailable
    )
}

impl Asked {
    fn hear_configs(&mut self, configs: Vec<OfTopic<BTreeMap<String, String>>>) {
        for (name, told) in configs {
            match told {
                Ok(config) => {
                    if let Some(topic) = self.topics.get_mut(&name) {
                        topic.config = config;
                    }
                }
                // Deleted since it was listed.
                Err(error) if error.code == Code::UnknownTopicOrPartition => drop(self.topics.remove(&name)),
                // The rights to read may be there without those to look at the properties: what needs them will say so.
                Err(error) => tracing::warn!(topic = name, "its properties are not told: {}", error.message),
            }
        }
    }

    fn hear_offsets(&mut self, side: Side, offsets: Vec<Told>) {
        for told in offsets {
            if let Some(error) = told.error {
                self.failure.get_or_insert(failure(&error, Call::Ask, &told.partition.to_string()));
                continue;
            }
            let side = if side == Side::Start { &mut self.starts } else { &mut self.ends };
            side.insert(told.partition, told.offset);
        }
    }

    fn hear_committed(&mut self, committed: Vec<Told>) {
        for told in committed {
            if let Some(error) = told.error {
                self.failure.get_or_insert(failure(&error, Call::Ask, &told.partition.to_string()));
            } else if told.offset >= 0 {
                let metadata = String::from_utf8_lossy(&told.metadata).into_owned();
                self.committed.insert(told.partition, CommittedOffset { offset: told.offset, metadata });
            }
        }
    }
}

impl Admin for KafkaAdmin {
    fn start_describe(&mut self, topics: Vec<String>) -> Ticket {
        let ticket = self.ticket();
        if topics.is_empty() {
            self.ask_all_topics(ticket);
        } else {
            self.ask(ticket, &Question::Topics(&topics));
        }
        ticket
    }

    fn poll_describe(&mut self, ticket: Ticket) -> Option<Answer<Topics>> {
        Some(self.poll(ticket)?.map(|asked| asked.topics))
    }

    fn start_create(&mut self, topics: Vec<NewTopic>) -> Ticket {
        let ticket = self.ticket();
        if !topics.is_empty() {
            self.ask(ticket, &Question::Create(&topics, self.replication));
        }
        ticket
    }

    fn poll_create(&mut self, ticket: Ticket) -> Option<Answer<()>> {
        Some(self.poll(ticket)?.map(|_| ()))
    }

    fn start_bounds(&mut self, partitions: Vec<TopicPartition>, isolation: Isolation) -> Ticket {
        let ticket = self.ticket();
        let specs = |spec| partitions.iter().map(|partition| (partition.clone(), spec)).collect::<Vec<_>>();
        if !partitions.is_empty() {
            self.ask(ticket, &Question::Offsets(specs(OffsetSpec::Earliest), isolation));
            self.ask_side(ticket, Side::End, &Question::Offsets(specs(OffsetSpec::Latest), isolation));
        }
        ticket
    }

    fn poll_bounds(&mut self, ticket: Ticket) -> Option<Answer<BTreeMap<TopicPartition, LogBounds>>> {
        let bounds = |asked: Asked| {
            let bounds = asked.starts.into_iter().zip(asked.ends);
            bounds.map(|((partition, start), (_, end))| (partition, LogBounds { start, end })).collect()
        };
        Some(self.poll(ticket)?.map(bounds))
    }

    fn start_committed(&mut self, group: &str, partitions: Vec<TopicPartition>) -> Ticket {
        let ticket = self.ticket();
        if !partitions.is_empty() {
            self.ask(ticket, &Question::Committed(group, &partitions));
        }
        ticket
    }

    fn poll_committed(&mut self, ticket: Ticket) -> Option<Answer<Offsets>> {
        Some(self.poll(ticket)?.map(|asked| asked.committed))
    }

    fn start_offsets_for_times(&mut self, times: BTreeMap<TopicPartition, Timestamp>) -> Ticket {
        let ticket = self.ticket();
        let at_end: Vec<_> = times.keys().map(|partition| (partition.clone(), OffsetSpec::Latest)).collect();
        let at: Vec<_> =
            times.into_iter().map(|(partition, time)| (partition, OffsetSpec::ForTime(time.0))).collect();
        if !at.is_empty() {
            self.ask(ticket, &Question::Offsets(at, Isolation::ReadUncommitted));
            self.ask_side(ticket, Side::End, &Question::Offsets(at_end, Isolation::ReadUncommitted));
        }
        ticket
    }

    fn poll_offsets_for_times(&mut self, ticket: Ticket) -> Option<Answer<BTreeMap<TopicPartition, i64>>> {
        let at = |asked: Asked| {
            // No record so late: the end.
            let found = asked.starts.into_iter().zip(asked.ends);
            found.map(|((partition, at), (_, end))| (partition, if at < 0 { end } else { at })).collect()
        };
        Some(self.poll(ticket)?.map(at))
    }

    fn delete_records(&mut self, before: &BTreeMap<TopicPartition, i64>) {
        if !before.is_empty() {
            self.last_number += 1;
            self.handle.ask(&Question::DeleteRecords(before), &self.answers, self.timeout, self.last_number);
        }
        self.serve();
    }

    fn read(
        &mut self,
        from: &TopicPartition,
        offset: i64,
        isolation: Isolation,
        max: usize,
    ) -> Answer<(Vec<LogRecord>, i64)> {
        let now = self.clock.monotonic();
        self.log(isolation)?.read(from, offset, max, now)
    }

    fn stop_reading(&mut self, partition: &TopicPartition) {
        for log in [&mut self.committed_log, &mut self.uncommitted_log].into_iter().flatten() {
            log.end(partition);
        }
    }
}
