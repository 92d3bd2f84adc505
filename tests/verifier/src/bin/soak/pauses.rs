//! How long a committed reader waits for the next final, partition by partition.

use highwater_verifier::Result;
use highwater_verifier::kafka::{Cluster, Isolation, assign, passes};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shorter ones are the market's pace.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Pauses {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    finals: u64,
    last: BTreeMap<i32, Instant>,
    /// When it ended, and how long it was.
    pauses: Vec<(Instant, Duration)>,
}

impl Seen {
    fn hear(&mut self, partition: i32, now: Instant) {
        if let Some(last) = self.last.insert(partition, now) {
            let pause = now - last;
            if pause > PAUSE {
                self.pauses.push((now, pause));
            }
        }
    }
}

impl Pauses {
    /// Until `stop`; a pause that lasts then counts as far as it came.
    pub fn watch(&self, cluster: &Cluster, topic: &str, stop: &AtomicBool) -> Result<()> {
        let consumer: BaseConsumer = cluster.consumer(Isolation::Committed)?;
        assign(&consumer, topic)?;
        while !stop.load(Ordering::Relaxed) {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => {
                    let mut seen = self.lock();
                    seen.finals += 1;
                    seen.hear(record.partition(), Instant::now());
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => (),
                Some(Err(error)) if passes(&error) => (),
                Some(Err(error)) => return Err(error.into()),
            }
        }
        let mut seen = self.lock();
        let partitions: Vec<i32> = seen.last.keys().copied().collect();
        for partition in partitions {
            seen.hear(partition, Instant::now());
        }
        Ok(())
    }

    pub fn finals(&self) -> u64 {
        self.lock().finals
    }

    pub fn longest(&self) -> Duration {
        self.lock().pauses.iter().map(|(_, pause)| *pause).max().unwrap_or_default()
    }

    /// All of them, in order of their ends.
    pub fn all(&self) -> Vec<(Instant, Duration)> {
        self.lock().pauses.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
