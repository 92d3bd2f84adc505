//! Calendars: when a market is open, and which sessions make a day, a week and a month. Data, not code.
//!
//! A calendar is a sorted table of **segments** (times between an open and a close), each of one trade date. A trade date's
//! **session** runs from its first open to its last close; a break inside it belongs to nothing.

mod definition;
mod document;
mod local_days;
mod local_time;
mod ready;
mod sessions;
mod zone;

pub use zone::TimeZone;

use super::{Timestamp, Window};
use crate::error::{Error, ErrorKind, Result};
use definition::Definition;
use local_days::LocalDays;
use sessions::Sessions;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Milliseconds of a day without a clock change.
pub(crate) const DAY: i64 = 86_400_000;

/// Sessions, holidays and breaks of a market. Cheap to clone.
///
/// ```
/// use highwater::time::Calendar;
/// assert!(Calendar::parse("24x7@Europe/Paris").is_ok());
/// let mistake = Calendar::parse("24x7@Europe/Pariss").expect_err("misspelt");
/// assert!(mistake.is_calendar());
/// ```
#[derive(Clone)]
pub struct Calendar(Kind);

#[derive(Clone)]
enum Kind {
    /// Every local day is one session.
    Days {
        zone: TimeZone,
        days: LocalDays,
    },
    Sessions(Arc<Sessions>),
}

/// What trade dates are put together to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// One trade date.
    Day,
    /// The trade dates of an ISO week, Monday to Sunday.
    Week,
    /// The trade dates of a calendar month.
    Month,
}

impl Calendar {
    /// `24x7`: never closed; days, ISO weeks and months of UTC. Every year is covered.
    pub fn always() -> Self {
        Self::days_in(TimeZone::UTC)
    }

    /// `24x7@ZONE`: each local day is one session from midnight to midnight, 23 or 25 hours long where the clock changes.
    ///
    /// Every year is covered; before 1970 and after 2100 the offset of an IANA zone is taken as constant.
    pub fn days_in(zone: TimeZone) -> Self {
        Self(Kind::Days { zone, days: zone.days() })
    }

    /// A ready calendar: `xnys`, `xtks`, `xlon`, `xhkg` or `fx`, upper or lower case. [`years`](Self::years) says which
    /// years it covers.
    pub fn ready(name: &str) -> Result<Self> {
        ready::named(name)
    }

    /// A calendar file; the guide's page `Calendar files` has the format. All its mistakes are told in one error.
    ///
    /// ```
    /// use highwater::time::Calendar;
    /// let market = Calendar::from_json(r#"{
    ///     "name": "our market",
    ///     "zone": "Europe/Berlin",
    ///     "years": [2024, 2026],
    ///     "hours": [{"week": {"mon-thu": ["09:00-12:00", "13:00-17:30"], "fri": ["09:00-14:00"]}}],
    ///     "closed": {"2024-12-25": "Christmas"},
    ///     "special": {"2024-12-24": {"sessions": ["09:00-12:00"], "why": "Christmas Eve"}}
    /// }"#)?;
    /// assert_eq!(market.years(), Some(2024..=2026));
    /// # Ok::<(), highwater::Error>(())
    /// ```
    pub fn from_json(json: &str) -> Result<Self> {
        let sessions = Sessions::of(&Definition::read(json)?)?;
        Ok(Self(Kind::Sessions(Arc::new(sessions))))
    }

    /// `24x7`, `24x7@ZONE` or the name of a ready calendar. An unknown name is an error with the nearest one.
    pub fn parse(spec: &str) -> Result<Self> {
        match spec.split_once('@') {
            None if spec.eq_ignore_ascii_case("24x7") => Ok(Self::always()),
            Some((days, zone)) if days.eq_ignore_ascii_case("24x7") => Ok(Self::days_in(zone.parse()?)),
            _ => Self::ready(spec),
        }
    }

    /// The years covered, `None` if every year is. Windows outside of them are errors.
    pub fn years(&self) -> Option<RangeInclusive<i32>> {
        match &self.0 {
            Kind::Days { .. } => None,
            Kind::Sessions(sessions) => {
                let (first, last) = sessions.years();
                Some(first..=last)
            }
        }
    }

    /// Whether the market is open at a time; an error outside the years covered.
    pub fn is_open(&self, at: Timestamp) -> Result<bool> {
        Ok(self.segment_at(at)?.is_some())
    }

    /// The segment that contains a time, `None` if the market is closed then.
    pub(crate) fn segment_at(&self, at: Timestamp) -> Result<Option<Window>> {
        match &self.0 {
            Kind::Days { days, .. } => days.containing(Period::Day, at.0).map(Some).ok_or_else(|| beyond(at)),
            Kind::Sessions(sessions) => sessions.segment_at(at),
        }
    }

    /// The first segment that ends after a time: the one that contains it, or the next one.
    pub(crate) fn segment_after(&self, at: Timestamp) -> Result<Option<Window>> {
        match &self.0 {
            Kind::Days { days, .. } => Ok(days.reaching(at.0)),
            Kind::Sessions(sessions) => sessions.segment_after(at).map(Some),
        }
    }

    /// The day, week or month in whose sessions a time lies, clipped to its first open and last close.
    pub(crate) fn period_at(&self, period: Period, at: Timestamp) -> Result<Option<Window>> {
        match &self.0 {
            Kind::Days { days, .. } => days.containing(period, at.0).map(Some).ok_or_else(|| beyond(at)),
            Kind::Sessions(sessions) => sessions.period_at(period, at),
        }
    }

    /// The first day, week or month that starts at or after a time.
    pub(crate) fn next_period(&self, period: Period, from: Timestamp) -> Result<Option<Window>> {
        match &self.0 {
            Kind::Days { days, .. } => Ok(days.next(period, from.0)),
            Kind::Sessions(sessions) => sessions.next_period(period, from).map(Some),
        }
    }

    /// How many days, weeks or months start inside a window.
    pub(crate) fn periods_within(&self, period: Period, parent: Window) -> Result<u32> {
        if let Kind::Sessions(sessions) = &self.0 {
            return sessions.periods_within(period, parent);
        }
        let (mut count, mut from) = (0, parent.start);
        while let Some(window) = self.next_period(period, from)?.filter(|window| window.start < parent.end) {
            (count, from) = (count + 1, window.end);
        }
        Ok(count)
    }
}

/// As [`Calendar::parse`] reads it, or the name in its file.
impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Days { zone, .. } if *zone == TimeZone::UTC => f.write_str("24x7"),
            Kind::Days { zone, .. } => write!(f, "24x7@{zone}"),
            Kind::Sessions(sessions) => f.write_str(sessions.name()),
        }
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calendar({self})")
    }
}

fn beyond(at: Timestamp) -> Error {
    Error::new(ErrorKind::Calendar, format!("{at} is beyond the dates that a calendar knows"))
        .help("is the timestamp in ms since 1970?")
}

#[cfg(test)]
mod tests;
