//! The stateful operators under a hand-made task: a watermark, records, and what leaves.

mod chain;

use super::*;
use crate::state::MemoryDisk;
use crate::time::{Window, Windowed, milliseconds as ms};
use chain::{Chain, Options, chain};

/// Size 10, grace 5: a record at 9 is accepted at W = 14 and late at 15; other keys move time too.
#[test]
fn late_is_decided_by_the_watermark() {
    for (watermark, accepted) in [(13, true), (14, true), (15, false), (16, false)] {
        let mut chain = chain(&Options::default());
        chain.record("other", 1, watermark);
        chain.record("a", 7, 9);
        assert_eq!(chain.effects.counts.late, u64::from(!accepted), "W = {watermark}");
        chain.advance(100);
        let finals = chain.take().iter().any(|line| line == "M a[0,10)=7@9");
        assert_eq!(finals, accepted, "W = {watermark}");
    }
}

#[test]
fn a_hopping_record_may_be_late_for_some_windows() {
    let mut chain =
        chain(&Options { grace: ms(0), parent_grace: ms(0), advance: ms(3), ..Options::default() });
    chain.record("b", 1, 15);
    chain.record("a", 7, 11);
    assert_eq!(chain.effects.counts.late, 1, "[3,13) is closed, [6,16) and [9,19) are open");
    assert_eq!(chain.take(), ["late a[3,13)=7@11"]);
    chain.flush();
    assert_eq!(chain.take()[4..], ["m a[6,16)=7@11", "m a[9,19)=7@11"]);
}

#[test]
fn a_live_update_leaves_before_the_final_and_none_after_it() {
    let mut chain = chain(&Options::default());
    chain.record("a", 1, 1);
    chain.record("a", 2, 2);
    chain.advance(15);
    chain.flush();
    assert_eq!(chain.take(), ["m a[0,10)=3@2", "M a[0,10)=3@2", "h a[0,30)=3@2"]);
}

#[test]
fn windows_close_by_end_then_key() {
    let mut chain = chain(&Options::default());
    for (key, at) in [("b", 2), ("a", 12), ("c", 3), ("a", 4)] {
        chain.record(key, 1, at);
    }
    chain.advance(25);
    let finals: Vec<_> = chain.take().into_iter().filter(|line| line.starts_with('M')).collect();
    assert_eq!(finals, ["M a[0,10)=1@4", "M b[0,10)=1@2", "M c[0,10)=1@3", "M a[10,20)=1@12"]);
}

#[test]
fn a_parent_closes_early_with_all_children_and_then_a_child_is_late() {
    let disk = MemoryDisk::default();
    let options = Options { parent_grace: ms(50), ..Options::default() };
    let mut chain = Chain::new(&disk, &options, Timestamp::MIN);
    for at in [1, 11, 21] {
        chain.record("a", 1, at);
    }
    chain.advance(34);
    assert!(!chain.take().iter().any(|line| line.starts_with('H')), "the last child is open until 35");
    chain.advance(35);
    assert_eq!(chain.take().last().expect("a final"), "H a[0,30)=3@21");
    chain.commit();
    let mut restored = Chain::new(&disk, &options, Timestamp(35));
    let child = Windowed::new("a".to_owned(), Window::new(Timestamp(0), Timestamp(10)));
    let mut cx = Cx::quiet(Timestamp(35), Timestamp(0), &mut restored.effects);
    restored.hours.borrow_mut().process(&mut cx, &child, &1).expect("processes");
    assert_eq!(restored.take(), ["hlate a[0,10)=1@0"]);
    assert_eq!(restored.effects.counts.late, 1);
    restored.advance(200);
    assert!(restored.take().is_empty(), "the mark goes silently");
    assert_eq!(restored.commit().len(), 1, "a tombstone for the mark");
}

#[test]
fn an_incomplete_parent_waits_for_the_watermark_and_may_be_held_back() {
    for (incomplete, finals, held) in [(Incomplete::Emit, 1, 0), (Incomplete::HoldBack, 0, 1)] {
        let mut chain = chain(&Options { parent_grace: ms(20), incomplete, ..Options::default() });
        chain.record("a", 1, 1);
        chain.record("a", 1, 21);
        chain.advance(49);
        assert!(!chain.take().iter().any(|line| line.starts_with('H')));
        chain.advance(50);
        assert_eq!(chain.take().iter().filter(|line| line.starts_with('H')).count(), finals);
        assert_eq!(chain.effects.counts.held_back, held);
    }
}

#[test]
fn quiet_slots_are_filled_in_the_order_of_the_finals() {
    let mut chain = chain(&Options { fill: Some((ms(3), None)), ..Options::default() });
    for (key, at) in [("b", 1), ("a", 2), ("c", 3), ("b", 12)] {
        chain.record(key, 1, at);
    }
    chain.advance(35);
    let finals: Vec<_> = chain.take().into_iter().filter(|line| line.starts_with(['M', 'H'])).collect();
    let expected = [
        "M a[0,10)=1@2",
        "M b[0,10)=1@1",
        "M c[0,10)=1@3",
        "M a[10,20)=101@10",
        "M b[10,20)=1@12",
        "M c[10,20)=101@10",
        "M a[20,30)=101@20",
        "M b[20,30)=101@20",
        "M c[20,30)=101@20",
        "H a[0,30)=203@20",
        "H b[0,30)=103@20",
        "H c[0,30)=203@20",
    ];
    assert_eq!(finals, expected);
}

