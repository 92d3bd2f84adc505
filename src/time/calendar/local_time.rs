//! Times as a calendar file writes them: `09:30-16:00`, or `sun 17:00-17:00` where a session begins before its trade date.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use std::fmt;

/// From an open to a close, in local time, relative to a trade date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalSegment {
    pub(super) open: LocalTime,
    pub(super) close: LocalTime,
}

/// A local time on a trade date, or on the last such weekday before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalTime {
    weekday: Option<Weekday>,
    /// Up to 24:00.
    minutes: u32,
}

/// A session begins at most so many days before its trade date: over a weekend and a holiday beside it.
pub(super) const DAYS_BEFORE: u64 = 4;

impl LocalSegment {
    /// Reads `09:30-16:00` or `sun 17:00-17:00`; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (open, close) = text.split_once('-').ok_or("it has no `-` between open and close")?;
        Ok(Self { open: LocalTime::parse(open)?, close: LocalTime::parse(close)? })
    }
}

impl LocalTime {
    fn parse(text: &str) -> Result<Self, String> {
        let (weekday, clock) = match text.trim().rsplit_once(' ') {
            Some((day, clock)) => {
                (Some(weekday(day.trim()).ok_or_else(|| format!("`{day}` is not a weekday"))?), clock)
            }
            None => (None, text.trim()),
        };
        let minutes =
            minutes_of(clock).ok_or_else(|| format!("`{clock}` is not a time from 00:00 to 24:00"))?;
        Ok(Self { weekday, minutes })
    }

    /// The local date and time, for one trade date.
    pub(super) fn on(self, date: NaiveDate) -> Option<NaiveDateTime> {
        let date = date.checked_sub_days(Days::new(self.days_before(date)))?;
        match self.minutes {
            1440 => date.succ_opt()?.and_hms_opt(0, 0, 0),
            minutes => Some(date.and_time(NaiveTime::from_hms_opt(minutes / 60, minutes % 60, 0)?)),
        }
    }

    /// How many days before its trade date it is, 0 to 7.
    pub(super) fn days_before(self, date: NaiveDate) -> u64 {
        self.weekday.map_or(0, |weekday| match u64::from(date.weekday().days_since(weekday)) {
            0 => 7,
            days => days,
        })
    }
}

/// The three letters that a file writes.
pub(super) fn weekday(text: &str) -> Option<Weekday> {
    WEEKDAYS.iter().find(|(name, _)| *name == text).map(|(_, day)| *day)
}

pub(super) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];

fn minutes_of(clock: &str) -> Option<u32> {
    let (hours, minutes) = clock.split_once(':')?;
    let number = |text: &str| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| plain)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= 1440).then_some(hours * 60 + minutes)
}

impl fmt::Display for LocalSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.open, self.close)
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = WEEKDAYS.iter().find(|(_, day)| Some(*day) == self.weekday);
        let day = day.map(|(name, _)| format!("{name} ")).unwrap_or_default();
        write!(f, "{day}{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_reads() {
        for text in ["09:30-16:00", "sun 17:00-17:00", "fri 16:30-sat 06:00", "00:00-24:00"] {
            assert_eq!(LocalSegment::parse(text).expect(text).to_string(), text);
        }
        for text in [
            "",
            "9:30-16:00",
            "09:30",
            "09:30-24:01",
            "09:60-10:00",
            "noon-16:00",
            "day 09:00-10:00",
            "+9:30-16:00",
        ] {
            assert!(LocalSegment::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_weekday_is_the_last_one_before_the_trade_date() {
        let date = NaiveDate::from_ymd_opt(2024, 11, 4).expect("a Monday");
        let on = |text: &str| LocalSegment::parse(text).expect(text).open.on(date).expect(text).to_string();
        assert_eq!(on("09:30-16:00"), "2024-11-04 09:30:00");
        assert_eq!(on("sun 17:00-17:00"), "2024-11-03 17:00:00");
        assert_eq!(on("fri 16:30-sat 06:00"), "2024-11-01 16:30:00");
        assert_eq!(on("mon 24:00-06:00"), "2024-10-29 00:00:00");
    }
}
