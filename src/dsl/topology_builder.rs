//! The low level without streams: nodes and edges under the user's names, edges still typed.

use super::consumed::Consumed;
use super::draft::{Draft, From, Line};
use super::produced::Produced;
use super::sinks::{Target, Written, check_partitioner, sink};
use super::streams_builder::{check_extractor, named, source};
use crate::error::{Error, Result};
use crate::processor::Processor;
use crate::state::{StateStore, StoreBuilder};
use crate::topology::{Port, StoreHandle, StoreSet, TopicName, Topology};
use std::marker::PhantomData;
use std::panic::Location;

/// A node and the type of what leaves it.
pub struct Node<K, V> {
    draft: Draft,
    from: From,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Node<K, V> {
    fn clone(&self) -> Self {
        Self { draft: self.draft.clone(), from: self.from, of: PhantomData }
    }
}

impl Topology {
    /// A topology out of named nodes. [`StreamsBuilder`](crate::StreamsBuilder) is the one for streams.
    pub fn builder() -> TopologyBuilder {
        TopologyBuilder { draft: Draft::default() }
    }
}

/// Adds nodes one by one. Names are the user's and unique.
///
/// ```
/// use highwater::{BoxError, Consumed, Processor, ProcessorContext, Produced, Record, Topology};
///
/// struct Double;
/// impl Processor for Double {
///     type KIn = String;
///     type VIn = u64;
///     type KOut = String;
///     type VOut = u64;
///     fn process(&mut self, n: Record<'_, String, u64>, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
///         ctx.forward(n.with_value(&(n.value * 2)));
///         Ok(())
///     }
/// }
///
/// let mut builder = Topology::builder();
/// let numbers = builder.add_source("numbers", &["in"], Consumed::default());
/// let doubled = builder.add_processor("doubled", &[&numbers], (), |()| Double);
/// builder.add_sink("results", &[&doubled], "out", Produced::default());
/// assert!(builder.build()?.describe().contains("Processor: doubled (stores: [])"));
/// # Ok::<(), highwater::Error>(())
/// ```
pub struct TopologyBuilder {
    draft: Draft,
}

impl TopologyBuilder {
    /// Adds a store for processors; give the handle to those that use it. A store that nobody uses is an error of
    /// [`build`](Self::build).
    #[must_use = "a store is used by the processors it is given to"]
    pub fn add_state_store<S: StateStore>(&mut self, store: StoreBuilder<S>) -> StoreHandle<S> {
        self.draft.graph().add_state_store(store)
    }

    /// Reads topics.
    #[track_caller]
    pub fn add_source<K: 'static, V: 'static>(
        &mut self,
        name: &str,
        topics: &[&str],
        consumed: Consumed<K, V>,
    ) -> Node<K, V> {
        let line = Location::caller();
        check_extractor(&self.draft, &consumed, line);
        self.named_twice(name, consumed.node.as_deref(), line);
        self.node(source(&self.draft, name.into(), named(topics), consumed).from)
    }

    /// A node with a [`Processor`], made once per task with the stores it is connected to: `()`, `&handle`, or a tuple
    /// of up to four.
    #[track_caller]
    pub fn add_processor<S, P>(
        &mut self,
        name: &str,
        parents: &[&Node<P::KIn, P::VIn>],
        stores: S,
        make: impl Fn(S::Opened) -> P + Send + Sync + 'static,
    ) -> Node<P::KOut, P::VOut>
    where
        S: StoreSet<Opened: 'static>,
        P: Processor,
    {
        let parents = self.parents(name, parents, Location::caller());
        let node = self.draft.graph().add_processor(name.into(), parents, stores, make);
        self.node((node, Port::Main))
    }

    /// Writes a topic, which must exist. `Produced::default()` means the types' default serdes here.
    #[track_caller]
    pub fn add_sink<K: 'static, V: 'static>(
        &mut self,
        name: &str,
        parents: &[&Node<K, V>],
        topic: &str,
        produced: Produced<K, V>,
    ) {
        let line = Location::caller();
        check_partitioner(&self.draft, &produced, line);
        self.named_twice(name, produced.node.as_deref(), line);
        let parents = self.parents(name, parents, line);
        let Produced { key, value, partitioner, .. } = produced;
        let target = Target::Named(TopicName::External(topic.into()));
        sink(&self.draft, name.into(), &parents, target, Written { key, value, partitioner });
    }

    /// The topology, or everything that is wrong with it, at once: one [`Error`] for which
    /// [`is_invalid_topology`](Error::is_invalid_topology) holds.
    pub fn build(self) -> Result<Topology> {
        Topology::of(self.draft.finish())
    }

