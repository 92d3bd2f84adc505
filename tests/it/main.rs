//! Scenarios on the real engine, the in-memory log and a manual clock.

#![allow(unreachable_pub, reason = "modules of one test binary")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr, reason = "helpers of tests")]

mod bad_input;
mod cascade;
mod dead_letters;
mod duplicates;
mod end_to_end;
mod explanation;
mod finalisation;
mod handlers;
mod heartbeat;
#[cfg(feature = "kafka")]
mod kafka;
mod pods;
mod property;
mod rounding;
mod run;
mod session;
mod ticks;
mod watermark;
