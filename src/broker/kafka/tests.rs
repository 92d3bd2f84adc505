//! The contract on Apache Kafka. Without a broker (`HIGHWATER_TEST_BOOTSTRAP`) its tests say that they were skipped.

use super::ffi::{Partitions, Question, Queue};
use super::*;
use crate::broker::GroupEvent;
use crate::broker::contract::{Harness, contract_suite};
use crate::record::TopicPartition;
use crate::time::{SystemClock, Timestamp};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

const SESSION: i64 = 1_500;
const REBALANCE: i64 = 4_000;
const TRANSACTION: i64 = 2_000;

struct KafkaHarness {
    bootstrap: String,
    clock: Arc<SystemClock>,
    names: AtomicU32,
}

fn harness() -> Option<KafkaHarness> {
    let bootstrap = std::env::var("HIGHWATER_TEST_BOOTSTRAP").ok().filter(|address| !address.is_empty());
    let Some(bootstrap) = bootstrap else {
        skipped("no broker: HIGHWATER_TEST_BOOTSTRAP is not set");
        return None;
    };
    Some(KafkaHarness { bootstrap, clock: Arc::new(SystemClock::new()), names: AtomicU32::new(0) })
}

/// Counted by `tests/run`.
fn skipped(why: &str) {
    use std::io::Write as _;
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped {test}: {why}");
    if let Some(path) = std::env::var_os("HIGHWATER_TEST_SKIPS") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| writeln!(file, "{test}: {why}")).expect("the list of skipped tests");
    }
}

