//! `TopologyTestDriver`: a topology under test, without a broker.

use super::cluster::Cluster;
use super::topics::{InputRecord, InputTopic, OutputRecord, OutputTopic};
use crate::dsl::{Consumed, Produced};
use crate::error::Result;
use crate::processor::Counts;
use crate::record::TaskId;
use crate::runtime::{CommitPoint, Explanation, StreamsConfig};
use crate::time::{Clock, ManualClock, Timestamp};
use crate::topology::{Kind, SinkTopic, SourceTopics, TopicName, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Drives a topology with a manual clock: several partitions and instances, crashes, rebalances, outages.
///
/// It runs under `exactly_once_v2` unless told otherwise, and reads what a `read_committed` reader would see. The clock
/// starts at the first record's timestamp and moves only by [`advance_clock`](Self::advance_clock). Errors of the topology
/// panic with their text, except in the `try_` forms.
///
/// ```
/// use highwater::{Consumed, Materialized, Produced, StreamsBuilder, testing::TopologyTestDriver, time::Timestamp};
/// let builder = StreamsBuilder::new();
/// let clicks = builder.stream::<String, u64>("clicks", Consumed::default());
/// clicks.group_by_key().count(Materialized::named("count")).to_stream().to("counts", Produced::default());
///
/// let mut driver = TopologyTestDriver::new(builder.build()?).partitions(4).instances(2);
/// let clicks = driver.input_topic("clicks", Produced::<String, u64>::default());
/// let counts = driver.output_topic("counts", Consumed::<String, u64>::default());
/// driver.pipe_input(&clicks, "ann".to_owned(), 1_u64, Timestamp(0));
/// driver.crash_and_restore(0);
/// driver.pipe_input(&clicks, "ann".to_owned(), 1_u64, Timestamp(1));
/// assert_eq!(driver.read_output(&counts).last(), Some(&("ann".to_owned(), 2)));
/// # Ok::<(), highwater::Error>(())
/// ```
pub struct TopologyTestDriver {
    topology: Topology,
    partitions: u32,
    /// Topics that the topology does not name.
    topics: BTreeMap<String, u32>,
    instances: usize,
    config: StreamsConfig,
    manual_commit: bool,
    clock: ManualClock,
    clock_is_set: bool,
    cluster: Option<Cluster>,
    /// Where reading goes on, by topic and partition.
    read: BTreeMap<(Arc<str>, u32), i64>,
}

impl TopologyTestDriver {
    /// One instance, one partition per topic, `exactly_once_v2`, no check of future skew.
    pub fn new(topology: Topology) -> Self {
        let config = StreamsConfig::new("test", "").exactly_once().set("highwater.max.future.skew.ms", "off");
        Self {
            topology,
            partitions: 1,
            topics: BTreeMap::new(),
            instances: 1,
            config,
            manual_commit: false,
            clock: ManualClock::default(),
            clock_is_set: false,
            cluster: None,
            read: BTreeMap::new(),
        }
    }

    /// The partitions of each topic that the topology names, and of the dead letter topic.
    pub fn partitions(self, count: u32) -> Self {
        Self { partitions: count, ..self }
    }
    /// A topic with partitions of its own: one that is chosen per record, found by a pattern, or of another size.
    pub fn topic(mut self, name: &str, partitions: u32) -> Self {
        self.topics.insert(name.to_owned(), partitions);
        self
    }
    /// How many instances share the work.
    pub fn instances(self, count: usize) -> Self {
        Self { instances: count, ..self }
    }
    /// Sets a property of the configuration.
    pub fn set(self, property: &str, value: &str) -> Self {
        Self { config: self.config.set(property, value), ..self }
    }
    /// Runs under `at_least_once`.
    pub fn at_least_once(self) -> Self {
        self.set("processing.guarantee", "at_least_once")
    }
    /// Reads do not commit: [`commit`](Self::commit) does, and the interval as time passes.
    pub fn manual_commit(self) -> Self {
        Self { manual_commit: true, ..self }
    }
    /// The clock starts here instead of at the first record.
    pub fn start_at(self, now: Timestamp) -> Self {
        self.clock.set(now);
        Self { clock_is_set: true, ..self }
    }

    /// A handle to write a topic with.
    pub fn input_topic<K, V>(&self, topic: &str, produced: Produced<K, V>) -> InputTopic<K, V> {
        InputTopic::new(topic, produced)
    }
    /// A handle to read a topic with.
    pub fn output_topic<K, V>(&self, topic: &str, consumed: Consumed<K, V>) -> OutputTopic<K, V> {
        OutputTopic::new(topic, consumed)
    }

    fn cluster(&mut self) -> Result<&mut Cluster> {
        if self.cluster.is_none() {
            let (topology, config) = (self.topology.clone(), self.config.clone());
            let mut cluster = Cluster::new(topology, config, self.instances, self.clock.clone())?;
            for (name, partitions) in self.all_topics() {
                let made = cluster.log.create_topic(&name, partitions, &[]);
                made.map_err(|failure| crate::error::Error::internal(failure.message))?;
            }
            cluster.start_all()?;
            self.cluster = Some(cluster);
        }
        self.cluster.as_mut().ok_or_else(|| crate::error::Error::internal("no cluster"))
    }

    fn all_topics(&self) -> BTreeMap<String, u32> {
        let blueprint = self.topology.blueprint();
        let mut names = BTreeSet::new();
        for node in &blueprint.graph.nodes {
            match &node.kind {
                Kind::Source(source) => match &source.topics {
                    SourceTopics::Named(topics) => names.extend(topics.iter().cloned()),
                    SourceTopics::Pattern(_) => {}
                },
                Kind::Sink(SinkTopic::Named(topic)) => drop(names.insert(topic.clone())),
                _ => {}
            }
        }
        let external = names.into_iter().filter_map(|name| match name {
            TopicName::External(name) => Some((name.to_string(), self.partitions)),
            TopicName::Repartition(_) => None,
        });
        let mut all: BTreeMap<String, u32> = external.collect();
        let dead_letters = self.config.value("errors.dead.letter.queue.topic.name");
        all.extend(dead_letters.map(|name| (name, self.partitions)));
        all.extend(self.topics.clone());
        all
    }

    /// Writes a record, and lets every instance work on it; nothing is committed.
    pub fn pipe_input<K, V>(&mut self, topic: &InputTopic<K, V>, key: K, value: V, at: Timestamp) {
        self.pipe(topic, &InputRecord::new(key, value, at));
    }
    /// As [`pipe_input`](Self::pipe_input), with headers or in a partition of the test's choice.
    ///
    /// # Panics
    /// If the topology or the log fails, with the error's text.
    pub fn pipe<K, V>(&mut self, topic: &InputTopic<K, V>, record: &InputRecord<K, V>) {
        self.try_pipe(topic, record).unwrap_or_else(|error| panic!("{error}"));
    }
    /// As [`pipe`](Self::pipe), giving the error.
    pub fn try_pipe<K, V>(&mut self, topic: &InputTopic<K, V>, record: &InputRecord<K, V>) -> Result<()> {
        self.append(topic, [record])?;
        self.cluster()?.run()
    }
    /// Writes records in this order, and lets every instance work on them when all of them are there.
    ///
    /// # Panics
    /// If the topology or the log fails, with the error's text.
    pub fn pipe_all<K, V>(
        &mut self,
        topic: &InputTopic<K, V>,
        records: impl IntoIterator<Item = InputRecord<K, V>>,
    ) {
        let records: Vec<_> = records.into_iter().collect();
        let appended = self.append(topic, &records);
        appended.and_then(|()| self.cluster()?.run()).unwrap_or_else(|error| panic!("{error}"));
    }

    fn append<'a, K: 'a, V: 'a>(
        &mut self,
        topic: &InputTopic<K, V>,
        records: impl IntoIterator<Item = &'a InputRecord<K, V>>,
    ) -> Result<()> {
        let mut records = records.into_iter().peekable();
        if let Some(first) = records.peek()
            && !std::mem::replace(&mut self.clock_is_set, true)
        {
            self.clock.set(first.at);
        }
        let cluster = self.cluster()?;
        let Some(found) = cluster.log.topics().remove(&*topic.name) else {
            let text = format!("there is no topic `{}`", topic.name);
            return Err(crate::error::Error::new(crate::error::ErrorKind::Topics, text)
                .help("the topology does not read it; name it with `TopologyTestDriver::topic`"));
        };
        let encode = |record| topic.encode(record, found.partitions);
        let mut records = records.map(encode).collect::<Result<Vec<_>>>()?;
        let appended = cluster.log.append(&mut records);
        appended
            .map_err(|failure| crate::error::Error::new(crate::error::ErrorKind::Production, failure.message))
    }

    /// What came since the last read, as keys and values, by partition and then in order.
    pub fn read_output<K, V>(&mut self, topic: &OutputTopic<K, V>) -> Vec<(K, V)> {
        self.read_records(topic).into_iter().map(|record| (record.key, record.value)).collect()
    }
    /// What came since the last read.
    ///
    /// # Panics
    /// If the topology or the log fails, with the error's text.
    pub fn read_records<K, V>(&mut self, topic: &OutputTopic<K, V>) -> Vec<OutputRecord<K, V>> {
        self.try_read(topic).unwrap_or_else(|error| panic!("{error}"))
    }
    /// As [`read_records`](Self::read_records), giving the error of the topology or of a record that cannot be read.
    pub fn try_read<K, V>(&mut self, topic: &OutputTopic<K, V>) -> Result<Vec<OutputRecord<K, V>>> {
        let commit = !self.manual_commit;
        let cluster = self.cluster()?;
        cluster.settle(commit)?;
        let committed = cluster.log.read_all(&topic.name);
        let mut fresh = Vec::new();
        for (partition, record) in committed {
            let next = self.read.entry((topic.name.clone(), partition)).or_insert(0);
            if record.offset >= *next {
                *next = record.offset + 1;
                fresh.push(topic.decode(partition, record)?);
            }
        }
        Ok(fresh)
    }

    /// Time passes, for the application and for the machine: to the next moment at which something is due, where every
    /// instance runs, and so on.
    ///
    /// # Panics
    /// If the topology or the log fails, with the error's text.
    pub fn advance_clock(&mut self, by: Duration) {
        self.try_advance_clock(by).unwrap_or_else(|error| panic!("{error}"));
    }
    /// As [`advance_clock`](Self::advance_clock), giving the error.
    pub fn try_advance_clock(&mut self, by: Duration) -> Result<()> {
        self.clock_is_set = true;
        self.cluster()?.pass(by)
    }
    /// The application's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Commits, whatever there is.
    pub fn commit(&mut self) {
        self.run(Cluster::commit);
    }
    /// Kills an instance where it stands and starts it again on its disk.
    pub fn crash_and_restore(&mut self, instance: usize) {
        self.run(|cluster| cluster.crash_and_restart(instance));
    }
    /// These instances are members from now on; the others stop in order.
    pub fn rebalance(&mut self, members: &[usize]) {
        self.run(|cluster| {
            cluster.members(members)?;
            cluster.settle(false)
        });
    }
    /// Kills the next instance that comes to this point of a commit, just before it; it starts again on its disk.
    pub fn kill_at(&mut self, point: CommitPoint) {
        self.run(|cluster| {
            cluster.kill_at(point);
            Ok(())
        });
    }
    /// Whether the kill that was ordered last has not happened yet.
    pub fn is_kill_pending(&mut self) -> bool {
        self.run(|cluster| Ok(cluster.kill_pending()))
    }
    /// The log answers nothing for so long, while both clocks go on.
    pub fn outage(&mut self, time: Duration) {
        self.begin_outage();
        self.advance_clock(time);
        self.end_outage();
    }
    /// From now on the log answers nothing. What the test writes is in it all the same; nothing can be read before
    /// [`end_outage`](Self::end_outage).
    pub fn begin_outage(&mut self) {
        self.run(|cluster| {
            cluster.log.outage(true);
            Ok(())
        });
    }
    /// The log answers again, from the next call on.
    pub fn end_outage(&mut self) {
        self.run(|cluster| {
            cluster.log.outage(false);
            Ok(())
        });
    }
    /// The disk of an instance is empty when it starts again.
    pub fn lose_disk(&mut self, instance: usize) {
        self.run(|cluster| {
            cluster.lose_disk(instance);
            Ok(())
        });
    }

    /// What an instance counted, in all its lives.
    pub fn counts(&mut self, instance: usize) -> Counts {
        self.run(|cluster| Ok(cluster.counts(instance)))
    }
    /// What all instances counted.
    pub fn total_counts(&mut self) -> Counts {
        self.run(|cluster| {
            let mut all = Counts::default();
            (0..cluster.len()).for_each(|number| all += cluster.counts(number));
            Ok(all)
        })
    }
    /// The tasks that an instance runs.
    pub fn tasks(&mut self, instance: usize) -> Vec<TaskId> {
        self.run(|cluster| {
            cluster.settle(false)?;
            Ok(cluster.tasks(instance))
        })
    }

    /// Why the windows of each task of an instance are still open.
    pub fn explain(&mut self, instance: usize) -> BTreeMap<TaskId, Explanation> {
        self.run(|cluster| {
            cluster.settle(false)?;
            Ok(cluster.explain(instance))
        })
    }

    fn run<T>(&mut self, f: impl FnOnce(&mut Cluster) -> Result<T>) -> T {
        self.cluster().and_then(f).unwrap_or_else(|error| panic!("{error}"))
    }
}
