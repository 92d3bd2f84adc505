//! A question to a store, on its way to the workers that have its tasks.
//!
//! Tasks belong to the thread that runs them, so what is asked travels as a message and is answered between two steps: no
//! record waits for a lock. Each worker sends one part, and the reader knows how many there are.

use super::process::Process;
use super::running::Running;
use super::worker::Worker;
use crate::error::Result;
use crate::record::TaskId;
use crate::state::{Row, StoreQuery};
use std::sync::mpsc::Sender;

/// What is asked, and where the answers go.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) subtopology: u32,
    /// The store's place in it.
    pub(crate) place: usize,
    pub(crate) query: StoreQuery,
    pub(crate) parts: Sender<Part>,
}

/// The answer of one worker.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) rows: Result<Vec<Row>>,
    /// The tasks of the sub-topology that were read.
    pub(crate) read: Vec<TaskId>,
    /// Those that are its own and do not run yet.
    pub(crate) starting: Vec<TaskId>,
    /// How many the sub-topology has, here and elsewhere; 0 while the topics are not known.
    pub(crate) tasks: usize,
}

impl Read {
    /// The part of one worker.
    pub(crate) fn answer(&self, worker: &Worker, process: &Process) {
        let own = |id: &TaskId| id.subtopology == self.subtopology;
        let running = || worker.readable().iter().filter(|running| own(&running.id));
        let read: Vec<TaskId> = running().map(|running| running.id).collect();
        let starting = worker.owned().filter(|id| own(id) && !read.contains(id)).collect();
        let tasks = process.plan.tasks.keys().filter(|id| own(id)).count();
        let rows = running().map(|running| self.rows(running)).collect::<Result<Vec<_>>>();
        let part = Part { rows: rows.map(|rows| rows.concat()), read, starting, tasks };
        let _the_reader_has_given_up = self.parts.send(part);
    }

    fn rows(&self, running: &Running) -> Result<Vec<Row>> {
        running.task.stores().get(self.place).map_or(Ok(Vec::new()), |store| store.borrow().rows(&self.query))
    }
}
