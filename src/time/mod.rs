//! Timestamps, windows, calendars and clocks: pure functions of event time, UTC, in milliseconds.

mod calendar;
mod calendar_windows;
mod clock;
mod node_time;
mod slots;
mod timestamp;
mod window;
mod windows;

pub use calendar::{Calendar, TimeZone};
pub use calendar_windows::CalendarWindows;
pub use clock::{Clock, ManualClock, SystemClock};
pub(crate) use node_time::NodeTime;
pub use slots::{Anchor, Slots};
pub(crate) use timestamp::millis;
pub use timestamp::{Timestamp, days, hours, milliseconds, minutes, seconds};
pub use window::{Window, Windowed};
pub use windows::{TimeWindows, WindowSize, Windows};
