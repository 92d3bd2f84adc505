//! Where a program starts: topics become streams, and all of it becomes a topology.

use super::consumed::Consumed;
use super::draft::{Draft, Line, Traits};
use super::kstream::KStream;
use super::lineage::Lineage;
use crate::error::{Error, Result};
use crate::processor::{Outputs, Source};
use crate::topology::{Factory, Kind, Port, SourceSpec, SourceTopics, TopicName, Topology};
use std::panic::Location;
use std::sync::Arc;

/// The only thing that is built: operators add to it through the streams they return.
///
/// ```
/// use highwater::testing::TopologyTestDriver;
/// use highwater::time::Timestamp;
/// use highwater::{Consumed, Produced, StreamsBuilder};
///
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, u64>("in", Consumed::default())
///     .map_values(|n| n * 2)
///     .to("out", Produced::default());
///
/// let mut driver = TopologyTestDriver::new(builder.build()?);
/// let input = driver.input_topic("in", Produced::<String, u64>::default());
/// let output = driver.output_topic("out", Consumed::<String, u64>::default());
/// driver.pipe_input(&input, "a".to_owned(), 21, Timestamp(0));
/// assert_eq!(driver.read_output(&output), [("a".to_owned(), 42)]);
/// # Ok::<(), highwater::Error>(())
/// ```
#[derive(Default)]
pub struct StreamsBuilder {
    draft: Draft,
}

impl StreamsBuilder {
    /// Without anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The records of a topic. A topic can be read once; use the stream as often as you like.
    #[track_caller]
    pub fn stream<K: 'static, V: 'static>(&self, topic: &str, consumed: Consumed<K, V>) -> KStream<K, V> {
        self.source(named(&[topic]), consumed, Location::caller())
    }

    /// The records of several topics as one stream. Where records of a key have to meet below, the topics need equal
    /// partition counts.
    ///
    /// ```
    /// # use highwater::{Consumed, KStream, StreamsBuilder};
    /// # let builder = StreamsBuilder::new();
    /// let orders: KStream<String, u64> = builder.streams(&["orders-eu", "orders-us"], Consumed::default());
    /// ```
    #[track_caller]
    pub fn streams<K: 'static, V: 'static>(
        &self,
        topics: &[&str],
        consumed: Consumed<K, V>,
    ) -> KStream<K, V> {
        let line = Location::caller();
        if topics.is_empty() {
            self.draft.mistake(line, Error::topology("a stream of no topics").help("name at least one"));
        }
        self.source(named(topics), consumed, line)
    }

    /// The records of all topics whose whole name matches a regular expression, as found when the application starts.
    ///
    /// ```
    /// # use highwater::{Consumed, KStream, StreamsBuilder};
    /// # let builder = StreamsBuilder::new();
    /// let orders: KStream<String, u64> = builder.stream_pattern("orders-[a-z]+", Consumed::default());
    /// ```
    #[track_caller]
    pub fn stream_pattern<K: 'static, V: 'static>(
        &self,
        pattern: &str,
        consumed: Consumed<K, V>,
    ) -> KStream<K, V> {
        self.source(SourceTopics::Pattern(pattern.into()), consumed, Location::caller())
    }

    pub(super) fn draft(&self) -> &Draft {
        &self.draft
    }
    fn source<K: 'static, V: 'static>(
        &self,
        topics: SourceTopics,
        consumed: Consumed<K, V>,
        line: Line,
    ) -> KStream<K, V> {
        check_extractor(&self.draft, &consumed, line);
        let name = self.draft.name("KSTREAM-SOURCE-", consumed.node.as_deref());
        source(&self.draft, name, topics, consumed)
    }

    /// The topology, or everything that is wrong with it, at once: one [`Error`] for which
    /// [`is_invalid_topology`](Error::is_invalid_topology) holds.
    pub fn build(self) -> Result<Topology> {
        Topology::of(self.draft.finish())
    }
}

/// An extractor sees keys and values as the type says: it comes after what changes the type.
pub(super) fn check_extractor<K, V>(draft: &Draft, consumed: &Consumed<K, V>, line: Line) {
    if let Some(nulls) = consumed.extractor_before_nulls {
        let error = Error::topology("the timestamp extractor was given before `null_keys` or `null_values`");
        let error = error.with("nulls", nulls.to_string());
        draft.mistake(line, error.help("call `.timestamp(..)` after them: it sees what they read"));
    }
}

pub(super) fn named(topics: &[&str]) -> SourceTopics {
    SourceTopics::Named(topics.iter().map(|topic| TopicName::External((*topic).into())).collect())
}

/// A source node and its stream.
pub(super) fn source<K: 'static, V: 'static>(
    draft: &Draft,
    name: Arc<str>,
    topics: SourceTopics,
    consumed: Consumed<K, V>,
) -> KStream<K, V> {
    let spec = SourceSpec {
        node: name.clone(),
        topics,
        out_of_orderness: consumed.out_of_orderness,
        idle_timeout: consumed.idle_timeout,
        reset: consumed.reset,
        on_deserialization_error: consumed.on_deserialization_error.clone(),
    };
    let (key, value) = (consumed.key.clone(), consumed.value.clone());
    let node = draft.add(name, Kind::Source(spec), &[], Traits::default(), reads(consumed));
    KStream {
        draft: draft.clone(),
        from: (node, Port::Main),
        key: Some(key),
        value: Some(value),
        lineage: Lineage::default(),
    }
}

fn reads<K: 'static, V: 'static>(consumed: Consumed<K, V>) -> Factory {
    Box::new(move |wiring| {
        let outputs: Outputs<K, V> = wiring.outputs(Port::Main)?;
        let (key, value) = (consumed.key.clone(), consumed.value.clone());
        let (node, extract) = (wiring.name()?, consumed.extract());
        wiring.put_input(Box::new(Source { node, key, value, extract, slots: Vec::new(), outputs }));
        Ok(())
    })
}