fn properties(pairs: &[(&str, String)]) -> Properties {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

impl KafkaHarness {
    fn config(&self, name: &str) -> KafkaConfig {
        let connection = [
            ("bootstrap.servers", self.bootstrap.clone()),
            ("client.id", name.to_owned()),
            ("topic.metadata.refresh.interval.ms", "300".to_owned()),
            ("topic.metadata.propagation.max.ms", "1000".to_owned()),
        ];
        let with = |more: &[(&str, String)]| {
            let mut all = properties(&connection);
            all.extend(properties(more));
            all
        };
        KafkaConfig {
            group: "questions".into(),
            consumer: with(&[
                ("session.timeout.ms", SESSION.to_string()),
                ("heartbeat.interval.ms", "200".into()),
                ("max.poll.interval.ms", REBALANCE.to_string()),
                ("partition.assignment.strategy", "range".into()),
                ("fetch.wait.max.ms", "50".into()),
            ]),
            producer: with(&[("transaction.timeout.ms", TRANSACTION.to_string()), ("linger.ms", "2".into())]),
            admin: with(&[("fetch.wait.max.ms", "50".into())]),
            request_timeout: 10_000,
            replication_factor: 1,
            largest_record: 1_000_000,
        }
    }

    fn kafka(&self, name: &str) -> KafkaClient {
        KafkaClient::new(self.config(name), Arc::new(|| {}), self.clock.clone())
    }

    fn ask(&self, question: &Question<'_>) {
        let handle =
            self.kafka("harness").consumer_handle("harness", Isolation::ReadCommitted).expect("handle");
        let answers = Queue::new(&handle).expect("queue");
        handle.ask(question, &answers, 10_000, 1);
        answers.poll(15_000).expect("answer").result().expect("done");
    }
}

impl Harness for KafkaHarness {
    fn client(&self, name: &str) -> Box<dyn Client> {
        Box::new(self.kafka(name))
    }
    fn unique(&self, name: &str) -> String {
        let date = self.clock.now().0;
        format!("{name}-{date}-{}-{}", std::process::id(), self.names.fetch_add(1, Ordering::SeqCst))
    }
    fn create_topic(&self, name: &str, partitions: u32, config: &[(&str, &str)]) {
        let mut config: BTreeMap<String, String> =
            config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        if config.contains_key("cleanup.policy") {
            // Each later timestamp begins a segment, and the cleaner takes whatever is dirty.
            for (key, value) in
                [("segment.ms", "1"), ("segment.jitter.ms", "0"), ("min.cleanable.dirty.ratio", "0.000001")]
            {
                config.insert(key.into(), value.into());
            }
        }
        let mut admin = self.kafka("harness").admin().expect("admin");
        let ticket =
            admin.start_create(vec![super::super::NewTopic { name: name.to_owned(), partitions, config }]);
        crate::broker::contract::until(self, "topic", || admin.poll_create(ticket)).expect("create");
    }
    fn delete_topic(&self, name: &str) {
        self.ask(&Question::Delete(&[name.to_owned()]));
    }
    fn pass(&self, ms: i64) {
        // A condition that nobody meets: a wait with a deadline.
        let (lock, condition) = (Mutex::new(()), Condvar::new());
        let most = Duration::from_millis(ms.unsigned_abs());
        drop(condition.wait_timeout_while(lock.lock().expect("lock"), most, |()| true).expect("wait"));
    }
    fn patience(&self) -> u32 {
        15_000
    }
    fn date(&self) -> Timestamp {
        self.clock.now()
    }
    fn session_timeout(&self) -> i64 {
        SESSION
    }
    fn silence(&self) -> i64 {
        REBALANCE + 1_000
    }
    fn rebalance_timeout(&self) -> i64 {
        REBALANCE
    }
    fn transaction_timeout(&self) -> i64 {
        TRANSACTION
    }
    /// Waits until the cleaner has passed: its checkpoint stands at the start of the last segment, or at the first
    /// offset that is not stable.
    fn compact(&self, topic: &str) -> bool {
        let Some(data) = std::env::var_os("HIGHWATER_TEST_KAFKA_DIR") else {
            skipped("the broker's files cannot be looked at: HIGHWATER_TEST_KAFKA_DIR is not set");
            return false;
        };
        let data = std::path::Path::new(&data).join("data");
        let log = data.join(format!("{topic}-0"));
        let segments = || {
            let files = std::fs::read_dir(&log)
                .expect("log")
                .filter_map(|file| file.ok()?.file_name().into_string().ok());
            let mut bases: Vec<i64> =
                files.filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect();
            bases.sort_unstable();
            bases
        };
        let cleaned = || {
            let checkpoint =
                std::fs::read_to_string(data.join("cleaner-offset-checkpoint")).unwrap_or_default();
            let line = checkpoint
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{topic} 0 ")).map(str::to_owned));
            line.and_then(|offset| offset.parse::<i64>().ok()).unwrap_or(0)
        };
        let mut ask = crate::broker::contract::Waiting::new(self);
        let stable = ask.bounds(&TopicPartition::new(topic, 0), Isolation::ReadCommitted).end;
        crate::broker::contract::until(self, "compaction", || {
            let last = segments().last().copied().unwrap_or(0).min(stable);
            (cleaned() >= last).then_some(())
        });
        true
    }
    fn commit_bytes(&self, group: &str, at: &TopicPartition, offset: i64, metadata: &[u8]) {
        let handle = self.kafka("tool").consumer_handle(group, Isolation::ReadCommitted).expect("handle");
        let answers = Queue::new(&handle).expect("queue");
        let mut list = Partitions::new();
        let named = super::ffi::NamedOffset { offset, metadata: metadata.to_vec() };
        list.push(&at.topic, at.partition as i32, &named);
        handle.commit(&list, &answers, 1).expect("commit");
        answers.poll(15_000).expect("answer").result().expect("committed");
    }
    fn lose_next_produce_answer(&self, _client: &str) {}
}

contract_suite!(optional harness);

/// What a member owns, followed through whatever the group tells.
struct Follower {
    member: Box<dyn Consumer>,
    owned: Vec<TopicPartition>,
    settled: bool,
}

impl Follower {
    fn join(kafka: &KafkaClient, group: &str, topic: &str) -> Self {
        let mut member = kafka.consumer(group, "member").expect("member");
        member.subscribe(&[topic.to_owned()]);
        Self { member, owned: Vec::new(), settled: false }
    }

    fn follow(&mut self) {
        match self.member.poll_group() {
            Some(GroupEvent::Assigned(owned)) => (self.owned, self.settled) = (owned, true),
            Some(GroupEvent::Revoked) => {
                (self.owned, self.settled) = (Vec::new(), false);
                self.member.acknowledge_revocation();
            }
            Some(GroupEvent::Lost) => (self.owned, self.settled) = (Vec::new(), false),
            None => {}
        }
    }
}

/// Two members share four partitions, each may commit and read what it owns, and one that leaves hands over.
fn members_share_and_hand_over(protocol: &[(&str, &str)]) {
    let Some(harness) = harness() else { return };
    let (topic, group) = (harness.unique("topic"), harness.unique("group"));
    harness.create_topic(&topic, 4, &[]);
    let mut config = harness.config("member");
    if protocol.contains(&("group.protocol", "consumer")) {
        let of_broker = ["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"];
        for name in of_broker {
            config.consumer.remove(name);
        }
    }
    config.consumer.extend(protocol.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let kafka = KafkaClient::new(config, Arc::new(|| {}), harness.clock.clone());
    let mut first = Follower::join(&kafka, &group, &topic);
    crate::broker::contract::until(&harness, "all for one", || {
        first.follow();
        (first.owned.len() == 4).then_some(())
    });
    let mut second = Follower::join(&kafka, &group, &topic);
    crate::broker::contract::until(&harness, "a share each", || {
        first.follow();
        second.follow();
        (first.settled && first.owned.len() == 2 && second.owned.len() == 2).then_some(())
    });
    for follower in [&mut first, &mut second] {
        let own = follower.owned[0].clone();
        let ticket = follower.member.start_commit(crate::broker::contract::offsets(&own, 3));
        let committed = crate::broker::contract::until(&harness, "commit", || {
            assert_eq!(follower.member.poll_group(), None);
            follower.member.poll_commit(ticket)
        });
        committed.expect("commit");
        let metadata = follower.member.group_metadata();
        assert!(metadata.generation > 0 && !metadata.member.is_empty(), "{metadata:?}");
        follower.member.seek(&own, 0);
        assert!(follower.member.fetch(&own, 1).is_ok());
    }
    first.member.leave();
    crate::broker::contract::until(&harness, "all for the other", || {
        second.follow();
        (second.owned.len() == 4).then_some(())
    });
}

#[test]
fn range_members_share_and_hand_over() {
    members_share_and_hand_over(&[]);
}

#[test]
fn cooperative_members_share_and_hand_over() {
    members_share_and_hand_over(&[("partition.assignment.strategy", "cooperative-sticky")]);
}

/// KIP-848.
#[test]
fn members_of_the_consumer_protocol_share_and_hand_over() {
    members_share_and_hand_over(&[("group.protocol", "consumer"), ("group.remote.assignor", "range")]);
}
