//! Holds the finals in the topics against the fold over the ticks.

use crate::finals::Final;
use crate::fold::{Bars, Expected, Fold, Rules};
use crate::kafka::{Cluster, Reader};
use crate::tick::Tick;
use crate::timeframe::{Timeframe, Topics};
use crate::verdict::{Report, Verdict};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Reads everything there is, and judges it.
pub fn judge(cluster: &Cluster, topics: &Topics, rules: Rules) -> Result<Report> {
    let reader = Reader::of(cluster)?;
    let (mut report, expected) = expected(&reader, topics, rules)?;
    for timeframe in Timeframe::ALL {
        let topic = topics.finals(timeframe);
        let mut judge = Judge::new(&expected[timeframe as usize]);
        reader.read(&topic, |record| {
            let place = || format!("partition {} offset {}", record.partition, record.offset);
            judge.take(record.partition, record.key, record.value.unwrap_or_default(), &place);
            Ok(())
        })?;
        let ends = reader.ends(&topic, &reader.partitions(&topic)?)?;
        let undecided = ends.iter().map(|(committed, end)| (end - committed) as u64).sum();
        report.topics.push(Verdict { topic, undecided, ..judge.finish() });
    }
    Ok(report)
}

fn expected(reader: &Reader, topics: &Topics, rules: Rules) -> Result<(Report, [Bars<Expected>; 5])> {
    let mut folds = BTreeMap::new();
    reader.read(&topics.ticks(), |record| {
        let tick = Tick::read(record.key, record.value.unwrap_or_default(), record.timestamp)?;
        folds.entry(record.partition).or_insert_with(|| Fold::new(rules)).add(&tick)
    })?;
    let mut report = Report::default();
    let mut all: [Bars<Expected>; 5] = Default::default();
    for (partition, fold) in folds {
        report.ticks += fold.ticks;
        report.late += fold.late;
        for (sum, bars) in all.iter_mut().zip(fold.finish()?) {
            for ((symbol, start), bar) in bars {
                let before = sum.insert((symbol.clone(), start), bar);
                before.map_or(Ok(()), |_| -> Result<(), Error> {
                    Err(format!("ticks of {symbol} are on partition {partition} and on another").into())
                })?;
            }
        }
    }
    Ok((report, all))
}

struct Judge<'a> {
    expected: &'a Bars<Expected>,
    /// The bytes that a slot had first.
    seen: Bars<Vec<u8>>,
    /// The partition and the last slot of each symbol.
    last: BTreeMap<String, (i32, i64)>,
    verdict: Verdict,
}

impl<'a> Judge<'a> {
    fn new(expected: &'a Bars<Expected>) -> Self {
        Self { expected, seen: Bars::new(), last: BTreeMap::new(), verdict: Verdict::default() }
    }

    fn take(&mut self, partition: i32, key: &[u8], value: &[u8], place: &dyn Fn() -> String) {
        self.verdict.finals += 1;
        let bar = match Final::read(key, value) {
            Ok(bar) => bar,
            Err(error) => return self.verdict.different.found(|| format!("{}: {error}", place())),
        };
        let slot = (bar.symbol.clone(), bar.slot.start);
        let told = || format!("{} {} at {}", bar.symbol, bar.slot.start, place());
        if let Some(first) = self.seen.get(&slot) {
            if first == value {
                self.verdict.twice.found(told);
            } else {
                self.verdict.different.found(|| format!("{}: another bar than before", told()));
            }
            return;
        }
        self.seen.insert(slot.clone(), value.to_vec());
        let last = self.last.insert(bar.symbol.clone(), (partition, bar.slot.start));
        if last.is_some_and(|(where_, start)| where_ != partition || start > bar.slot.start) {
            self.verdict.disordered.found(told);
        }
        let Some(expected) = self.expected.get(&slot) else { return self.verdict.unexpected.found(told) };
        match bar.differs(expected) {
            Ok(fields) if fields.is_empty() => (),
            Ok(fields) => self.verdict.different.found(|| format!("{}: {}", told(), fields.join(", "))),
            Err(error) => self.verdict.different.found(|| format!("{}: {error}", told())),
        }
    }

    fn finish(mut self) -> Verdict {
        for ((symbol, start), _) in self.expected.iter().filter(|(_, expected)| expected.must) {
            self.verdict.expected += 1;
            if !self.seen.contains_key(&(symbol.clone(), *start)) {
                self.verdict.missing.found(|| format!("{symbol} {start}"));
            }
        }
        self.verdict
    }
}
