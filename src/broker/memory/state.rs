//! Everything the log holds, behind its one lock, and the requests that concern more than one part of it.

use super::compaction::Compaction;
use super::faults::{Batch, Call, Faults, Late, Loss};
use super::group::Group;
use super::log::{PartitionLog, push_offset};
use super::topic::{Topic, fatal, no_such_partition};
use super::transactions::{Entered, Identity, Transactions};
use super::{Timeouts, calls::Progress};
use crate::broker::{
    Acknowledged, Answer, Failure, GroupMetadata, Isolation, LogBounds, NewTopic, Offsets, Outgoing, Ticket,
};
use crate::record::TopicPartition;
use crate::time::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `offset.metadata.max.bytes`.
const MAX_METADATA_BYTES: usize = 4096;

pub(super) struct State {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeouts: Timeouts,
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) transactions: Transactions,
    pub(super) faults: Faults,
    /// Per producer the last request that had a number, and its answer.
    requests: BTreeMap<u64, (u64, (Acknowledged, Option<Failure>))>,
    /// Nothing expires before.
    check_at: i64,
    last_id: u64,
}

impl State {
    pub(super) fn new(clock: Arc<dyn Clock>, timeouts: Timeouts) -> Self {
        Self {
            clock,
            timeouts,
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            transactions: Transactions::default(),
            faults: Faults::default(),
            requests: BTreeMap::new(),
            check_at: i64::MAX,
            last_id: 0,
        }
    }

