//! A log, a clock, and the members of a group; each member has a disk that outlives it.

use super::disks::{Disks, Machine};
use crate::broker::memory::MemoryLog;
use crate::broker::{Bytes, Outgoing};
use crate::dsl::{Consumed, Grouped, Materialized, Produced, StreamsBuilder};
use crate::record::{Headers, TopicPartition};
use crate::runtime::ending::EndOfInput;
use crate::runtime::{CommitPoint, Instance, StreamsConfig, Surroundings};
use crate::serdes::Utf8;
use crate::time::{ManualClock, Timestamp};
use crate::topology::Topology;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

pub(super) type Kill = Rc<RefCell<Option<CommitPoint>>>;

pub(super) struct Member {
    pub(super) name: String,
    pub(super) instance: Option<Instance>,
    pub(super) disk: Box<dyn Machine>,
    /// Killed before this point, once.
    pub(super) kill: Kill,
    pub(super) kills: usize,
    starts: u64,
}

pub(super) struct World {
    pub(super) log: MemoryLog,
    pub(super) clock: ManualClock,
    pub(super) topology: Topology,
    pub(super) config: StreamsConfig,
    pub(super) members: Vec<Member>,
    pub(super) end: EndOfInput,
}

impl World {
    pub(super) fn new(topology: Topology, config: StreamsConfig, members: usize) -> Self {
        Self::on(topology, config, members, |_| Disks::Memory.machine())
    }

    /// `machine`: of each member.
    pub(super) fn on(
        topology: Topology,
        config: StreamsConfig,
        members: usize,
        machine: impl Fn(usize) -> Box<dyn Machine>,
    ) -> Self {
        let clock = ManualClock::at(Timestamp(1_000_000));
        let log = MemoryLog::new(Arc::new(clock.clone()));
        let member = |n: usize| Member {
            name: format!("member{n}"),
            instance: None,
            disk: machine(n),
            kill: Kill::default(),
            kills: 0,
            starts: 0,
        };
        let members = (0..members).map(member).collect();
        Self { log, clock, topology, config, members, end: EndOfInput::default() }
    }

    pub(super) fn topic(&self, name: &str, partitions: u32) {
        self.log.create_topic(name, partitions, &[]).expect("a topic");
    }

    pub(super) fn put(&self, topic: &str, partition: u32, key: &str, value: &str, at: i64) {
        let bytes = |text: &str| -> Bytes { text.as_bytes().into() };
        let record = Outgoing {
            target: TopicPartition::new(topic, partition),
            timestamp: Timestamp(at),
            key: Some(bytes(key)),
            value: Some(bytes(value)),
            headers: Headers::new(),
        };
        self.log.append(&mut vec![record]).expect("appended");
    }

    pub(super) fn start(&mut self, n: usize) {
        let member = &mut self.members[n];
        member.starts += 1;
        let kill = member.kill.clone();
        let surroundings = Surroundings {
            client: Box::new(self.log.client(&member.name)),
            disk: member.disk.disk(),
            instance_id: member.name.clone(),
            seed: (n as u64) << 32 | member.starts << 16,
            kill: Some(Box::new(move |point| {
                let hit = *kill.borrow() == Some(point);
                if hit {
                    *kill.borrow_mut() = None;
                }
                hit
            })),
        };
        let settings = self.config.settings().expect("settings");
        let clock = Arc::new(self.clock.clone());
        let blueprint = self.topology.blueprint().clone();
        let instance = Instance::new(blueprint, settings, clock, surroundings, Some(self.end.clone()));
        member.instance = Some(instance.expect("instance"));
    }

    /// As kill -9: its memory is gone, its disk stays.
    pub(super) fn crash(&mut self, n: usize) {
        self.members[n].instance = None;
        self.members[n].kills += 1;
    }

    /// One step of one member; `true` if it did something. A killed one is gone.
    pub(super) fn step(&mut self, n: usize) -> bool {
        let Some(instance) = &mut self.members[n].instance else { return false };
        match instance.step() {
            Ok(stepped) => stepped.progressed,
            Err(error) => {
                assert!(instance.is_killed(), "{error}");
                self.crash(n);
                true
            }
        }
    }

