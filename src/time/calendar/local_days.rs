//! The days, weeks and months of a time zone, without sessions: where each starts, in UTC.
//!
//! A day starts at the first moment whose local date is that day or a later one. So days never overlap and leave no gap,
//! also where a clock change happens at midnight, is repeated over midnight, or skips a whole date (an empty day).

use super::zone::{Instant, TimeZone, date_of, day_number};
use super::{DAY, Period};
use crate::time::{Timestamp, Window};
use chrono::{Datelike, NaiveDate, NaiveTime};
use std::sync::Arc;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum LocalDays {
    /// Every day is 24 hours; milliseconds east of UTC.
    Fixed(i64),
    /// By ascending day and start. Before the first and after the last the days are 24 hours.
    Changing(Arc<[Run]>),
}

/// Days of 24 hours, one after the other; only the last one of a run ends early or late, where the next run starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Days since the epoch.
    first: i64,
    /// Milliseconds since the epoch.
    start: i64,
}

/// The IANA rules are written out until here; afterwards the last offset stays.
const LAST_YEAR: i32 = 2100;

impl LocalDays {
    pub(super) const fn fixed(offset: i64) -> Self {
        Self::Fixed(offset)
    }

    /// The days of a zone from 1970 to 2100.
    pub(super) fn of(zone: TimeZone) -> Self {
        let last = NaiveDate::from_ymd_opt(LAST_YEAR, 12, 31).map_or(0, day_number);
        let mut runs: Vec<Run> = Vec::new();
        for day in -1..=last {
            let Some(start) = start_in(zone, day) else { continue };
            if runs.last().is_none_or(|run| run.start_of(day) != start) {
                runs.push(Run { first: day, start });
            }
        }
        Self::Changing(runs.into())
    }

    /// When a day starts, ms since the epoch.
    fn start(&self, day: i64) -> i64 {
        match self {
            Self::Fixed(offset) => day * DAY - offset,
            Self::Changing(runs) => {
                let after = runs.partition_point(|run| run.first <= day);
                runs.get(after.saturating_sub(1)).map_or(day * DAY, |run| run.start_of(day))
            }
        }
    }

    /// The day that contains a time.
    fn day_at(&self, at: i64) -> i64 {
        match self {
            Self::Fixed(offset) => (at + offset).div_euclid(DAY),
            Self::Changing(runs) => {
                let after = runs.partition_point(|run| run.start <= at);
                let day = runs
                    .get(after.saturating_sub(1))
                    .map_or(0, |run| run.first + (at - run.start).div_euclid(DAY));
                // A run's last day can be longer than 24 hours.
                runs.get(after).map_or(day, |next| day.min(next.first - 1))
            }
        }
    }

    /// The day, week or month that contains a time; `None` beyond the years that a date can have.
    pub(super) fn containing(&self, period: Period, at: i64) -> Option<Window> {
        self.period(period, self.day_at(within_dates(at)?))
    }

    /// The first that starts at or after a time.
    pub(super) fn next(&self, period: Period, from: i64) -> Option<Window> {
        let from = from.max(-FARTHEST);
        let mut window = self.containing(period, from)?;
        while window.start.0 < from || window.start == window.end {
            // An empty day is followed by one with the same start, so the search goes by days, not by time.
            window = self.containing(period, window.end.0)?;
        }
        Some(window)
    }

    /// The day that contains a time, or the first one ever.
    pub(super) fn reaching(&self, at: i64) -> Option<Window> {
        self.containing(Period::Day, at.max(-FARTHEST))
    }

    fn period(&self, period: Period, day: i64) -> Option<Window> {
        let (first, after) = match period {
            Period::Day => (day, day + 1),
            Period::Week => {
                let monday = monday_of(day);
                (monday, monday + 7)
            }
            Period::Month => month_of(day)?,
        };
        Some(Window::new(Timestamp(self.start(first)), Timestamp(self.start(after))))
    }
}

impl Run {
    fn start_of(self, day: i64) -> i64 {
        self.start + (day - self.first) * DAY
    }
}

/// When a day of a zone starts, ms since the epoch.
fn start_in(zone: TimeZone, day: i64) -> Option<i64> {
    match zone.instant(date_of(day)?.and_time(NaiveTime::MIN))? {
        Instant::At(start) | Instant::Skipped { resumes: start } => Some(start),
    }
}

/// The Monday of an ISO week. 1970-01-01 was a Thursday.
pub(super) fn monday_of(day: i64) -> i64 {
    day - (day + 3).rem_euclid(7)
}

/// The first day of a month and of the month after.
pub(super) fn month_of(day: i64) -> Option<(i64, i64)> {
    let first = date_of(day)?.with_day(1)?;
    let after = first.checked_add_months(chrono::Months::new(1))?;
    Some((day_number(first), day_number(after)))
}

/// Some 200,000 years in ms, inside what dates can express.
const FARTHEST: i64 = 200_000 * 365 * DAY;

fn within_dates(at: i64) -> Option<i64> {
    (-FARTHEST..=FARTHEST).contains(&at).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also that no day is longer than `CalendarWindows::size` says.
    #[test]
    fn days_of_every_zone_follow_each_other_without_gap() {
        let mut longest = 0;
        for tz in chrono_tz::TZ_VARIANTS {
            let days = TimeZone::from(tz).days();
            for day in -1..47_847 {
                let (start, end) = (days.start(day), days.start(day + 1));
                longest = longest.max(end - start);
                assert!(start <= end, "{tz}, day {day}");
                if start < end {
                    assert_eq!((days.day_at(start), days.day_at(end - 1)), (day, day), "{tz}, day {day}");
                }
            }
        }
        assert!(longest <= 2 * DAY, "{longest} ms");
    }
}
