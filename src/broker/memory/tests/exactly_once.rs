//! A copying program that only knows how to crash, under every fault, copies each record exactly once.

use super::*;
use crate::broker::contract::{at, record, values};
use crate::broker::{Answer, CommittedOffset, Consumer, Failure, FailureKind, GroupEvent, Offsets, Producer};

const PARTITIONS: u32 = 3;
const RECORDS: u32 = 40;

struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

struct Copier {
    name: String,
    consumer: Box<dyn Consumer>,
    producer: Option<Box<dyn Producer>>,
    owned: Vec<TopicPartition>,
}

fn wait<T>(world: &MemoryHarness, mut poll: impl FnMut() -> Option<Answer<T>>) -> Answer<T> {
    loop {
        match poll() {
            Some(answer) => return answer,
            None => world.pass(50),
        }
    }
}

impl Copier {
    fn start(world: &MemoryHarness, name: &str) -> Self {
        let mut consumer = world.client(name).consumer("copiers", name).expect("client");
        consumer.subscribe(&["in".to_owned()]);
        Self { name: name.to_owned(), consumer, producer: None, owned: Vec::new() }
    }

    /// Any failure is a crash.
    fn step(&mut self, world: &MemoryHarness, chance: &mut Chance) -> Answer<()> {
        match self.consumer.poll_group() {
            Some(GroupEvent::Assigned(owned)) => self.take_over(world, owned)?,
            Some(GroupEvent::Revoked) => {
                self.owned.clear();
                self.consumer.acknowledge_revocation();
            }
            Some(GroupEvent::Lost) => self.owned.clear(),
            None => {}
        }
        self.copy(world, chance)
    }

    fn take_over(&mut self, world: &MemoryHarness, owned: Vec<TopicPartition>) -> Answer<()> {
        let client = world.client(&self.name);
        let mut producer = client.producer(Some(&self.name)).expect("client");
        let ticket = producer.start_init();
        wait(world, || producer.poll(ticket))?;
        self.producer = Some(producer);
        let mut admin = client.admin().expect("client");
        let ticket = admin.start_committed("copiers", owned.clone());
        let committed = wait(world, || admin.poll_committed(ticket))?;
        for partition in &owned {
            self.consumer.seek(partition, committed.get(partition).map_or(0, |committed| committed.offset));
        }
        self.owned = owned;
        Ok(())
    }

    fn copy(&mut self, world: &MemoryHarness, chance: &mut Chance) -> Answer<()> {
        let Some(producer) = self.producer.as_mut().filter(|_| !self.owned.is_empty()) else { return Ok(()) };
        let (mut offsets, mut out) = (Offsets::new(), Vec::new());
        for partition in &self.owned {
            let records = self.consumer.fetch(partition, 3)?.records;
            if let Some(last) = records.last() {
                let committed = CommittedOffset { offset: last.offset + 1, metadata: String::new() };
                offsets.insert(partition.clone(), committed);
            }
            let copied =
                values(&records).into_iter().map(|v| record(&at("out", partition.partition), "k", Some(&v)));
            out.extend(copied);
        }
        if offsets.is_empty() {
            return Ok(());
        }
        producer.begin()?;
        producer.send_all(&mut out)?;
        let from = self.consumer.group_metadata();
        if from.generation < 0 || chance.below(20) == 0 {
            return Err(Failure::new(FailureKind::Abortable, "killed before the offsets"));
        }
        let ticket = producer.start_send_offsets(offsets, from);
        wait(world, || producer.poll(ticket))?;
        let ticket = producer.start_commit();
        if chance.below(20) == 0 {
            return Err(Failure::new(FailureKind::Unknown, "killed in the commit"));
        }
        wait(world, || producer.poll(ticket)).map(|_| ())
    }
}

fn disturb(world: &MemoryHarness, name: &str, chance: &mut Chance) {
    let call = [Call::Produce, Call::EndTransaction][chance.below(2) as usize];
    let loss = [Loss::Request, Loss::Answer, Loss::Delay][chance.below(3) as usize];
    match chance.below(24) {
        0 | 1 => world.log.lose_next(name, call, loss),
        2 | 3 => world.log.outage_of(name, chance.below(2) == 0),
        4 => world.log.hold_sends_of(name, chance.below(2) == 0),
        5 => world.log.hold_markers(chance.below(2) == 0),
        6..=8 => drop(world.log.land_late_request()),
        _ => {}
    }
}

fn calm(world: &MemoryHarness, names: &[&str]) {
    world.log.hold_markers(false);
    for name in names {
        world.log.outage_of(name, false);
        world.log.hold_sends_of(name, false);
    }
}

fn copied(world: &MemoryHarness, topic: &str) -> Vec<Vec<String>> {
    let all = world.log.read_all(topic);
    let of =
        |p: u32| all.iter().filter(move |(partition, _)| *partition == p).map(|(_, record)| record.clone());
    (0..PARTITIONS).map(|p| values(&of(p).collect::<Vec<_>>())).collect()
}

#[test]
fn crashing_copiers_copy_each_record_once_and_in_order() {
    let names = ["a", "b", "c"];
    let mut crashes = 0;
    for seed in 1..=150 {
        let (world, mut chance) = (harness(), Chance(seed * 0x9E37_79B9));
        for topic in ["in", "out"] {
            world.create_topic(topic, PARTITIONS, &[]);
        }
        let input = |n: u32| record(&at("in", n % PARTITIONS), "k", Some(&n.to_string()));
        world.log.append(&mut (0..RECORDS).map(input).collect()).expect("append");
        let mut copiers = names.map(|name| Copier::start(&world, name));
        for round in 0.. {
            assert!(round < 20_000, "seed {seed}: not done");
            let copier = &mut copiers[chance.below(3) as usize];
            if round == 600 {
                calm(&world, &names);
            } else if round < 600 {
                disturb(&world, &copier.name, &mut chance);
            }
            if copier.step(&world, &mut chance).is_err() {
                crashes += 1;
                *copier = Copier::start(&world, &copier.name.clone());
            }
            world.pass(chance.below(120) as i64);
            if round > 600 && copied(&world, "out").concat().len() >= RECORDS as usize {
                break;
            }
        }
        while world.log.land_late_request() {}
        world.pass(TIMEOUTS.transaction);
        assert_eq!(copied(&world, "out"), copied(&world, "in"), "seed {seed}");
    }
    assert!(crashes > 1_000, "only {crashes} crashes: the faults do nothing");
}
