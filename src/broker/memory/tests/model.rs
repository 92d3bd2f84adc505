//! The partition log against a list of everything that ever happened to it.

use super::super::compaction::Compaction;
use super::super::log::PartitionLog;
use super::*;
use crate::broker::contract::record;
use proptest::prelude::*;

const PRODUCERS: u64 = 3;
const RULES: Compaction = Compaction { lag: 0, tombstone_retention: 0 };

#[derive(Clone, Debug)]
enum Step {
    Append { key: u8, value: Option<u8>, producer: Option<u64> },
    End { producer: u64, commit: bool },
    DeleteBefore(i64),
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    let producer = prop::option::of(0..PRODUCERS);
    prop_oneof![
        12 => (0..4u8, prop::option::weighted(0.8, any::<u8>()), producer)
            .prop_map(|(key, value, producer)| Step::Append { key, value, producer }),
        4 => (0..PRODUCERS, any::<bool>()).prop_map(|(producer, commit)| Step::End { producer, commit }),
        1 => (0..40i64).prop_map(Step::DeleteBefore),
        1 => Just(Step::Compact),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Open(u64),
    Visible,
    Aborted,
    /// Deleted, compacted, or a marker.
    Gone,
}

/// One entry per offset.
#[derive(Debug, Default)]
struct Model {
    entries: Vec<(u8, Option<u8>, Fate)>,
    start: usize,
}

impl Model {
    fn stable(&self) -> usize {
        let open = |(_, _, fate): &(u8, Option<u8>, Fate)| matches!(fate, Fate::Open(_));
        self.entries.iter().position(open).unwrap_or(self.entries.len()).max(self.start)
    }

    fn end(&mut self, producer: u64, commit: bool) {
        for (_, _, fate) in self.entries.iter_mut().filter(|(_, _, fate)| *fate == Fate::Open(producer)) {
            *fate = if commit { Fate::Visible } else { Fate::Aborted };
        }
        self.entries.push((0, None, Fate::Gone));
    }

    fn compact(&mut self) {
        let stable = self.stable();
        for offset in 0..stable {
            let (key, value, fate) = self.entries[offset];
            let newer = |(k, _, fate): &(u8, Option<u8>, Fate)| *k == key && *fate == Fate::Visible;
            let superseded = self.entries[offset + 1..stable].iter().any(newer);
            let gone = fate == Fate::Aborted || superseded || value.is_none();
            if gone && !matches!(fate, Fate::Open(_)) {
                self.entries[offset].2 = Fate::Gone;
            }
        }
    }

    /// Offsets and values from an offset on.
    fn read(&self, from: usize, isolation: Isolation) -> Vec<(i64, Option<u8>)> {
        let (bound, sees_aborted) = match isolation {
            Isolation::ReadCommitted => (self.stable(), false),
            Isolation::ReadUncommitted => (self.entries.len(), true),
        };
        let seen = |fate: Fate| fate == Fate::Visible || sees_aborted && fate != Fate::Gone;
        let entries = (0..).zip(&self.entries).take(bound).skip(from.max(self.start));
        entries
            .filter(|(_, (_, _, fate))| seen(*fate))
            .map(|(offset, (_, value, _))| (offset, *value))
            .collect()
    }
}

fn apply(step: &Step, log: &mut PartitionLog, model: &mut Model) {
    match *step {
        Step::Append { key, value, producer } => {
            let value_bytes = value.map(|value| value.to_string());
            log.append(record(&at("t", 0), &key.to_string(), value_bytes.as_deref()), producer);
            model.entries.push((key, value, producer.map_or(Fate::Visible, Fate::Open)));
        }
        Step::End { producer, commit } => {
            if log.is_open(producer) {
                log.end_transaction(producer, commit);
                model.end(producer, commit);
            }
        }
        Step::DeleteBefore(offset) => {
            log.delete_before(offset);
            model.start = model.start.max((offset as usize).min(model.entries.len()));
        }
        Step::Compact => {
            log.compact(RULES, 0);
            model.compact();
        }
    }
}

fn read_in_pieces(
    log: &PartitionLog,
    from: i64,
    isolation: Isolation,
    max: usize,
) -> (Vec<(i64, Option<u8>)>, i64) {
    let (mut position, mut all) = (from, Vec::new());
    loop {
        let (records, next) = log.read(position, isolation, max).expect("in range");
        let value =
            |r: &LogRecord| r.value.as_deref().map(|v| String::from_utf8_lossy(v).parse().expect("number"));
        all.extend(records.iter().map(|r| (r.offset, value(r))));
        if next == position {
            return (all, position);
        }
        position = next;
    }
}

proptest! {
    #[test]
    fn a_partition_is_what_its_history_says(steps in prop::collection::vec(step(), 0..120), max in 1..5usize) {
        let (mut log, mut model) = (PartitionLog::default(), Model::default());
        for step in &steps {
            apply(step, &mut log, &mut model);
            prop_assert_eq!(log.start(), model.start as i64);
            for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
                let end = if isolation == Isolation::ReadCommitted { model.stable() } else { model.entries.len() };
                prop_assert_eq!(log.end(isolation), end as i64);
                for from in [model.start, usize::midpoint(model.start, end), end] {
                    let (read, position) = read_in_pieces(&log, from as i64, isolation, max);
                    prop_assert_eq!(read, model.read(from, isolation));
                    prop_assert_eq!(position, end as i64, "the end is reached");
                }
            }
        }
    }
}