    /// Until nobody has anything to do at this time.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut progressed = false;
            for n in 0..self.members.len() {
                progressed |= self.step(n);
            }
            if !progressed {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Both clocks, in steps that keep the heartbeats going.
    pub(super) fn advance(&mut self, ms: i64) {
        let mut left = ms;
        while left > 0 {
            let step = left.min(50);
            self.clock.advance(step);
            left -= step;
            self.settle();
        }
    }

    pub(super) fn generation(&self, n: usize) -> i32 {
        self.members[n].instance.as_ref().expect("lives").generation()
    }

    /// What is committed, by key the values in order.
    pub(super) fn read(&self, topic: &str) -> BTreeMap<String, Vec<String>> {
        let text =
            |bytes: &Option<Bytes>| String::from_utf8_lossy(bytes.as_deref().unwrap_or(b"null")).into_owned();
        let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, record) in self.log.read_all(topic) {
            out.entry(text(&record.key)).or_default().push(text(&record.value));
        }
        out
    }

    /// The last value of each key.
    pub(super) fn latest(&self, topic: &str) -> BTreeMap<String, String> {
        let last = |(key, values): (String, Vec<String>)| Some((key, values.last()?.clone()));
        self.read(topic).into_iter().filter_map(last).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarantee {
    ExactlyOnce,
    AtLeastOnce,
}

impl Guarantee {
    pub(super) const BOTH: [Self; 2] = [Self::ExactlyOnce, Self::AtLeastOnce];

    pub(super) fn config(self) -> StreamsConfig {
        let config = StreamsConfig::new("app", "").set("commit.interval.ms", "100");
        match self {
            Self::ExactlyOnce => config.exactly_once(),
            Self::AtLeastOnce => config,
        }
    }
}

/// Per key the values one after the other; every update leaves.
pub(super) fn letters() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream("in", Consumed::<String, String>::with(Utf8, Utf8))
        .group_by_key()
        .aggregate(
            String::new,
            |_, value, all| all.push_str(value),
            Materialized::named("all").caching(false),
        )
        .to_stream()
        .to("out", Produced::with(Utf8, Utf8));
    builder.build().expect("builds")
}

/// The same behind a repartition topic.
pub(super) fn repartitioned() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream("in", Consumed::<String, String>::with(Utf8, Utf8))
        .group_by(|key, _| key.clone(), Grouped::with("again", Utf8, Utf8))
        .aggregate(
            String::new,
            |_, value, all| all.push_str(value),
            Materialized::named("all").caching(false),
        )
        .to_stream()
        .to("out", Produced::with(Utf8, Utf8));
    builder.build().expect("builds")
}

const KEYS: [&str; 3] = ["a", "b", "c"];

fn letter(n: usize) -> String {
    char::from(b'A' + (n % 26) as u8).to_string()
}

/// Gives each key `count` more records, from number `from` on; each key stays in one partition.
pub(super) fn fed(world: &mut World, from: usize, count: usize) -> usize {
    for n in from..from + count {
        for (at, key) in KEYS.iter().enumerate() {
            world.put("in", (at % 2) as u32, key, &letter(n), n as i64);
        }
    }
    from + count
}

impl World {
    /// What is committed is the fold over the first `count` records of each key: update for update under exactly once,
    /// the last one under at least once. And so is what a member without a disk restores.
    pub(super) fn check(&mut self, guarantee: Guarantee, count: usize) {
        let all: String = (0..count).map(letter).collect();
        let updates: Vec<String> = (1..=count).map(|n| all[..n].to_owned()).collect();
        let out = self.read("out");
        for key in KEYS {
            let of_key = out.get(key).cloned().unwrap_or_default();
            match guarantee {
                Guarantee::ExactlyOnce => assert_eq!(of_key, updates, "{key}"),
                Guarantee::AtLeastOnce => {
                    assert_eq!(of_key.last(), updates.last(), "{key}");
                    assert!(updates.iter().all(|update| of_key.contains(update)), "{key}: {of_key:?}");
                }
            }
        }
        for n in 0..self.members.len() {
            self.crash(n);
            self.members[n].disk.lose();
        }
        self.start(0);
        self.advance(60_000);
        let more = fed(self, count, 1);
        self.advance(60_000);
        let all: String = (0..more).map(letter).collect();
        for (key, last) in self.latest("out") {
            assert_eq!(last, all, "{key} after a restore without a disk");
        }
    }
}
