//! Windows that are known before a record comes: the trait, and the tumbling and hopping ones.
//!
//! Every rule that depends on time is a function of the **watermark** alone. A window is closed, neither accepting
//! records nor waiting to be emitted, from the one moment on when `end <= watermark - grace`.

use super::timestamp::millis;
use super::{Timestamp, Window};
use crate::error::BoxError;
use std::time::Duration;

/// How long the windows are. It decides the bytes of a windowed key: with a fixed size the end need not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSize {
    /// Every window has this length.
    Fixed(Duration),
    /// No window is longer (calendar days, sessions, months).
    AtMost(Duration),
}

impl WindowSize {
    /// The length of the longest window.
    pub fn longest(self) -> Duration {
        match self {
            Self::Fixed(size) | Self::AtMost(size) => size,
        }
    }
}

/// Windows that are known before a record comes; the key may choose the calendar.
///
/// Implementations are pure: the same answers for the same arguments, at every time and on every machine.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which windows a key `{K}` has",
    note = "`TimeWindows`, `CalendarWindows<{K}>`, `Slots<{K}>` or an own `impl Windows<{K}>`"
)]
pub trait Windows<K>: Send + Sync + 'static {
    /// Pushes the windows that contain `at`, by ascending start. None: the record belongs to no window.
    fn assign(&self, key: &K, at: Timestamp, windows: &mut Vec<Window>) -> Result<(), BoxError>;

    /// The first window that starts at or after `from`, `None` if there is none any more.
    fn next(&self, key: &K, from: Timestamp) -> Result<Option<Window>, BoxError>;

    /// The length of the windows, fixed or bounded.
    fn size(&self) -> WindowSize;

    /// How long after its end a window still accepts records, measured on the watermark.
    fn grace(&self) -> Duration;

    /// The start of the earliest window that can still be open at `watermark`: what the next level may count on.
    /// It must not decrease as the watermark grows.
    fn earliest_open(&self, watermark: Timestamp) -> Timestamp {
        watermark.minus(self.grace()).minus(self.size().longest()).plus(Duration::from_millis(1))
    }

    /// Whether a time can be in more than one window. Gaps between such windows have no meaning.
    fn overlapping(&self) -> bool {
        false
    }

    /// How many windows start inside `parent`; override where it can be computed.
    fn count_within(&self, key: &K, parent: Window) -> Result<u32, BoxError> {
        let (mut count, mut from) = (0, parent.start);
        while let Some(window) = self.next(key, from)?.filter(|window| window.start < parent.end) {
            (count, from) = (count + 1, window.end);
        }
        Ok(count)
    }

    /// A mistake in the windows themselves, reported by `build()`.
    fn check(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Tumbling windows, or hopping ones with [`advance_by`](Self::advance_by), aligned to the epoch.
///
/// ```
/// use highwater::time::{TimeWindows, Timestamp, Window, Windows, milliseconds};
/// let hopping = TimeWindows::of_size(milliseconds(10)).advance_by(milliseconds(3));
/// let mut windows = Vec::new();
/// hopping.assign(&"any key", Timestamp(11), &mut windows)?;
/// assert_eq!(windows.iter().map(|w| w.start.0).collect::<Vec<_>>(), [3, 6, 9]);
/// # Ok::<(), highwater::BoxError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeWindows {
    size: Duration,
    advance: Duration,
    grace: Duration,
}

impl TimeWindows {
    /// Tumbling windows of this size, without grace. A size of zero is an error of `build()`.
    pub const fn of_size(size: Duration) -> Self {
        Self { size, advance: size, grace: Duration::ZERO }
    }
    /// A window starts every `advance`; they overlap where that is less than their size.
    pub const fn advance_by(self, advance: Duration) -> Self {
        Self { advance, ..self }
    }
    /// How long after its end a window still accepts records.
    pub const fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// The first start on the grid at or after a time, never before 0.
    fn start_at_or_after(&self, at: i64) -> i64 {
        let advance = millis(self.advance).max(1);
        let at = at.max(0);
        at.checked_add(advance - 1).map_or(i64::MAX, |up| up / advance * advance)
    }
}

impl<K> Windows<K> for TimeWindows {
    fn assign(&self, _: &K, at: Timestamp, windows: &mut Vec<Window>) -> Result<(), BoxError> {
        if at.0 < 0 {
            return Ok(());
        }
        let (size, advance) = (millis(self.size), millis(self.advance).max(1));
        let mut start = (at.0 - size + advance).max(0) / advance * advance;
        while start <= at.0 {
            // A hop that is longer than the window leaves gaps: the start may be too far back to contain the time.
            if start + size > at.0 {
                windows.push(Window::new(Timestamp(start), Timestamp(start + size)));
            }
            start += advance;
        }
        Ok(())
    }

