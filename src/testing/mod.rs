//! The real engine on a log in memory with a manual clock: several partitions, several instances, crashes.
//!
//! Nothing here is a model of the engine: the same tasks, stores, commits and restores run as on a broker.

mod cluster;
mod driver;
mod task_runner;
mod topics;

pub use crate::runtime::CommitPoint;
pub use driver::TopologyTestDriver;
pub use task_runner::{Records, TaskRunner};
pub use topics::{InputRecord, InputTopic, OutputRecord, OutputTopic};
