//! A broker under test, with a client that is not Highwater's.

use highwater::time::{Clock, SystemClock};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupInfo;
use rdkafka::message::Message as _;
use rdkafka::metadata::MetadataPartition;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long anything may take.
pub const LONG: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// Where the broker is.
pub struct Cluster {
    pub bootstrap: String,
    writer: BaseProducer,
}

/// A record as a reader sees it: partition, key, value.
pub type Seen = (i32, String, String);

/// A record as it lies in the log; null is `None`.
pub struct Raw {
    pub partition: i32,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// Says that the running test cannot run here, and counts it.
pub fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped {test}: {why}");
    if let Some(path) = std::env::var_os("HIGHWATER_TEST_SKIPS") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let said = file.and_then(|mut file| writeln!(file, "{test}: {why}"));
        said.expect("the list of skipped tests");
    }
}

impl Cluster {
    /// `None`, and counted as skipped: there is none.
    pub fn there() -> Option<Self> {
        let bootstrap = std::env::var("HIGHWATER_TEST_BOOTSTRAP").ok().filter(|address| !address.is_empty());
        if bootstrap.is_none() {
            skipped("no broker");
        }
        Some(Self::at(&bootstrap?))
    }

    pub fn at(bootstrap: &str) -> Self {
        let bootstrap = bootstrap.to_owned();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &bootstrap)
            .set("partitioner", "murmur2_random")
            // Each record once, also where the broker goes away.
            .set("enable.idempotence", "true")
            .set("linger.ms", "1");
        Self { writer: config.create().expect("producer"), bootstrap }
    }

    /// A name that nobody else uses.
    #[expect(clippy::unused_self, reason = "asked of the cluster, like the rest")]
    pub fn unique(&self, name: &str) -> String {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let (date, number) = (SystemClock::new().now().0, NAMES.fetch_add(1, Ordering::SeqCst));
        format!("{name}-{date}-{}-{number}", std::process::id())
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("group.id", "tests");
        config
    }

    /// Keeps what is old: event times of tests are.
    pub fn create(&self, topic: &str, partitions: i32) {
        self.create_with(topic, partitions, &[("retention.ms", "-1")]);
    }

    pub fn create_all<const N: usize>(&self, topics: [&str; N], partitions: i32) {
        for topic in topics {
            self.create(topic, partitions);
        }
    }

    pub fn create_with(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("admin");
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = config.iter().fold(new, |new, (property, value)| new.set(property, value));
        let made = futures_executor(admin.create_topics(&[new], &AdminOptions::new()));
        made.expect("answer").into_iter().for_each(|made| drop(made.expect("topic")));
        self.until_seen(topic, partitions);
    }

    /// A topic is made before all brokers know it, and an application that starts looks at what is there.
    fn until_seen(&self, topic: &str, partitions: i32) {
        let reader: BaseConsumer = self.config().create().expect("consumer");
        let clock = SystemClock::new();
        while clock.monotonic() < LONG.as_millis() as i64 {
            let known = reader.fetch_metadata(None, LONG).expect("metadata");
            let found = known.topics().iter().find(|known| known.name() == topic);
            if found.is_some_and(|found| found.partitions().len() == partitions as usize) {
                return;
            }
        }
        panic!("{topic} was made and is not seen");
    }

    /// Writes records to partition `key hash`, in order.
    pub fn write<'a>(&self, topic: &str, records: impl IntoIterator<Item = (&'a str, &'a str, i64)>) {
        for (key, value, timestamp) in records {
            let record = BaseRecord::to(topic).key(key).payload(value).timestamp(timestamp);
            self.writer.send(record).map_err(|(error, _)| error).expect("send");
        }
        self.writer.flush(LONG).expect("flush");
    }

    /// Leaves a record to the producer, which sends it when it can.
    pub fn hand_over(&self, topic: &str, partition: i32, key: &str, value: &str, timestamp: i64) {
        let record = BaseRecord::to(topic).partition(partition).key(key).payload(value).timestamp(timestamp);
        self.writer.send(record).map_err(|(error, _)| error).expect("send");
    }

    pub fn flush(&self) {
        self.writer.flush(LONG).expect("flush");
    }

    #[expect(clippy::unused_self, reason = "asked of the cluster, like the rest")]
    pub fn now(&self) -> i64 {
        SystemClock::new().now().0
    }

    pub fn write_to(&self, topic: &str, partition: i32, key: &str, value: &str, timestamp: i64) {
        let record = BaseRecord::to(topic).partition(partition).key(key).payload(value).timestamp(timestamp);
        self.writer.send(record).map_err(|(error, _)| error).expect("send");
        self.writer.flush(LONG).expect("flush");
    }

    /// All that is committed, partition by partition, from the first record to where it ends now.
    pub fn read(&self, topic: &str) -> Vec<Seen> {
        let text =
            |bytes: Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or(b"-")).into_owned();
        let seen = self.read_raw(topic).into_iter();
        seen.map(|record| (record.partition, text(record.key), text(record.value))).collect()
    }

    /// As [`read`](Self::read), as bytes.
    pub fn read_raw(&self, topic: &str) -> Vec<Raw> {
        let reader: BaseConsumer = self
            .config()
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "20")
            .create()
            .expect("consumer");
        let metadata = reader.fetch_metadata(Some(topic), LONG).expect("metadata");
        let partitions: Vec<i32> =
            metadata.topics()[0].partitions().iter().map(MetadataPartition::id).collect();
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            list.add_partition_offset(topic, *partition, Offset::Beginning).expect("partition");
        }
        reader.assign(&list).expect("assign");
        let (mut seen, mut ended) = (Vec::new(), Vec::new());
        while ended.len() < partitions.len() {
            match reader.poll(POLL) {
                Some(Ok(message)) => seen.push(Raw {
                    partition: message.partition(),
                    timestamp: message.timestamp().to_millis().unwrap_or(-1),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                }),
                Some(Err(KafkaError::PartitionEOF(partition))) if !ended.contains(&partition) => {
                    ended.push(partition);
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => panic!("{error}"),
            }
        }
        seen
    }

    /// The names of all topics.
    pub fn topics(&self) -> Vec<String> {
        let asker: BaseConsumer = self.config().create().expect("consumer");
        let metadata = asker.fetch_metadata(None, LONG).expect("metadata");
        metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
    }

    /// The client ids of a group's members.
    pub fn members(&self, group: &str) -> Vec<String> {
        let asker: BaseConsumer = self.config().create().expect("consumer");
        let list = asker.fetch_group_list(Some(group), LONG).expect("groups");
        let members = list.groups().iter().flat_map(GroupInfo::members);
        members.map(|member| member.client_id().to_owned()).collect()
    }

    /// What a group has committed of a topic, by partition: the offset and what is kept with it.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> Vec<(i64, String)> {
        let asker: BaseConsumer = self.config().set("group.id", group).create().expect("consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let committed = asker.committed_offsets(list, LONG).expect("committed offsets");
        let of = |p: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            (p.offset().to_raw().unwrap_or(-1), p.metadata().to_owned())
        };
        committed.elements().iter().map(of).collect()
    }

    /// Whether it becomes as it should be, to a deadline.
    pub fn within(&self, topic: &str, mut right: impl FnMut(&[Seen]) -> bool) -> bool {
        let clock = SystemClock::new();
        while clock.monotonic() < LONG.as_millis() as i64 {
            if right(&self.read(topic)) {
                return true;
            }
        }
        false
    }

    /// Reads until it is as it should be, to a deadline.
    #[track_caller]
    pub fn until(&self, topic: &str, what: &str, mut right: impl FnMut(&[Seen]) -> bool) -> Vec<Seen> {
        let clock = SystemClock::new();
        let mut seen = Vec::new();
        while clock.monotonic() < LONG.as_millis() as i64 {
            seen = self.read(topic);
            if right(&seen) {
                return seen;
            }
        }
        panic!("{what}: not after {LONG:?}; last seen: {seen:?}");
    }
}

/// Lets time pass: a wait for nothing, with a deadline.
pub fn pass(most: Duration) {
    let (_never, nothing) = std::sync::mpsc::channel::<()>();
    nothing.recv_timeout(most).expect_err("nobody tells anything");
}

/// The admin calls of the client are futures that need nothing but to be polled.
fn futures_executor<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
}
