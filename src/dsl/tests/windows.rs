//! Windows, roll-ups, gaps and suppress, in a task.

use super::*;
use crate::processor::{Children, Incomplete};
use crate::serdes::{Json, Utf8, WindowedSerde};
use crate::time::{TimeWindows, Windowed, milliseconds as ms};

fn numbers(builder: &StreamsBuilder) -> KStream<String, u64> {
    builder.stream("in", Consumed::with(Utf8, Json))
}
fn slots() -> Produced<Windowed<String>, u64> {
    Produced::with(WindowedSerde::of(Utf8).with_end(), Json)
}
fn sums(stream: &KStream<String, u64>, grace: u64) -> KTable<Windowed<String>, u64> {
    let windows = TimeWindows::of_size(ms(10)).grace(ms(grace));
    stream.group_by_key().windowed_by(windows).reduce(|sum, n| *sum += n, Materialized::with("tens", Json))
}
fn task(builder: StreamsBuilder) -> Task {
    Task::of(&builder.build().expect("builds"), 0, &["live", "final", "late", "outside", "next"])
}

#[test]
fn live_and_final_from_one_aggregate_and_late_records_aside() {
    let builder = StreamsBuilder::new();
    let windowed = numbers(&builder).group_by_key().windowed_by(TimeWindows::of_size(ms(10)).grace(ms(5)));
    windowed.late().to("late", slots());
    let sums = windowed.reduce(|sum, n| *sum += n, Materialized::with("tens", Json));
    sums.to_stream().to("live", slots());
    sums.suppress(Suppressed::until_window_closes()).to_stream().to("final", slots());
    let mut task = task(builder);
    task.send("a", "1", 3);
    task.send("b", "7", 14);
    task.send("a", "2", 9);
    assert_eq!(task.written("final"), [""; 0]);
    task.send("b", "8", 15);
    task.send("a", "4", 9);
    assert_eq!(task.written("live"), ["a[0, 10]=1@3", "b[10, 20]=7@14", "a[0, 10]=3@9", "b[10, 20]=15@15"]);
    assert_eq!(task.written("final"), ["a[0, 10]=3@9"]);
    assert_eq!(task.written("late"), ["a[0, 10]=4@9"]);
    assert_eq!((task.effects.counts.finals, task.effects.counts.late), (1, 1));
    task.advance(25);
    assert_eq!(task.written("final"), ["b[10, 20]=15@15"]);
}

#[test]
fn the_windows_kind_decides_the_keys_bytes() {
    let builder = StreamsBuilder::new();
    let stream = numbers(&builder);
    sums(&stream, 0).to_stream().to("live", Produced::default());
    stream
        .group_by_key()
        .windowed_by(Uneven)
        .count(Materialized::with("uneven", Json))
        .to_stream()
        .to("next", Produced::default());
    let mut task = task(builder);
    task.send("a", "1", 13);
    assert_eq!(task.written("live"), ["a[10]=1@13"], "key and start, as Kafka Streams writes it");
    assert_eq!(task.written("next"), ["a[0, 100]=1@13"], "key, start and end");
    let mut changes = Vec::new();
    task.graph.stores.iter().for_each(|store| store.borrow_mut().collect(&mut changes).expect("collects"));
    let keys: Vec<&[u8]> = changes.iter().map(|change| &*change.key).collect();
    let fixed = [b"a".as_slice(), &10_i64.to_be_bytes(), &[0; 4]].concat();
    let bounded = [b"a".as_slice(), &0_i64.to_be_bytes(), &100_i64.to_be_bytes()].concat();
    assert_eq!(keys, [&fixed, &bounded]);
}

/// One window of 100 ms, bounded by 200; nothing outside it.
struct Uneven;
impl<K> crate::Windows<K> for Uneven {
    fn assign(&self, _: &K, at: Timestamp, windows: &mut Vec<crate::Window>) -> Result<(), crate::BoxError> {
        let only = crate::Window::new(Timestamp(0), Timestamp(100));
        windows.extend(only.contains(at).then_some(only));
        Ok(())
    }
    fn next(&self, _: &K, from: Timestamp) -> Result<Option<crate::Window>, crate::BoxError> {
        Ok((from.0 <= 0).then(|| crate::Window::new(Timestamp(0), Timestamp(100))))
    }
    fn size(&self) -> crate::time::WindowSize {
        crate::time::WindowSize::AtMost(ms(200))
    }
    fn grace(&self) -> std::time::Duration {
        ms(0)
    }
}

#[test]
fn records_of_no_window_go_outside() {
    let builder = StreamsBuilder::new();
    let windowed = numbers(&builder).group_by_key().windowed_by(Uneven);
    windowed.outside().to("outside", Produced::default());
    let _ = windowed.count(Materialized::named("n"));
    let mut task = task(builder);
    task.send("a", "1", 50);
    task.send("a", "2", 150);
    assert_eq!(task.written("outside"), ["a=2@150"]);
}

