//! A consumer group of the classic protocol: members, generations, and the offsets it committed.
//!
//! ```text
//!   empty --join--> rebalancing --all have joined, or the others were evicted--> stable
//!                        ^                                                         |
//!                        +------------- join, leave, eviction, topics -------------+
//! ```
//! A commit is checked against member and generation, never against who owns the partition.

use super::Timeouts;
use crate::broker::{Answer, Failure, FailureKind, GroupMetadata, Offsets};
use crate::record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// Partition count of a topic, 0 if there is none.
pub(super) type PartitionCount<'a> = &'a dyn Fn(&str) -> u32;

#[derive(Debug, Default)]
pub(super) struct Group {
    generation: i32,
    members: BTreeMap<String, Member>,
    /// Until when the others may join; `None`: stable or empty.
    rebalance: Option<i64>,
    offsets: Offsets,
    /// Offsets in open transactions, by producer.
    pending: BTreeMap<u64, Offsets>,
}

#[derive(Debug)]
struct Member {
    topics: BTreeSet<String>,
    /// Has joined and waits for the others.
    awaiting: bool,
    heard: i64,
    assignment: Vec<TopicPartition>,
}

/// What a heartbeat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heartbeat {
    Stable,
    Rebalancing,
    Unknown,
}

impl Group {
    pub(super) fn join(&mut self, member: &str, topics: &[String], now: i64, timeouts: &Timeouts) {
        let topics = topics.iter().cloned().collect();
        let joined = Member { topics, awaiting: true, heard: now, assignment: Vec::new() };
        self.members.insert(member.to_owned(), joined);
        self.prepare(now, timeouts);
    }

    pub(super) fn leave(&mut self, member: &str, now: i64, timeouts: &Timeouts) {
        if self.members.remove(member).is_some() {
            self.prepare(now, timeouts);
        }
    }

    /// Begins a rebalance unless one is under way.
    fn prepare(&mut self, now: i64, timeouts: &Timeouts) {
        self.rebalance.get_or_insert(now + timeouts.rebalance);
    }

    /// A topic came or went: those who read it are assigned anew.
    pub(super) fn topic_changed(&mut self, topic: &str, now: i64, timeouts: &Timeouts) {
        if self.members.values().any(|member| member.topics.contains(topic)) {
            self.prepare(now, timeouts);
        }
    }

    /// Evicts whom the group need not wait for any longer. A member that waits for the others does not expire.
    pub(super) fn expire(&mut self, now: i64, timeouts: &Timeouts) {
        let late = self.rebalance.is_some_and(|deadline| deadline <= now);
        let before = self.members.len();
        self.members.retain(|_, member| member.awaiting || !late && member.heard + timeouts.session > now);
        if self.members.len() < before {
            self.prepare(now, timeouts);
        }
    }

    /// The next moment at which `expire` has something to do.
    pub(super) fn next_timeout(&self, timeouts: &Timeouts) -> Option<i64> {
        let sessions =
            self.members.values().filter(|member| !member.awaiting).map(|m| m.heard + timeouts.session);
        sessions.chain(self.rebalance).min()
    }

