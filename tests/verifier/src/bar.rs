//! A bar by its definition: open is the tick with the smallest time (the first of equal ones), close the one with the
//! largest (the last of equal ones).

use crate::Result;
use crate::tick::Tick;
use rust_decimal::Decimal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    pub volume: Decimal,
    pub ticks: u64,
    /// Of a parent.
    pub children: Option<u32>,
    opened_at: i64,
    closed_at: i64,
}

impl Bar {
    pub fn of(tick: &Tick) -> Self {
        let Tick { at, price, volume, .. } = *tick;
        Self {
            open: price,
            high: price,
            low: price,
            close: price,
            volume,
            ticks: 1,
            children: None,
            opened_at: at,
            closed_at: at,
        }
    }

    /// A slot without ticks, after this bar.
    pub fn quiet(&self) -> Self {
        let close = self.close;
        Self { open: close, high: close, low: close, volume: Decimal::ZERO, ticks: 0, ..*self }
    }

    /// A parent of one child, which begins at `start`.
    pub fn parent(child: &Self, start: i64) -> Self {
        Self { children: Some(1), opened_at: start, closed_at: start, ..*child }
    }

    /// A further child; children are given in order of time.
    pub fn and_child(&mut self, child: &Self, start: i64) -> Result<()> {
        self.children = self.children.map(|children| children + 1);
        self.and(&Self { opened_at: start, closed_at: start, ..*child })
    }

    /// The one that is added is the later to arrive.
    pub fn and(&mut self, more: &Self) -> Result<()> {
        if more.opened_at < self.opened_at {
            (self.open, self.opened_at) = (more.open, more.opened_at);
        }
        if more.closed_at >= self.closed_at {
            (self.close, self.closed_at) = (more.close, more.closed_at);
        }
        self.high = self.high.max(more.high);
        self.low = self.low.min(more.low);
        self.volume = self.volume.checked_add(more.volume).ok_or("a volume that no decimal holds")?;
        self.ticks += more.ticks;
        Ok(())
    }
}
