//! Judges the bar pipeline from outside: reads `ticks` and the finals with a client of its own, folds the ticks by plain
//! code of its own, and says what is missing, repeated, different or out of order.
//!
//! Nothing here is Highwater's: what is wrong in both cannot agree by sharing the mistake.

pub mod bar;
pub mod calendar;
pub mod changelog;
pub mod feeder;
pub mod finals;
pub mod fold;
pub mod judge;
pub mod kafka;
pub mod tick;
pub mod timeframe;
pub mod topics;
pub mod verdict;

/// What went wrong, for a person.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T, E = Error> = std::result::Result<T, E>;
