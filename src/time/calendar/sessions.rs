//! A calendar's sessions, written out: every segment of every trade date in UTC, sorted, so that a lookup is one bisection.

use super::definition::Definition;
use super::local_days::{monday_of, month_of};
use super::local_time::{DAYS_BEFORE, LocalSegment, LocalTime};
use super::zone::{Instant, day_number};
use super::{DAY, Period};
use crate::error::{Error, ErrorKind, Result};
use crate::time::{Timestamp, Window};
use chrono::{Days, NaiveDate};

/// The sessions of the years covered.
#[derive(Debug)]
pub(super) struct Sessions {
    name: String,
    years: (i32, i32),
    /// From here to there everything is known.
    covered: Window,
    segments: Vec<Window>,
    days: Periods,
    weeks: Periods,
    months: Periods,
}

/// The days, weeks or months that are known as a whole, by start.
#[derive(Debug)]
struct Periods {
    windows: Vec<Window>,
    /// One that may start at or before this is not known as a whole.
    unknown: Option<Timestamp>,
}

/// A trade date with its segments.
struct TradeDate {
    day: i64,
    segments: Vec<Window>,
}

/// So many mistakes of one sort are told; a wrong rule makes hundreds.
const TOLD: usize = 3;

impl Sessions {
    /// Writes a definition out.
    pub(super) fn of(definition: &Definition) -> Result<Self> {
        let (dates, mut errors) = expand(definition);
        errors.extend(overlaps(definition, &dates));
        if let Some(error) = Error::all(errors) {
            return Err(error);
        }
        let covered = covered(definition, &dates)
            .ok_or_else(|| wrong(definition, "its first or last day does not exist in its zone"))?;
        let days = Periods { windows: dates.iter().filter_map(TradeDate::session).collect(), unknown: None };
        Ok(Self {
            name: definition.name.clone(),
            years: definition.years,
            covered,
            days,
            weeks: weeks(definition, &dates),
            months: months(&dates),
            segments: dates.into_iter().flat_map(|date| date.segments).collect(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn years(&self) -> (i32, i32) {
        self.years
    }

    pub(super) fn segment_at(&self, at: Timestamp) -> Result<Option<Window>> {
        self.check(at)?;
        Ok(containing(&self.segments, at))
    }

    pub(super) fn segment_after(&self, at: Timestamp) -> Result<Window> {
        self.check(at)?;
        let index = self.segments.partition_point(|segment| segment.end <= at);
        self.segments.get(index).copied().ok_or_else(|| self.outside(self.covered.end))
    }

    pub(super) fn period_at(&self, period: Period, at: Timestamp) -> Result<Option<Window>> {
        if self.segment_at(at)?.is_none() {
            return Ok(None);
        }
        let window = containing(&self.periods(period).windows, at);
        window.map(Some).ok_or_else(|| self.partly(period, at))
    }

    pub(super) fn next_period(&self, period: Period, from: Timestamp) -> Result<Window> {
        self.check(from)?;
        let periods = self.periods(period);
        if periods.unknown.is_some_and(|unknown| from <= unknown) {
            return Err(self.partly(period, from));
        }
        let index = periods.windows.partition_point(|window| window.start < from);
        periods.windows.get(index).copied().ok_or_else(|| self.partly(period, self.covered.end))
    }

    pub(super) fn periods_within(&self, period: Period, parent: Window) -> Result<u32> {
        if parent.start >= parent.end {
            return Ok(0);
        }
        self.check(parent.start)?;
        self.check(Timestamp(parent.end.0 - 1))?;
        let windows = &self.periods(period).windows;
        let before = |at: Timestamp| windows.partition_point(|window| window.start < at);
        Ok(u32::try_from(before(parent.end) - before(parent.start)).unwrap_or(u32::MAX))
    }

    fn periods(&self, period: Period) -> &Periods {
        match period {
            Period::Day => &self.days,
            Period::Week => &self.weeks,
            Period::Month => &self.months,
        }
    }

    fn check(&self, at: Timestamp) -> Result<()> {
        if self.covered.contains(at) { Ok(()) } else { Err(self.outside(at)) }
    }

    fn outside(&self, at: Timestamp) -> Error {
        self.uncovered(format!("{at} is outside the years that calendar `{}` covers", self.name))
    }

    fn partly(&self, period: Period, at: Timestamp) -> Error {
        let period = format!("{period:?}").to_lowercase();
        self.uncovered(format!("calendar `{}` does not cover the whole {period} at {at}", self.name))
    }

    fn uncovered(&self, message: String) -> Error {
        Error::new(ErrorKind::Calendar, message)
            .with("covers", format!("{} to {}", self.years.0, self.years.1))
            .help("give a calendar file that covers the time")
    }
}

impl TradeDate {
    /// From the first open to the last close.
    fn session(&self) -> Option<Window> {
        Some(Window::new(self.segments.first()?.start, self.segments.last()?.end))
    }
}

fn containing(windows: &[Window], at: Timestamp) -> Option<Window> {
    let index = windows.partition_point(|window| window.end <= at);
    windows.get(index).copied().filter(|window| window.start <= at)
}

fn wrong(definition: &Definition, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Calendar, message).with("calendar", &definition.name)
}

/// Every trade date of the years that has a session, and the mistakes found on the way.
fn expand(definition: &Definition) -> (Vec<TradeDate>, Vec<Error>) {
    let (mut dates, mut errors) = (Vec::new(), Vec::new());
    let first = NaiveDate::from_ymd_opt(definition.years.0, 1, 1).unwrap_or_default();
    for date in first.iter_days().take_while(|date| definition.covers(*date)) {
        let mut segments = Vec::new();
        for segment in definition.segments(date) {
            match in_utc(definition, date, *segment) {
                Ok(window) => segments.push(window),
                Err(error) => errors.push(error),
            }
        }
        if !segments.is_empty() {
            dates.push(TradeDate { day: day_number(date), segments });
        }
    }
    (dates, shortened(definition, errors))
}

fn shortened(definition: &Definition, mut errors: Vec<Error>) -> Vec<Error> {
    let more = errors.len().saturating_sub(TOLD);
    errors.truncate(TOLD);
    if more > 0 {
        errors.push(wrong(definition, format!("and {more} more mistakes like these")));
    }
    errors
}

fn in_utc(definition: &Definition, date: NaiveDate, segment: LocalSegment) -> Result<Window> {
    let at = |time: LocalTime| {
        let local = time.on(date).filter(|_| time.days_before(date) <= DAYS_BEFORE);
        match local.and_then(|local| definition.zone.instant(local)) {
            Some(Instant::At(at)) => Ok(Timestamp(at)),
            Some(Instant::Skipped { resumes }) => {
                Err(wrong(definition, "a local time does not exist: the clock is set forward over it")
                    .with("trade date", date.to_string())
                    .with(
                        "time",
                        format!(
                            "`{time}` in {}, where the clock goes on at {}",
                            definition.zone,
                            Timestamp(resumes)
                        ),
                    ))
            }
            None => Err(wrong(
                definition,
                format!("`{time}` is more than {DAYS_BEFORE} days before its trade date"),
            )
            .with("trade date", date.to_string())),
        }
    };
    let window = Window::new(at(segment.open)?, at(segment.close)?);
    if window.start < window.end {
        return Ok(window);
    }
    Err(wrong(definition, format!("`{segment}` does not close after it opens"))
        .with("trade date", date.to_string()))
}

/// Segments that begin before the one before has ended, and sessions that are too long.
fn overlaps(definition: &Definition, dates: &[TradeDate]) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut previous: Option<(i64, Window)> = None;
    for date in dates {
        for segment in &date.segments {
            if let Some((day, earlier)) = previous.filter(|(_, earlier)| segment.start < earlier.end) {
                errors.push(
                    wrong(definition, "sessions overlap, or are not in order")
                        .with("trade dates", format!("{} and {}", shown(day), shown(date.day)))
                        .with("sessions", format!("{earlier} and {segment}")),
                );
            }
            previous = Some((date.day, *segment));
        }
        if date.session().is_some_and(|session| session.end.0 - session.start.0 > DAYS_BEFORE as i64 * DAY) {
            let message = format!("the session of a trade date is longer than {DAYS_BEFORE} days");
            errors.push(wrong(definition, message).with("trade date", shown(date.day)));
        }
    }
    shortened(definition, errors)
}

fn shown(day: i64) -> String {
    super::zone::date_of(day).map_or_else(String::new, |date| date.to_string())
}

/// From the first midnight, or the evening before on which the first session opens, to the last midnight, or the
/// evening before on which the first session that is not covered may open.
fn covered(definition: &Definition, dates: &[TradeDate]) -> Option<Window> {
    let midnight = |year| {
        let local = NaiveDate::from_ymd_opt(year, 1, 1)?.and_hms_opt(0, 0, 0)?;
        match definition.zone.instant(local)? {
            Instant::At(at) | Instant::Skipped { resumes: at } => Some(Timestamp(at)),
        }
    };
    let (mut start, mut end) = (midnight(definition.years.0)?, midnight(definition.years.1 + 1)?);
    let new_year = NaiveDate::from_ymd_opt(definition.years.1 + 1, 1, 1)?;
    for date in new_year.iter_days().take(7) {
        let opens =
            definition.segments(date).iter().filter_map(|segment| in_utc(definition, date, *segment).ok());
        end = opens.map(|window| window.start).fold(end, Timestamp::min);
    }
    if let (Some(first), Some(last)) = (dates.first(), dates.last()) {
        start = start.min(first.session()?.start);
        end = end.max(last.session()?.end);
    }
    Some(Window::new(start, end))
}

fn months(dates: &[TradeDate]) -> Periods {
    Periods { windows: grouped(dates, |day| month_of(day).map_or(day, |(first, _)| first)), unknown: None }
}

/// The weeks, without a first or last one that reaches into a year whose sessions are not known.
fn weeks(definition: &Definition, dates: &[TradeDate]) -> Periods {
    let mut periods = Periods { windows: grouped(dates, monday_of), unknown: None };
    let partial = |date: &TradeDate| {
        let monday = super::zone::date_of(monday_of(date.day)).unwrap_or_default();
        let mut week = (0..7).filter_map(|days| monday.checked_add_days(Days::new(days)));
        week.any(|date| !definition.covers(date) && !definition.segments(date).is_empty())
    };
    if dates.last().is_some_and(partial) {
        periods.windows.pop();
    }
    if dates.first().is_some_and(partial) && !periods.windows.is_empty() {
        periods.unknown = Some(periods.windows.remove(0).start);
    }
    periods
}

/// One window for all the trade dates with the same answer, from the first open to the last close.
fn grouped(dates: &[TradeDate], by: impl Fn(i64) -> i64) -> Vec<Window> {
    let groups = dates.chunk_by(|a, b| by(a.day) == by(b.day));
    let bounds = |group: &[TradeDate]| {
        Some(Window::new(group.first()?.session()?.start, group.last()?.session()?.end))
    };
    groups.filter_map(bounds).collect()
}
