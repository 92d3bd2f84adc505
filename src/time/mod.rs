//! Timestamps, windows, calendars and clocks: pure functions of event time, UTC, in milliseconds.

mod clock;
mod node_time;
mod timestamp;
mod window;
mod windows;

pub use clock::{Clock, ManualClock, SystemClock};
pub(crate) use node_time::NodeTime;
pub(crate) use timestamp::millis;
pub use timestamp::{Timestamp, days, hours, milliseconds, minutes, seconds};
pub use window::{Window, Windowed};
pub use windows::{TimeWindows, WindowSize, Windows};
