//! Apache Kafka through librdkafka.
//!
//! Nothing here blocks its caller but leaving the group and the making of a client. librdkafka has threads of its own;
//! ours are two per transactional producer and one for each list of all topics.

mod admin;
mod changelog_reader;
mod consumer;
mod deliveries;
mod failure;
mod ffi;
mod health;
mod membership;
mod producer;
mod readers;
#[cfg(test)]
mod tests;

use self::admin::KafkaAdmin;
use self::consumer::KafkaConsumer;
use self::ffi::{Handle, Kind};
use self::producer::KafkaProducer;
use super::{Admin, Answer, Client, Consumer, Failure, FailureKind, Isolation, Producer};
use crate::time::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Called, from any thread, when something has arrived that somebody may wait for.
pub(crate) type Waker = Arc<dyn Fn() + Send + Sync>;

/// librdkafka's properties by name.
pub(crate) type Properties = BTreeMap<String, String>;

/// How the clients of a process are made.
#[derive(Clone)]
pub(crate) struct KafkaConfig {
    /// Whose offsets the questions are about.
    pub(crate) group: String,
    /// Each with the connection's properties.
    pub(crate) consumer: Properties,
    pub(crate) producer: Properties,
    /// For restoring and for questions.
    pub(crate) admin: Properties,
    /// How long an answer is waited for, ms.
    pub(crate) request_timeout: i64,
    /// Of internal topics; -1: the broker's default.
    pub(crate) replication_factor: i32,
    /// Records that have more bytes are refused.
    pub(crate) largest_record: usize,
}

/// The protocols depend on these, so they are set last: kafka.md 6 has the reason of each.
const OF_CONSUMERS: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("allow.auto.create.topics", "false"),
    ("check.crcs", "true"),
    ("enable.partition.eof", "true"),
];
const OF_PRODUCERS: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("partitioner", "murmur2_random"),
    ("delivery.report.only.error", "false"),
];

/// Makes the clients of a process.
pub(crate) struct KafkaClient {
    config: KafkaConfig,
    waker: Waker,
    clock: Arc<dyn Clock>,
}

impl KafkaClient {
    pub(crate) fn new(config: KafkaConfig, waker: Waker, clock: Arc<dyn Clock>) -> Self {
        Self { config, waker, clock }
    }

    /// What librdkafka says of the properties.
    pub(crate) fn check(&self) -> Answer<()> {
        self.consumer_handle("check", Isolation::ReadCommitted)?;
        self.producer_handle(None).map(|_| ())
    }

    fn consumer_handle(&self, group: &str, isolation: Isolation) -> Answer<Handle> {
        let mut properties = self.config.consumer.clone();
        properties.insert("group.id".into(), group.into());
        set_isolation(&mut properties, isolation);
        make(Kind::Consumer, properties, OF_CONSUMERS)
    }

    fn producer_handle(&self, transactional_id: Option<&str>) -> Answer<Handle> {
        let mut properties = self.config.producer.clone();
        if let Some(id) = transactional_id {
            properties.insert("transactional.id".into(), id.into());
        }
        make(Kind::Producer, properties, OF_PRODUCERS)
    }
}

impl Client for KafkaClient {
    fn consumer(&self, group: &str, _member_name: &str) -> Answer<Box<dyn Consumer>> {
        let handle = self.consumer_handle(group, Isolation::ReadCommitted)?;
        let timeout = self.config.request_timeout;
        Ok(Box::new(KafkaConsumer::new(handle, &self.waker, self.clock.clone(), timeout)?))
    }

    fn producer(&self, transactional_id: Option<&str>) -> Answer<Box<dyn Producer>> {
        let handle = self.producer_handle(transactional_id)?;
        let (timeout, largest) = (self.config.request_timeout as i32, self.config.largest_record);
        let transactional = transactional_id.is_some();
        Ok(Box::new(KafkaProducer::new(&handle, transactional, &self.waker, timeout, largest)?))
    }

    fn admin(&self) -> Answer<Box<dyn Admin>> {
        let mut properties = self.config.admin.clone();
        properties.insert("group.id".into(), self.config.group.clone());
        let handles = move |isolation| {
            let mut properties = properties.clone();
            set_isolation(&mut properties, isolation);
            make(Kind::Consumer, properties, OF_CONSUMERS)
        };
        let (timeout, replication) = (self.config.request_timeout as i32, self.config.replication_factor);
        Ok(Box::new(KafkaAdmin::new(
            Box::new(handles),
            &self.waker,
            self.clock.clone(),
            timeout,
            replication,
        )?))
    }
}

fn set_isolation(properties: &mut Properties, isolation: Isolation) {
    let level = match isolation {
        Isolation::ReadUncommitted => "read_uncommitted",
        Isolation::ReadCommitted => "read_committed",
    };
    properties.insert("isolation.level".into(), level.into());
}

fn make(kind: Kind, mut properties: Properties, fixed: &[(&str, &str)]) -> Answer<Handle> {
    properties.extend(fixed.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Handle::new(kind, &properties).map_err(|why| Failure::new(FailureKind::Fatal, why))
}
