//! One application that is run by Kafka Streams and by Highwater in turn: committed offsets, changelog and repartition
//! topic are handed on. Kafka's reset tool.

use super::{Cluster, Java, LONG, config, script, start};
use crate::kafka::words::count;
use highwater::KafkaStreams;
use std::collections::BTreeMap;

const PARTITIONS: i32 = 2;

#[derive(Clone, Copy, Debug)]
enum Side {
    Java,
    Highwater,
}

struct Application {
    cluster: Cluster,
    name: String,
    guarantee: &'static str,
    lines: String,
    counts: String,
    state: tempfile::TempDir,
    expected: BTreeMap<String, u64>,
    rounds: i64,
}

impl Application {
    fn new(guarantee: &'static str) -> Option<Self> {
        let cluster = Java::there()?;
        let [name, lines, counts] = ["shared", "lines", "counts"].map(|name| cluster.unique(name));
        cluster.create_all([&lines, &counts], PARTITIONS);
        let state = tempfile::tempdir().expect("a folder");
        let expected = BTreeMap::new();
        Some(Self { cluster, name, guarantee, lines, counts, state, expected, rounds: 0 })
    }

    fn write(&mut self) {
        let round = self.rounds;
        self.rounds += 1;
        let new = format!("new-{round}");
        let lines = ["the cat and the dog", "the bird", &new];
        for (at, line) in lines.into_iter().enumerate() {
            self.cluster.write(&self.lines, [(["a", "b", "c"][at], line, 1_000 * (round + 1))]);
            line.split(' ').for_each(|word| *self.expected.entry(word.to_owned()).or_default() += 1);
        }
    }

    /// The counts are those of all lines, and none of a word was ever larger than the next.
    fn check(&self, what: &str) {
        let seen = self.cluster.until(&self.counts, what, |seen| {
            let last: BTreeMap<&str, &str> = seen.iter().map(|(_, key, value)| (&**key, &**value)).collect();
            self.expected.iter().all(|(word, count)| last.get(&**word) == Some(&&*count.to_string()))
        });
        for (word, count) in &self.expected {
            let told: Vec<u64> = seen
                .iter()
                .filter(|(_, key, _)| key == word)
                .map(|(_, _, value)| value.parse().expect("a count"))
                .collect();
            assert!(
                told.is_sorted_by(|a, b| a < b) && told.last() == Some(count),
                "{what}: {word}: {told:?}"
            );
        }
    }

    fn run(&mut self, side: Side) {
        self.write();
        let what = format!("round {} by {side:?}", self.rounds);
        match side {
            Side::Java => {
                let words = ["words", &self.name, self.guarantee, &self.lines, &self.counts];
                let java = Java::run(&self.cluster, &words);
                self.check(&what);
                // Also what comes while it runs, and with it a commit in the middle.
                self.write();
                self.check(&what);
                java.close();
            }
            Side::Highwater => {
                let config = config(&self.cluster, &self.name, self.guarantee, self.state.path());
                let running = start(count(&self.lines, &self.counts), config);
                self.check(&what);
                self.write();
                self.check(&what);
                running.close(LONG).expect("a clean stop");
            }
        }
    }
}

fn in_turn(guarantee: &'static str, sides: &[Side]) -> Option<Application> {
    let mut application = Application::new(guarantee)?;
    for side in sides {
        application.run(*side);
    }
    Some(application)
}

/// The largest time of a count.
fn latest(application: &Application) -> i64 {
    let counts = application.cluster.read_raw(&application.counts);
    counts.iter().map(|record| record.timestamp).max().expect("counts")
}

const JAVA_FIRST: [Side; 4] = [Side::Java, Side::Highwater, Side::Java, Side::Highwater];
const HIGHWATER_FIRST: [Side; 3] = [Side::Highwater, Side::Java, Side::Highwater];

#[test]
fn goes_on_where_java_stopped_exactly_once() {
    in_turn("exactly_once_v2", &JAVA_FIRST);
}

#[test]
fn goes_on_where_java_stopped_at_least_once() {
    in_turn("at_least_once", &JAVA_FIRST);
}

/// The changelog has the event times.
#[test]
fn java_goes_on_where_it_stopped_exactly_once() {
    let Some(application) = in_turn("exactly_once_v2", &HIGHWATER_FIRST) else { return };
    assert_eq!(latest(&application), 1_000 * application.rounds);
}

/// The changelog's times are the wall clock's, which Java takes for the rows' own.
#[test]
fn java_goes_on_where_it_stopped_at_least_once() {
    let Some(application) = in_turn("at_least_once", &HIGHWATER_FIRST) else { return };
    assert!(latest(&application) > 1_700_000_000_000);
}

/// A plain `close()` leaves Java's member in the group, whose protocol is not ours, until its session has timed out.
#[test]
fn waits_for_the_session_of_a_java_that_did_not_leave() {
    let Some(mut application) = Application::new("exactly_once_v2") else { return };
    application.write();
    let words = ["words", &application.name, application.guarantee, &application.lines, &application.counts];
    let java = Java::run(&application.cluster, &words);
    application.check("by Java");
    java.close_and_stay();
    let members = application.cluster.members(&application.name);
    assert!(members.len() == 1 && members[0].contains("StreamThread"), "{members:?}");
    application.run(Side::Highwater);
}

/// Kafka's own tool: the input from its beginning, and no internal topic is left.
fn reset(guarantee: &'static str) {
    let Some(mut application) = Application::new(guarantee) else { return };
    application.run(Side::Highwater);
    let tool = ["reset", "--application-id", &application.name, "--input-topics", &application.lines];
    let done = script(&application.cluster).args(tool).output().expect("tests/kafka");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}{}", String::from_utf8_lossy(&done.stderr));
    let topics = application.cluster.topics();
    let internal: Vec<_> = topics.iter().filter(|topic| topic.starts_with(&application.name)).collect();
    assert!(internal.is_empty(), "{internal:?} are left: {told}");
    let committed = application.cluster.committed(&application.name, &application.lines, PARTITIONS);
    assert_eq!(committed, vec![(0, String::new()); PARTITIONS as usize], "{told}");

    // In a topic of its own, for it counts again from one.
    application.counts = application.cluster.unique("again");
    application.cluster.create(&application.counts, PARTITIONS);
    let config = config(&application.cluster, &application.name, guarantee, application.state.path());
    let streams = KafkaStreams::new(count(&application.lines, &application.counts), config).expect("starts");
    streams.clean_up().expect("removed");
    let running = streams.start();
    application.check("from the beginning");
    running.close(LONG).expect("a clean stop");
}

#[test]
fn kafkas_reset_tool_resets_an_application_exactly_once() {
    reset("exactly_once_v2");
}

#[test]
fn kafkas_reset_tool_resets_an_application_at_least_once() {
    reset("at_least_once");
}
