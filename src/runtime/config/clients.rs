//! What each client of a process is configured with: ours, and what the user passes on to it.
//!
//! A later one counts: our defaults, properties without a prefix, `consumer.` (`producer.`, `admin.`), `main.consumer.`
//! or `restore.consumer.`, and last what must not be changed.

#![cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "the client of Kafka is made with it"))]

use super::StreamsConfig;
use super::client_properties::{Java, Scope, java, reserved, scope};
use super::properties::{find, is_secret};
use std::collections::BTreeMap;
use std::fmt;

/// A client of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientKind {
    /// The member of the group.
    Consumer,
    /// Reads changelogs, beside the group.
    Restore,
    Producer,
    Admin,
}

/// Whose rest is a client's or a topic's own; longer ones first.
pub(crate) const PREFIXES: &[(&str, &str)] = &[
    ("main.consumer.", "Passed on to the consumer that reads the sources."),
    ("restore.consumer.", "Passed on to the consumer that reads changelogs."),
    ("consumer.", "Passed on to all consumers."),
    ("producer.", "Passed on to the producers."),
    ("admin.", "Passed on to the client for administration."),
    ("topic.", "Set on the internal topics that are made."),
];

/// Where they are written with a prefix, they are the engine's all the same: it works with them.
const ENGINES: &[(&[&str], &[&str])] = &[
    (
        &["consumer.", "main.consumer."],
        &[
            "session.timeout.ms",
            "heartbeat.interval.ms",
            "max.poll.interval.ms",
            "group.instance.id",
            "group.protocol",
            "partition.assignment.strategy",
        ],
    ),
    (&["producer."], &["transaction.timeout.ms", "max.request.size"]),
];

impl ClientKind {
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Consumer => &["consumer.", "main.consumer."],
            Self::Restore => &["consumer.", "restore.consumer."],
            Self::Producer => &["producer."],
            Self::Admin => &["admin."],
        }
    }
    fn has(self, scope: Scope) -> bool {
        match scope {
            Scope::All => true,
            Scope::Consumer => matches!(self, Self::Consumer | Self::Restore),
            Scope::Producer => self == Self::Producer,
        }
    }
    fn of_prefix(prefix: &str) -> Option<Self> {
        match prefix {
            "main.consumer." | "consumer." => Some(Self::Consumer),
            "restore.consumer." => Some(Self::Restore),
            "producer." => Some(Self::Producer),
            "admin." => Some(Self::Admin),
            _ => None,
        }
    }
}

/// Properties of one librdkafka client. Shown without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClientConfig(BTreeMap<String, String>);

impl ClientConfig {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
    #[cfg(test)]
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, if is_secret(name) { "******" } else { value })))
            .finish()
    }
}

/// The name under which a property counts.
pub(crate) fn canonical(name: &str) -> &str {
    let rest = |(prefixes, names): &(&[&str], &[&str])| {
        let rest = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))?;
        names.contains(&rest).then_some(rest)
    };
    ENGINES.iter().find_map(rest).unwrap_or(name)
}