    pub(super) fn draft(&self) -> &Draft {
        &self.draft
    }
    fn node<K, V>(&self, from: From) -> Node<K, V> {
        Node { draft: self.draft.clone(), from, of: PhantomData }
    }

    fn parents<K, V>(&self, name: &str, parents: &[&Node<K, V>], line: Line) -> Vec<From> {
        let (own, foreign): (Vec<&Node<K, V>>, Vec<_>) =
            parents.iter().copied().partition(|parent| parent.draft.is(&self.draft));
        if !foreign.is_empty() {
            self.draft.mistake(line, Error::topology(format!("`{name}` has a parent of another topology")));
        } else if own.is_empty() {
            self.draft.mistake(line, Error::topology(format!("`{name}` has no parent")));
        }
        own.iter().map(|parent| parent.from).collect()
    }

    fn named_twice(&self, name: &str, other: Option<&str>, line: Line) {
        if let Some(other) = other {
            let error = Error::topology(format!("node `{name}` is also named `{other}`"));
            self.draft.mistake(line, error.help("leave out `.named(..)`: the first argument is the name"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BoxError;
    use crate::processor::{FixedKeyProcessor, FixedKeyProcessorContext, ProcessorContext};
    use crate::record::Record;
    use crate::state::KeyValueStore;
    use crate::{KStream, StreamsBuilder};

    type Seen = KeyValueStore<String, u64>;

    /// Keeps the last value of each key.
    struct Last(Seen);
    impl Processor for Last {
        type KIn = String;
        type VIn = u64;
        type KOut = String;
        type VOut = u64;
        fn process(
            &mut self,
            record: Record<'_, String, u64>,
            ctx: &mut ProcessorContext<'_, Self>,
        ) -> Result<(), BoxError> {
            self.0.put(record.key, *record.value)?;
            ctx.forward(record);
            Ok(())
        }
    }
    /// Keys of any kind.
    struct Same<K>(PhantomData<K>);
    impl<K: 'static> FixedKeyProcessor for Same<K> {
        type KIn = K;
        type VIn = u64;
        type VOut = u64;
        fn process(
            &mut self,
            record: Record<'_, K, u64>,
            ctx: &mut FixedKeyProcessorContext<'_, Self>,
        ) -> Result<(), BoxError> {
            ctx.forward(record.value);
            Ok(())
        }
    }

    #[test]
    fn nodes_have_the_users_names() {
        let mut builder = Topology::builder();
        let seen = builder.add_state_store(Seen::named("seen"));
        let orders = builder.add_source("orders", &["b", "a"], Consumed::default());
        let last = builder.add_processor("last", &[&orders], &seen, Last);
        builder.add_sink("both", &[&last, &orders], "out", Produced::default());
        let expected = "Topologies:
   Sub-topology: 0
    Source: orders (topics: [a, b])
      --> last, both
    Processor: last (stores: [seen])
      --> both
      <-- orders
    Sink: both (topic: out)
      <-- orders, last

";
        assert_eq!(builder.build().expect("no mistakes").describe(), expected);
    }

    #[test]
    fn streams_go_through_processors() {
        let builder = StreamsBuilder::new();
        let seen = builder.add_state_store(Seen::named("seen"));
        let orders: KStream<String, u64> = builder.stream("orders", Consumed::default());
        let last = orders.process(&seen, Last);
        last.process_values((), |()| Same(PhantomData)).to("out", Produced::default());
        let text = builder.build().expect("no mistakes").describe();
        for line in [
            "    Processor: KSTREAM-PROCESSOR-0000000001 (stores: [seen])\n",
            "    Processor: KSTREAM-PROCESSVALUES-0000000002 (stores: [])\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn everything_wrong_is_said_with_its_line() {
        let mut other = Topology::builder();
        let foreign: Node<String, u64> = other.add_source("foreign", &["in"], Consumed::default());
        let mut builder = Topology::builder();
        let seen = builder.add_state_store(Seen::named("seen"));
        let _ = builder.add_source::<String, u64>("orders", &["in"], Consumed::default().named("again"));
        let _ = builder.add_processor("lonely", &[], &seen, Last);
        builder.add_sink("out", &[&foreign], "out", Produced::default());
        let _ = builder.add_state_store(Seen::named("unused"));
        let text = builder.build().expect_err("mistakes").to_string();
        for expected in [
            "4 mistakes",
            "node `orders` is also named `again`\n  at: src/dsl/topology_builder.rs:",
            "`lonely` has no parent",
            "`out` has a parent of another topology",
            "no node uses store `unused`",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }
}
