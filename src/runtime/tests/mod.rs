//! Instances on the in-memory log with a manual clock: kills, rebalances, outages, zombies.

mod first;
mod world;