    fn next(&self, _: &K, from: Timestamp) -> Result<Option<Window>, BoxError> {
        let start = self.start_at_or_after(from.0);
        let end = start.checked_add(millis(self.size));
        Ok(end.map(|end| Window::new(Timestamp(start), Timestamp(end))))
    }

    fn size(&self) -> WindowSize {
        WindowSize::Fixed(self.size)
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    /// Exactly, on the grid: the first start whose end is after `watermark - grace`.
    fn earliest_open(&self, watermark: Timestamp) -> Timestamp {
        if watermark == Timestamp::MIN || watermark == Timestamp::MAX {
            return watermark;
        }
        let bound = watermark.minus(self.grace).minus(self.size);
        Timestamp(self.start_at_or_after(bound.0.saturating_add(1)))
    }

    fn overlapping(&self) -> bool {
        self.advance < self.size
    }

    fn count_within(&self, _: &K, parent: Window) -> Result<u32, BoxError> {
        let first = self.start_at_or_after(parent.start.0);
        let span = parent.end.0 - first;
        let advance = millis(self.advance).max(1);
        Ok(u32::try_from((span + advance - 1).max(0) / advance)?)
    }

    fn check(&self) -> Result<(), BoxError> {
        if millis(self.size) <= 0 {
            return Err(
                "a window of size zero holds nothing; give `TimeWindows::of_size` at least 1 ms".into()
            );
        }
        if millis(self.advance) <= 0 {
            return Err("windows that advance by zero never end; give `advance_by` at least 1 ms".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::milliseconds as ms;
    use super::*;

    fn starts(windows: &TimeWindows, at: i64) -> Vec<i64> {
        let mut out = Vec::new();
        windows.assign(&(), Timestamp(at), &mut out).expect("assigns");
        out.iter().map(|w| w.start.0).collect()
    }

    #[test]
    fn tumbling_is_half_open() {
        let windows = TimeWindows::of_size(ms(10));
        for (at, start) in [(0, 0), (9, 0), (10, 10), (19, 10), (20, 20)] {
            assert_eq!(starts(&windows, at), [start], "at {at}");
        }
        assert!(starts(&windows, -1).is_empty());
    }

    #[test]
    fn hopping_is_aligned_to_the_epoch() {
        let windows = TimeWindows::of_size(ms(10)).advance_by(ms(3));
        for (at, expected) in
            [(0, vec![0]), (2, vec![0]), (3, vec![0, 3]), (11, vec![3, 6, 9]), (12, vec![3, 6, 9, 12])]
        {
            assert_eq!(starts(&windows, at), expected, "at {at}");
        }
        let gaps = TimeWindows::of_size(ms(2)).advance_by(ms(5));
        for (at, expected) in
            [(0, vec![0]), (1, vec![0]), (2, vec![]), (4, vec![]), (5, vec![5]), (7, vec![])]
        {
            assert_eq!(starts(&gaps, at), expected, "at {at}");
        }
    }

    #[test]
    fn next_starts_at_or_after() {
        let windows = TimeWindows::of_size(ms(10));
        for (from, start) in [(-5, 0), (0, 0), (1, 10), (9, 10), (10, 10), (11, 20)] {
            let next = windows.next(&(), Timestamp(from)).expect("next").expect("some");
            assert_eq!((next.start.0, next.end.0), (start, start + 10), "from {from}");
        }
    }

    /// The earliest window that `closed` (`end <= W - G`) does not call closed.
    #[test]
    fn earliest_open_is_exact_on_the_grid() {
        for windows in [
            TimeWindows::of_size(ms(10)).grace(ms(5)),
            TimeWindows::of_size(ms(10)).advance_by(ms(3)).grace(ms(4)),
        ] {
            for watermark in 0..60 {
                let open = Windows::<()>::earliest_open(&windows, Timestamp(watermark));
                let grace = millis(windows.grace);
                let mut from = Timestamp(0);
                let expected = loop {
                    let next = windows.next(&(), from).expect("next").expect("some");
                    if next.end.0 > watermark - grace {
                        break next.start;
                    }
                    from = Timestamp(next.start.0 + 1);
                };
                assert_eq!(open, expected, "W = {watermark}");
            }
        }
    }

    #[test]
    fn count_within_counts_starts() {
        let minute = TimeWindows::of_size(ms(10));
        for (start, end, expected) in [(0, 60, 6), (5, 60, 5), (0, 61, 7), (0, 0, 0), (3, 9, 0)] {
            let parent = Window::new(Timestamp(start), Timestamp(end));
            assert_eq!(minute.count_within(&(), parent).expect("counts"), expected, "[{start}, {end})");
        }
    }

    #[test]
    fn zero_sizes_are_refused() {
        assert!(Windows::<()>::check(&TimeWindows::of_size(Duration::ZERO)).is_err());
        assert!(Windows::<()>::check(&TimeWindows::of_size(ms(1)).advance_by(Duration::ZERO)).is_err());
        assert!(Windows::<()>::check(&TimeWindows::of_size(ms(1))).is_ok());
    }
}
