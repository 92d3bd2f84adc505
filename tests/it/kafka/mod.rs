//! Scenarios on Apache Kafka. Without a broker (`HIGHWATER_TEST_BOOTSTRAP`) they say that they were skipped.

mod cluster;
mod java;
mod jvm;
mod kills;
mod operation;
mod outages;
mod words;
