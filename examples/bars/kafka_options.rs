//! The options for Apache Kafka, checked.

use crate::arguments::Arguments;
use crate::options::{Mistakes, tick_file};
use crate::ticks::TickFile;
use crate::topics::Topics;

/// Where to run, and what there.
#[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "checked all the same"))]
pub struct OnKafka {
    pub bootstrap_server: String,
    pub create_topics: bool,
    pub application_id: String,
    pub state_dir: Option<String>,
    pub topics: Topics,
    /// Feed this and exit. None: serve.
    pub feed: Option<TickFile>,
    /// Ticks per second that are fed.
    pub rate: Option<f64>,
}

impl OnKafka {
    /// None without a broker.
    pub fn check(arguments: &Arguments, mistakes: &mut Mistakes) -> Option<Self> {
        let Some(bootstrap_server) = arguments.bootstrap_server.clone() else {
            let alone = |name| format!("{name} needs --bootstrap-server");
            mistakes.0.extend(arguments.of_kafka().into_iter().map(alone));
            return None;
        };
        mistakes.0.extend(conflicts(arguments).into_iter().map(str::to_owned));
        Some(Self {
            bootstrap_server,
            create_topics: arguments.create_topics,
            application_id: arguments.application_id.clone().unwrap_or_else(|| "bars".to_owned()),
            state_dir: arguments.state_dir.clone(),
            topics: mistakes
                .take(Topics::with_prefix(arguments.topic_prefix.as_deref().unwrap_or_default()))
                .unwrap_or_default(),
            feed: tick_file("--feed", arguments.feed.as_deref(), mistakes),
            rate: mistakes.take(arguments.rate.as_deref().map(rate).transpose()).flatten(),
        })
    }
}

fn conflicts(arguments: &Arguments) -> Vec<&'static str> {
    let feeds = arguments.feed.is_some() || arguments.input.is_some();
    let (rate, speed) = (arguments.rate.is_some(), arguments.speed.is_some());
    [
        (
            !cfg!(feature = "kafka"),
            "--bootstrap-server needs the feature `kafka`, without which this program was built",
        ),
        (arguments.output.is_some(), "--output: on Kafka the finals are in the topics bars_final_<tf>"),
        (arguments.at_end.is_some(), "--at-end: a topic has no end; the idle timeout closes what is open"),
        (arguments.feed.is_some() && arguments.input.is_some(), "--feed and --input: give one of them"),
        (rate && speed, "--rate and --speed: give one of them"),
        (rate && !feeds, "--rate needs --feed or --input"),
        (speed && !feeds, "--speed needs --feed or --input where ticks come from Kafka"),
    ]
    .into_iter()
    .filter_map(|(wrong, mistake)| wrong.then_some(mistake))
    .collect()
}

fn rate(given: &str) -> Result<f64, String> {
    match given.parse::<f64>() {
        Ok(rate) if (0.001..=100_000_000.0).contains(&rate) => Ok(rate),
        _ => Err(format!("--rate {given}: ticks per second, a number from 0.001 to 100000000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use clap::Parser;

    fn check(line: &str) -> Result<Option<OnKafka>, String> {
        let words = ["bars"].into_iter().chain(line.split_whitespace());
        let checked = Options::check(&Arguments::try_parse_from(words).unwrap());
        checked.map(|options| options.kafka).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn without_a_broker_nothing_of_kafka_makes_sense() {
        assert!(check("").unwrap().is_none());
        let text =
            check("--create-topics --application-id a --state-dir d --feed f.csv --rate 5 --topic-prefix p")
                .err()
                .unwrap();
        for name in
            ["--create-topics", "--application-id", "--state-dir", "--feed", "--rate", "--topic-prefix"]
        {
            assert!(text.contains(&format!("{name} needs --bootstrap-server")), "{text}");
        }
    }

    #[test]
    #[cfg(feature = "kafka")]
    fn every_option_is_read() {
        let on = check(
            "--bootstrap-server b:1 --create-topics --application-id a --state-dir d --feed f.csv --rate 5 --topic-prefix p",
        );
        let on = on.unwrap().unwrap();
        assert_eq!(
            (on.bootstrap_server.as_str(), on.application_id.as_str(), on.create_topics),
            ("b:1", "a", true)
        );
        assert_eq!((on.state_dir.as_deref(), on.rate), (Some("d"), Some(5.0)));
        assert!(on.feed.is_some_and(|file| file.path().ends_with("f.csv")));
        let on = check("--bootstrap-server b:1 --input f.jsonl.gz --speed 2").unwrap().unwrap();
        assert_eq!((on.application_id.as_str(), on.create_topics, on.feed.is_none()), ("bars", false, true));
    }

    #[test]
    fn what_does_not_go_together_is_said_all_at_once() {
        let all =
            "--bootstrap-server b:1 --feed f.xls --input f.csv --rate 0 --speed 2 --output o --at-end close";
        let text = check(all).err().unwrap();
        for part in [
            "--feed f.xls: the name",
            "--feed and --input",
            "--rate 0:",
            "--rate and --speed",
            "--output: on",
            "--at-end:",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let text = check("--bootstrap-server b:1 --speed 3").err().unwrap();
        assert!(text.contains("--speed needs --feed or --input"), "{text}");
    }

    #[test]
    #[cfg(not(feature = "kafka"))]
    fn a_program_without_the_client_says_so() {
        let text = check("--bootstrap-server b:1").err().unwrap();
        assert!(text.contains("needs the feature `kafka`"), "{text}");
    }
}
