//! Where streams leave: to the user's topics, and through topics of the application's own to the partition of their key.

use super::consumed::Consumed;
use super::draft::{Draft, From, Line, Traits};
use super::kstream::{KStream, pass};
use super::produced::Produced;
use super::repartitioned::Repartitioned;
use super::streams_builder::source;
use crate::error::Error;
use crate::processor::{Chooser, Partitioner, SinkNode, Topics};
use crate::record::Record;
use crate::serdes::{Codec, Key};
use crate::topology::{AutoOffsetReset, Factory, Kind, Port, SinkTopic, SourceTopics, TopicName};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// Codecs of what is written, and how its partition is chosen.
pub(super) struct Written<K, V> {
    pub(super) key: Arc<dyn Codec<K>>,
    pub(super) value: Arc<dyn Codec<V>>,
    pub(super) partitioner: Option<Partitioner<K, V>>,
}

/// Whose topic it is.
pub(super) enum Target<K, V> {
    Named(TopicName),
    Chosen(Chooser<K, V>),
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Writes each record to a topic, which must exist.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 7)]);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn to(&self, topic: &str, produced: Produced<K, V>) {
        let topic = TopicName::External(topic.into());
        self.write(Target::Named(topic), produced, Location::caller());
    }

    /// Each record chooses its topic, which must exist.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// numbers.to_chosen(|record| format!("numbers-{}", record.key), Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?).topic("numbers-a", 1);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// let chosen = driver.output_topic("numbers-a", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// assert_eq!(driver.read_output(&chosen), [("a".to_owned(), 7)]);
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn to_chosen(
        &self,
        topic: impl Fn(Record<'_, K, V>) -> String + Send + Sync + 'static,
        produced: Produced<K, V>,
    ) {
        self.write(Target::Chosen(Arc::new(topic)), produced, Location::caller());
    }

    fn write(&self, target: Target<K, V>, produced: Produced<K, V>, line: Line) {
        check_partitioner(&self.draft, &produced, line);
        let name = self.draft.name("KSTREAM-SINK-", produced.node.as_deref());
        let (key, value) = if produced.as_read {
            (self.key.clone().unwrap_or(produced.key), self.value.clone().unwrap_or(produced.value))
        } else {
            (produced.key, produced.value)
        };
        let written = Written { key, value, partitioner: produced.partitioner };
        sink(&self.draft, name, &[self.from], target, written);
    }

    /// Through a topic of the application's own, so that equal keys meet: after a key has changed.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// let by_parity = numbers.select_key(|_, n| n % 2).repartition(Repartitioned::named("by-parity"));
    /// by_parity.group_by_key().count(Materialized::named("counts")).to_stream().to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<u64, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 3, Timestamp(1));
    /// assert_eq!(driver.read_output(&output).last(), Some(&(1, 2)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn repartition(&self, repartitioned: Repartitioned<K, V>) -> KStream<K, V>
    where
        K: Key,
    {
        let Repartitioned { name, key, value, as_read, partitions } = repartitioned;
        let value = self.value.clone().filter(|_| as_read).unwrap_or(value);
        self.through(&name, partitions, key, value)
    }

    /// The three nodes of a repartition, which take three numbers.
    pub(super) fn through(
        &self,
        name: &str,
        partitions: Option<u32>,
        key: Arc<dyn Codec<K>>,
        value: Arc<dyn Codec<V>>,
    ) -> KStream<K, V> {
        let topic = TopicName::Repartition(name.into());
        (0..3).for_each(|_| self.draft.burn());
        self.draft.repartition(name, partitions);
        let called = |part: &str| -> Arc<str> { format!("{name}-repartition-{part}").into() };
        let filter = self.draft.processor(called("filter"), &[self.from], pass::<K, V>());
        let written = Written { key: key.clone(), value: value.clone(), partitioner: None };
        sink(&self.draft, called("sink"), &[(filter, Port::Main)], Target::Named(topic.clone()), written);
        let consumed = Consumed::of(key, value).reset(AutoOffsetReset::Earliest);
        let read = source(&self.draft, called("source"), SourceTopics::Named(vec![topic]), consumed);
        KStream { lineage: self.lineage.at_home(), ..read }
    }
}

/// A partitioner sees keys and values as the type says: it comes after what changes the type.
pub(super) fn check_partitioner<K, V>(draft: &Draft, produced: &Produced<K, V>, line: Line) {
    if let Some(nulls) = produced.partitioner_before_nulls {
        let error = Error::topology("the partitioner was given before `null_keys` or `null_values`");
        let error = error.with("nulls", nulls.to_string());
        draft.mistake(line, error.help("call `.partition_by(..)` after them: it sees what they write"));
    }
}

/// A sink node.
pub(super) fn sink<K: 'static, V: 'static>(
    draft: &Draft,
    name: Arc<str>,
    parents: &[From],
    target: Target<K, V>,
    written: Written<K, V>,
) {
    let topic = match &target {
        Target::Named(name) => SinkTopic::Named(name.clone()),
        Target::Chosen(_) => SinkTopic::Chosen,
    };
    draft.add(name, Kind::Sink(topic), parents, Traits::default(), writes(target, written));
}

fn writes<K: 'static, V: 'static>(target: Target<K, V>, written: Written<K, V>) -> Factory {
    Box::new(move |wiring| {
        let env = wiring.env();
        let topics = match &target {
            Target::Named(topic) => Topics::Fixed(topic.on_broker(&env.application_id)),
            Target::Chosen(choose) => Topics::Chosen(choose.clone()),
        };
        let counts = env.topics.clone();
        let Written { key, value, partitioner } = &written;
        let (key, value, partitioner) = (key.clone(), value.clone(), partitioner.clone());
        let (limits, node, scratch) = (env.limits.clone(), wiring.name()?, Vec::new());
        let sink = SinkNode { node, key, value, topics, partitioner, counts, limits, round: 0, scratch };
        wiring.put_sink::<K, V>(Rc::new(RefCell::new(sink)));
        Ok(())
    })
}
