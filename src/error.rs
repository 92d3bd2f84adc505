//! One opaque error for the whole crate: what failed, where, why, and what to do about it.
//!
//! The kinds stay private so that they can grow; callers ask by predicate. The text is what a person reads:
//! `error[HW0301]: ...`, then indented coordinates, `cause:` and `help:`.

use std::fmt;
use std::sync::Arc;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a user's closure or trait may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What failed, with coordinates, cause and a way out. Small: a pointer.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    lines: Vec<(&'static str, String)>,
    source: Option<BoxError>,
    /// Where it happened, if that is known.
    node: Option<Arc<str>>,
}

/// The classes of failure; the number is the code that is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// A property of the configuration is unknown or has a value that cannot be.
    Config = 101,
    /// The topology as written cannot run.
    Topology = 201,
    /// The topics of the cluster do not fit the topology.
    Topics = 203,
    /// Bytes of a record could not be read.
    Deserialization = 301,
    /// A closure, processor or window of the user failed or panicked.
    Processing = 302,
    /// A record could not be written.
    Production = 303,
    /// A timestamp that cannot be accepted.
    Timestamp = 304,
    /// A calendar cannot be read, or is asked outside its years.
    Calendar = 401,
    /// Local state cannot be read or written, or does not belong to this topology.
    State = 501,
    /// The disk under the local state fails or is full; the state itself is as good as it was.
    Disk = 502,
    /// Another process has what is asked for.
    NotHere = 503,
    /// The log answered with an error that may pass.
    Retriable = 601,
    /// Another member or producer has taken over.
    Fenced = 602,
    /// The log answered with an error that stays.
    Broker = 603,
    /// Highwater broke its own rule; a bug.
    Internal = 901,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), lines: Vec::new(), source: None, node: None }))
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }
    pub(crate) fn topology(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Topology, message)
    }
    pub(crate) fn state(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::State, message)
    }
    pub(crate) fn disk(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Disk, message)
    }
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds a line of coordinates or explanation, such as `("at", "ticks-3@17")`.
    pub(crate) fn with(mut self, label: &'static str, text: impl Into<String>) -> Self {
        self.0.lines.push((label, text.into()));
        self
    }
    pub(crate) fn cause(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }
    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        self.with("help", text)
    }

    /// What is done about it; the last word counts.
    pub(crate) fn action(mut self, text: impl Into<String>) -> Self {
        self.0.lines.retain(|(label, _)| *label != "action");
        self.with("action", text)
    }

    pub(crate) fn at_node(mut self, node: &Arc<str>) -> Self {
        self.0.node = Some(node.clone());
        self
    }
    pub(crate) fn node(&self) -> Option<&Arc<str>> {
        self.0.node.as_ref()
    }
    /// The first line, without the code.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether a line with this label is there already.
    pub(crate) fn has(&self, label: &str) -> bool {
        self.0.lines.iter().any(|(known, _)| *known == label)
    }

    /// Several mistakes as one error, so that all can be mended at once.
    pub(crate) fn all(mut errors: Vec<Error>) -> Option<Error> {
        match errors.len() {
            0 | 1 => errors.pop(),
            n => {
                let kind = errors.first().map_or(ErrorKind::Internal, |e| e.0.kind);
                let all = errors
                    .iter()
                    .fold(format!("{n} mistakes"), |text, error| text + "\n\n" + &error.to_string());
                Some(Self::new(kind, all))
            }
        }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The code as printed, such as `HW0301`.
    pub fn code(&self) -> String {
        format!("HW{:04}", self.0.kind as u16)
    }
    /// The topology as written cannot run; found by `build()`.
    pub fn is_invalid_topology(&self) -> bool {
        self.0.kind == ErrorKind::Topology
    }
    /// A property is unknown or has a value that cannot be.
    pub fn is_invalid_config(&self) -> bool {
        self.0.kind == ErrorKind::Config
    }
    /// Topics are missing, or their partition counts do not fit.
    pub fn is_invalid_topics(&self) -> bool {
        self.0.kind == ErrorKind::Topics
    }
    /// The bytes of a record could not be read.
    pub fn is_deserialization(&self) -> bool {
        self.0.kind == ErrorKind::Deserialization
    }
    /// A closure, processor or window of the user failed or panicked.
    pub fn is_processing(&self) -> bool {
        self.0.kind == ErrorKind::Processing
    }
    /// A calendar cannot be read, or was asked outside the years it covers.
    pub fn is_calendar(&self) -> bool {
        self.0.kind == ErrorKind::Calendar
    }
    /// Local state cannot be used.
    pub fn is_state(&self) -> bool {
        matches!(self.0.kind, ErrorKind::State | ErrorKind::Disk)
    }
    /// The disk fails or is full: opening the state again may help, and nothing is lost with it.
    pub(crate) fn is_disk(&self) -> bool {
        self.0.kind == ErrorKind::Disk
    }
    /// A read of a local store asked for what another process has.
    pub fn is_not_here(&self) -> bool {
        self.0.kind == ErrorKind::NotHere
    }
    /// Another member or producer has taken over.
    pub fn is_fenced(&self) -> bool {
        self.0.kind == ErrorKind::Fenced
    }
    /// Trying again may help.
    pub fn is_retriable(&self) -> bool {
        self.0.kind == ErrorKind::Retriable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code(), self.0.message)?;
        for (label, text) in self.0.lines.iter().filter(|(label, _)| *label != "help") {
            write!(f, "\n  {label}: {text}")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, "\n  cause: {source}")?;
        }
        for (label, text) in self.0.lines.iter().filter(|(label, _)| *label == "help") {
            write!(f, "\n  {label}: {text}")?;
        }
        Ok(())
    }
}

/// As `Display`: what `fn main() -> Result<()>` prints is for a person.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_coordinates_then_cause_then_help() {
        let error = Error::new(ErrorKind::Deserialization, "cannot deserialize value of ticks-3@17")
            .help("inspect the record")
            .with("serde", "json<Tick>")
            .cause("expected f64");
        assert_eq!(
            error.to_string(),
            "error[HW0301]: cannot deserialize value of ticks-3@17\n  serde: json<Tick>\n  cause: expected f64\n  help: inspect the record"
        );
        assert!(error.is_deserialization() && !error.is_retriable());
    }

    #[test]
    fn all_reports_every_mistake() {
        let all = Error::all(vec![Error::topology("a"), Error::topology("b")]).expect("two");
        assert!(all.is_invalid_topology());
        assert_eq!(all.to_string(), "error[HW0201]: 2 mistakes\n\nerror[HW0201]: a\n\nerror[HW0201]: b");
        assert!(Error::all(Vec::new()).is_none());
    }
}
