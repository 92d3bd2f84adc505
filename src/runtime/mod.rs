//! Runs a topology: a synchronous state machine that is driven in steps and told the time.

mod moment;
mod offset_metadata;
mod partition_group;
mod source_watermark;
mod task;
mod writers;

pub(crate) use moment::Moment;
pub(crate) use offset_metadata::OffsetMetadata;
pub(crate) use task::{
    Explanation, FutureSkewPolicy, Held, Holder, InputKind, InputPlan, OnError, Question, Ran, Saved,
    SavedInput, Task, TaskCheckpoint, TaskPlan, TaskSettings, Wakeup,
};
