//! Event time in ms since the epoch, and the units that windows are written in.

use std::fmt;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00 UTC. As a watermark: everything before has probably been seen.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every record: the watermark of an input that has not been heard.
    pub const MIN: Self = Self(i64::MIN);
    /// After every record.
    pub const MAX: Self = Self(i64::MAX);

    /// Milliseconds since the epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }
    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }
    /// Later by a duration; stays at `MIN` and `MAX`, which stand for "never" and "always".
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        match self {
            Self::MIN | Self::MAX => self,
            Self(ms) => Self(ms.saturating_add(millis(duration))),
        }
    }
    /// Earlier by a duration; stays at `MIN` and `MAX`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        match self {
            Self::MIN | Self::MAX => self,
            Self(ms) => Self(ms.saturating_sub(millis(duration))),
        }
    }
    /// The distance from an earlier time in ms; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_millis(self.0) {
            Some(at) => write!(f, "{}", at.format("%Y-%m-%dT%H:%M:%S%.3fZ")),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// A duration in whole milliseconds, the only unit of event time.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `n` milliseconds.
pub const fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}
/// `n` seconds.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
/// `n` minutes.
pub const fn minutes(n: u64) -> Duration {
    seconds(60 * n)
}
/// `n` hours.
pub const fn hours(n: u64) -> Duration {
    minutes(60 * n)
}
/// `n` days of 24 hours.
pub const fn days(n: u64) -> Duration {
    hours(24 * n)
}
