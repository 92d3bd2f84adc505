//! A member of the group, as the engine sees it.

use super::Waker;
use super::failure::{Call, failure};
use super::ffi::{Handle, NamedOffset, Notice, Partitions, Queue};
use super::health::Health;
use super::membership::{GroupMember, Membership};
use super::readers::Readers;
use crate::broker::{
    Answer, Consumer, Failure, FailureKind, Fetched, GroupEvent, GroupMetadata, Offsets, Ticket,
};
use crate::record::TopicPartition;
use crate::time::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One consumer of a process: polled for the group by its owner, its partitions read from queues of their own.
pub(super) struct KafkaConsumer {
    group: Box<dyn Membership>,
    readers: Readers,
    handle: Handle,
    answers: Queue,
    health: Arc<Health>,
    clock: Arc<dyn Clock>,
    timeout: i64,
    /// Started commits and until when they are waited for.
    waiting: BTreeMap<Ticket, i64>,
    answered: BTreeMap<Ticket, Answer<()>>,
    tickets: u64,
}

impl KafkaConsumer {
    pub(super) fn new(handle: Handle, waker: &Waker, clock: Arc<dyn Clock>, timeout: i64) -> Answer<Self> {
        let none = || Failure::new(FailureKind::Fatal, "the consumer has no queue");
        let mut events = Queue::consumer(&handle).ok_or_else(none)?;
        let mut answers = Queue::new(&handle).ok_or_else(none)?;
        events.wake(waker.clone());
        answers.wake(waker.clone());
        let health = Arc::new(Health::default());
        Ok(Self {
            group: Box::new(GroupMember::new(&handle, events, health.clone())),
            readers: Readers::new(&handle, waker.clone()),
            handle,
            answers,
            health,
            clock,
            timeout,
            waiting: BTreeMap::new(),
            answered: BTreeMap::new(),
            tickets: 0,
        })
    }

    fn serve_answers(&mut self) {
        while let Some(event) = self.answers.poll(0) {
            let Notice::Committed(number, partitions, done) = event.told() else { continue };
            let first = partitions.into_iter().find_map(|told| Some((told.partition, told.error?)));
            let answer = match (done, first) {
                (Ok(()), None) => Ok(()),
                (_, Some((partition, error))) => {
                    Err(failure(&error, Call::Change, &format!("offset commit of {partition}")))
                }
                (Err(error), None) => Err(failure(&error, Call::Change, "offset commit")),
            };
            self.health.answered();
            if self.waiting.remove(&Ticket(number)).is_some() {
                self.answered.insert(Ticket(number), answer);
            }
        }
    }
}

impl Consumer for KafkaConsumer {
    fn subscribe(&mut self, topics: &[String]) {
        self.group.subscribe(topics);
    }

    fn poll_group(&mut self) -> Option<GroupEvent> {
        self.group.poll(&mut self.readers)
    }

    fn acknowledge_revocation(&mut self) {
        self.group.acknowledge(&mut self.readers);
    }

    fn group_metadata(&self) -> GroupMetadata {
        self.group.metadata()
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        if self.readers.is_stopped(partition) {
            self.group.restart(&mut self.readers);
        }
        self.readers.seek(partition, offset);
    }

    fn fetch(&mut self, partition: &TopicPartition, max: usize) -> Answer<Fetched> {
        if !self.group.owns(partition) {
            return Err(Failure::new(
                FailureKind::Fatal,
                format!("{partition} is not assigned to this member"),
            ));
        }
        Ok(Fetched { records: self.readers.fetch(partition, max)? })
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.readers.position(partition)
    }

    fn known_end(&self, partition: &TopicPartition) -> Option<i64> {
        self.group
            .owns(partition)
            .then(|| self.handle.known_end(&partition.topic, partition.partition))
            .flatten()
    }

    fn start_commit(&mut self, offsets: Offsets) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        match self.handle.commit(&list(&offsets), &self.answers, ticket.0) {
            Ok(()) => drop(self.waiting.insert(ticket, self.clock.monotonic() + self.timeout)),
            Err(error) => {
                self.answered.insert(ticket, Err(failure(&error, Call::Change, "offset commit")));
            }
        }
        ticket
    }

    fn poll_commit(&mut self, ticket: Ticket) -> Option<Answer<()>> {
        self.serve_answers();
        if let Some(answer) = self.answered.remove(&ticket) {
            return Some(answer);
        }
        let until = *self.waiting.get(&ticket)?;
        if let Some(refused) = self.health.refused() {
            return Some(Err(refused));
        }
        (self.clock.monotonic() >= until).then(|| {
            self.waiting.remove(&ticket);
            Err(Failure::new(FailureKind::Unknown, "the offset commit was not answered in time"))
        })
    }

    fn leave(&mut self) {
        self.group.leave(&mut self.readers);
    }
}

/// Offsets with their metadata as librdkafka's list.
pub(super) fn list(offsets: &Offsets) -> Partitions {
    let mut list = Partitions::new();
    for (partition, committed) in offsets {
        let named =
            NamedOffset { offset: committed.offset, metadata: committed.metadata.clone().into_bytes() };
        list.push(&partition.topic, partition.partition as i32, &named);
    }
    list
}
