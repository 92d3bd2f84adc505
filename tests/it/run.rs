//! What the scenarios share: a pipeline of bars over opaque keys, and a driver around it.

use highwater::serdes::{Bytes, Json, WindowedSerde};
use highwater::testing::{InputRecord, InputTopic, OutputRecord, OutputTopic, TopologyTestDriver};
use highwater::time::{Calendar, Slots, Timestamp, days, minutes, seconds};
use highwater::{
    Children, Consumed, DefaultSerde, GapFill, Incomplete, KStream, KTable, Materialized, Produced,
    StreamsBuilder, Suppressed, Topology, Windowed,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A key of which nobody but the calendar's choice knows what it means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key(pub u8, pub String);

impl DefaultSerde for Key {
    type Serde = Json;
}

pub fn key(n: u8) -> Key {
    Key(n, "x".repeat(n as usize % 3))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    pub at: Timestamp,
    pub price: i64,
    pub quantity: i64,
}

impl DefaultSerde for Tick {
    type Serde = Json;
}

/// Open and close by (event time, arrival).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub volume: i64,
    pub ticks: u64,
    pub children: Children,
    opened: Timestamp,
    closed: Timestamp,
}

impl DefaultSerde for Bar {
    type Serde = Json;
}

impl Bar {
    pub fn trade(&mut self, tick: &Tick) {
        self.put(&Bar {
            open: tick.price,
            high: tick.price,
            low: tick.price,
            close: tick.price,
            volume: tick.quantity,
            ticks: 1,
            opened: tick.at,
            closed: tick.at,
            children: Children::default(),
        });
        self.ticks += 1;
    }

    pub fn absorb(&mut self, child: &Windowed<Key>, bar: &Bar, children: Children) {
        let Windowed { window, .. } = child;
        self.put(&Bar { opened: window.start, closed: window.start, ..bar.clone() });
        self.ticks += bar.ticks;
        self.children = children;
    }

    /// Everything but the number of ticks.
    fn put(&mut self, other: &Bar) {
        let first = self.high == 0;
        if first || other.opened < self.opened {
            (self.open, self.opened) = (other.open, other.opened);
        }
        if first || other.closed >= self.closed {
            (self.close, self.closed) = (other.close, other.closed);
        }
        self.high = self.high.max(other.high);
        self.low = if first { other.low } else { self.low.min(other.low) };
        self.volume += other.volume;
    }

    /// The bar of a quiet slot: prices are all above zero.
    pub fn quiet(&self) -> Bar {
        let close = self.close;
        Bar { open: close, high: close, low: close, close, ..Bar::default() }
    }

