//! Typed reading and writing of an embedded log: the serdes of `Produced` and `Consumed`.

use crate::broker::{Bytes, LogRecord, Outgoing};
use crate::dsl::{Consumed, Produced};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::record::{Headers, TopicPartition};
use crate::runtime::EmbeddedLog;
use crate::serdes::{Codec, partition_for};
use crate::time::Timestamp;

impl EmbeddedLog {
    /// Writes a record; in a feed that is as far ahead as it may be, waits until a commit makes room. The partition is
    /// Kafka's choice: murmur2 of the key's bytes, the first one without a key.
    ///
    /// # Errors
    /// If the topic is not there, or key or value cannot be serialized.
    pub fn append<K: 'static, V: 'static>(
        &self,
        topic: &str,
        produced: &Produced<K, V>,
        key: &K,
        value: &V,
        at: Timestamp,
    ) -> Result<()> {
        self.write_when_there_is_room(&self.encode(topic, produced, key, value, at)?)
    }

    /// As [`append`](Self::append), but does not wait: `false` if a feed is as far ahead as it may be.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn try_append<K: 'static, V: 'static>(
        &self,
        topic: &str,
        produced: &Produced<K, V>,
        key: &K,
        value: &V,
        at: Timestamp,
    ) -> Result<bool> {
        self.try_write(self.encode(topic, produced, key, value, at)?)
    }

    /// All committed records of a topic, by partition and offset.
    ///
    /// # Errors
    /// If the topic is not there, or a record cannot be deserialized.
    pub fn read<K: 'static, V: 'static>(
        &self,
        topic: &str,
        consumed: &Consumed<K, V>,
    ) -> Result<Vec<(K, V)>> {
        let records = self.read_bytes(topic)?.into_iter();
        records.map(|(partition, record)| decode(topic, partition, &record, consumed)).collect()
    }

    /// As [`take`](Self::take), with the partition of each record. Within a partition the order is that of writing.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn take_by_partition<K: 'static, V: 'static>(
        &self,
        topic: &str,
        consumed: &Consumed<K, V>,
    ) -> Result<Vec<(u32, K, V)>> {
        let records = self.take_bytes(topic)?.into_iter();
        let decoded = records.map(|(partition, record)| {
            let (key, value) = decode(topic, partition, &record, consumed)?;
            Ok((partition, key, value))
        });
        decoded.collect()
    }

    /// As [`read`](Self::read), and deletes what it returns: the next call gives what was committed since.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn take<K: 'static, V: 'static>(
        &self,
        topic: &str,
        consumed: &Consumed<K, V>,
    ) -> Result<Vec<(K, V)>> {
        let records = self.take_bytes(topic)?.into_iter();
        records.map(|(partition, record)| decode(topic, partition, &record, consumed)).collect()
    }

    fn encode<K, V>(
        &self,
        topic: &str,
        produced: &Produced<K, V>,
        key: &K,
        value: &V,
        at: Timestamp,
    ) -> Result<Outgoing> {
        let key = write(&*produced.key, key).map_err(|error| unwritable("key", topic, error))?;
        let value = write(&*produced.value, value).map_err(|error| unwritable("value", topic, error))?;
        let (name, partitions) = self.topic(topic)?;
        let chosen = |key: &Bytes| partition_for(produced.key.partition_key(key), partitions);
        let target = TopicPartition::new(name, key.as_ref().map_or(0, chosen));
        Ok(Outgoing { target, timestamp: at, key, value, headers: Headers::new() })
    }
}

fn write<T>(codec: &dyn Codec<T>, part: &T) -> Result<Option<Bytes>, BoxError> {
    let mut bytes = Vec::new();
    Ok(codec.write(part, &mut bytes)?.then(|| bytes.into()))
}

fn unwritable(part: &str, topic: &str, error: BoxError) -> Error {
    Error::new(ErrorKind::Production, format!("cannot serialize {part} for topic `{topic}`")).cause(error)
}

fn decode<K, V>(
    topic: &str,
    partition: u32,
    record: &LogRecord,
    consumed: &Consumed<K, V>,
) -> Result<(K, V)> {
    let failed = |part: &str, error: BoxError| {
        let text = format!("cannot deserialize {part} of {topic}-{partition}@{}", record.offset);
        Error::new(ErrorKind::Deserialization, text).cause(error)
    };
    let key = consumed.key.read(record.key.as_deref()).map_err(|error| failed("key", error))?;
    let value = consumed.value.read(record.value.as_deref()).map_err(|error| failed("value", error))?;
    Ok((key, value))
}
