//! Every property of the configuration as data: name, values it can have, default, meaning.
//!
//! Names and defaults are Kafka Streams' where it has them; what is ours starts with `highwater.`.

/// The values that a property can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A whole number in this range, both ends included.
    Number(i64, i64),
    /// Milliseconds, from this many on.
    Millis(i64),
    /// Milliseconds from 1 on, or `off`.
    MillisOrOff,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, or a class name of Kafka Streams that means one of them.
    Handler(&'static [&'static str]),
    /// `host:port`, comma-separated.
    Servers,
    /// The name of a topic.
    Topic,
}

/// A property.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Empty: none.
    pub(crate) default: &'static str,
    pub(crate) doc: &'static str,
    /// Without effect on the embedded log.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference is made from it"))]
    pub(crate) kafka_only: bool,
}

const fn property(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Property {
    Property { name, kind, default, doc, kafka_only: false }
}

const fn on_kafka(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Property {
    Property { name, kind, default, doc, kafka_only: true }
}

/// Those that Kafka Streams has. `Log...` write dead letters where a topic is named, as there.
pub(crate) const HANDLER_CLASSES: &[&str] = &[
    "LogAndFailExceptionHandler",
    "LogAndContinueExceptionHandler",
    "LogAndFailProcessingExceptionHandler",
    "LogAndContinueProcessingExceptionHandler",
    "DefaultProductionExceptionHandler",
];
const MAX: i64 = i64::MAX;

#[rustfmt::skip]
pub(crate) const PROPERTIES: &[Property] = &[
    property("application.id", Kind::Text, "", "Names the consumer group, the transactional ids and the internal topics."),
    property("application.server", Kind::Text, "", "Accepted; not used: state is read inside the process only."),
    property("auto.offset.reset", Kind::OneOf(&["earliest", "latest", "none"]), "earliest",
        "Where a source without a policy of its own starts if the group has no position; `none` refuses to start."),
    on_kafka("batch.size", Kind::Number(1, 2_147_483_647), "1000000", "Bytes of records that a producer sends in one request, at most."),
    on_kafka("bootstrap.servers", Kind::Servers, "", "The brokers to begin with: `host:port`, comma-separated."),
    property("buffered.records.per.partition", Kind::Number(1, 1_000_000), "1000",
        "Records of one input partition that are read ahead of their processing, at most."),
    on_kafka("client.id", Kind::Text, "", "Names the clients in the broker's log; the application's id if not set."),
    property("commit.interval.ms", Kind::Millis(0), "30000",
        "Time between two commits; the default is 100 under exactly_once_v2. 0: after every batch."),
    on_kafka("compression.type", Kind::OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]), "none",
        "How producers compress. With compression a topic's `max.message.bytes` is left to the broker to check."),
    on_kafka("default.api.timeout.ms", Kind::Millis(1), "60000", "How long a call of the client that is repeated may take in all."),
    property("default.dsl.store", Kind::OneOf(&["in_memory", "rocksDB", "rocksdb"]), "in_memory",
        "What lies below the stores: memory, which is restored from the changelogs at every start, or files in state.dir. \
         `rocksDB` needs the crate's feature `rocksdb`."),
    property("deserialization.exception.handler", Kind::Handler(&["fail", "continue", "dlq"]), "fail",
        "What happens to a record that cannot be read, where the program has no handler: stop; leave it out and count it; \
         or, besides, send it to the dead letter topic."),
    property("errors.dead.letter.queue.topic.name", Kind::Topic, "",
        "Where dead letters go; the topic has to be there, and must not be read by the topology."),
    on_kafka("group.instance.id", Kind::Text, "",
        "Static membership: a restart within `session.timeout.ms` moves no tasks. Different for each process."),
    on_kafka("group.protocol", Kind::OneOf(&["classic", "consumer"]), "classic",
        "`consumer` is KIP-848: the broker assigns; it sets the session timeout and the heartbeat then."),
    on_kafka("heartbeat.interval.ms", Kind::Millis(1), "3000", "How often a member tells the group that it lives."),
    on_kafka("linger.ms", Kind::Millis(0), "5", "How long a producer waits for more records before it sends."),
    on_kafka("max.poll.interval.ms", Kind::Millis(1), "300000",
        "A member that does not follow its group for so long leaves it. Its workers are watched by `highwater.watchdog.timeout.ms`."),
    property("max.request.size", Kind::Number(100, 1_000_000_000), "1048576",
        "Bytes of one record, at most, asked before it is sent; librdkafka's `message.max.bytes`."),
    property("max.task.idle.ms", Kind::Number(-1, MAX), "0",
        "How long a task waits for data of an empty input before it goes on with the others: -1 never, 0 while the \
         partition is known to have data."),
    property("num.stream.threads", Kind::Number(1, 1024), "1",
        "Workers, each with a producer and commits of its own. On the embedded log one thread runs them in turn."),
    on_kafka("partition.assignment.strategy", Kind::OneOf(&["range", "cooperative-sticky"]), "range",
        "`cooperative-sticky` keeps tasks where they are, and is refused where a task reads more than one topic."),
    property("processing.exception.handler", Kind::Handler(&["fail", "continue", "dlq", "retry"]), "fail",
        "What happens to a record on which the program's code fails or panics. What it had changed is undone before it is \
         left out or tried again."),
    property("processing.guarantee", Kind::OneOf(&["at_least_once", "exactly_once_v2"]), "at_least_once",
        "Whether results are written in transactions."),
    property("production.exception.handler", Kind::Handler(&["fail", "continue", "dlq", "retry"]), "fail",
        "What happens when a result cannot be serialized or is too large: stop; leave out this result; undo the record it \
         came from and send that to the dead letter topic; or try that record again."),
    on_kafka("replication.factor", Kind::Number(-1, 32_767), "-1",
        "Of internal topics; -1: the broker's default."),
    on_kafka("request.timeout.ms", Kind::Millis(1), "30000", "How long one request waits for its answer."),
    property("retry.backoff.max.ms", Kind::Millis(1), "1000", "The longest wait before a failed call is repeated."),
    property("retry.backoff.ms", Kind::Millis(1), "100", "The first wait before a failed call is repeated; it doubles each time."),
    on_kafka("session.timeout.ms", Kind::Millis(1), "45000", "A member that is silent for so long is taken for dead."),
    property("state.cleanup.delay.ms", Kind::Millis(0), "600000",
        "After how long the state of a task that this process does not own is removed. No effect with in-memory stores."),
    property("state.dir", Kind::Text, "/tmp/kafka-streams",
        "Where state is kept, in a folder per application and process. With in-memory stores only the process's id is there; \
         with them on the embedded log, nothing."),
    property("statestore.cache.max.bytes", Kind::Number(0, MAX), "10485760",
        "Memory for decoded entries of all stores of the process; 0 turns conflation of live updates off."),
    property("statestore.uncommitted.max.bytes", Kind::Number(1, MAX), "67108864",
        "Changes that wait for a commit, about, over all tasks of a worker; more make a commit due."),
    property("transaction.timeout.ms", Kind::Millis(1), "10000",
        "How long a transaction may be open, and how long its end is asked for. The embedded log's own timeout is 10000."),

    property("highwater.advance.batch", Kind::Number(1, MAX), "1000",
        "Windows that are closed in one piece before records, commits and the group have their turn."),
    property("highwater.changelog.compaction.lag.ms", Kind::Millis(1000), "3600000",
        "`min.compaction.lag.ms` of changelogs under at_least_once: how long a dead owner's writes can be put right."),
    property("highwater.commit.suspect.ms", Kind::Millis(1), "5000",
        "A producer whose commit took longer is replaced: an answer of it may be under way still."),
    on_kafka("highwater.fetch.buffer.bytes", Kind::Number(1 << 20, 2_000_000_000), "67108864",
        "Memory for records that were fetched and not taken by tasks, all partitions of the process together."),
    property("highwater.future.skew.policy", Kind::OneOf(&["accept", "skip", "dead-letter", "fail"]), "accept",
        "A record further in the future than the bound is processed without moving time, left out, sent to the dead letter \
         topic, or stops the application; it is counted in any case."),
    property("highwater.idle.ask.interval.ms", Kind::Millis(1), "1000",
        "How often the end of a silent partition is asked for."),
    property("highwater.idle.timeout.ms", Kind::MillisOrOff, "off",
        "After so much silence of a caught-up source partition the clock moves its watermark, unless its source says otherwise."),
    property("highwater.max.future.skew.ms", Kind::MillisOrOff, "3600000",
        "A record further ahead of the clock does not move the watermark."),
    property("highwater.max.retries", Kind::Number(1, 1_000_000), "10",
        "How often a record is tried again where a handler says `retry`; pauses as `retry.backoff.ms`."),
    property("highwater.on.lost.offsets", Kind::OneOf(&["fail", "reset"]), "fail",
        "Where the group has no position but the changelogs have records, or its position is no longer in the log: \
         refuse, or start over by the reset policy with empty state."),
    property("highwater.on.retries.exhausted", Kind::OneOf(&["fail", "continue", "dlq"]), "fail",
        "What becomes of a record that failed once more after its last retry."),
    property("highwater.on.topology.change", Kind::OneOf(&["fail", "accept"]), "fail",
        "Local state that was written by another topology: refuse with the difference, or go on with it."),
    property("highwater.overdue.warning.ms", Kind::MillisOrOff, "60000",
        "A window that is still open so long after its end and its grace is logged with what holds it and what will release \
         it, at most once a minute and task, and not while its task catches up."),
    property("highwater.process.batch", Kind::Number(1, 1_000_000), "1000",
        "Records that a task handles in one piece before commits, the group and other tasks have their turn."),
    property("highwater.progress.interval.ms", Kind::MillisOrOff, "30000",
        "How often a line of progress is logged: rates, lag, and how far the watermark is behind the clock."),
    property("highwater.restore.batch", Kind::Number(1, 1_000_000), "10000",
        "Changelog records that are restored in one piece beside running tasks."),
    property("highwater.rocksdb.block.cache.bytes", Kind::Number(0, MAX), "67108864",
        "Memory for blocks, indexes and filters that were read from files, for all stores of the process together."),
    property("highwater.rocksdb.compression", Kind::OneOf(&["none", "lz4"]), "lz4", "Of the files of stores."),
    property("highwater.rocksdb.max.open.files", Kind::Number(-1, 1_000_000), "128",
        "Files that the stores of one task keep open; -1: all of them."),
    property("highwater.rocksdb.sync", Kind::OneOf(&["false", "true"]), "false",
        "Whether a commit waits until the disk has it. Without, a power failure takes the stores back to an earlier commit, \
         and the changelogs give the rest; a process that is killed loses nothing in either case."),
    property("highwater.rocksdb.write.buffer.bytes", Kind::Number(1_048_576, MAX), "33554432",
        "Memory for changes that are not in a file yet, for all stores of the process together."),
    property("highwater.shutdown.timeout.ms", Kind::Millis(1), "30000",
        "How long a clean stop may take before the application stops without its last commit."),
    property("highwater.thread.replacements", Kind::Number(0, 1_000_000), "10",
        "How often in a row, without a commit in between, a failed thread is replaced where `on_uncaught_error` says so; then \
         the client shuts down."),
    on_kafka("highwater.watchdog.timeout.ms", Kind::Millis(1000), "60000",
        "A worker that has not finished a step for so long is reported: a closure that hangs holds its tasks."),
    property("highwater.watermark.interval.ms", Kind::Millis(1), "100",
        "Under at_least_once watermarks are told through repartition topics this often between commits."),
];

