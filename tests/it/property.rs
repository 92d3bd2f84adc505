//! Random ticks and random trouble, checked against a plain fold.
//!
//! `HIGHWATER_SEEDS=n` runs n seeds of each kind, `HIGHWATER_SEED=s` that one alone.

mod case;
mod fold;
mod jump;
mod world;

use crate::run::Chance;
use case::Case;
use highwater::testing::CommitPoint;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use world::World;

/// As many as fit into a minute.
const SEEDS: u64 = 1_500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// The seeds to run; the first failure says how to run it again.
fn each_seed(test: &str, mut run: impl FnMut(u64)) {
    let seeds = match number("HIGHWATER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HIGHWATER_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            eprintln!("replay: HIGHWATER_SEED={seed} cargo test --test it property::{test} -- --nocapture");
            resume_unwind(panic);
        }
    }
}

fn run(seed: u64, exactly_once: bool) -> BTreeSet<CommitPoint> {
    let mut chance = Chance::new(2 * seed + u64::from(exactly_once));
    let case = Case::draw(&mut chance, exactly_once);
    if number("HIGHWATER_SEED").is_some() {
        eprintln!("{case:?}");
    }
    let mut world = World::new(case);
    world.run(&mut chance);
    fold::check(&world);
    world.killed
}

fn all(test: &str, exactly_once: bool, points: &[CommitPoint]) {
    let mut killed = BTreeSet::new();
    each_seed(test, |seed| killed.extend(run(seed, exactly_once)));
    if number("HIGHWATER_SEED").is_none() && number("HIGHWATER_SEEDS").is_none_or(|seeds| seeds >= SEEDS) {
        let all = points.iter().copied().collect();
        assert_eq!(killed, all, "killed at every point");
    }
}

#[test]
fn exactly_once() {
    all("exactly_once", true, &CommitPoint::EXACTLY_ONCE);
}

#[test]
fn at_least_once() {
    all("at_least_once", false, &CommitPoint::AT_LEAST_ONCE);
}
