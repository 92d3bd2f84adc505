//! Runs a topology: a synchronous state machine that is driven in steps and told the time, and its thin adapters.

mod config;
mod moment;
mod offset_metadata;
mod partition_group;
mod properties;
mod settings;
mod source_watermark;
mod task;
mod topics;
mod writers;

pub use config::StreamsConfig;
pub(crate) use moment::Moment;
pub(crate) use offset_metadata::OffsetMetadata;
pub(crate) use settings::{Guarantee, Settings};
pub(crate) use task::{
    Explanation, FutureSkewPolicy, Held, Holder, InputKind, InputPlan, OnError, Question, Ran, Saved,
    SavedInput, Task, TaskCheckpoint, TaskPlan, TaskSettings, Wakeup,
};
