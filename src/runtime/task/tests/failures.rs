use super::*;
use crate::processor::Response;

fn fed(setup: &Setup, bad: LogRecord) -> (Running, Result<Ran>) {
    let mut running = setup.start();
    running.task.receive(0, vec![record(7, "a", 1, 3), bad, record(9, "a", 2, 5)], 10);
    let ran = running.task.run(at(0), 10);
    (running, ran)
}

fn committed(running: &Running) -> i64 {
    running.task.commit_offsets(1, &[]).values().next().expect("an input").offset
}

#[test]
fn a_value_that_cannot_be_read_names_where_it_is() {
    let setup = Setup::default();
    let bad = LogRecord { value: Some(Arc::from(*b"xyz")), ..record(8, "a", 1, 4) };
    let (running, ran) = fed(&setup, bad);
    let error = ran.expect_err("fails");
    assert!(error.is_deserialization());
    let text = error.to_string();
    for part in ["cannot deserialize value", "ticks-source", "record: ticks-0@8", "task: 1_0", "3 bytes"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert_eq!(committed(&running), 8, "not past the bad record");
}

#[test]
fn a_closure_that_fails_or_panics_names_the_record() {
    let setup = Setup::default();
    for (value, parts) in
        [(-13, ["node `minutes`", "cause: thirteen"]), (-66, ["panicked", "cause: sixty-six"])]
    {
        let (running, ran) = fed(&setup, record(8, "a", value, 4));
        let error = ran.expect_err("fails");
        assert!(error.is_processing());
        let text = error.to_string();
        for part in parts.into_iter().chain(["record: ticks-0@8", "task: 1_0"]) {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        assert_eq!(text.matches("record:").count(), 1, "{text}");
        assert_eq!(committed(&running), 8, "not past the bad record");
    }
}

/// An aggregate that failed was changed in place: the task starts again at its last commit, and knows better.
#[test]
fn a_skipped_record_is_counted_and_the_next_one_runs() {
    let mut setup = Setup { live: true, ..Setup::default() };
    setup.settings.on_error.processing = Response::Continue;
    for value in [-13, -66] {
        let (mut running, ran) = fed(&setup, record(8, "a", value, 4));
        assert!(ran.expect("goes back").given_up);
        let verdicts = running.task.take_verdicts();
        let mut running = setup.start();
        running.task.set_verdicts(verdicts);
        running.task.receive(
            0,
            vec![record(7, "a", 1, 3), record(8, "a", value, 4), record(9, "a", 2, 5)],
            10,
        );
        let ran = running.task.run(at(0), 10).expect("goes on");
        assert!(ran.commit_due && !ran.given_up, "{ran:?}");
        assert_eq!(committed(&running), 9, "it is committed before anything else can fail");
        running.task.run(at(0), 10).expect("goes on");
        assert_eq!(running.taken().last().map(String::as_str), Some("m a[0,10)=3"));
        let counts = running.task.counts();
        assert_eq!((counts.processed, counts.dropped), (3, 1));
        assert_eq!(committed(&running), 10);
        running.task.committed();
        assert!(running.task.take_verdicts().is_empty());
    }
}

/// Fails wherever it is told to.
struct Fragile(&'static str);
impl Node for Fragile {
    fn next_due(&self) -> Timestamp {
        if self.0 == "due for ever" || self.0 == "advance" { Timestamp(2) } else { Timestamp::MAX }
    }
    fn advance(&mut self, _: &mut Cx<'_>, _: Timestamp, _: &mut usize) -> Result<bool> {
        assert_ne!(self.0, "advance");
        Ok(true)
    }
    fn next_wall_clock(&self) -> Timestamp {
        if self.0 == "wall clock" { Timestamp(0) } else { Timestamp::MAX }
    }
    fn wall_clock(&mut self, _: &mut Cx<'_>) -> Result<()> {
        panic!("wall clock")
    }
    fn flush(&mut self, _: &mut Cx<'_>) -> Result<()> {
        assert_ne!(self.0, "flush");
        Ok(())
    }
    fn restored(&mut self, _: &mut Cx<'_>, _: Timestamp) -> Result<()> {
        assert_ne!(self.0, "restored");
        Ok(())
    }
}

#[test]
fn a_panic_anywhere_is_an_error_of_the_task() {
    for place in ["advance", "due for ever", "wall clock", "flush"] {
        let setup = Setup { extra: Some(shared(Fragile(place))), ..Setup::default() };
        let (_, ran) = fed(&setup, record(8, "a", 1, 4));
        let text = ran.expect_err(place).to_string();
        assert!(text.contains("task: 1_0"), "{place}: {text}");
    }
    let setup = Setup { extra: Some(shared(Fragile("restored"))), ..Setup::default() };
    let text = setup.try_start(&Offsets::new(), 0).err().expect("fails").to_string();
    assert!(text.contains("while: restoring"), "{text}");
}

#[test]
fn too_many_writers_are_refused_at_the_start() {
    let repartition = |writers: u32| {
        let writers = (0..writers).map(|partition| TaskId { subtopology: 0, partition }).collect();
        let kind = InputKind::Repartition { writers };
        InputPlan { partition: TopicPartition::new("by-key", 3), source: 0, slot: 0, kind }
    };
    let start = |writers, limit| {
        let mut setup = Setup { inputs: vec![repartition(writers)], ..Setup::default() };
        setup.settings.metadata_max_bytes = limit;
        setup.try_start(&Offsets::new(), 0).map(|_| ())
    };
    start(460, 4096).expect("fits");
    let error = start(1000, 4096).expect_err("too many");
    assert!(error.is_invalid_topology());
    for part in ["by-key-3", "the limit is 4096", "1000 tasks"] {
        assert!(error.to_string().contains(part), "no `{part}` in {error}");
    }
    start(1000, 8192).expect("fits a larger limit");
}
