//! What an application reads and writes on its cluster: decided from the topology and the topics that are there.
//!
//! Everything that is wrong is told in one error, before anything is processed. Partition counts of repartition topics
//! follow from their sources, those of changelogs from the tasks; nothing that exists is altered.

use super::settings::Settings;
use crate::broker::NewTopic;
use crate::error::{Error, ErrorKind, Result};
use crate::processor::{PartitionCounts, RecordLimits};
use crate::record::{TaskId, TopicPartition};
use crate::topology::{
    Blueprint, RepartitionSpec, SourceTopics, SubTopology, TopicName, TopicPattern, changelog_topic,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Topics as a cluster has them, by name.
pub(crate) type Existing = BTreeMap<String, NewTopic>;

/// A partition that a task reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskInput {
    pub(crate) partition: TopicPartition,
    /// Which of the sub-topology's sources takes it.
    pub(crate) source: usize,
    /// Which of the blueprint's repartition topics it is, if it is one.
    pub(crate) repartition: Option<usize>,
    /// Whether its records are deleted once they are committed.
    pub(crate) purged: bool,
}

/// Marks a topic whose records nobody else reads: they are deleted once they are committed.
pub(crate) const PURGED: &str = "highwater.purged";

/// A changelog partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changelog {
    pub(crate) partition: TopicPartition,
    /// `delete.retention.ms`: how long a tombstone can be read.
    pub(crate) tombstone_retention: i64,
    /// `min.compaction.lag.ms`.
    pub(crate) compaction_lag: i64,
}

/// What a task reads, and per store of its sub-topology where its changes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskTopics {
    pub(crate) inputs: Vec<TaskInput>,
    pub(crate) changelogs: Vec<Option<Changelog>>,
}

/// What there is to read, to write and to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicPlan {
    /// All topics by name, the ones to be made included.
    pub(crate) counts: Arc<PartitionCounts>,
    /// How large records may be.
    pub(crate) limits: RecordLimits,
    pub(crate) subscription: Vec<String>,
    pub(crate) tasks: BTreeMap<TaskId, TaskTopics>,
    pub(crate) missing: Vec<NewTopic>,
    /// Settings of internal topics that differ without harm.
    pub(crate) warnings: Vec<String>,
}

impl TopicPlan {
    /// Decides, or tells everything that does not fit.
    pub(crate) fn decide(blueprint: &Blueprint, settings: &Settings, existing: &Existing) -> Result<Self> {
        let mut planner = Planner::new(blueprint, settings, existing);
        planner.find_sources();
        planner.count_repartitions();
        planner.check_copartitioning();
        planner.check_assignor();
        planner.check_written();
        planner.check_dead_letters();
        planner.internal_topics();
        match Error::all(std::mem::take(&mut planner.mistakes)) {
            Some(error) => Err(error),
            None => Ok(planner.finish()),
        }
    }

    /// The task that reads a partition, if the plan has one.
    pub(crate) fn task_of(&self, partition: &TopicPartition) -> Option<TaskId> {
        let reads = |topics: &TaskTopics| topics.inputs.iter().any(|input| &input.partition == partition);
        self.tasks.iter().find(|(_, topics)| reads(topics)).map(|(id, _)| *id)
    }

    /// What differs from the plan now: the application cannot go on with other partition counts.
    pub(crate) fn check_unchanged(&self, existing: &Existing) -> Result<()> {
        let changed = |topic: &String| {
            let before = *self.counts.get(topic.as_str())?;
            let now = existing.get(topic).map_or(0, |found| found.partitions);
            let what =
                format!("the partition count of `{topic}` changed from {before} to {now} while running");
            (before != now).then(|| Error::new(ErrorKind::Topics, what).help("start the application again"))
        };
        Error::all(self.subscription.iter().filter_map(changed).collect()).map_or(Ok(()), Err)
    }
}

/// A topic on the broker, and which of the blueprint's repartition topics it is.
type Topic = (Arc<str>, Option<usize>);

