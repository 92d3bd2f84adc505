//! Who is in the group, and what it owns: librdkafka's side of it behind a trait, so that another protocol (KIP-1071)
//! can come beside it.
//!
//! ```text
//!   outside --Assigned--> owning --revoke--> revoking --acknowledged--> outside
//!      ^                    |                    | the group went on
//!      +-------- Lost ------+--------------------+
//! ```
//! The engine gives everything back in a rebalance, whatever the protocol: a cooperative one that only adds or takes
//! some is told as `Revoked` and, when that is acknowledged, `Assigned` with all that is owned then. Tasks that come
//! back find their stores at the committed commit id and replay nothing.

use super::ffi::{Event, Handle, Notice, Partitions, Queue};
use super::health::{self, Health};
use super::readers::Readers;
use crate::broker::{GroupEvent, GroupMetadata};
use crate::record::TopicPartition;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where a partition is said to begin until the engine seeks, once it has asked for the committed offsets itself. It is
/// paused before it is assigned, so nothing is fetched from there. It must be a number: left to librdkafka, a lookup of
/// committed offsets that is interrupted by a rebalance falls to `auto.offset.reset`; and a lookup of the log's end that
/// is answered after a seek is repeated, and its answer then overrides the seek (2.12.1, seen on Apache Kafka).
const ANYWHERE: i64 = 0;
/// How long a leaving member may take, in pieces of ms.
const LEAVE_POLLS: u32 = 60;
const LEAVE_POLL_MS: i32 = 50;

/// A member's side of the group protocol.
pub(super) trait Membership: Send {
    fn subscribe(&mut self, topics: &[String]);
    fn poll(&mut self, readers: &mut Readers) -> Option<GroupEvent>;
    fn acknowledge(&mut self, readers: &mut Readers);
    fn metadata(&self) -> GroupMetadata;
    fn owns(&self, partition: &TopicPartition) -> bool;
    /// Assigns what is owned again, each at its position: the way to read on where librdkafka has stopped.
    fn restart(&mut self, readers: &mut Readers);
    /// Leaves at once, and is of no use afterwards.
    fn leave(&mut self, readers: &mut Readers);
}

/// What librdkafka waits for.
#[derive(Debug)]
enum Owed {
    /// Everything, or these in a cooperative group.
    Revoke(Vec<TopicPartition>),
    /// Took effect only for librdkafka: these come in addition.
    Assign(Vec<TopicPartition>),
}

/// The classic protocol and KIP-848's, both as librdkafka tells them: events that are answered by `assign`.
pub(super) struct GroupMember {
    handle: Handle,
    events: Queue,
    health: Arc<Health>,
    owned: BTreeSet<TopicPartition>,
    /// The engine was told of an assignment and has not given it back.
    announced: bool,
    owed: Option<Owed>,
    next: Option<GroupEvent>,
    left: bool,
}

impl GroupMember {
    pub(super) fn new(handle: &Handle, events: Queue, health: Arc<Health>) -> Self {
        Self {
            handle: handle.clone(),
            events,
            health,
            owned: BTreeSet::new(),
            announced: false,
            owed: None,
            next: None,
            left: false,
        }
    }

    fn take(&mut self, event: &Event, readers: &mut Readers) -> Option<GroupEvent> {
        match event.told() {
            Notice::Assigned(partitions) if self.announced => {
                self.owed = Some(Owed::Assign(partitions));
                Some(GroupEvent::Revoked)
            }
            Notice::Assigned(partitions) => Some(self.assign(&partitions, readers)),
            Notice::Revoked(partitions) => {
                self.owed = Some(Owed::Revoke(partitions));
                if self.is_lost() {
                    return self.lose(readers);
                }
                if self.announced {
                    return Some(GroupEvent::Revoked);
                }
                self.settle(readers);
                None
            }
            Notice::Error(error) => {
                self.health.error("consumer", &error);
                None
            }
            Notice::Log(severity, line) => {
                health::log("consumer", severity, &line);
                None
            }
            _ => None,
        }
    }

