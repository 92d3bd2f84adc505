//! Kafka Streams and Highwater read each other's data.

mod metadata;
mod repartition;
mod topics;
mod windows;
mod words;

use super::cluster::{Cluster, LONG};
use super::java::{Java, script};
use highwater::{KafkaStreams, RunningStreams, StreamsConfig, Topology};
use std::path::Path;

/// As the Java program's own.
fn config(cluster: &Cluster, application: &str, guarantee: &str, state: &Path) -> StreamsConfig {
    let config = StreamsConfig::new(application, &cluster.bootstrap)
        .set("processing.guarantee", guarantee)
        .set("commit.interval.ms", "100")
        .set("state.dir", state.display().to_string());
    if cfg!(feature = "rocksdb") { config.set("default.dsl.store", "rocksDB") } else { config }
}

/// Starts it and waits for nothing.
fn start(topology: Topology, config: StreamsConfig) -> RunningStreams {
    KafkaStreams::new(topology, config).expect("starts").start()
}
