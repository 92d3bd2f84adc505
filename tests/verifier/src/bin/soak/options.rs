//! What a soak is told.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Feeds ticks to several processes of the bar pipeline, kills and stops them at random, and at the end verifies that
/// every final is there, right and once. Exit code 0: it is so, 1: it is not, 2: the soak could not run.
#[derive(Clone, Debug, Parser)]
#[command(name = "soak", max_term_width = 100)]
pub struct Options {
    /// A Kafka without topics of the pipeline; `tests/soak` starts one
    #[arg(long, value_name = "HOST:PORT", env = "HIGHWATER_TEST_BOOTSTRAP")]
    pub bootstrap_server: String,
    /// How long to feed
    #[arg(long, default_value_t = 2.0)]
    pub minutes: f64,
    #[arg(long, default_value = "exactly_once_v2")]
    pub guarantee: Guarantee,
    #[arg(long, default_value_t = 3)]
    pub processes: usize,
    /// Decides ticks and faults; by default another one each time, which is printed
    #[arg(long)]
    pub seed: Option<u64>,
    #[arg(long, default_value_t = 12)]
    pub symbols: usize,
    #[arg(long, default_value_t = 6)]
    pub partitions: u32,
    /// Ticks per second, of all symbols together
    #[arg(long, default_value_t = 1000)]
    pub rate: u32,
    /// How much faster than the clock the market's time goes: at 600 each symbol has ten finals a second
    #[arg(long, default_value_t = 600)]
    pub market_speed: u32,
    /// A fault comes about so often
    #[arg(long, default_value_t = 5000)]
    pub kill_every_ms: u64,
    /// The faults that are drawn from, each as often as it is named
    #[arg(long, value_delimiter = ',', default_value = "kill,kill,kill,kill,kill,kill,stop,term,disk")]
    pub faults: Vec<Fault>,
    /// Of the group; a stop lasts longer
    #[arg(long, default_value_t = 3000)]
    pub session_timeout_ms: u64,
    /// Each process has a `group.instance.id`
    #[arg(long)]
    pub static_members: bool,
    /// How long the last finals may take after the last tick
    #[arg(long, default_value_t = 180)]
    pub drain_seconds: u64,
    /// The pipeline; by default the example beside this program
    #[arg(long, value_name = "PROGRAM")]
    pub bars: Option<PathBuf>,
    /// For logs and state; by default one of its own, kept only after a failure
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// A property for the pipeline; repeatable
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub property: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Guarantee {
    #[value(name = "exactly_once_v2")]
    ExactlyOnce,
    #[value(name = "at_least_once")]
    AtLeastOnce,
}

impl Guarantee {
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly_once_v2",
            Self::AtLeastOnce => "at_least_once",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// kill -9
    Kill,
    /// SIGSTOP for longer than the session timeout, then SIGCONT
    Stop,
    /// SIGTERM
    Term,
    /// kill -9, and its state directory is gone
    Disk,
    /// The broker restarts; needs a node of `tests/kafka`
    Broker,
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Stop => "stop",
            Self::Term => "term",
            Self::Disk => "kill -9 with loss of state",
            Self::Broker => "broker restart",
        }
    }
}

impl Options {
    pub fn feeding(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    pub fn arguments(&self, seed: u64, process: usize) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["--bootstrap-server", &self.bootstrap_server, "--application-id", &format!("soak-{seed}")]
                .map(str::to_owned)
                .into();
        arguments.extend(["--no-heartbeats", "--idle-timeout", "off"].map(str::to_owned));
        let mut properties = vec![
            format!("processing.guarantee={}", self.guarantee.name()),
            format!("consumer.session.timeout.ms={}", self.session_timeout_ms),
            format!("consumer.heartbeat.interval.ms={}", self.session_timeout_ms / 4),
        ];
        if self.static_members {
            properties.push(format!("consumer.group.instance.id=soak-{process}"));
        }
        properties.extend(self.property.iter().cloned());
        for property in properties {
            arguments.extend(["-X".to_owned(), property]);
        }
        arguments
    }
}
