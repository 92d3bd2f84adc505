//! The checked properties as types, read once when an application is made.

use super::config::StreamsConfig;
use super::task::{FutureSkewPolicy, TaskSettings};
use crate::error::{Error, Result};
use crate::processor::{PerKind, Response, Retries};
use crate::state::{Compression, RocksOptions};
use crate::topology::AutoOffsetReset;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// `offset.metadata.max.bytes` of a broker that was not told otherwise.
const METADATA_MAX_BYTES: usize = 4096;

/// Whether results are written in transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    AtLeastOnce,
    ExactlyOnce,
}

/// What lies below the stores, and where.
#[derive(Clone, Debug)]
pub(crate) struct StoreSettings {
    pub(crate) on_disk: bool,
    pub(crate) state_dir: PathBuf,
    pub(crate) cleanup_delay: Duration,
    #[cfg_attr(not(feature = "rocksdb"), allow(dead_code, reason = "checked all the same"))]
    pub(crate) rocksdb: RocksOptions,
}

/// Times are in ms of the machine's clock unless said otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) application_id: Arc<str>,
    pub(crate) guarantee: Guarantee,
    pub(crate) workers: usize,
    pub(crate) commit_interval: i64,
    pub(crate) cache_bytes: usize,
    pub(crate) tasks: TaskSettings,
    pub(crate) stores: StoreSettings,
    pub(crate) reset: AutoOffsetReset,
    pub(crate) transaction_timeout: i64,
    pub(crate) retry_backoff: i64,
    pub(crate) retry_backoff_max: i64,
    /// Of a failed thread, in a row and without a commit.
    pub(crate) thread_replacements: u32,
    pub(crate) process_batch: usize,
    pub(crate) restore_batch: usize,
    pub(crate) commit_suspect: i64,
    pub(crate) compaction_lag: i64,
    pub(crate) shutdown_timeout: i64,
    /// Between two lines of progress.
    pub(crate) progress_interval: Option<Duration>,
    /// After the time at which a window should have closed.
    pub(crate) overdue_warning: Option<Duration>,
    pub(crate) reset_lost_offsets: bool,
    pub(crate) accept_topology_change: bool,
    /// Where dead letters go.
    pub(crate) dead_letter_topic: Option<Arc<str>>,
    /// In bytes, of one record.
    pub(crate) max_request_size: usize,
    /// What the client writes is compressed.
    pub(crate) compresses: bool,
    pub(crate) kafka: KafkaSettings,
    /// For the internal topics that are made.
    pub(crate) topic_configs: BTreeMap<String, String>,
}

/// What the client of Kafka needs besides its own properties. Times are in ms.
#[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "there is no such client"))]
#[derive(Clone, Debug)]
pub(crate) struct KafkaSettings {
    /// `host:port`; empty on the embedded log.
    pub(crate) bootstrap_servers: Vec<String>,
    pub(crate) group_instance_id: Option<String>,
    /// `partition.assignment.strategy=cooperative-sticky`.
    pub(crate) cooperative: bool,
    pub(crate) request_timeout: i64,
    pub(crate) api_timeout: i64,
    /// Of internal topics; -1: the broker's default.
    pub(crate) replication_factor: i32,
    /// For records that were fetched and not taken, all partitions together.
    pub(crate) fetch_buffer_bytes: usize,
    pub(crate) watchdog_timeout: i64,
}

impl Settings {
    pub(crate) fn of(config: &StreamsConfig) -> Result<Self> {
        let read = Reader(config);
        Ok(Self {
            application_id: read.text("application.id")?.into(),
            guarantee: match read.text("processing.guarantee")?.as_str() {
                "exactly_once_v2" => Guarantee::ExactlyOnce,
                _ => Guarantee::AtLeastOnce,
            },
            workers: read.number("num.stream.threads")?,
            commit_interval: read.number("commit.interval.ms")?,
            cache_bytes: read.number("statestore.cache.max.bytes")?,
            tasks: read.tasks()?,
            stores: read.stores()?,
            reset: match read.text("auto.offset.reset")?.as_str() {
                "latest" => AutoOffsetReset::Latest,
                "none" => AutoOffsetReset::None,
                _ => AutoOffsetReset::Earliest,
            },
            transaction_timeout: read.number("transaction.timeout.ms")?,
            retry_backoff: read.number("retry.backoff.ms")?,
            retry_backoff_max: read.number("retry.backoff.max.ms")?,
            thread_replacements: read.number("highwater.thread.replacements")?,
            process_batch: read.number("highwater.process.batch")?,
            restore_batch: read.number("highwater.restore.batch")?,
            commit_suspect: read.number("highwater.commit.suspect.ms")?,
            compaction_lag: read.number("highwater.changelog.compaction.lag.ms")?,
            shutdown_timeout: read.number("highwater.shutdown.timeout.ms")?,
            progress_interval: read.duration_or_off("highwater.progress.interval.ms")?,
            overdue_warning: read.duration_or_off("highwater.overdue.warning.ms")?,
            reset_lost_offsets: read.text("highwater.on.lost.offsets")? == "reset",
            accept_topology_change: read.text("highwater.on.topology.change")? == "accept",
            dead_letter_topic: config
                .value("errors.dead.letter.queue.topic.name")
                .map(|name| name.trim().into()),
            max_request_size: read.number("max.request.size")?,
            compresses: config.compresses(),
            kafka: read.kafka()?,
            topic_configs: config.topic_configs(),
        })
    }

