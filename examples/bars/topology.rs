//! ticks -> M1 -> H1 -> D1 -> { W1, Mo1 }: live bars and one final per slot, at every level.
//!
//! The key stays what it is, so the whole chain runs in one sub-topology per partition.

use crate::bar::{Bar, BarBytes};
use crate::market::Market;
use crate::published::Published;
use crate::symbol::{Symbol, SymbolUtf8};
use crate::tick::{Received, Tick, TickJson};
use crate::timeframe::Timeframe::{self, D1, H1, M1, Mo1, W1};
use crate::topics::Topics;
use highwater::serdes::{Json, WindowedSerde};
use highwater::time::{Windowed, days, seconds};
use highwater::{
    BoxError, Consumed, FixedKeyProcessor, FixedKeyProcessorContext, GapFill, Incomplete, KStream, KTable,
    Materialized, Produced, Record, Result, StreamsBuilder, Suppressed, Topology,
};
use std::time::Duration;

type Bars = KTable<Windowed<Symbol>, Bar>;
type Finals = KStream<Windowed<Symbol>, Bar>;

/// What of the pipeline can be chosen, besides calendars and graces.
#[derive(Clone, Copy, Debug)]
pub struct Choices {
    /// A quiet minute has a bar too.
    pub heartbeats: bool,
    /// After so much silence of a caught-up partition the clock moves its watermark.
    pub idle_timeout: Option<Duration>,
}

pub fn topology(market: &Market, choices: Choices, topics: &Topics) -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let ticks =
        builder.stream(&topics.ticks(), consumed(choices.idle_timeout)).process_values((), |()| Dated);
    let publish = |bars: &Bars, timeframe| publish(bars, timeframe, topics);

    let m1 = publish(&m1(&ticks, market, choices.heartbeats), M1);
    let h1 = publish(&roll_up(&m1, M1, H1, market), H1);
    let d1 = publish(&roll_up(&h1, H1, D1, market), D1);
    let _ = publish(&roll_up(&d1, D1, W1, market), W1);
    let _ = publish(&roll_up(&d1, D1, Mo1, market), Mo1);
    builder.build()
}

fn consumed(idle_timeout: Option<Duration>) -> Consumed<Symbol, Received> {
    let consumed = Consumed::<Symbol, Received>::with(SymbolUtf8, TickJson)
        .timestamp_extractor(|_, tick, record, _| tick.at(record));
    match idle_timeout {
        Some(silence) => consumed.idle_timeout(silence),
        None => consumed,
    }
}

/// The record's time is the event's by now.
struct Dated;

impl FixedKeyProcessor for Dated {
    type KIn = Symbol;
    type VIn = Received;
    type VOut = Tick;

    fn process(
        &mut self,
        record: Record<'_, Symbol, Received>,
        ctx: &mut FixedKeyProcessorContext<Self>,
    ) -> Result<(), BoxError> {
        ctx.forward(&record.value.dated(record.timestamp));
        Ok(())
    }
}

fn m1(ticks: &KStream<Symbol, Tick>, market: &Market, heartbeats: bool) -> Bars {
    let bars = ticks.group_by_key().windowed_by(market.slots(M1)).try_aggregate(
        Bar::default,
        |_, tick, bar| bar.trade(tick),
        Materialized::with("bars-m1", BarBytes),
    );
    if !heartbeats {
        return bars;
    }
    bars.fill_gaps(
        GapFill::with(Bar::quiet).every(seconds(10)).jitter(seconds(5)).forget_after(days(30)),
        Materialized::with("known-symbols", BarBytes),
    )
}

fn roll_up(finals: &Finals, child: Timeframe, parent: Timeframe, market: &Market) -> Bars {
    finals
        .roll_up(market.slots(parent))
        .children(market.slots(child))
        .incomplete(Incomplete::Emit)
        .try_aggregate(
            Bar::default,
            |slot, bar, sum, children| sum.absorb(slot.window, bar, children),
            Materialized::with(&format!("bars-{}", parent.name()), BarBytes),
        )
}

/// Live and final, each to its topic; the finals go on to the next level.
fn publish(bars: &Bars, timeframe: Timeframe, topics: &Topics) -> Finals {
    let finals = bars.suppress(Suppressed::until_window_closes()).to_stream();
    to_topic(&bars.to_stream(), &topics.live(timeframe));
    to_topic(&finals, &topics.finals(timeframe));
    finals
}

/// The value says symbol and slot too, for readers that look at values alone.
fn to_topic(bars: &Finals, topic: &str) {
    bars.map(|slot, bar| (slot.clone(), Published::of(slot, bar)))
        .to(topic, Produced::with(WindowedSerde::of(SymbolUtf8).with_end(), Json));
}