struct Planner<'a> {
    blueprint: &'a Blueprint,
    settings: &'a Settings,
    existing: &'a Existing,
    /// Per sub-topology and source the topics on the broker, with the repartition topic that each is.
    sources: Vec<Vec<Vec<Topic>>>,
    /// Per repartition topic; 0: not known yet.
    repartitions: Vec<u32>,
    mistakes: Vec<Error>,
    missing: Vec<NewTopic>,
    warnings: Vec<String>,
    changelogs: BTreeMap<Arc<str>, NewTopic>,
}

fn topics_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Topics, message)
}

impl<'a> Planner<'a> {
    fn new(blueprint: &'a Blueprint, settings: &'a Settings, existing: &'a Existing) -> Self {
        Self {
            blueprint,
            settings,
            existing,
            sources: Vec::new(),
            repartitions: vec![0; blueprint.repartitions.len()],
            mistakes: Vec::new(),
            missing: Vec::new(),
            warnings: Vec::new(),
            changelogs: BTreeMap::new(),
        }
    }

    fn on_broker(&self, name: &TopicName) -> Arc<str> {
        name.on_broker(&self.settings.application_id)
    }

    fn find_sources(&mut self) {
        for sub in &self.blueprint.subtopologies {
            let found = sub.sources.iter().map(|source| match &source.topics {
                SourceTopics::Named(names) => names.iter().map(|name| self.named(name)).collect(),
                SourceTopics::Pattern(pattern) => self.matching(pattern, &source.node),
            });
            let found: Vec<Result<Vec<_>>> = found.collect();
            let found = found.into_iter().map(|topics| {
                topics.unwrap_or_else(|error| {
                    self.mistakes.push(error);
                    Vec::new()
                })
            });
            let found = found.collect();
            self.sources.push(found);
        }
        self.check_there();
    }

    fn named(&self, name: &TopicName) -> Result<Topic> {
        let repartition = match name {
            TopicName::External(_) => None,
            TopicName::Repartition(name) => {
                let at = self.blueprint.repartitions.iter().position(|spec| &spec.name == name);
                Some(at.ok_or_else(|| Error::internal(format!("no repartition topic `{name}`")))?)
            }
        };
        Ok((self.on_broker(name), repartition))
    }

