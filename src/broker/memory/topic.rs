//! A topic: its partitions and what of its configuration the log acts on.

use super::compaction::Compaction;
use super::log::PartitionLog;
use crate::broker::{Answer, Failure, FailureKind, NewTopic, Outgoing};
use std::collections::BTreeMap;
use std::str::FromStr;

const DAY: i64 = 24 * 60 * 60 * 1000;

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) config: BTreeMap<String, String>,
    pub(super) partitions: Vec<PartitionLog>,
    pub(super) compaction: Option<Compaction>,
    /// `cleanup.policy` names `delete`: the client may delete records.
    pub(super) deletes: bool,
    max_message_bytes: usize,
}

impl Topic {
    pub(super) fn new(topic: &NewTopic) -> Answer<Self> {
        if topic.partitions == 0 || topic.name.is_empty() {
            return Err(fatal(format!("topic {:?} needs a name and at least one partition", topic.name)));
        }
        let policy = topic.config.get("cleanup.policy").map_or("delete", String::as_str);
        let compaction = Compaction {
            lag: setting(topic, "min.compaction.lag.ms", 0)?,
            tombstone_retention: setting(topic, "delete.retention.ms", DAY)?,
        };
        Ok(Self {
            config: topic.config.clone(),
            partitions: (0..topic.partitions).map(|_| PartitionLog::default()).collect(),
            compaction: policy.contains("compact").then_some(compaction),
            deletes: policy.contains("delete"),
            max_message_bytes: setting(topic, "max.message.bytes", 1_048_588)?,
        })
    }

    /// Whether a record may be appended.
    pub(super) fn accept(&self, record: &Outgoing) -> Answer<()> {
        if self.compaction.is_some() && record.key.is_none() {
            return Err(fatal(format!(
                "a record without a key cannot go to {}, which is compacted",
                record.target
            )));
        }
        let (size, limit) = (record.size(), self.max_message_bytes);
        if size > limit {
            let target = &record.target;
            let text =
                format!("a record of {size} bytes is too large for {target}: max.message.bytes is {limit}");
            return Err(fatal(text).too_large(record));
        }
        Ok(())
    }
}

fn setting<T: FromStr>(topic: &NewTopic, name: &str, default: T) -> Answer<T> {
    let Some(text) = topic.config.get(name) else { return Ok(default) };
    text.parse().map_err(|_| fatal(format!("{name} = {text:?} of topic {} is no number", topic.name)))
}

pub(super) fn fatal(message: String) -> Failure {
    Failure::new(FailureKind::Fatal, message)
}

pub(super) fn no_such_partition(partition: &crate::record::TopicPartition) -> Failure {
    fatal(format!("there is no partition {partition}: the topic does not exist, or no longer, or has fewer"))
}
