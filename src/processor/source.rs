//! The ends of a task: a source decodes what a topic holds, a sink encodes what leaves.

use super::record_limits::{Limit, RecordLimits};
use super::{Cx, Outputs, PartitionCounts, Sink};
use crate::broker::{LogRecord, Outgoing};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::record::{Record, TopicPartition};
use crate::serdes::{Codec, partition_for};
use crate::time::Timestamp;
use std::rc::Rc;
use std::sync::Arc;

/// Decides a record's event time; given the record's own timestamp and its partition's time so far.
pub(crate) type Extract<K, V> =
    Arc<dyn Fn(&K, &V, Timestamp, Timestamp, Timestamp) -> Timestamp + Send + Sync>;

/// What a task needs of a source. A record is decoded when it becomes the head of its partition, for its timestamp
/// decides the order, and processed later.
pub(crate) trait Input {
    /// Decodes into the slot of one of the source's partitions; `partition_time` is the largest timestamp so far.
    fn decode(
        &mut self,
        slot: usize,
        record: &LogRecord,
        partition_time: Timestamp,
        now: Timestamp,
    ) -> Result<Decoded>;
    /// Sends the slot's record through the topology.
    fn process(&mut self, slot: usize, cx: &mut Cx<'_>) -> Result<()>;
}

/// The outcome of decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    At(Timestamp),
    /// A negative timestamp: dropped and counted.
    Negative,
}

/// A source node: the serdes and the timestamp extractor of `Consumed`.
pub(crate) struct Source<K, V> {
    pub(crate) node: Arc<str>,
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) value: Arc<dyn Codec<V>>,
    pub(crate) extract: Option<Extract<K, V>>,
    pub(crate) slots: Vec<Option<(K, V)>>,
    pub(crate) outputs: Outputs<K, V>,
}

impl<K, V> Source<K, V> {
    fn undecodable(&self, part: &str, serde: String, bytes: Option<&[u8]>, error: BoxError) -> Error {
        let payload = match bytes {
            None => "null".to_owned(),
            Some(bytes) => {
                let head: String = String::from_utf8_lossy(bytes).chars().take(24).collect();
                format!("{} bytes, starts `{}`", bytes.len(), head.escape_debug())
            }
        };
        Error::new(ErrorKind::Deserialization, format!("cannot deserialize {part} at source `{}`", self.node))
            .with("serde", serde)
            .with("payload", payload)
            .cause(error)
            .action("fail; the offset was not committed")
            .at_node(&self.node)
    }
}

impl<K, V> Input for Source<K, V> {
    fn decode(
        &mut self,
        slot: usize,
        record: &LogRecord,
        partition_time: Timestamp,
        now: Timestamp,
    ) -> Result<Decoded> {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let k = self.key.read(key).map_err(|e| self.undecodable("key", self.key.describe(), key, e))?;
        let v =
            self.value.read(value).map_err(|e| self.undecodable("value", self.value.describe(), value, e))?;
        let at = match &self.extract {
            Some(extract) => extract(&k, &v, record.timestamp, partition_time, now),
            None => record.timestamp,
        };
        if at.0 < 0 {
            return Ok(Decoded::Negative);
        }
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some((k, v));
        }
        Ok(Decoded::At(at))
    }

    fn process(&mut self, slot: usize, cx: &mut Cx<'_>) -> Result<()> {
        match self.slots.get_mut(slot).and_then(Option::take) {
            Some((key, value)) => self.outputs.forward(cx, &key, &value),
            None => Err(Error::internal("a record was processed before it was decoded")),
        }
    }
}

/// The topic that a record chooses.
pub(crate) type Chooser<K, V> = Arc<dyn Fn(Record<'_, K, V>) -> String + Send + Sync>;

/// Where a sink writes to.
pub(crate) enum Topics<K, V> {
    Fixed(Arc<str>),
    Chosen(Chooser<K, V>),
}

impl<K, V> Clone for Topics<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Fixed(topic) => Self::Fixed(topic.clone()),
            Self::Chosen(choose) => Self::Chosen(choose.clone()),
        }
    }
}

/// `(key, value, partitions) -> partition`.
pub(crate) type Partitioner<K, V> = Arc<dyn Fn(&K, &V, u32) -> u32 + Send + Sync>;

