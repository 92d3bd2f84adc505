//! The properties of librdkafka as data: which client has them, which are not the user's, and what Java's are here.

/// Which clients know a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Consumer,
    Producer,
}

/// A property of the Java clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Java {
    /// The same under another name.
    Is(&'static str),
    /// It has no counterpart; what to do instead.
    Instead(&'static str),
}

use Java::{Instead, Is};
use Scope::{All, Consumer, Producer};

/// Those that can be set; its `CONFIGURATION.md` has their meaning. Callbacks and what has no effect are left out.
#[rustfmt::skip]
pub(crate) const KNOWN: &[(&str, Scope)] = &[
    ("api.version.fallback.ms", All), ("api.version.request", All), ("api.version.request.timeout.ms", All),
    ("batch.num.messages", Producer), ("batch.size", Producer), ("bootstrap.servers", All),
    ("broker.address.family", All), ("broker.address.ttl", All), ("broker.version.fallback", All),
    ("client.dns.lookup", All), ("client.id", All), ("client.rack", All), ("compression.codec", Producer),
    ("compression.level", Producer), ("compression.type", Producer), ("connections.max.idle.ms", All),
    ("coordinator.query.interval.ms", Consumer), ("debug", All), ("delivery.timeout.ms", Producer),
    ("enable.metrics.push", All), ("enable.sasl.oauthbearer.unsecure.jwt", All),
    ("enable.ssl.certificate.verification", All), ("enabled_events", All),
    ("fetch.error.backoff.ms", Consumer), ("fetch.max.bytes", Consumer),
    ("fetch.message.max.bytes", Consumer), ("fetch.min.bytes", Consumer),
    ("fetch.queue.backoff.ms", Consumer), ("fetch.wait.max.ms", Consumer), ("group.instance.id", Consumer),
    ("group.protocol", Consumer), ("heartbeat.interval.ms", Consumer), ("linger.ms", Producer),
    ("log.connection.close", All), ("log.thread.name", All), ("log_level", All), ("max.in.flight", All),
    ("max.in.flight.requests.per.connection", All), ("max.partition.fetch.bytes", Consumer),
    ("max.poll.interval.ms", Consumer), ("message.copy.max.bytes", All),
    ("message.send.max.retries", Producer), ("message.timeout.ms", Producer), ("metadata.max.age.ms", All),
    ("metadata.recovery.rebootstrap.trigger.ms", All), ("metadata.recovery.strategy", All),
    ("partition.assignment.strategy", Consumer), ("queue.buffering.backpressure.threshold", Producer),
    ("queue.buffering.max.kbytes", Producer), ("queue.buffering.max.messages", Producer),
    ("queue.buffering.max.ms", Producer), ("queued.min.messages", Consumer),
    ("receive.message.max.bytes", All), ("reconnect.backoff.jitter.ms", All),
    ("reconnect.backoff.max.ms", All), ("reconnect.backoff.ms", All), ("request.timeout.ms", Producer),
    ("retries", Producer), ("retry.backoff.max.ms", All), ("retry.backoff.ms", All),
    ("sasl.kerberos.keytab", All), ("sasl.kerberos.kinit.cmd", All),
    ("sasl.kerberos.min.time.before.relogin", All), ("sasl.kerberos.principal", All),
    ("sasl.kerberos.service.name", All), ("sasl.mechanism", All), ("sasl.mechanisms", All),
    ("sasl.oauthbearer.assertion.algorithm", All), ("sasl.oauthbearer.assertion.claim.aud", All),
    ("sasl.oauthbearer.assertion.claim.exp.seconds", All), ("sasl.oauthbearer.assertion.claim.iss", All),
    ("sasl.oauthbearer.assertion.claim.jti.include", All),
    ("sasl.oauthbearer.assertion.claim.nbf.seconds", All), ("sasl.oauthbearer.assertion.claim.sub", All),
    ("sasl.oauthbearer.assertion.file", All), ("sasl.oauthbearer.assertion.jwt.template.file", All),
    ("sasl.oauthbearer.assertion.private.key.file", All),
    ("sasl.oauthbearer.assertion.private.key.passphrase", All),
    ("sasl.oauthbearer.assertion.private.key.pem", All),
    ("sasl.oauthbearer.client.credentials.client.id", All),
    ("sasl.oauthbearer.client.credentials.client.secret", All), ("sasl.oauthbearer.client.id", All),
    ("sasl.oauthbearer.client.secret", All), ("sasl.oauthbearer.config", All),
    ("sasl.oauthbearer.extensions", All), ("sasl.oauthbearer.grant.type", All),
    ("sasl.oauthbearer.metadata.authentication.type", All), ("sasl.oauthbearer.method", All),
    ("sasl.oauthbearer.scope", All), ("sasl.oauthbearer.token.endpoint.url", All), ("sasl.password", All),
    ("sasl.username", All), ("security.protocol", All), ("session.timeout.ms", Consumer),
    ("socket.connection.setup.timeout.ms", All), ("socket.keepalive.enable", All),
    ("socket.nagle.disable", All), ("socket.receive.buffer.bytes", All), ("socket.send.buffer.bytes", All),
    ("socket.timeout.ms", All), ("ssl.ca.certificate.stores", All), ("ssl.ca.location", All),
    ("ssl.ca.pem", All), ("ssl.certificate.location", All), ("ssl.certificate.pem", All),
    ("ssl.cipher.suites", All), ("ssl.crl.location", All), ("ssl.curves.list", All),
    ("ssl.endpoint.identification.algorithm", All), ("ssl.engine.id", All), ("ssl.engine.location", All),
    ("ssl.key.location", All), ("ssl.key.password", All), ("ssl.key.pem", All),
    ("ssl.keystore.location", All), ("ssl.keystore.password", All), ("ssl.providers", All),
    ("ssl.sigalgs.list", All), ("statistics.interval.ms", All), ("sticky.partitioning.linger.ms", Producer),
    ("topic.metadata.propagation.max.ms", All), ("topic.metadata.refresh.fast.cnt", All),
    ("topic.metadata.refresh.fast.interval.ms", All), ("topic.metadata.refresh.interval.ms", All),
    ("topic.metadata.refresh.sparse", All), ("transaction.timeout.ms", Producer),
];

/// What the engine decides, and why.
#[rustfmt::skip]
pub(crate) const RESERVED: &[(&str, &str)] = &[
    ("acks", "an idempotent producer needs the acknowledgement of all in-sync replicas"),
    ("allow.auto.create.topics", "a topic that is misspelt would be made; topics are looked for at the start"),
    ("auto.commit.interval.ms", "positions are committed with the state they belong to: commit.interval.ms"),
    ("auto.offset.reset", "where to start is decided before reading: auto.offset.reset without a prefix, or `Consumed::reset`"),
    ("check.crcs", "records are always checked"),
    ("delivery.report.only.error", "the offsets of what was written are needed"),
    ("enable.auto.commit", "positions are committed with the state they belong to: commit.interval.ms"),
    ("enable.auto.offset.store", "positions are committed with the state they belong to"),
    ("enable.gapless.guarantee", "it follows from processing.guarantee"),
    ("enable.idempotence", "records would be written twice or out of order"),
    ("enable.partition.eof", "the engine needs to know where a partition ends"),
    ("group.id", "the group is application.id"),
    ("group.remote.assignor", "tasks need partitions with one number on one member: the assignor is `range`"),
    ("internal.termination.signal", "the client needs it for itself"),
    ("isolation.level", "records of transactions that were given up would be read; writers decide by processing.guarantee"),
    ("log.queue", "the client's log goes to `tracing`"),
    ("message.max.bytes", "set max.request.size, which is also checked before a record is sent"),
    ("metadata.broker.list", "its name is bootstrap.servers"),
    ("partitioner", "keys go where Kafka's producers send them (murmur2); a topic of yours can differ: `Produced::partition_by`"),
    ("plugin.library.paths", "code that is loaded into the client is not supported"),
    ("produce.offset.report", "the offsets of what was written are needed"),
    ("queued.max.messages.kbytes", "the memory for fetched records is shared out: highwater.fetch.buffer.bytes"),
    ("request.required.acks", "an idempotent producer needs the acknowledgement of all in-sync replicas"),
    ("transactional.id", "it is made of application.id, the instance and the worker"),
];

/// What Java's clients have and librdkafka has not, or calls otherwise.
#[rustfmt::skip]
pub(crate) const JAVA: &[(&str, Java)] = &[
    ("fetch.max.wait.ms", Is("fetch.wait.max.ms")),
    ("receive.buffer.bytes", Is("socket.receive.buffer.bytes")),
    ("send.buffer.bytes", Is("socket.send.buffer.bytes")),
    ("socket.connection.setup.timeout.max.ms", Is("socket.connection.setup.timeout.ms")),
    ("ssl.keystore.certificate.chain", Is("ssl.certificate.pem")),
    ("ssl.keystore.key", Is("ssl.key.pem")),
    ("ssl.truststore.certificates", Is("ssl.ca.pem")),
    ("buffer.memory", Instead("queue.buffering.max.kbytes, in KiB")),
    ("interceptor.classes", Instead("interceptors are Java classes")),
    ("key.deserializer", Instead("serdes are part of the program: `Consumed`")),
    ("key.serializer", Instead("serdes are part of the program: `Produced`")),
    ("max.block.ms", Instead("nothing blocks: a full queue stops reading")),
    ("max.poll.records", Instead("tasks take records in pieces: highwater.process.batch, buffered.records.per.partition")),
    ("metric.reporters", Instead("reporters are Java classes")),
    ("metrics.num.samples", Instead("metrics are counters, whoever reads them makes rates of them")),
    ("metrics.sample.window.ms", Instead("metrics are counters, whoever reads them makes rates of them")),
    ("partitioner.class", Instead("`Produced::partition_by`")),
    ("sasl.client.callback.handler.class", Instead("sasl.oauthbearer.method and its kin")),
    ("sasl.jaas.config", Instead("sasl.username and sasl.password, or sasl.kerberos.* and sasl.oauthbearer.*")),
    ("sasl.login.callback.handler.class", Instead("sasl.oauthbearer.method and its kin")),
    ("sasl.login.class", Instead("sasl.oauthbearer.method and its kin")),
    ("sasl.oauthbearer.token.endpoint", Instead("sasl.oauthbearer.token.endpoint.url")),
    ("security.providers", Instead("ssl.providers")),
    ("ssl.enabled.protocols", Instead("the protocol is negotiated: TLS 1.2 or 1.3")),
    ("ssl.engine.factory.class", Instead("ssl.engine.location")),
    ("ssl.keymanager.algorithm", Instead("ssl.key.location or ssl.keystore.location")),
    ("ssl.keystore.type", Instead("ssl.keystore.location is PKCS#12; PEM files are ssl.certificate.location and ssl.key.location")),
    ("ssl.protocol", Instead("the protocol is negotiated: TLS 1.2 or 1.3")),
    ("ssl.provider", Instead("ssl.providers")),
    ("ssl.secure.random.implementation", Instead("OpenSSL has its own")),
    ("ssl.trustmanager.algorithm", Instead("ssl.ca.location")),
    ("ssl.truststore.location", Instead("ssl.ca.location, a PEM file or a directory of them")),
    ("ssl.truststore.password", Instead("ssl.ca.location, which needs none")),
    ("ssl.truststore.type", Instead("ssl.ca.location, a PEM file or a directory of them")),
    ("value.deserializer", Instead("serdes are part of the program: `Consumed`")),
    ("value.serializer", Instead("serdes are part of the program: `Produced`")),
];

pub(crate) fn scope(name: &str) -> Option<Scope> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, scope)| *scope)
}
pub(crate) fn reserved(name: &str) -> Option<&'static str> {
    RESERVED.iter().find(|(known, _)| *known == name).map(|(_, why)| *why)
}
pub(crate) fn java(name: &str) -> Option<Java> {
    JAVA.iter().find(|(known, _)| *known == name).map(|(_, java)| *java)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_one_list() {
        let known = KNOWN.iter().map(|(name, _)| *name);
        let all: Vec<&str> = known
            .chain(RESERVED.iter().map(|(name, _)| *name))
            .chain(JAVA.iter().map(|(name, _)| *name))
            .collect();
        for name in &all {
            assert_eq!(all.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
        for (name, java) in JAVA {
            if let Is(other) = java {
                assert!(scope(other).is_some(), "{name} is {other}");
            }
        }
    }
}
