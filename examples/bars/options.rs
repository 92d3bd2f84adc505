//! The command line, checked: every mistake at once, each with what would be right.

use crate::arguments::Arguments;
use crate::kafka_options::OnKafka;
use crate::market::Market;
use crate::pattern::Pattern;
use crate::ticks::TickFile;
use crate::timeframe::{PerTimeframe, Timeframe};
use crate::topology::Choices;
use highwater::AtEnd;
use highwater::time::{Anchor, Calendar, seconds};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to run.
pub struct Options {
    /// None: a simulated market.
    pub input: Option<TickFile>,
    pub on_bad_line: OnBadLine,
    pub at_end: AtEnd,
    pub output: Output,
    pub market: Market,
    pub choices: Choices,
    pub partitions: u32,
    /// Times real time; None: as fast as it goes.
    pub speed: Option<f64>,
    /// For the configuration of the engine, in the order given.
    pub properties: Vec<(String, String)>,
    /// None: on the embedded log.
    #[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "checked all the same"))]
    pub kafka: Option<OnKafka>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBadLine {
    Fail,
    Skip,
}

/// Where finals go, besides the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    None,
    Folder(PathBuf),
    /// JSON lines at the end; then the table is not shown.
    Stdout,
}

/// Everything that is wrong with a command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl Options {
    pub fn check(arguments: &Arguments) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes(Vec::new());
        if arguments.input.is_none() && arguments.feed.is_none() {
            let idle = [(&arguments.at_end, "--at-end"), (&arguments.on_bad_line, "--on-bad-line")];
            mistakes.0.extend(
                idle.iter()
                    .filter(|(given, _)| given.is_some())
                    .map(|(_, name)| format!("{name} needs --input")),
            );
        }
        let options = Self {
            input: tick_file("--input", arguments.input.as_deref(), &mut mistakes),
            on_bad_line: mistakes.chosen(
                "--on-bad-line",
                arguments.on_bad_line.as_deref(),
                [("fail", OnBadLine::Fail), ("skip", OnBadLine::Skip)],
            ),
            at_end: mistakes.chosen(
                "--at-end",
                arguments.at_end.as_deref(),
                [("close", AtEnd::Close), ("leave", AtEnd::Leave)],
            ),
            output: output(arguments.output.as_deref()),
            market: market(arguments, &mut mistakes),
            choices: Choices {
                heartbeats: !arguments.no_heartbeats,
                idle_timeout: mistakes.take(idle_timeout(arguments.idle_timeout.as_deref())).flatten(),
            },
            partitions: mistakes.take(partitions(arguments.partitions.as_deref())).unwrap_or(1),
            speed: mistakes.take(arguments.speed.as_deref().map(speed).transpose()).flatten(),
            properties: arguments
                .property
                .iter()
                .filter_map(|given| mistakes.take(property(given)))
                .collect(),
            kafka: OnKafka::check(arguments, &mut mistakes),
        };
        if mistakes.0.is_empty() { Ok(options) } else { Err(mistakes) }
    }
}