    fn matching(&self, pattern: &str, node: &str) -> Result<Vec<Topic>> {
        let pattern_of_source = TopicPattern::new(pattern)?;
        let own = format!("{}-", self.settings.application_id);
        let internal = |topic: &str| {
            topic.starts_with("__")
                || topic.starts_with(&own)
                    && (topic.ends_with("-repartition") || topic.ends_with("-changelog"))
        };
        let fits = |topic: &&String| pattern_of_source.matches(topic) && !internal(topic);
        let found: Vec<_> =
            self.existing.keys().filter(fits).map(|topic| (Arc::from(topic.as_str()), None)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        Err(topics_error(format!("no topic matches the pattern `{pattern}` of source `{node}`"))
            .help("topics of a pattern are looked up when the application starts"))
    }

    fn check_there(&mut self) {
        for (sub, sources) in self.blueprint.subtopologies.iter().zip(&self.sources) {
            for (source, topics) in sub.sources.iter().zip(sources) {
                for (topic, _) in topics.iter().filter(|(_, repartition)| repartition.is_none()) {
                    if !self.existing.contains_key(&**topic) {
                        let error = topics_error(format!("topic `{topic}` does not exist"))
                            .with("read by", format!("source `{}`", source.node))
                            .help("make the topic before the application starts");
                        self.mistakes.push(error);
                    }
                }
            }
        }
    }

    /// The largest count of a sub-topology's topics; `None` while one of them is not known.
    fn widest(&self, sub: usize) -> Option<u32> {
        let topics = self.sources.get(sub)?.iter().flatten();
        let counts = topics.map(|(topic, repartition)| match repartition {
            Some(at) => self.repartitions.get(*at).copied().filter(|count| *count > 0),
            None => Some(self.existing.get(&**topic).map_or(1, |found| found.partitions)),
        });
        counts.collect::<Option<Vec<u32>>>()?.into_iter().max()
    }

    fn position(&self, sub: u32) -> Option<usize> {
        self.blueprint.subtopologies.iter().position(|candidate| candidate.id == sub)
    }

    /// Each pass settles the topics whose writers are settled; a cycle of repartition topics leaves some over.
    fn count_repartitions(&mut self) {
        for _ in 0..=self.blueprint.repartitions.len() {
            for at in 0..self.repartitions.len() {
                let count = self.blueprint.repartitions.get(at).and_then(|spec| self.count_of(spec));
                if let (Some(place), Some(count)) = (self.repartitions.get_mut(at), count) {
                    *place = count;
                }
            }
        }
        for (spec, count) in self.blueprint.repartitions.iter().zip(&self.repartitions) {
            if *count == 0 {
                let error = topics_error(format!("repartition topic `{}` has no partition count", spec.name))
                    .with("cause", "it is written by a part of the topology that reads what follows from it")
                    .help("give it one: `.partitions(n)`");
                self.mistakes.push(error);
            }
        }
    }

    fn count_of(&self, spec: &RepartitionSpec) -> Option<u32> {
        if spec.partitions.is_some() {
            return spec.partitions;
        }
        let writers = spec.writers.iter().map(|sub| self.widest(self.position(*sub)?));
        let widest = writers.collect::<Option<Vec<u32>>>()?.into_iter().max()?;
        Some(self.fixed_beside(spec).unwrap_or(widest))
    }

    /// A repartition topic without a count of its own takes that of the topics that are read with it.
    fn fixed_beside(&self, spec: &RepartitionSpec) -> Option<u32> {
        let topics = self.sources.get(self.position(spec.reader)?)?.iter().flatten();
        let fixed = topics.filter_map(|(topic, at)| match at {
            None => self.existing.get(&**topic).map(|found| found.partitions),
            Some(at) => self.blueprint.repartitions.get(*at)?.partitions,
        });
        fixed.max()
    }

    fn count(&self, topic: &Topic) -> u32 {
        match topic.1 {
            Some(at) => self.repartitions.get(at).copied().unwrap_or(0),
            None => self.existing.get(&*topic.0).map_or(0, |found| found.partitions),
        }
    }

    /// Partitions with one number go to one member only where the counts are equal (the range assignor), so this
    /// holds for all topics of a sub-topology, joined or merged.
    fn check_copartitioning(&mut self) {
        for (at, sub) in self.blueprint.subtopologies.iter().enumerate() {
            let joined = sub.copartitioned.iter().map(|(node, group)| (Some(node), group.clone()));
            let all = (None, (0..sub.sources.len()).collect());
            let uneven = joined.chain([all]).find_map(|(node, group)| {
                let sources = group.iter().filter_map(|source| self.sources.get(at)?.get(*source)).flatten();
                let counts: BTreeMap<&Arc<str>, u32> =
                    sources.map(|topic| (&topic.0, self.count(topic))).filter(|(_, n)| *n > 0).collect();
                let distinct: BTreeSet<&u32> = counts.values().collect();
                let each = counts.iter().map(|(topic, n)| format!("`{topic}` has {n} partitions"));
                (distinct.len() > 1)
                    .then(|| not_copartitioned(node, sub, &each.collect::<Vec<_>>().join(", ")))
            });
            self.mistakes.extend(uneven);
        }
    }

    fn check_written(&mut self) {
        for sub in &self.blueprint.subtopologies {
            for name in sub.written.iter().filter(|name| matches!(name, TopicName::External(_))) {
                let topic = self.on_broker(name);
                if !self.existing.contains_key(&*topic) {
                    let error = topics_error(format!("topic `{topic}` does not exist"))
                        .with("written by", format!("sub-topology {}", sub.id))
                        .help("make the topic before the application starts");
                    self.mistakes.push(error);
                }
            }
        }
    }

    fn check_dead_letters(&mut self) {
        let Some(topic) = &self.settings.dead_letter_topic else { return };
        if !self.existing.contains_key(&**topic) {
            let error = topics_error(format!("topic `{topic}` does not exist"))
                .with("written by", "dead letters: errors.dead.letter.queue.topic.name")
                .help("make the topic before the application starts");
            self.mistakes.push(error);
        } else if self.reads(topic) {
            let error = topics_error(format!("the dead letter topic `{topic}` is read by the topology"))
                .with("cause", "a dead letter that fails again would come back for ever")
                .help("replay dead letters from another application");
            self.mistakes.push(error);
        }
    }

    /// `cooperative-sticky` gives equal partitions of two topics to different members, and a task that needs both would
    /// never start.
    fn check_assignor(&mut self) {
        if !self.settings.kafka.cooperative {
            return;
        }
        for (sub, sources) in self.blueprint.subtopologies.iter().zip(&self.sources) {
            let topics: Vec<&str> = sources.iter().flatten().map(|(topic, _)| &**topic).collect();
            if topics.len() > 1 {
                let text = format!("a task of sub-topology {} reads {} topics", sub.id, topics.len());
                let error =
                    topics_error(format!("{text}, which `cooperative-sticky` does not keep together"))
                        .with("topics", topics.join(", "))
                        .help("set partition.assignment.strategy=range");
                self.mistakes.push(error);
            }
        }
    }

    fn reads(&self, topic: &str) -> bool {
        self.sources.iter().flatten().flatten().any(|(read, _)| &**read == topic)
    }

    fn internal_topics(&mut self) {
        for (at, spec) in self.blueprint.repartitions.iter().enumerate() {
            let name = self.on_broker(&TopicName::Repartition(spec.name.clone()));
            let partitions = self.repartitions.get(at).copied().unwrap_or(0);
            self.internal(&name, partitions, &[("cleanup.policy", "delete"), ("retention.ms", "-1")]);
        }
        let lag = self.settings.compaction_lag.to_string();
        for (at, sub) in self.blueprint.subtopologies.iter().enumerate() {
            for store in sub.stores.iter().filter(|store| store.logged) {
                let name = changelog_topic(&self.settings.application_id, &store.name);
                let mut config = vec![("cleanup.policy", "compact")];
                if !self.settings.is_exactly_once() {
                    config.push(("min.compaction.lag.ms", lag.as_str()));
                }
                let topic = self.internal(&name, self.widest(at).unwrap_or(0), &config);
                self.changelogs.insert(name, topic);
            }
        }
    }

    /// Checks an internal topic that is there, or notes that it has to be made; the topic as it is then.
    fn internal(&mut self, name: &str, partitions: u32, needed: &[(&str, &str)]) -> NewTopic {
        let mut config = self.settings.topic_configs.clone();
        config.entry("message.timestamp.type".into()).or_insert_with(|| "CreateTime".into());
        config.entry("message.timestamp.after.max.ms".into()).or_insert_with(|| i64::MAX.to_string());
        for (property, value) in needed {
            config.entry((*property).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        let wanted = NewTopic { name: name.to_owned(), partitions, config };
        let Some(found) = self.existing.get(name) else {
            self.check_internal(&wanted, &wanted, needed);
            self.missing.push(wanted.clone());
            return wanted;
        };
        self.check_internal(found, &wanted, needed);
        found.clone()
    }

    fn check_internal(&mut self, found: &NewTopic, wanted: &NewTopic, needed: &[(&str, &str)]) {
        let name = &found.name;
        if found.partitions != wanted.partitions {
            let (has, needs) = (found.partitions, wanted.partitions);
            let error =
                topics_error(format!("internal topic `{name}` has {has} partitions, {needs} are needed"))
                    .help("reset the application, or set the count that the topic has");
            self.mistakes.push(error);
        }
        let is = |property: &str| found.config.get(property).map_or("", String::as_str);
        for (property, value) in needed.iter().filter(|(property, _)| *property != "min.compaction.lag.ms") {
            if is(property) != *value {
                let has = is(property);
                let error =
                    topics_error(format!("internal topic `{name}` has {property}=`{has}`, not `{value}`"))
                        .with("cause", "records that are still needed would be deleted")
                        .help("change the topic's configuration");
                self.mistakes.push(error);
            }
        }
        let harmless = |(property, value): (&String, &String)| {
            let essential =
                needed.iter().any(|(other, _)| other == property && *other != "min.compaction.lag.ms");
            let has = is(property);
            (!essential && has != value)
                .then(|| format!("internal topic `{name}` has {property}=`{has}`, not `{value}`"))
        };
        self.warnings.extend(wanted.config.iter().filter_map(harmless));
    }

    fn finish(self) -> TopicPlan {
        let mut counts: PartitionCounts =
            self.existing.iter().map(|(name, topic)| (name.as_str().into(), topic.partitions)).collect();
        counts.extend(self.missing.iter().map(|topic| (topic.name.as_str().into(), topic.partitions)));
        let mut tasks = BTreeMap::new();
        for (at, sub) in self.blueprint.subtopologies.iter().enumerate() {
            for partition in 0..self.widest(at).unwrap_or(0) {
                let inputs = self.inputs(at, partition);
                let changelogs =
                    sub.stores.iter().map(|store| self.changelog(&store.name, store.logged, partition));
                let changelogs = changelogs.collect();
                tasks.insert(TaskId { subtopology: sub.id, partition }, TaskTopics { inputs, changelogs });
            }
        }
        let topics = self.sources.iter().flatten().flatten().map(|(topic, _)| topic.to_string());
        let subscription: BTreeSet<String> = topics.collect();
        TopicPlan {
            counts: Arc::new(counts),
            limits: record_limits(self.settings, self.existing),
            subscription: subscription.into_iter().collect(),
            tasks,
            missing: self.missing,
            warnings: self.warnings,
        }
    }

    /// Ordered by topic, so that a task's inputs are the same whatever order its sources were written in.
    fn inputs(&self, sub: usize, partition: u32) -> Vec<TaskInput> {
        let mut inputs = Vec::new();
        for (source, topics) in self.sources.get(sub).into_iter().flatten().enumerate() {
            for topic in topics.iter().filter(|topic| partition < self.count(topic)) {
                let read = TopicPartition::new(topic.0.clone(), partition);
                let config = self.existing.get(&*topic.0).map(|found| &found.config);
                let marked = config.is_some_and(|config| config.contains_key(PURGED));
                let purged = topic.1.is_some() || marked;
                inputs.push(TaskInput { partition: read, source, repartition: topic.1, purged });
            }
        }
        inputs.sort_by(|a, b| a.partition.cmp(&b.partition));
        inputs
    }

    fn changelog(&self, store: &str, logged: bool, partition: u32) -> Option<Changelog> {
        let name = changelog_topic(&self.settings.application_id, store);
        let topic = self.changelogs.get(&name).filter(|_| logged)?;
        let ms = |property: &str, default: i64| {
            topic.config.get(property).and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        Some(Changelog {
            partition: TopicPartition::new(name, partition),
            tombstone_retention: ms("delete.retention.ms", 24 * 60 * 60 * 1000),
            compaction_lag: ms("min.compaction.lag.ms", 0),
        })
    }
}

/// What is compressed may be larger than its topic takes.
fn record_limits(settings: &Settings, existing: &Existing) -> RecordLimits {
    let mut limits = RecordLimits::new(settings.max_request_size);
    for (name, topic) in existing.iter().filter(|_| !settings.compresses) {
        let bytes = topic.config.get("max.message.bytes").and_then(|text| text.parse().ok());
        if let Some(bytes) = bytes {
            limits.limit(name.as_str().into(), bytes);
        }
    }
    limits
}

fn not_copartitioned(node: Option<&Arc<str>>, sub: &SubTopology, counts: &str) -> Error {
    let what = match node {
        Some(node) => format!("topics joined by `{node}` are not co-partitioned: {counts}"),
        None => format!("topics read together are not co-partitioned: {counts}"),
    };
    let why = format!("sub-topology {} reads them in one task, so their partition counts must match", sub.id);
    topics_error(what)
        .with("cause", why)
        .help("add a `.repartition(Repartitioned::named(..).partitions(n))` before they meet")
}