/// Properties of Kafka Streams that are not here, and what to do instead.
#[rustfmt::skip]
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    ("default.key.serde", "serdes are part of the program: `Consumed`, `Produced`, `Materialized`"),
    ("default.value.serde", "serdes are part of the program: `Consumed`, `Produced`, `Materialized`"),
    ("default.timestamp.extractor", "give the extractor to the source: `Consumed::timestamp`"),
    ("cache.max.bytes.buffering", "its present name is statestore.cache.max.bytes"),
    ("default.deserialization.exception.handler", "its present name is deserialization.exception.handler"),
    ("default.production.exception.handler", "its present name is production.exception.handler"),
    ("num.standby.replicas", "standby replicas are not there yet"),
    ("metrics.recording.level", "all metrics are always recorded"),
    ("task.assignor.class", "tasks follow their partitions: partition.assignment.strategy"),
    ("topology.optimization", "a topology runs as it is written"),
    ("poll.ms", "the engine sleeps until there is something to do"),
    ("max.poll.records", "tasks take records in pieces: highwater.process.batch, buffered.records.per.partition"),
    ("upgrade.from", "there is no older version to come from"),
    ("rocksdb.config.setter", "stores on RocksDB have properties of their own"),
    ("windowstore.changelog.additional.retention.ms", "changelogs of windows are compacted; closed windows are deleted by key"),
];

