//! What the finals of one partition have to be: a plain fold over its ticks in order of offset.

use crate::Result;
use crate::bar::Bar;
use crate::calendar::{Calendar, Slot};
use crate::tick::Tick;
use crate::timeframe::Timeframe;
use std::collections::BTreeMap;

/// What the pipeline was started with.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub calendar: Calendar,
    /// Per timeframe, in ms.
    pub graces: [i64; 5],
    /// Quiet minutes have a bar too.
    pub heartbeats: bool,
    /// Something after the last tick closed every slot: an idle timeout, the end of a file.
    pub closed: bool,
}

impl Default for Rules {
    fn default() -> Self {
        let graces = Timeframe::ALL.map(Timeframe::default_grace);
        Self { calendar: Calendar::default(), graces, heartbeats: false, closed: false }
    }
}

/// A final as it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub slot: Slot,
    pub bar: Bar,
    /// How many children the slot should have.
    pub children: Option<u32>,
    /// Its slot has closed for certain; otherwise it may be there, and then it must be this one.
    pub must: bool,
}

/// By symbol and start of the slot.
pub type Bars<T> = BTreeMap<(String, i64), T>;

pub struct Fold {
    rules: Rules,
    /// The largest time seen.
    watermark: i64,
    minutes: Bars<Bar>,
    pub ticks: u64,
    /// Came after their slot had closed.
    pub late: u64,
}

impl Fold {
    pub fn new(rules: Rules) -> Self {
        Self { rules, watermark: i64::MIN, minutes: Bars::new(), ticks: 0, late: 0 }
    }

    pub fn add(&mut self, tick: &Tick) -> Result<()> {
        self.ticks += 1;
        if tick.at < 0 {
            return Ok(());
        }
        self.watermark = self.watermark.max(tick.at);
        let slot = self.rules.calendar.slot(Timeframe::M1, tick.at)?;
        if self.has_closed(Timeframe::M1, slot) {
            self.late += 1;
            return Ok(());
        }
        let bar = Bar::of(tick);
        let known = self.minutes.entry((tick.symbol.clone(), slot.start));
        let mut added = Ok(());
        known.and_modify(|sum| added = sum.and(&bar)).or_insert(bar);
        added
    }

    fn has_closed(&self, timeframe: Timeframe, slot: Slot) -> bool {
        slot.end + self.rules.graces[timeframe as usize] <= self.watermark
    }

    /// The finals of each timeframe.
    pub fn finish(mut self) -> Result<[Bars<Expected>; 5]> {
        let mut minutes = std::mem::take(&mut self.minutes);
        if self.rules.heartbeats {
            minutes = self.filled(minutes)?;
        }
        let hours = self.roll_up(&minutes, Timeframe::H1)?;
        let days = self.roll_up(&hours, Timeframe::D1)?;
        let weeks = self.roll_up(&days, Timeframe::W1)?;
        let months = self.roll_up(&days, Timeframe::Mo1)?;
        let mut all = [minutes, hours, days, weeks, months].into_iter();
        let mut finals: [Bars<Expected>; 5] = Default::default();
        for (timeframe, bars) in Timeframe::ALL.into_iter().zip(&mut all) {
            finals[timeframe as usize] = self.expected(bars, timeframe)?;
        }
        Ok(finals)
    }

    fn roll_up(&self, children: &Bars<Bar>, timeframe: Timeframe) -> Result<Bars<Bar>> {
        let mut parents: Bars<Bar> = Bars::new();
        for ((symbol, start), child) in children {
            let slot = self.rules.calendar.slot(timeframe, *start)?;
            match parents.get_mut(&(symbol.clone(), slot.start)) {
                Some(parent) => parent.and_child(child, *start)?,
                None => _ = parents.insert((symbol.clone(), slot.start), Bar::parent(child, *start)),
            }
        }
        Ok(parents)
    }

    /// From a symbol's first minute to the last that has closed, each has a bar.
    fn filled(&self, minutes: Bars<Bar>) -> Result<Bars<Bar>> {
        const MINUTE: i64 = 60_000;
        let mut all = minutes.clone();
        let mut last: Option<(String, i64, Bar)> = None;
        let mut fill = |(symbol, from, bar): (String, i64, Bar), until: i64| {
            if until - from > 30 * 24 * 60 * MINUTE {
                return Err(format!(
                    "{symbol} is quiet for more than 30 days: with heartbeats it would be forgotten"
                ));
            }
            let quiet = (from + MINUTE..until).step_by(MINUTE as usize);
            all.extend(quiet.map(|start| ((symbol.clone(), start), bar.quiet())));
            Ok(())
        };
        let closed_until =
            self.rules.calendar.slot(Timeframe::M1, self.watermark - self.rules.graces[0])?.start;
        for ((symbol, start), bar) in minutes {
            if let Some(before) = last.take() {
                let until = if before.0 == symbol { start } else { closed_until };
                fill(before, until)?;
            }
            last = Some((symbol, start, bar));
        }
        if let Some(before) = last {
            fill(before, closed_until)?;
        }
        Ok(all)
    }

    fn expected(&self, bars: Bars<Bar>, timeframe: Timeframe) -> Result<Bars<Expected>> {
        let all = bars.into_iter().map(|(key, bar)| {
            let slot = self.rules.calendar.slot(timeframe, key.1)?;
            let children = Calendar::children(timeframe, slot);
            let must = self.rules.closed || self.has_closed(timeframe, slot);
            Ok((key, Expected { slot, bar, children, must }))
        });
        all.collect()
    }
}
