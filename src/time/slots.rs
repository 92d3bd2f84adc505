//! The slots of a timeframe in the calendar that the key picks: what bars are made of.
//!
//! Every slot lies inside the sessions of its calendar. The slots of a smaller timeframe cover those of a larger one
//! exactly wherever the sizes divide each other: a break inside an hour makes two slots of that hour.

use super::calendar::{Calendar, DAY, Period};
use super::timestamp::millis;
use super::{Timestamp, Window, WindowSize, Windows, days, hours, minutes};
use crate::error::BoxError;
use std::sync::Arc;
use std::time::Duration;

/// Minutes, hours, days, ISO weeks or months of the calendar that each key picks; half-open, in UTC.
///
/// ```
/// use highwater::time::{Calendar, Slots, Timestamp, Windows, seconds};
/// let hourly = Slots::hours(1, |_: &String| Ok(Calendar::always())).grace(seconds(90));
/// let mut slots = Vec::new();
/// hourly.assign(&"BTC-USD".to_owned(), Timestamp(5_400_000), &mut slots)?;
/// assert_eq!(slots[0].to_string(), "[1970-01-01T01:00:00.000Z, 1970-01-01T02:00:00.000Z)");
/// # Ok::<(), highwater::BoxError>(())
/// ```
pub struct Slots<K> {
    timeframe: Timeframe,
    anchor: Anchor,
    grace: Duration,
    /// No slot is longer, whatever the calendar.
    longest: Duration,
    calendar: Pick<K>,
}

type Pick<K> = Arc<dyn Fn(&K) -> Result<Calendar, BoxError> + Send + Sync>;

/// Where intraday slots start; days, weeks and months always follow the sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// On the UTC grid, clipped to the session: 10:00-11:00 in every market, and 09:30-10:00 before it.
    #[default]
    Clock,
    /// At the open of each segment of the session, anew after a break: 09:30-10:30.
    Session,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timeframe {
    /// Milliseconds.
    Intraday(i64),
    Whole(Period),
}

impl<K> Slots<K> {
    /// Slots of `n` minutes. None at all is an error of `build()`.
    pub fn minutes(
        n: u32,
        calendar: impl Fn(&K) -> Result<Calendar, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self::new(Timeframe::Intraday(millis(minutes(u64::from(n)))), calendar)
    }
    /// Slots of `n` hours. None at all is an error of `build()`.
    pub fn hours(
        n: u32,
        calendar: impl Fn(&K) -> Result<Calendar, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self::new(Timeframe::Intraday(millis(hours(u64::from(n)))), calendar)
    }
    /// One slot per trade date, from the first open to the last close.
    pub fn days(calendar: impl Fn(&K) -> Result<Calendar, BoxError> + Send + Sync + 'static) -> Self {
        Self::new(Timeframe::Whole(Period::Day), calendar)
    }
    /// One slot per ISO week, from the first open to the last close of its trade dates.
    pub fn weeks(calendar: impl Fn(&K) -> Result<Calendar, BoxError> + Send + Sync + 'static) -> Self {
        Self::new(Timeframe::Whole(Period::Week), calendar)
    }
    /// One slot per calendar month, from the first open to the last close of its trade dates.
    pub fn months(calendar: impl Fn(&K) -> Result<Calendar, BoxError> + Send + Sync + 'static) -> Self {
        Self::new(Timeframe::Whole(Period::Month), calendar)
    }

    fn new(
        timeframe: Timeframe,
        calendar: impl Fn(&K) -> Result<Calendar, BoxError> + Send + Sync + 'static,
    ) -> Self {
        let longest = match timeframe {
            Timeframe::Intraday(size) => Duration::from_millis(size.unsigned_abs()),
            Timeframe::Whole(Period::Day) => days(4),
            Timeframe::Whole(Period::Week) => days(11),
            Timeframe::Whole(Period::Month) => days(35),
        };
        Self {
            timeframe,
            anchor: Anchor::default(),
            grace: Duration::ZERO,
            longest,
            calendar: Arc::new(calendar),
        }
    }

    /// With a tighter bound, where more is known of the calendars.
    pub(super) fn at_most(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// How long after its end a slot still accepts records; nothing by default.
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }
    /// Where intraday slots start.
    pub fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

impl<K> Clone for Slots<K> {
    fn clone(&self) -> Self {
        Self { calendar: self.calendar.clone(), ..*self }
    }
}

impl<K: 'static> Windows<K> for Slots<K> {
    fn assign(&self, key: &K, at: Timestamp, windows: &mut Vec<Window>) -> Result<(), BoxError> {
        let calendar = (self.calendar)(key)?;
        let slot = match self.timeframe {
            Timeframe::Intraday(size) => {
                calendar.segment_at(at)?.map(|segment| Grid::new(size, self.anchor, segment).slot(at))
            }
            Timeframe::Whole(period) => calendar.period_at(period, at)?,
        };
        windows.extend(slot);
        Ok(())
    }

