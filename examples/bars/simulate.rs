//! A simulated market for a run without input: a month ends on a Sunday, so that all five timeframes close within minutes.
//! Its ticks stop shortly before midnight while the clock goes on.

use crate::symbol::Symbol;
use crate::tick::Tick;
use highwater::time::{Timestamp, minutes, seconds};
use rust_decimal::Decimal;
use std::time::Duration;

/// 2026-05-31T22:52:00Z, a Sunday: the last of its month.
const START: Timestamp = Timestamp(1_780_267_920_000);
/// 2026-06-01T00:00:00Z: the slots of all timeframes end.
const MIDNIGHT: Timestamp = Timestamp(1_780_272_000_000);
/// Between the last tick and midnight.
const SILENCE: Duration = seconds(150);
/// How far the clock goes at a time.
const STEP: Duration = seconds(1);

/// Event time per real time where no speed is given: the run takes about eight seconds.
pub const SPEED: f64 = 600.0;

/// One step of the clock, and the ticks that came since the last one, in order of arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub now: Timestamp,
    pub ticks: Vec<(Symbol, Tick)>,
}

/// Seeded: the same market every time. An iterator over its steps.
pub struct Simulation {
    instruments: Vec<Instrument>,
    chance: Chance,
    now: Timestamp,
    end: Timestamp,
}

struct Instrument {
    symbol: Symbol,
    /// In the last digit.
    price: i64,
    digits: u32,
    /// Mean time between ticks in ms.
    pause: u64,
    next: Timestamp,
}

impl Simulation {
    /// `patience`: how long after midnight the last final is due.
    pub fn new(seed: u64, patience: Duration) -> Self {
        let instrument = |name: &str, price, digits, pause| Instrument {
            symbol: Symbol::new(name).expect("a name"),
            price,
            digits,
            pause,
            next: START,
        };
        // The last one trades so seldom that most of its minutes are quiet.
        let instruments = vec![
            instrument("BTCUSD", 10_412_350, 2, 400),
            instrument("ETHUSD", 386_042, 2, 1_500),
            instrument("DOGEUSD", 21_734, 5, 150_000),
        ];
        Self { instruments, chance: Chance(seed), now: START, end: MIDNIGHT.plus(patience).plus(minutes(1)) }
    }

    /// Where the clock stands before the first step.
    pub fn start() -> Timestamp {
        START
    }

    /// The ticks until `now`; some arrive after a later one.
    fn ticks(&mut self) -> Vec<(Symbol, Tick)> {
        let until = self.now.min(MIDNIGHT.minus(SILENCE));
        let mut ticks = Vec::new();
        for instrument in &mut self.instruments {
            while instrument.next < until {
                ticks.push((instrument.symbol.clone(), instrument.tick(&mut self.chance)));
            }
        }
        ticks.sort_by_key(|(_, tick)| tick.at.0 + (tick.at.0 % 7) * 100);
        ticks
    }
}

impl Iterator for Simulation {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.now >= self.end {
            return None;
        }
        self.now = self.now.plus(STEP);
        Some(Step { now: self.now, ticks: self.ticks() })
    }
}

impl Instrument {
    fn tick(&mut self, chance: &mut Chance) -> Tick {
        let at = self.next;
        let swing = self.price / 20_000 + 1;
        self.price = (self.price - swing + chance.below(2 * swing as u64 + 1) as i64).max(1);
        self.next = at.plus(Duration::from_millis(1 + chance.below(2 * self.pause)));
        Tick {
            at,
            price: Decimal::new(self.price, self.digits),
            volume: Decimal::new(1 + chance.below(250_000) as i64, 4),
        }
    }
}

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_and_ends_where_it_says() {
        assert_eq!(START.to_string(), "2026-05-31T22:52:00.000Z");
        assert_eq!(MIDNIGHT.to_string(), "2026-06-01T00:00:00.000Z");
        let steps: Vec<_> = Simulation::new(1, minutes(10)).collect();
        assert_eq!(steps[0].now, START.plus(STEP));
        assert_eq!(steps.last().unwrap().now, MIDNIGHT.plus(minutes(11)));
    }

    #[test]
    fn the_same_seed_gives_the_same_market() {
        let market = |seed| Simulation::new(seed, minutes(10)).collect::<Vec<_>>();
        assert_eq!(market(1), market(1));
        assert_ne!(market(1), market(2));
    }

    #[test]
    fn ticks_stop_before_midnight_and_come_out_of_order_within_the_grace() {
        let ticks: Vec<_> = Simulation::new(1, minutes(10)).flat_map(|step| step.ticks).collect();
        assert!(ticks.len() > 10_000, "{}", ticks.len());
        assert!(ticks.iter().all(|(_, tick)| START <= tick.at && tick.at < MIDNIGHT.minus(SILENCE)));
        assert!(ticks.iter().all(|(_, tick)| tick.price > Decimal::ZERO && tick.volume > Decimal::ZERO));
        let mut largest = Timestamp::MIN;
        let mut furthest = Duration::ZERO;
        for (_, tick) in &ticks {
            furthest = furthest.max(largest.since(tick.at));
            largest = largest.max(tick.at);
        }
        assert!(Duration::ZERO < furthest && furthest < seconds(90), "{furthest:?}");
    }

    #[test]
    fn one_symbol_is_mostly_quiet() {
        let mut traded = std::collections::BTreeSet::new();
        for (symbol, tick) in Simulation::new(1, minutes(10)).flat_map(|step| step.ticks) {
            if symbol.as_str() == "DOGEUSD" {
                traded.insert(tick.at.0 / 60_000);
            }
        }
        assert!((5..40).contains(&traded.len()), "{}", traded.len());
    }
}
