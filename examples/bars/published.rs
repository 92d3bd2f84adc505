//! A bar as the topics, the files and the terminal have it: with its symbol and slot.

use crate::bar::Bar;
use crate::symbol::Symbol;
use highwater::time::{Timestamp, Windowed};
use rust_decimal::Decimal;
use rust_decimal::serde::arbitrary_precision;
use serde::{Deserialize, Serialize};

/// The fields stand in the order of the documented JSON; decimals are JSON numbers with all their digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub symbol: Symbol,
    /// Of the slot, clipped to the session.
    pub start: Timestamp,
    pub end: Timestamp,
    #[serde(with = "arbitrary_precision")]
    pub open: Decimal,
    #[serde(with = "arbitrary_precision")]
    pub high: Decimal,
    #[serde(with = "arbitrary_precision")]
    pub low: Decimal,
    #[serde(with = "arbitrary_precision")]
    pub close: Decimal,
    #[serde(with = "arbitrary_precision")]
    pub volume: Decimal,
    pub ticks: u64,
    /// How many child bars are in it; null for M1.
    pub children: Option<u32>,
    /// How many the calendar knows; null for M1.
    pub expected: Option<u32>,
    pub complete: bool,
}

impl Published {
    pub fn of(slot: &Windowed<Symbol>, bar: &Bar) -> Self {
        Self {
            symbol: slot.key.clone(),
            start: slot.window.start,
            end: slot.window.end,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            ticks: bar.ticks,
            children: bar.children.map(|children| children.arrived),
            expected: bar.children.and_then(|children| children.expected),
            complete: bar.complete(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tick::Tick;
    use highwater::Children;
    use highwater::time::Window;

    #[test]
    fn the_json_is_the_documented_one() {
        let slot =
            Windowed::new(Symbol::new("BTCUSD").unwrap(), Window::new(Timestamp(60_000), Timestamp(120_000)));
        let mut bar = Bar::default();
        let tick = Tick {
            at: Timestamp(61_000),
            price: "101.250".parse().unwrap(),
            volume: "0.00000001".parse().unwrap(),
        };
        bar.trade(&tick).unwrap();
        let m1 = Published::of(&slot, &bar);
        let json = serde_json::to_string(&m1).unwrap();
        assert_eq!(
            json,
            "{\"symbol\":\"BTCUSD\",\"start\":60000,\"end\":120000,\"open\":101.250,\"high\":101.250,\"low\":101.250,\
             \"close\":101.250,\"volume\":0.00000001,\"ticks\":1,\"children\":null,\"expected\":null,\"complete\":true}"
        );
        assert_eq!(serde_json::from_str::<Published>(&json).unwrap(), m1);

        let mut parent = Bar::default();
        parent.absorb(slot.window, &bar, Children { arrived: 1, expected: Some(60) }).unwrap();
        let json = serde_json::to_string(&Published::of(&slot, &parent)).unwrap();
        assert!(json.ends_with("\"ticks\":1,\"children\":1,\"expected\":60,\"complete\":false}"), "{json}");
    }
}