impl Mistakes {
    pub fn take<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|mistake| self.0.push(mistake)).ok()
    }

    /// One of two words; the first is the default.
    fn chosen<T: Copy>(&mut self, option: &str, given: Option<&str>, [one, other]: [(&str, T); 2]) -> T {
        match given {
            Some(word) if word == other.0 => other.1,
            Some(word) if word != one.0 => {
                self.0.push(format!("{option} {word}: it is `{}` (the default) or `{}`", one.0, other.0));
                one.1
            }
            _ => one.1,
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "error: {one}"),
            all => {
                write!(f, "error: {} mistakes", all.len())?;
                all.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}

pub fn tick_file(option: &str, given: Option<&str>, mistakes: &mut Mistakes) -> Option<TickFile> {
    let named = given.map(TickFile::named).transpose();
    mistakes.take(named.map_err(|mistake| format!("{option} {mistake}"))).flatten()
}

fn output(given: Option<&str>) -> Output {
    match given {
        None => Output::None,
        Some("-") => Output::Stdout,
        Some(folder) => Output::Folder(PathBuf::from(folder)),
    }
}

fn market(arguments: &Arguments, mistakes: &mut Mistakes) -> Market {
    let (mut rules, mut otherwise) = (Vec::new(), Vec::new());
    for given in &arguments.calendar {
        // The last `=`: symbols such as EURUSD=X have one of their own.
        let (pattern, name) =
            given.rsplit_once('=').map_or((None, given.as_str()), |(pattern, name)| (Some(pattern), name));
        let read = calendar(name).map_err(|error| format!("--calendar {given}: {error}"));
        match (mistakes.take(read), pattern) {
            (Some(_), Some("")) => mistakes.0.push(format!("--calendar {given}: the pattern is empty")),
            (Some(calendar), Some(pattern)) => rules.push((Pattern::new(pattern), calendar)),
            (Some(calendar), None) => otherwise.push(calendar),
            (None, _) => {}
        }
    }
    if otherwise.len() > 1 {
        let help = "give the others a pattern, such as '*.T=xtks'";
        mistakes.0.push(format!("{} calendars without a pattern: {help}", otherwise.len()));
    }
    if arguments.calendar.is_empty() {
        otherwise.extend(mistakes.take(calendar("24x7")));
    }
    let h1 = mistakes.chosen(
        "--h1",
        arguments.h1.as_deref(),
        [("clock", Anchor::Clock), ("session", Anchor::Session)],
    );
    Market::new(rules, otherwise.pop(), h1, graces(&arguments.grace, mistakes))
}

/// A ready calendar by name, or one from a file.
fn calendar(name: &str) -> Result<Calendar, String> {
    // Not `24x7@Europe/London`.
    let is_file =
        !name.contains('@') && (name.contains(['/', '\\']) || Path::new(name).extension().is_some());
    let read = if is_file {
        let text = std::fs::read_to_string(name)
            .map_err(|error| format!("cannot read the calendar file: {error}"))?;
        Calendar::from_json(&text)
    } else {
        Calendar::parse(name)
    };
    read.map_err(|error| error.to_string())
}

fn graces(given: &[String], mistakes: &mut Mistakes) -> PerTimeframe<Duration> {
    let mut graces = PerTimeframe::of(Timeframe::default_grace);
    for one in given {
        let read = one.split_once('=').ok_or("write it as TF=DURATION, such as m1=90s".to_owned());
        let read = read.and_then(|(name, text)| {
            let timeframe =
                Timeframe::named(name).ok_or(format!("{name:?} is none of m1, h1, d1, w1, mo1"))?;
            Ok((timeframe, duration(text)?))
        });
        if let Some((timeframe, grace)) =
            mistakes.take(read.map_err(|mistake| format!("--grace {one}: {mistake}")))
        {
            graces[timeframe] = grace;
        }
    }
    graces
}

fn idle_timeout(given: Option<&str>) -> Result<Option<Duration>, String> {
    match given {
        None => Ok(Some(seconds(30))),
        Some("off") => Ok(None),
        Some(text) => match duration(text) {
            Ok(Duration::ZERO) => {
                Err("--idle-timeout 0: a partition is always silent for so long; give at least 1ms, or `off`"
                    .to_owned())
            }
            Ok(silence) => Ok(Some(silence)),
            Err(mistake) => Err(format!("--idle-timeout {text}: {mistake}, or `off`")),
        },
    }
}

/// Whole milliseconds, for event time has no smaller unit.
fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("{text:?} is not a duration such as 90s, 5m or 1h30m"))?;
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err(format!("{text:?} is not in whole milliseconds"));
    }
    if duration > highwater::time::days(36_500) {
        return Err(format!("{text:?} is longer than 100 years"));
    }
    Ok(duration)
}

fn partitions(given: Option<&str>) -> Result<u32, String> {
    match given.map(str::parse) {
        None => Ok(4),
        Some(Ok(n @ 1..=1_000)) => Ok(n),
        Some(_) => Err(format!("--partitions {}: a number from 1 to 1000", given.unwrap_or_default())),
    }
}

fn speed(given: &str) -> Result<f64, String> {
    match given.parse::<f64>() {
        Ok(times) if (0.001..=1_000_000.0).contains(&times) => Ok(times),
        _ => Err(format!(
            "--speed {given}: a number from 0.001 to 1000000, such as 60 for a minute per second"
        )),
    }
}

