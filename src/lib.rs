//! Kafka Streams for Rust, with windows that close on time.
#![allow(dead_code, unused_imports, reason = "parts arrive before their callers")]

mod broker;
mod error;
mod processor;
mod record;
mod runtime;
pub mod serdes;
mod state;
pub mod time;
mod topology;

pub use error::{BoxError, Error, Result};
pub use processor::{Children, Counts, Incomplete};
pub use record::{Headers, Record, RecordMetadata, TaskId, TopicPartition};
pub use runtime::{AtEnd, CommitPoint, State, StreamsConfig};
pub use topology::{AutoOffsetReset, Topology};
