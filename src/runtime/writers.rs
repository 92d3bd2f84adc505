//! The watermark of a repartition partition: the smallest value among all tasks that write it.
//!
//! Watermarks travel through a repartition topic as markers. The partition holds until each of its writers has been
//! heard, never falls below what was saved, and is never idle by the clock: silence is a matter of the sources above.

use crate::broker::LogRecord;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Headers, TaskId};
use crate::serdes::murmur2;
use crate::time::Timestamp;
use std::sync::Arc;

/// The header of a marker: sub-topology (4 bytes), task (4), watermark (8), big endian. Key and value are null.
const HEADER: &str = "highwater.watermark";

/// A writer's watermark, as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) writer: TaskId,
    pub(crate) watermark: Timestamp,
}

impl Marker {
    pub(crate) fn headers(self) -> Headers {
        let mut bytes = Vec::with_capacity(16);
        bytes.extend_from_slice(&self.writer.subtopology.to_be_bytes());
        bytes.extend_from_slice(&self.writer.partition.to_be_bytes());
        bytes.extend_from_slice(&self.watermark.0.to_be_bytes());
        let mut headers = Headers::new();
        headers.push(HEADER, Some(bytes));
        headers
    }

    /// `None`: an ordinary record.
    #[inline]
    pub(crate) fn of(record: &LogRecord) -> Option<Self> {
        if record.key.is_some() || record.value.is_some() {
            return None;
        }
        let bytes = record.headers.last(HEADER)??;
        let (subtopology, rest) = bytes.split_first_chunk::<4>()?;
        let (partition, rest) = rest.split_first_chunk::<4>()?;
        let watermark = Timestamp(i64::from_be_bytes(rest.try_into().ok()?));
        let (subtopology, partition) = (u32::from_be_bytes(*subtopology), u32::from_be_bytes(*partition));
        Some(Self { writer: TaskId { subtopology, partition }, watermark })
    }
}

/// What was heard, as it is saved: it belongs to one list of writers and says nothing for another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Heard {
    /// Of the list.
    pub(crate) hash: u32,
    /// In the order of the list; `MIN`: not heard.
    pub(crate) values: Vec<Timestamp>,
}

/// The writers of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Writers {
    /// Ascending.
    list: Arc<[TaskId]>,
    hash: u32,
    heard: Vec<Timestamp>,
    watermark: Timestamp,
}

impl Writers {
    pub(crate) fn new(list: &[TaskId]) -> Self {
        let mut list = list.to_vec();
        list.sort_unstable();
        list.dedup();
        let bytes: Vec<u8> = list
            .iter()
            .flat_map(|task| [task.subtopology.to_be_bytes(), task.partition.to_be_bytes()])
            .flatten()
            .collect();
        let heard = vec![Timestamp::MIN; list.len()];
        let hash = murmur2(&bytes).cast_unsigned();
        Self { list: list.into(), hash, heard, watermark: Timestamp::MIN }
    }

    pub(crate) fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Never falls below this.
    pub(crate) fn raise(&mut self, to: Timestamp) {
        self.watermark = self.watermark.max(to);
    }

    /// Takes what an earlier task heard, unless it had other writers.
    pub(crate) fn restore(&mut self, saved: &Heard) {
        if saved.hash != self.hash || saved.values.len() != self.heard.len() {
            return;
        }
        for (heard, &value) in self.heard.iter_mut().zip(&saved.values) {
            *heard = (*heard).max(value);
        }
        self.raise(self.least());
    }

    /// Takes a marker. One of a sub-topology that does not write the topic is left over from another program; one of
    /// a task that should not be there means that partitions were added while we run.
    pub(crate) fn hear(&mut self, marker: Marker) -> Result<()> {
        let Ok(at) = self.list.binary_search(&marker.writer) else {
            return if self.list.iter().any(|task| task.subtopology == marker.writer.subtopology) {
                Err(self.grown(marker.writer))
            } else {
                Ok(())
            };
        };
        let Some(heard) = self.heard.get_mut(at) else { return Ok(()) };
        let before = std::mem::replace(heard, marker.watermark.max(*heard));
        // Only the smallest can have held the minimum.
        if before <= self.watermark {
            self.raise(self.least());
        }
        Ok(())
    }

    fn least(&self) -> Timestamp {
        self.heard.iter().copied().min().unwrap_or(Timestamp::MIN)
    }

