use super::*;

fn idle(timeout: u64) -> Setup {
    Setup { inputs: vec![source("ticks", 0, Some(timeout))], ..Setup::default() }
}

#[test]
fn without_an_answer_nothing_closes() {
    let mut running = idle(30).start();
    running.feed(&[(0, "a", 1, 3)], 0);
    for now in [30, 1_000, 1_000_000] {
        assert_eq!(running.task.questions(at(now)).len(), 1, "asked at {now}");
        running.run(now);
    }
    assert_eq!(running.taken(), Vec::<String>::new());
    assert_eq!(running.task.explain(at(1000)).holder.expect("one").why, Held::Unanswered);
}

#[test]
fn the_clock_closes_a_caught_up_partition_on_time() {
    let mut setup = idle(30);
    let due = |running: &Running, now| running.task.next_wakeup(at(now)).due;
    assert_eq!(setup.start().task.next_wakeup(at(0)).question, None);
    setup.outputs = vec![("below".into(), 1)];
    let mut running = setup.start();
    running.feed(&[(0, "a", 1, 3)], 0);
    // The window is due at W = 15: at 45 by the clock, when the partition has been silent for 30.
    let wakeup = running.task.next_wakeup(at(0));
    assert_eq!((wakeup.due, wakeup.question), (Some(Timestamp(45)), Some(Timestamp(30))));
    assert_eq!(running.answer(44, 1), 1);
    running.run(44);
    assert_eq!((running.task.watermark(), running.taken().len()), (Timestamp(14), 0));
    assert_eq!(due(&running, 44), Some(Timestamp(45)));
    assert_eq!(running.answer(45, 1), 1, "asked again before the interval, for it makes something due");
    running.run(45);
    assert_eq!(running.taken(), ["M a[0,10)=1"]);
    // The hour is next: at W = 35.
    assert_eq!(due(&running, 45), Some(Timestamp(65)));
    running.answer(65, 1);
    running.run(65);
    assert_eq!(running.taken(), ["H a[0,30)=1"]);
    assert_eq!(due(&running, 65), None);
}

/// An answer that took its time counts from when it was asked.
#[test]
fn an_answer_counts_from_when_it_was_asked() {
    let mut running = idle(30).start();
    running.feed(&[(0, "a", 1, 3)], 0);
    let questions = running.task.questions(at(31));
    running.task.answered(&questions[0], Timestamp(31), 1);
    running.run(500);
    assert_eq!(running.task.watermark(), Timestamp(3), "it was caught up at 31: that is 1 by now");
    assert!(running.taken().is_empty());
}

/// Whoever lags, or has fetched but not processed, is not caught up.
#[test]
fn the_processed_position_has_to_reach_the_end() {
    let mut running = idle(30).start();
    running.feed(&[(0, "a", 1, 3)], 0);
    let questions = running.task.questions(at(100));
    running.task.receive(0, vec![record(1, "a", 2, 4)], 2);
    running.task.answered(&questions[0], Timestamp(100), 2);
    // Not one record may be taken: the buffered one still counts as not processed.
    running.task.run(at(100), 0).expect("runs");
    assert_eq!(running.task.watermark(), Timestamp(3));
    running.run(100);
    assert_eq!(running.taken(), Vec::<String>::new(), "its record ended the silence");

    let mut lags = idle(30).start();
    lags.feed(&[(0, "a", 1, 3)], 0);
    lags.answer(100, 3);
    lags.run(100);
    assert!(lags.taken().is_empty());
    let why = lags.task.explain(at(100)).holder.expect("one").why;
    assert_eq!(why, Held::Lagging { position: 1, end: 3 });
    // Those were markers of transactions: the client's position steps over them, and no record comes.
    lags.task.receive(0, Vec::new(), 3);
    lags.run(101);
    assert_eq!(lags.taken(), ["M a[0,10)=1", "H a[0,30)=1"]);
}

/// What is compared is the end that includes open transactions: their records may be old.
#[test]
fn an_open_transaction_is_not_caught_up() {
    let mut setup = idle(30);
    setup.inputs.push(source("other", 1, Some(30)));
    setup.settings.max_task_idle = Some(Duration::ZERO);
    let mut running = setup.start();
    running.task.receive(1, vec![record(0, "b", 1, 3), record(1, "b", 1, 3)], 2);
    running.run(100);
    for question in running.task.questions(at(100)) {
        // The stable end says nothing about idleness.
        let end = if question.isolation == Isolation::ReadCommitted { 0 } else { 5 };
        running.task.answered(&question, Timestamp(100), end);
    }
    running.run(100);
    assert_eq!(running.task.counts().processed, 2);
    assert_eq!(running.task.watermark(), Timestamp::MIN);
}

/// An idle partition is not left out: it counts with its idle value.
#[test]
fn an_idle_partition_still_holds() {
    let setup =
        Setup { inputs: vec![source("a", 0, Some(30)), source("b", 1, Some(30))], ..Setup::default() };
    let mut running = setup.start();
    running.feed(&[(0, "x", 1, 500)], 100);
    for question in running.task.questions(at(100)) {
        running.task.answered(&question, Timestamp(100), 0);
    }
    running.run(100);
    assert_eq!(running.task.watermark(), Timestamp(70), "b: 100 - 30");
}

