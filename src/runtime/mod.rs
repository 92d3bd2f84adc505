//! Runs a topology: tasks over the members of a group, commits, restores, and what a program starts and stops.

mod config;
mod properties;
mod settings;

pub use config::StreamsConfig;
