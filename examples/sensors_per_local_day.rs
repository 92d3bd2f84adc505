//! Mean reading per sensor and day, where a day is the sensor's own: its time zone comes with its key.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "on_kafka/mod.rs"]
mod on_kafka;

use highwater::serdes::{BigEndian, Json, WindowedSerde};
use highwater::time::{CalendarWindows, TimeZone, Timestamp, minutes, seconds};
use highwater::{
    AtEnd, BoxError, Consumed, DefaultSerde, EmbeddedLog, KafkaStreams, Materialized, Produced, Result,
    StreamsBuilder, StreamsConfig, Suppressed, Topology, Windowed,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Sensor {
    id: u64,
    zone: TimeZone,
}
impl DefaultSerde for Sensor {
    type Serde = Json;
}

#[derive(Default, Serialize, Deserialize)]
struct Day {
    sum: f64,
    readings: u32,
}
impl DefaultSerde for Day {
    type Serde = Json;
}

fn topology() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    builder
        .stream("readings", Consumed::<Sensor, f64>::default().idle_timeout(seconds(30)))
        .group_by_key()
        .windowed_by(CalendarWindows::days(|sensor: &Sensor| sensor.zone).grace(minutes(10)))
        .aggregate(
            Day::default,
            |_, reading, day| {
                day.sum += reading;
                day.readings += 1;
            },
            Materialized::named("days"),
        )
        .suppress(Suppressed::until_window_closes())
        .to_stream()
        .map_values(|day| day.sum / f64::from(day.readings))
        .to("mean-per-day", Produced::default());
    builder.build()
}

/// How the means are read: the bytes of a calendar-windowed key have start and end.
fn means() -> Consumed<Windowed<Sensor>, f64> {
    Consumed::with(WindowedSerde::of(Json).with_end(), BigEndian)
}

/// 2024-03-31 12:00 UTC, the day on which clocks go forward in Europe.
const NOON: Timestamp = Timestamp(1_711_886_400_000);

fn readings() -> Result<Vec<(Sensor, f64, Timestamp)>> {
    let (madrid, tokyo) = ("Europe/Madrid".parse()?, "Asia/Tokyo".parse()?);
    let reading = |(id, zone, reading)| (Sensor { id, zone }, reading, NOON);
    Ok([(1, madrid, 12.0), (2, tokyo, 20.0), (1, madrid, 18.0)].map(reading).into())
}

fn show(means: Vec<(Windowed<Sensor>, f64)>) {
    for (day, mean) in means {
        println!("sensor {} in {}, {}: {mean} on average", day.key.id, day.key.zone, day.window);
    }
}

fn main() -> Result<(), BoxError> {
    match on_kafka::Demo::asked("sensors-per-local-day", &["readings", "mean-per-day"])? {
        None => Ok(embedded()?),
        Some(demo) => on_kafka(&demo),
    }
}

/// On a log inside the process.
#[tokio::main(flavor = "current_thread")]
async fn embedded() -> Result<()> {
    let log = EmbeddedLog::new();
    log.create_topic("readings", 1)?;
    log.create_topic("mean-per-day", 1)?;
    for (sensor, reading, at) in readings()? {
        log.append("readings", &Produced::default(), &sensor, &reading, at)?;
    }
    log.end_of_input(AtEnd::Close);

    let config = StreamsConfig::new("sensors-per-local-day", "").exactly_once();
    KafkaStreams::embedded(topology()?, &log, config)?.run(tokio::signal::ctrl_c()).await?;
    show(log.read("mean-per-day", &means())?);
    Ok(())
}

/// With `--bootstrap-server`: until both days are closed, by the clock, as no reading comes any more.
fn on_kafka(demo: &on_kafka::Demo) -> Result<(), BoxError> {
    demo.feed("readings", &Produced::default(), readings()?)?;
    let finals = || demo.read("mean-per-day", &means());
    demo.run(topology()?, || Ok(finals()?.len() == 2))?;
    show(finals()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::testing::TopologyTestDriver;
    use highwater::time::days;

    fn sensor(id: u64, zone: &str) -> Sensor {
        Sensor { id, zone: zone.parse().unwrap() }
    }

    #[test]
    fn the_program_runs() {
        embedded().unwrap();
    }

    /// On 2024-03-31 clocks went forward in Europe: Madrid's day has 23 hours and begins the evening before, in UTC.
    #[test]
    fn a_day_is_the_sensors_own() {
        let mut driver = TopologyTestDriver::new(topology().unwrap());
        let readings = driver.input_topic("readings", Produced::default());
        let means = driver.output_topic("mean-per-day", means());
        let (madrid, tokyo) = (sensor(1, "Europe/Madrid"), sensor(2, "Asia/Tokyo"));
        driver.pipe_input(&readings, madrid.clone(), 12.0, NOON);
        driver.pipe_input(&readings, tokyo.clone(), 20.0, NOON);
        driver.pipe_input(&readings, madrid.clone(), 18.0, NOON);
        driver.advance_clock(days(1));

        let finals = driver.read_output(&means);
        let shown: Vec<_> =
            finals.iter().map(|(day, mean)| (day.key.id, day.window.to_string(), *mean)).collect();
        let expected = [
            (2, "[2024-03-30T15:00:00.000Z, 2024-03-31T15:00:00.000Z)", 20.0),
            (1, "[2024-03-30T23:00:00.000Z, 2024-03-31T22:00:00.000Z)", 15.0),
        ];
        assert_eq!(shown, expected.map(|(id, day, mean)| (id, day.to_owned(), mean)));
    }
}
