//! Topics read from their first record to their end, by partition, outside any group.

use crate::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// A broker that says nothing for so long is away.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which records a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    Committed,
    Uncommitted,
}

/// Where Kafka is, and how to speak to it.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub bootstrap: String,
    /// Properties of librdkafka.
    pub properties: Vec<(String, String)>,
}

/// One record, as long as it is looked at.
pub struct Seen<'a> {
    pub partition: i32,
    pub offset: i64,
    /// Ms; -1 where it has none.
    pub timestamp: i64,
    pub key: &'a [u8],
    /// None: a tombstone.
    pub value: Option<&'a [u8]>,
}

impl Cluster {
    pub fn new(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), properties: Vec::new() }
    }

    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        self.properties.iter().for_each(|(key, value)| _ = config.set(key, value));
        config
    }

    pub fn consumer(&self, isolation: Isolation) -> Result<BaseConsumer> {
        let isolation = match isolation {
            Isolation::Committed => "read_committed",
            Isolation::Uncommitted => "read_uncommitted",
        };
        let mut config = self.config();
        config
            // Never joined; the client wants a name to read at all.
            .set("group.id", "highwater-verifier")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "50")
            .set("fetch.queue.backoff.ms", "20")
            .set("isolation.level", isolation);
        Ok(config.create()?)
    }

    /// Fails where the topic is not there.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>> {
        partitions(&self.consumer(Isolation::Committed)?, topic)
    }
}

/// Asks and reads, with its connections kept.
pub struct Reader {
    bootstrap: String,
    committed: BaseConsumer,
    uncommitted: BaseConsumer,
}

impl Reader {
    pub fn of(cluster: &Cluster) -> Result<Self> {
        Ok(Self {
            bootstrap: cluster.bootstrap.clone(),
            committed: cluster.consumer(Isolation::Committed)?,
            uncommitted: cluster.consumer(Isolation::Uncommitted)?,
        })
    }

    /// Fails where the topic is not there.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>> {
        partitions(&self.committed, topic)
    }

    /// All committed records up to the end there is now, in the order of each partition.
    pub fn read(&self, topic: &str, mut each: impl FnMut(&Seen) -> Result<()>) -> Result<()> {
        let mut open = assign(&self.committed, topic)?;
        let mut heard = Instant::now();
        while open > 0 {
            match self.committed.poll(Duration::from_millis(500)) {
                None if heard.elapsed() > PATIENCE => {
                    return Err(format!("{topic}: no word from {} for {PATIENCE:?}", self.bootstrap).into());
                }
                None => continue,
                Some(Ok(record)) => {
                    let seen = Seen {
                        partition: record.partition(),
                        offset: record.offset(),
                        timestamp: record.timestamp().to_millis().unwrap_or(-1),
                        key: record.key().unwrap_or_default(),
                        value: record.payload(),
                    };
                    each(&seen).map_err(|error| -> Error {
                        format!("{topic}-{} at {}: {error}", seen.partition, seen.offset).into()
                    })?;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) if passes(&error) => continue,
                Some(Err(error)) => return Err(format!("{topic}: {error}").into()),
            }
            heard = Instant::now();
        }
        self.committed.unassign()?;
        Ok(())
    }

    /// Per partition of a topic: up to where a committed reader comes, and the end of the log.
    pub fn ends(&self, topic: &str, partitions: &[i32]) -> Result<Vec<(i64, i64)>> {
        let end = |consumer: &BaseConsumer, partition| {
            patiently(|| consumer.fetch_watermarks(topic, partition, PATIENCE)).map(|(_, end)| end)
        };
        let both = |partition: &i32| {
            // In this order: what is committed in between is not taken for open.
            let end_of_log = end(&self.uncommitted, *partition)?;
            Ok((end(&self.committed, *partition)?.min(end_of_log), end_of_log))
        };
        partitions.iter().map(both).collect()
    }
}

/// How many partitions were assigned, from their first record.
pub fn assign(consumer: &BaseConsumer, topic: &str) -> Result<usize> {
    let mut list = TopicPartitionList::new();
    for partition in partitions(consumer, topic)? {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(list.count())
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>> {
    let metadata = patiently(|| consumer.fetch_metadata(Some(topic), PATIENCE))?;
    let known = metadata.topics().iter().find(|known| known.name() == topic && known.error().is_none());
    let partitions: Vec<i32> =
        known.into_iter().flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect();
    if partitions.is_empty() { Err(format!("there is no topic {topic}").into()) } else { Ok(partitions) }
}

/// Asks again while a broker is away, or does not know yet that it leads a new partition.
fn patiently<T>(ask: impl Fn() -> Result<T, KafkaError>) -> Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Err(error) if passes(&error) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return Ok(other?),
        }
    }
}

/// The client goes on by itself, or a later question is answered.
pub fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, LeaderNotAvailable, NotLeaderForPartition, OperationTimedOut,
        UnknownPartition, UnknownTopicOrPartition,
    };
    let code = error.rdkafka_error_code();
    let known = [
        AllBrokersDown,
        BrokerTransportFailure,
        LeaderNotAvailable,
        NotLeaderForPartition,
        OperationTimedOut,
        UnknownPartition,
        UnknownTopicOrPartition,
    ];
    code.is_some_and(|code| known.contains(&code))
}