/// The silence is counted anew by the next life of the task.
#[test]
fn a_new_task_starts_with_no_silence() {
    let setup = idle(30);
    let mut running = setup.start();
    running.feed(&[(0, "a", 1, 3)], 0);
    let offsets = running.commit(20);
    let mut next = setup.start_at(&offsets, 20);
    next.run(20);
    assert_eq!(next.answer(49, 1), 0, "nothing to ask yet");
    assert_eq!(next.task.next_wakeup(at(20)).due, Some(Timestamp(50)));
    next.answer(50, 1);
    next.run(50);
    assert_eq!(next.task.watermark(), Timestamp(20));
    assert_eq!(next.taken(), ["M a[0,10)=1"]);
}

#[test]
fn a_repartition_partition_is_never_idle() {
    let writers: Arc<[TaskId]> = [TaskId { subtopology: 0, partition: 0 }].into();
    let kind = InputKind::Repartition { writers };
    let input = InputPlan { partition: TopicPartition::new("by-key", 0), source: 0, slot: 0, kind };
    let mut setup = Setup { inputs: vec![input], ..Setup::default() };
    setup.settings.idle_timeout = Some(ms(30));
    let mut running = setup.start();
    running.feed(&[(0, "a", 1, 3)], 0);
    assert_eq!(running.answer(1_000, 1), 0);
    running.run(1_000);
    assert_eq!(running.task.watermark(), Timestamp::MIN);
    assert_eq!(running.task.next_wakeup(at(1_000)), Wakeup::default());
}

/// A wall-clock punctuator and the watermark's.
struct Punctual {
    next_wall: i64,
    next: Timestamp,
    log: Shared<Vec<String>>,
}
impl Node for Punctual {
    fn next_punctuation(&self) -> Timestamp {
        self.next
    }
    fn punctuate(&mut self, _: &mut Cx<'_>, watermark: Timestamp) -> Result<()> {
        self.log.borrow_mut().push(format!("punctuated {}", watermark.0));
        self.next = Timestamp((watermark.0 / 10 + 1) * 10);
        Ok(())
    }
    fn next_wall_clock(&self) -> Timestamp {
        Timestamp(self.next_wall)
    }
    fn wall_clock(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        assert!(cx.metadata.is_none());
        self.log.borrow_mut().push(format!("wall {}", cx.now.0));
        self.next_wall = cx.now.0 + 100;
        Ok(())
    }
}

#[test]
fn punctuators_fire_once_per_advance_and_by_the_clock() {
    let mut setup = idle(30);
    let punctual = Punctual { next_wall: 100, next: Timestamp::MIN, log: setup.log.clone() };
    setup.extra = Some(shared(punctual));
    let mut running = setup.start();
    running.run(0);
    assert!(running.taken().is_empty(), "no watermark, no punctuation");
    assert_eq!(
        running.task.next_wakeup(at(0)).due,
        Some(Timestamp(30)),
        "the clock makes the first watermark"
    );
    running.feed(&[(0, "a", 1, 3), (1, "a", 1, 9), (2, "b", 1, 34)], 0);
    // Of the three ticks that the last record passed one fires, after the windows that closed on the way.
    assert_eq!(running.taken(), ["punctuated 3", "M a[0,10)=2", "punctuated 34"]);
    assert_eq!(running.task.next_wakeup(at(0)).due, Some(Timestamp(65)), "the hour of a, at W = 35");
    running.run(99);
    assert!(running.taken().is_empty());
    running.run(100);
    assert_eq!(running.taken(), ["wall 100"]);
    let wakeup = running.task.next_wakeup(at(100));
    assert_eq!(wakeup.due, Some(Timestamp(100)), "now, if a question is answered");
}

/// Two partitions, fed by a seed and then silent; the clock goes by one ms at a time, or to the next moment due.
fn passed(seed: u64, jumps: bool) -> Vec<(i64, String)> {
    let setup = Setup {
        inputs: vec![source("a", 0, Some(30)), source("b", 1, Some(70))],
        fill: seed.is_multiple_of(2),
        // Whether a record finds its key forgotten depends on how far the clock had moved the watermark.
        forget_after: None,
        ..Setup::default()
    };
    let mut chance = Chance(seed);
    let mut running = setup.start();
    let mut ends = [0; 2];
    let mut log = Vec::new();
    let mut now = 0;
    for _ in 0..12 {
        let input = chance.below(2) as usize;
        let time = (now - chance.below(20) as i64).max(0);
        let key = ["x", "y", "z"][chance.below(3) as usize];
        running.task.receive(input, vec![record(ends[input], key, 1, time)], ends[input] + 1);
        ends[input] += 1;
        let until = now + chance.below(120) as i64;
        loop {
            let due = settled(&mut running, now, ends);
            log.extend(running.taken().into_iter().map(|line| (now, line)));
            let next = if jumps { due } else { now + 1 };
            if next > until {
                break;
            }
            now = next;
        }
        now = until;
    }
    log
}

/// Runs and answers questions until the next moment due lies ahead.
fn settled(running: &mut Running, now: i64, ends: [i64; 2]) -> i64 {
    loop {
        running.run(now);
        for question in running.task.questions(at(now)) {
            running.task.answered(&question, Timestamp(now), ends[question.input]);
        }
        running.run(now);
        let due = running.task.next_wakeup(at(now)).due.map_or(i64::MAX, Timestamp::as_millis);
        if due > now {
            return due;
        }
    }
}

/// The same finals, each at the same time by the clock.
#[test]
fn jumping_from_moment_to_moment_misses_nothing() {
    let mut finals = 0;
    for seed in 0..60 {
        let expected = passed(seed, false);
        assert_eq!(passed(seed, true), expected, "seed {seed}");
        finals += expected.len();
    }
    assert!(finals > 300, "{finals}");
}