    fn assign(&mut self, partitions: &[TopicPartition], readers: &mut Readers) -> GroupEvent {
        let cooperative = self.handle.is_cooperative();
        readers.split(partitions);
        let list = Partitions::at(partitions.iter().map(|partition| (partition, ANYWHERE)));
        self.handle.pause(&list).ok();
        let done = if cooperative {
            self.handle.incremental_assign(&list)
        } else {
            self.owned.clear();
            self.handle.assign(Some(&list))
        };
        if let Err(error) = done {
            self.health.error("consumer", &error);
        }
        self.owned.extend(partitions.iter().cloned());
        self.announced = true;
        self.health.answered();
        GroupEvent::Assigned(self.owned.iter().cloned().collect())
    }

    /// Tells librdkafka that the engine has given up what it had.
    fn settle(&mut self, readers: &mut Readers) {
        self.announced = false;
        readers.release_all();
        match self.owed.take() {
            Some(Owed::Assign(partitions)) => self.next = Some(self.assign(&partitions, readers)),
            Some(Owed::Revoke(partitions)) => {
                let cooperative = self.handle.is_cooperative();
                let done = if cooperative {
                    self.owned.retain(|owned| !partitions.contains(owned));
                    self.handle
                        .incremental_unassign(&Partitions::at(partitions.iter().map(|p| (p, ANYWHERE))))
                } else {
                    self.owned.clear();
                    self.handle.assign(None)
                };
                if let Err(error) = done {
                    self.health.error("consumer", &error);
                }
            }
            None => {}
        }
    }

    fn is_lost(&self) -> bool {
        let now = self.handle.group_metadata();
        self.handle.assignment_lost() || now.generation < 0 || now.member.is_empty()
    }

    fn lose(&mut self, readers: &mut Readers) -> Option<GroupEvent> {
        let told = self.announced;
        self.settle(readers);
        told.then_some(GroupEvent::Lost)
    }
}

impl Membership for GroupMember {
    fn subscribe(&mut self, topics: &[String]) {
        if let Err(error) = self.handle.subscribe(topics) {
            self.health.error("consumer", &error);
        }
    }

    fn poll(&mut self, readers: &mut Readers) -> Option<GroupEvent> {
        if self.left {
            return None;
        }
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        // The group need not wait for an acknowledgement that comes too late.
        if self.announced && matches!(self.owed, Some(Owed::Revoke(_))) && self.is_lost() {
            return self.lose(readers);
        }
        while let Some(event) = self.events.poll(0) {
            if let Some(told) = self.take(&event, readers) {
                return Some(told);
            }
        }
        None
    }

    fn acknowledge(&mut self, readers: &mut Readers) {
        self.settle(readers);
    }

    fn metadata(&self) -> GroupMetadata {
        let now = self.handle.group_metadata();
        // librdkafka keeps a member id and partitions for a while when the group has gone on without it.
        if self.announced && !self.left && !self.handle.assignment_lost() {
            return now;
        }
        GroupMetadata { group: now.group, member: String::new(), generation: -1 }
    }

    fn owns(&self, partition: &TopicPartition) -> bool {
        self.announced && self.owned.contains(partition)
    }

    fn restart(&mut self, readers: &mut Readers) {
        if !self.announced {
            return;
        }
        let at: Vec<(TopicPartition, i64)> = self
            .owned
            .iter()
            .map(|partition| (partition.clone(), readers.begin_again(partition, ANYWHERE)))
            .collect();
        let list = Partitions::at(at.iter().map(|(partition, offset)| (partition, *offset)));
        self.handle.pause(&list).ok();
        let done = if self.handle.is_cooperative() {
            self.handle.incremental_unassign(&list).and_then(|()| self.handle.incremental_assign(&list))
        } else {
            self.handle.assign(Some(&list))
        };
        if let Err(error) = done {
            self.health.error("consumer", &error);
        }
    }

    fn leave(&mut self, readers: &mut Readers) {
        if self.left {
            return;
        }
        self.left = true;
        self.settle(readers);
        if let Err(error) = self.handle.close(&self.events) {
            self.health.error("consumer", &error);
            return;
        }
        for _ in 0..LEAVE_POLLS {
            if self.handle.is_closed() {
                return;
            }
            let Some(event) = self.events.poll(LEAVE_POLL_MS) else { continue };
            if let Notice::Assigned(partitions) | Notice::Revoked(partitions) = event.told() {
                self.owed = Some(Owed::Revoke(partitions));
                self.settle(readers);
            }
        }
        tracing::warn!("the group has not answered in time that this member leaves");
    }
}
