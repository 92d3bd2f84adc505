//! A bar as the pipeline keeps it: open, high, low, close and volume, with what decides open and close.
//!
//! Open is the tick with the smallest event time (of equal ones the first to come), close the one with the largest (of
//! equal ones the last), whatever the order of arrival. In a parent the children's slots decide in the same way.

use crate::decimal;
use crate::tick::Tick;
use highwater::serdes::{Deserializer, Serializer};
use highwater::time::{Timestamp, Window};
use highwater::{BoxError, Children};
use rust_decimal::Decimal;

/// The default is a bar without a trade: neutral to whatever is added first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    pub volume: Decimal,
    pub ticks: u64,
    /// Event time of the open's tick, or start of its child.
    opened_at: Timestamp,
    /// Event time of the close's tick, or start of its child.
    closed_at: Timestamp,
    /// Of a parent: how many children it has, and should have. None for M1.
    pub children: Option<Children>,
}

impl Default for Bar {
    fn default() -> Self {
        Self {
            open: Decimal::ZERO,
            high: Decimal::MIN,
            low: Decimal::MAX,
            close: Decimal::ZERO,
            volume: Decimal::ZERO,
            ticks: 0,
            opened_at: Timestamp::MAX,
            closed_at: Timestamp::MIN,
            children: None,
        }
    }
}

impl Bar {
    /// Takes a tick in. Fails where the sum of the volumes has more digits than are exact.
    pub fn trade(&mut self, tick: &Tick) -> Result<(), BoxError> {
        self.volume = decimal::add(self.volume, tick.volume)?;
        self.ticks += 1;
        self.high = self.high.max(tick.price);
        self.low = self.low.min(tick.price);
        if tick.at < self.opened_at {
            (self.open, self.opened_at) = (tick.price, tick.at);
        }
        if tick.at >= self.closed_at {
            (self.close, self.closed_at) = (tick.price, tick.at);
        }
        Ok(())
    }

    /// Takes the final of a child in; children come once each, in any order. Fails as [`trade`](Self::trade) does.
    pub fn absorb(&mut self, slot: Window, child: &Bar, children: Children) -> Result<(), BoxError> {
        self.volume = decimal::add(self.volume, child.volume)?;
        self.ticks += child.ticks;
        self.high = self.high.max(child.high);
        self.low = self.low.min(child.low);
        if slot.start < self.opened_at {
            (self.open, self.opened_at) = (child.open, slot.start);
        }
        if slot.start >= self.closed_at {
            (self.close, self.closed_at) = (child.close, slot.start);
        }
        self.children = Some(children);
        Ok(())
    }

    /// The bar of a slot in which nothing happened, after this one.
    pub fn quiet(&self) -> Bar {
        let close = self.close;
        Bar {
            open: close,
            high: close,
            low: close,
            close,
            volume: Decimal::ZERO,
            ticks: 0,
            opened_at: self.closed_at,
            closed_at: self.closed_at,
            children: None,
        }
    }

    /// A bar without children always is.
    pub fn complete(&self) -> bool {
        self.children.is_none_or(Children::complete)
    }
}

/// A bar in the pipeline's own stores: fixed places, 120 bytes at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct BarBytes;

/// The form of the bytes; another one is refused, not guessed at.
const FORM: u8 = 1;