    fn grown(&self, writer: TaskId) -> Error {
        Error::new(
            ErrorKind::Topics,
            format!("heard a watermark of task {writer}, which is none of the writers"),
        )
        .with("writers", format!("{}, counted at the start", self.list.len()))
        .help("a source topic got more partitions: stop every instance, then start again")
    }

    /// Whose watermark is the smallest, and whether it has been heard.
    pub(crate) fn slowest(&self) -> Option<(TaskId, bool)> {
        let (task, value) = self.list.iter().zip(&self.heard).min_by_key(|(_, value)| **value)?;
        Some((*task, *value > Timestamp::MIN))
    }

    pub(crate) fn heard(&self) -> Heard {
        Heard { hash: self.hash, values: self.heard.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(subtopology: u32, partition: u32) -> TaskId {
        TaskId { subtopology, partition }
    }
    fn marker(writer: TaskId, at: i64) -> Marker {
        Marker { writer, watermark: Timestamp(at) }
    }
    fn record(marker: Marker) -> LogRecord {
        let (offset, timestamp) = (3, Timestamp(7));
        LogRecord { offset, timestamp, key: None, value: None, headers: marker.headers() }
    }

    #[test]
    fn marker_bytes() {
        let sent = marker(task(1, 2), 1234);
        let bytes = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 4, 0xd2];
        assert_eq!(sent.headers().last("highwater.watermark"), Some(Some(&bytes[..])));
        assert_eq!(Marker::of(&record(sent)), Some(sent));
        let with_key = LogRecord { key: Some(Arc::from(*b"k")), ..record(sent) };
        assert_eq!(Marker::of(&with_key), None);
        let bare = LogRecord { headers: Headers::new(), ..record(sent) };
        assert_eq!(Marker::of(&bare), None);
        let mut short = Headers::new();
        short.push(HEADER, Some(&bytes[..15]));
        assert_eq!(Marker::of(&LogRecord { headers: short, ..record(sent) }), None);
    }

    #[test]
    fn holds_until_every_writer_is_heard_and_takes_the_smallest() {
        let mut writers = Writers::new(&[task(0, 1), task(0, 0), task(2, 0)]);
        for (writer, at, expected) in [
            (task(0, 0), 50, i64::MIN),
            (task(2, 0), 40, i64::MIN),
            (task(0, 1), 10, 10),
            (task(0, 1), 45, 40),
            (task(2, 0), 30, 40), // repeated late: the largest heard counts
            (task(2, 0), 60, 45),
        ] {
            writers.hear(marker(writer, at)).expect("hears");
            assert_eq!(writers.watermark().0, expected, "{writer} at {at}");
        }
        assert_eq!(writers.slowest(), Some((task(0, 1), true)));
    }

    #[test]
    fn never_falls_below_the_saved() {
        let mut writers = Writers::new(&[task(0, 0), task(0, 1)]);
        writers.raise(Timestamp(100));
        writers.hear(marker(task(0, 0), 70)).expect("hears");
        writers.hear(marker(task(0, 1), 80)).expect("hears");
        assert_eq!(writers.watermark(), Timestamp(100));
        writers.hear(marker(task(0, 0), 120)).expect("hears");
        assert_eq!(writers.watermark(), Timestamp(100), "the other is at 80");
        writers.hear(marker(task(0, 1), 110)).expect("hears");
        assert_eq!(writers.watermark(), Timestamp(110));
    }

    #[test]
    fn what_was_heard_is_kept_for_the_same_writers_only() {
        let mut writers = Writers::new(&[task(0, 0), task(0, 1)]);
        writers.hear(marker(task(0, 0), 70)).expect("hears");
        let saved = writers.heard();
        let mut same = Writers::new(&[task(0, 1), task(0, 0)]);
        same.restore(&saved);
        same.hear(marker(task(0, 1), 80)).expect("hears");
        assert_eq!(same.watermark(), Timestamp(70));
        let mut other = Writers::new(&[task(0, 0), task(1, 1)]);
        other.restore(&saved);
        other.hear(marker(task(1, 1), 80)).expect("hears");
        assert_eq!(other.watermark(), Timestamp::MIN, "held until heard");
    }

    #[test]
    fn an_added_partition_is_an_error_and_a_stranger_is_not() {
        let mut writers = Writers::new(&[task(0, 0), task(0, 1)]);
        writers.hear(marker(task(5, 0), 10)).expect("left over");
        let error = writers.hear(marker(task(0, 2), 10)).expect_err("grown");
        assert!(error.is_invalid_topics());
        assert!(error.to_string().contains("task 0_2"), "{error}");
    }
}
