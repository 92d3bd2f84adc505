//! The configuration of an application: Kafka Streams' property names and defaults, ours under `highwater.`.
//!
//! Properties are collected as text with where they came from; what is wrong is told all together when the
//! application is made. Secrets are never printed.

mod client_properties;
mod clients;
mod environment;
mod properties;
mod property_file;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

#[cfg(any(feature = "kafka", test))]
pub(crate) use clients::ClientKind;

use super::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
use clients::PREFIXES;
use properties::{ELSEWHERE, PROPERTIES, find, is_secret};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The properties of an application; the later of two values counts.
///
/// ```
/// use highwater::StreamsConfig;
/// let config = StreamsConfig::new("word-count", "localhost:9092")
///     .set("processing.guarantee", "exactly_once_v2")
///     .set("commit.interval.ms", "200");
/// config.check()?;
/// let mistakes = config.set("num.steam.threads", "2").set("commit.interval.ms", "soon").check();
/// assert!(mistakes.expect_err("two mistakes").to_string().contains("did you mean `num.stream.threads`?"));
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct StreamsConfig {
    values: BTreeMap<String, Value>,
    mistakes: Vec<String>,
}

#[derive(Clone)]
struct Value {
    text: String,
    from: String,
}

impl StreamsConfig {
    /// An application of this id on these brokers (`host:port`, comma-separated; not used on the embedded log).
    pub fn new(application_id: impl Into<String>, bootstrap_servers: impl Into<String>) -> Self {
        Self::default().set("application.id", application_id).set("bootstrap.servers", bootstrap_servers)
    }

