//! Ticks to the finals of all levels, with everything that happens on the way.

use crate::run::{
    Bar, D1, H1, Key, M1, Mo1, Pipeline, Run, TIMEFRAMES, Tick, W1, conserved, once, random_ticks, utc,
};
use highwater::testing::TopologyTestDriver;
use highwater::time::{Timestamp, days, hours};
use std::collections::BTreeMap;

/// The minutes of a plain fold over the ticks.
fn fold(ticks: &[(Key, Timestamp, i64, i64)]) -> BTreeMap<(i64, i64, Key), Bar> {
    let mut bars: BTreeMap<(i64, i64, Key), Bar> = BTreeMap::new();
    for (key, at, price, quantity) in ticks {
        let start = at.0 - at.0 % 60_000;
        let bar = bars.entry((start + 60_000, start, key.clone())).or_default();
        bar.trade(&Tick { at: *at, price: *price, quantity: *quantity });
    }
    bars
}

#[test]
fn e2e_flow_live_to_final_cascade_all_levels_passes() {
    let pipeline = Pipeline::new("24x7").heartbeats();
    let mut run = Run::of(TopologyTestDriver::new(pipeline.topology()).partitions(3).instances(2));
    let start = utc("2024-02-28T21:07:00Z");
    let ticks = random_ticks(11, 4, start, hours(3), 50_000);
    let (mut live, mut finals) = (BTreeMap::new(), BTreeMap::new());
    let mut gather = |run: &mut Run| {
        for timeframe in TIMEFRAMES {
            live.entry(timeframe).or_insert_with(Vec::new).extend(run.live(timeframe));
            finals.entry(timeframe).or_insert_with(Vec::new).extend(run.finals(timeframe));
        }
    };
    for (n, (key, at, price, quantity)) in ticks.iter().enumerate() {
        run.until(*at);
        run.tick(key, *at, *price, *quantity);
        match n % 300 {
            99 => run.driver.crash_and_restore(n % 2),
            199 => run.driver.rebalance([[0].as_slice(), &[1], &[0, 1]][n / 300 % 3]),
            _ => {}
        }
        if n % 20 == 0 {
            gather(&mut run);
        }
    }
    run.driver.advance_clock(days(4) + hours(1));
    gather(&mut run);

    let m1 = once(&finals[&M1]);
    let real: BTreeMap<_, _> =
        m1.iter().filter(|(_, bar)| bar.ticks > 0).map(|(k, v)| (k.clone(), v.ohlcv())).collect();
    let expected: BTreeMap<_, _> = fold(&ticks).into_iter().map(|(k, v)| (k, v.ohlcv())).collect();
    assert_eq!(real, expected, "the minutes with ticks are the fold's");
    for n in 0..4 {
        let slots: Vec<i64> = m1.keys().filter(|(.., k)| k.0 == n).map(|(_, start, _)| *start).collect();
        assert!(
            slots.windows(2).all(|pair| pair[1] - pair[0] == 60_000),
            "every quiet minute of {n} is filled"
        );
    }
    for (child, parent) in [(M1, H1), (H1, D1), (D1, W1), (D1, Mo1)] {
        let closed = finals[&parent].iter().map(|read| read.key.window.end).max().expect("parents");
        let inside: Vec<_> =
            finals[&child].iter().filter(|read| read.key.window.end <= closed).cloned().collect();
        conserved(&inside, &finals[&parent]);
    }
    assert_eq!(once(&finals[&Mo1]).len(), 4, "February of four keys");
    assert_eq!(once(&finals[&W1]).len(), 4, "the week until Sunday");
    for timeframe in TIMEFRAMES {
        let mut latest: BTreeMap<_, Bar> = BTreeMap::new();
        for read in &live[&timeframe] {
            latest.insert(
                (read.key.window.end.0, read.key.window.start.0, read.key.key.clone()),
                read.value.clone(),
            );
        }
        for (slot, bar) in once(&finals[&timeframe]) {
            assert_eq!(latest.get(&slot), Some(&bar), "{timeframe:?}: the last live update is the final");
        }
    }
    assert_eq!(run.driver.total_counts().late, 0, "nothing was late");
}
