//! Stands where the program was built without the client for Apache Kafka: there is no cluster then.

use highwater::time::Timestamp;
use highwater::{BoxError, Consumed, KafkaStreams, Produced, Topology};

/// None can be made.
pub enum Cluster {}

impl Cluster {
    pub fn at(_: &str) -> Result<Self, BoxError> {
        Err("--bootstrap-server needs the feature `kafka`, without which this program was built".into())
    }

    pub fn streams(&self, _: Topology, _: &str) -> Result<KafkaStreams, BoxError> {
        match *self {}
    }

    pub fn create(&self, _: &[&str]) -> Result<(), BoxError> {
        match *self {}
    }

    pub fn delete(&self, _: &str, _: &[&str]) -> Result<(), BoxError> {
        match *self {}
    }

    pub fn feed<K, V>(
        &self,
        _: &str,
        _: &Produced<K, V>,
        _: impl IntoIterator<Item = (K, V, Timestamp)>,
    ) -> Result<(), BoxError> {
        match *self {}
    }

    pub fn read<K, V>(&self, _: &str, _: &Consumed<K, V>) -> Result<Vec<(K, V)>, BoxError> {
        match *self {}
    }
}
