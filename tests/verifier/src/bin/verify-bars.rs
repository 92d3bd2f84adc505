//! Judges the topics of a bar pipeline, or prints what a changelog holds. Exit code 0: all is as it has to be, 1: it is
//! not, 2: it could not be judged.

use clap::Parser;
use highwater_verifier::calendar::Calendar;
use highwater_verifier::fold::Rules;
use highwater_verifier::kafka::Cluster;
use highwater_verifier::timeframe::{Timeframe, Topics};
use highwater_verifier::{Result, changelog, judge};
use std::process::ExitCode;

/// Reads `ticks` and the finals of all timeframes from offset 0, read-committed, folds the ticks, and compares.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[command(name = "verify-bars", max_term_width = 100)]
struct Arguments {
    #[arg(long, value_name = "HOST:PORT", env = "HIGHWATER_TEST_BOOTSTRAP")]
    bootstrap_server: String,
    /// What the pipeline was given: 24x7, or 24x7@-05:00
    #[arg(long, default_value = "24x7")]
    calendar: String,
    /// What the pipeline was given, such as m1=90s; repeatable
    #[arg(long, value_name = "TF=SECONDSs")]
    grace: Vec<String>,
    /// The pipeline ran with heartbeats
    #[arg(long)]
    heartbeats: bool,
    /// Every slot has closed, also those that no later tick closes (an idle timeout did)
    #[arg(long)]
    closed: bool,
    /// A final may come again, with the same bytes
    #[arg(long)]
    at_least_once: bool,
    /// One line of JSON
    #[arg(long)]
    json: bool,
    /// Before the names of all topics
    #[arg(long, default_value = "")]
    topic_prefix: String,
    /// Instead: a line `topic partition entries hash` per partition of this changelog; repeatable
    #[arg(long, value_name = "TOPIC")]
    changelog: Vec<String>,
    /// A property of librdkafka; repeatable
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    property: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let mut cluster = Cluster::new(&arguments.bootstrap_server);
    for property in &arguments.property {
        let (key, value) = property.split_once('=').ok_or_else(|| format!("-X {property}: KEY=VALUE"))?;
        cluster.properties.push((key.to_owned(), value.to_owned()));
    }
    if !arguments.changelog.is_empty() {
        return contents(&cluster, &arguments.changelog);
    }
    let topics = Topics { prefix: arguments.topic_prefix.clone() };
    let report = judge::judge(&cluster, &topics, rules(arguments)?)?;
    let good = report.is_good(arguments.at_least_once);
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
        println!("{}", if good { "all is as the ticks say" } else { "NOT as the ticks say" });
    }
    Ok(good)
}

fn rules(arguments: &Arguments) -> Result<Rules> {
    let calendar = Calendar::parse(&arguments.calendar)?;
    let mut rules =
        Rules { calendar, heartbeats: arguments.heartbeats, closed: arguments.closed, ..Rules::default() };
    for grace in &arguments.grace {
        let wrong = || format!("--grace {grace}: it is TF=SECONDSs, such as m1=90s");
        let (name, length) = grace.split_once('=').ok_or_else(wrong)?;
        let timeframe = Timeframe::named(name).ok_or_else(wrong)?;
        let seconds: i64 = length.strip_suffix('s').and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
        rules.graces[timeframe as usize] = seconds * 1000;
    }
    Ok(rules)
}

fn contents(cluster: &Cluster, topics: &[String]) -> Result<bool> {
    for topic in topics {
        for (partition, contents) in changelog::fold(cluster, topic)? {
            println!("{topic} {partition} {} {:016x}", contents.entries(), contents.hash());
        }
    }
    Ok(true)
}
