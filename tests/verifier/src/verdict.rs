//! What is wrong in a topic: counts, and the first places of each kind.

use serde::Serialize;
use std::fmt;

/// How many places of each kind are told.
const TOLD: usize = 5;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Fault {
    pub count: u64,
    /// The first ones.
    pub at: Vec<String>,
}

impl Fault {
    pub fn found(&mut self, place: impl FnOnce() -> String) {
        self.count += 1;
        if self.at.len() < TOLD {
            self.at.push(place());
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    pub topic: String,
    /// Slots that have closed for certain.
    pub expected: u64,
    /// Records, repeated ones included.
    pub finals: u64,
    pub missing: Fault,
    /// Again, with the same bytes.
    pub twice: Fault,
    /// Not the bar that the ticks give, not the bar that the same slot had before, or unreadable.
    pub different: Fault,
    /// Of a slot without ticks, or that has not closed.
    pub unexpected: Fault,
    /// A slot of a key after a later one of the same key, or on another partition.
    pub disordered: Fault,
    /// Records behind an open transaction, which nobody can read yet.
    pub undecided: u64,
}

impl Verdict {
    fn faults(&self) -> [(&'static str, &Fault); 5] {
        [
            ("missing", &self.missing),
            ("twice", &self.twice),
            ("different", &self.different),
            ("unexpected", &self.unexpected),
            ("out of order", &self.disordered),
        ]
    }

    /// `repeats`: bars that come again with the same bytes are no fault.
    pub fn is_good(&self, repeats: bool) -> bool {
        self.faults().iter().all(|(name, fault)| fault.count == 0 || (repeats && *name == "twice"))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} closed, {} finals", self.topic, self.expected, self.finals)?;
        for (name, fault) in self.faults() {
            write!(f, ", {} {name}", fault.count)?;
        }
        if self.undecided > 0 {
            write!(f, "; {} records behind an open transaction", self.undecided)?;
        }
        for (name, fault) in self.faults() {
            fault.at.iter().try_for_each(|place| write!(f, "\n  {name}: {place}"))?;
        }
        Ok(())
    }
}

/// All topics of a pipeline.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub ticks: u64,
    pub late: u64,
    pub topics: Vec<Verdict>,
}

impl Report {
    pub fn is_good(&self, repeats: bool) -> bool {
        self.topics.iter().all(|verdict| verdict.is_good(repeats))
    }

    pub fn sum(&self, what: impl Fn(&Verdict) -> u64) -> u64 {
        self.topics.iter().map(what).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ticks: {}, of which late {}", self.ticks, self.late)?;
        self.topics.iter().try_for_each(|verdict| writeln!(f, "{verdict}"))
    }
}