    pub fn ohlcv(&self) -> (i64, i64, i64, i64, i64) {
        (self.open, self.high, self.low, self.close, self.volume)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timeframe {
    M1,
    H1,
    D1,
    W1,
    Mo1,
}
pub use Timeframe::{D1, H1, M1, Mo1, W1};

pub const TIMEFRAMES: [Timeframe; 5] = [M1, H1, D1, W1, Mo1];

/// What a scenario can choose.
#[derive(Clone)]
pub struct Pipeline {
    pub calendar: Calendar,
    pub heartbeats: bool,
    pub grace: BTreeMap<Timeframe, Duration>,
    pub idle: Option<Duration>,
    pub incomplete: Incomplete,
    /// Of the names of all topics.
    pub prefix: String,
}

impl Pipeline {
    pub fn new(calendar: &str) -> Self {
        let grace =
            [(M1, seconds(90)), (H1, minutes(5)), (D1, minutes(10)), (W1, minutes(10)), (Mo1, minutes(10))];
        Self {
            calendar: Calendar::parse(calendar).expect("a calendar"),
            heartbeats: false,
            grace: grace.into(),
            idle: Some(seconds(30)),
            incomplete: Incomplete::Emit,
            prefix: String::new(),
        }
    }
    pub fn heartbeats(self) -> Self {
        Self { heartbeats: true, ..self }
    }
    pub fn slots(&self, timeframe: Timeframe) -> Slots<Key> {
        let calendar = self.calendar.clone();
        let pick = move |_: &Key| Ok(calendar.clone());
        let slots = match timeframe {
            M1 => Slots::minutes(1, pick),
            H1 => Slots::hours(1, pick),
            D1 => Slots::days(pick),
            W1 => Slots::weeks(pick),
            Mo1 => Slots::months(pick),
        };
        slots.grace(self.grace[&timeframe])
    }

    pub fn topology(&self) -> Topology {
        let builder = StreamsBuilder::new();
        let consumed = Consumed::<Key, Tick>::default().timestamp(|_, tick| tick.at);
        let consumed = match self.idle {
            Some(idle) => consumed.idle_timeout(idle),
            None => consumed,
        };
        let windowed =
            builder.stream(&self.topic("ticks"), consumed).group_by_key().windowed_by(self.slots(M1));
        windowed.late().to(&self.topic("late"), slot());
        windowed.outside().to(&self.topic("outside"), Produced::default());
        let bars =
            windowed.aggregate(Bar::default, |_, tick, bar| bar.trade(tick), Materialized::named("m1"));
        let bars = if self.heartbeats {
            let fill = GapFill::with(Bar::quiet).every(seconds(10)).jitter(seconds(5)).forget_after(days(30));
            bars.fill_gaps(fill, Materialized::named("known"))
        } else {
            bars
        };
        let m1 = self.publish(&bars, M1);
        let h1 = self.publish(&self.roll_up(&m1, M1, H1), H1);
        let d1 = self.publish(&self.roll_up(&h1, H1, D1), D1);
        let _ = self.publish(&self.roll_up(&d1, D1, W1), W1);
        let _ = self.publish(&self.roll_up(&d1, D1, Mo1), Mo1);
        builder.build().expect("a topology")
    }

    /// H1 from finals of M1 that somebody else publishes: in any order, more than once.
    pub fn parents_of_a_topic(&self) -> Topology {
        let builder = StreamsBuilder::new();
        let consumed = Consumed::with(WindowedSerde::of(Json).with_end(), Json);
        let children: KStream<Windowed<Key>, Bar> = builder.stream("children", consumed);
        let _ = self.publish(&self.roll_up(&children, M1, H1), H1);
        builder.build().expect("a topology")
    }

    fn roll_up(
        &self,
        finals: &KStream<Windowed<Key>, Bar>,
        child: Timeframe,
        parent: Timeframe,
    ) -> KTable<Windowed<Key>, Bar> {
        let rolled =
            finals.roll_up(self.slots(parent)).children(self.slots(child)).incomplete(self.incomplete);
        rolled.late().to(&self.topic("late-children"), slot());
        rolled.aggregate(
            Bar::default,
            |child, bar, sum, children| sum.absorb(child, bar, children),
            Materialized::named(&name("store", parent)),
        )
    }

    fn publish(
        &self,
        bars: &KTable<Windowed<Key>, Bar>,
        timeframe: Timeframe,
    ) -> KStream<Windowed<Key>, Bar> {
        bars.to_stream().to(&self.topic(&name("live", timeframe)), slot());
        let finals = bars.suppress(Suppressed::until_window_closes()).to_stream();
        finals.to(&self.topic(&name("final", timeframe)), slot());
        finals
    }

    /// The name of a topic.
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn slot<V: DefaultSerde>() -> Produced<Windowed<Key>, V> {
    Produced::with(WindowedSerde::of(Json).with_end(), V::Serde::default())
}

pub fn name(kind: &str, timeframe: Timeframe) -> String {
    format!("{kind}-{timeframe:?}")
}

/// A bar as a reader has it.
pub type Read = OutputRecord<Windowed<Key>, Bar>;

/// A driver with the pipeline's topics at hand.
pub struct Run {
    pub driver: TopologyTestDriver,
    ticks: InputTopic<Key, Tick>,
    children: InputTopic<Windowed<Key>, Bar>,
}

impl Run {
    pub fn of(driver: TopologyTestDriver) -> Self {
        let ticks = driver.input_topic("ticks", Produced::default());
        let children = driver.input_topic("children", slot());
        Self { driver, ticks, children }
    }
    pub fn new(pipeline: &Pipeline) -> Self {
        Self::of(TopologyTestDriver::new(pipeline.topology()))
    }

    /// Time goes on to this moment, if it is not past. It begins with the first record.
    pub fn until(&mut self, at: Timestamp) {
        let now = self.driver.now();
        if now > Timestamp(0) {
            self.driver.advance_clock(at.since(now));
        }
    }
    pub fn tick(&mut self, key: &Key, at: Timestamp, price: i64, quantity: i64) {
        self.driver.pipe_input(&self.ticks, key.clone(), Tick { at, price, quantity }, at);
    }
    /// Ticks into partitions of the test's choice, worked on when all of them are there.
    pub fn ticks_at(&mut self, ticks: impl Iterator<Item = (Key, Tick, u32)>) {
        let record = |(key, tick, partition): (Key, Tick, u32)| {
            let at = tick.at;
            InputRecord::new(key, tick, at).partition(partition)
        };
        self.driver.pipe_all(&self.ticks, ticks.map(record));
    }
    pub fn child(&mut self, child: &Windowed<Key>, bar: &Bar, at: Timestamp) {
        self.driver.pipe_input(&self.children, child.clone(), bar.clone(), at);
    }

    fn read<V: DefaultSerde>(&mut self, topic: &str) -> Vec<OutputRecord<Windowed<Key>, V>> {
        let consumed = Consumed::with(WindowedSerde::of(Json).with_end(), V::Serde::default());
        let topic: OutputTopic<Windowed<Key>, V> = self.driver.output_topic(topic, consumed);
        self.driver.read_records(&topic)
    }
    pub fn live(&mut self, timeframe: Timeframe) -> Vec<Read> {
        self.read(&name("live", timeframe))
    }
    pub fn finals(&mut self, timeframe: Timeframe) -> Vec<Read> {
        self.read(&name("final", timeframe))
    }
    /// The finals as bytes.
    pub fn final_bytes(&mut self, timeframe: Timeframe) -> Vec<(Vec<u8>, Vec<u8>, Timestamp)> {
        let topic = self.driver.output_topic(&name("final", timeframe), Consumed::with(Bytes, Bytes));
        let records: Vec<OutputRecord<Vec<u8>, Vec<u8>>> = self.driver.read_records(&topic);
        records.into_iter().map(|read| (read.key, read.value, read.timestamp)).collect()
    }
    pub fn late(&mut self) -> Vec<OutputRecord<Windowed<Key>, Tick>> {
        self.read("late")
    }
    pub fn late_children(&mut self) -> Vec<Read> {
        self.read("late-children")
    }
}

/// `2024-03-08T09:30:00Z` in ms.
pub fn utc(text: &str) -> Timestamp {
    let at = chrono::DateTime::parse_from_rfc3339(text).expect("a date");
    Timestamp(at.timestamp_millis())
}

/// The finals of a timeframe by slot; each slot once.
pub fn once(finals: &[Read]) -> BTreeMap<(i64, i64, Key), Bar> {
    let mut by_slot = BTreeMap::new();
    for read in finals {
        let Windowed { key, window } = &read.key;
        let before = by_slot.insert((window.end.0, window.start.0, key.clone()), read.value.clone());
        assert!(before.is_none(), "a second final of {key:?} {window}");
    }
    by_slot
}

/// xorshift, for scenarios that vary.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % n
    }
}

/// Ticks of several keys over a span, about one per key and `every` ms, somewhat out of order.
pub fn random_ticks(
    seed: u64,
    keys: u8,
    from: Timestamp,
    span: Duration,
    every: u64,
) -> Vec<(Key, Timestamp, i64, i64)> {
    let mut chance = Chance::new(seed);
    let mut ticks = Vec::new();
    let (mut at, end) = (from.0, from.0 + span.as_millis() as i64);
    while at < end {
        let late = chance.below(5_000) as i64;
        let price = 100 + chance.below(50) as i64;
        let quantity = 1 + chance.below(9) as i64;
        ticks.push((
            key(chance.below(u64::from(keys)) as u8),
            Timestamp((at - late).max(from.0)),
            price,
            quantity,
        ));
        at += 1 + chance.below(2 * every / u64::from(keys)) as i64;
    }
    ticks
}

/// What a parent must be, from its children's finals.
pub fn rolled<'a>(
    children: impl Iterator<Item = (&'a (i64, i64, Key), &'a Bar)>,
) -> (i64, i64, i64, i64, i64) {
    let mut all: Vec<_> = children.map(|((_, start, _), bar)| (*start, bar)).collect();
    all.sort_by_key(|(start, _)| *start);
    let bars = || all.iter().map(|(_, bar)| bar);
    (
        bars().next().expect("a child").open,
        bars().map(|bar| bar.high).max().expect("a child"),
        bars().map(|bar| bar.low).min().expect("a child"),
        bars().next_back().expect("a child").close,
        bars().map(|bar| bar.volume).sum(),
    )
}

/// Checks that every parent is the pure aggregate of the children inside it, and that no child is left out.
pub fn conserved(children: &[Read], parents: &[Read]) {
    let (children, parents) = (once(children), once(parents));
    let mut counted = 0;
    for ((end, start, key), parent) in &parents {
        let inside = || children.iter().filter(|((e, s, k), _)| k == key && s >= start && e <= end);
        assert_eq!(parent.ohlcv(), rolled(inside()), "{key:?} [{start}, {end})");
        assert_eq!(parent.children.arrived as usize, inside().count(), "{key:?} [{start}, {end})");
        assert_eq!(parent.ticks, inside().map(|(_, bar)| bar.ticks).sum::<u64>());
        counted += inside().count();
    }
    assert_eq!(counted, children.len(), "every child has a parent");
}
