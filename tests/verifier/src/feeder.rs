//! Writes records, in order per partition, and knows when one did not arrive.

use crate::Result;
use crate::kafka::Cluster;
use crate::tick::Tick;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

#[derive(Clone, Default)]
struct Deliveries {
    first_failure: Arc<Mutex<Option<String>>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let (Err((error, _)), Ok(mut first)) = (result, self.first_failure.lock()) {
            first.get_or_insert_with(|| error.to_string());
        }
    }
}

pub struct Feeder {
    producer: ThreadedProducer<Deliveries>,
    deliveries: Deliveries,
}

impl Feeder {
    pub fn new(cluster: &Cluster) -> Result<Self> {
        let deliveries = Deliveries::default();
        let mut config = cluster.config();
        config.set("enable.idempotence", "true").set("partitioner", "murmur2_random").set("linger.ms", "5");
        let producer = config.create_with_context(deliveries.clone())?;
        Ok(Self { producer, deliveries })
    }

    pub fn tick(&self, topic: &str, tick: &Tick) -> Result<()> {
        self.send(topic, None, tick.symbol.as_bytes(), tick.json().as_bytes(), tick.at)
    }

    /// `partition`: none is chosen by the key, as Kafka's own clients do. Waits while the client's queue is full.
    pub fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: &[u8],
        value: &[u8],
        timestamp: i64,
    ) -> Result<()> {
        self.check()?;
        let mut record = BaseRecord::to(topic).key(key).payload(value).timestamp(timestamp);
        record.partition = partition;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(format!("{topic}: {error}").into()),
            }
        }
    }

    /// All that was sent has arrived, or an error.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(Duration::from_secs(60))?;
        self.check()
    }

    fn check(&self) -> Result<()> {
        let failed = self.deliveries.first_failure.lock().map_err(|_| "a callback panicked")?;
        match failed.as_ref() {
            Some(reason) => Err(format!("a record did not arrive: {reason}").into()),
            None => Ok(()),
        }
    }
}
