//! A member of a group.
//!
//! ```text
//!   idle --subscribe--> joining --join sent--> awaiting --all have joined--> stable --rebalance--> revoking
//!                          ^                                                   |  Lost                |
//!                          +---------------------------------------------------+------ acknowledge ---+
//! ```

use super::MemoryLog;
use super::calls::{Calls, Progress, Request};
use super::faults::{Call, Late};
use super::group::Heartbeat;
use super::state::State;
use super::topic::fatal;
use crate::broker::{
    Answer, Consumer, FailureKind, Fetched, GroupEvent, GroupMetadata, Isolation, Offsets, Ticket,
};
use crate::record::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Joining,
    Awaiting,
    Stable,
    Revoking,
}

pub(super) struct MemoryConsumer {
    log: MemoryLog,
    client: Arc<str>,
    group: String,
    name: String,
    topics: Vec<String>,
    stage: Stage,
    /// Empty until it has joined once, and after it was evicted.
    member: String,
    generation: i32,
    /// When the group answered the last time.
    heard: i64,
    /// `subscribe` was called again: what is owned is to be given back.
    resubscribed: bool,
    positions: BTreeMap<TopicPartition, i64>,
    commits: Calls<Commit, ()>,
}

struct Commit {
    offsets: Offsets,
    from: GroupMetadata,
}

impl Request for Commit {
    fn name(&self) -> &'static str {
        "offset commit"
    }
    fn on_timeout(&self) -> FailureKind {
        FailureKind::Unknown
    }
}

impl Commit {
    fn attempt(&self, state: &mut State, client: &str) -> Progress<()> {
        let late = || Late::OffsetCommit { from: self.from.clone(), offsets: self.offsets.clone() };
        state.pass(client, Call::OffsetCommit, late, |state| {
            Progress::Done(state.commit_offsets(&self.offsets, &self.from))
        })
    }
}

impl MemoryConsumer {
    pub(super) fn new(log: MemoryLog, client: Arc<str>, group: &str, name: &str) -> Self {
        Self {
            log,
            client,
            group: group.to_owned(),
            name: name.to_owned(),
            topics: Vec::new(),
            stage: Stage::Idle,
            member: String::new(),
            generation: -1,
            heard: 0,
            resubscribed: false,
            positions: BTreeMap::new(),
            commits: Calls::default(),
        }
    }

    /// Sends the join. Ids sort by member name, then by age, so that the assignment is reproducible.
    fn join(&mut self, state: &mut State, now: i64) {
        if self.member.is_empty() {
            self.member = format!("{}-{:012}", self.name, state.next_id());
        }
        self.resubscribed = false;
        let timeouts = state.timeouts;
        state.groups.entry(self.group.clone()).or_default().join(&self.member, &self.topics, now, &timeouts);
        state.complete_rebalances(now);
        self.stage = Stage::Awaiting;
    }

    fn await_others(&mut self, state: &mut State, now: i64) -> Option<GroupEvent> {
        match state.groups.entry(self.group.clone()).or_default().assignment(&self.member, now) {
            Ok(None) => None,
            Ok(Some((generation, assignment))) => {
                self.stage = Stage::Stable;
                self.generation = generation;
                self.heard = now;
                Some(GroupEvent::Assigned(assignment))
            }
            Err(_) => {
                // Nothing was owned, so there is nothing to tell.
                self.lose();
                None
            }
        }
    }

    fn heartbeat(&mut self, state: &mut State, now: i64) -> Option<GroupEvent> {
        let group = state.groups.entry(self.group.clone()).or_default();
        let heard = group.heartbeat(&self.member, self.generation, now);
        self.heard = now;
        match heard {
            Heartbeat::Unknown => Some(self.lose()),
            Heartbeat::Stable if !self.resubscribed => None,
            Heartbeat::Stable | Heartbeat::Rebalancing if self.stage == Stage::Stable => {
                self.stage = Stage::Revoking;
                Some(GroupEvent::Revoked)
            }
            Heartbeat::Stable | Heartbeat::Rebalancing => None,
        }
    }