/// A sink node.
pub(crate) struct SinkNode<K, V> {
    pub(crate) node: Arc<str>,
    pub(crate) key: Arc<dyn Codec<K>>,
    pub(crate) value: Arc<dyn Codec<V>>,
    pub(crate) topics: Topics<K, V>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
    pub(crate) counts: Arc<PartitionCounts>,
    pub(crate) limits: Rc<RecordLimits>,
    /// Records without a key go round.
    pub(crate) round: u32,
    pub(crate) scratch: Vec<u8>,
}

impl<K, V> SinkNode<K, V> {
    fn encode<T>(&mut self, codec: &dyn Codec<T>, part: &T, what: &str) -> Result<Option<Arc<[u8]>>> {
        self.scratch.clear();
        match codec.write(part, &mut self.scratch) {
            Ok(true) => Ok(Some(Arc::from(self.scratch.as_slice()))),
            Ok(false) => Ok(None),
            Err(error) => Err(Error::new(
                ErrorKind::Production,
                format!("cannot serialize {what} at sink `{}`", self.node),
            )
            .cause(error)
            .action("fail; the offset was not committed")
            .at_node(&self.node)),
        }
    }

    fn partition(
        &mut self,
        key: &K,
        value: &V,
        bytes: Option<&[u8]>,
        partitions: u32,
        topic: &str,
    ) -> Result<u32> {
        if let Some(choose) = &self.partitioner {
            let chosen = choose(key, value, partitions);
            if chosen >= partitions {
                let text = format!(
                    "the partitioner of sink `{}` chose {chosen} of `{topic}`, which has {partitions}",
                    self.node
                );
                return Err(Error::new(ErrorKind::Production, text).at_node(&self.node));
            }
            return Ok(chosen);
        }
        let Some(bytes) = bytes else {
            self.round = (self.round + 1) % partitions.max(1);
            return Ok(self.round);
        };
        // All windows of a key go where the key goes.
        Ok(partition_for(self.key.partition_key(bytes), partitions))
    }
}

impl<K, V> SinkNode<K, V> {
    fn topic(&self, cx: &Cx<'_>, key: &K, value: &V) -> Arc<str> {
        match &self.topics {
            Topics::Fixed(topic) => topic.clone(),
            Topics::Chosen(choose) => {
                let record = Record { key, value, timestamp: cx.timestamp, headers: cx.headers };
                choose(record).into()
            }
        }
    }

    fn write(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        let topic = self.topic(cx, key, value);
        let Some(&partitions) = self.counts.get(&*topic) else {
            return Err(Error::new(ErrorKind::Topics, format!("topic `{topic}` does not exist"))
                .with("written by", format!("sink `{}`", self.node))
                .help("make the topic before the application starts"));
        };
        let (key_codec, value_codec) = (self.key.clone(), self.value.clone());
        let key_bytes = self.encode(&*key_codec, key, "key")?;
        let value_bytes = self.encode(&*value_codec, value, "value")?;
        let partition = self.partition(key, value, key_bytes.as_deref(), partitions, &topic)?;
        cx.effects.records.push(Outgoing {
            target: TopicPartition { topic, partition },
            timestamp: cx.timestamp,
            key: key_bytes,
            value: value_bytes,
            headers: cx.headers.clone(),
        });
        let exceeded = cx.effects.records.last().and_then(|record| self.limits.exceeded(record));
        if exceeded.is_some() {
            return self.take_back(cx, exceeded);
        }
        cx.effects.counts.written += 1;
        Ok(())
    }

    #[cold]
    fn take_back(&self, cx: &mut Cx<'_>, exceeded: Option<(usize, Limit)>) -> Result<()> {
        match (cx.effects.records.pop(), exceeded) {
            (Some(record), Some((size, limit))) => Err(self.too_large(&record, size, limit)),
            _ => Ok(()),
        }
    }

    fn too_large(&self, record: &Outgoing, size: usize, limit: Limit) -> Error {
        let text = format!("a record of {size} bytes is too large for `{}`", record.target.topic);
        Error::new(ErrorKind::Production, text)
            .with("sink", format!("`{}`", self.node))
            .with("limit", limit.to_string())
            .action("fail; the offset was not committed")
            .help(format!("raise {}, or set production.exception.handler to continue or dlq", limit.property))
            .at_node(&self.node)
    }
}

impl<K, V> Sink<K, V> for SinkNode<K, V> {
    fn process(&mut self, cx: &mut Cx<'_>, key: &K, value: &V) -> Result<()> {
        match self.write(cx, key, value) {
            Err(error) if error.kind() == ErrorKind::Production => {
                cx.effects.judge.clone().unwritten(cx, error)
            }
            written => written,
        }
    }
}
