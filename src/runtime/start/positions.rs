//! Where a task starts to read its inputs.

use crate::broker::{LogBounds, Offsets};
use crate::error::{Error, ErrorKind, Result};
use crate::record::TopicPartition;
use crate::runtime::process::Process;
use crate::runtime::topics::{TaskInput, TaskTopics};
use crate::time::Timestamp;
use crate::topology::{AutoOffsetReset, SubTopology};
use std::collections::BTreeMap;

/// Per input the offset to read next; `None`: it has to be looked up by time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) at: Vec<Option<i64>>,
    pub(crate) times: BTreeMap<TopicPartition, Timestamp>,
}

/// What the cluster said of the inputs.
pub(crate) struct Told<'a> {
    pub(crate) committed: &'a Offsets,
    pub(crate) bounds: &'a BTreeMap<TopicPartition, LogBounds>,
    pub(crate) date: Timestamp,
}

impl Positions {
    /// The committed offsets; where there are none, what the reset policy says. Everything lost is told at once.
    pub(crate) fn decide(
        process: &Process,
        sub: &SubTopology,
        topics: &TaskTopics,
        told: &Told<'_>,
    ) -> Result<Self> {
        let mut positions = Self::default();
        let mut mistakes = Vec::new();
        for input in &topics.inputs {
            match positions.decide_one(process, sub, input, told) {
                Ok(at) => positions.at.push(at),
                Err(error) => mistakes.push(error),
            }
        }
        Error::all(mistakes).map_or(Ok(positions), Err)
    }

    fn decide_one(
        &mut self,
        process: &Process,
        sub: &SubTopology,
        input: &TaskInput,
        told: &Told<'_>,
    ) -> Result<Option<i64>> {
        let partition = &input.partition;
        let bounds = told.bounds.get(partition).copied();
        let bounds = bounds.ok_or_else(|| Error::internal(format!("no bounds of {partition} were told")))?;
        match told.committed.get(partition).map(|committed| committed.offset) {
            Some(offset) if (bounds.start..=bounds.end).contains(&offset) => return Ok(Some(offset)),
            Some(offset) if !process.settings.reset_lost_offsets => {
                return Err(lost(partition, offset, bounds));
            }
            _ => {}
        }
        let of_source = sub.sources.get(input.source).and_then(|source| source.reset);
        let reset = match input.repartition {
            Some(_) => AutoOffsetReset::Earliest,
            None => of_source.unwrap_or(process.settings.reset),
        };
        match reset {
            AutoOffsetReset::Earliest => Ok(Some(bounds.start)),
            AutoOffsetReset::Latest => Ok(Some(bounds.end)),
            AutoOffsetReset::ByDuration(age) => {
                self.times.insert(partition.clone(), told.date.minus(age));
                Ok(None)
            }
            AutoOffsetReset::None => {
                let text =
                    format!("the group has no position for {partition}, and its source has no reset policy");
                Err(Error::new(ErrorKind::Topics, text)
                    .help("commit a position, or set auto.offset.reset=earliest"))
            }
        }
    }

    /// Fills in what was looked up by time.
    pub(crate) fn looked_up(&mut self, topics: &TaskTopics, offsets: &BTreeMap<TopicPartition, i64>) {
        for (at, input) in self.at.iter_mut().zip(&topics.inputs) {
            if at.is_none() {
                *at = offsets.get(&input.partition).copied();
            }
        }
        self.times.clear();
    }
}

fn lost(partition: &TopicPartition, offset: i64, bounds: LogBounds) -> Error {
    let LogBounds { start, end } = bounds;
    let text = if offset < start {
        format!("offsets {offset} to {} of {partition} are lost: the log starts at {start}", start - 1)
    } else {
        format!("the committed offset {offset} of {partition} is lost: the log ends at {end}")
    };
    Error::new(ErrorKind::State, text)
        .with("cause", "the records were deleted before they were processed, or the topic was made anew")
        .help("set highwater.on.lost.offsets=reset to go on without them, or reset the application")
}
