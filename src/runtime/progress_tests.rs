//! What is told when, on clocks that move by hand.

use super::*;
use crate::record::TopicPartition;
use crate::runtime::{Held, Holder};
use crate::time::ManualClock;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

struct World {
    clock: ManualClock,
    progress: Progress,
    state: State,
    snapshot: Snapshot,
}

impl World {
    fn new(interval: Option<u64>, overdue: Option<u64>) -> Self {
        let ms = |ms: Option<u64>| ms.map(Duration::from_millis);
        Self {
            clock: ManualClock::at(NOW),
            progress: Progress::every(ms(interval), ms(overdue)),
            state: State::Created,
            snapshot: Snapshot::default(),
        }
    }

    fn running(interval: Option<u64>, overdue: Option<u64>) -> Self {
        let mut world = Self::new(interval, overdue);
        world.state = State::Running;
        world.look();
        world
    }

    fn look(&mut self) -> Vec<String> {
        let news = self.progress.look(Moment::of(&self.clock), self.state, &self.snapshot);
        news.into_iter()
            .map(|news| format!("{}{}", if news.warning { "! " } else { "" }, news.text))
            .collect()
    }

    fn after(&mut self, ms: i64) -> Vec<String> {
        self.clock.advance(ms);
        self.look()
    }

    /// Looked at each second, as a thread does.
    fn seconds(&mut self, count: i64) -> Vec<String> {
        (0..count).flat_map(|_| self.after(1_000)).collect()
    }

    fn come(&mut self, state: State) -> Vec<String> {
        self.state = state;
        self.look()
    }
}

#[test]
fn a_pause_is_told_and_its_windows_are_not_overdue() {
    let mut world = World::running(Some(10_000), Some(5_000));
    world.snapshot.tasks = vec![task(0)];
    world.snapshot.paused = true;
    let waiting = explanation(Timestamp(NOW.0 - 1), NOW, Held::Unanswered);
    world.snapshot.windows.insert(task(0), waiting);
    assert_eq!(world.look(), ["paused: nothing is processed"]);
    let lines = world.seconds(30);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with("; paused")), "{lines:?}");
    world.snapshot.paused = false;
    assert_eq!(world.look()[0], "resumed");
    assert!(!world.seconds(4).iter().any(|line| line.starts_with('!')), "patience begins anew");
    assert!(world.seconds(10).iter().any(|line| line.starts_with("! task 0_0")));
}

fn task(partition: u32) -> TaskId {
    TaskId { subtopology: 0, partition }
}

fn explanation(watermark: Timestamp, closes_at: Timestamp, why: Held) -> Explanation {
    let partition = TopicPartition::new("ticks", 2);
    Explanation {
        watermark,
        holder: Some(Holder { partition, watermark, why }),
        longest_open: Some((closes_at, Some("bars-m1".into()))),
        closes_at: Some(closes_at),
        open_windows: 3,
    }
}

#[test]
fn states_are_told_once_with_how_long_the_last_one_took() {
    let mut world = World::new(None, None);
    assert!(world.look().is_empty());
    assert_eq!(world.come(State::Rebalancing), ["created -> rebalancing: tasks are assigned and restored"]);
    assert!(world.after(2_300).is_empty());
    world.snapshot.tasks = (0..10).map(task).collect();
    let tasks = "0_0, 0_1, 0_2, 0_3, 0_4, 0_5, 0_6, 0_7 and 2 more";
    assert_eq!(
        world.come(State::Running),
        [format!("rebalancing -> running after 2.3 s: 10 tasks ({tasks})")]
    );
    world.clock.advance(95_000);
    assert_eq!(
        world.come(State::PendingShutdown),
        ["running -> stopping after 95 s: the last commit, then it leaves the group"]
    );
    assert_eq!(world.come(State::NotRunning), ["stopping -> stopped after 0.0 s: all is committed"]);
    assert_eq!(world.come(State::Error), ["stopped -> error after 0.0 s: it has failed"]);
}

#[test]
fn a_line_per_interval_has_rates_lag_and_the_watermark() {
    let mut world = World::running(Some(30_000), None);
    assert!(world.after(29_999).is_empty());
    let counts = Counts { processed: 36_000, written: 45, late: 2, ..Counts::default() };
    world.snapshot.counts = counts;
    world.snapshot.tasks = vec![task(0), task(1)];
    world.snapshot.lag =
        [(TopicPartition::new("ticks", 0), 0), (TopicPartition::new("ticks", 1), 1_234)].into();
    world.snapshot.windows = [
        (task(0), explanation(NOW, NOW, Held::Idle)),
        (task(1), explanation(NOW.plus(Duration::from_secs(28)), NOW, Held::Idle)),
    ]
    .into();
    let line = "1,200 records/s in, 1.5/s out; 2 tasks; lag 1,234 in 1 of 2 partitions, ticks-1 has 1,234; \
                watermark 30 s behind the clock in task 0_0; 2 late";
    assert_eq!(world.after(1), [line]);
    world.snapshot.lag.clear();
    world.snapshot.windows = [(task(1), explanation(Timestamp::MIN, NOW, Held::Idle))].into();
    assert!(world.after(29_000).is_empty());
    let line = "0.0 records/s in, 0.0/s out; 2 tasks; lag 0; task 0_1 has no watermark yet";
    assert_eq!(world.after(1_000), [line]);
}