    /// Ends the rebalance if nobody is waited for.
    pub(super) fn complete(&mut self, now: i64, count: PartitionCount<'_>) {
        if self.rebalance.is_none() || self.members.values().any(|member| !member.awaiting) {
            return;
        }
        self.rebalance = None;
        self.generation += 1;
        let mut assignments = assign_ranges(&self.members, count);
        for (id, member) in &mut self.members {
            member.awaiting = false;
            member.heard = now;
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
    }

    /// Generation and assignment once the others have joined; an error if the member is not known.
    pub(super) fn assignment(
        &mut self,
        member: &str,
        now: i64,
    ) -> Result<Option<(i32, Vec<TopicPartition>)>, Heartbeat> {
        let member = self.members.get_mut(member).ok_or(Heartbeat::Unknown)?;
        if member.awaiting {
            return Ok(None);
        }
        member.heard = now;
        Ok(Some((self.generation, member.assignment.clone())))
    }

    pub(super) fn heartbeat(&mut self, member: &str, generation: i32, now: i64) -> Heartbeat {
        match self.members.get_mut(member) {
            Some(member) if generation == self.generation => {
                member.heard = now;
                if self.rebalance.is_some() { Heartbeat::Rebalancing } else { Heartbeat::Stable }
            }
            _ => Heartbeat::Unknown,
        }
    }

    /// Kafka's rule. Without member and generation it is a simple consumer's commit, for groups without members;
    /// in a transaction even that is not asked, because old clients send neither.
    pub(super) fn check(&self, from: &GroupMetadata, transactional: bool) -> Answer<()> {
        let simple = from.generation < 0 && from.member.is_empty();
        if from.generation < 0 && self.members.is_empty() || simple && transactional {
            return Ok(());
        }
        let refused = |why: String| Err(Failure::new(FailureKind::Abortable, why));
        if !self.members.contains_key(&from.member) {
            return refused(format!("member {:?} is not in group {}", from.member, from.group));
        }
        if from.generation != self.generation {
            let (theirs, ours) = (from.generation, self.generation);
            return refused(format!("generation {theirs} of group {} has passed: it is {ours}", from.group));
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, offsets: Offsets) {
        self.offsets.extend(offsets);
    }

    /// Offsets that count once the producer's transaction commits.
    pub(super) fn commit_in_transaction(&mut self, producer: u64, offsets: Offsets) {
        self.pending.entry(producer).or_default().extend(offsets);
    }

    pub(super) fn end_transaction(&mut self, producer: u64, commit: bool) {
        let offsets = self.pending.remove(&producer).unwrap_or_default();
        if commit {
            self.offsets.extend(offsets);
        }
    }

    /// `None` while an open transaction has offsets of one of the partitions.
    pub(super) fn stable_offsets(&self, partitions: &[TopicPartition]) -> Option<Offsets> {
        let unstable = |p: &TopicPartition| self.pending.values().any(|offsets| offsets.contains_key(p));
        if partitions.iter().any(unstable) {
            return None;
        }
        let committed = |p: &TopicPartition| self.offsets.get(p).map(|offset| (p.clone(), offset.clone()));
        Some(partitions.iter().filter_map(committed).collect())
    }

    /// The offsets of a deleted topic go with it.
    pub(super) fn forget_topic(&mut self, topic: &str) {
        self.offsets.retain(|partition, _| &*partition.topic != topic);
        self.pending
            .values_mut()
            .for_each(|offsets| offsets.retain(|partition, _| &*partition.topic != topic));
    }
}

/// Kafka's range assignor: per topic, members by id get consecutive partitions, the first ones one more. Topics with
/// the same number of partitions and the same members are therefore co-partitioned.
fn assign_ranges(
    members: &BTreeMap<String, Member>,
    count: PartitionCount<'_>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    let topics: BTreeSet<&String> = members.values().flat_map(|member| &member.topics).collect();
    let mut assignments = BTreeMap::<String, Vec<TopicPartition>>::new();
    for topic in topics {
        let readers: Vec<&String> =
            members.iter().filter(|(_, m)| m.topics.contains(topic)).map(|(id, _)| id).collect();
        let (partitions, name) = (count(topic), std::sync::Arc::<str>::from(topic.as_str()));
        let (each, rest) = (partitions as usize / readers.len(), partitions as usize % readers.len());
        let mut next = 0;
        for (n, reader) in readers.into_iter().enumerate() {
            let share = next..next + (each + usize::from(n < rest)) as u32;
            next = share.end;
            let owned = assignments.entry(reader.clone()).or_default();
            owned.extend(share.map(|partition| TopicPartition::new(name.clone(), partition)));
        }
    }
    assignments
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts { session: 100, rebalance: 1_000, request: 10, transaction: 10 };

    fn counts(topic: &str) -> u32 {
        if topic == "gone" { 0 } else { 5 }
    }

    fn owned(group: &mut Group, member: &str) -> Vec<String> {
        let (_, partitions) = group.assignment(member, 150).expect("known").expect("assigned");
        partitions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ranges_give_the_first_members_one_more_and_keep_equal_partitions_together() {
        let mut group = Group::default();
        group.join("b", &["x".into(), "y".into(), "gone".into()], 0, &TIMEOUTS);
        group.join("a", &["x".into(), "y".into()], 0, &TIMEOUTS);
        group.complete(0, &counts);
        assert_eq!(owned(&mut group, "a"), ["x-0", "x-1", "x-2", "y-0", "y-1", "y-2"]);
        assert_eq!(owned(&mut group, "b"), ["x-3", "x-4", "y-3", "y-4"]);
    }

    #[test]
    fn a_member_that_waits_for_the_others_does_not_expire() {
        let mut group = Group::default();
        group.join("a", &["x".into()], 0, &TIMEOUTS);
        group.complete(0, &counts);
        group.join("b", &["x".into()], 10, &TIMEOUTS);
        group.expire(150, &TIMEOUTS);
        group.complete(150, &counts);
        assert_eq!(group.heartbeat("a", 1, 150), Heartbeat::Unknown);
        assert_eq!(owned(&mut group, "b").len(), 5);
        assert_eq!(group.next_timeout(&TIMEOUTS), Some(250));
    }
}
