//! What must come out: a plain fold over the ticks, which knows nothing of tasks, stores or commits.

use super::case::{Case, Class, Held};
use super::world::{Read, Seen, Tick, World};
use highwater::Windowed;
use std::collections::{BTreeMap, BTreeSet};

/// (end, start, key)
type Slot = (i64, i64, String);
type Late = BTreeSet<(Slot, u64)>;

fn slot(key: &Windowed<String>) -> Slot {
    (key.window.end.0, key.window.start.0, key.key.clone())
}

/// Every tick by the windows that contain it; what is late apart, where the order of the ticks decides it.
fn fold(case: &Case, ticks: &[Tick]) -> (BTreeMap<Slot, Vec<u64>>, Late) {
    let (mut windows, mut late) = (BTreeMap::<Slot, Vec<u64>>::new(), Late::new());
    let mut watermark = i64::MIN / 2;
    for tick in ticks {
        watermark = watermark.max(tick.at - case.out_of_order);
        if tick.id == 0 {
            continue;
        }
        let mut start = tick.at.div_euclid(case.advance) * case.advance;
        while start + case.size > tick.at {
            let slot = (start + case.size, start, case.key_of(tick.id));
            if case.class == Class::Ordered && start + case.size <= watermark - case.grace {
                late.insert((slot, tick.id));
            } else {
                windows.entry(slot).or_default().push(tick.id);
            }
            start -= case.advance;
        }
    }
    for ids in windows.values_mut() {
        ids.sort_unstable();
    }
    (windows, late)
}

/// The finals by slot. Under exactly once each is there once; repeats are the same bytes where lateness does not hang on
/// the clock.
fn by_slot(case: &Case, finals: &[Read<Held>]) -> BTreeMap<Slot, Held> {
    let mut found: BTreeMap<Slot, Read<Held>> = BTreeMap::new();
    for read in finals {
        let Some(before) = found.insert(slot(&read.key), read.clone()) else { continue };
        assert!(!case.exactly_once, "a second final: {before:?} and {read:?}");
        if case.class != Class::Free {
            assert_eq!(
                (&before.value, before.timestamp),
                (&read.value, read.timestamp),
                "a repeat with other bytes"
            );
        }
    }
    found.into_iter().map(|(slot, read)| (slot, read.value)).collect()
}

/// Checks all that was read against the fold.
pub fn check(world: &World) {
    let World { case, ticks, seen, .. } = world;
    let finals = by_slot(case, &seen.finals);
    content(case, ticks, seen, &finals);
    live(&seen.live, &finals);
    if case.fill {
        gaps(world, &finals);
    }
    if case.exactly_once {
        in_order(&seen.finals);
    }
    if case.has_parents() && (case.exactly_once || case.class != Class::Free) {
        let parents = by_slot(case, &seen.parents);
        rolled(world, &finals, &parents);
        live(&seen.live_parents, &parents);
        if case.exactly_once {
            assert!(seen.late_children.is_empty(), "no final is late below: {:?}", seen.late_children);
        }
    }
}

fn content(case: &Case, ticks: &[Tick], seen: &Seen, finals: &BTreeMap<Slot, Held>) {
    let (expected, expected_late) = fold(case, ticks);
    let late: Late = seen.late.iter().map(|read| (slot(&read.key), read.value)).collect();
    if case.exactly_once {
        assert_eq!(late.len(), seen.late.len(), "each late record once");
    }
    let real = |(slot, held): (&Slot, &Held)| {
        let mut ids = held.ids.clone();
        if !case.exactly_once && case.repartition {
            // What is written twice to a topic between is new input below it.
            ids.dedup();
        }
        (!ids.is_empty()).then(|| (slot.clone(), ids))
    };
    let real: BTreeMap<Slot, Vec<u64>> = finals.iter().filter_map(real).collect();
    match case.class {
        Class::Within => {
            assert_eq!(real, expected, "the windows are the fold's");
            let repeated = !case.exactly_once && case.repartition;
            assert!(repeated || late.is_empty(), "nothing was late: {late:?}");
        }
        Class::Ordered => {
            assert_eq!(real, expected, "the windows are the fold's");
            assert_eq!(late, expected_late, "what is late is the fold's");
        }
        Class::Free => {
            let pairs = |windows: &BTreeMap<Slot, Vec<u64>>| -> Late {
                let each = |(slot, ids): (&Slot, &Vec<u64>)| {
                    ids.iter().map(|id| (slot.clone(), *id)).collect::<Vec<_>>()
                };
                windows.iter().flat_map(each).collect()
            };
            let accepted = pairs(&real);
            if case.exactly_once {
                assert_eq!(accepted.intersection(&late).next(), None, "accepted and late");
                assert_eq!(real.values().map(Vec::len).sum::<usize>(), accepted.len(), "counted once");
            }
            // Under at least once every final counts, not the last only: its repeat may have found a record late.
            let all = seen
                .finals
                .iter()
                .flat_map(|read| read.value.ids.iter().map(|id| (slot(&read.key), *id)).collect::<Vec<_>>());
            let found: Late = all.chain(late).collect();
            assert_eq!(found, pairs(&expected), "each tick is in its windows or late");
        }
    }
}

fn live(live: &[Read<Held>], finals: &BTreeMap<Slot, Held>) {
    let mut last = BTreeMap::new();
    for read in live {
        last.insert(slot(&read.key), &read.value);
    }
    for (slot, held) in finals {
        assert_eq!(last.get(slot), Some(&held), "the last live value of {slot:?} is the final");
    }
}

/// A key's slots follow each other from its first final on; a quiet one is made from the one before it.
fn gaps(world: &World, finals: &BTreeMap<Slot, Held>) {
    let case = &world.case;
    let mut last: BTreeMap<&str, (i64, &Held)> = BTreeMap::new();
    for ((end, start, key), held) in finals {
        if let Some((before, from)) = last.insert(key, (*end, held)) {
            assert_eq!(before, *start, "a slot of {key} is missing");
            if held.ids.is_empty() {
                assert_eq!(*held, from.next_quiet(), "{key} [{start}, {end})");
            }
        }
    }
    let closed = closed_at_least(world) - case.size;
    for (key, (end, _)) in last {
        assert!(end >= closed, "quiet slots of {key} end at {end}, and the clock has closed up to {closed}");
    }
}

/// A moment up to which everything is closed at the end.
fn closed_at_least(world: &World) -> i64 {
    let Case { idle, out_of_order, grace, .. } = world.case;
    world.driver.now().0 - idle.max(out_of_order) - grace - 5_000
}

fn rolled(world: &World, children: &BTreeMap<Slot, Held>, parents: &BTreeMap<Slot, Held>) {
    let size = world.case.parent_size();
    let mut expected: BTreeMap<Slot, Held> = BTreeMap::new();
    for ((_, start, key), held) in children {
        let from = start.div_euclid(size) * size;
        expected.entry((from + size, from, key.clone())).or_default().absorb(held);
    }
    for (slot, held) in parents {
        assert_eq!(expected.get(slot), Some(held), "the parent {slot:?} is the sum of its children");
    }
    let closed = closed_at_least(world);
    for slot in expected.keys().filter(|(end, ..)| *end <= closed) {
        assert!(parents.contains_key(slot), "the parent {slot:?} is missing");
    }
}

/// By end, start and key in each partition.
fn in_order(finals: &[Read<Held>]) {
    let mut last: BTreeMap<u32, Slot> = BTreeMap::new();
    for read in finals {
        let now = slot(&read.key);
        if let Some(before) = last.insert(read.partition, now.clone()) {
            assert!(before < now, "{before:?} before {now:?}");
        }
    }
}
