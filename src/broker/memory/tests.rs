//! The contract on the in-process log, and what only it can do: faults, late requests, memory.

use super::*;
use crate::broker::Client;
use crate::broker::contract::{Harness, at, contract_suite, values};
use crate::time::ManualClock;
use crate::time::Timestamp;
use std::sync::atomic::{AtomicU32, Ordering};

const TIMEOUTS: Timeouts = Timeouts { session: 1_000, rebalance: 10_000, request: 500, transaction: 2_000 };

struct MemoryHarness {
    log: MemoryLog,
    clock: ManualClock,
    names: AtomicU32,
}

fn harness() -> MemoryHarness {
    let clock = ManualClock::at(Timestamp(1_700_000_000_000));
    let log = MemoryLog::with_timeouts(Arc::new(clock.clone()), TIMEOUTS);
    MemoryHarness { log, clock, names: AtomicU32::new(0) }
}

impl Harness for MemoryHarness {
    fn client(&self, name: &str) -> Box<dyn Client> {
        Box::new(self.log.client(name))
    }
    fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.names.fetch_add(1, Ordering::SeqCst))
    }
    fn create_topic(&self, name: &str, partitions: u32, config: &[(&str, &str)]) {
        self.log.create_topic(name, partitions, config).expect("create");
    }
    fn delete_topic(&self, name: &str) {
        self.log.delete_topic(name);
    }
    fn pass(&self, ms: i64) {
        self.clock.advance(ms);
    }
    fn date(&self) -> Timestamp {
        self.clock.now()
    }
    fn session_timeout(&self) -> i64 {
        TIMEOUTS.session
    }
    fn rebalance_timeout(&self) -> i64 {
        TIMEOUTS.rebalance
    }
    fn transaction_timeout(&self) -> i64 {
        TIMEOUTS.transaction
    }
    fn compact(&self, _topic: &str) -> bool {
        self.log.compact(self.clock.now());
        true
    }
    fn commit_bytes(&self, group: &str, at: &TopicPartition, offset: i64, metadata: &[u8]) {
        self.log.commit(group, &BTreeMap::from([(at.clone(), (offset, metadata.to_vec()))])).expect("commit");
    }
    fn lose_next_produce_answer(&self, client: &str) {
        self.log.lose_next(client, Call::Produce, Loss::Answer);
    }
}

mod exactly_once;
mod faults;
mod memory;
mod model;

contract_suite!(harness);

/// A log with a topic of one partition, and that partition.
fn with_topic(config: &[(&str, &str)]) -> (MemoryHarness, TopicPartition) {
    let world = harness();
    world.create_topic("t", 1, config);
    (world, at("t", 0))
}

fn end(world: &MemoryHarness, log: &TopicPartition) -> i64 {
    world.log.bounds(log, Isolation::ReadUncommitted).expect("bounds").end
}

fn committed_values(world: &MemoryHarness) -> Vec<String> {
    values(&world.log.read_all("t").into_iter().map(|(_, record)| record).collect::<Vec<_>>())
}
