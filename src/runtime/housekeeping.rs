//! Now and then, beside the work: local state that nobody needs any longer goes.

use super::Moment;
use super::process::Process;
use crate::record::TaskId;
use crate::time::millis;
use std::collections::BTreeSet;

/// The longest time between two looks, ms of the machine's clock.
const INTERVAL: i64 = 60_000;

/// When it was looked at last.
#[derive(Debug, Default)]
pub(crate) struct Housekeeping {
    looked: Option<i64>,
}

impl Housekeeping {
    /// It has time: no step is made for it, and what fails is tried again.
    pub(crate) fn step(&mut self, process: &Process, owned: impl Iterator<Item = TaskId>, moment: Moment) {
        let delay = process.settings.stores.cleanup_delay;
        let interval = millis(delay).min(INTERVAL);
        if self.looked.is_some_and(|looked| moment.machine - looked < interval) {
            return;
        }
        self.looked = Some(moment.machine);
        let owned: BTreeSet<TaskId> = owned.collect();
        if let Err(error) = process.disk.clean(&owned, moment.date, delay) {
            tracing::warn!(%error, "local state that nobody needs is still there");
        }
    }
}