/// Grace 5: the heartbeat of [10,20) is due at 13, before [0,10) has closed; it shows when the first final leaves.
#[test]
fn a_heartbeat_shows_a_quiet_slot_once_and_a_record_replaces_it() {
    let mut chain = chain(&Options { fill: Some((ms(3), None)), ..Options::default() });
    chain.record("a", 7, 1);
    chain.advance(14);
    chain.take();
    chain.advance(15);
    assert_eq!(chain.take(), ["m a[0,10)=7@1", "M a[0,10)=7@1", "m a[10,20)=107@10"]);
    chain.advance(22);
    assert!(chain.take().is_empty(), "one heartbeat per slot");
    chain.record("a", 5, 19);
    chain.flush();
    assert_eq!(chain.take(), ["m a[10,20)=5@19", "h a[0,30)=7@1"]);
    chain.advance(25);
    assert_eq!(
        chain.take(),
        ["m a[20,30)=107@20", "M a[10,20)=5@19"],
        "a heartbeat from the final that there was"
    );
    chain.advance(35);
    let corrected = [
        "m a[30,40)=105@30",
        "m a[20,30)=105@20",
        "M a[20,30)=105@20",
        "h a[0,30)=117@20",
        "H a[0,30)=117@20",
    ];
    assert_eq!(chain.take(), corrected);
}

#[test]
fn a_silent_key_is_forgotten_and_what_is_open_still_closes() {
    let mut chain = chain(&Options { fill: Some((ms(3), Some(ms(20)))), ..Options::default() });
    chain.record("a", 7, 5);
    chain.advance(200);
    let finals: Vec<_> = chain.take().into_iter().filter(|line| line.starts_with('M')).collect();
    assert_eq!(finals, ["M a[0,10)=7@5", "M a[10,20)=107@10", "M a[20,30)=107@20"]);
    let changes = chain.commit();
    assert!(changes.is_empty(), "all of it opened and closed within one commit: {changes:?}");
}

/// The same finals and heartbeats, in the same order per output, whether time jumps or creeps, and across restores.
#[test]
fn a_jump_and_many_small_advances_give_the_same() {
    let per_output = |lines: Vec<String>| {
        let mut by: BTreeMap<char, Vec<String>> = BTreeMap::new();
        for line in lines {
            by.entry(line.chars().next().expect("a name")).or_default().push(line);
        }
        by
    };
    for seed in 0..200_u64 {
        let mut rng = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |n: u64| {
            rng ^= rng << 13;
            rng ^= rng >> 7;
            rng ^= rng << 17;
            (rng >> 33) % n
        };
        let options = Options {
            grace: ms(draw(25)),
            parent_grace: ms(25 + draw(40)),
            fill: (draw(4) > 0).then(|| (ms(draw(12)), (draw(2) == 0).then(|| ms(40 + draw(90))))),
            ..Options::default()
        };
        let mut at = 0;
        let records: Vec<(String, i64)> = (0..25)
            .map(|_| {
                at += draw(18) as i64;
                (["a", "b", "c"][draw(3) as usize].to_owned(), (at - draw(20) as i64).max(0))
            })
            .collect();
        let run = |step: Option<i64>, restore: bool| {
            let disk = MemoryDisk::default();
            let mut chain = Chain::new(&disk, &options, Timestamp::MIN);
            let mut lines = Vec::new();
            for (n, (key, at)) in records.iter().enumerate() {
                step.inspect(|step| chain.creep(*at, *step));
                chain.record(key, 1, *at);
                if restore && n % 4 == 3 {
                    chain.commit();
                    lines.extend(chain.take());
                    let watermark = chain.watermark;
                    chain = Chain::new(&disk, &options, watermark);
                }
            }
            chain.creep(600, step.unwrap_or(600));
            chain.flush();
            lines.extend(chain.take());
            // Of the live updates the heartbeats, which are not conflated.
            lines.retain(|line| !line.starts_with('h') && (!line.starts_with('m') || line.contains("=10")));
            per_output(lines)
        };
        let mut jump = run(Some(600), false);
        assert_eq!(jump, run(Some(1), false), "small steps, seed {seed}");
        assert_eq!(jump, run(Some(600), true), "restored, seed {seed}");
        let mut by_records = run(None, false);
        assert_eq!(by_records, run(None, true), "by records, restored, seed {seed}");
        // A record that itself moves the time past a heartbeat's moment takes its place; finals know nothing of it.
        jump.remove(&'m');
        by_records.remove(&'m');
        assert_eq!(jump, by_records, "by records, seed {seed}");
    }
}