#[test]
fn a_roll_up_closes_early_with_all_its_children_and_none_is_late() {
    let builder = StreamsBuilder::new();
    let finals = sums(&numbers(&builder), 3).suppress(Suppressed::until_window_closes()).to_stream();
    let children = TimeWindows::of_size(ms(10));
    let add = |_: &Windowed<String>, n: &u64, sum: &mut (u64, Children), children| {
        *sum = (sum.0 + n, children);
    };
    let init = || (0, Children { arrived: 0, expected: None });
    let rolled = finals.roll_up(TimeWindows::of_size(ms(30)).grace(ms(3))).children(children);
    rolled.late().to("late", slots());
    let parents =
        rolled.incomplete(Incomplete::Emit).aggregate(init, add, Materialized::with("thirties", Json));
    let shown = parents.suppress(Suppressed::until_window_closes()).to_stream();
    shown
        .map_values(|(sum, children)| (*sum, children.arrived, children.complete()))
        .to("next", Produced::with(WindowedSerde::of(Utf8).with_end(), Json));
    let mut task = task(builder);
    for at in [5, 15, 25, 45] {
        task.send("a", "1", at);
    }
    assert_eq!(task.written("next"), ["a[0, 30]=[3,3,true]@25"]);
    task.advance(63);
    assert_eq!(task.written("next"), ["a[30, 60]=[1,1,false]@45"]);
    assert_eq!(task.written("late"), [""; 0]);
}

#[test]
fn quiet_windows_are_filled_and_their_finals_are_finals() {
    let builder = StreamsBuilder::new();
    let filled =
        sums(&numbers(&builder), 0).fill_gaps(GapFill::with(|_| 0), Materialized::with("known", Json));
    let finals = filled.suppress(Suppressed::until_window_closes()).to_stream();
    finals.to("final", slots());
    let add = |_: &Windowed<String>, n: &u64, sum: &mut u64, _| *sum += n;
    let parents = finals.roll_up(TimeWindows::of_size(ms(30))).children(TimeWindows::of_size(ms(10)));
    let parents = parents.aggregate(|| 0, add, Materialized::with("thirties", Json));
    parents.suppress(Suppressed::until_window_closes()).to_stream().to("next", slots());
    let mut task = task(builder);
    task.send("a", "4", 5);
    task.advance(30);
    assert_eq!(
        task.written("final"),
        ["a[0, 10]=4@5", "a[10, 20]=0@10", "a[20, 30]=0@20"],
        "a heartbeat's time is its slot's start"
    );
    assert_eq!(task.written("next"), ["a[0, 30]=4@20"]);
}

#[test]
fn updates_wait_for_a_time_limit() {
    let builder = StreamsBuilder::new();
    let counts = numbers(&builder).group_by_key().count(Materialized::named("n"));
    let soon = Suppressed::until_time_limit(ms(10), Materialized::with("soon", Json)).max_records(2);
    counts.suppress(soon).to_stream().to("live", Produced::with(Utf8, Json));
    let mut task = task(builder);
    task.send("a", "1", 1);
    task.send("a", "1", 9);
    task.send("b", "1", 10);
    assert_eq!(task.written("live"), [""; 0]);
    task.advance(11);
    assert_eq!(task.written("live"), ["a=2@9"]);
    task.send("c", "1", 12);
    task.send("d", "1", 13);
    assert_eq!(task.written("live"), ["b=1@10"], "two at most: the oldest leaves early");
}

/// The windows below finals see the time that is certainly complete above.
#[test]
fn no_final_is_late_in_other_windows_below() {
    let builder = StreamsBuilder::new();
    let finals = sums(&numbers(&builder), 5).suppress(Suppressed::until_window_closes()).to_stream();
    let again = finals.group_by_key().windowed_by(TimeWindows::of_size(ms(20)));
    again.late().to("late", Produced::with(WindowedSerde::of(WindowedSerde::of(Utf8)), Json));
    let counts = again.count(Materialized::with("again", Json));
    let key = WindowedSerde::of(WindowedSerde::of(Utf8));
    counts.suppress(Suppressed::until_window_closes()).to_stream().to("next", Produced::with(key, Json));
    let mut task = task(builder);
    for at in [1, 12, 40] {
        task.send("a", "1", at);
    }
    assert_eq!(task.written("late"), [""; 0]);
    assert_eq!(task.written("next"), ["a[0, 0]=1@1", "a[10, 0]=1@12"]);
}

#[test]
fn an_aggregate_behind_a_merge_needs_equal_partition_counts() {
    let builder = StreamsBuilder::new();
    let other = builder.stream("again", Consumed::with(Utf8, Json));
    sums(&numbers(&builder).merge(&other), 0).to_stream().to("live", Produced::default());
    let one = builder.stream("alone", Consumed::with(Utf8, Json)).group_by_key();
    let _: KTable<String, u64> = one.reduce(|sum: &mut u64, n| *sum += n, Materialized::with("alone", Json));
    let topology = builder.build().expect("builds");
    let groups: Vec<_> =
        topology.blueprint().subtopologies.iter().map(|sub| sub.copartitioned.len()).collect();
    assert_eq!(groups, [1, 0]);
}