pub(crate) fn find(name: &str) -> Option<&'static Property> {
    PROPERTIES.iter().find(|property| property.name == name)
}

/// Whether a value must not be shown.
pub(crate) fn is_secret(name: &str) -> bool {
    [
        "password",
        "passphrase",
        "secret",
        "token",
        "jaas",
        "credential",
        "private",
        "ssl.key",
        "oauthbearer.config",
        "kinit.cmd",
    ]
    .iter()
    .any(|word| name.contains(word))
}

impl Property {
    /// What is wrong with a value, if anything is.
    pub(crate) fn refuses(&self, value: &str) -> Option<String> {
        let number = value.trim().parse::<i64>().ok();
        let one_of = |words: &[&str]| Some(format!("one of: {}", words.join(", ")));
        match self.kind {
            Kind::Text => None,
            Kind::Number(low, MAX) => match number {
                Some(n) if n >= low => None,
                _ => Some(format!("a whole number from {low} on")),
            },
            Kind::Number(low, high) => match number {
                Some(n) if (low..=high).contains(&n) => None,
                _ => Some(format!("a whole number from {low} to {high}")),
            },
            Kind::Millis(low) => match number {
                Some(n) if n >= low => None,
                _ => Some(format!("a whole number of milliseconds from {low} on")),
            },
            Kind::MillisOrOff => match number {
                _ if value.trim() == "off" => None,
                Some(n) if n >= 1 => None,
                _ => Some("a whole number of milliseconds from 1 on, or `off`".to_owned()),
            },
            Kind::OneOf(words) | Kind::Handler(words) if words.contains(&value.trim()) => None,
            Kind::Handler(_) if is_handler_class(value) => None,
            Kind::OneOf(words) | Kind::Handler(words) => one_of(words),
            // Not needed on the embedded log.
            Kind::Servers if value.trim().is_empty() => None,
            Kind::Servers => {
                (!value.split(',').all(is_server)).then(|| "`host:port`, comma-separated".to_owned())
            }
            Kind::Topic => (!is_topic(value.trim()))
                .then(|| "the name of a topic: at most 249 of a-z, A-Z, 0-9, `.`, `_` and `-`".to_owned()),
        }
    }
}

