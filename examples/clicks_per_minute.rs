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
