//! Graphs put together by hand: what they become, how they print, what is refused.

use super::*;
use std::time::Duration;

/// A graph whose nodes are never made.
#[derive(Default)]
struct Draft(Graph);

impl Draft {
    fn node(&mut self, name: &str, kind: Kind, parents: &[NodeId]) -> NodeId {
        let name = if name.ends_with('-') { self.0.numbered(name) } else { name.into() };
        self.0.add(NodeSpec {
            name,
            kind,
            parents: parents.iter().map(|parent| (*parent, Port::Main)).collect(),
            stores: Vec::new(),
            uses_time: false,
            has_finals: false,
            details: Vec::new(),
            factory: Box::new(|_| Ok(())),
        })
    }
    fn source_of(&mut self, name: &str, topics: SourceTopics) -> NodeId {
        let kind = Kind::Source(SourceSpec {
            node: name.into(),
            topics,
            out_of_orderness: Duration::ZERO,
            idle_timeout: None,
            reset: None,
            on_deserialization_error: None,
        });
        self.node(name, kind, &[])
    }
    fn source(&mut self, name: &str, topics: &[&str]) -> NodeId {
        let topics = topics.iter().map(|topic| TopicName::External((*topic).into())).collect();
        self.source_of(name, SourceTopics::Named(topics))
    }
    fn pattern(&mut self, name: &str, pattern: &str) -> NodeId {
        self.source_of(name, SourceTopics::Pattern(pattern.into()))
    }
    fn processor(&mut self, name: &str, parents: &[NodeId]) -> NodeId {
        self.node(name, Kind::Processor, parents)
    }
    fn sink(&mut self, name: &str, topic: &str, parents: &[NodeId]) -> NodeId {
        let topic = SinkTopic::Named(TopicName::External(topic.into()));
        self.node(name, Kind::Sink(topic), parents)
    }
    /// Takes its three numbers; gives the source.
    fn repartition(&mut self, name: &str, partitions: Option<u32>, parents: &[NodeId]) -> NodeId {
        let topic = TopicName::Repartition(name.into());
        (0..3).for_each(|_| drop(self.0.numbered("")));
        self.0.repartitions.push(RepartitionDef { name: name.into(), partitions });
        let filter = self.processor(&format!("{name}-repartition-filter"), parents);
        let sink = Kind::Sink(SinkTopic::Named(topic.clone()));
        self.node(&format!("{name}-repartition-sink"), sink, &[filter]);
        self.source_of(&format!("{name}-repartition-source"), SourceTopics::Named(vec![topic]))
    }
    fn store(&mut self, name: &str, logged: bool) -> StoreId {
        let factory = Box::new(|_: &TaskEnv, _| Err(Error::internal("never made")));
        self.0.add_store(StoreDef { name: name.into(), logged, readable: None, factory })
    }
    fn at(&mut self, node: NodeId) -> &mut NodeSpec {
        &mut self.0.nodes[node.0]
    }
    fn build(self) -> Topology {
        Topology::of(self.0).expect("no mistakes")
    }
    fn mistakes(self) -> String {
        Topology::of(self.0).expect_err("mistakes").to_string()
    }
}

/// `select_key`, `group_by_key` with the repartition named `byv`, `count` in store `c`.
fn counted_by_value() -> Draft {
    let mut draft = Draft::default();
    let source = draft.source("KSTREAM-SOURCE-0000000000", &["in"]);
    draft.0.number();
    let select = draft.processor("KSTREAM-KEY-SELECT-", &[source]);
    let aggregate_name = draft.0.numbered("KSTREAM-AGGREGATE-");
    let source = draft.repartition("byv", None, &[select]);
    let store = draft.store("c", true);
    let aggregate = draft.processor(&aggregate_name, &[source]);
    draft.at(aggregate).stores.push(store);
    draft.at(aggregate).details = vec![("key", "utf8".to_owned()), ("value", "int64".to_owned())];
    let stream = draft.processor("KTABLE-TOSTREAM-", &[aggregate]);
    let map = draft.processor("KSTREAM-MAPVALUES-", &[stream]);
    draft.sink("KSTREAM-SINK-", "out", &[map]);
    draft
}

const COUNTED_BY_VALUE: &str = "Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [in])
      --> KSTREAM-KEY-SELECT-0000000001
    Processor: KSTREAM-KEY-SELECT-0000000001 (stores: [])
      --> byv-repartition-filter
      <-- KSTREAM-SOURCE-0000000000
    Processor: byv-repartition-filter (stores: [])
      --> byv-repartition-sink
      <-- KSTREAM-KEY-SELECT-0000000001
    Sink: byv-repartition-sink (topic: byv-repartition)
      <-- byv-repartition-filter

  Sub-topology: 1
    Source: byv-repartition-source (topics: [byv-repartition])
      --> KSTREAM-AGGREGATE-0000000002
    Processor: KSTREAM-AGGREGATE-0000000002 (stores: [c])
      --> KTABLE-TOSTREAM-0000000006
      <-- byv-repartition-source
    Processor: KTABLE-TOSTREAM-0000000006 (stores: [])
      --> KSTREAM-MAPVALUES-0000000007
      <-- KSTREAM-AGGREGATE-0000000002
    Processor: KSTREAM-MAPVALUES-0000000007 (stores: [])
      --> KSTREAM-SINK-0000000008
      <-- KTABLE-TOSTREAM-0000000006
    Sink: KSTREAM-SINK-0000000008 (topic: out)
      <-- KSTREAM-MAPVALUES-0000000007