    fn lose(&mut self) -> GroupEvent {
        self.stage = Stage::Joining;
        self.member.clear();
        self.generation = -1;
        self.positions.clear();
        GroupEvent::Lost
    }
}

impl Consumer for MemoryConsumer {
    fn subscribe(&mut self, topics: &[String]) {
        self.topics = topics.to_vec();
        match self.stage {
            Stage::Idle | Stage::Joining | Stage::Awaiting => self.stage = Stage::Joining,
            Stage::Stable | Stage::Revoking => self.resubscribed = true,
        }
    }

    fn poll_group(&mut self) -> Option<GroupEvent> {
        let log = self.log.clone();
        let (mut state, now) = log.current();
        if !state.faults.reaches(&self.client) {
            let owns = matches!(self.stage, Stage::Stable | Stage::Revoking);
            // The group has given up on it by now, so it must not go on either.
            return (owns && now >= self.heard + state.timeouts.session).then(|| self.lose());
        }
        match self.stage {
            Stage::Idle => None,
            Stage::Joining => {
                self.join(&mut state, now);
                self.await_others(&mut state, now)
            }
            Stage::Awaiting => self.await_others(&mut state, now),
            Stage::Stable | Stage::Revoking => self.heartbeat(&mut state, now),
        }
    }

    fn acknowledge_revocation(&mut self) {
        if self.stage != Stage::Revoking {
            return;
        }
        self.positions.clear();
        self.generation = -1;
        self.stage = Stage::Joining;
        let log = self.log.clone();
        let (mut state, now) = log.current();
        if state.faults.reaches(&self.client) {
            self.join(&mut state, now);
        }
    }

    fn group_metadata(&self) -> GroupMetadata {
        let member = if self.generation < 0 { String::new() } else { self.member.clone() };
        GroupMetadata { group: self.group.clone(), member, generation: self.generation }
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        self.positions.insert(partition.clone(), offset);
    }

    fn fetch(&mut self, partition: &TopicPartition, max: usize) -> Answer<Fetched> {
        let Some(position) = self.positions.get_mut(partition) else {
            return Err(fatal(format!("{partition} has no position: it is to be sought first")));
        };
        let (mut state, _) = self.log.current();
        if !state.faults.reaches(&self.client) {
            return Ok(Fetched::default());
        }
        let (records, next) = state.partition(partition)?.read(*position, Isolation::ReadCommitted, max)?;
        *position = next;
        Ok(Fetched { records })
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.positions.get(partition).copied()
    }

    fn known_end(&self, partition: &TopicPartition) -> Option<i64> {
        Some(self.log.bounds(partition, Isolation::ReadCommitted).ok()?.end)
    }

    fn start_commit(&mut self, offsets: Offsets) -> Ticket {
        let request = Commit { offsets, from: self.group_metadata() };
        let (mut state, now) = self.log.current();
        let reaches = state.faults.reaches(&self.client);
        let progress = if reaches { request.attempt(&mut state, &self.client) } else { Progress::Wait };
        self.commits.start(state.ticket(), request, now + state.timeouts.request, progress)
    }

    fn poll_commit(&mut self, ticket: Ticket) -> Option<Answer<()>> {
        let (mut state, now) = self.log.current();
        let reaches = state.faults.reaches(&self.client);
        self.commits.poll(ticket, now, reaches, |request| request.attempt(&mut state, &self.client))
    }

    fn leave(&mut self) {
        let log = self.log.clone();
        let (mut state, now) = log.current();
        if state.faults.reaches(&self.client) && !self.member.is_empty() {
            let timeouts = state.timeouts;
            state.groups.entry(self.group.clone()).or_default().leave(&self.member, now, &timeouts);
            state.complete_rebalances(now);
        }
        self.lose();
        self.stage = Stage::Idle;
    }
}
