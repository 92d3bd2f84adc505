use super::*;
use crate::processor::Response;

#[test]
fn time_moves_first_then_the_record_then_what_closes() {
    let mut running = Setup { live: true, ..Setup::default() }.start();
    running.feed(&[(0, "a", 1, 3), (1, "b", 2, 15)], 0);
    // The record of b moved time to 15: it runs before a's window closes, and its update leaves with its batch.
    assert_eq!(running.taken(), ["m a[0,10)=1", "M a[0,10)=1", "m b[10,20)=2"]);
    running.feed(&[(2, "a", 4, 9), (3, "a", 8, 10)], 0);
    assert_eq!(running.taken(), ["late a[0,10)=4", "m a[10,20)=8"]);
    assert_eq!(running.task.counts().late, 1);
}

/// Size 10, grace 5: accepted at W = 14, late at 15, whoever moved it there.
#[test]
fn another_keys_record_makes_it_late() {
    for (other, late) in [(14, 0), (15, 1)] {
        let mut running = Setup::default().start();
        running.feed(&[(0, "b", 1, other), (1, "a", 2, 9)], 0);
        assert_eq!(running.task.counts().late, late, "after a record at {other}");
    }
}

/// The last child of a parent with the same grace arrives in the step that closes both.
#[test]
fn the_last_child_is_not_late() {
    let mut running = Setup::default().start();
    running.feed(&[(0, "a", 1, 3), (1, "a", 2, 13), (2, "a", 4, 29), (3, "b", 8, 35)], 0);
    assert_eq!(running.taken(), ["M a[0,10)=1", "M a[10,20)=2", "M a[20,30)=4", "H a[0,30)=7"]);
}

#[test]
fn inputs_by_timestamp_then_by_topic_then_by_offset() {
    let setup =
        Setup { inputs: vec![source("b", 0, None), source("a", 1, None)], live: true, ..Setup::default() };
    let mut running = setup.start();
    running.task.receive(0, vec![record(0, "b0", 1, 5), record(1, "b1", 1, 5), record(2, "b2", 1, 1)], 3);
    running.task.receive(1, vec![record(0, "a0", 1, 5), record(1, "a1", 1, 6)], 2);
    running.run(0);
    let live: Vec<String> = ["a0", "b0", "b1", "b2", "a1"].map(|key| format!("m {key}[0,10)=1")).into();
    assert_eq!(running.taken(), live);
}

/// The smallest of the inputs decides, and an input without records holds everything.
#[test]
fn the_watermark_is_the_smallest() {
    let setup = Setup { inputs: vec![source("a", 0, None), source("b", 1, None)], ..Setup::default() };
    let mut running = setup.start();
    running.task.receive(0, vec![record(0, "x", 1, 100)], 1);
    running.run(0);
    assert_eq!(running.task.watermark(), Timestamp::MIN);
    let explanation = running.task.explain(at(0));
    let holder = explanation.holder.expect("a holder");
    assert_eq!((&*holder.partition.topic, holder.why), ("b", Held::NoIdleTimeout));
    assert_eq!(explanation.longest_open, Some((Timestamp(110), Some("minutes".into()))));
    assert_eq!(explanation.open_windows, 1);
    running.task.receive(1, vec![record(0, "x", 1, 40)], 1);
    running.run(0);
    assert_eq!(running.task.watermark(), Timestamp(40));
    assert!(running.taken().is_empty());
}

/// `max.task.idle.ms`: a partition that is known to have data is waited for, so the order is that of time.
#[test]
fn waits_for_a_partition_that_has_data() {
    let mut setup =
        Setup { inputs: vec![source("a", 0, None), source("b", 1, None)], live: true, ..Setup::default() };
    setup.settings.max_task_idle = Some(Duration::ZERO);
    let mut running = setup.start();
    running.task.receive(0, vec![record(0, "x", 1, 7)], 1);
    running.run(0);
    assert!(running.taken().is_empty());
    assert_eq!(running.task.next_wakeup(at(0)).machine, Some(0), "something is to be asked");
    let questions = running.task.questions(at(0));
    assert_eq!(questions.len(), 1);
    assert_eq!((questions[0].input, questions[0].isolation), (1, Isolation::ReadCommitted));
    running.task.answered(&questions[0], Timestamp(0), 1);
    running.run(0);
    assert!(running.taken().is_empty(), "b has a record that was not fetched");
    running.task.receive(1, vec![record(0, "y", 1, 6)], 1);
    running.run(0);
    assert_eq!(running.taken(), ["m y[0,10)=1", "m x[0,10)=1"]);
}

#[test]
fn a_record_far_ahead_moves_no_time() {
    for (policy, processed_to) in [
        (FutureSkewPolicy::Accept, "m z[5000,5010)=1"),
        (FutureSkewPolicy::Skip, ""),
        (FutureSkewPolicy::Fail, ""),
    ] {
        let mut setup = Setup { live: true, ..Setup::default() };
        setup.settings.max_future_skew = Some(ms(1000));
        setup.settings.future_skew_policy = policy;
        let mut running = setup.start();
        running.feed(&[(0, "a", 1, 3)], 4000);
        // The bound is measured on the date, not on the application's clock.
        let moment = Moment { now: Timestamp(9999), ..at(4000) };
        running.task.receive(0, vec![record(1, "z", 1, 5001)], 2);
        let ran = running.task.run(moment, 10);
        assert_eq!(running.task.watermark(), Timestamp(3), "{policy:?}");
        assert_eq!(running.task.counts().future, 1);
        let taken = running.taken().join(" ");
        assert_eq!(taken, format!("m a[0,10)=1 {processed_to}").trim_end(), "{policy:?}");
        match policy {
            FutureSkewPolicy::Fail => {
                let error = ran.expect_err("fails").to_string();
                assert!(error.contains("record: ticks-0@1\n  task: 1_0"), "{error}");
                assert!(error.contains("1001 ms ahead"), "{error}");
            }
            _ => assert_eq!(running.commit(4000)[&setup.inputs[0].partition].offset, 2),
        }
        running.task.receive(0, vec![record(2, "y", 1, 5000)], 3);
        if policy != FutureSkewPolicy::Fail {
            running.run(4000);
            assert_eq!(running.task.watermark(), Timestamp(5000), "exactly the bound is not ahead");
        }
    }
}

#[test]
fn what_was_left_out_is_committed_past() {
    let mut setup = Setup::default();
    setup.settings.on_error.reading = Response::Continue;
    let mut running = setup.start();
    let bad = LogRecord { value: Some(Arc::from(*b"xyz")), ..record(1, "a", 1, 4) };
    running.task.receive(0, vec![record(0, "a", 1, -1), bad], 2);
    running.run(0);
    let counts = running.task.counts();
    assert_eq!((counts.processed, counts.dropped), (2, 2));
    assert_eq!(running.commit(0)[&setup.inputs[0].partition].offset, 2);
}
