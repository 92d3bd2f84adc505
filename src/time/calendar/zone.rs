//! A time zone: an IANA name or a fixed offset. Small, `Copy`, cheap to look up: a key's closure may return one per record.

use super::local_days::LocalDays;
use crate::error::{Error, ErrorKind};
use chrono::{Datelike, LocalResult, NaiveDate, NaiveDateTime, TimeZone as _};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};
use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, OnceLock};

/// A time zone, parsed from an IANA name (`Europe/Paris`) or a fixed offset (`-05:00`, `+05:30`, `UTC`).
///
/// ```
/// use highwater::time::TimeZone;
/// let zone: TimeZone = "America/New_York".parse()?;
/// assert_eq!(zone.to_string(), "America/New_York");
/// let mistake = "America/New_Yrok".parse::<TimeZone>().expect_err("misspelt");
/// assert!(mistake.to_string().contains("did you mean `America/New_York`?"));
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct TimeZone(Zone);

#[derive(Clone, Copy)]
enum Zone {
    /// Seconds east of UTC.
    Fixed(i32),
    Named(&'static NamedZone),
}

/// A zone of the IANA database and, once somebody asks, where its days start.
struct NamedZone {
    tz: Tz,
    days: OnceLock<LocalDays>,
}

/// Every zone, by name, so that a name is found by bisection.
static ZONES: LazyLock<Vec<NamedZone>> = LazyLock::new(|| {
    let mut zones =
        TZ_VARIANTS.map(|tz| NamedZone { tz, days: OnceLock::new() }).into_iter().collect::<Vec<_>>();
    zones.sort_by_key(|zone| zone.tz.name());
    zones
});

/// What a local time is in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instant {
    /// Milliseconds since the epoch; the first of two where the clock was set back.
    At(i64),
    /// The clock was set forward over it; the first moment after the gap, ms since the epoch.
    Skipped { resumes: i64 },
}

impl TimeZone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Zone::Fixed(0));

    /// Where the days of this zone start.
    pub(super) fn days(self) -> LocalDays {
        match self.0 {
            Zone::Fixed(seconds) => LocalDays::fixed(i64::from(seconds) * 1000),
            Zone::Named(zone) => zone.days.get_or_init(|| LocalDays::of(self)).clone(),
        }
    }

    /// A local time in UTC; `None` where the arithmetic of dates ends.
    pub(super) fn instant(self, local: NaiveDateTime) -> Option<Instant> {
        match self.0 {
            Zone::Fixed(seconds) => {
                Some(Instant::At(local.and_utc().timestamp_millis() - i64::from(seconds) * 1000))
            }
            Zone::Named(zone) => match zone.tz.from_local_datetime(&local) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
                    Some(Instant::At(at.timestamp_millis()))
                }
                LocalResult::None => {
                    let resumes = GapInfo::new(&local, &zone.tz)?.end?.timestamp_millis();
                    Some(Instant::Skipped { resumes })
                }
            },
        }
    }

    /// What tells two zones apart, and their order.
    fn identity(self) -> (&'static str, i32) {
        match self.0 {
            Zone::Fixed(seconds) => ("", seconds),
            Zone::Named(zone) => (zone.tz.name(), 0),
        }
    }
}

impl From<Tz> for TimeZone {
    fn from(tz: Tz) -> Self {
        named(tz.name()).unwrap_or(Self::UTC)
    }
}

impl FromStr for TimeZone {
    type Err = Error;

    /// An IANA name, `UTC`, or an offset from UTC as `+hh:mm` or `-hh:mm`.
    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(offset) = offset(text) {
            return Ok(Self(Zone::Fixed(offset)));
        }
        named(text).ok_or_else(|| unknown(text))
    }
}

fn named(name: &str) -> Option<TimeZone> {
    let index = ZONES.binary_search_by_key(&name, |zone| zone.tz.name()).ok()?;
    ZONES.get(index).map(|zone| TimeZone(Zone::Named(zone)))
}

/// Seconds east of UTC from `+hh:mm`, below a day.
fn offset(text: &str) -> Option<i32> {
    if matches!(text, "UTC" | "Z") {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let number = |text: &str, below: i32| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|n| plain && *n < below)
    };
    Some(sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
}

fn unknown(text: &str) -> Error {
    let lower = text.to_ascii_lowercase();
    let nearest = ZONES
        .iter()
        .map(|zone| zone.tz.name())
        .max_by(|a, b| {
            let score = |name: &str| strsim::jaro_winkler(&name.to_ascii_lowercase(), &lower);
            score(a).total_cmp(&score(b)).then(b.cmp(a))
        })
        .unwrap_or("UTC");
    Error::new(ErrorKind::Calendar, format!("unknown time zone `{text}`")).help(format!(
        "did you mean `{nearest}`? A zone is an IANA name such as `Europe/Paris`, `UTC`, or an offset such as `-05:00`"
    ))
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Zone::Named(zone) => f.write_str(zone.tz.name()),
            Zone::Fixed(0) => f.write_str("UTC"),
            Zone::Fixed(seconds) => {
                let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeZone({self})")
    }
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for TimeZone {}

impl PartialOrd for TimeZone {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TimeZone {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl std::hash::Hash for TimeZone {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// As text, so that a key may hold its zone.
impl serde::Serialize for TimeZone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for TimeZone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Days since the epoch of a date.
pub(super) fn day_number(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - EPOCH_FROM_CE
}

/// The date of a day since the epoch; `None` where the arithmetic of dates ends.
pub(super) fn date_of(day: i64) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(i32::try_from(day + EPOCH_FROM_CE).ok()?)
}

/// 1970-01-01, counted from the first day of the common era.
const EPOCH_FROM_CE: i64 = 719_163;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_names_and_offsets() {
        for text in ["America/New_York", "-05:00", "+05:30", "UTC", "Etc/GMT+5", "Pacific/Apia"] {
            let zone = text.parse::<TimeZone>().expect(text);
            assert_eq!(zone.to_string(), text);
            assert_eq!(
                serde_json::from_str::<TimeZone>(&serde_json::to_string(&zone).expect("writes"))
                    .expect("reads"),
                zone
            );
        }
        assert_eq!("+00:00".parse::<TimeZone>().expect("utc"), TimeZone::UTC);
        assert_eq!(TimeZone::from(Tz::Asia__Tokyo), "Asia/Tokyo".parse().expect("tokyo"));
    }

    #[test]
    fn refuses_with_a_suggestion() {
        for text in ["", "05:00", "+5:00", "+24:00", "-05:60", "+0500", "+ 5:00", "++5:00", "Mars/Olympus"] {
            let error = text.parse::<TimeZone>().expect_err(text);
            assert!(error.is_calendar() && error.to_string().contains("unknown time zone"), "{error}");
        }
        let error = "europe/pariss".parse::<TimeZone>().expect_err("misspelt");
        assert!(error.to_string().contains("did you mean `Europe/Paris`?"), "{error}");
    }
}
