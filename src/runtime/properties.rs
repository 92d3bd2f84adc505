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
}

/// A property.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Empty: none.
    pub(crate) default: &'static str,
    pub(crate) doc: &'static str,
}

const fn property(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Property {
    Property { name, kind, default, doc }
}

const HANDLER: Kind = Kind::OneOf(&["fail", "continue"]);
const MAX: i64 = i64::MAX;

#[rustfmt::skip]
pub(crate) const PROPERTIES: &[Property] = &[
    property("application.id", Kind::Text, "", "Names the consumer group, the transactional ids and the internal topics."),
    property("application.server", Kind::Text, "", "Accepted; not used: state is read inside the process only."),
    property("auto.offset.reset", Kind::OneOf(&["earliest", "latest", "none"]), "earliest",
        "Where a source without a policy of its own starts if the group has no position; `none` refuses to start."),
    property("bootstrap.servers", Kind::Text, "", "The brokers. No effect on the embedded log."),
    property("buffered.records.per.partition", Kind::Number(1, 1_000_000), "1000",
        "Records of one input partition that are read ahead of their processing, at most."),
    property("client.id", Kind::Text, "", "Names the clients in the broker's log. No effect on the embedded log."),
    property("commit.interval.ms", Kind::Millis(0), "30000",
        "Time between two commits; the default is 100 under exactly_once_v2. 0: after every batch."),
    property("default.dsl.store", Kind::OneOf(&["in_memory", "rocksDB", "rocksdb"]), "in_memory",
        "What lies below the stores: memory, which is restored from the changelogs at every start, or files in state.dir. \
         `rocksDB` needs the crate's feature `rocksdb`."),
    property("deserialization.exception.handler", HANDLER, "fail",
        "What happens to a record that cannot be read: stop, or drop it and count it."),
    property("max.task.idle.ms", Kind::Number(-1, MAX), "0",
        "How long a task waits for data of an empty input before it goes on with the others: -1 never, 0 while the \
         partition is known to have data."),
    property("num.stream.threads", Kind::Number(1, 1024), "1",
        "Workers, each with a producer and commits of its own. On the embedded log one thread runs them in turn."),
    property("processing.exception.handler", HANDLER, "fail",
        "What happens to a record on which the user's code fails or panics: stop, or drop it and count it."),
    property("processing.guarantee", Kind::OneOf(&["at_least_once", "exactly_once_v2"]), "at_least_once",
        "Whether results are written in transactions."),
    property("production.exception.handler", Kind::OneOf(&["fail"]), "fail",
        "What happens when a record cannot be written. `continue` is not there yet."),
    property("replication.factor", Kind::Number(-1, 32_767), "-1",
        "Of internal topics; -1: the broker's default. No effect on the embedded log."),
    property("retry.backoff.ms", Kind::Millis(1), "100", "The first wait before a failed call is repeated; it doubles each time."),
    property("retry.backoff.max.ms", Kind::Millis(1), "1000", "The longest wait before a failed call is repeated."),
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
    property("highwater.future.skew.policy", Kind::OneOf(&["accept", "skip", "fail"]), "accept",
        "A record further in the future than the bound is processed without moving time, dropped, or stops the \
         application; it is counted in any case. `dead-letter` is not there yet."),
    property("highwater.idle.ask.interval.ms", Kind::Millis(1), "1000",
        "How often the end of a silent partition is asked for."),
    property("highwater.idle.timeout.ms", Kind::MillisOrOff, "off",
        "After so much silence of a caught-up source partition the clock moves its watermark, unless its source says otherwise."),
    property("highwater.max.future.skew.ms", Kind::MillisOrOff, "3600000",
        "A record further ahead of the clock does not move the watermark."),
    property("highwater.on.lost.offsets", Kind::OneOf(&["fail", "reset"]), "fail",
        "Where the group has no position but the changelogs have records, or its position is no longer in the log: \
         refuse, or start over by the reset policy with empty state."),
    property("highwater.on.topology.change", Kind::OneOf(&["fail", "accept"]), "fail",
        "Local state that was written by another topology: refuse with the difference, or go on with it."),
    property("highwater.process.batch", Kind::Number(1, 1_000_000), "1000",
        "Records that a task handles in one piece before commits, the group and other tasks have their turn."),
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
    property("highwater.watermark.interval.ms", Kind::Millis(1), "100",
        "Under at_least_once watermarks are told through repartition topics this often between commits."),
];

/// Prefixes whose rest is the client's or the topics' own.
pub(crate) const PASSED_ON: &[(&str, &str)] = &[
    ("admin.", "Passed on to the client for administration. No effect on the embedded log."),
    ("consumer.", "Passed on to the consumer. No effect on the embedded log."),
    ("producer.", "Passed on to the producer. No effect on the embedded log."),
    ("topic.", "Set on the internal topics that are made."),
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
    ("errors.dead.letter.queue.topic.name", "dead letter queues are not there yet"),
    ("num.standby.replicas", "standby replicas are not there yet"),
    ("metrics.recording.level", "all metrics are always recorded"),
];

pub(crate) fn find(name: &str) -> Option<&'static Property> {
    PROPERTIES.iter().find(|property| property.name == name)
}

/// Whether a value must not be shown.
pub(crate) fn is_secret(name: &str) -> bool {
    ["password", "secret", "token", "jaas", "credential", "private", "ssl.key"]
        .iter()
        .any(|word| name.contains(word))
}

impl Property {
    /// What is wrong with a value, if anything is.
    pub(crate) fn refuses(&self, value: &str) -> Option<String> {
        let number = value.trim().parse::<i64>().ok();
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
            Kind::OneOf(words) => {
                (!words.contains(&value.trim())).then(|| format!("one of: {}", words.join(", ")))
            }
        }
    }
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
}
