//! Kafka Streams for Rust, with windows that close on time.
#![allow(dead_code, unused_imports, reason = "parts arrive before their callers")]

mod broker;
mod dsl;
mod embedded;
mod error;
mod processor;
mod record;
mod runtime;
pub mod serdes;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
mod topology;

pub use dsl::{
    Consumed, GapFill, Grouped, KGroupedStream, KStream, KTable, Materialized, Node, Produced, Repartitioned,
    RollUpKStream, Split, StreamsBuilder, Suppressed, TimeWindowedKStream, TopologyBuilder, WindowedKey,
};
pub use error::{BoxError, Error, Result};
pub use processor::{
    Cancellable, Children, Counts, FixedKeyProcessor, FixedKeyProcessorContext, Incomplete, Processor,
    ProcessorContext, PunctuationType,
};
pub use record::{Headers, Record, RecordMetadata, TaskId, TopicPartition};
pub use runtime::{AtEnd, EmbeddedLog, KafkaStreams, RunningStreams, Snapshot, State, StreamsConfig};
pub use serdes::{DefaultSerde, Key, NoKey, NullableKey};
pub use state::{KeyValueStore, StateStore, StoreBuilder, WindowStore};
pub use time::{Window, Windowed, Windows};
pub use topology::{AutoOffsetReset, StoreHandle, StoreSet, Topology};
