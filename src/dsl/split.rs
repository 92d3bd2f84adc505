//! A stream in branches, each a stream of its own.

use super::kstream::{KStream, pass};
use crate::processor::{Branches, Predicate};
use crate::topology::{Factory, NodeId, Port};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// The branches of a stream: each takes what the branches before it left. What none takes is dropped, unless
/// [`default_branch`](Self::default_branch) is called.
///
/// ```
/// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
/// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
/// let mut by_size = numbers.split();
/// by_size.branch("large", |_, n| *n > 1_000).map_values(|n| n / 1_000).to("out", Produced::default());
/// by_size.default_branch("small").to("small", Produced::default());
/// # let mut driver = TopologyTestDriver::new(builder.build()?);
/// # let input = driver.input_topic("in", Produced::<String, u64>::default());
/// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
/// driver.pipe_input(&input, "a".to_owned(), 5000, Timestamp(0));
/// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(1));
/// assert_eq!(driver.read_output(&output), [("a".to_owned(), 5)]);
/// let small = driver.output_topic("small", Consumed::<String, u64>::default());
/// assert_eq!(driver.read_output(&small), [("a".to_owned(), 7)]);
/// # Ok::<(), Error>(())
/// ```
#[must_use = "a split without branches drops everything"]
pub struct Split<K, V> {
    stream: KStream<K, V>,
    name: Arc<str>,
    node: NodeId,
    predicates: Vec<Predicate<K, V>>,
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// In branches: see [`Split`].
    pub fn split(&self) -> Split<K, V> {
        let name = self.draft.numbered("KSTREAM-BRANCH-");
        let node = self.draft.processor(name.clone(), &[self.from], branches::<K, V>(Vec::new()));
        Split { stream: self.clone(), name, node, predicates: Vec::new() }
    }
}

impl<K: 'static, V: 'static> Split<K, V> {
    /// What the closure takes of what is left. The node's name is the split's with `name` behind it.
    pub fn branch(
        &mut self,
        name: &str,
        f: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.add(name, Arc::new(f))
    }
    /// What no branch took.
    pub fn default_branch(mut self, name: &str) -> KStream<K, V> {
        self.add(name, Arc::new(|_, _| true))
    }

    fn add(&mut self, name: &str, takes: Predicate<K, V>) -> KStream<K, V> {
        let draft = &self.stream.draft;
        // Kafka Streams takes a number for each branch although the name has none.
        draft.burn();
        let port = Port::Branch(self.predicates.len());
        let name = format!("{}{name}", self.name).into();
        let node = draft.processor(name, &[(self.node, port)], pass::<K, V>());
        self.predicates.push(takes);
        draft.replace_factory(self.node, branches(self.predicates.clone()));
        KStream { from: (node, Port::Main), ..self.stream.clone() }
    }
}

fn branches<K: 'static, V: 'static>(predicates: Vec<Predicate<K, V>>) -> Factory {
    Box::new(move |wiring| {
        let numbered = predicates.iter().enumerate();
        let branches = numbered
            .map(|(n, takes)| Ok((takes.clone(), wiring.outputs(Port::Branch(n))?)))
            .collect::<crate::error::Result<Vec<_>>>()?;
        wiring.put_sink::<K, V>(Rc::new(RefCell::new(Branches(branches))));
        Ok(())
    })
}
