//! Clicks per user and minute: live counts and one final per minute from one aggregation, late clicks aside.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "on_kafka/mod.rs"]
mod on_kafka;

use highwater::serdes::{BigEndian, Json, Utf8, WindowedSerde};
use highwater::time::{TimeWindows, Timestamp, minutes, seconds};
use highwater::{
    AtEnd, BoxError, Consumed, DefaultSerde, EmbeddedLog, KafkaStreams, Materialized, Produced, Result,
    StreamsBuilder, StreamsConfig, Suppressed, Topology, Windowed,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Click {
    page: String,
    bot: bool,
    at: Timestamp,
}
impl DefaultSerde for Click {
    type Serde = Json;
}

fn topology() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let clicks = builder
        .stream(
            "clicks",
            Consumed::<String, Click>::default().timestamp(|_, click| click.at).idle_timeout(seconds(30)),
        )
        .filter(|_, click| !click.bot)
        .group_by_key()
        .windowed_by(TimeWindows::of_size(minutes(1)).grace(seconds(5)));
    clicks.late().to("clicks-late", Produced::default());

    let per_minute = clicks.count(Materialized::named("clicks-per-minute"));
    per_minute.to_stream().to("clicks-live", Produced::default());
    per_minute
        .suppress(Suppressed::until_window_closes())
        .to_stream()
        .to("clicks-per-minute", Produced::default());
    builder.build()
}

/// How the counts are read: Kafka's bytes of a windowed key leave the size out.
fn counts() -> Consumed<Windowed<String>, u64> {
    Consumed::with(WindowedSerde::of(Utf8).size(minutes(1)), BigEndian)
}

/// As the counts.
fn late() -> Consumed<Windowed<String>, Click> {
    Consumed::with(WindowedSerde::of(Utf8).size(minutes(1)), Json)
}

/// The fifth comes when its minute has been closed.
fn clicks() -> impl Iterator<Item = (String, Click, Timestamp)> {
    [(10, false), (20, true), (30, false), (70, false), (59, false)].into_iter().map(|(second, bot)| {
        let at = Timestamp(second * 1_000);
        ("ann".to_owned(), Click { page: "/".to_owned(), bot, at }, at)
    })
}

fn show(counts: Vec<(Windowed<String>, u64)>, late: Vec<(Windowed<String>, Click)>) {
    for (minute, count) in counts {
        println!("{} in {}: {count}", minute.key, minute.window);
    }
    for (minute, click) in late {
        println!("{} in {}: {} came too late", minute.key, minute.window, click.page);
    }
}

const TOPICS: [&str; 4] = ["clicks", "clicks-late", "clicks-live", "clicks-per-minute"];

fn main() -> Result<(), BoxError> {
    match on_kafka::Demo::asked("clicks-per-minute", &TOPICS)? {
        None => Ok(embedded()?),
        Some(demo) => on_kafka(&demo),
    }
}

/// On a log inside the process.
#[tokio::main(flavor = "current_thread")]
async fn embedded() -> Result<()> {
    let log = EmbeddedLog::new();
    for topic in TOPICS {
        log.create_topic(topic, 1)?;
    }
    for (user, click, at) in clicks() {
        log.append("clicks", &Produced::default(), &user, &click, at)?;
    }
    log.end_of_input(AtEnd::Close);

    let config = StreamsConfig::new("clicks-per-minute", "").exactly_once();
    KafkaStreams::embedded(topology()?, &log, config)?.run(tokio::signal::ctrl_c()).await?;
    show(log.read("clicks-per-minute", &counts())?, log.read("clicks-late", &late())?);
    Ok(())
}

/// With `--bootstrap-server`: until both minutes are closed, the second by the clock, as nobody clicks any more.
fn on_kafka(demo: &on_kafka::Demo) -> Result<(), BoxError> {
    demo.feed("clicks", &Produced::default(), clicks())?;
    let finals = || demo.read("clicks-per-minute", &counts());
    demo.run(topology()?, || Ok(finals()?.len() == 2))?;
    show(finals()?, demo.read("clicks-late", &late())?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::Window;
    use highwater::testing::{CommitPoint, InputTopic, OutputTopic, TopologyTestDriver};

    fn driver() -> (TopologyTestDriver, InputTopic<String, Click>) {
        let driver = TopologyTestDriver::new(topology().unwrap()).partitions(2).instances(2);
        let clicks = driver.input_topic("clicks", Produced::default());
        (driver, clicks)
    }

    fn click(driver: &mut TopologyTestDriver, clicks: &InputTopic<String, Click>, at: i64, bot: bool) {
        let (page, at) = ("/".to_owned(), Timestamp(at));
        driver.pipe_input(clicks, "ann".to_owned(), Click { page, bot, at }, at);
    }

    fn in_minute(number: i64, count: u64) -> (Windowed<String>, u64) {
        let window = Window::new(Timestamp(number * 60_000), Timestamp((number + 1) * 60_000));
        (Windowed::new("ann".to_owned(), window), count)
    }

    #[test]
    fn a_minute_has_live_counts_and_one_final_when_nobody_clicks_any_more() {
        let (mut driver, clicks) = driver();
        let (live, finals) = (
            driver.output_topic("clicks-live", counts()),
            driver.output_topic("clicks-per-minute", counts()),
        );
        click(&mut driver, &clicks, 10_000, false);
        assert_eq!(driver.read_output(&live), [in_minute(0, 1)]);
        click(&mut driver, &clicks, 11_000, true);
        click(&mut driver, &clicks, 12_000, false);
        assert_eq!(driver.read_output(&live), [in_minute(0, 2)]);
        assert!(driver.read_output(&finals).is_empty());
        driver.advance_clock(minutes(2));
        assert_eq!(driver.read_output(&finals), [in_minute(0, 2)]);
    }

    #[test]
    fn the_program_runs() {
        embedded().unwrap();
    }

    #[test]
    fn a_click_behind_the_grace_is_late_also_after_a_kill() {
        let (mut driver, clicks) = driver();
        let finals = driver.output_topic("clicks-per-minute", counts());
        let serde = Consumed::with(WindowedSerde::of(Utf8).size(minutes(1)), Json);
        let late: OutputTopic<Windowed<String>, Click> = driver.output_topic("clicks-late", serde);
        click(&mut driver, &clicks, 30_000, false);
        driver.kill_at(CommitPoint::S3);
        click(&mut driver, &clicks, 65_000, false);
        assert_eq!(driver.read_output(&finals), [in_minute(0, 1)]);
        click(&mut driver, &clicks, 59_999, false);
        let late = driver.read_output(&late);
        assert_eq!(late.iter().map(|(_, click)| click.at).collect::<Vec<_>>(), [Timestamp(59_999)]);
        assert!(driver.read_output(&finals).is_empty());
    }
}
