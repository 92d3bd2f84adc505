//! Mean reading per sensor and day, where a day is the sensor's own: its time zone comes with its key.
#![allow(clippy::print_stdout, reason = "a program")]

use highwater::serdes::{BigEndian, Json, WindowedSerde};
use highwater::time::{CalendarWindows, TimeZone, Timestamp, minutes};
use highwater::{
    AtEnd, Consumed, DefaultSerde, EmbeddedLog, KafkaStreams, Materialized, Produced, Result, StreamsBuilder,
    StreamsConfig, Suppressed, Topology, Windowed,
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
        .stream("readings", Consumed::<Sensor, f64>::default().idle_timeout(minutes(5)))
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let log = EmbeddedLog::new();
    log.create_topic("readings", 1)?;
    log.create_topic("mean-per-day", 1)?;
    for (id, zone, reading) in
        [(1, "Europe/Madrid", 12.0), (2, "Asia/Tokyo", 20.0), (1, "Europe/Madrid", 18.0)]
    {
        let sensor = Sensor { id, zone: zone.parse()? };
        log.append("readings", &Produced::default(), &sensor, &reading, NOON)?;
    }
    log.end_of_input(AtEnd::Close);

    let config = StreamsConfig::new("sensors-per-local-day", "").exactly_once();
    KafkaStreams::embedded(topology()?, &log, config)?.run(tokio::signal::ctrl_c()).await?;
    for (day, mean) in log.read("mean-per-day", &means())? {
        println!("sensor {} in {}, {}: {mean} on average", day.key.id, day.key.zone, day.window);
    }
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
        main().unwrap();
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
