//! How large a record may be: asked before it is handed to the client, which would only say so later.

use crate::broker::Outgoing;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A limit and the property that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) bytes: usize,
    pub(crate) property: &'static str,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.property, self.bytes)
    }
}

/// `max.request.size`, and `max.message.bytes` of topics where that is less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordLimits {
    request: Limit,
    topics: BTreeMap<Arc<str>, Limit>,
    /// The least of all: what is not larger need not be looked up.
    least: usize,
}

impl Default for RecordLimits {
    fn default() -> Self {
        let request = Limit { bytes: usize::MAX, property: "max.request.size" };
        Self { request, topics: BTreeMap::new(), least: usize::MAX }
    }
}

impl RecordLimits {
    /// `request`: `max.request.size`.
    pub(crate) fn new(request: usize) -> Self {
        let request = Limit { bytes: request, property: "max.request.size" };
        Self { request, topics: BTreeMap::new(), least: request.bytes }
    }
    /// A topic takes records of so many bytes at most; the smaller of two counts.
    pub(crate) fn limit(&mut self, topic: Arc<str>, bytes: usize) {
        let known = self.topics.entry(topic).or_insert(Limit { bytes, property: "max.message.bytes" });
        known.bytes = known.bytes.min(bytes);
        self.least = self.least.min(bytes);
    }

    /// The size and the limit that it exceeds.
    #[inline]
    pub(crate) fn exceeded(&self, record: &Outgoing) -> Option<(usize, Limit)> {
        let size = record.size();
        if size <= self.least { None } else { self.look_up(record, size) }
    }

    #[cold]
    fn look_up(&self, record: &Outgoing, size: usize) -> Option<(usize, Limit)> {
        let topic = self.topics.get(&record.target.topic).copied();
        let limit = topic.filter(|topic| topic.bytes < self.request.bytes).unwrap_or(self.request);
        (size > limit.bytes).then_some((size, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Headers, TopicPartition};
    use crate::time::Timestamp;

    fn record(topic: &str, bytes: usize) -> Outgoing {
        let value = vec![0; bytes - 82];
        let target = TopicPartition::new(topic, 0);
        Outgoing {
            target,
            timestamp: Timestamp(0),
            key: None,
            value: Some(value.into()),
            headers: Headers::new(),
        }
    }

    #[test]
    fn the_smaller_of_the_clients_and_the_topics_limit_counts() {
        let mut limits = RecordLimits::new(1000);
        limits.limit("small".into(), 200);
        limits.limit("large".into(), 5000);
        let exceeded =
            |topic, bytes| limits.exceeded(&record(topic, bytes)).map(|(_, limit)| limit.to_string());
        assert_eq!(exceeded("small", 200), None);
        assert_eq!(exceeded("small", 201).as_deref(), Some("max.message.bytes is 200"));
        assert_eq!((exceeded("other", 201), exceeded("other", 1000)), (None, None));
        assert_eq!(exceeded("other", 1001).as_deref(), Some("max.request.size is 1000"));
        assert_eq!(exceeded("large", 1001).as_deref(), Some("max.request.size is 1000"));
        limits.limit("other".into(), 900);
        assert!(limits.exceeded(&record("other", 901)).is_some(), "learned");
    }
}
