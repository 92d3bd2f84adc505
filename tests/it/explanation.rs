//! Why is my window open?

use crate::run::{Pipeline, Run, key, utc};
use highwater::Held;
use highwater::testing::TopologyTestDriver;
use highwater::time::{hours, seconds};

fn run(idle: Option<std::time::Duration>) -> Run {
    let mut pipeline = Pipeline::new("24x7");
    pipeline.idle = idle;
    Run::of(TopologyTestDriver::new(pipeline.topology()))
}

#[test]
fn a_silent_partition_says_what_will_move_it() {
    let start = utc("2024-03-08T10:00:05Z");
    for (idle, moved_by) in
        [(None, "only a record moves it"), (Some(hours(1)), "from 2024-03-08T11:00:05.000Z on")]
    {
        let mut run = run(idle);
        run.tick(&key(1), start, 100, 1);
        let explained = run.driver.explain(0);
        let text = explained.values().next().expect("a task").to_string();
        let expected = "1 window is open, the longest until 2024-03-08T10:01:00.000Z in `m1`; ticks-0 holds the watermark \
                        at 2024-03-08T10:00:05.000Z: silent";
        assert!(text.starts_with(expected) && text.contains(moved_by), "{text}");
    }
}

#[test]
fn a_caught_up_partition_is_moved_by_the_clock() {
    let mut run = run(Some(seconds(30)));
    run.tick(&key(1), utc("2024-03-08T10:00:05Z"), 100, 1);
    run.driver.advance_clock(hours(2));
    let explained = run.driver.explain(0);
    let holder = explained.values().next().and_then(|e| e.holder.clone()).expect("a holder");
    assert_eq!(holder.why, Held::Idle);
    assert_eq!(
        explained.values().map(|e| e.open_windows).sum::<usize>(),
        1,
        "the day, which has its first hour"
    );
}
