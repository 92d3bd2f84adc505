//! Why is my window open: which input holds the watermark, and what will release it.

use super::Task;
use crate::record::{TaskId, TopicPartition};
use crate::runtime::Moment;
use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// The time of a task, explained. Its `Display` is a line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What the task's inputs are believed complete up to.
    pub watermark: Timestamp,
    /// The input with the smallest watermark.
    pub holder: Option<Holder>,
    /// The end of the window that is open longest, and the store it is in.
    pub longest_open: Option<(Timestamp, Option<Arc<str>>)>,
    /// The watermark that closes it: its end and its grace.
    pub closes_at: Option<Timestamp>,
    /// How many windows are open.
    pub open_windows: usize,
}

/// The input that holds a watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The partition.
    pub partition: TopicPartition,
    /// Its watermark.
    pub watermark: Timestamp,
    /// Why it is there, and what will move it.
    pub why: Held,
}

/// Why an input's watermark is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// So many records are waiting in the task: processing them moves it.
    Busy(usize),
    /// It is silent and caught up; the clock moves it.
    Idle,
    /// It has been silent for less than the idle timeout, which ends then (application's clock).
    Silent(Timestamp),
    /// The log has records that were not read yet.
    Lagging {
        /// Where the task goes on.
        position: i64,
        /// The end of the log as last heard.
        end: i64,
    },
    /// Silent for longer than the idle timeout, but no answer says that it is caught up.
    Unanswered,
    /// Silent, and it has no idle timeout: only a record moves it.
    NoIdleTimeout,
    /// The watermark of a task that writes it.
    Writer {
        /// The writer.
        task: TaskId,
        /// Whether it has been heard at all.
        heard: bool,
    },
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(records) => write!(f, "{records} records wait in the task; processing them moves it"),
            Self::Idle => f.write_str("silent and caught up; the clock moves it"),
            Self::Silent(until) => write!(f, "silent; from {until} on the clock moves it"),
            Self::Lagging { position, end } => {
                write!(f, "lagging: at offset {position} of {end}; reading on moves it")
            }
            Self::Unanswered => {
                f.write_str("silent, and the log does not say that it is caught up; its answer moves it")
            }
            Self::NoIdleTimeout => f.write_str("silent, without an idle timeout; only a record moves it"),
            Self::Writer { task, heard: true } => write!(f, "task {task} writes it and is not further"),
            Self::Writer { task, heard: false } => {
                write!(f, "task {task} writes it and has not been heard yet")
            }
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.longest_open {
            None => f.write_str("no window is open")?,
            Some((end, store)) => {
                let are = if self.open_windows == 1 { "window is" } else { "windows are" };
                write!(f, "{} {are} open, the longest until {end}", self.open_windows)?;
                store.iter().try_for_each(|store| write!(f, " in `{store}`"))?;
            }
        }
        match &self.holder {
            None => f.write_str("; nothing is read"),
            Some(holder) if holder.watermark == Timestamp::MIN => {
                write!(f, "; {} has no watermark yet: {}", holder.partition, holder.why)
            }
            Some(holder) => {
                write!(
                    f,
                    "; {} holds the watermark at {}: {}",
                    holder.partition, holder.watermark, holder.why
                )
            }
        }
    }
}

impl Task {
    pub(crate) fn explain(&self, moment: Moment) -> Explanation {
        let smallest = self.watermarks.iter().enumerate().min_by_key(|(_, input)| input.watermark());
        let holder = smallest.and_then(|(at, input)| {
            let plan = self.plan.inputs.get(at)?;
            let why = input.held(self.group.processed(at), self.group.buffered(at), moment.now);
            Some(Holder { partition: plan.partition.clone(), watermark: input.watermark(), why })
        });
        let mut explanation = Explanation {
            watermark: self.watermark,
            holder,
            longest_open: None,
            closes_at: None,
            open_windows: 0,
        };
        for node in &self.graph.nodes {
            let node = node.borrow();
            let Some(open) = node.open_windows() else { continue };
            explanation.open_windows += open.windows;
            if explanation.longest_open.as_ref().is_none_or(|(longest, _)| open.end < *longest) {
                explanation.longest_open = Some((open.end, node.closes().cloned()));
                explanation.closes_at = Some(open.closes_at);
            }
        }
        explanation
    }
}
