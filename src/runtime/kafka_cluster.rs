//! Apache Kafka as the place where an application runs.

use super::config::{ClientKind, StreamsConfig};
use super::ending::EndOfInput;
use super::home::Home;
use super::process::KillHook;
use super::signal::Signal;
use super::{LocalState, Settings, Surroundings};
use crate::broker::kafka::{KafkaClient, KafkaConfig, Properties, Waker};
use crate::error::{Error, Result};
use crate::time::{Clock, SystemClock};
use std::sync::Arc;

/// Partitions among which the budget for fetched records is divided: librdkafka's bound is one of each partition, fixed
/// before it is known how many there will be.
const PARTITIONS_BUDGETED: usize = 16;
/// Records that are fetched ahead of one partition, at least, where the bytes allow it.
const FETCHED_AHEAD: &str = "20000";

/// A cluster by its addresses and the properties of the clients.
pub(crate) struct KafkaCluster {
    clients: KafkaConfig,
    clock: Arc<SystemClock>,
    signal: Arc<Signal>,
}

impl KafkaCluster {
    /// # Errors
    /// Without `bootstrap.servers`, or with properties that librdkafka does not take.
    pub(crate) fn new(config: &StreamsConfig, settings: &Settings) -> Result<Self> {
        if settings.kafka.bootstrap_servers.is_empty() {
            return Err(Error::config("`bootstrap.servers` is not set")
                .help("name the brokers as `host:port`, comma-separated; without a broker, use KafkaStreams::embedded"));
        }
        let of = |kind| -> Properties {
            config
                .client_config(kind)
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let reading = |kind| {
            let mut properties = of(kind);
            let kbytes = (settings.kafka.fetch_buffer_bytes / PARTITIONS_BUDGETED / 1024).max(64);
            properties.entry("queued.max.messages.kbytes".into()).or_insert_with(|| kbytes.to_string());
            properties.entry("queued.min.messages".into()).or_insert_with(|| FETCHED_AHEAD.to_owned());
            properties.entry("fetch.wait.max.ms".into()).or_insert_with(|| "100".to_owned());
            properties
        };
        let clients = KafkaConfig {
            group: settings.application_id.to_string(),
            consumer: reading(ClientKind::Consumer),
            producer: of(ClientKind::Producer),
            admin: reading(ClientKind::Restore),
            request_timeout: settings.kafka.request_timeout,
            replication_factor: settings.kafka.replication_factor,
            largest_record: settings.max_request_size,
        };
        let cluster =
            Self { clients, clock: Arc::new(SystemClock::new()), signal: Arc::new(Signal::default()) };
        cluster.client().check().map_err(|failure| Error::config(failure.message))?;
        Ok(cluster)
    }

    fn client(&self) -> KafkaClient {
        let signal = self.signal.clone();
        let waker: Waker = Arc::new(move || {
            signal.notify();
        });
        KafkaClient::new(self.clients.clone(), waker, self.clock.clone())
    }
}

#[cfg(feature = "crash-points")]
fn kill_hook() -> Result<Option<KillHook>> {
    super::crash_points::from_environment()
}

#[cfg(not(feature = "crash-points"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
fn kill_hook() -> Result<Option<KillHook>> {
    Ok(None)
}

impl Home for KafkaCluster {
    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn surroundings(&self, settings: &Settings, fingerprint: &str) -> Result<Surroundings> {
        let seed = LocalState::seed()?;
        let instance = settings.kafka.group_instance_id.as_deref();
        let local = LocalState::open(settings, fingerprint, instance, seed)?;
        Ok(Surroundings {
            client: Box::new(self.client()),
            disk: local.disk,
            instance_id: local.instance_id,
            seed,
            kill: kill_hook()?,
        })
    }

    /// A topic on a cluster has no end.
    fn end_of_input(&self) -> Option<EndOfInput> {
        None
    }
    fn signal(&self) -> &Signal {
        &self.signal
    }
    fn times_full(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(config: &StreamsConfig) -> (KafkaCluster, Settings) {
        let settings = config.settings().expect("fine");
        (KafkaCluster::new(config, &settings).expect("fine"), settings)
    }

    /// No broker is asked for any of it.
    fn config(root: &std::path::Path) -> StreamsConfig {
        StreamsConfig::new("app", "127.0.0.1:9").set("state.dir", root.display().to_string())
    }

    #[test]
    fn internal_topics_have_the_replication_that_is_set() {
        let root = tempfile::tempdir().expect("a directory");
        let config = config(root.path());
        assert_eq!(cluster(&config).0.clients.replication_factor, -1, "the broker's own");
        assert_eq!(cluster(&config.set("replication.factor", "3")).0.clients.replication_factor, 3);
    }

    #[test]
    fn a_static_member_has_its_place_and_its_id_by_that_name() {
        let root = tempfile::tempdir().expect("a directory");
        let (cluster, settings) = cluster(&config(root.path()).set("group.instance.id", "blue"));
        let id = cluster.clients.consumer.get("group.instance.id").map(String::as_str);
        assert_eq!(id, Some("blue"), "the member's");
        let first = cluster.surroundings(&settings, "a topology").expect("opens");
        assert_eq!(first.instance_id, "blue", "the transactional ids'");
        let second = cluster.surroundings(&settings, "a topology").err().expect("it is in use");
        assert!(second.to_string().contains("group.instance.id"), "{second}");
    }
}
