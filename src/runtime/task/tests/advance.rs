use super::*;

/// What a seed feeds: before each record the watermark may go ahead by itself, as an idle partition's does.
struct Script(Vec<(i64, Option<LogRecord>)>);

impl Script {
    fn of(seed: u64) -> Self {
        let (mut chance, mut time, mut offset) = (Chance(seed), 20_i64, 0);
        let mut steps = Vec::new();
        for _ in 0..40 {
            time += chance.below(12) as i64;
            let ahead = if chance.below(4) == 0 { time + chance.below(150) as i64 } else { time };
            time = ahead;
            let key = ["a", "b", "c", "d"][chance.below(4) as usize];
            let at = (time - chance.below(25) as i64).max(0);
            let next = record(offset, key, 1 + chance.below(9) as i64, at);
            offset += 1;
            steps.push((ahead, (chance.below(8) > 0).then_some(next)));
        }
        Self(steps)
    }
}

/// How a run of the same script differs.
struct Manner {
    batch: usize,
    /// Time goes there in so many steps.
    small_steps: bool,
    /// One run of how many is followed by a commit, and by a restart from it.
    restart_every: u64,
    lose_metadata: bool,
}

fn play(seed: u64, manner: &Manner, fill: bool, retention: u64) -> (Vec<String>, Counts) {
    let mut setup = Setup { fill, retention: ms(retention), ..Setup::default() };
    setup.settings.advance_batch = manner.batch;
    let mut chance = Chance(seed ^ 0x5eed);
    let mut running = setup.start();
    let mut counts = Counts::default();
    let mut position = 0;
    let mut run = |running: &mut Running, position: i64| loop {
        let ran = running.task.run(at(0), 1).expect("runs");
        if manner.restart_every > 0 && chance.below(manner.restart_every) == 0 {
            let mut offsets = running.commit(0);
            let committed = offsets.values_mut().next().expect("one input");
            assert_eq!(committed.offset, position);
            if manner.lose_metadata {
                committed.metadata.clear();
            }
            counts += running.task.counts();
            *running = setup.start_at(&offsets, 0);
            continue;
        }
        if !ran.progressed {
            break;
        }
    };
    for (ahead, next) in Script::of(seed).0 {
        let from = running.task.watermark().0.max(ahead - 200);
        let steps = if manner.small_steps { from..ahead } else { ahead..ahead };
        for to in steps.chain([ahead]) {
            running.task.raise_watermark(Timestamp(to));
            run(&mut running, position);
        }
        if let Some(next) = next {
            position = next.offset + 1;
            running.task.receive(0, vec![next], position);
            run(&mut running, position);
        }
    }
    counts += running.task.counts();
    (running.taken(), counts)
}

/// The finals of one topic, in their order.
fn topic<'a>(log: &'a [String], name: &str) -> Vec<&'a str> {
    log.iter().map(String::as_str).filter(|line| line.split(' ').next() == Some(name)).collect()
}

/// A jump, many small advances, chunks of one window, and commits with restarts in the middle of an advance: the same
/// finals in the same order, and the same records late.
#[test]
fn a_jump_and_many_small_advances_and_restarts_agree() {
    let manner = |batch, small_steps, restart_every, lose_metadata| Manner {
        batch,
        small_steps,
        restart_every,
        lose_metadata,
    };
    let (mut finals, mut late, mut beats) = (0, 0, 0);
    for seed in 0..150 {
        let (fill, retention) = (seed % 2 == 0, [0, 0, 25][seed as usize % 3]);
        let (expected, counts) = play(seed, &manner(1000, false, 0, false), fill, retention);
        finals += counts.finals;
        late += counts.late;
        beats += counts.heartbeats;
        for other in [
            manner(1000, true, 0, false),
            manner(1, false, 0, false),
            manner(3, false, 2, false),
            manner(1, false, 3, true),
        ] {
            let (log, other_counts) = play(seed, &other, fill, retention);
            for name in ["M", "H", "late", "hlate"] {
                assert_eq!(
                    topic(&log, name),
                    topic(&expected, name),
                    "seed {seed}, {name}, batch {}",
                    other.batch
                );
            }
            assert_eq!(other_counts, counts, "seed {seed}");
        }
    }
    assert!(finals > 1000 && late > 100 && beats > 100, "{finals} finals, {late} late, {beats} heartbeats");
}

