//! Processors with stores in a graph: what they are given in a task, and what is refused.

use super::*;
use crate::broker::LogRecord;
use crate::error::BoxError;
use crate::processor::{Cx, Effects, FixedKeyProcessor, FixedKeyProcessorContext, Outputs};
use crate::processor::{Processor, ProcessorContext, SinkNode, Source, Topics};
use crate::record::{Headers, Record, TaskId};
use crate::serdes::{BigEndian, Utf8, both};
use crate::state::{Disk, KeyValueStore, MemoryDisk, WindowStore};
use crate::time::{Timestamp, seconds};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

type Counts = KeyValueStore<String, i64>;

/// Counts in a store that it shares, and forwards the count.
struct Counting(Counts);

impl FixedKeyProcessor for Counting {
    type KIn = String;
    type VIn = i64;
    type VOut = i64;
    fn process(
        &mut self,
        record: Record<'_, String, i64>,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let count = self.0.get(record.key)?.unwrap_or(0) + record.value;
        self.0.put(record.key, count)?;
        ctx.forward(&count);
        Ok(())
    }
}

/// Forwards only what both of its stores agree on: that the one has what the other lacks.
struct Reading(Counts, WindowStore<String, i64>);

impl Processor for Reading {
    type KIn = String;
    type VIn = i64;
    type KOut = String;
    type VOut = i64;
    fn process(
        &mut self,
        record: Record<'_, String, i64>,
        ctx: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let count = self.0.get(record.key)?.unwrap_or(-1);
        if self.1.fetch(record.key, ..)?.is_empty() {
            ctx.forward(record.with_value(&(count * 100)));
        }
        Ok(())
    }
}

fn node(name: &str, kind: Kind, parents: Vec<(NodeId, Port)>, factory: Factory) -> NodeSpec {
    NodeSpec {
        name: name.into(),
        kind,
        parents,
        stores: Vec::new(),
        uses_time: false,
        has_finals: false,
        details: Vec::new(),
        factory,
    }
}

fn source(graph: &mut Graph) -> NodeId {
    let spec = SourceSpec {
        node: "in".into(),
        topics: SourceTopics::Named(vec![TopicName::External("in".into())]),
        out_of_orderness: Duration::ZERO,
        idle_timeout: None,
        reset: None,
        on_deserialization_error: None,
    };
    let factory: Factory = Box::new(|wiring| {
        let outputs: Outputs<String, i64> = wiring.outputs(Port::Main)?;
        let (node, key, value) = (wiring.name()?, both(Utf8), both(BigEndian));
        wiring.put_input(Box::new(Source { node, key, value, extract: None, slots: Vec::new(), outputs }));
        Ok(())
    });
    graph.add(node("in", Kind::Source(spec), vec![], factory))
}

fn sink(graph: &mut Graph, parents: &[NodeId]) {
    let factory: Factory = Box::new(|wiring| {
        let sink: SinkNode<String, i64> = SinkNode {
            node: wiring.name()?,
            key: both(Utf8),
            value: both(BigEndian),
            topics: Topics::Fixed("out".into()),
            partitioner: None,
            counts: wiring.env().topics.clone(),
            limits: wiring.env().limits.clone(),
            round: 0,
            scratch: Vec::new(),
        };
        wiring.put_sink::<String, i64>(Rc::new(RefCell::new(sink)));
        Ok(())
    });
    let kind = Kind::Sink(SinkTopic::Named(TopicName::External("out".into())));
    let parents = parents.iter().map(|parent| (*parent, Port::Main)).collect();
    graph.add(node("out", kind, parents, factory));
}

/// `in` -> two processors that share a store -> `out`.
fn shared_store() -> Graph {
    let mut graph = Graph::default();
    let counts = graph.add_state_store(KeyValueStore::<String, i64>::named("counts"));
    let windows = WindowStore::<String, i64>::with("windows", seconds(1), Utf8, BigEndian).no_changelog();
    let windows = graph.add_state_store(windows);
    let from = vec![(source(&mut graph), Port::Main)];
    let counting = graph.add_fixed_key_processor("counting".into(), from.clone(), &counts, Counting);
    let reading = graph.add_processor("reading".into(), from, (&counts, &windows), |(c, w)| Reading(c, w));
    sink(&mut graph, &[counting, reading]);
    graph
}

#[test]
fn processors_of_a_task_share_a_store() {
    let topology = Topology::of(shared_store()).expect("no mistakes");
    let task = TaskId { subtopology: 0, partition: 0 };
    let stores = ["counts".into(), "windows".into()];
    let env = TaskEnv {
        task,
        application_id: "app".into(),
        backend: MemoryDisk::default().open(task, &stores).expect("opens"),
        topics: Arc::new([("out".into(), 1)].into()),
        limits: Rc::default(),
        cache_bytes: 1 << 20,
    };
    let mut graph = topology.blueprint().instantiate(&env).expect("made");
    assert_eq!((graph.inputs.len(), graph.nodes.len(), graph.stores.len()), (1, 2, 2));
    let mut effects = Effects::default();
    let mut cx = Cx::quiet(Timestamp(5), Timestamp(0), &mut effects);
    for node in &graph.nodes {
        node.borrow_mut().restored(&mut cx, Timestamp::MIN).expect("starts");
    }
    for value in [2_i64, 3] {
        let record = LogRecord {
            offset: 0,
            timestamp: Timestamp(5),
            key: Some(b"a".as_slice().into()),
            value: Some(value.to_be_bytes().as_slice().into()),
            headers: Headers::new(),
        };
        graph.inputs[0].decode(0, &record, Timestamp::MIN, Timestamp(0)).expect("decoded");
        graph.inputs[0].process(0, &mut cx).expect("processed");
    }
    let left = effects.records.iter().map(|record| record.value.as_deref().map(<[u8]>::to_vec));
    let expected = [2_i64, 200, 5, 500].map(|value| Some(value.to_be_bytes().to_vec()));
    assert_eq!(left.collect::<Vec<_>>(), expected);
}

#[test]
fn processors_print_and_are_told_apart_by_their_stores() {
    let topology = Topology::of(shared_store()).expect("no mistakes");
    let text = topology.describe();
    assert!(text.contains("Processor: reading (stores: [counts, windows])"), "{text}");
    assert!(topology.blueprint().subtopologies[0].uses_time);
    assert_eq!(
        topology.blueprint().fingerprint,
        "sub-topology 0\n  reads topic in\n  \
         store counts with changelog\n    store: counts: key Utf8<String>, value BigEndian<i64>\n  \
         store windows without changelog\n    store: windows: key Utf8<String>, start, end, value BigEndian<i64>\n"
    );
}

#[test]
fn a_handle_of_another_topology_is_refused() {
    let foreign = Graph::default().add_state_store(KeyValueStore::<String, i64>::named("counts"));
    let mut graph = Graph::default();
    let from = vec![(source(&mut graph), Port::Main)];
    graph.add_fixed_key_processor("counting".into(), from, &foreign, Counting);
    let text = Topology::of(graph).expect_err("foreign").to_string();
    assert!(text.contains("store `counts` of node `counting` belongs to another topology"), "{text}");
}
