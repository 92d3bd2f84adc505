//! Kafka Streams for Rust, with windows that close on time.
#![allow(dead_code, unused_imports, reason = "parts arrive before their callers")]

mod broker;
mod error;
mod processor;
mod record;
pub mod serdes;
mod state;
pub mod time;
mod topology;

pub use error::{BoxError, Error, Result};
pub use processor::{
    Cancellable, Children, Counts, FixedKeyProcessor, FixedKeyProcessorContext, Incomplete, Processor,
    ProcessorContext, PunctuationType,
};
pub use record::{Headers, Record, RecordMetadata, TaskId, TopicPartition};
pub use state::{KeyValueStore, StateStore, StoreBuilder, WindowStore};
pub use topology::{AutoOffsetReset, StoreHandle, StoreSet, Topology};
