//! What a soak found.

use crate::faults::Faults;
use crate::fleet::Fleet;
use crate::options::{Fault, Options};
use crate::pauses::Pauses;
use crate::repeats;
use highwater_verifier::verdict::Report;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub struct Summary {
    setting: String,
    report: Report,
    faults: BTreeMap<Fault, u64>,
    in_transaction: u64,
    /// Per fault that was the last before them: how many pauses, and the longest.
    pauses: BTreeMap<&'static str, (u64, Duration)>,
    unclean: Vec<String>,
    own_exits: Vec<String>,
    interrupted: bool,
}

impl Summary {
    pub fn new(
        options: &Options,
        seed: u64,
        report: Report,
        faults: &Faults,
        fleet: &Fleet,
        pauses: &Pauses,
        interrupted: bool,
    ) -> Self {
        let mut after = BTreeMap::<_, (u64, Duration)>::new();
        for (end, pause) in pauses.all() {
            let last = faults.times.iter().rev().find(|(time, _)| *time < end);
            let (count, longest) =
                after.entry(last.map_or("the start", |(_, fault)| fault.name())).or_default();
            *count += 1;
            *longest = pause.max(*longest);
        }
        let Options { minutes, processes, symbols, partitions, rate, .. } = options;
        let setting = format!(
            "{minutes} minutes, {}, {processes} processes, {symbols} symbols on {partitions} partitions, {rate} ticks/s, seed {seed}",
            options.guarantee.name()
        );
        Self {
            setting,
            report,
            faults: faults.done.clone(),
            in_transaction: faults.in_transaction,
            pauses: after,
            unclean: faults.unclean_stops.clone(),
            own_exits: fleet.own_exits.clone(),
            interrupted,
        }
    }

    pub fn is_good(&self, options: &Options) -> bool {
        let whole = !self.interrupted && self.report.sum(|topic| topic.expected) > 0;
        whole && self.report.is_good(repeats(options)) && self.unclean.is_empty() && self.own_exits.is_empty()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nsoak: {}", self.setting)?;
        write!(f, "faults: {}", self.faults.values().sum::<u64>())?;
        for (fault, count) in &self.faults {
            write!(f, ", {count} {}", fault.name())?;
        }
        writeln!(f, "; kills in an open transaction: {}", self.in_transaction)?;
        for (fault, (count, longest)) in &self.pauses {
            writeln!(f, "pauses of more than 1 s after {fault}: {count}, the longest {longest:.1?}")?;
        }
        if self.interrupted {
            writeln!(f, "interrupted: this is no result")?;
        }
        let longest = self.pauses.values().map(|(_, longest)| *longest).max().unwrap_or_default();
        writeln!(f, "{}", self.report)?;
        let wrong = self.unclean.iter().chain(&self.own_exits);
        wrong.into_iter().try_for_each(|what| writeln!(f, "{what}"))?;
        let sum = |what: fn(&highwater_verifier::verdict::Verdict) -> u64| self.report.sum(what);
        writeln!(
            f,
            "kills {}, ticks {}, finals {}, lost {}, repeated {}, different {}, unexpected {}, out of order {}, longest pause {longest:.1?}",
            [Fault::Kill, Fault::Disk].iter().filter_map(|kind| self.faults.get(kind)).sum::<u64>(),
            self.report.ticks,
            sum(|topic| topic.finals),
            sum(|topic| topic.missing.count),
            sum(|topic| topic.twice.count),
            sum(|topic| topic.different.count),
            sum(|topic| topic.unexpected.count),
            sum(|topic| topic.disordered.count),
        )
    }
}