#[test]
fn waiting_for_the_group_is_told_too() {
    let mut world = World::new(Some(30_000), None);
    world.come(State::Rebalancing);
    assert_eq!(world.after(30_000), ["rebalancing for 30 s: the group or the topics are waited for"]);
    assert!(World::running(None, None).after(1_000_000).is_empty(), "off");
}

#[test]
fn a_restore_is_told_with_percent_and_time_left() {
    let mut world = World::new(Some(30_000), None);
    world.come(State::Rebalancing);
    let restoring = |read, all| Restoring { read, all };
    world.snapshot.restoring = [(task(0), restoring(0, 600)), (task(1), restoring(0, 1_400))].into();
    assert!(world.look().is_empty() && world.after(999).is_empty(), "most are short");
    world.snapshot.restoring = [(task(0), restoring(100, 600)), (task(1), restoring(100, 1_400))].into();
    assert_eq!(world.after(1), ["restoring 2 tasks (0_0, 0_1): 10 %, 200 of 2,000 records, 9.0 s left"]);
    // The first task is done.
    world.snapshot.restoring = [(task(1), restoring(900, 1_400))].into();
    assert!(world.after(4_999).is_empty());
    assert_eq!(world.after(1), ["restoring 1 task (0_1): 75 %, 1,500 of 2,000 records, 2.0 s left"]);
    world.snapshot.restoring.clear();
    world.state = State::Running;
    assert_eq!(
        world.after(2_000),
        [
            "restored 2,000 records in 8.0 s",
            "rebalancing -> running after 8.0 s: no task is here, the others have them"
        ]
    );
}

#[test]
fn a_restore_without_a_record_yet_says_so() {
    let mut world = World::new(Some(30_000), None);
    world.snapshot.restoring = [(task(0), Restoring { read: 0, all: 5 })].into();
    world.look();
    assert_eq!(world.after(1_000), ["restoring 1 task (0_0): 0 %, 0 of 5 records, nothing was read yet"]);
}

#[test]
fn an_overdue_window_is_explained_once_a_minute() {
    let mut world = World::running(None, Some(60_000));
    world.snapshot.windows =
        [(task(2), explanation(NOW, NOW.plus(Duration::from_secs(5)), Held::Unanswered))].into();
    assert!(world.seconds(64).is_empty(), "not before its time");
    let first = world.seconds(2);
    let expected = "! task 0_2: a window should have closed 60 s ago; 3 windows are open, the longest until \
                    2023-11-14T22:13:25.000Z in `bars-m1`; ticks-2 holds the watermark at 2023-11-14T22:13:20.000Z: silent, \
                    and the log does not say that it is caught up; its answer moves it";
    assert_eq!(first, [expected]);
    assert!(world.seconds(58).is_empty());
    assert!(world.seconds(2).first().is_some_and(|again| again.contains("closed 120 s ago")));
    world.snapshot.windows.clear();
    assert!(world.seconds(120).is_empty());
}

#[test]
fn a_task_that_catches_up_is_left_alone() {
    let mut world = World::running(None, Some(60_000));
    let old = Timestamp(1_400_000_000_000);
    let lagging = |watermark| explanation(watermark, watermark, Held::Lagging { position: 5, end: 9 });
    for second in 0..300 {
        world.snapshot.windows = [(task(0), lagging(old.plus(Duration::from_secs(second * 60))))].into();
        assert!(world.seconds(1).is_empty(), "an hour a minute");
    }
    // Then it reads no longer.
    let warned = world.seconds(130);
    assert!(warned.first().is_some_and(|first| first.contains("lagging: at offset 5 of 9")), "{warned:?}");
    assert!(World::running(None, None).seconds(100).is_empty(), "off");
}

#[test]
fn spans_are_as_long_as_they_need_to_be() {
    let spans = [-5, 0, 1_550, 61_000, 700_000, 40_000_000, 400_000_000_000].map(span);
    assert_eq!(spans, ["0 s", "0.0 s", "1.5 s", "61 s", "11 min", "11 h", "4629 days"]);
}
