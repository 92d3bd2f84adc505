//! A cluster as another program sees it: topics, records in, records out. Serdes are those of the example, by way of a
//! log inside the process.

use highwater::serdes::Bytes;
use highwater::time::Timestamp;
use highwater::{
    BoxError, Consumed, EmbeddedLog, KafkaStreams, NullableKey, Produced, StreamsConfig, Topology,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the broker may take to answer.
const ANSWER: Duration = Duration::from_secs(15);
/// Of each topic.
const PARTITIONS: i32 = 2;
/// As many copies as the broker makes by itself.
const REPLICATION: TopicReplication<'_> = TopicReplication::Fixed(-1);
/// Names a topic inside the process.
const SCRATCH: &str = "scratch";

pub struct Cluster(ClientConfig);

impl Cluster {
    #[expect(clippy::unnecessary_wraps, reason = "without the client it fails")]
    pub fn at(bootstrap_server: &str) -> Result<Self, BoxError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap_server);
        Ok(Self(config))
    }

    /// The topology as one process of its application.
    pub fn streams(&self, topology: Topology, application_id: &str) -> Result<KafkaStreams, BoxError> {
        let config = StreamsConfig::new(application_id, self.bootstrap_server()).exactly_once();
        Ok(KafkaStreams::new(topology, config)?)
    }

    fn bootstrap_server(&self) -> &str {
        self.0.get("bootstrap.servers").unwrap_or_default()
    }

    /// Fails where one is there: a demo would count the input of an earlier run again.
    pub fn create<'a>(&self, topics: &'a [&'a str]) -> Result<(), BoxError> {
        // Retention counts event time, and the input of a demo is old.
        let new = |name: &'a &str| NewTopic::new(name, PARTITIONS, REPLICATION).set("retention.ms", "-1");
        let made: Vec<_> = topics.iter().map(new).collect();
        for answer in self.wait(self.admin()?.create_topics(&made, &options()))? {
            match answer {
                Ok(_) => {}
                Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => {
                    let help =
                        "of an earlier run, or somebody's: --again deletes the topics of this demo first";
                    return Err(format!("topic `{name}` is there already, {help}").into());
                }
                Err((name, code)) => return Err(format!("cannot make topic `{name}`: {code}").into()),
            }
        }
        Ok(())
    }

    /// The topics of an earlier run, those inside of the application included, and its group.
    pub fn delete(&self, application_id: &str, topics: &[&str]) -> Result<(), BoxError> {
        let inside = format!("{application_id}-");
        let old: Vec<String> = self
            .topics()?
            .into_iter()
            .filter(|name| topics.contains(&name.as_str()) || name.starts_with(&inside))
            .collect();
        let (admin, options) = (self.admin()?, options());
        let names: Vec<&str> = old.iter().map(String::as_str).collect();
        if !names.is_empty() {
            let deleted = self.wait(admin.delete_topics(&names, &options))?;
            if let Some(Err((name, code))) = deleted.into_iter().find(Result::is_err) {
                return Err(format!("cannot delete topic `{name}`: {code}").into());
            }
        }
        for group in self.wait(admin.delete_groups(&[application_id], &options))? {
            match group {
                Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
                Err((name, code)) => return Err(format!("cannot delete group `{name}`: {code}").into()),
            }
        }
        Ok(())
    }

    /// Times from 1 ms on, for the client takes 0 for now.
    pub fn feed<K: 'static, V: 'static>(
        &self,
        topic: &str,
        produced: &Produced<K, V>,
        records: impl IntoIterator<Item = (K, V, Timestamp)>,
    ) -> Result<(), BoxError> {
        let writer: BaseProducer =
            self.0.clone().set("enable.idempotence", "true").set("partitioner", "murmur2_random").create()?;
        let raw = Consumed::with(Bytes, Bytes).null_keys();
        for (key, value, at) in records {
            let log = scratch()?;
            log.append(SCRATCH, produced, &key, &value, at)?;
            for (NullableKey(key), value) in log.read::<NullableKey<Vec<u8>>, Vec<u8>>(SCRATCH, &raw)? {
                let record = BaseRecord::to(topic).payload(&value).timestamp(at.0.max(1));
                let record = key.iter().fold(record, BaseRecord::key);
                writer.send(record).map_err(|(error, _): (_, BaseRecord<'_, Vec<u8>, Vec<u8>>)| error)?;
            }
        }
        Ok(writer.flush(ANSWER)?)
    }

    pub fn read<K: 'static, V: 'static>(
        &self,
        topic: &str,
        consumed: &Consumed<K, V>,
    ) -> Result<Vec<(K, V)>, BoxError> {
        let log = scratch()?;
        let raw = Produced::with(Bytes, Bytes);
        self.each(topic, |key, value| Ok(log.append(SCRATCH, &raw, &key, &value, Timestamp(0))?))?;
        Ok(log.read(SCRATCH, consumed)?)
    }

    /// What is committed, partition by partition, up to where it ends now.
    fn each(
        &self,
        topic: &str,
        mut take: impl FnMut(Vec<u8>, Vec<u8>) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let reader: BaseConsumer = self
            .0
            .clone()
            .set("group.id", "demo")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        reader.assign(&list)?;
        let mut ended = BTreeSet::new();
        while ended.len() < PARTITIONS as usize {
            match reader.poll(ANSWER) {
                Some(Ok(message)) => {
                    let bytes = |part: Option<&[u8]>| part.unwrap_or_default().to_vec();
                    take(bytes(message.key()), bytes(message.payload()))?;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => _ = ended.insert(partition),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(self.no_answer(&"no record and no end of the topic")),
            }
        }
        Ok(())
    }

    fn topics(&self) -> Result<Vec<String>, BoxError> {
        let reader: BaseConsumer = self.0.create()?;
        let metadata = reader.fetch_metadata(None, ANSWER).map_err(|error| self.no_answer(&error))?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, BoxError> {
        Ok(self.0.create()?)
    }

    /// The futures of the client's admin are woken by its own thread.
    fn wait<T>(&self, future: impl Future<Output = KafkaResult<T>>) -> Result<T, BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(future).map_err(|error| self.no_answer(&error))
    }

    fn no_answer(&self, error: &dyn std::fmt::Display) -> BoxError {
        format!("no answer from {}: {error}", self.bootstrap_server()).into()
    }
}

fn scratch() -> Result<EmbeddedLog, BoxError> {
    let log = EmbeddedLog::new();
    log.create_topic(SCRATCH, 1)?;
    Ok(log)
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER))
}
