//! Kafka Streams for Rust, with windows that close on time.

mod broker;
mod error;
mod record;
pub mod time;

pub use error::{BoxError, Error, Result};
pub use record::{Headers, Record, RecordMetadata, TopicPartition};