    /// A number that was not given before: of a ticket, a producer, a member.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        Ticket(self.next_id())
    }

    // Time.

    /// Does what is due: evictions, aborts.
    pub(super) fn expire(&mut self, now: i64) {
        if now < self.check_at {
            return;
        }
        self.transactions.expire(now);
        self.write_markers();
        for group in self.groups.values_mut() {
            group.expire(now, &self.timeouts);
        }
        self.complete_rebalances(now);
    }

    pub(super) fn next_timeout(&self) -> Option<i64> {
        let groups = self.groups.values().filter_map(|group| group.next_timeout(&self.timeouts));
        groups.chain(self.transactions.next_timeout()).min()
    }

    /// To be called after whatever may let a group go on.
    pub(super) fn complete_rebalances(&mut self, now: i64) {
        let topics = &self.topics;
        let count = |topic: &str| topics.get(topic).map_or(0, |topic| topic.partitions.len() as u32);
        for group in self.groups.values_mut() {
            group.complete(now, &count);
        }
        self.check_at = self.next_timeout().unwrap_or(i64::MAX);
    }

    // Topics.

    pub(super) fn create_topic(&mut self, topic: &NewTopic, now: i64) -> Answer<()> {
        if !self.topics.contains_key(topic.name.as_str()) {
            self.topics.insert(topic.name.as_str().into(), Topic::new(topic)?);
            self.topic_changed(&topic.name, now);
        }
        Ok(())
    }

    pub(super) fn delete_topic(&mut self, name: &str, now: i64) {
        if self.topics.remove(name).is_some() {
            self.groups.values_mut().for_each(|group| group.forget_topic(name));
            self.topic_changed(name, now);
        }
    }

    fn topic_changed(&mut self, name: &str, now: i64) {
        for group in self.groups.values_mut() {
            group.topic_changed(name, now, &self.timeouts);
        }
        self.complete_rebalances(now);
    }

    pub(super) fn partition(&mut self, at: &TopicPartition) -> Answer<&mut PartitionLog> {
        let partition =
            self.topics.get_mut(&at.topic).and_then(|t| t.partitions.get_mut(at.partition as usize));
        partition.ok_or_else(|| no_such_partition(at))
    }

    pub(super) fn bounds(&self, at: &TopicPartition, isolation: Isolation) -> Answer<LogBounds> {
        let partition = self.topics.get(&at.topic).and_then(|t| t.partitions.get(at.partition as usize));
        let bounds = |log: &PartitionLog| LogBounds { start: log.start(), end: log.end(isolation) };
        partition.map(bounds).ok_or_else(|| no_such_partition(at))
    }

    pub(super) fn delete_records(&mut self, before: &BTreeMap<TopicPartition, i64>) {
        for (at, offset) in before {
            // As Kafka: a topic that is compacted only keeps its records.
            if self.topics.get(&at.topic).is_some_and(|topic| topic.deletes)
                && let Ok(log) = self.partition(at)
            {
                log.delete_before(*offset);
            }
        }
    }

    #[cfg_attr(not(test), expect(dead_code, reason = "switched on by tests alone"))]
    pub(super) fn compact(&mut self, now: i64) -> usize {
        let compacted =
            self.topics.values_mut().filter_map(|topic| Some((topic.compaction?, &mut topic.partitions)));
        compacted.flat_map(|(rules, logs)| logs.iter_mut().map(move |log| log.compact(rules, now))).sum()
    }

    // Producing.

    /// Begins or goes on with the producer's transaction. Anything but `Entered::Yes` writes nothing.
    pub(super) fn enter(&mut self, who: &Identity, now: i64, late: bool) -> Answer<Entered> {
        let deadline = now + self.timeouts.transaction;
        let entered = self.transactions.enter(who, deadline, late)?;
        self.check_at = self.check_at.min(deadline);
        Ok(entered)
    }

    /// Appends records of a producer that has entered, in order, until one is refused: that one is then the first of
    /// `records`.
    pub(super) fn append_all(
        &mut self,
        who: &Identity,
        records: &mut Vec<Outgoing>,
        mut appended: impl FnMut(TopicPartition, i64),
    ) -> Answer<()> {
        let Self { topics, transactions, clock, .. } = self;
        let mut current: Option<(Arc<str>, &mut Topic)> = None;
        let mut drain = records.drain(..);
        let mut refused = None;
        for record in drain.by_ref() {
            let name = &record.target.topic;
            if current.as_ref().is_none_or(|(current, _)| !Arc::ptr_eq(current, name) && current != name) {
                current = topics.get_mut(name).map(|topic| (name.clone(), topic));
            }
            let topic = current.as_mut().map(|(_, topic)| &mut **topic);
            match append(topic, transactions, who, record, &**clock) {
                Ok((target, offset)) => appended(target, offset),
                Err(record) => {
                    refused = Some(*record);
                    break;
                }
            }
        }
        let Some((record, failure)) = refused else { return Ok(()) };
        let rest: Vec<_> = drain.collect();
        records.push(record);
        records.extend(rest);
        Err(failure)
    }

    /// Appends a record.
    pub(super) fn append_one(&mut self, who: &Identity, record: Outgoing) -> Answer<()> {
        let topic = self.topics.get_mut(&record.target.topic);
        match append(topic, &mut self.transactions, who, record, &*self.clock) {
            Ok(_) => Ok(()),
            Err(refused) => Err(refused.1),
        }
    }

    /// Appends a numbered request: what came before under the same number is not appended again. With the first
    /// failure, if a record was refused; the others are appended all the same.
    pub(super) fn produce(&mut self, who: &Identity, batch: &Batch) -> (Acknowledged, Option<Failure>) {
        match self.requests.get(&who.producer) {
            Some((number, answer)) if batch.number == *number => return answer.clone(),
            Some((number, _)) if batch.number < *number => return (Acknowledged::new(), None),
            _ => {}
        }
        let (mut acknowledged, mut failure) = (Acknowledged::new(), None);
        for record in &batch.records {
            let topic = self.topics.get_mut(&record.target.topic);
            match append(topic, &mut self.transactions, who, record.clone(), &*self.clock) {
                Ok((target, offset)) => push_offset(acknowledged.entry(target).or_default(), offset),
                Err(refused) => failure = failure.or(Some(refused.1)),
            }
        }
        let answer = (acknowledged, failure);
        self.requests.insert(who.producer, (batch.number, answer.clone()));
        answer
    }

    // Transactions.

    /// `Wait` while the markers of the transaction before are not written.
    pub(super) fn init(&mut self, id: &Arc<str>) -> Progress<Identity> {
        let new_producer = self.next_id();
        let mut identity = self.transactions.init(id, new_producer);
        if identity.is_none() {
            self.write_markers();
            identity = self.transactions.init(id, new_producer);
        }
        let Some(identity) = identity else { return Progress::Wait };
        self.requests.remove(&identity.producer);
        Progress::Done(Ok(identity))
    }

    pub(super) fn end_transaction(&mut self, who: &Identity, commit: bool) -> Progress<()> {
        match self.transactions.end(who, commit) {
            Ok(Entered::NotYet) => Progress::Wait,
            Ok(Entered::Yes) => {
                self.write_markers();
                Progress::Done(Ok(()))
            }
            Err(failure) => Progress::Done(Err(failure)),
        }
    }

    pub(super) fn write_markers(&mut self) {
        if self.faults.markers_held {
            return;
        }
        for (commit, transaction) in self.transactions.complete() {
            for at in &transaction.partitions {
                if let Ok(log) = self.partition(at) {
                    log.end_transaction(transaction.producer, commit);
                }
            }
            for group in &transaction.groups {
                self.groups.entry(group.clone()).or_default().end_transaction(transaction.producer, commit);
            }
        }
    }

    pub(super) fn send_offsets(
        &mut self,
        who: &Identity,
        offsets: &Offsets,
        from: &GroupMetadata,
        now: i64,
    ) -> Progress<()> {
        match self.enter(who, now, false) {
            Ok(Entered::NotYet) => return Progress::Wait,
            Err(failure) => return Progress::Done(Err(failure)),
            Ok(Entered::Yes) => {}
        }
        if let Ok(Some(transaction)) = self.transactions.current(who) {
            transaction.groups.insert(from.group.clone());
        }
        let group = self.groups.entry(from.group.clone()).or_default();
        let accepted = group.check(from, true).and_then(|()| check_metadata(offsets));
        Progress::Done(accepted.map(|()| group.commit_in_transaction(who.producer, offsets.clone())))
    }

    pub(super) fn commit_offsets(&mut self, offsets: &Offsets, from: &GroupMetadata) -> Answer<()> {
        let group = self.groups.entry(from.group.clone()).or_default();
        group.check(from, false)?;
        check_metadata(offsets)?;
        group.commit(offsets.clone());
        Ok(())
    }

    // Faults.

    /// Lets a call arrive, or not, as the faults say.
    pub(super) fn pass<A>(
        &mut self,
        client: &str,
        call: Call,
        late: impl FnOnce() -> Late,
        arrive: impl FnOnce(&mut Self) -> Progress<A>,
    ) -> Progress<A> {
        match self.faults.take_loss(client, call) {
            None => arrive(self),
            Some(Loss::Request) => Progress::Lost,
            Some(Loss::Answer) => {
                arrive(self);
                Progress::Lost
            }
            Some(Loss::Delay) => {
                self.faults.late.push_back(late());
                Progress::Lost
            }
        }
    }

    /// Lets the oldest late request arrive; `false` if there is none. Nobody hears its answer.
    #[cfg_attr(not(test), expect(dead_code, reason = "switched on by tests alone"))]
    pub(super) fn land_late_request(&mut self, now: i64) -> bool {
        match self.faults.late.pop_front() {
            None => return false,
            Some(Late::Produce { who, batch }) => {
                if let Ok(Entered::Yes) = self.enter(&who, now, true) {
                    self.produce(&who, &batch);
                }
            }
            Some(Late::EndTransaction { who, commit }) => {
                self.end_transaction(&who, commit);
            }
            Some(Late::OffsetCommit { from, offsets }) => {
                let _too_late_is_no_failure = self.commit_offsets(&offsets, &from);
            }
        }
        true
    }
}

