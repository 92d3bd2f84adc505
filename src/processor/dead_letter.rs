//! Dead letters: records that could not be handled, as they were read, with what failed in their headers (KIP-1034).

use super::handlers::Failed;
use crate::broker::{Bytes, Outgoing};
use crate::error::Error;
use crate::record::{Headers, TopicPartition};
use crate::serdes::partition_for;
use crate::time::Timestamp;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

/// Kafka Streams' names; all values are UTF-8 text, numbers in decimal.
const EXCEPTION: &str = "__streams.errors.exception";
const MESSAGE: &str = "__streams.errors.message";
const STACKTRACE: &str = "__streams.errors.stacktrace";
const TOPIC: &str = "__streams.errors.topic";
const PARTITION: &str = "__streams.errors.partition";
const OFFSET: &str = "__streams.errors.offset";

/// More text than this of an error is cut off, in bytes: a header must not make a record too large.
const MOST_TEXT: usize = 8 * 1024;

/// The topic of dead letters, for one task.
pub(crate) struct DeadLetters {
    topic: Arc<str>,
    partitions: u32,
    /// Letters without a key go round.
    round: Cell<u32>,
}

impl DeadLetters {
    pub(crate) fn new(topic: Arc<str>, partitions: u32) -> Self {
        Self { topic, partitions: partitions.max(1), round: Cell::new(0) }
    }

    /// The record with its original bytes, timestamp and headers; ours come after those.
    pub(super) fn of_record(&self, failed: &Failed<'_>, error: &Error) -> Outgoing {
        let (record, metadata) = (failed.record, failed.metadata);
        let mut headers = record.headers.clone();
        let from = (Some(&*metadata.source.topic), i64::from(metadata.source.partition), metadata.offset);
        describe(&mut headers, error, from);
        self.letter(record.key.clone(), record.value.clone(), record.timestamp, headers)
    }

    /// Without a record: no key, no value, no topic, partition and offset -1, as Kafka Streams writes them.
    pub(super) fn outside(&self, at: Timestamp, error: &Error) -> Outgoing {
        let mut headers = Headers::new();
        describe(&mut headers, error, (None, -1, -1));
        self.letter(None, None, at, headers)
    }

    fn letter(
        &self,
        key: Option<Bytes>,
        value: Option<Bytes>,
        timestamp: Timestamp,
        headers: Headers,
    ) -> Outgoing {
        let partition = key.as_deref().map(|key| partition_for(key, self.partitions));
        let partition = partition.unwrap_or_else(|| {
            self.round.set((self.round.get() + 1) % self.partitions);
            self.round.get()
        });
        let target = TopicPartition { topic: self.topic.clone(), partition };
        Outgoing { target, timestamp: timestamp.max(Timestamp(0)), key, value, headers }
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadLetters({}, {})", self.topic, self.partitions)
    }
}

/// `exception` is the error's code, `message` its first line, `stacktrace` all of its text: there is no stack to trace.
fn describe(headers: &mut Headers, error: &Error, from: (Option<&str>, i64, i64)) {
    let (topic, partition, offset) = from;
    let mut text = |name: &str, value: Option<String>| headers.push(name, value.map(String::into_bytes));
    text(EXCEPTION, Some(error.code()));
    text(MESSAGE, Some(cut(error.message().to_owned())));
    text(STACKTRACE, Some(cut(error.to_string())));
    text(TOPIC, topic.map(str::to_owned));
    text(PARTITION, Some(partition.to_string()));
    text(OFFSET, Some(offset.to_string()));
}

fn cut(mut text: String) -> String {
    let end = (0..=MOST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::LogRecord;
    use crate::error::ErrorKind;
    use crate::record::RecordMetadata;

    #[test]
    fn a_letter_is_the_record_with_what_failed() {
        let mut headers = Headers::new();
        headers.push("trace", Some("7"));
        let key = Some(Bytes::from(*b"ann"));
        let record =
            LogRecord { offset: 17, timestamp: Timestamp(5), key: key.clone(), value: None, headers };
        let metadata = RecordMetadata { source: TopicPartition::new("ticks", 3), offset: 17 };
        let error = Error::new(ErrorKind::Deserialization, "cannot read").cause("a dot too many");
        let failed = Failed { metadata: &metadata, record: &record, retries: 0 };
        let letter = DeadLetters::new("dead".into(), 4).of_record(&failed, &error);
        assert_eq!((letter.key, letter.value, letter.timestamp), (key, None, Timestamp(5)));
        assert_eq!(letter.target.partition, partition_for(b"ann", 4));
        let text = |name: &str| {
            let value = letter.headers.last(name).flatten();
            String::from_utf8(value.unwrap_or_default().to_vec()).expect("text")
        };
        assert_eq!(
            letter.headers.iter().next(),
            Some((&b"trace"[..], Some(&b"7"[..]))),
            "the first, untouched"
        );
        assert_eq!((text(EXCEPTION), text(MESSAGE)), ("HW0301".to_owned(), "cannot read".to_owned()));
        assert_eq!(text(STACKTRACE), "error[HW0301]: cannot read\n  cause: a dot too many");
        assert_eq!((text(TOPIC), text(PARTITION), text(OFFSET)), ("ticks".into(), "3".into(), "17".into()));
    }

    #[test]
    fn letters_without_a_key_go_round_and_long_texts_are_cut() {
        let letters = DeadLetters::new("dead".into(), 2);
        let error = Error::new(ErrorKind::Processing, "ä".repeat(MOST_TEXT));
        let all: Vec<Outgoing> = (0..3).map(|_| letters.outside(Timestamp(-5), &error)).collect();
        assert_eq!(all.iter().map(|letter| letter.target.partition).collect::<Vec<_>>(), [1, 0, 1]);
        let letter = all.first().expect("a letter");
        assert_eq!(letter.headers.last(TOPIC), Some(None));
        assert_eq!(letter.headers.last(PARTITION), Some(Some(&b"-1"[..])));
        assert_eq!(letter.headers.last(MESSAGE).flatten().map(<[u8]>::len), Some(MOST_TEXT));
        assert_eq!(letter.timestamp, Timestamp(0));
    }
}
