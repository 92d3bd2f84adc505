//! Reads a range of a log in bounded pieces. Progress is the client's position, which steps over transaction markers;
//! an offset of a record is never used for it, or a log that ends in a marker would never be read to its end.

use super::process::{Activity, Step, broker_error};
use crate::broker::{Bytes, FailureKind, Isolation, LogRecord};
use crate::error::Result;
use crate::record::TopicPartition;
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// Keys of a store as bytes.
pub(crate) type Keys = BTreeSet<Bytes>;

/// Names the event time of a changelog record whose own timestamp is the wall clock's.
pub(crate) const EVENT_TIME_HEADER: &str = "highwater.timestamp";

/// A range of a partition.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) partition: TopicPartition,
    pub(crate) position: i64,
    pub(crate) end: i64,
    pub(crate) isolation: Isolation,
}

impl Range {
    pub(crate) fn is_read(&self) -> bool {
        self.position >= self.end
    }

    /// The next records of the range, at most `highwater.restore.batch`; none while nothing can be read.
    pub(crate) fn read(&mut self, step: &mut Step<'_>) -> Result<(Vec<LogRecord>, Activity)> {
        if self.is_read() {
            return Ok((Vec::new(), Activity::default()));
        }
        let most = step.process.settings.restore_batch;
        match step.admin.read(&self.partition, self.position, self.isolation, most) {
            Ok((_, next)) if next == self.position => Ok((Vec::new(), Activity::WAIT)),
            Ok((mut records, next)) => {
                self.position = next;
                if self.is_read() {
                    step.admin.stop_reading(&self.partition);
                }
                records.retain(|record| record.offset < self.end);
                Ok((records, Activity::PROGRESS))
            }
            Err(failure) if matches!(failure.kind, FailureKind::Retriable | FailureKind::Unknown) => {
                Ok((Vec::new(), Activity::WAIT))
            }
            Err(failure) => Err(broker_error(&format!("read {}", self.partition), &failure)),
        }
    }
}

/// Event time of a changelog record, in either form.
pub(crate) fn event_time(record: &LogRecord) -> Timestamp {
    let header = record.headers.last(EVENT_TIME_HEADER).flatten().and_then(|value| value.try_into().ok());
    header.map_or(record.timestamp, |bytes| Timestamp(i64::from_be_bytes(bytes)))
}

/// Collects the keys of a range whose values must not be applied.
#[derive(Clone, Debug)]
pub(crate) struct KeyReader {
    pub(crate) range: Range,
    pub(crate) keys: Keys,
    pub(crate) records: i64,
    /// The oldest record by the date it was written.
    pub(crate) oldest: Option<Timestamp>,
}

impl KeyReader {
    pub(crate) fn new(partition: TopicPartition, from: i64, end: i64) -> Self {
        let range = Range { partition, position: from, end, isolation: Isolation::ReadUncommitted };
        Self { range, keys: Keys::new(), records: 0, oldest: None }
    }

    pub(crate) fn step(&mut self, step: &mut Step<'_>) -> Result<Activity> {
        let (records, activity) = self.range.read(step)?;
        for record in records {
            self.records += 1;
            self.oldest = Some(self.oldest.map_or(record.timestamp, |oldest| oldest.min(record.timestamp)));
            self.keys.extend(record.key);
        }
        Ok(activity)
    }
}
