//! One task of a topology without a log around it: what the engine itself costs.

use super::topics::{InputRecord, InputTopic};
use crate::broker::{LogRecord, Outgoing};
use crate::error::{Error, Result};
use crate::processor::Counts;
use crate::record::{Headers, TaskId, TopicPartition};
use crate::runtime::{
    InputKind, InputPlan, Judging, Moment, Saved, SavedInput, StreamsConfig, Task, TaskPlan,
};
use crate::state::{Batch, Disk, Entry, MemoryDisk, SharedBackend};
use crate::time::Timestamp;
use crate::topology::{SubTopology, TaskEnv, Topology};
use std::rc::Rc;
use std::sync::Arc;

/// Records as a log would hand them over, made once and used often.
#[derive(Clone, Default)]
pub struct Records(Vec<LogRecord>);

impl Records {
    /// Serialized for a topic, in order.
    ///
    /// # Errors
    /// If a key or value cannot be serialized.
    pub fn of<K, V>(
        topic: &InputTopic<K, V>,
        records: impl IntoIterator<Item = (K, V, Timestamp)>,
    ) -> Result<Self> {
        let log_record = |(offset, (key, value, at))| {
            let Outgoing { key, value, timestamp, .. } =
                topic.encode(&InputRecord::new(key, value, at), 1)?;
            Ok(LogRecord { offset, timestamp, key, value, headers: Headers::new() })
        };
        (0..).zip(records).map(log_record).collect::<Result<_>>().map(Self)
    }
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Runs the only task of a topology with one source partition: for benchmarks. What leaves is counted and thrown away.
pub struct TaskRunner {
    task: Task,
    backend: SharedBackend,
    moment: Moment,
    written: Vec<Outgoing>,
    offset: i64,
}

impl TaskRunner {
    /// A fresh task with its state in memory.
    ///
    /// # Errors
    /// If the topology has more than one sub-topology or source topic.
    pub fn new(topology: &Topology) -> Result<Self> {
        let blueprint = topology.blueprint();
        let only = "a task runner is for one sub-topology with one source topic";
        let [sub] = blueprint.subtopologies.as_slice() else { return Err(Error::topology(only)) };
        let [source] = sub.sources.as_slice() else { return Err(Error::topology(only)) };
        let Some([topic]) = source.topics.named() else { return Err(Error::topology(only)) };
        let settings =
            StreamsConfig::new("bench", "").exactly_once().set("highwater.max.future.skew.ms", "off");
        let settings = settings.settings()?;
        let id = TaskId { subtopology: 0, partition: 0 };
        let names: Vec<Arc<str>> = sub.stores.iter().map(|store| store.name.clone()).collect();
        let backend = MemoryDisk::default().open(id, &names)?;
        let application_id: Arc<str> = "bench".into();
        let topics = Arc::new(sub.written.iter().map(|topic| (topic.on_broker("bench"), 1)).collect());
        let cache_bytes = settings.cache_bytes;
        let limits = Rc::default();
        let env = TaskEnv { task: id, application_id, backend: backend.clone(), topics, limits, cache_bytes };
        let graph = blueprint.instantiate(&env)?;
        let partition = TopicPartition::new(topic.on_broker("bench"), 0);
        let moment = Moment { now: Timestamp(0), date: Timestamp(0), machine: 0 };
        let saved = Saved { inputs: vec![SavedInput::default()], checkpoint: None };
        let task = Task::new(plan(id, sub, partition), graph, settings.tasks, &saved, moment)?;
        Ok(Self { task, backend, moment, written: Vec::new(), offset: 0 })
    }

    /// Takes records and works on them to the end; returns how many records left.
    ///
    /// # Errors
    /// Of the topology.
    pub fn run(&mut self, records: Records) -> Result<usize> {
        self.offset += records.len() as i64;
        self.task.receive(0, records.0, self.offset);
        let mut left = 0;
        loop {
            let ran = self.task.run(self.moment, 1_000)?;
            self.task.take_output(&mut self.written);
            left += self.written.len();
            self.written.clear();
            if !ran.progressed {
                return Ok(left);
            }
        }
    }

    /// What a commit costs beside the log: forwards what waits, serializes what is dirty, writes the batch. Returns how many entries.
    ///
    /// # Errors
    /// Of the topology or of a serde.
    pub fn commit(&mut self) -> Result<usize> {
        self.task.flush(self.moment)?;
        self.task.take_output(&mut self.written);
        self.written.clear();
        let mut entries = Vec::new();
        for (store, shared) in self.task.stores().iter().enumerate() {
            let mut changes = Vec::new();
            shared.borrow_mut().collect(&mut changes)?;
            entries.extend(changes.iter().map(|change| Entry {
                store,
                key: change.key.clone(),
                value: change.stored(),
            }));
        }
        let count = entries.len();
        self.backend.borrow_mut().write(Batch { entries, checkpoint: None })?;
        self.task.stores().iter().for_each(|store| store.borrow_mut().committed());
        Ok(count)
    }

    /// What the task counted.
    pub fn counts(&self) -> Counts {
        self.task.counts()
    }
}

fn plan(id: TaskId, sub: &SubTopology, partition: TopicPartition) -> TaskPlan {
    let out_of_orderness = sub.sources.first().map(|source| source.out_of_orderness).unwrap_or_default();
    let kind = InputKind::Source { out_of_orderness, idle_timeout: None };
    let input = InputPlan { partition, source: 0, slot: 0, kind };
    let (outputs, changelogs, judging) = (Vec::new(), Vec::new(), Judging::default());
    TaskPlan { id, inputs: vec![input], outputs, changelogs, judging }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsl::{Materialized, Produced, StreamsBuilder, Suppressed};
    use crate::time::{TimeWindows, milliseconds};

    #[test]
    fn it_runs_what_a_task_runs() {
        let builder = StreamsBuilder::new();
        let windowed = builder
            .stream::<String, u64>("in", crate::dsl::Consumed::default())
            .group_by_key()
            .windowed_by(TimeWindows::of_size(milliseconds(10)));
        let counts = windowed.count(Materialized::named("counts"));
        counts.suppress(Suppressed::until_window_closes()).to_stream().to("out", Produced::default());
        let mut runner = TaskRunner::new(&builder.build().expect("builds")).expect("runs");
        let topic = InputTopic::new("in", Produced::<String, u64>::default());
        let records = (0..100).map(|n| ("a".to_owned(), n, Timestamp(n as i64)));
        let left = runner.run(Records::of(&topic, records).expect("serializes")).expect("runs");
        assert_eq!((left, runner.counts().processed), (9, 100), "nine windows have closed");
        assert_eq!(runner.commit().expect("commits"), 1, "the open one");
    }
}
