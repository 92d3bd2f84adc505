//! Ticks into the topic `ticks`, as any other program would write them: key = symbol, value = JSON, the partition by the
//! hash of the key that Java's producer has. This file does not use Highwater's client.

use crate::symbol::{Symbol, SymbolUtf8};
use crate::tick::{Tick, TickJson};
use highwater::BoxError;
use highwater::serdes::Serializer;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Ticks between two looks at what was delivered.
const BATCH: u64 = 256;
/// How long one call waits for the broker.
const PAUSE: Duration = Duration::from_millis(50);

/// By partition, the offset behind the last record.
pub type Ends = BTreeMap<i32, i64>;

pub struct Feed {
    producer: BaseProducer<Deliveries>,
    topic: String,
    key: Vec<u8>,
    value: Vec<u8>,
    sent: u64,
}

/// What the broker has said.
#[derive(Default)]
struct Deliveries(Mutex<Delivered>);

#[derive(Default)]
struct Delivered {
    ends: Ends,
    failed: Option<String>,
}

impl Deliveries {
    fn lock(&self) -> MutexGuard<'_, Delivered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut delivered = self.lock();
        match result {
            Ok(message) => {
                let end = delivered.ends.entry(message.partition()).or_default();
                *end = (*end).max(message.offset() + 1);
            }
            Err((error, _)) => _ = delivered.failed.get_or_insert_with(|| error.to_string()),
        }
    }
}

impl Feed {
    /// With a producer's properties in librdkafka's names.
    pub fn open(mut config: ClientConfig, topic: String) -> Result<Self, BoxError> {
        config.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
        let producer = config.create_with_context(Deliveries::default())?;
        Ok(Self { producer, topic, key: Vec::new(), value: Vec::new(), sent: 0 })
    }

    /// `false`: its buffer is full; a moment was waited, try again.
    pub fn push(&mut self, symbol: &Symbol, tick: &Tick) -> Result<bool, BoxError> {
        self.key.clear();
        self.value.clear();
        SymbolUtf8.serialize(symbol, &mut self.key)?;
        TickJson.serialize(tick, &mut self.value)?;
        let record =
            BaseRecord::to(&self.topic).key(&self.key).payload(&self.value).timestamp(tick.at.0.max(1));
        match self.producer.send(record) {
            Ok(()) => self.sent += 1,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                self.look(PAUSE)?;
                return Ok(false);
            }
            Err((error, _)) => return Err(self.failed(&error.to_string())),
        }
        if self.sent.is_multiple_of(BATCH) {
            self.look(Duration::ZERO)?;
        }
        Ok(true)
    }

    /// Waits a moment for the broker. Whether it has everything.
    pub fn flush(&mut self) -> Result<bool, BoxError> {
        // Only waiting that goes on matters, and `in_flight_count` tells.
        _ = self.producer.flush(PAUSE);
        self.look(Duration::ZERO)?;
        Ok(self.producer.in_flight_count() == 0)
    }

    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Behind what was delivered.
    pub fn ends(&self) -> Ends {
        self.producer.context().lock().ends.clone()
    }

    fn look(&self, at_most: Duration) -> Result<(), BoxError> {
        self.producer.poll(at_most);
        match &self.producer.context().lock().failed {
            Some(error) => Err(self.failed(error)),
            None => Ok(()),
        }
    }

    fn failed(&self, error: &str) -> BoxError {
        format!("cannot write to topic `{}`: {error}", self.topic).into()
    }
}
