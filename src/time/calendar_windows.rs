//! Days, weeks and months of the time zone that a key lives in.

use super::calendar::{Calendar, TimeZone};
use super::{Slots, Timestamp, Window, WindowSize, Windows, days};
use crate::error::BoxError;
use std::time::Duration;

/// Local days, ISO weeks or months of the zone that each key lives in; a day has 23 or 25 hours where the clock changes.
///
/// A day starts at the first moment of its local date, also where a clock change skips midnight.
///
/// ```
/// use highwater::time::{CalendarWindows, TimeZone, Timestamp, Windows, minutes};
/// let daily = CalendarWindows::days(|zone: &TimeZone| *zone).grace(minutes(10));
/// let mut windows = Vec::new();
/// daily.assign(&"Europe/Paris".parse()?, Timestamp(1_711_843_200_000), &mut windows)?;
/// assert_eq!(windows[0].to_string(), "[2024-03-30T23:00:00.000Z, 2024-03-31T22:00:00.000Z)");
/// # Ok::<(), highwater::BoxError>(())
/// ```
pub struct CalendarWindows<K>(Slots<K>);

impl<K> CalendarWindows<K> {
    /// From midnight to midnight.
    pub fn days(zone: impl Fn(&K) -> TimeZone + Send + Sync + 'static) -> Self {
        Self(Slots::days(move |key| Ok(Calendar::days_in(zone(key)))).at_most(days(2)))
    }
    /// From Monday to Monday.
    pub fn weeks(zone: impl Fn(&K) -> TimeZone + Send + Sync + 'static) -> Self {
        Self(Slots::weeks(move |key| Ok(Calendar::days_in(zone(key)))).at_most(days(8)))
    }
    /// From the first of a month to the first of the next.
    pub fn months(zone: impl Fn(&K) -> TimeZone + Send + Sync + 'static) -> Self {
        Self(Slots::months(move |key| Ok(Calendar::days_in(zone(key)))).at_most(days(32)))
    }
    /// How long after its end a window still accepts records; nothing by default.
    pub fn grace(self, grace: Duration) -> Self {
        Self(self.0.grace(grace))
    }
}

impl<K> Clone for CalendarWindows<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: 'static> Windows<K> for CalendarWindows<K> {
    fn assign(&self, key: &K, at: Timestamp, windows: &mut Vec<Window>) -> Result<(), BoxError> {
        self.0.assign(key, at, windows)
    }
    fn next(&self, key: &K, from: Timestamp) -> Result<Option<Window>, BoxError> {
        self.0.next(key, from)
    }
    fn size(&self) -> WindowSize {
        self.0.size()
    }
    fn grace(&self) -> Duration {
        Windows::grace(&self.0)
    }
    fn earliest_open(&self, watermark: Timestamp) -> Timestamp {
        self.0.earliest_open(watermark)
    }
    fn count_within(&self, key: &K, parent: Window) -> Result<u32, BoxError> {
        self.0.count_within(key, parent)
    }
}
