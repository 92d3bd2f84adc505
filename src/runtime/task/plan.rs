//! What a task is made from: its settings, its inputs, and whom it tells its watermark.

use crate::processor::{Handler, Handlers, PerKind, Response, Retries};
use crate::record::{TaskId, TopicPartition};
use std::sync::Arc;
use std::time::Duration;

/// What to do with a record that is further ahead of the date than the bound. It moves no time in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FutureSkewPolicy {
    /// It is processed and counted.
    #[default]
    Accept,
    /// It is left out and counted.
    Skip,
    /// It is left out and counted, and goes to the dead letter topic.
    DeadLetter,
    Fail,
}

/// What the configuration says of tasks.
#[derive(Clone, Debug)]
pub(crate) struct TaskSettings {
    /// For sources that have none of their own; `None`: their partitions are never idle.
    pub(crate) idle_timeout: Option<Duration>,
    /// `None`: records may be as far ahead of the date as they like.
    pub(crate) max_future_skew: Option<Duration>,
    pub(crate) future_skew_policy: FutureSkewPolicy,
    /// The most windows closed by one call of `run`.
    pub(crate) advance_batch: usize,
    /// `max.task.idle.ms`: `None` is -1 there, never wait; zero waits while an empty partition is known to have data.
    pub(crate) max_task_idle: Option<Duration>,
    /// `buffered.records.per.partition`.
    pub(crate) max_buffered_records: usize,
    /// What becomes of records that fail, where the program has no handler.
    pub(crate) on_error: PerKind<Response>,
    pub(crate) retries: Retries,
    /// `statestore.uncommitted.max.bytes`: above, a commit is due.
    pub(crate) uncommitted_max_bytes: usize,
    /// At most once per so long are markers written between commits (machine's clock).
    pub(crate) marker_interval: Duration,
    /// How often the log end of a silent partition is asked for.
    pub(crate) ask_interval: Duration,
    /// `offset.metadata.max.bytes` of the broker.
    pub(crate) metadata_max_bytes: usize,
    /// Under `at_least_once` the live updates of a batch of records leave with it.
    pub(crate) flush_each_batch: bool,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self {
            idle_timeout: None,
            max_future_skew: Some(Duration::from_secs(3600)),
            future_skew_policy: FutureSkewPolicy::Accept,
            advance_batch: 1000,
            max_task_idle: Some(Duration::ZERO),
            max_buffered_records: 1000,
            on_error: PerKind::default(),
            retries: Retries::default(),
            uncommitted_max_bytes: 64 << 20,
            marker_interval: Duration::from_millis(100),
            ask_interval: Duration::from_secs(1),
            metadata_max_bytes: 4096,
            flush_each_batch: true,
        }
    }
}

/// A task of a sub-topology.
#[derive(Clone, Debug)]
pub(crate) struct TaskPlan {
    pub(crate) id: TaskId,
    /// Calls name an input by its position here.
    pub(crate) inputs: Vec<InputPlan>,
    /// The repartition topics that carry this task's watermark: the name on the broker, the partitions.
    pub(crate) outputs: Vec<(Arc<str>, u32)>,
    /// Stores whose changelog offsets are committed with the positions (`at_least_once`).
    pub(crate) changelogs: Vec<Arc<str>>,
    pub(crate) judging: Judging,
}

/// Who decides about records that fail, besides the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judging {
    pub(crate) handlers: Handlers,
    /// By source of the sub-topology: about records that cannot be read.
    pub(crate) sources: Vec<Option<Handler>>,
    /// The topic of dead letters and its partitions.
    pub(crate) dead_letters: Option<(Arc<str>, u32)>,
}

/// One partition that a task reads.
#[derive(Clone, Debug)]
pub(crate) struct InputPlan {
    pub(crate) partition: TopicPartition,
    /// Its source, as the position among the task graph's inputs.
    pub(crate) source: usize,
    /// Which of the source's partitions it is in this task; each has its own.
    pub(crate) slot: usize,
    pub(crate) kind: InputKind,
}

/// What moves the watermark of a partition.
#[derive(Clone, Debug)]
pub(crate) enum InputKind {
    /// Its records, and the clock where it is idle. `idle_timeout`: `None` is as configured.
    Source { out_of_orderness: Duration, idle_timeout: Option<Duration> },
    /// The markers of its writers, all tasks of all sub-topologies that write the topic.
    Repartition { writers: Arc<[TaskId]> },
}
