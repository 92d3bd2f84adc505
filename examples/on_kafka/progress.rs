//! What an application tells of itself, on standard error. `RUST_LOG` asks for more or less.

use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// The effective configuration is long, and so it is left out.
const USUAL: &str = "highwater=info,highwater::runtime::kafka_streams=warn";

/// From now on.
pub fn show() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    // Another one may be there already, as in a test.
    _ = subscriber.try_init();
}
