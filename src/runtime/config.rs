//! The configuration of an application: Kafka Streams' property names and defaults, ours under `highwater.`.
//!
//! Properties are collected as text with where they came from; what is wrong is told all together when the
//! application is made. Secrets are never printed.

use super::properties::{ELSEWHERE, PASSED_ON, PROPERTIES, find, is_secret};
use super::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
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

/// Starts the names of environment variables.
const ENVIRONMENT: &str = "HIGHWATER_";

impl StreamsConfig {
    /// An application of this id on these brokers (`host:port`, comma-separated; not used on the embedded log).
    pub fn new(application_id: impl Into<String>, bootstrap_servers: impl Into<String>) -> Self {
        Self::default().set("application.id", application_id).set("bootstrap.servers", bootstrap_servers)
    }

    /// The properties of a file in the form of Java's (`name=value` lines, `#` or `!` before a comment, a backslash
    /// at the end of a line continues it).
    ///
    /// # Errors
    /// If the file cannot be read; what is wrong in it is told by [`check`](Self::check).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::config(format!("cannot read the properties of {}", path.display())).cause(error)
        })?;
        Ok(Self::default().read_properties(&text, &path.display().to_string()))
    }

    /// Adds properties from the environment: `HIGHWATER_COMMIT_INTERVAL_MS` is `commit.interval.ms`,
    /// `HIGHWATER_IDLE_TIMEOUT_MS` is `highwater.idle.timeout.ms`. A variable that names no property is a mistake.
    pub fn environment(self) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(ENVIRONMENT))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        self.read_environment(variables.collect())
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
        self.put(property.into(), value.into(), "program")
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
        own.chain(PASSED_ON.iter().map(|(prefix, doc)| (*prefix, "", *doc)))
    }

    /// The checked properties as types.
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

    fn put(mut self, property: String, value: String, from: &str) -> Self {
        self.values.insert(property, Value { text: value, from: from.to_owned() });
        self
    }

    fn read_properties(mut self, text: &str, file: &str) -> Self {
        for (number, line) in logical_lines(text) {
            let from = format!("{file}:{number}");
            match line.split_once(['=', ':']) {
                Some((name, value)) => {
                    self = self.put(name.trim().to_owned(), value.trim().to_owned(), &from);
                }
                None => self.mistakes.push(format!("{from} is not `name=value`")),
            }
        }
        self
    }

    fn read_environment(mut self, variables: BTreeMap<String, String>) -> Self {
        for (variable, value) in variables {
            let rest = variable.trim_start_matches(ENVIRONMENT);
            if rest.starts_with("TEST_") {
                continue;
            }
            let name = rest.to_ascii_lowercase().replace('_', ".");
            let ours = format!("highwater.{name}");
            let name = if find(&ours).is_some() { ours } else { name };
            self = self.put(name, value, &variable);
        }
        self
    }
}

/// The effective properties, a line each with where the value comes from; secrets are hidden.
impl fmt::Display for StreamsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.values.keys().map(String::as_str);
        let names: std::collections::BTreeSet<&str> = PROPERTIES.iter().map(|p| p.name).chain(set).collect();
        for name in names {
            let from = self.values.get(name).map_or("default", |value| value.from.as_str());
            let hidden =
                || if is_secret(name) { "******".to_owned() } else { self.value(name).unwrap_or_default() };
            writeln!(f, "{name} = {} ({from})", hidden())?;
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
    if PASSED_ON.iter().any(|(prefix, _)| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty())) {
        return None;
    }
    let Some(property) = find(name) else {
        return Some(format!("unknown property `{name}` ({from}){}", advice(name)));
    };
    let wanted = property.refuses(&value.text)?;
    let shown = if is_secret(name) { "******" } else { value.text.as_str() };
    Some(format!("`{name}` is `{shown}` ({from}); it has to be {wanted}"))
}