/// A name split into its prefix and the rest.
pub(crate) fn split(name: &str) -> Option<(&'static str, &str)> {
    let split = |(prefix, _): &(&'static str, &str)| Some((*prefix, name.strip_prefix(prefix)?));
    PREFIXES.iter().find_map(split).filter(|(_, rest)| !rest.is_empty())
}

/// librdkafka's name of a property.
fn translated(name: &str) -> &str {
    match java(name) {
        Some(Java::Is(other)) => other,
        _ => name,
    }
}

/// Why a property cannot be passed on to a client, as the rest of a sentence; `None`: it can. `prefix`: none for all.
pub(crate) fn not_passed_on(prefix: Option<&str>, name: &str) -> Option<String> {
    if let Some(why) = reserved(name) {
        return Some(format!(" must not be set: {why}"));
    }
    if let Some(Java::Instead(instead)) = java(name) {
        return Some(format!(" is a property of Java's clients; here it is: {instead}"));
    }
    let Some(scope) = scope(translated(name)) else { return Some(String::new()) };
    let kind = prefix.and_then(ClientKind::of_prefix)?;
    let whose = if scope == Scope::Consumer { "the consumers'" } else { "the producers'" };
    (!kind.has(scope)).then(|| format!(" is {whose} property"))
}

impl StreamsConfig {
    /// What a client is made with. Producers of tasks with transactions get their `transactional.id` besides.
    pub(crate) fn client_config(&self, kind: ClientKind) -> ClientConfig {
        let mut client = ClientConfig(BTreeMap::new());
        self.begin_with(kind, &mut client);
        let plain = self.values.iter().filter(|(name, _)| find(name).is_none() && split(name).is_none());
        for (name, value) in plain {
            let name = translated(name);
            if scope(name).is_some_and(|scope| kind.has(scope)) {
                client.set(name, &*value.text);
            }
        }
        for prefix in kind.prefixes() {
            for (name, value) in &self.values {
                let name = name.strip_prefix(prefix).map(translated);
                if let Some(name) = name.filter(|name| scope(name).is_some_and(|scope| kind.has(scope))) {
                    client.set(name, &*value.text);
                }
            }
        }
        self.end_with(kind, &mut client);
        client
    }

    /// What the user can change.
    fn begin_with(&self, kind: ClientKind, client: &mut ClientConfig) {
        let mut take = |name: &str| {
            if let Some(value) = self.value(name) {
                client.set(name, value.trim());
            }
        };
        ["bootstrap.servers", "retry.backoff.ms", "retry.backoff.max.ms"].into_iter().for_each(&mut take);
        if kind == ClientKind::Producer {
            ["batch.size", "compression.type", "linger.ms", "request.timeout.ms"]
                .into_iter()
                .for_each(&mut take);
        }
        let id = self.value("client.id").or_else(|| self.value("application.id")).unwrap_or_default();
        client.set("client.id", id);
        client.set("socket.timeout.ms", self.socket_timeout(kind).to_string());
        if kind.has(Scope::Consumer) {
            // The default of a second would be the pause after each full queue.
            client.set("fetch.queue.backoff.ms", "20");
        }
    }

    /// librdkafka refuses one that is not shorter than the transaction's.
    fn socket_timeout(&self, kind: ClientKind) -> i64 {
        let request = self.ms("request.timeout.ms");
        if kind != ClientKind::Producer || !self.is_exactly_once() {
            return request;
        }
        request.min(self.ms("transaction.timeout.ms") - 100).max(10)
    }

    fn ms(&self, name: &str) -> i64 {
        self.value(name).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// What the user cannot.
    fn end_with(&self, kind: ClientKind, client: &mut ClientConfig) {
        client.set("allow.auto.create.topics", "false");
        match kind {
            ClientKind::Consumer => {
                self.read(client);
                self.join(client);
            }
            ClientKind::Restore => self.read(client),
            ClientKind::Producer => self.produce(client),
            ClientKind::Admin => {}
        }
    }

    fn read(&self, client: &mut ClientConfig) {
        client.set("group.id", self.value("application.id").unwrap_or_default());
        client.set("enable.auto.commit", "false");
        client.set("enable.auto.offset.store", "false");
        client.set("auto.offset.reset", "error");
        client.set("isolation.level", "read_committed");
        client.set("enable.partition.eof", "true");
        client.set("check.crcs", "true");
    }

    /// With KIP-848 the broker knows the timeouts, and the client refuses to be told them.
    fn join(&self, client: &mut ClientConfig) {
        let mut take = |name: &str| {
            if let Some(value) = self.value(name) {
                client.set(name, value.trim());
            }
        };
        ["group.instance.id", "group.protocol", "max.poll.interval.ms"].into_iter().for_each(&mut take);
        if self.is_classic() {
            ["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"]
                .into_iter()
                .for_each(&mut take);
        } else {
            client.set("group.remote.assignor", "range");
        }
    }

    fn produce(&self, client: &mut ClientConfig) {
        client.set("enable.idempotence", "true");
        client.set("acks", "all");
        client.set("partitioner", "murmur2_random");
        client.set("delivery.report.only.error", "false");
        client.set("message.max.bytes", self.value("max.request.size").unwrap_or_default());
        if self.is_exactly_once() {
            client.set("transaction.timeout.ms", self.value("transaction.timeout.ms").unwrap_or_default());
        } else {
            client.set("enable.gapless.guarantee", "true");
        }
    }

    pub(super) fn is_classic(&self) -> bool {
        self.value("group.protocol").is_none_or(|protocol| protocol.trim() == "classic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> StreamsConfig {
        StreamsConfig::new("app", "a:1,b:2")
    }

    #[test]
    fn what_must_not_change_is_set_last() {
        let consumer = config().client_config(ClientKind::Consumer);
        for (name, value) in [
            ("bootstrap.servers", "a:1,b:2"),
            ("client.id", "app"),
            ("group.id", "app"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "error"),
            ("enable.auto.commit", "false"),
            ("session.timeout.ms", "45000"),
            ("partition.assignment.strategy", "range"),
            ("socket.timeout.ms", "30000"),
        ] {
            assert_eq!(consumer.get(name), Some(value), "{name}");
        }
        let restore = config().client_config(ClientKind::Restore);
        assert_eq!((restore.get("group.id"), restore.get("group.instance.id")), (Some("app"), None));
        let admin = config().client_config(ClientKind::Admin);
        assert_eq!((admin.get("group.id"), admin.get("linger.ms")), (None, None));
    }

    #[test]
    fn a_static_member_is_one_in_either_protocol_and_only_as_a_member() {
        for protocol in ["classic", "consumer"] {
            let config = config().set("group.instance.id", " blue ").set("group.protocol", protocol);
            config.check().expect("fine");
            let id = |kind| config.client_config(kind).get("group.instance.id").map(str::to_owned);
            assert_eq!(id(ClientKind::Consumer).as_deref(), Some("blue"), "{protocol}");
            for kind in [ClientKind::Restore, ClientKind::Producer, ClientKind::Admin] {
                assert_eq!(id(kind), None, "{protocol} {kind:?}");
            }
        }
        assert_eq!(config().client_config(ClientKind::Consumer).get("group.instance.id"), None);
    }

    #[test]
    fn producers_follow_the_guarantee() {
        let producer = config().client_config(ClientKind::Producer);
        assert_eq!(producer.get("enable.gapless.guarantee"), Some("true"));
        assert_eq!(
            (producer.get("transaction.timeout.ms"), producer.get("message.max.bytes")),
            (None, Some("1048576"))
        );
        let producer = config().exactly_once().client_config(ClientKind::Producer);
        assert_eq!(producer.get("transaction.timeout.ms"), Some("10000"));
        assert_eq!(producer.get("socket.timeout.ms"), Some("9900"), "shorter than the transaction's");
        assert_eq!(producer.get("enable.gapless.guarantee"), None);
    }

    #[test]
    fn later_prefixes_count_more() {
        let config = config()
            .set("fetch.min.bytes", "1")
            .set("security.protocol", "SASL_SSL")
            .set("receive.buffer.bytes", "7")
            .set("consumer.fetch.min.bytes", "2")
            .set("main.consumer.fetch.min.bytes", "3")
            .set("producer.linger.ms", "0");
        config.check().expect("fine");
        let of = |kind, name: &str| config.client_config(kind).get(name).map(str::to_owned);
        assert_eq!(of(ClientKind::Consumer, "fetch.min.bytes").as_deref(), Some("3"));
        assert_eq!(of(ClientKind::Restore, "fetch.min.bytes").as_deref(), Some("2"));
        assert_eq!(of(ClientKind::Producer, "fetch.min.bytes"), None);
        assert_eq!(of(ClientKind::Producer, "linger.ms").as_deref(), Some("0"));
        assert_eq!(of(ClientKind::Admin, "security.protocol").as_deref(), Some("SASL_SSL"));
        assert_eq!(of(ClientKind::Admin, "socket.receive.buffer.bytes").as_deref(), Some("7"));
    }

    #[test]
    fn with_kip_848_the_broker_has_the_timeouts() {
        let config = config().set("consumer.group.protocol", "consumer");
        config.check().expect("fine");
        let consumer = config.client_config(ClientKind::Consumer);
        assert_eq!(
            (consumer.get("session.timeout.ms"), consumer.get("group.remote.assignor")),
            (None, Some("range"))
        );
        let text = config.set("session.timeout.ms", "5000").check().expect_err("refused").to_string();
        assert!(text.contains("the broker sets it"), "{text}");
    }

    #[test]
    fn what_is_refused_says_why_and_what_instead() {
        for (name, part) in [
            (
                "consumer.enable.auto.commit",
                "`consumer.enable.auto.commit` (program) must not be set: positions",
            ),
            ("producer.transactional.id", "it is made of application.id"),
            ("consumer.auto.offset.reset", "`Consumed::reset`"),
            ("isolation.level", "processing.guarantee"),
            ("ssl.truststore.location", "ssl.ca.location"),
            ("producer.sasl.jaas.config", "sasl.username and sasl.password"),
            ("consumer.max.poll.records", "highwater.process.batch"),
            ("consumer.linger.ms", "is the producers' property"),
            ("admin.fetch.min.bytes", "is the consumers' property"),
            ("producer.lingerms", "did you mean `producer.linger.ms`?"),
            ("secruity.protocol", "did you mean `security.protocol`?"),
            ("consumer.partition.assignment.strategy", "one of: range, cooperative-sticky"),
        ] {
            let text = config().set(name, "x").check().expect_err("refused").to_string();
            assert!(text.contains(part), "{name}: no `{part}` in {text}");
        }
    }

    #[test]
    fn secrets_of_clients_are_not_shown() {
        let config = config().set("sasl.username", "ann").set("sasl.password", "hunter2");
        for kind in [ClientKind::Consumer, ClientKind::Restore, ClientKind::Producer, ClientKind::Admin] {
            let client = config.client_config(kind);
            assert_eq!(client.get("sasl.password"), Some("hunter2"));
            let text = format!("{client:?}");
            assert!(text.contains("ann") && !text.contains("hunter2"), "{text}");
        }
    }
}
