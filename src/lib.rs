//! Kafka Streams for Rust, with windows that close on time.
//!
//! A program declares a typed [`Topology`] with a [`StreamsBuilder`]: source, group by, aggregate, sink. [`KafkaStreams`]
//! runs it as tasks on an [`EmbeddedLog`]; their state lives in named stores with changelogs, and survives crashes and
//! rebalances. A window gives one final result, when the [watermark](time) has passed its end and its grace, also when no
//! further record comes.
//!
//! ```
//! use highwater::serdes::Utf8;
//! use highwater::testing::TopologyTestDriver;
//! use highwater::time::Timestamp;
//! use highwater::{Consumed, Grouped, Materialized, NoKey, Produced, StreamsBuilder};
//!
//! let builder = StreamsBuilder::new();
//! builder
//!     .stream("lines", Consumed::values(Utf8))
//!     .flat_map_values(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
//!     .group_by(|_, word| word.clone(), Grouped::named("by-word"))
//!     .count(Materialized::named("word-counts"))
//!     .to_stream()
//!     .to("counts", Produced::default());
//!
//! let mut driver = TopologyTestDriver::new(builder.build()?);
//! let lines = driver.input_topic("lines", Produced::values(Utf8));
//! let counts = driver.output_topic("counts", Consumed::<String, u64>::default());
//! driver.pipe_input(&lines, NoKey, "To the Lighthouse to".to_owned(), Timestamp(0));
//! assert!(driver.read_output(&counts).contains(&("to".to_owned(), 2)));
//! # Ok::<(), highwater::Error>(())
//! ```
//!
//! # Layout
//!
//! - What programs are written with stands at the root: streams, tables, processors, the options of operators.
//! - [`serdes`]: what types become as bytes. [`time`]: timestamps, windows, calendars, clocks.
//! - `testing` (feature `testing`, on by default): the test driver, which runs the real engine with several partitions and
//!   instances, a manual clock and crashes.
//!
//! The guide, in `guide/`, has concepts, the differences from Kafka Streams, and the architecture.

mod broker;
mod dsl;
mod embedded;
mod error;
#[cfg(doctest)]
mod guide;
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
pub use embedded::Feed;
pub use error::{BoxError, Error, Result};
pub use processor::{
    Cancellable, Children, Counts, ErrorHandlerContext, FixedKeyProcessor, FixedKeyProcessorContext,
    Incomplete, Processor, ProcessorContext, PunctuationType, Response,
};
pub use record::{Headers, Record, RecordMetadata, TaskId, TopicPartition};
pub use runtime::{
    AtEnd, EmbeddedLog, Explanation, Held, Holder, KafkaStreams, QueryableStore, ReadOnlyKeyValueStore,
    ReadOnlyWindowStore, RestoreStage, Restoring, RunningStreams, Snapshot, State, StateRestore,
    StreamsConfig, UncaughtErrorResponse,
};
pub use serdes::{DefaultSerde, Key, NoKey, NullableKey};
pub use state::{KeyValueStore, StateStore, StoreBuilder, WindowStore};
pub use time::{Window, Windowed, Windows};
pub use topology::{AutoOffsetReset, StoreHandle, StoreSet, Topology};