";

#[test]
fn prints_as_kafka_streams() {
    let topology = counted_by_value().build();
    assert_eq!(topology.describe(), COUNTED_BY_VALUE);
    assert_eq!(topology.to_string(), COUNTED_BY_VALUE);
}

#[test]
fn details_are_extra_lines() {
    let detailed = format!("{:#}", counted_by_value().build());
    let (extra, plain): (Vec<&str>, Vec<&str>) =
        detailed.lines().partition(|line| line.trim_start().starts_with("~~"));
    assert_eq!(extra, ["      ~~ key: utf8", "      ~~ value: int64", "      ~~ changelog: c-changelog"]);
    assert_eq!(plain.join("\n") + "\n", COUNTED_BY_VALUE);
}

/// Kafka Streams' own test of merges: an arrow's place depends on how far its node had grown when it was drawn.
#[test]
fn arrows_are_in_the_order_in_which_kafka_streams_draws_them() {
    let mut draft = Draft::default();
    let source = draft.source("KSTREAM-SOURCE-0000000000", &["in"]);
    draft.0.number();
    let keyed = draft.processor("KSTREAM-KEY-SELECT-", &[source]);
    let [two, three, four] = [(); 3].map(|()| draft.processor("KSTREAM-MAPVALUES-", &[keyed]));
    let merged = draft.processor("KSTREAM-MERGE-", &[two, three]);
    let all = draft.processor("KSTREAM-MERGE-", &[merged, four]);
    draft.sink("KSTREAM-SINK-", "out", &[all]);
    let text = draft.build().describe();
    for line in [
        "      --> KSTREAM-MAPVALUES-0000000002, KSTREAM-MAPVALUES-0000000003, KSTREAM-MAPVALUES-0000000004\n",
        "      <-- KSTREAM-MAPVALUES-0000000002, KSTREAM-MAPVALUES-0000000003\n",
        "      <-- KSTREAM-MERGE-0000000005, KSTREAM-MAPVALUES-0000000004\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn patterns_and_chosen_topics_print_too() {
    let mut draft = Draft::default();
    let source = draft.pattern("all", "ticks-.*");
    draft.node("out", Kind::Sink(SinkTopic::Chosen), &[source]);
    let expected = "Topologies:
   Sub-topology: 0
    Source: all (topics: ticks-.*)
      --> out
    Sink: out (extractor class: chosen per record)
      <-- all

";
    assert_eq!(draft.build().describe(), expected);
}

#[test]
fn a_repartition_cuts_and_a_store_joins() {
    let mut draft = Draft::default();
    let (a, b, c) = (draft.source("a", &["a"]), draft.source("b", &["b"]), draft.source("c", &["c"]));
    let (first, _, third) =
        (draft.processor("1", &[a]), draft.processor("2", &[b]), draft.processor("3", &[c]));
    let shared = draft.store("shared", false);
    draft.at(first).stores.push(shared);
    draft.at(third).stores.push(shared);
    draft.repartition("again", Some(6), &[third]);
    let topology = draft.build();
    let subs = &topology.blueprint().subtopologies;
    let sources = |sub: &SubTopology| sub.sources.iter().map(|s| s.node.to_string()).collect::<Vec<_>>();
    assert_eq!(
        subs.iter().map(sources).collect::<Vec<_>>(),
        [vec!["a", "c"], vec!["b"], vec!["again-repartition-source"]]
    );
    assert_eq!(subs[0].stores.iter().map(|s| (&*s.name, s.logged)).collect::<Vec<_>>(), [("shared", false)]);
    assert_eq!(subs[0].written, [TopicName::Repartition("again".into())]);
    let [again] = &topology.blueprint().repartitions[..] else { panic!("one repartition") };
    assert_eq!((&again.writers[..], again.reader, again.partitions), (&[0][..], 2, Some(6)));
    assert!(!again.carries_watermark);
}

#[test]
fn watermarks_are_carried_to_whatever_uses_time_below() {
    let mut draft = Draft::default();
    let source = draft.source("in", &["in"]);
    let one = draft.repartition("one", None, &[source]);
    let two = draft.repartition("two", None, &[one]);
    let aside = draft.repartition("aside", None, &[one]);
    draft.processor("plain", &[aside]);
    let windows = draft.processor("windows", &[two]);
    draft.at(windows).uses_time = true;
    draft.at(windows).has_finals = true;
    let topology = draft.build();
    let carried = topology.blueprint().repartitions.iter().map(|r| (&*r.name, r.carries_watermark));
    assert_eq!(carried.collect::<Vec<_>>(), [("one", true), ("two", true), ("aside", false)]);
    let timed = topology.blueprint().subtopologies.iter().map(|s| (s.uses_time, s.has_finals));
    assert_eq!(timed.collect::<Vec<_>>(), [(false, false), (false, false), (true, true), (false, false)]);
}

#[test]
fn a_side_output_added_before_its_aggregate_comes_after_it() {
    let mut draft = Draft::default();
    let source = draft.source("in", &["in"]);
    let late = draft.processor("late", &[]);
    let sink = draft.sink("late-out", "late", &[late]);
    let aggregate = draft.processor("aggregate", &[source]);
    draft.0.link(late, aggregate, Port::Late);
    let topology = draft.build();
    let order = [source, aggregate, late, sink].map(|id| id.0);
    assert_eq!(topology.blueprint().subtopologies[0].nodes, order);
}

#[test]
fn a_join_asks_for_equal_partitions_of_all_above_it() {
    let mut draft = Draft::default();
    let (a, b) = (draft.source("a", &["a"]), draft.source("b", &["b"]));
    let map = draft.processor("map", &[b]);
    let join = draft.processor("join", &[a, map]);
    let alone = draft.processor("alone", &[a]);
    draft.0.copartitioned.extend([join, alone]);
    let several = draft.source("several", &["x", "y"]);
    let merged = draft.processor("merged", &[several]);
    draft.0.copartitioned.push(merged);
    let topology = draft.build();
    let [first, second] = &topology.blueprint().subtopologies[..] else { panic!("two") };
    assert_eq!(first.copartitioned, [("join".into(), vec![0, 1])]);
    assert_eq!(second.copartitioned, [("merged".into(), vec![0])]);
}

#[test]
fn the_fingerprint_tells_state_not_node_numbers() {
    let plain = counted_by_value().build();
    assert_eq!(
        plain.blueprint().fingerprint,
        "sub-topology 0\n  reads topic in\nsub-topology 1\n  reads topic byv-repartition\n  store c with changelog\n    \
         key: utf8\n    value: int64\nrepartition byv partitions as upstream\n"
    );
    let mut other = counted_by_value();
    other.0.nodes[1].name = "another-name".into();
    assert_eq!(other.build().blueprint().fingerprint, plain.blueprint().fingerprint);
    let mut other = counted_by_value();
    other.0.repartitions[0].partitions = Some(4);
    assert_ne!(other.build().blueprint().fingerprint, plain.blueprint().fingerprint);
}

#[test]
fn every_mistake_is_reported_at_once() {
    let mut draft = Draft::default();
    draft.0.mistake(Error::topology("noticed while building: `known` hangs on nothing"));
    let a = draft.source("a", &["in", "other"]);
    draft.source("b", &["in"]);
    draft.pattern("c", "oth.*");
    draft.pattern("d", "ticks-(");
    draft.processor("known", &[]);
    draft.processor("late", &[]);
    draft.processor("twice", &[a]);
    draft.processor("twice", &[a]);
    draft.sink("out", "no spaces", &[a]);
    draft.store("s", true);
    let s = draft.store("s", true);
    let used = draft.processor("used", &[a]);
    draft.at(used).stores.push(s);
    draft.repartition("r", None, &[a]);
    draft.repartition("r", None, &[a]);
    let mistakes = draft.mistakes();
    for expected in [
        "10 mistakes",
        "noticed while building",
        "sources `a` and `b` both read `in`",
        "pattern `oth.*` of source `c` matches topic `other`, which source `a` reads",
        "topic pattern `ticks-(` is not a regular expression\n  source: d",
        "node `late` hangs on nothing",
        "two nodes are named `twice`",
        "topic name `no spaces` is not possible: it contains ' '",
        "store `s` is defined twice",
        "no node uses store `s`",
        "two repartitions are named `r`",
    ] {
        assert!(mistakes.contains(expected), "{expected} is not in\n{mistakes}");
    }
}

#[test]
fn an_empty_topology_and_a_cycle_are_refused() {
    assert!(Draft::default().mistakes().contains("the topology has no source"));
    let mut draft = Draft::default();
    let source = draft.source("in", &["in"]);
    let (x, y) = (draft.processor("x", &[source]), NodeId(2));
    draft.processor("y", &[x]);
    draft.0.link(x, y, Port::Main);
    let error = Topology::of(draft.0).expect_err("a cycle");
    assert!(error.code() == "HW0901" && error.to_string().contains("x, y"), "{error}");
}

#[test]
fn topologies_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Topology>();
}
