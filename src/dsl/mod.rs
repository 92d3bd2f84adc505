//! What users type: a builder, streams and tables. It only builds a graph of typed factories.
//!
//! Every operator adds a node and returns what leaves it. Mistakes are noted with the line that made them and reported by
//! [`StreamsBuilder::build`], all together; what types can rule out does not compile.

mod aggregation;
mod consumed;
mod draft;
mod gap_fill;
mod grouping;
mod handlers;
mod kgrouped_stream;
mod kstream;
mod ktable;
mod lineage;
mod materialized;
mod misuse;
mod process;
mod produced;
mod repartitioned;
mod roll_up;
mod sinks;
mod split;
mod streams_builder;
mod suppressed;
mod topology_builder;
mod try_forms;
mod windowed;

#[cfg(test)]
mod tests;

pub use consumed::Consumed;
pub use gap_fill::GapFill;
pub use kgrouped_stream::KGroupedStream;
pub use kstream::KStream;
pub use ktable::KTable;
pub use materialized::Materialized;
pub use produced::Produced;
pub use repartitioned::{Grouped, Repartitioned};
pub use roll_up::RollUpKStream;
pub use split::Split;
pub use streams_builder::StreamsBuilder;
pub use suppressed::{Suppressed, WindowedKey};
pub use topology_builder::{Node, TopologyBuilder};
pub use windowed::TimeWindowedKStream;
