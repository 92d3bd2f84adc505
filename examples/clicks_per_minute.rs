//! Clicks per user and minute: live counts and one final per minute from one aggregation, late clicks aside.

use highwater::serdes::Json;
use highwater::time::{TimeWindows, Timestamp, minutes, seconds};
use highwater::{
    Consumed, DefaultSerde, Materialized, Produced, Result, StreamsBuilder, Suppressed, Topology,
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

fn main() -> Result<()> {
    topology().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::serdes::{BigEndian, Utf8, WindowedSerde};
    use highwater::testing::{CommitPoint, InputTopic, OutputTopic, TopologyTestDriver};
    use highwater::{Window, Windowed};

    type Counts = OutputTopic<Windowed<String>, u64>;

    fn driver() -> (TopologyTestDriver, InputTopic<String, Click>) {
        let driver = TopologyTestDriver::new(topology().unwrap()).partitions(2).instances(2);
        let clicks = driver.input_topic("clicks", Produced::default());
        (driver, clicks)
    }

    fn counts(driver: &TopologyTestDriver, topic: &str) -> Counts {
        driver.output_topic(topic, Consumed::with(WindowedSerde::of(Utf8).size(minutes(1)), BigEndian))
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
        let (live, finals) = (counts(&driver, "clicks-live"), counts(&driver, "clicks-per-minute"));
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
    fn a_click_behind_the_grace_is_late_also_after_a_kill() {
        let (mut driver, clicks) = driver();
        let finals = counts(&driver, "clicks-per-minute");
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