    /// The properties of a file in UTF-8, in the form of Java's (`name=value` lines, `#` or `!` before a comment, a
    /// backslash at the end of a line continues it).
    ///
    /// # Errors
    /// If the file cannot be read; what is wrong in it is told by [`check`](Self::check).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::default().file(path)
    }

    /// Adds the properties of a file, as [`from_file`](Self::from_file); the later of two values counts.
    ///
    /// # Errors
    /// If the file cannot be read; what is wrong in it is told by [`check`](Self::check).
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::config(format!("cannot read the properties of {}", path.display())).cause(error)
        })?;
        Ok(self.read_properties(&text, &path.display().to_string()))
    }

    /// Adds properties from the environment: `HIGHWATER_COMMIT_INTERVAL_MS` is `commit.interval.ms`,
    /// `HIGHWATER_IDLE_TIMEOUT_MS` is `highwater.idle.timeout.ms`, `HIGHWATER_CONSUMER_FETCH_MIN_BYTES` is
    /// `consumer.fetch.min.bytes`. A variable that names no property is a mistake; left alone are
    /// `HIGHWATER_TEST_...`, `HIGHWATER_CHILD...`, `HIGHWATER_CRASH_...`, `HIGHWATER_SEED`, `HIGHWATER_SEEDS` and
    /// `HIGHWATER_TICK_DATA`, which tests have.
    pub fn environment(self) -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        self.read_environment(std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect())
    }

    /// Writes results in transactions: `processing.guarantee=exactly_once_v2`.
    pub fn exactly_once(self) -> Self {
        self.set("processing.guarantee", "exactly_once_v2")
    }

    /// How many workers share the tasks: `num.stream.threads`.
    pub fn threads(self, count: usize) -> Self {
        self.set("num.stream.threads", count.to_string())
    }

    /// Sets a property. A name or value that cannot be is told by [`check`](Self::check) and at the start.
    pub fn set(self, property: impl Into<String>, value: impl Into<String>) -> Self {
        self.put(&property.into(), value.into(), "program")
    }

    /// The value of a property: as set, or its default; `None` if it is unknown or has neither.
    pub fn value(&self, property: &str) -> Option<String> {
        if let Some(value) = self.values.get(property) {
            return Some(value.text.clone());
        }
        if property == "commit.interval.ms" && self.is_exactly_once() {
            return Some("100".to_owned());
        }
        find(property).map(|known| known.default).filter(|default| !default.is_empty()).map(str::to_owned)
    }

    /// Every mistake in the properties, as one error.
    ///
    /// # Errors
    /// [`Error::is_invalid_config`], with a line per mistake.
    pub fn check(&self) -> Result<()> {
        let mut mistakes = self.mistakes.clone();
        for (name, value) in &self.values {
            mistakes.extend(mistake(name, value));
        }
        if self.value("application.id").is_none_or(|id| id.trim().is_empty()) {
            mistakes.push("`application.id` is not set".to_owned());
        } else if let Some(bad) = self.value("application.id").and_then(|id| unfit_for_a_topic(&id)) {
            mistakes.push(bad);
        }
        mistakes.extend(self.transactions_too_long());
        mistakes.extend(self.store_not_built_in());
        mistakes.extend(self.letters_without_a_topic());
        mistakes.extend(self.group_mistakes());
        if mistakes.is_empty() {
            return Ok(());
        }
        let noun = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
        let head = format!("{} {noun} in the configuration", mistakes.len());
        let error =
            mistakes.into_iter().fold(Error::new(ErrorKind::Config, head), |e, m| e.with("mistake", m));
        Err(error.help("every property with its meaning: `StreamsConfig::properties()`"))
    }

    /// Every property: name, default (may be empty), meaning.
    pub fn properties() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let own = PROPERTIES.iter().map(|property| (property.name, property.default, property.doc));
        own.chain(PREFIXES.iter().map(|(prefix, doc)| (*prefix, "", *doc)))
    }

    /// A transaction would time out before its commit is due: each would be given up, and nothing would come out.
    fn transactions_too_long(&self) -> Option<String> {
        let ms = |property| self.value(property)?.trim().parse::<u64>().ok();
        let (interval, timeout) = (ms("commit.interval.ms")?, ms("transaction.timeout.ms")?);
        (self.is_exactly_once() && interval >= timeout).then(|| {
            format!(
                "`commit.interval.ms` is `{interval}` and `transaction.timeout.ms` is `{timeout}`; under \
                 exactly_once_v2 a commit has to be due before its transaction times out"
            )
        })
    }

    fn store_not_built_in(&self) -> Option<String> {
        let store = self.value("default.dsl.store")?;
        (store.trim().eq_ignore_ascii_case("rocksdb") && !cfg!(feature = "rocksdb")).then(|| {
            format!("`default.dsl.store` is `{store}`, which this program was built without: add the feature `rocksdb` to its dependency on highwater")
        })
    }

    fn letters_without_a_topic(&self) -> Option<String> {
        let topic = "errors.dead.letter.queue.topic.name";
        if self.value(topic).is_some() {
            return None;
        }
        let wants = |name: &str| self.value(name).is_some_and(|v| matches!(v.trim(), "dlq" | "dead-letter"));
        let who = [
            "deserialization.exception.handler",
            "processing.exception.handler",
            "production.exception.handler",
            "highwater.on.retries.exhausted",
            "highwater.future.skew.policy",
        ];
        let name = who.into_iter().find(|name| wants(name))?;
        Some(format!("`{name}` wants dead letters, and `{topic}` is not set"))
    }

    fn group_mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let ms = |name: &str| self.value(name).and_then(|text| text.trim().parse::<u64>().ok());
        let (heartbeat, session) = (ms("heartbeat.interval.ms"), ms("session.timeout.ms"));
        if self.is_classic() && heartbeat >= session {
            mistakes.push("`heartbeat.interval.ms` has to be less than `session.timeout.ms`".to_owned());
        }
        if ms("request.timeout.ms") > ms("default.api.timeout.ms") {
            mistakes.push("`request.timeout.ms` must not be more than `default.api.timeout.ms`".to_owned());
        }
        let brokers = ["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"];
        let set = brokers.into_iter().filter(|name| !self.is_classic() && self.values.contains_key(*name));
        mistakes.extend(set.map(|name| {
            format!("`{name}` must not be set with `group.protocol=consumer`: the broker sets it")
        }));
        mistakes
    }

    /// The checked properties as types.
    pub(crate) fn settings(&self) -> Result<Settings> {
        self.check()?;
        Settings::of(self)
    }

    /// What goes to the internal topics that are made: `topic.` and the rest of the name.
    pub(crate) fn topic_configs(&self) -> BTreeMap<String, String> {
        let topic = |(name, value): (&String, &Value)| {
            Some((name.strip_prefix("topic.")?.to_owned(), value.text.clone()))
        };
        self.values.iter().filter_map(topic).collect()
    }

    /// Whether producers compress.
    pub(crate) fn compresses(&self) -> bool {
        let given =
            ["producer.compression.type", "compression.type"].into_iter().find_map(|name| self.value(name));
        given.is_some_and(|codec| codec.trim() != "none")
    }

    fn is_exactly_once(&self) -> bool {
        self.values.get("processing.guarantee").is_some_and(|value| value.text.trim() == "exactly_once_v2")
    }

    fn put(mut self, property: &str, value: String, from: &str) -> Self {
        let value = Value { text: value, from: from.to_owned() };
        self.values.insert(clients::canonical(property).to_owned(), value);
        self
    }

    fn read_properties(mut self, text: &str, file: &str) -> Self {
        for (number, line) in property_file::parse(text) {
            let from = format!("{file}:{number}");
            match line {
                Ok((name, value)) => self = self.put(&name, value, &from),
                Err(what) => self.mistakes.push(format!("{from} {what}")),
            }
        }
        self
    }

    fn read_environment(mut self, variables: BTreeMap<String, String>) -> Self {
        for (variable, value) in variables {
            if let Some(name) = environment::property_of(&variable) {
                self = self.put(&name, value, &variable);
            }
        }
        self
    }
}

