//! Instances on the in-memory log with a manual clock: kills, rebalances, outages, zombies.

mod adapter;
mod ambiguous;
mod disk_full;
mod disks;
mod end_of_input;
mod first;
mod handed_on;
mod kills;
mod lost_offsets;
#[cfg(feature = "rocksdb")]
mod on_disk;
mod pause;
mod reads;
mod rebalances;
mod restores;
mod sources;
mod topics;
mod uncaught;
mod world;
mod zombies;
