//! What became of the records that were handed over.

use super::failure::{Call, failure};
use super::ffi::Delivery;
use crate::broker::{Acknowledged, Answer, Failure};
use crate::record::TopicPartition;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts by flush: records that were handed over between two flushes carry the number of the one that waits for them.
#[derive(Default)]
pub(super) struct Deliveries(Mutex<State>);

#[derive(Default)]
struct State {
    flush: u64,
    /// Records that are not reported yet, by the flush that waits for them; none that is zero.
    outstanding: BTreeMap<u64, u64>,
    /// By topic handle and partition; ascending.
    acknowledged: HashMap<(usize, u32), Vec<Range<i64>>>,
    topics: HashMap<usize, Arc<str>>,
    failure: Option<Failure>,
}

impl Deliveries {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number that so many records are to be handed over with.
    pub(super) fn handing_over(&self, records: usize) -> u64 {
        let mut state = self.state();
        let flush = state.flush;
        if records > 0 {
            *state.outstanding.entry(flush).or_insert(0) += records as u64;
        }
        flush
    }

    /// So many of them were refused.
    pub(super) fn not_handed_over(&self, number: u64, records: usize) {
        self.state().reported(number, records as u64);
    }

    /// From here on a flush waits for all that was handed over before; its number.
    pub(super) fn flush(&self) -> u64 {
        let mut state = self.state();
        state.flush += 1;
        state.flush - 1
    }

    /// Whether something was waited for and is there.
    pub(super) fn report<'a>(&self, deliveries: impl Iterator<Item = Delivery<'a>>) -> bool {
        let mut state = self.state();
        for delivery in deliveries {
            match delivery.offset() {
                Ok(offset) => state.acknowledge(&delivery, offset),
                Err(error) => {
                    let on = format!("write to {}-{}", delivery.topic(), delivery.partition());
                    let failure = failure(&error, Call::Change, &on);
                    state.failure.get_or_insert(failure);
                }
            }
            state.reported(delivery.number(), 1);
        }
        state.outstanding.is_empty()
            || state.outstanding.keys().next().is_some_and(|first| *first == state.flush)
    }

    /// The answer to a flush, once nothing before it is outstanding.
    pub(super) fn flushed(&self, number: u64) -> Option<Answer<Acknowledged>> {
        let mut state = self.state();
        if state.outstanding.keys().next().is_some_and(|first| *first <= number) {
            return None;
        }
        Some(match state.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(state.take_acknowledged()),
        })
    }

    /// What was acknowledged and not told yet.
    pub(super) fn acknowledged(&self) -> Acknowledged {
        self.state().take_acknowledged()
    }

    /// The first failure that was not told by a flush.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.state().failure.clone()
    }

    /// A transaction was aborted.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.failure = None;
        state.acknowledged.clear();
    }
}

impl State {
    fn reported(&mut self, number: u64, records: u64) {
        if let Some(left) = self.outstanding.get_mut(&number) {
            *left -= records.min(*left);
            if *left == 0 {
                self.outstanding.remove(&number);
            }
        }
    }

    fn acknowledge(&mut self, delivery: &Delivery<'_>, offset: i64) {
        let topic = delivery.topic_key();
        self.topics.entry(topic).or_insert_with(|| delivery.topic().into());
        let ranges = self.acknowledged.entry((topic, delivery.partition())).or_default();
        match ranges.last_mut() {
            Some(last) if last.end == offset => last.end += 1,
            _ => ranges.push(offset..offset + 1),
        }
    }

    fn take_acknowledged(&mut self) -> Acknowledged {
        let mut told = Acknowledged::new();
        let mut by_key: Vec<_> = self.acknowledged.drain().collect();
        by_key.sort_by_key(|(key, _)| *key);
        for ((topic, partition), mut ranges) in by_key {
            let Some(topic) = self.topics.get(&topic) else { continue };
            ranges.sort_by_key(|range| range.start);
            told.entry(TopicPartition::new(topic.clone(), partition)).or_default().extend(ranges);
        }
        told
    }
}
