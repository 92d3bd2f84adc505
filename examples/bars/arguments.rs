//! The command line as it is typed. Values stay text: `options.rs` checks them all and reports every mistake at once.

use clap::Parser;

/// Ticks in, live bars and one final bar per slot out: M1 -> H1 -> D1 -> W1 and Mo1.
///
/// Without --input it simulates a market whose ticks stop after a while: the finals come all the same.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "bars", max_term_width = 100)]
pub struct Arguments {
    /// Ticks from a .csv or .jsonl file, each also .gz: `symbol,ts_ms,price,volume` (UTC ms, rows in order of arrival)
    #[arg(long, value_name = "FILE")]
    pub input: Option<String>,
    /// What a line of the input that cannot be read does: `fail` (default), or `skip` and be counted
    #[arg(long, value_name = "fail|skip")]
    pub on_bad_line: Option<String>,
    /// At the end of the input the open slots close as if time had passed (`close`, default), or stay open (`leave`)
    #[arg(long, value_name = "close|leave")]
    pub at_end: Option<String>,
    /// Finals as `bars_final_<tf>.csv` into this folder; `-`: JSON lines on standard output at the end
    #[arg(long, value_name = "DIR|-", allow_hyphen_values = true)]
    pub output: Option<String>,
    /// 24x7 (default), 24x7@ZONE, xnys, xtks, xlon, xhkg, fx or a calendar file; PATTERN is a glob over symbols, such as
    /// '*.T=xtks', and the first that matches counts. Repeatable
    #[arg(long, value_name = "[PATTERN=]CALENDAR")]
    pub calendar: Vec<String>,
    /// Intraday slots on the UTC grid clipped to the session (`clock`, default), or anchored at its open (`session`)
    #[arg(long, value_name = "clock|session")]
    pub h1: Option<String>,
    /// How long a timeframe waits after the end of a slot, such as m1=90s. Repeatable
    #[arg(long, value_name = "TF=DURATION")]
    pub grace: Vec<String>,
    /// Only slots with ticks: no bars for quiet minutes
    #[arg(long)]
    pub no_heartbeats: bool,
    /// Partitions of the embedded log, or of the topics that --create-topics makes (default 4)
    #[arg(long, value_name = "N")]
    pub partitions: Option<String>,
    /// How long a caught-up partition may be silent before the clock moves its watermark; `off`: for ever (default 30s)
    #[arg(long, value_name = "DURATION|off")]
    pub idle_timeout: Option<String>,
    /// Replay in N times real time instead of at full speed
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub speed: Option<String>,
    /// Any property of the configuration, such as num.stream.threads=2; results are written in transactions unless told otherwise.
    /// Repeatable
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub property: Vec<String>,
    /// Run on Apache Kafka: serve the topic `ticks` until Ctrl-C or SIGTERM. With --input, feed that file into `ticks` as
    /// well. Standard output then has one word a line: `ready`, `processed`, `stopped`
    #[arg(long, value_name = "HOST:PORT", help_heading = "Kafka")]
    pub bootstrap_server: Option<String>,
    /// Make `ticks` and the topics of the bars first, where they are not there
    #[arg(long, help_heading = "Kafka")]
    pub create_topics: bool,
    /// Processes with the same name share the work (default bars)
    #[arg(long, value_name = "ID", help_heading = "Kafka")]
    pub application_id: Option<String>,
    /// Stands before the names of all topics, so that several pipelines live on one cluster
    #[arg(long, value_name = "PREFIX", help_heading = "Kafka")]
    pub topic_prefix: Option<String>,
    /// Where the state of this application is kept on this machine
    #[arg(long, value_name = "DIR", help_heading = "Kafka")]
    pub state_dir: Option<String>,
    /// Feed this file into `ticks` and exit
    #[arg(long, value_name = "FILE", help_heading = "Kafka")]
    pub feed: Option<String>,
    /// Ticks per second that are fed; without it and --speed, as fast as it goes
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "Kafka")]
    pub rate: Option<String>,
}

impl Arguments {
    /// Options that were given and have no meaning without --bootstrap-server.
    pub fn of_kafka(&self) -> Vec<&'static str> {
        [
            (self.create_topics, "--create-topics"),
            (self.application_id.is_some(), "--application-id"),
            (self.topic_prefix.is_some(), "--topic-prefix"),
            (self.state_dir.is_some(), "--state-dir"),
            (self.feed.is_some(), "--feed"),
            (self.rate.is_some(), "--rate"),
        ]
        .into_iter()
        .filter_map(|(given, name)| given.then_some(name))
        .collect()
    }
}
