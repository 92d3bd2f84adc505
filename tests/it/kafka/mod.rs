//! Scenarios on Apache Kafka. Without a broker (`HIGHWATER_TEST_BOOTSTRAP`) they say that they were skipped.

mod cluster;
mod disks;
mod java;
mod jvm;
mod kills;
mod node;
mod operation;
mod outages;
mod processes;
mod reloads;
mod stars;
mod words;
mod zombies;