/// Where a record goes, unless it is refused.
fn find<'a>(
    topic: Option<&'a mut Topic>,
    record: &Outgoing,
) -> Answer<(&'a mut PartitionLog, Option<Compaction>)> {
    let topic = topic.ok_or_else(|| no_such_partition(&record.target))?;
    topic.accept(record)?;
    let compaction = topic.compaction;
    let log = topic.partitions.get_mut(record.target.partition as usize);
    Ok((log.ok_or_else(|| no_such_partition(&record.target))?, compaction))
}

/// Appends one record; a refused one is given back.
fn append(
    topic: Option<&mut Topic>,
    transactions: &mut Transactions,
    who: &Identity,
    record: Outgoing,
    clock: &dyn Clock,
) -> Result<(TopicPartition, i64), Box<(Outgoing, Failure)>> {
    let (log, compaction) = match find(topic, &record) {
        Ok(found) => found,
        Err(failure) => return Err(Box::new((record, failure))),
    };
    if let Some(rules) = compaction.filter(|_| log.is_dirty()) {
        log.compact(rules, clock.date().0);
    }
    if who.transactional_id.is_none() {
        return Ok(log.append(record, None));
    }
    if !log.is_open(who.producer)
        && let Ok(Some(transaction)) = transactions.current(who)
    {
        transaction.partitions.insert(record.target.clone());
    }
    Ok(log.append(record, Some(who.producer)))
}

fn check_metadata(offsets: &Offsets) -> Answer<()> {
    match offsets.iter().find(|(_, offset)| offset.metadata.len() > MAX_METADATA_BYTES) {
        None => Ok(()),
        Some((at, offset)) => {
            let size = offset.metadata.len();
            Err(fatal(format!(
                "the offset metadata of {at} has {size} bytes: offset.metadata.max.bytes is {MAX_METADATA_BYTES}"
            )))
        }
    }
}