/// With or without its package.
fn is_handler_class(value: &str) -> bool {
    let class = value.trim().rsplit('.').next().unwrap_or_default();
    HANDLER_CLASSES.contains(&class)
}

/// An IPv6 address stands in brackets.
fn is_server(server: &str) -> bool {
    let Some((host, port)) = server.trim().rsplit_once(':') else { return false };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map_or(host, |_| "bracketed");
    let plain = !host.is_empty() && !host.contains([':', '/', '@', ' ', '[', ']']);
    plain && port.parse::<u16>().is_ok_and(|port| port > 0)
}

pub(crate) fn is_topic(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 249 && name != "." && name != ".." && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_and_every_name_is_once() {
        for property in PROPERTIES {
            let given = property.default.is_empty() || property.refuses(property.default).is_none();
            assert!(given, "{}", property.name);
            let same = PROPERTIES.iter().filter(|other| other.name == property.name).count();
            assert_eq!(same, 1, "{}", property.name);
            assert!(property.doc.ends_with('.'), "{}", property.name);
        }
    }

    #[test]
    fn a_value_outside_is_refused_with_what_could_be() {
        let property = find("num.stream.threads").expect("there");
        assert_eq!(property.refuses("4"), None);
        assert_eq!(property.refuses("0").as_deref(), Some("a whole number from 1 to 1024"));
        let property = find("highwater.idle.timeout.ms").expect("there");
        assert_eq!(property.refuses("off"), None);
        assert!(property.refuses("-5").is_some());
    }

    #[test]
    fn servers_are_hosts_with_ports() {
        let property = find("bootstrap.servers").expect("there");
        for good in ["localhost:9092", "a:1, b:65535", "[::1]:9092", "10.0.0.1:9092"] {
            assert_eq!(property.refuses(good), None, "{good}");
        }
        for bad in ["localhost", "a:0", "a:b", "a:1,", "PLAINTEXT://a:1", "::1:9092", "a:70000"] {
            assert!(property.refuses(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn handlers_have_short_names_and_kafka_streams_classes() {
        let property = find("deserialization.exception.handler").expect("there");
        let class = "org.apache.kafka.streams.errors.LogAndContinueExceptionHandler";
        for good in ["fail", "continue", "dlq", class, "LogAndFailExceptionHandler"] {
            assert_eq!(property.refuses(good), None, "{good}");
        }
        assert!(property.refuses("retry").is_some(), "the bytes stay as they are");
        assert_eq!(find("processing.exception.handler").expect("there").refuses("retry"), None);
    }
}