impl Serializer<Bar> for BarBytes {
    fn serialize(&self, bar: &Bar, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.push(FORM);
        for decimal in [bar.open, bar.high, bar.low, bar.close, bar.volume] {
            out.extend_from_slice(&decimal.serialize());
        }
        for number in [bar.ticks as i64, bar.opened_at.0, bar.closed_at.0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        if let Some(Children { arrived, expected }) = bar.children {
            out.extend_from_slice(&arrived.to_be_bytes());
            out.extend(expected.map(u32::to_be_bytes).into_iter().flatten());
        }
        Ok(())
    }
}

impl Deserializer<Bar> for BarBytes {
    fn deserialize(&self, bytes: &[u8]) -> Result<Bar, BoxError> {
        let mut rest = match bytes.split_first() {
            Some((&FORM, rest)) => Fields(rest),
            _ => return Err(format!("{} bytes that are no bar of form {FORM}", bytes.len()).into()),
        };
        let mut decimal = || rest.take().map(Decimal::deserialize);
        let (open, high, low, close, volume) = (decimal()?, decimal()?, decimal()?, decimal()?, decimal()?);
        let mut number = || rest.take().map(i64::from_be_bytes);
        let (ticks, opened_at, closed_at) = (number()? as u64, Timestamp(number()?), Timestamp(number()?));
        let children = rest.children()?;
        Ok(Bar { open, high, low, close, volume, ticks, opened_at, closed_at, children })
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BoxError> {
        let (field, rest) = self.0.split_first_chunk().ok_or("the bytes of a bar end early")?;
        self.0 = rest;
        Ok(*field)
    }

    fn children(mut self) -> Result<Option<Children>, BoxError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let arrived = u32::from_be_bytes(self.take()?);
        let expected = if self.0.is_empty() { None } else { Some(u32::from_be_bytes(self.take()?)) };
        if self.0.is_empty() {
            Ok(Some(Children { arrived, expected }))
        } else {
            Err("bytes after a bar".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tick(at: i64, price: i64, volume: i64) -> Tick {
        Tick { at: Timestamp(at), price: Decimal::new(price, 2), volume: Decimal::new(volume, 1) }
    }

    fn bar_of(ticks: &[Tick]) -> Bar {
        let mut bar = Bar::default();
        ticks.iter().for_each(|tick| bar.trade(tick).unwrap());
        bar
    }

    fn ohlc(bar: &Bar) -> [String; 5] {
        [bar.open, bar.high, bar.low, bar.close, bar.volume].map(|decimal| decimal.to_string())
    }

    #[test]
    fn open_and_close_go_by_event_time_then_arrival() {
        let bar = bar_of(&[
            tick(5, 500, 1),
            tick(9, 900, 1),
            tick(5, 100, 1),
            tick(3, 300, 1),
            tick(3, 200, 1),
            tick(9, 700, 1),
            tick(8, 50, 1),
        ]);
        assert_eq!(ohlc(&bar), ["3.00", "9.00", "0.50", "7.00", "0.7"]);
        assert_eq!(bar.ticks, 7);
        assert!(bar.complete());
    }

    #[test]
    fn negative_prices_are_prices() {
        assert_eq!(ohlc(&bar_of(&[tick(1, -3763, 10)])), ["-37.63", "-37.63", "-37.63", "-37.63", "1.0"]);
    }

    #[test]
    fn a_parent_goes_by_slots_not_by_arrival() {
        let slot = |n: i64| Window::new(Timestamp(n * 60_000), Timestamp((n + 1) * 60_000));
        let mut parent = Bar::default();
        for (n, (at, price)) in [2, 0, 1].into_iter().zip([(120_000, 300), (0, 100), (60_000, 900)]) {
            let children = Children { arrived: n as u32 + 1, expected: Some(60) };
            parent.absorb(slot(n), &bar_of(&[tick(at, price, 5)]), children).unwrap();
        }
        assert_eq!(ohlc(&parent), ["1.00", "9.00", "1.00", "3.00", "1.5"]);
        assert_eq!((parent.ticks, parent.complete()), (3, false));
    }

    #[test]
    fn a_quiet_bar_stands_on_the_close() {
        let quiet = bar_of(&[tick(1, 100, 1), tick(2, 150, 1)]).quiet();
        assert_eq!(ohlc(&quiet), ["1.50", "1.50", "1.50", "1.50", "0"]);
        assert_eq!(quiet.ticks, 0);
        assert_eq!(quiet.quiet(), quiet);
    }

    #[test]
    fn a_sum_that_is_not_exact_fails() {
        let mut bar = bar_of(&[Tick { volume: Decimal::MAX, ..tick(1, 1, 0) }]);
        assert!(bar.trade(&tick(2, 1, 1)).unwrap_err().to_string().contains("more digits"));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let mut bytes = Vec::new();
        BarBytes.serialize(&bar_of(&[tick(1, 100, 1)]), &mut bytes).unwrap();
        assert_eq!(bytes.len(), 105);
        for wrong in [
            &bytes[..50],
            &bytes[..104],
            &[][..],
            &[&bytes[..], &[1]].concat()[..],
            &[&[2], &bytes[1..]].concat()[..],
        ] {
            assert!(BarBytes.deserialize(wrong).is_err());
        }
    }

    proptest! {
        #[test]
        fn bytes_give_the_bar_back(
            ticks in prop::collection::vec((0..i64::MAX, any::<i64>(), 0..1_000_000_i64), 0..5),
            children in prop::option::of((any::<u32>(), prop::option::of(any::<u32>()))),
        ) {
            let ticks: Vec<_> = ticks.into_iter().map(|(at, price, volume)| tick(at, price, volume)).collect();
            let children = children.map(|(arrived, expected)| Children { arrived, expected });
            let bar = Bar { children, ..bar_of(&ticks) };
            let mut bytes = Vec::new();
            BarBytes.serialize(&bar, &mut bytes).unwrap();
            prop_assert_eq!(BarBytes.deserialize(&bytes).unwrap(), bar);
        }

        #[test]
        fn arrival_decides_nothing_among_different_times(prices in prop::collection::vec(-1000..1000_i64, 1..20), seed in any::<u64>()) {
            let ticks: Vec<_> = prices.iter().enumerate().map(|(at, price)| tick(at as i64, *price, 1)).collect();
            let mut shuffled = ticks.clone();
            shuffled.sort_by_key(|tick| (tick.at.0 as u64 + 1).wrapping_mul(seed | 1));
            prop_assert_eq!(bar_of(&shuffled), bar_of(&ticks));
        }
    }
}