    pub(crate) fn is_exactly_once(&self) -> bool {
        self.guarantee == Guarantee::ExactlyOnce
    }
}

/// Reads properties that were checked before.
struct Reader<'a>(&'a StreamsConfig);

impl Reader<'_> {
    fn text(&self, name: &str) -> Result<String> {
        let value = self.0.value(name).map(|value| value.trim().to_owned());
        value.ok_or_else(|| Error::config(format!("`{name}` is not set")))
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_| Error::config(format!("`{name}` is `{text}`, which is out of range")))
    }

    fn duration_or_off(&self, name: &str) -> Result<Option<Duration>> {
        match self.text(name)?.as_str() {
            "off" => Ok(None),
            _ => Ok(Some(Duration::from_millis(self.number(name)?))),
        }
    }

    fn duration(&self, name: &str) -> Result<Duration> {
        Ok(Duration::from_millis(self.number(name)?))
    }

    /// `exhausted` and the handlers share their words.
    fn response(&self, name: &str) -> Result<Response> {
        let word = self.text(name)?;
        let letters = self.0.value("errors.dead.letter.queue.topic.name").is_some();
        Ok(match short_name(&word) {
            "dlq" => Response::DeadLetter,
            "retry" => Response::Retry,
            // As those classes do: they write dead letters where a topic is named.
            "LogAndContinue" if letters => Response::DeadLetter,
            "continue" | "LogAndContinue" => Response::Continue,
            _ => Response::Fail,
        })
    }

    fn on_error(&self) -> Result<PerKind<Response>> {
        Ok(PerKind {
            reading: self.response("deserialization.exception.handler")?,
            processing: self.response("processing.exception.handler")?,
            writing: self.response("production.exception.handler")?,
        })
    }

    fn retries(&self) -> Result<Retries> {
        Ok(Retries {
            most: self.number("highwater.max.retries")?,
            exhausted: self.response("highwater.on.retries.exhausted")?,
            backoff: (self.number("retry.backoff.ms")?, self.number("retry.backoff.max.ms")?),
        })
    }

    fn kafka(&self) -> Result<KafkaSettings> {
        let servers = self.0.value("bootstrap.servers").unwrap_or_default();
        let servers = servers.split(',').map(str::trim).filter(|server| !server.is_empty());
        Ok(KafkaSettings {
            bootstrap_servers: servers.map(str::to_owned).collect(),
            group_instance_id: self.0.value("group.instance.id").map(|id| id.trim().to_owned()),
            cooperative: self.text("partition.assignment.strategy")? == "cooperative-sticky",
            request_timeout: self.number("request.timeout.ms")?,
            api_timeout: self.number("default.api.timeout.ms")?,
            replication_factor: self.number("replication.factor")?,
            fetch_buffer_bytes: self.number("highwater.fetch.buffer.bytes")?,
            watchdog_timeout: self.number("highwater.watchdog.timeout.ms")?,
        })
    }

    fn stores(&self) -> Result<StoreSettings> {
        Ok(StoreSettings {
            on_disk: self.text("default.dsl.store")? != "in_memory",
            state_dir: self.text("state.dir")?.into(),
            cleanup_delay: self.duration("state.cleanup.delay.ms")?,
            rocksdb: RocksOptions {
                block_cache_bytes: self.number("highwater.rocksdb.block.cache.bytes")?,
                write_buffer_bytes: self.number("highwater.rocksdb.write.buffer.bytes")?,
                compression: match self.text("highwater.rocksdb.compression")?.as_str() {
                    "none" => Compression::None,
                    _ => Compression::Lz4,
                },
                max_open_files: self.number("highwater.rocksdb.max.open.files")?,
                sync: self.text("highwater.rocksdb.sync")? == "true",
            },
        })
    }

    fn tasks(&self) -> Result<TaskSettings> {
        Ok(TaskSettings {
            idle_timeout: self.duration_or_off("highwater.idle.timeout.ms")?,
            max_future_skew: self.duration_or_off("highwater.max.future.skew.ms")?,
            future_skew_policy: match self.text("highwater.future.skew.policy")?.as_str() {
                "skip" => FutureSkewPolicy::Skip,
                "dead-letter" => FutureSkewPolicy::DeadLetter,
                "fail" => FutureSkewPolicy::Fail,
                _ => FutureSkewPolicy::Accept,
            },
            advance_batch: self.number("highwater.advance.batch")?,
            max_task_idle: match self.number::<i64>("max.task.idle.ms")? {
                ..0 => None,
                ms => Some(Duration::from_millis(ms.unsigned_abs())),
            },
            max_buffered_records: self.number("buffered.records.per.partition")?,
            on_error: self.on_error()?,
            retries: self.retries()?,
            uncommitted_max_bytes: self.number("statestore.uncommitted.max.bytes")?,
            marker_interval: self.duration("highwater.watermark.interval.ms")?,
            ask_interval: self.duration("highwater.idle.ask.interval.ms")?,
            metadata_max_bytes: METADATA_MAX_BYTES,
            flush_each_batch: self.text("processing.guarantee")? == "at_least_once",
        })
    }
}

/// Kafka Streams' class names without package and ending.
fn short_name(word: &str) -> &str {
    let class = word.rsplit('.').next().unwrap_or(word);
    class.strip_suffix("ExceptionHandler").map_or(word, |name| name.trim_end_matches("Processing"))
}