#[test]
fn a_commit_between_two_chunks_keeps_how_far_each_node_came() {
    let mut setup = Setup::default();
    setup.settings.advance_batch = 1;
    let mut running = setup.start();
    running.feed(&[(0, "a", 1, 3), (1, "b", 2, 4), (2, "a", 4, 25)], 0);
    assert_eq!(running.taken(), ["M a[0,10)=1", "M b[0,10)=2"]);
    running.task.receive(0, vec![record(3, "c", 8, 500)], 4);
    let ran = running.task.run(at(0), 10).expect("runs");
    assert!(ran.advancing && ran.progressed);
    assert_eq!(running.taken(), ["M a[20,30)=4"]);
    let saved = running.task.checkpoint();
    // The moment is 35: of the hours one is due, and none has closed.
    assert_eq!(saved.closed["minutes"], Timestamp(30));
    assert_eq!(saved.closed["hours"], Timestamp(20));
    assert_eq!(saved.inputs[0].watermark, Timestamp(500));
    let offsets = running.commit(0);
    let mut next = setup.start_at(&offsets, 0);
    // A record that is there already has to wait.
    next.task.receive(0, vec![record(4, "a", 16, 501)], 5);
    next.task.run(at(0), 10).expect("runs");
    assert_eq!((next.taken(), next.task.counts().processed), (vec!["H a[0,30)=5".to_owned()], 0));
    next.run(0);
    assert_eq!(next.taken(), ["H b[0,30)=2"]);
    assert_eq!(next.task.counts().processed, 1);
}

/// A larger grace in the next version of the program opens nothing again: the bound that was saved stays.
#[test]
fn closed_bounds_never_go_back() {
    let setup = Setup::default();
    let mut running = setup.start();
    running.feed(&[(0, "a", 1, 3), (1, "b", 1, 100)], 0);
    let first = running.commit(0);
    let mut next = setup.start_at(&first, 0);
    // Before anything was worked off, and of a node that says less than was saved.
    assert_eq!(next.task.checkpoint().closed["minutes"], Timestamp(95));
    let again = next.commit(0);
    let metadata = OffsetMetadata::decode(&again.values().next().expect("one").metadata).expect("reads");
    assert_eq!(metadata.closed().collect::<Vec<_>>(), [("hours", Timestamp(95)), ("minutes", Timestamp(95))]);
    assert_eq!(metadata.commit_id(), Some(1));
}

#[test]
fn the_end_of_the_input_closes_everything_and_no_more() {
    let mut running = Setup { fill: true, ..Setup::default() }.start();
    running.feed(&[(0, "a", 1, 3), (1, "b", 2, 17)], 0);
    running.taken();
    running.task.raise_watermark(Timestamp(27));
    running.run(0);
    assert_eq!(running.taken(), ["M a[10,20)=1001", "M b[10,20)=2"], "filled on the way");
    running.task.stop_filling();
    running.task.close_all();
    assert!(!running.task.at_rest());
    running.run(0);
    assert!(running.task.at_rest());
    // The heartbeats that had been shown belong to slots that are quiet for ever.
    assert_eq!(running.taken(), ["H a[0,30)=1002", "H b[0,30)=2"]);
    assert_eq!(running.task.watermark(), Timestamp(35), "the last moment that was due");
    assert_eq!(running.task.largest_source_watermark(), Timestamp(35));
}

#[test]
fn a_chunk_is_bounded_and_records_wait_for_it() {
    let mut setup = Setup::default();
    setup.settings.advance_batch = 10;
    let mut running = setup.start();
    let keys: Vec<String> = (0..35).map(|n| format!("k{n:02}")).collect();
    let records = keys.iter().enumerate().map(|(n, key)| record(n as i64, key, 1, 3)).collect();
    running.task.receive(0, records, 35);
    running.run(0);
    running.task.receive(0, vec![record(35, "z", 1, 15), record(36, "z", 1, 16)], 37);
    let mut chunks = Vec::new();
    loop {
        let ran = running.task.run(at(0), 10).expect("runs");
        if !ran.progressed {
            break;
        }
        chunks.push((running.taken().len(), running.task.counts().processed, ran.advancing));
    }
    assert_eq!(chunks, [(10, 36, true), (10, 36, true), (10, 36, true), (5, 37, false)]);
}
