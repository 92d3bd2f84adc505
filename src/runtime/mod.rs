//! Runs a topology: a synchronous state machine that is driven in steps and told the time, and its thin adapters.

mod application_thread;
mod ask;
mod audit;
mod changelog_reader;
mod checkpoint;
mod commit;
mod config;
#[cfg(feature = "crash-points")]
mod crash_points;
mod embedded;
mod ending;
mod home;
mod housekeeping;
mod instance;
#[cfg(feature = "kafka")]
mod kafka_cluster;
mod kafka_streams;
mod listeners;
mod local_state;
mod moment;
mod offset_metadata;
mod partition_group;
mod point;
mod preparation;
mod process;
mod producer;
mod progress;
mod questions;
mod read_only_store;
mod reads;
mod restore_listener;
mod running;
mod running_streams;
mod settings;
mod signal;
mod source_watermark;
mod start;
mod store_reader;
mod task;
#[cfg(test)]
mod tests;
mod topics;
mod uncaught;
mod watchdog;
mod worker;
mod writers;

pub use config::StreamsConfig;
pub use embedded::EmbeddedLog;
pub use ending::AtEnd;
pub use instance::State;
pub(crate) use instance::{Instance, Stepped};
pub use kafka_streams::KafkaStreams;
pub(crate) use local_state::LocalState;
pub(crate) use moment::Moment;
pub(crate) use offset_metadata::OffsetMetadata;
pub use point::CommitPoint;
pub(crate) use process::Surroundings;
pub use progress::Restoring;
pub use read_only_store::{QueryableStore, ReadOnlyKeyValueStore, ReadOnlyWindowStore};
pub use restore_listener::{RestoreStage, StateRestore};
pub use running_streams::{RunningStreams, Snapshot};
pub(crate) use settings::Settings;
pub use task::{Explanation, Held, Holder};
pub(crate) use task::{
    InputKind, InputPlan, Judging, Question, Ran, Saved, SavedInput, Task, TaskCheckpoint, TaskPlan,
    Verdicts, Wakeup,
};
pub use uncaught::UncaughtErrorResponse;
