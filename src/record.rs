//! A record as processors see it, its headers, and where it came from.

use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Headers in order; a key may occur more than once, and may be any bytes (a broker does not ask for UTF-8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }
    /// Appends a header; `None` is a null value.
    pub fn push(&mut self, key: impl Into<Vec<u8>>, value: Option<impl Into<Vec<u8>>>) {
        self.0.push((key.into(), value.map(Into::into)));
    }
    /// The value of the last header of this key, as Kafka's `lastHeader`: `None` if there is no such header.
    pub fn last(&self, key: impl AsRef<[u8]>) -> Option<Option<&[u8]>> {
        self.0.iter().rev().find(|(k, _)| k == key.as_ref()).map(|(_, v)| v.as_deref())
    }
    /// All headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.iter().map(|(k, v)| (k.as_slice(), v.as_deref()))
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A topic and one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A sub-topology on one partition; printed as Kafka Streams does, `0_3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The sub-topology, from 0.
    pub subtopology: u32,
    /// The partition, from 0.
    pub partition: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.subtopology, self.partition)
    }
}

/// Where a record was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The topic and partition.
    pub source: TopicPartition,
    /// The offset in that partition.
    pub offset: i64,
}

impl fmt::Display for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.source, self.offset)
    }
}

/// A view of a record: edges pass references, so forwarding copies nothing.
pub struct Record<'a, K, V> {
    /// The key.
    pub key: &'a K,
    /// The value.
    pub value: &'a V,
    /// Event time, ms since the epoch, UTC.
    pub timestamp: Timestamp,
    /// The headers, which pass through untouched unless changed.
    pub headers: &'a Headers,
}

impl<K, V> Clone for Record<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Record<'_, K, V> {}

static NO_HEADERS: Headers = Headers::new();

impl<'a, K, V> Record<'a, K, V> {
    /// A record without headers.
    pub fn new(key: &'a K, value: &'a V, timestamp: Timestamp) -> Self {
        Self { key, value, timestamp, headers: &NO_HEADERS }
    }
    /// The same with another key.
    pub fn with_key<K2>(self, key: &'a K2) -> Record<'a, K2, V> {
        Record { key, value: self.value, timestamp: self.timestamp, headers: self.headers }
    }
    /// The same with another value.
    pub fn with_value<V2>(self, value: &'a V2) -> Record<'a, K, V2> {
        Record { key: self.key, value, timestamp: self.timestamp, headers: self.headers }
    }
    /// The same with other headers.
    pub fn with_headers(self, headers: &'a Headers) -> Self {
        Self { headers, ..self }
    }
}
