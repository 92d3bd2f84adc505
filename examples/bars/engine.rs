//! The seam to the engine: everything that knows how the embedded log is started, fed, read and stopped is here.

use crate::options::{AtEnd, Options};
use crate::report::Closed;
use crate::symbol::Symbol;
use crate::tick::Tick;
use highwater::time::Clock;
use highwater::{BoxError, Topology};
use std::sync::Arc;

/// The topology, running on a log in this process. It has no value until the engine is here: see [`start`](Self::start).
pub enum Engine {}

/// What the engine counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub late: u64,
    pub outside: u64,
}

impl Engine {
    /// WIRE HERE: create the topics with `options.partitions`, take `options.properties` and exactly once, start on `clock`.
    pub fn start(_topology: Topology, _clock: Arc<dyn Clock>, _options: &Options) -> Result<Self, BoxError> {
        Err("the embedded engine is not there yet".into())
    }

    /// `false`: the log is a bounded number of records ahead; poll, then try again.
    pub fn append(&mut self, _symbol: &Symbol, _tick: &Tick) -> Result<bool, BoxError> {
        match *self {}
    }

    /// Adds the finals that were committed since the last time. Whether anything is still under way.
    pub fn poll(&mut self, _closed: &mut Vec<Closed>) -> Result<bool, BoxError> {
        match *self {}
    }

    /// No more ticks will come: poll until nothing is under way.
    pub fn end_of_input(&mut self, _at_end: AtEnd) -> Result<(), BoxError> {
        match *self {}
    }

    /// Commits, adds the last finals, and stops.
    pub fn stop(self, _closed: &mut Vec<Closed>) -> Result<Counts, BoxError> {
        match self {}
    }
}
