//! Why is my window open: which input holds the watermark, and what will release it.

use super::Task;
use crate::record::{TaskId, TopicPartition};
use crate::runtime::Moment;
use crate::time::Timestamp;
use std::sync::Arc;

/// The time of a task, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    pub(crate) watermark: Timestamp,
    /// The input with the smallest watermark.
    pub(crate) holder: Option<Holder>,
    /// The end of the window that is open longest and whose store it is in.
    pub(crate) longest_open: Option<(Timestamp, Option<Arc<str>>)>,
    pub(crate) open_windows: usize,
}

/// The input that holds the watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) partition: TopicPartition,
    pub(crate) watermark: Timestamp,
    pub(crate) why: Held,
}

/// Why an input's watermark is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Records are waiting in the task: processing them moves it.
    Busy { buffered: usize },
    /// It is silent and caught up; the clock moves it.
    Idle,
    /// It has been silent for less than the idle timeout, which ends then (application's clock).
    Silent { until: Timestamp },
    /// The log has records that were not read yet: the position and the log end as last heard.
    Lagging { position: i64, end: i64 },
    /// Silent for longer than the idle timeout, but no answer says that it is caught up.
    Unanswered,
    /// Silent, and it has no idle timeout: only a record moves it.
    NoIdleTimeout,
    /// A writer's watermark holds it; `heard`: whether that writer has been heard at all.
    Writer { task: TaskId, heard: bool },
}

impl Task {
    pub(crate) fn explain(&self, moment: Moment) -> Explanation {
        let smallest = self.watermarks.iter().enumerate().min_by_key(|(_, input)| input.watermark());
        let holder = smallest.and_then(|(at, input)| {
            let plan = self.plan.inputs.get(at)?;
            let why = input.held(self.group.processed(at), self.group.buffered(at), moment.now);
            Some(Holder { partition: plan.partition.clone(), watermark: input.watermark(), why })
        });
        let mut explanation =
            Explanation { watermark: self.watermark, holder, longest_open: None, open_windows: 0 };
        for node in &self.graph.nodes {
            let node = node.borrow();
            let Some((end, count)) = node.open_windows() else { continue };
            explanation.open_windows += count;
            if explanation.longest_open.as_ref().is_none_or(|(longest, _)| end < *longest) {
                explanation.longest_open = Some((end, node.closes().cloned()));
            }
        }
        explanation
    }
}