    fn next(&self, key: &K, from: Timestamp) -> Result<Option<Window>, BoxError> {
        let calendar = (self.calendar)(key)?;
        match self.timeframe {
            Timeframe::Intraday(size) => next_in(&calendar, size, self.anchor, from),
            Timeframe::Whole(period) => Ok(calendar.next_period(period, from)?),
        }
    }

    fn size(&self) -> WindowSize {
        WindowSize::AtMost(self.longest)
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    /// On the UTC grid exactly its step, for a slot that is clipped starts later, if at all.
    fn earliest_open(&self, watermark: Timestamp) -> Timestamp {
        if watermark == Timestamp::MIN || watermark == Timestamp::MAX {
            return watermark;
        }
        let bound = watermark.minus(self.grace);
        match (self.timeframe, self.anchor) {
            (Timeframe::Intraday(size), Anchor::Clock) => {
                Timestamp(bound.0.saturating_sub(bound.0.rem_euclid(size.max(1))))
            }
            _ => bound.minus(self.longest).plus(Duration::from_millis(1)),
        }
    }

    fn count_within(&self, key: &K, parent: Window) -> Result<u32, BoxError> {
        let calendar = (self.calendar)(key)?;
        match self.timeframe {
            Timeframe::Intraday(size) => count_in(&calendar, size, self.anchor, parent),
            Timeframe::Whole(period) => Ok(calendar.periods_within(period, parent)?),
        }
    }

    fn check(&self) -> Result<(), BoxError> {
        match self.timeframe {
            Timeframe::Intraday(..=0) => {
                Err("slots of size zero hold nothing; give `Slots::minutes` at least 1".into())
            }
            Timeframe::Intraday(size) if size > DAY => {
                Err("slots longer than a day never end on time; take `Slots::days`, `weeks` or `months`"
                    .into())
            }
            _ => Ok(()),
        }
    }
}

fn next_in(
    calendar: &Calendar,
    size: i64,
    anchor: Anchor,
    from: Timestamp,
) -> Result<Option<Window>, BoxError> {
    let Some(segment) = calendar.segment_after(from)? else { return Ok(None) };
    let start = Grid::new(size, anchor, segment).start_at_or_after(from);
    if start < segment.end {
        return Ok(Some(Grid::new(size, anchor, segment).slot(start)));
    }
    let following = calendar.segment_after(segment.end)?;
    Ok(following.map(|segment| Grid::new(size, anchor, segment).slot(segment.start)))
}

fn count_in(calendar: &Calendar, size: i64, anchor: Anchor, parent: Window) -> Result<u32, BoxError> {
    let (mut count, mut from) = (0, parent.start);
    while from < parent.end {
        let Some(segment) = calendar.segment_after(from)? else { break };
        count += Grid::new(size, anchor, segment).starts_within(parent);
        from = segment.end;
    }
    Ok(u32::try_from(count)?)
}

/// The intraday slots of one segment.
struct Grid {
    size: i64,
    /// A time at which a slot starts, or would.
    base: i64,
    segment: Window,
}

impl Grid {
    fn new(size: i64, anchor: Anchor, segment: Window) -> Self {
        let base = match anchor {
            Anchor::Clock => 0,
            Anchor::Session => segment.start.0,
        };
        Self { size: size.max(1), base, segment }
    }

    /// The slot that contains a time of the segment.
    fn slot(&self, at: Timestamp) -> Window {
        let start = at.0 - (at.0 - self.base).rem_euclid(self.size);
        Window::new(
            Timestamp(start).max(self.segment.start),
            Timestamp(start + self.size).min(self.segment.end),
        )
    }

    /// The first start at or after a time, at or after the segment's end if there is none.
    fn start_at_or_after(&self, at: Timestamp) -> Timestamp {
        if at <= self.segment.start {
            return self.segment.start;
        }
        Timestamp(at.0 + (self.base - at.0).rem_euclid(self.size))
    }

    /// How many slots start inside a window.
    fn starts_within(&self, window: Window) -> i64 {
        let (from, until) = (window.start.max(self.segment.start), window.end.min(self.segment.end));
        if from >= until {
            return 0;
        }
        let first = self.start_at_or_after(from);
        // Behind a clipped slot the next one starts on the grid.
        let clipped =
            i64::from(first == self.segment.start && (first.0 - self.base).rem_euclid(self.size) != 0);
        let on_grid = if clipped == 1 { self.start_at_or_after(Timestamp(first.0 + 1)) } else { first };
        clipped + (until.0 - on_grid.0 + self.size - 1).max(0) / self.size
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