fn property(given: &str) -> Result<(String, String), String> {
    match given.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("-X {given}: write it as KEY=VALUE, such as num.stream.threads=2")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};
    use highwater::time::{milliseconds, minutes};

    fn check(line: &[&str]) -> Result<Options, Mistakes> {
        Options::check(&Arguments::try_parse_from(["bars"].iter().chain(line)).unwrap())
    }

    fn mistakes(line: &[&str]) -> String {
        check(line).err().expect("mistakes").to_string()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let options = check(&[]).unwrap();
        assert!(options.input.is_none() && options.speed.is_none() && options.choices.heartbeats);
        assert_eq!((options.partitions, options.output, options.at_end), (4, Output::None, AtEnd::Close));
        assert_eq!((options.on_bad_line, options.choices.idle_timeout), (OnBadLine::Fail, Some(seconds(30))));
        assert_eq!(
            Timeframe::ALL.map(|tf| options.market.grace(tf)),
            [seconds(90), minutes(5), minutes(10), minutes(10), minutes(10)]
        );
    }

    #[test]
    fn every_option_is_read() {
        let line = "--input a/ticks.csv.gz --on-bad-line skip --at-end leave --output - --calendar *.T=xtks --calendar EURUSD=X=fx \
                    --calendar 24x7 --h1 session --grace m1=2m --grace M1=1500ms --no-heartbeats --partitions 7 --idle-timeout off \
                    --speed 60 -X num.stream.threads=2 -X a.b=c=d";
        let options = check(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
        assert_eq!(
            (options.on_bad_line, options.at_end, options.output),
            (OnBadLine::Skip, AtEnd::Leave, Output::Stdout)
        );
        assert_eq!((options.partitions, options.speed, options.choices.idle_timeout), (7, Some(60.0), None));
        assert_eq!(options.market.grace(Timeframe::M1), milliseconds(1_500), "the last counts");
        assert!(!options.choices.heartbeats);
        let properties: Vec<_> =
            options.properties.iter().map(|(key, value)| format!("{key} -> {value}")).collect();
        assert_eq!(properties, ["num.stream.threads -> 2", "a.b -> c=d"]);
    }

    #[test]
    fn all_mistakes_are_reported_together() {
        let text = mistakes(&[
            "--input",
            "ticks.xls",
            "--partitions",
            "0",
            "--speed",
            "-1",
            "--grace",
            "m5=1m",
            "--grace",
            "m1",
            "--grace",
            "h1=soon",
            "--idle-timeout",
            "0s",
            "--calendar",
            "xxxx",
            "--calendar",
            "24x7",
            "--calendar",
            "fx",
            "--at-end",
            "stop",
            "-X",
            "nothing",
            "--h1",
            "open",
            "--calendar",
            "nowhere/cal.json",
            "--create-topics",
        ]);
        for part in [
            "error: 14 mistakes",
            "ticks.xls",
            "--partitions 0",
            "--speed -1",
            "m5=1m",
            "--grace m1: write",
            "soon",
            "--idle-timeout 0",
            "--calendar xxxx",
            "2 calendars without a pattern",
            "--at-end stop",
            "-X nothing",
            "--h1 open",
            "nowhere/cal.json",
            "--create-topics needs --bootstrap-server",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }

    #[test]
    fn calendars_are_ready_ones_zones_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.json");
        std::fs::write(&file, "{}").unwrap();
        for ready in ["24x7", "24x7@Europe/London", "24x7@-05:00", "xnys", "xtks", "xlon", "xhkg", "fx"] {
            assert!(calendar(ready).is_ok(), "{ready}: {:?}", calendar(ready));
        }
        assert!(calendar("24x7@Mars/Olympus").unwrap_err().contains("Mars"), "not taken for a file");
        assert!(calendar("no/such.json").unwrap_err().starts_with("cannot read the calendar file: "));
        let read = calendar(file.to_str().unwrap()).unwrap_err();
        assert!(read.contains("HW0401"), "the file is read, and is no calendar: {read}");
    }

    #[test]
    fn what_only_an_input_has_needs_one() {
        let text = mistakes(&["--at-end", "leave", "--on-bad-line", "skip"]);
        assert!(
            text.contains("--at-end needs --input") && text.contains("--on-bad-line needs --input"),
            "{text}"
        );
    }

    #[test]
    fn durations_are_whole_milliseconds() {
        assert_eq!(duration("1h 30m").unwrap(), minutes(90));
        for wrong in ["", "5", "-5s", "1us", "10000y", "off"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
