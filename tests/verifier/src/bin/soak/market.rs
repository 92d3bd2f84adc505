//! Prices that walk at random, with times of the past that go faster than the clock: the n-th tick depends on the seed
//! alone.

use crate::chance::Chance;
use highwater_verifier::Result;
use highwater_verifier::feeder::Feeder;
use highwater_verifier::tick::Tick;
use rust_decimal::Decimal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// 2024-03-04T00:00:00Z, a Monday.
const START: i64 = 1_709_510_400_000;
const DAY: i64 = 24 * 60 * 60 * 1000;
/// After so long every slot of the feed has closed, the month's too.
const CLOSING: i64 = 32 * DAY;

pub struct Market {
    chance: Chance,
    prices: Vec<i64>,
    /// Market ms between two ticks.
    step: f64,
    rate: f64,
    made: u64,
}

impl Market {
    pub fn new(seed: u64, symbols: usize, rate: u32, faster: u32) -> Self {
        let step = f64::from(faster) * 1000.0 / f64::from(rate);
        Self { chance: Chance(seed), prices: vec![10_000; symbols], step, rate: f64::from(rate), made: 0 }
    }

    /// A pipeline does not let ticks of the future move its time.
    pub fn ends_in_the_past(&self, feeding: Duration) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as f64;
        let last = START as f64 + feeding.as_secs_f64() * self.rate * self.step + CLOSING as f64;
        if last < now {
            Ok(())
        } else {
            Err("the market would end in the future: a smaller --market-speed".into())
        }
    }

    fn next(&mut self) -> Tick {
        let symbol = self.chance.below(self.prices.len() as u64) as usize;
        let price = &mut self.prices[symbol];
        *price = (*price + self.chance.below(201) as i64 - 100).max(1);
        let at = START + (self.made as f64 * self.step) as i64;
        self.made += 1;
        let volume = Decimal::new(1 + self.chance.below(100_000) as i64, 4);
        Tick { symbol: name(symbol), at, price: Decimal::new(*price, 2), volume }
    }

    /// Feeds until `stop`, at the rate; `fed` counts.
    pub fn feed(&mut self, feeder: &Feeder, topic: &str, stop: &AtomicBool, fed: &AtomicU64) -> Result<()> {
        let began = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let due = (began.elapsed().as_secs_f64() * self.rate) as u64;
            while self.made < due {
                feeder.tick(topic, &self.next())?;
            }
            fed.store(self.made, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(2));
        }
        feeder.flush()
    }

    /// One tick of each symbol, so late that everything before it closes.
    pub fn close(&mut self, feeder: &Feeder, topic: &str) -> Result<()> {
        let at = START + (self.made as f64 * self.step) as i64 + CLOSING;
        for (symbol, price) in self.prices.iter().enumerate() {
            let tick =
                Tick { symbol: name(symbol), at, price: Decimal::new(*price, 2), volume: Decimal::ONE };
            feeder.tick(topic, &tick)?;
        }
        feeder.flush()
    }
}

fn name(symbol: usize) -> String {
    format!("SYM{symbol:03}")
}
