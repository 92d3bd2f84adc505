//! The bars example as a program: its options, files, exit codes, and what it says when something is wrong.
#![expect(unreachable_pub, reason = "modules of one test binary")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

mod bad_input;
mod ends;
#[cfg(feature = "kafka")]
mod on_kafka;
mod program;
mod published;
mod replay;