/// The effective properties, a line each with where the value comes from. Secrets are hidden, and the values of unknown
/// properties: a misspelt name may be a secret's.
impl fmt::Display for StreamsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.values.keys().map(String::as_str);
        let names: std::collections::BTreeSet<&str> = PROPERTIES.iter().map(|p| p.name).chain(set).collect();
        for name in names {
            let from = self.values.get(name).map_or("default", |value| value.from.as_str());
            let known = find(name).is_some() || foreign(name, from).is_none();
            let shown = if known && !is_secret(name) { self.value(name) } else { Some("******".to_owned()) };
            writeln!(f, "{name} = {} ({from})", shown.unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for StreamsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn mistake(name: &str, value: &Value) -> Option<String> {
    let from = &value.from;
    let Some(property) = find(name) else { return foreign(name, from) };
    let wanted = property.refuses(&value.text)?;
    let shown = if is_secret(name) { "******" } else { value.text.as_str() };
    Some(format!("`{name}` is `{shown}` ({from}); it has to be {wanted}"))
}

/// A property that is not the engine's: a client's, a topic's, or nobody's.
fn foreign(name: &str, from: &str) -> Option<String> {
    let (prefix, rest) = clients::split(name).map_or((None, name), |(prefix, rest)| (Some(prefix), rest));
    if prefix == Some("topic.") {
        return None;
    }
    if let Some((_, why)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        return Some(format!("unknown property `{name}` ({from}): {why}"));
    }
    let why = clients::not_passed_on(prefix, rest)?;
    if !why.is_empty() {
        return Some(format!("`{name}` ({from}){why}"));
    }
    Some(format!("unknown property `{name}` ({from}){}", advice(prefix, rest)))
}

fn advice(prefix: Option<&str>, rest: &str) -> String {
    let ours = PROPERTIES.iter().map(|property| property.name).filter(|_| prefix.is_none());
    let clients = client_properties::KNOWN.iter().map(|(name, _)| *name);
    let near = ours
        .chain(clients)
        .map(|known| (strsim::jaro_winkler(rest, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    near.map_or_else(String::new, |(_, near)| {
        format!(": did you mean `{}{near}`?", prefix.unwrap_or_default())
    })
}

/// The id starts the names of topics, so it has to be one.
fn unfit_for_a_topic(id: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let bad = id.chars().find(|c| !fits(*c))?;
    Some(format!("`application.id` is `{id}`; it starts topic names, which cannot have {bad:?}"))
}
