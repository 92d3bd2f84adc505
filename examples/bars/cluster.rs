//! The engine on Apache Kafka: everything that knows how it is started and stopped there, and how its topics are made, is
//! here.

use crate::engine::with_properties;
use crate::feed::{Ends, Feed};
use crate::kafka_options::OnKafka;
use crate::options::Options;
use highwater::time::{Clock, SystemClock};
use highwater::{BoxError, KafkaStreams, RunningStreams, State, StreamsConfig, Topology};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the broker may take to answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How long made topics may take to be seen, in ms.
const SEEN: i64 = 15_000;
/// How long the last commit and leaving the group may take.
const STOP: Duration = Duration::from_secs(60);
/// Of the broker.
const DEFAULT_REPLICATION: i32 = -1;

pub struct Cluster<'a> {
    options: &'a Options,
    on: &'a OnKafka,
    config: StreamsConfig,
}

/// The topology, running as one process of the application.
pub struct Pipeline(RunningStreams);

impl<'a> Cluster<'a> {
    /// An error names every property that is wrong.
    pub fn new(options: &'a Options, on: &'a OnKafka) -> Result<Self, BoxError> {
        let mut config = StreamsConfig::new(&on.application_id, &on.bootstrap_server);
        if let Some(folder) = &on.state_dir {
            config = config.set("state.dir", folder);
        }
        let config = with_properties(config, options);
        config.check()?;
        Ok(Self { options, on, config })
    }

    /// Joins the group. `ready` is called once, when its tasks run for the first time.
    pub fn start(
        &self,
        topology: Topology,
        ready: impl FnOnce() + Send + 'static,
    ) -> Result<Pipeline, BoxError> {
        let ready = std::sync::Mutex::new(Some(ready));
        let streams = KafkaStreams::new(topology, self.config.clone())?.on_state_change(move |state, _| {
            if state == State::Running
                && let Some(ready) = ready.lock().ok().and_then(|mut ready| ready.take())
            {
                ready();
            }
        });
        Ok(Pipeline(streams.start()))
    }

    /// Makes the topics that are not there; retention counts event time, so nothing may be deleted by it. Says what it
    /// has made.
    pub fn create_topics(&self) -> Result<Vec<String>, BoxError> {
        let names = self.on.topics.all();
        let factor = self.property("replication.factor").map_or(Ok(DEFAULT_REPLICATION), str::parse)?;
        let topic = |name| {
            NewTopic::new(name, self.options.partitions as i32, TopicReplication::Fixed(factor))
                .set("retention.ms", "-1")
        };
        let topics: Vec<_> = names.iter().map(|name| topic(name)).collect();
        let admin: AdminClient<DefaultClientContext> = self.client("admin.").create()?;
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        let answers =
            answer(admin.create_topics(&topics, &options)).map_err(|error| self.unreachable(&error))?;
        let mut made = Vec::new();
        for one in answers {
            match one {
                Ok(name) => made.push(name),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(format!("cannot make topic `{name}`: {code}").into()),
            }
        }
        let clock = SystemClock::new();
        while !names.iter().all(|name| self.topics().is_ok_and(|there| there.contains(name))) {
            if clock.monotonic() > SEEN {
                return Err("the topics were made, but the broker does not show them".into());
            }
        }
        Ok(made)
    }

    /// A producer of ticks. Fails where the topic is not there: a broker might make one by itself, with other settings.
    pub fn feed(&self) -> Result<Feed, BoxError> {
        let ticks = self.on.topics.ticks();
        if !self.topics()?.contains(&ticks) {
            return Err(format!(
                "there is no topic `{ticks}` on {}: --create-topics makes it",
                self.on.bootstrap_server
            )
            .into());
        }
        let mut producer = self.client("producer.");
        for name in ["compression.type", "batch.size", "linger.ms"] {
            if let Some(value) = self.property(name) {
                producer.set(name, value);
            }
        }
        Feed::open(producer, ticks)
    }

    /// Whether the application has committed everything before these ends. It may be in any of its processes.
    pub fn has_committed(&self, ends: &Ends) -> Result<bool, BoxError> {
        let group: BaseConsumer =
            self.client("consumer.").set("group.id", &self.on.application_id).create()?;
        let (ticks, mut partitions) = (self.on.topics.ticks(), TopicPartitionList::new());
        for partition in ends.keys() {
            partitions.add_partition(&ticks, *partition);
        }
        let committed = group.committed_offsets(partitions, ANSWER)?;
        let is_behind = |(partition, end): (&i32, &i64)| {
            let found = committed.find_partition(&ticks, *partition).map(|found| found.offset());
            matches!(found, Some(Offset::Offset(offset)) if offset >= *end)
        };
        Ok(ends.iter().all(is_behind))
    }

    fn topics(&self) -> Result<BTreeSet<String>, BoxError> {
        let reader: BaseConsumer = self.client("consumer.").create()?;
        // All of them: asked for by name, a topic could be made by the question.
        let metadata = reader.fetch_metadata(None, ANSWER).map_err(|error| self.unreachable(&error))?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// The properties that a client without Highwater needs: where and with which rights, and what has its prefix.
    fn client(&self, prefix: &str) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.on.bootstrap_server);
        for (name, value) in &self.options.properties {
            let rights = ["security.", "sasl.", "ssl."].iter().any(|start| name.starts_with(start));
            match name.strip_prefix(prefix) {
                Some(name) => client.set(name, value),
                None if rights => client.set(name, value),
                None => &mut client,
            };
        }
        client
    }

    fn property(&self, name: &str) -> Option<&str> {
        self.options.properties.iter().rfind(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn unreachable(&self, error: &dyn std::fmt::Display) -> BoxError {
        format!("no answer from {}: {error}", self.on.bootstrap_server).into()
    }
}

/// The futures of the client's admin are woken by its own thread.
fn answer<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers").block_on(future)
}

impl Pipeline {
    /// By itself, so with an error.
    pub fn is_over(&self) -> bool {
        self.0.wait_for(Duration::ZERO)
    }

    /// Commits, leaves the group, and ends.
    pub fn close(self) -> Result<(), BoxError> {
        Ok(self.0.close(STOP)?)
    }
}