fn advice(name: &str) -> String {
    if let Some((_, why)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        return format!(": {why}");
    }
    let near = PROPERTIES
        .iter()
        .map(|property| (strsim::jaro_winkler(name, property.name), property.name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    near.map_or_else(String::new, |(_, near)| format!(": did you mean `{near}`?"))
}

/// The id starts the names of topics, so it has to be one.
fn unfit_for_a_topic(id: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let bad = id.chars().find(|c| !fits(*c))?;
    Some(format!("`application.id` is `{id}`; it starts topic names, which cannot have {bad:?}"))
}

/// Lines with their number from 1, continued ones joined, without comments and empty ones.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match out.last_mut().filter(|_| continues) {
            Some((_, last)) => last.push_str(part),
            None if line.is_empty() || line.starts_with(['#', '!']) => continue,
            None => out.push((number, part.to_owned())),
        }
        continues = more;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_told_together_with_a_suggestion() {
        let config = StreamsConfig::new("app", "")
            .set("comit.interval.ms", "5")
            .set("num.stream.threads", "none")
            .set("default.key.serde", "x");
        let error = config.check().expect_err("three mistakes");
        let text = error.to_string();
        assert!(error.is_invalid_config());
        assert!(text.starts_with("error[HW0101]: 3 mistakes in the configuration"), "{text}");
        assert!(
            text.contains(
                "unknown property `comit.interval.ms` (program): did you mean `commit.interval.ms`?"
            )
        );
        assert!(text.contains(
            "`num.stream.threads` is `none` (program); it has to be a whole number from 1 to 1024"
        ));
        assert!(text.contains("`default.key.serde` (program): serdes are part of the program"));
    }

    #[test]
    fn a_commit_is_due_before_its_transaction_times_out() {
        let config = StreamsConfig::new("app", "").set("commit.interval.ms", "10000");
        assert!(config.check().is_ok(), "there are no transactions");
        let text = config.clone().exactly_once().check().expect_err("a mistake").to_string();
        assert!(
            text.contains("`commit.interval.ms` is `10000` and `transaction.timeout.ms` is `10000`"),
            "{text}"
        );
        assert!(config.exactly_once().set("transaction.timeout.ms", "10001").check().is_ok());
    }

    #[test]
    fn an_application_id_is_needed_and_fits_a_topic_name() {
        assert!(StreamsConfig::default().check().is_err());
        assert!(StreamsConfig::new("a b", "").check().is_err());
        assert!(StreamsConfig::new("a-b.c_1", "").check().is_ok());
    }

    #[test]
    fn the_commit_interval_depends_on_the_guarantee() {
        let config = StreamsConfig::new("app", "");
        assert_eq!(config.value("commit.interval.ms").as_deref(), Some("30000"));
        assert_eq!(config.clone().exactly_once().value("commit.interval.ms").as_deref(), Some("100"));
        assert_eq!(
            config.exactly_once().set("commit.interval.ms", "7").settings().expect("fine").commit_interval,
            7
        );
    }

    #[test]
    fn secrets_are_hidden_and_sources_shown() {
        let config = StreamsConfig::new("app", "").set("consumer.sasl.password", "hunter2");
        let text = config.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("consumer.sasl.password = ****** (program)"), "{text}");
        assert!(text.contains("max.task.idle.ms = 0 (default)"), "{text}");
        let text = format!("{config:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_file_of_properties_is_read_with_its_lines() {
        let text = "# a comment\napplication.id=app\n\nhighwater.idle.timeout.ms = \\\n  30000\nnonsense\n";
        let config = StreamsConfig::default().read_properties(text, "app.properties");
        assert_eq!(config.value("highwater.idle.timeout.ms").as_deref(), Some("30000"));
        let error = config.check().expect_err("one mistake").to_string();
        assert!(error.contains("app.properties:6 is not `name=value`"), "{error}");
    }

    #[test]
    fn the_environment_names_both_kinds_of_properties() {
        let variables = [("HIGHWATER_COMMIT_INTERVAL_MS", "5"), ("HIGHWATER_IDLE_TIMEOUT_MS", "7")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = StreamsConfig::new("app", "").read_environment(variables.into());
        config.check().expect("both are known");
        assert_eq!(config.value("commit.interval.ms").as_deref(), Some("5"));
        assert_eq!(config.value("highwater.idle.timeout.ms").as_deref(), Some("7"));
        let unknown = [("HIGHWATER_IDEL_TIMEOUT_MS".to_owned(), "7".to_owned())];
        assert!(StreamsConfig::new("app", "").read_environment(unknown.into()).check().is_err());
    }
}
