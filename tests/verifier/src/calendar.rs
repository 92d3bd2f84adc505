//! Markets that never close, with days in UTC or at a fixed offset from it: `24x7`, `24x7@-05:00`.

use crate::Result;
use crate::timeframe::Timeframe;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Half-open, in ms UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    pub start: i64,
    pub end: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Local time is UTC and this, in ms; whole hours, so that no hour lies in two days.
    offset: i64,
}

impl Calendar {
    /// Other calendars of the pipeline are refused: they are not known here.
    pub fn parse(text: &str) -> Result<Self> {
        let offset = match text.strip_prefix("24x7") {
            Some("") => 0,
            Some(zone) => {
                hours(zone).ok_or_else(|| format!("calendar {text}: known are 24x7 and 24x7@+HH:00"))?
            }
            None => return Err(format!("calendar {text}: known are 24x7 and 24x7@+HH:00").into()),
        };
        Ok(Self { offset: offset * HOUR })
    }

    /// The slot in which a moment lies.
    pub fn slot(self, timeframe: Timeframe, at: i64) -> Result<Slot> {
        let fixed =
            |size: i64| Slot { start: at.div_euclid(size) * size, end: (at.div_euclid(size) + 1) * size };
        Ok(match timeframe {
            Timeframe::M1 => fixed(MINUTE),
            Timeframe::H1 => fixed(HOUR),
            Timeframe::D1 => self.days(self.date(at)?, |day| day.checked_add_days(Days::new(1)))?,
            Timeframe::W1 => {
                let day = self.date(at)?;
                let monday = day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())));
                self.days(monday.ok_or("no such week")?, |day| day.checked_add_days(Days::new(7)))?
            }
            Timeframe::Mo1 => {
                let first = self.date(at)?.with_day(1).ok_or("no such month")?;
                self.days(first, |day| day.checked_add_months(Months::new(1)))?
            }
        })
    }

    /// How many children a slot has; none for those that have no children.
    pub fn children(timeframe: Timeframe, slot: Slot) -> Option<u32> {
        let of = |size: i64| Some(((slot.end - slot.start) / size) as u32);
        match timeframe {
            Timeframe::M1 => None,
            Timeframe::H1 => of(MINUTE),
            Timeframe::D1 => of(HOUR),
            Timeframe::W1 | Timeframe::Mo1 => of(24 * HOUR),
        }
    }

    fn date(self, at: i64) -> Result<NaiveDate> {
        let local = DateTime::from_timestamp_millis(at + self.offset).ok_or("a time outside all years")?;
        Ok(local.date_naive())
    }

    fn days(self, first: NaiveDate, next: impl Fn(NaiveDate) -> Option<NaiveDate>) -> Result<Slot> {
        let midnight =
            |day: NaiveDate| Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis() - self.offset);
        let start = midnight(first).ok_or("no midnight")?;
        let end = next(first).and_then(midnight).ok_or("no next day")?;
        Ok(Slot { start, end })
    }
}

/// `@-05:00`.
fn hours(zone: &str) -> Option<i64> {
    let digits = zone.strip_prefix("@+").or_else(|| zone.strip_prefix("@-"))?;
    let hours: i64 = digits.strip_suffix(":00")?.parse().ok().filter(|hours| *hours < 24)?;
    Some(if zone.starts_with("@-") { -hours } else { hours })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29T23:59:59.999Z, a Thursday.
    const LEAP: i64 = 1_709_251_199_999;

    fn slot(calendar: &str, timeframe: Timeframe, at: i64) -> (i64, i64) {
        let slot = Calendar::parse(calendar).unwrap().slot(timeframe, at).unwrap();
        (slot.start - LEAP, slot.end - LEAP)
    }

    #[test]
    fn slots_are_half_open_in_utc() {
        let day = 24 * HOUR;
        assert_eq!(slot("24x7", Timeframe::M1, LEAP), (1 - MINUTE, 1));
        assert_eq!(slot("24x7", Timeframe::H1, LEAP), (1 - HOUR, 1));
        assert_eq!(slot("24x7", Timeframe::D1, LEAP), (1 - day, 1));
        assert_eq!(slot("24x7", Timeframe::W1, LEAP), (1 - 4 * day, 1 + 3 * day));
        assert_eq!(slot("24x7", Timeframe::Mo1, LEAP), (1 - 29 * day, 1));
        assert_eq!(slot("24x7", Timeframe::Mo1, LEAP + 1), (1, 1 + 31 * day));
    }

    #[test]
    fn days_at_an_offset_begin_later_or_earlier() {
        let day = 24 * HOUR;
        assert_eq!(slot("24x7@-05:00", Timeframe::D1, LEAP), (1 + 5 * HOUR - day, 1 + 5 * HOUR));
        assert_eq!(slot("24x7@+09:00", Timeframe::D1, LEAP), (1 - 9 * HOUR, 1 + 15 * HOUR));
        assert_eq!(slot("24x7@-05:00", Timeframe::H1, LEAP), (1 - HOUR, 1));
    }

    #[test]
    fn other_calendars_are_refused() {
        for text in ["fx", "24x7@Europe/Berlin", "24x7@+05:30", "24x7@+24:00"] {
            assert!(Calendar::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn children_are_counted_by_length() {
        let of = |timeframe| {
            let slot = Calendar::default().slot(timeframe, LEAP).unwrap();
            Calendar::children(timeframe, slot)
        };
        assert_eq!(Timeframe::ALL.map(of), [None, Some(60), Some(24), Some(7), Some(29)]);
    }
}
