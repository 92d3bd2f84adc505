//! When parents close.

use crate::run::{Bar, H1, Pipeline, Run, Tick, key, utc};
use highwater::testing::TopologyTestDriver;
use highwater::time::{Timestamp, Window, Windowed, minutes, seconds};

fn child(minute: i64) -> Windowed<crate::run::Key> {
    let start = utc("2024-03-08T10:00:00Z").0 + minute * 60_000;
    Windowed::new(key(1), Window::new(Timestamp(start), Timestamp(start + 60_000)))
}

fn bar(price: i64) -> Bar {
    let mut bar = Bar::default();
    bar.trade(&Tick { at: Timestamp(0), price, quantity: 1 });
    bar
}

/// Children of one hour, each as its final leaves: dated by its slot.
fn run() -> Run {
    Run::of(TopologyTestDriver::new(Pipeline::new("24x7").parents_of_a_topic()))
}

#[test]
fn wm_parent_waits_until_expected_children_arrive() {
    let mut run = run();
    for minute in (0..60).filter(|minute| *minute != 17) {
        run.child(&child(minute), &bar(100 + minute), child(minute).window.start);
    }
    run.child(&child(60), &bar(1), child(60).window.end.plus(minutes(3)));
    assert!(run.finals(H1).is_empty(), "one child is missing, and the grace of five minutes is not over");
    run.child(&child(17), &bar(900), child(17).window.start);
    let finals = run.finals(H1);
    assert_eq!(finals.len(), 1, "closed early, with the last child");
    assert_eq!(finals[0].value.ohlcv(), (100, 900, 100, 159, 60));
    assert!(finals[0].value.children.complete());
}

#[test]
fn wm_late_child_outside_watermark_is_ignored() {
    let mut run = run();
    for minute in (0..60).filter(|minute| *minute != 17) {
        run.child(&child(minute), &bar(100), child(minute).window.start);
    }
    run.child(&child(64), &bar(1), child(64).window.end);
    let finals = run.finals(H1);
    assert_eq!(finals.len(), 1, "at the end of the grace with what there is");
    assert_eq!((finals[0].value.children.arrived, finals[0].value.children.expected), (59, Some(60)));
    run.child(&child(17), &bar(900), child(17).window.start);
    run.driver.advance_clock(seconds(1));
    assert!(run.finals(H1).is_empty());
    assert_eq!(run.late_children().len(), 1);
}

#[test]
fn wm_child_after_early_close_is_late() {
    for restore in [false, true] {
        let mut run = run();
        for minute in 0..60 {
            run.child(&child(minute), &bar(100), child(minute).window.start);
        }
        // Time passes the end of the hour, not its grace.
        run.child(&child(60), &bar(1), child(60).window.start);
        assert_eq!(run.finals(H1).len(), 1, "closed early");
        if restore {
            run.driver.lose_disk(0);
            run.driver.crash_and_restore(0);
        }
        let before = run.late_children().len();
        run.child(&child(17), &bar(900), child(17).window.start);
        assert!(run.finals(H1).is_empty(), "restored: {restore}");
        assert_eq!(run.late_children().len() - before, 1, "restored: {restore}");
    }
}
