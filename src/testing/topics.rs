//! Handles of topics with their serdes, and records as a test writes and reads them.

use crate::broker::{LogRecord, Outgoing};
use crate::dsl::{Consumed, Produced};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Headers, TopicPartition};
use crate::serdes::{Codec, partition_for};
use crate::time::Timestamp;
use std::sync::Arc;

/// A topic to write to. Made by [`TopologyTestDriver::input_topic`](super::TopologyTestDriver::input_topic).
pub struct InputTopic<K, V> {
    pub(super) name: Arc<str>,
    key: Arc<dyn Codec<K>>,
    value: Arc<dyn Codec<V>>,
}

/// A topic to read from. Made by [`TopologyTestDriver::output_topic`](super::TopologyTestDriver::output_topic).
pub struct OutputTopic<K, V> {
    pub(super) name: Arc<str>,
    key: Arc<dyn Codec<K>>,
    value: Arc<dyn Codec<V>>,
}

/// A record to be written.
#[derive(Clone, Debug)]
pub struct InputRecord<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    pub(super) at: Timestamp,
    pub(super) headers: Headers,
    pub(super) partition: Option<u32>,
}

impl<K, V> InputRecord<K, V> {
    /// A record without headers, in the partition that its key says.
    pub fn new(key: K, value: V, at: Timestamp) -> Self {
        Self { key, value, at, headers: Headers::new(), partition: None }
    }
    /// The same with a further header.
    pub fn header(mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(key, Some(value));
        self
    }
    /// The same in this partition, from 0.
    pub fn partition(self, partition: u32) -> Self {
        Self { partition: Some(partition), ..self }
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputRecord<K, V> {
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// Event time, ms since the epoch, UTC.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: Headers,
    /// The partition it is in.
    pub partition: u32,
    /// Its offset there.
    pub offset: i64,
}

impl<K, V> InputTopic<K, V> {
    pub(super) fn new(name: &str, produced: Produced<K, V>) -> Self {
        Self { name: name.into(), key: produced.key, value: produced.value }
    }

    pub(super) fn encode(&self, record: &InputRecord<K, V>, partitions: u32) -> Result<Outgoing> {
        let bytes = |part: &str, written: Result<Option<Vec<u8>>, crate::error::BoxError>| {
            written.map_err(|error| {
                let text = format!("cannot serialize {part} for topic `{}`", self.name);
                Error::new(ErrorKind::Production, text).cause(error)
            })
        };
        let key = bytes("key", write(&*self.key, &record.key))?;
        let value = bytes("value", write(&*self.value, &record.value))?;
        let chosen = |key: &Vec<u8>| partition_for(self.key.partition_key(key), partitions);
        let partition = record.partition.or(key.as_ref().map(chosen)).unwrap_or(0);
        if partition >= partitions {
            let text = format!("`{}` has {partitions} partitions, and no {partition}", self.name);
            return Err(Error::new(ErrorKind::Topics, text));
        }
        Ok(Outgoing {
            target: TopicPartition::new(self.name.clone(), partition),
            timestamp: record.at,
            key: key.map(Into::into),
            value: value.map(Into::into),
            headers: record.headers.clone(),
        })
    }
}

fn write<T>(codec: &dyn Codec<T>, part: &T) -> Result<Option<Vec<u8>>, crate::error::BoxError> {
    let mut bytes = Vec::new();
    Ok(codec.write(part, &mut bytes)?.then_some(bytes))
}

impl<K, V> OutputTopic<K, V> {
    pub(super) fn new(name: &str, consumed: Consumed<K, V>) -> Self {
        Self { name: name.into(), key: consumed.key, value: consumed.value }
    }

    pub(super) fn decode(&self, partition: u32, record: LogRecord) -> Result<OutputRecord<K, V>> {
        let failed = |part: &str, error| {
            let at = format!("{part} of {}-{partition}@{}", self.name, record.offset);
            Error::new(ErrorKind::Deserialization, format!("cannot deserialize {at}")).cause(error)
        };
        Ok(OutputRecord {
            key: self.key.read(record.key.as_deref()).map_err(|error| failed("key", error))?,
            value: self.value.read(record.value.as_deref()).map_err(|error| failed("value", error))?,
            timestamp: record.timestamp,
            partition,
            offset: record.offset,
            headers: record.headers,
        })
    }
}
