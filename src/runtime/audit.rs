//! Under `at_least_once`: an owner that writes nothing to a changelog looks at its end from time to time.
//!
//! What somebody else wrote there may hide a true value from the next owner, and after the compaction lag from every
//! one; so it is looked for every quarter of the lag, and put right by a commit.

use super::ask::Ask;
use super::changelog_reader::KeyReader;
use super::process::{Activity, Step};
use super::running::Running;
use crate::broker::Isolation;
use crate::error::Result;

/// When it is due, and how far it is.
#[derive(Default)]
pub(crate) struct Audit {
    /// The machine's clock; `None`: not set yet.
    next: Option<i64>,
    asking: Option<Ask>,
    readers: Vec<(usize, usize, KeyReader)>,
}

impl Audit {
    /// A commit looks for itself at what it writes to, and moves the ends.
    pub(crate) fn interrupt(&mut self) {
        (self.asking, self.readers) = (None, Vec::new());
    }

    pub(crate) fn step(&mut self, step: &mut Step<'_>, running: &mut [Running]) -> Result<Activity> {
        let lags =
            running.iter().flat_map(|running| running.logs.iter().flatten()).map(|log| log.compaction_lag);
        let Some(lag) = lags.min() else { return Ok(Activity::default()) };
        let machine = step.moment.machine;
        let interval = (lag / 4).max(1000);
        let next = *self.next.get_or_insert(machine + interval);
        if !self.readers.is_empty() {
            return self.read(step, running);
        }
        if self.asking.is_none() && machine < next {
            return Ok(Activity::until(next));
        }
        self.next = Some(machine + interval);
        self.ask(step, running)
    }

    fn ask(&mut self, step: &mut Step<'_>, running: &[Running]) -> Result<Activity> {
        let ask = self.asking.get_or_insert_default();
        let logs = running.iter().flat_map(|running| running.logs.iter().flatten());
        let partitions = logs.map(|log| log.partition.clone()).collect();
        let told = ask.poll(
            step,
            "ask for the ends of changelogs",
            |admin| admin.start_bounds(partitions, Isolation::ReadUncommitted),
            |admin, ticket| admin.poll_bounds(ticket),
        )?;
        let Some(bounds) = told else { return Ok(ask.activity()) };
        self.asking = None;
        for (task, running) in running.iter().enumerate() {
            for (store, log) in running.logs.iter().enumerate() {
                let Some(log) = log else { continue };
                let end = bounds.get(&log.partition).map_or(log.next, |bounds| bounds.end);
                if end > log.next {
                    self.readers.push((task, store, KeyReader::new(log.partition.clone(), log.next, end)));
                }
            }
        }
        Ok(Activity::PROGRESS)
    }

    fn read(&mut self, step: &mut Step<'_>, running: &mut [Running]) -> Result<Activity> {
        let mut activity = Activity::default();
        for (_, _, reader) in &mut self.readers {
            activity.add(reader.step(step)?);
        }
        if self.readers.iter().any(|(_, _, reader)| !reader.range.is_read()) {
            return Ok(activity);
        }
        for (task, store, reader) in std::mem::take(&mut self.readers) {
            let log = running.get_mut(task).and_then(|running| running.logs.get_mut(store));
            if let Some(log) = log.and_then(Option::as_mut) {
                log.next = log.next.max(reader.range.end);
                log.again.extend(reader.keys);
            }
        }
        Ok(Activity::PROGRESS)
    }
}
