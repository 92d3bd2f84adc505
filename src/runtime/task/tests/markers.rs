use super::*;
use crate::runtime::writers::Marker;

const A: TaskId = TaskId { subtopology: 0, partition: 0 };
const B: TaskId = TaskId { subtopology: 0, partition: 1 };

fn repartition(topic: &str, slot: usize) -> InputPlan {
    let kind = InputKind::Repartition { writers: [A, B].into() };
    InputPlan { partition: TopicPartition::new(topic, 0), source: 0, slot, kind }
}

fn marker(offset: i64, writer: TaskId, watermark: i64) -> LogRecord {
    let headers = Marker { writer, watermark: Timestamp(watermark) }.headers();
    LogRecord { offset, timestamp: Timestamp(0), key: None, value: None, headers }
}

#[test]
fn only_markers_move_a_repartition_partition() {
    let mut running = Setup { inputs: vec![repartition("by-key", 0)], ..Setup::default() }.start();
    running.feed(&[(0, "a", 1, 3), (1, "b", 1, 500)], 0);
    assert_eq!(running.task.watermark(), Timestamp::MIN);
    running.task.receive(0, vec![marker(2, A, 40), record(3, "a", 2, 4), marker(4, B, 16)], 5);
    running.run(0);
    // Held until both were heard: the record between the markers is not late.
    assert_eq!(running.taken(), ["M a[0,10)=3"]);
    assert_eq!(running.task.watermark(), Timestamp(16));
    let counts = running.task.counts();
    assert_eq!((counts.processed, counts.late), (3, 0), "a marker is no record");
    let holder = running.task.explain(at(0)).holder.expect("one");
    assert_eq!(holder.why, Held::Writer { task: B, heard: true });
    assert_eq!(running.commit(0).values().next().expect("one").offset, 5, "past the marker");
}

/// A marker at the head is taken whatever the other inputs hold; one behind a record waits for it.
#[test]
fn markers_are_taken_at_the_head() {
    let setup =
        Setup { inputs: vec![repartition("by-key", 0), source("ticks", 1, None)], ..Setup::default() };
    let mut running = setup.start();
    running.task.receive(
        0,
        vec![marker(0, A, 20), marker(1, B, 20), record(2, "z", 1, 90), marker(3, A, 80)],
        4,
    );
    running.task.receive(1, vec![record(0, "a", 1, 3), record(1, "a", 1, 18)], 2);
    let ran = running.task.run(at(0), 1).expect("runs");
    assert_eq!(ran.records, 1);
    let Some(InputWatermark::Repartition(writers)) = running.task.watermarks.first() else { panic!("one") };
    assert_eq!(writers.watermark(), Timestamp(20));
    running.run(0);
    assert_eq!(running.taken(), ["M a[0,10)=1"], "the ticks hold at 18");
}

#[test]
fn what_was_heard_survives_a_restart() {
    let setup = Setup { inputs: vec![repartition("by-key", 0)], ..Setup::default() };
    let mut running = setup.start();
    running.task.receive(0, vec![marker(0, A, 40), marker(1, B, 16), marker(2, A, 60)], 3);
    running.run(0);
    let offsets = running.commit(0);
    for lose_disk in [false, true] {
        if lose_disk {
            setup.disk.lose();
        }
        let mut next = setup.start_at(&offsets, 0);
        assert_eq!(next.task.watermark(), Timestamp(16));
        next.task.receive(0, vec![marker(3, B, 70)], 4);
        next.run(0);
        assert_eq!(next.task.watermark(), Timestamp(60), "A had said 60");
    }
}

/// Lost metadata: the store's own copy holds.
#[test]
fn either_copy_of_the_watermark_is_enough() {
    let setup = Setup::default();
    let mut running = setup.start();
    running.feed(&[(0, "a", 1, 3), (1, "b", 1, 40)], 0);
    let mut offsets = running.commit(0);
    for committed in offsets.values_mut() {
        committed.metadata = "something else".to_owned();
    }
    let mut next = setup.start_at(&offsets, 0);
    assert_eq!(next.task.watermark(), Timestamp(40));
    next.taken();
    next.feed(&[(2, "a", 1, 4)], 0);
    assert_eq!(next.taken(), ["late a[0,10)=1"]);
}

fn told(out: &[Outgoing]) -> Vec<(u32, i64)> {
    let marker = |sent: &Outgoing| {
        assert_eq!((&sent.key, &sent.value, &*sent.target.topic), (&None, &None, "app-below-repartition"));
        let headers = sent.headers.clone();
        let read = LogRecord { offset: 0, timestamp: sent.timestamp, key: None, value: None, headers };
        let marker = Marker::of(&read).expect("a marker");
        assert_eq!(marker.writer, ID);
        (sent.target.partition, marker.watermark.0)
    };
    out.iter().map(marker).collect()
}

#[test]
fn every_partition_is_told_once_per_value() {
    let setup = Setup { outputs: vec![("app-below-repartition".into(), 2)], ..Setup::default() };
    let mut running = setup.start();
    running.commit(0);
    assert!(running.output().is_empty(), "there is no watermark yet");
    running.feed(&[(0, "a", 1, 3)], 0);
    running.commit(1);
    assert_eq!(told(&running.output()), [(0, 3), (1, 3)]);
    running.commit(2);
    assert!(running.output().is_empty(), "told already");

    running.feed(&[(1, "a", 1, 7)], 3);
    assert_eq!(running.task.next_wakeup(at(3)).markers, Some(101));
    running.task.markers(at(100), false);
    assert!(running.output().is_empty(), "between commits once per interval, from the last");
    running.task.markers(at(101), false);
    assert_eq!(told(&running.output()), [(0, 7), (1, 7)]);

    let offsets = running.commit(102);
    let mut next = setup.start_at(&offsets, 102);
    next.run(102);
    next.commit(103);
    assert_eq!(told(&next.output()), [(0, 7), (1, 7)], "a new task tells everybody");
}

/// What a marker says has been worked off: in the middle of an advance it says less than the watermark.
#[test]
fn a_marker_is_never_ahead_of_the_finals() {
    let mut setup = Setup { outputs: vec![("app-below-repartition".into(), 1)], ..Setup::default() };
    setup.settings.advance_batch = 1;
    let mut running = setup.start();
    running.feed(&[(0, "a", 1, 3), (1, "b", 1, 13)], 0);
    running.task.receive(0, vec![record(2, "c", 1, 100)], 3);
    running.task.run(at(0), 1).expect("runs");
    running.commit(1);
    assert_eq!(running.task.watermark(), Timestamp(100));
    assert_eq!(told(&running.output()), [(0, 15)]);
    assert_eq!(running.taken(), ["M a[0,10)=1"]);
    running.run(1);
    running.commit(2);
    assert_eq!(told(&running.output()), [(0, 100)]);
}
