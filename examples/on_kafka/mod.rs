//! A demo on Apache Kafka, for the examples that take `--bootstrap-server HOST:PORT`: makes the topics, feeds the input,
//! runs the topology until the output is there, and stops it.
#![allow(unreachable_pub, reason = "a module of several programs")]

#[cfg_attr(not(feature = "kafka"), path = "without.rs")]
mod cluster;
mod progress;

use clap::Parser;
use cluster::Cluster;
use highwater::time::Timestamp;
use highwater::{BoxError, Consumed, Produced, Topology};
use std::time::Duration;

#[derive(Parser)]
struct Arguments {
    /// Run on Apache Kafka instead of the log inside the process
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap_server: Option<String>,
    /// Delete the topics and the group of an earlier run first
    #[arg(long, requires = "bootstrap_server")]
    again: bool,
}

/// Between two looks at the output.
const LOOK: Duration = Duration::from_millis(500);
/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(180);

/// An example on a cluster.
pub struct Demo {
    application_id: &'static str,
    cluster: Cluster,
}

impl Demo {
    /// `None`: without a broker. Otherwise the topics are made.
    pub fn asked(application_id: &'static str, topics: &[&str]) -> Result<Option<Self>, BoxError> {
        let Arguments { bootstrap_server, again } = Arguments::parse();
        bootstrap_server.map(|server| Self::on(&server, again, application_id, topics)).transpose()
    }

    fn on(
        server: &str,
        again: bool,
        application_id: &'static str,
        topics: &[&str],
    ) -> Result<Self, BoxError> {
        let cluster = Cluster::at(server)?;
        progress::show();
        if again {
            cluster.delete(application_id, topics)?;
        }
        cluster.create(topics)?;
        Ok(Self { application_id, cluster })
    }

    /// Writes the input as any other program would.
    pub fn feed<K: 'static, V: 'static>(
        &self,
        topic: &str,
        produced: &Produced<K, V>,
        records: impl IntoIterator<Item = (K, V, Timestamp)>,
    ) -> Result<(), BoxError> {
        self.cluster.feed(topic, produced, records)
    }

    /// All that is committed in a topic.
    pub fn read<K: 'static, V: 'static>(
        &self,
        topic: &str,
        consumed: &Consumed<K, V>,
    ) -> Result<Vec<(K, V)>, BoxError> {
        self.cluster.read(topic, consumed)
    }

    /// Runs until the output is there, or Ctrl-C.
    pub fn run(
        &self,
        topology: Topology,
        is_there: impl Fn() -> Result<bool, BoxError>,
    ) -> Result<(), BoxError> {
        let streams = self.cluster.streams(topology, self.application_id)?;
        let look = async {
            while !is_there()? {
                tokio::time::sleep(LOOK).await;
            }
            Ok::<_, BoxError>(())
        };
        let mut looked: Result<(), BoxError> = Ok(());
        let stop = async {
            looked = tokio::select! {
                seen = tokio::time::timeout(LONGEST, look) => {
                    seen.unwrap_or_else(|_| Err(format!("the output is not there after {LONGEST:?}").into()))
                }
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            };
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(streams.run(stop))?;
        looked
    }
}
