//! Scenarios on the real engine, the in-memory log and a manual clock.

#![expect(unreachable_pub, reason = "modules of one test binary")]

mod bad_input;
mod cascade;
mod duplicates;
mod end_to_end;
mod finalisation;
mod heartbeat;
mod pods;
mod rounding;
mod run;
mod session;
mod watermark;
