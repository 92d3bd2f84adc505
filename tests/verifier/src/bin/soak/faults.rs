//! Draws a fault every few seconds, and knows what it hit.

use crate::chance::Chance;
use crate::fleet::Fleet;
use crate::options::{Fault, Options};
use highwater_verifier::Result;
use highwater_verifier::kafka::{Cluster, Reader};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at a transaction; a living process commits several times meanwhile.
const LOOK: Duration = Duration::from_millis(250);
const CLEAN_STOP: Duration = Duration::from_secs(30);

pub struct Faults<'a> {
    options: &'a Options,
    chance: Chance,
    reader: Reader,
    /// Topics that the pipeline writes to in nearly every transaction, with their partitions.
    written: Vec<(String, Vec<i32>)>,
    pub done: BTreeMap<Fault, u64>,
    /// Kills that left a transaction open.
    pub in_transaction: u64,
    pub unclean_stops: Vec<String>,
    pub times: Vec<(Instant, Fault)>,
}

/// The last stable offset of each partition of a topic where it is before the end.
type Open = BTreeMap<(String, i32), i64>;

impl<'a> Faults<'a> {
    pub fn new(options: &'a Options, seed: u64, cluster: &Cluster, written: &[String]) -> Result<Self> {
        let reader = Reader::of(cluster)?;
        let partitions = |topic: &String| Ok((topic.clone(), reader.partitions(topic)?));
        let written = written.iter().map(partitions).collect::<Result<_>>()?;
        Ok(Self {
            options,
            chance: Chance(seed ^ 0x5eed),
            reader,
            written,
            done: BTreeMap::new(),
            in_transaction: 0,
            unclean_stops: Vec::new(),
            times: Vec::new(),
        })
    }

    /// From half to one and a half times the interval.
    pub fn pause(&mut self) -> Duration {
        let every = self.options.kill_every_ms;
        Duration::from_millis(every / 2 + self.chance.below(every.max(1)))
    }

    pub fn strike(&mut self, fleet: &mut Fleet) -> Result<()> {
        let fault = self.options.faults[self.chance.below(self.options.faults.len() as u64) as usize];
        let process = self.chance.below(fleet.size() as u64) as usize;
        if fault == Fault::Term && fleet.is_stopped(process) {
            return Ok(());
        }
        *self.done.entry(fault).or_default() += 1;
        self.times.push((Instant::now(), fault));
        match fault {
            Fault::Kill => self.kill(fleet, process)?,
            Fault::Disk => {
                self.kill(fleet, process)?;
                fleet.lose_state(process)?;
            }
            Fault::Stop => {
                let longer = self.options.session_timeout_ms + 500 + self.chance.below(5000);
                return fleet.stop_for(process, Duration::from_millis(longer));
            }
            Fault::Term => self.unclean_stops.extend(fleet.terminate(process, CLEAN_STOP)?),
            Fault::Broker => return restart_broker(),
        }
        fleet.restart(process)
    }

    /// What is open before, at the kill and still after it at the same place is the killed process's, unless it was stuck
    /// there before.
    fn kill(&mut self, fleet: &mut Fleet, process: usize) -> Result<()> {
        let before = self.open()?;
        std::thread::sleep(LOOK);
        fleet.kill(process)?;
        let at = self.open()?;
        std::thread::sleep(LOOK);
        let after = self.open()?;
        let left = at.iter().any(|(partition, stable)| {
            after.get(partition) == Some(stable) && before.get(partition) != Some(stable)
        });
        self.in_transaction += u64::from(left);
        Ok(())
    }

    fn open(&self) -> Result<Open> {
        let mut open = Open::new();
        for (topic, partitions) in &self.written {
            let ends = self.reader.ends(topic, partitions)?;
            let before_end = partitions.iter().zip(ends).filter(|(_, (stable, end))| stable < end);
            open.extend(before_end.map(|(partition, (stable, _))| ((topic.clone(), *partition), stable)));
        }
        Ok(open)
    }
}

fn restart_broker() -> Result<()> {
    let directory = std::env::var("HIGHWATER_TEST_KAFKA_DIR")
        .map_err(|_| "the fault `broker` needs a node of `tests/kafka run`")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kafka");
    let status =
        Command::new(script).args(["restart", "--dir", &directory]).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err("the broker does not start again".into()) }
}
