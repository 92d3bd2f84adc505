//! Where an application runs: what its thread needs besides the engine.

use super::ending::EndOfInput;
use super::signal::Signal;
use super::{Settings, Surroundings};
use crate::error::Result;
use crate::time::Clock;
use std::sync::Arc;

/// A log in the process, or a cluster.
pub(crate) trait Home: Send + Sync {
    fn clock(&self) -> Arc<dyn Clock>;
    /// What one process has; called once, on its thread.
    fn surroundings(&self, settings: &Settings, fingerprint: &str) -> Result<Surroundings>;
    /// Where the input can end.
    fn end_of_input(&self) -> Option<EndOfInput>;
    /// Rises when something has happened that the thread may wait for.
    fn signal(&self) -> &Signal;
    /// How often a writer has found no room: a commit makes some.
    fn times_full(&self) -> u64;
}
