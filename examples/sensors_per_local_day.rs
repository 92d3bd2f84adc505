//! Mean reading per sensor and day, where a day is the sensor's own: its time zone comes with its key.

use highwater::serdes::{BigEndian, Json, WindowedSerde};
use highwater::time::{CalendarWindows, TimeZone, Timestamp, Windowed, minutes};
use highwater::{
    BoxError, Consumed, DefaultSerde, Materialized, Produced, Result, StreamsBuilder, Suppressed, Topology,
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
        .stream("readings", Consumed::<Sensor, f64>::default())
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

fn main() -> Result<()> {
    topology().map(drop)
}
