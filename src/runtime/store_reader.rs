//! Asks the tasks of this process about one store, and waits for their answers.

use super::State;
use super::home::Home;
use super::reads::{Part, Read};
use super::running_streams::{RunningStreams, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::record::TaskId;
use crate::state::{Readable, Row, StoreQuery, StoreScan};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// One store of an application that runs.
#[derive(Clone)]
pub(super) struct StoreReader {
    shared: Arc<Shared>,
    home: Arc<dyn Home>,
    name: Arc<str>,
    subtopology: u32,
    place: usize,
    by_partition: bool,
    /// So many parts make an answer.
    workers: usize,
    pub(super) timeout: Duration,
}

/// All parts of an answer.
#[derive(Default)]
struct Answer {
    rows: Vec<Row>,
    read: BTreeSet<TaskId>,
    starting: BTreeSet<TaskId>,
    tasks: usize,
}

impl StoreReader {
    /// The reader of a store, and what is known of it.
    pub(super) fn of<'a>(running: &'a RunningStreams, name: &str) -> Result<(Self, &'a Readable)> {
        let Some((subtopology, place, readable)) = running.topology.blueprint().store(name) else {
            return Err(Error::state(format!("the topology has no store `{name}`")));
        };
        let Some(readable) = readable else {
            return Err(Error::state(format!("store `{name}` cannot be read"))
                .with("cause", "it is a buffer of `suppress` or `fill_gaps`, in a form of its own")
                .help("read the store of the aggregation above it"));
        };
        let reader = Self {
            shared: running.shared.clone(),
            home: running.home.clone(),
            name: name.into(),
            subtopology,
            place,
            by_partition: readable.by_partition,
            workers: running.workers,
            timeout: running.read_timeout,
        };
        Ok((reader, readable))
    }

    /// The value of a key. `partition_of`: that of the key, of so many.
    pub(super) fn value(
        &self,
        key: Vec<u8>,
        partition_of: impl FnOnce(u32) -> u32,
    ) -> Result<Option<Vec<u8>>> {
        let answer = self.ask(StoreQuery::Get(key))?;
        let tasks = u32::try_from(answer.tasks).unwrap_or(u32::MAX);
        let whole = answer.read.len() == answer.tasks;
        if let Some((_, value)) = answer.rows.into_iter().next() {
            return Ok(Some(value));
        }
        if whole {
            return Ok(None);
        }
        if !self.by_partition {
            return match answer.starting.first() {
                Some(task) => Err(self.starts(*task)),
                None => Err(self.elsewhere(answer.read.len(), answer.tasks)),
            };
        }
        let task = TaskId { subtopology: self.subtopology, partition: partition_of(tasks) };
        match () {
            () if answer.read.contains(&task) => Ok(None),
            () if answer.starting.contains(&task) => Err(self.starts(task)),
            () => Err(self.of_another(task)),
        }
    }

    /// The entries of a range in all tasks here, by key bytes.
    pub(super) fn rows(&self, scan: StoreScan) -> Result<Vec<Row>> {
        let limit = scan.limit;
        let mut answer = self.ask(StoreQuery::Scan(scan))?;
        if let Some(task) = answer.starting.first() {
            return Err(self.starts(*task));
        }
        answer.rows.sort();
        answer.rows.truncate(limit);
        Ok(answer.rows)
    }

    fn ask(&self, query: StoreQuery) -> Result<Answer> {
        let (parts, answers) = channel();
        let (subtopology, place) = (self.subtopology, self.place);
        self.shared.read(Read { subtopology, place, query, parts }).map_err(|error| self.at(error))?;
        self.home.signal().notify();
        let answer = self.wait(&answers)?;
        match self.shared.lock().state {
            State::Created | State::Rebalancing if answer.read.is_empty() && answer.starting.is_empty() => {
                let error = Error::new(ErrorKind::Retriable, "no task is here yet: the group rebalances");
                Err(self.at(error.help("try again when the state is `Running`")))
            }
            _ => Ok(answer),
        }
    }

    fn wait(&self, answers: &Receiver<Part>) -> Result<Answer> {
        let clock = self.home.clock();
        let until = clock.monotonic().saturating_add(crate::time::millis(self.timeout));
        let mut answer = Answer::default();
        for _ in 0..self.workers {
            let left = until.saturating_sub(clock.monotonic()).max(0).unsigned_abs();
            let part =
                answers.recv_timeout(Duration::from_millis(left)).map_err(|why| self.unanswered(why))?;
            answer.rows.extend(part.rows.map_err(|error| self.at(error))?);
            answer.read.extend(part.read);
            answer.starting.extend(part.starting);
            answer.tasks = answer.tasks.max(part.tasks);
        }
        Ok(answer)
    }

    fn at(&self, error: Error) -> Error {
        if error.has("store") { error } else { error.with("store", &*self.name) }
    }

    fn unanswered(&self, why: RecvTimeoutError) -> Error {
        self.at(match why {
            RecvTimeoutError::Timeout => {
                let text = format!("the store was not read within {} ms", self.timeout.as_millis());
                Error::new(ErrorKind::Retriable, text).with(
                    "cause",
                    "it is read between two steps, and one takes longer, or waits for this very read",
                )
            }
            RecvTimeoutError::Disconnected => {
                Error::new(ErrorKind::Retriable, "the application has ended, or starts anew")
            }
        })
    }

    fn starts(&self, task: TaskId) -> Error {
        let error = Error::new(ErrorKind::Retriable, format!("task {task} does not run yet: it is restored"));
        self.at(error).help("try again when the state is `Running`")
    }

    fn of_another(&self, task: TaskId) -> Error {
        let text =
            format!("the key belongs to partition {}, and task {task} does not run here", task.partition);
        self.at(Error::new(ErrorKind::NotHere, text)).help("ask the process that has it")
    }

    fn elsewhere(&self, read: usize, tasks: usize) -> Error {
        let text = format!("the key is in none of the {read} tasks that run here, of {tasks}");
        self.at(Error::new(ErrorKind::NotHere, text)).help("ask the processes that have the others")
    }
}
