//! Typed reading and writing of an embedded log: the serdes of `Produced` and `Consumed`.

use crate::broker::{Bytes, LogRecord, Outgoing};
use crate::dsl::{Consumed, Produced};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::record::{Headers, TopicPartition};
use crate::runtime::EmbeddedLog;
use crate::serdes::{Codec, partition_for};
use crate::time::Timestamp;
use std::sync::Arc;

/// Records of a [`Feed`] that wait for being written together.
const BATCH: usize = 1_024;

/// Writes one topic in batches: much faster than [`EmbeddedLog::append`] where there are many records.
///
/// ```
/// # use highwater::{Consumed, EmbeddedLog, Produced, time::Timestamp};
/// let log = EmbeddedLog::new();
/// log.create_feed("clicks", 1, 2)?;
/// let mut feed = log.feed("clicks", Produced::<String, u64>::default())?;
/// for click in 1..=3 {
///     assert!(feed.push(&"ann".to_owned(), &click, Timestamp(0))?);
/// }
/// assert!(!feed.flush()?, "two records ahead, and nobody reads them");
/// assert_eq!(log.read("clicks", &Consumed::<String, u64>::default())?.len(), 2);
/// # Ok::<(), highwater::Error>(())
/// ```
#[must_use = "what is pushed is written by `flush`"]
pub struct Feed<K, V> {
    log: EmbeddedLog,
    topic: Arc<str>,
    partitions: u32,
    produced: Produced<K, V>,
    waiting: Vec<Outgoing>,
    scratch: Vec<u8>,
}

impl<K: 'static, V: 'static> Feed<K, V> {
    /// Takes a record, and writes what waits once that are some. `false`: the log is as far ahead as it may be and the
    /// record was not taken; try again later.
    ///
    /// # Errors
    /// If key or value cannot be serialized, or the topic is gone.
    pub fn push(&mut self, key: &K, value: &V, at: Timestamp) -> Result<bool> {
        if self.waiting.len() >= BATCH {
            self.flush()?;
        }
        let room = self.waiting.len() < BATCH;
        if room {
            let record =
                encode(&self.topic, self.partitions, &self.produced, (key, value, at), &mut self.scratch)?;
            self.waiting.push(record);
        }
        Ok(room)
    }

    /// Writes what waits, as far as there is room; whether that was all of it.
    ///
    /// # Errors
    /// If the topic is gone, or a record is larger than it takes.
    pub fn flush(&mut self) -> Result<bool> {
        if self.waiting.is_empty() { Ok(true) } else { self.log.try_write_all(&mut self.waiting) }
    }
}

impl EmbeddedLog {
    /// Writes a topic in batches. Records keep their order.
    ///
    /// # Errors
    /// If the topic is not there.
    pub fn feed<K: 'static, V: 'static>(&self, topic: &str, produced: Produced<K, V>) -> Result<Feed<K, V>> {
        let (topic, partitions) = self.topic(topic)?;
        let (waiting, scratch) = (Vec::new(), Vec::new());
        Ok(Feed { log: self.clone(), topic, partitions, produced, waiting, scratch })
    }

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
        let taken = self.take_by_partition(topic, consumed)?;
        Ok(taken.into_iter().map(|(_, key, value)| (key, value)).collect())
    }

    fn encode<K, V>(
        &self,
        topic: &str,
        produced: &Produced<K, V>,
        key: &K,
        value: &V,
        at: Timestamp,
    ) -> Result<Outgoing> {
        let (name, partitions) = self.topic(topic)?;
        encode(&name, partitions, produced, (key, value, at), &mut Vec::new())
    }
}

/// `scratch` spares an allocation per record.
fn encode<K, V>(
    topic: &Arc<str>,
    partitions: u32,
    produced: &Produced<K, V>,
    (key, value, at): (&K, &V, Timestamp),
    scratch: &mut Vec<u8>,
) -> Result<Outgoing> {
    let key = write(&*produced.key, key, scratch).map_err(|error| unwritable("key", topic, error))?;
    let value = write(&*produced.value, value, scratch).map_err(|error| unwritable("value", topic, error))?;
    let chosen = |key: &Bytes| partition_for(produced.key.partition_key(key), partitions);
    let target = TopicPartition { topic: topic.clone(), partition: key.as_ref().map_or(0, chosen) };
    Ok(Outgoing { target, timestamp: at, key, value, headers: Headers::new() })
}

fn write<T>(codec: &dyn Codec<T>, part: &T, scratch: &mut Vec<u8>) -> Result<Option<Bytes>, BoxError> {
    scratch.clear();
    Ok(codec.write(part, scratch)?.then(|| Bytes::from(scratch.as_slice())))
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
