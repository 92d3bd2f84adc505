//! The bar pipeline: ticks in, live bars and one-shot final bars out, M1 -> H1 -> D1 -> W1 and Mo1.
//!
//! `cargo run --release --example bars` simulates a market; `-- --help` shows what else it does.
#![allow(unreachable_pub, reason = "a program: `pub` means used by its other files")]
#![allow(
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a program and its tests, not a library"
)]

mod arguments;
mod bar;
mod clock;
#[cfg(feature = "kafka")]
mod cluster;
mod decimal;
mod engine;
#[cfg(feature = "kafka")]
mod feed;
mod finals;
mod input;
mod kafka_options;
mod lines;
mod market;
mod options;
mod outlet;
mod pattern;
#[cfg(feature = "kafka")]
#[path = "../on_kafka/progress.rs"]
mod progress;
mod published;
mod report;
mod run;
mod runs;
#[cfg(feature = "kafka")]
mod serve;
mod shutdown;
mod simulate;
mod summary;
mod symbol;
mod tick;
mod ticks;
mod timeframe;
mod topics;
mod topology;

use arguments::Arguments;
use clap::Parser;
use options::Options;
use run::Ended;
use shutdown::Shutdown;
use std::io::Write;
use std::process::ExitCode;

/// 0: done, or stopped where it would have gone on for ever. 1: failed. 2: a mistake on the command line. 130: interrupted,
/// the finals so far are written.
fn main() -> ExitCode {
    let options = match Options::check(&Arguments::parse()) {
        Ok(options) => options,
        Err(mistakes) => {
            tell(&mistakes);
            return ExitCode::from(2);
        }
    };
    let ended = Shutdown::on_signals().map_err(Into::into).and_then(|shutdown| run::run(&options, &shutdown));
    match ended {
        Ok(Ended::Whole) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => ExitCode::from(130),
        Err(error) => {
            let error = error.to_string();
            tell(&format!("{}{error}", if error.starts_with("error") { "" } else { "error: " }));
            ExitCode::FAILURE
        }
    }
}

/// Standard error may be closed; that is no reason to panic.
fn tell(text: &dyn std::fmt::Display) {
    _ = writeln!(std::io::stderr(), "{text}");
}
