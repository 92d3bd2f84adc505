//! What the engine costs beside the log: one task, its state in memory, one core.
//!
//! `cargo bench --bench engine`; figures are per iteration, and each iteration is the number of records that its name or
//! `throughput` says.

#![allow(missing_docs, clippy::expect_used, reason = "a program that measures")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use highwater::serdes::{Deserializer, Serializer};
use highwater::testing::{InputTopic, Records, TaskRunner, TopologyTestDriver};
use highwater::time::{TimeWindows, Timestamp, Window, WindowSize, Windows, days, minutes};
use highwater::{
    BoxError, Consumed, DefaultSerde, KStream, Materialized, Produced, Result, StreamsBuilder, Suppressed,
    Topology,
};
use std::cell::RefCell;
use std::time::Duration;

/// Records per iteration.
const RECORDS: usize = 10_000;
const KEYS: u64 = 100;

#[derive(Clone, Copy)]
struct Tick {
    price: f64,
    quantity: f64,
}

/// 16 bytes.
#[derive(Clone, Copy, Default)]
struct Fixed;
impl Serializer<Tick> for Fixed {
    fn serialize(&self, tick: &Tick, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(&tick.price.to_be_bytes());
        out.extend_from_slice(&tick.quantity.to_be_bytes());
        Ok(())
    }
}
impl Deserializer<Tick> for Fixed {
    fn deserialize(&self, bytes: &[u8]) -> Result<Tick, BoxError> {
        let (price, rest) = bytes.split_first_chunk::<8>().ok_or("short")?;
        let quantity = rest.first_chunk::<8>().ok_or("short")?;
        Ok(Tick { price: f64::from_be_bytes(*price), quantity: f64::from_be_bytes(*quantity) })
    }
}
impl DefaultSerde for Tick {
    type Serde = Fixed;
}

/// Reads and writes nothing: the operators alone, and what the engine does per record.
#[derive(Clone, Copy, Default)]
struct Free;
impl Serializer<u64> for Free {
    fn serialize(&self, _: &u64, _: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(())
    }
}
impl Deserializer<u64> for Free {
    fn deserialize(&self, _: &[u8]) -> Result<u64, BoxError> {
        Ok(7)
    }
}
impl Serializer<Tick> for Free {
    fn serialize(&self, _: &Tick, _: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(())
    }
}
impl Deserializer<Tick> for Free {
    fn deserialize(&self, _: &[u8]) -> Result<Tick, BoxError> {
        Ok(Tick { price: 100.0, quantity: 1.0 })
    }
}

#[derive(Clone, Copy, Default)]
struct Ohlc {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
}

/// 40 bytes.
#[derive(Clone, Copy, Default)]
struct FixedOhlc;
impl Serializer<Ohlc> for FixedOhlc {
    fn serialize(&self, bar: &Ohlc, out: &mut Vec<u8>) -> Result<(), BoxError> {
        for part in [bar.open, bar.high, bar.low, bar.close, bar.volume] {
            out.extend_from_slice(&part.to_be_bytes());
        }
        Ok(())
    }
}
impl Deserializer<Ohlc> for FixedOhlc {
    fn deserialize(&self, bytes: &[u8]) -> Result<Ohlc, BoxError> {
        let (parts, _) = bytes.as_chunks::<8>();
        let &[open, high, low, close, volume] = parts else { return Err("short".into()) };
        let [open, high, low, close, volume] = [open, high, low, close, volume].map(f64::from_be_bytes);
        Ok(Ohlc { open, high, low, close, volume })
    }
}
impl DefaultSerde for Ohlc {
    type Serde = FixedOhlc;
}

/// Six operators.
fn chain(ticks: &KStream<u64, Tick>) -> KStream<u64, Tick> {
    ticks
        .filter(|_, tick| tick.price > 0.0)
        .map_values(|tick| Tick { price: tick.price * 1.0001, ..*tick })
        .map_values(|tick| Tick { quantity: tick.quantity + 1.0, ..*tick })
        .filter(|_, tick| tick.quantity < 1e12)
        .map_values(|tick| Tick { price: tick.price + tick.quantity, ..*tick })
        .filter_not(|_, tick| tick.price < 0.0)
}

fn ticks(topic: &InputTopic<u64, Tick>, from: i64, every: i64) -> Records {
    let tick = |n: usize| {
        let tick = Tick { price: 100.0 + f64::from(n as u32 % 17), quantity: 1.0 };
        (n as u64 % KEYS, tick, Timestamp(from + n as i64 * every))
    };
    Records::of(topic, (0..RECORDS).map(tick)).expect("serializes")
}

fn topic(topology: &Topology, produced: Produced<u64, Tick>) -> InputTopic<u64, Tick> {
    TopologyTestDriver::new(topology.clone()).input_topic("ticks", produced)
}

fn stateless_chain(c: &mut Criterion) {
    let mut group = c.benchmark_group("stateless_chain");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let builder = StreamsBuilder::new();
    let free = builder.stream("ticks", Consumed::<u64, Tick>::with(Free, Free));
    chain(&free).for_each(|_, tick| {
        std::hint::black_box(tick.price);
    });
    let plain = builder.build().expect("builds");
    let records = ticks(&topic(&plain, Produced::with(Free, Free)), 0, 1);
    let mut runner = TaskRunner::new(&plain).expect("runs");
    group.bench_function("plain", |b| {
        b.iter_batched(
            || records.clone(),
            |records| runner.run(records).expect("runs"),
            BatchSize::LargeInput,
        );
    });

    let builder = StreamsBuilder::new();
    chain(&builder.stream("ticks", Consumed::<u64, Tick>::default())).to("out", Produced::default());
    let serdes = builder.build().expect("builds");
    let records = ticks(&topic(&serdes, Produced::default()), 0, 1);
    let mut runner = TaskRunner::new(&serdes).expect("runs");
    group.bench_function("serdes", |b| {
        b.iter_batched(
            || records.clone(),
            |records| runner.run(records).expect("runs"),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn ohlc() -> Topology {
    let builder = StreamsBuilder::new();
    let ticks = builder.stream("ticks", Consumed::<u64, Tick>::default());
    let bars = ticks.group_by_key().windowed_by(TimeWindows::of_size(minutes(1))).aggregate(
        Ohlc::default,
        |_, tick, bar| {
            if bar.volume == 0.0 {
                *bar = Ohlc { open: tick.price, high: tick.price, low: tick.price, ..*bar };
            }
            bar.high = bar.high.max(tick.price);
            bar.low = bar.low.min(tick.price);
            bar.close = tick.price;
            bar.volume += tick.quantity;
        },
        Materialized::named("bars"),
    );
    bars.suppress(Suppressed::until_window_closes()).to_stream().to("finals", Produced::default());
    builder.build().expect("builds")
}

/// A window closes per key and about 6,000 records; each iteration goes on in time.
fn windowed_ohlc(c: &mut Criterion) {
    let topology = ohlc();
    let topic = topic(&topology, Produced::default());
    let mut runner = TaskRunner::new(&topology).expect("runs");
    let mut at = 0;
    let mut group = c.benchmark_group("windowed_ohlc");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("tumbling", |b| {
        let records = || {
            at += RECORDS as i64 * 10;
            ticks(&topic, at, 10)
        };
        b.iter_batched(records, |records| runner.run(records).expect("runs"), BatchSize::LargeInput);
    });
    group.finish();
}

/// Short windows for the keys that close, one long window for those that stay open.
struct Mixed;

/// Keys from here on stay open.
const STAYS: u64 = 1_000;

impl Windows<u64> for Mixed {
    fn assign(&self, key: &u64, at: Timestamp, windows: &mut Vec<Window>) -> Result<(), BoxError> {
        let start = at.0 / 10 * 10;
        windows.push(match *key {
            STAYS.. => Window::new(Timestamp(0), Timestamp(1 << 50)),
            _ => Window::new(Timestamp(start), Timestamp(start + 10)),
        });
        Ok(())
    }
    fn next(&self, _: &u64, _: Timestamp) -> Result<Option<Window>, BoxError> {
        Ok(None)
    }
    fn size(&self) -> WindowSize {
        WindowSize::AtMost(days(365 * 50_000))
    }
    fn grace(&self) -> Duration {
        Duration::ZERO
    }
}

/// A thousand windows open and close while so many others stay open.
fn close_windows(c: &mut Criterion) {
    let builder = StreamsBuilder::new();
    let windowed =
        builder.stream("ticks", Consumed::<u64, Tick>::default()).group_by_key().windowed_by(Mixed);
    let counts = windowed.count(Materialized::named("counts"));
    counts.suppress(Suppressed::until_window_closes()).to_stream().to("finals", Produced::default());
    let topology = builder.build().expect("builds");
    let topic = topic(&topology, Produced::default());
    let tick = Tick { price: 1.0, quantity: 1.0 };
    let mut group = c.benchmark_group("close_windows");
    group.throughput(Throughput::Elements(STAYS));
    for (name, stored) in [("1k", 1_000), ("1M", 1_000_000)] {
        let mut runner = TaskRunner::new(&topology).expect("runs");
        let open = (0..stored).map(|n| (STAYS + n, tick, Timestamp(0)));
        runner.run(Records::of(&topic, open).expect("serializes")).expect("runs");
        runner.commit().expect("commits");
        let mut at = 0;
        let mut records = || {
            at += 20;
            let close = (0..STAYS).map(|key| (key, tick, Timestamp(at)));
            let later = [(STAYS, tick, Timestamp(at + 10))];
            Records::of(&topic, close.chain(later)).expect("serializes")
        };
        group.bench_function(name, |b| {
            b.iter_batched(
                &mut records,
                |records| assert_eq!(runner.run(records).expect("runs"), 1_000),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// Ten thousand dirty keys: serialized, and written in one batch.
fn commit_flush(c: &mut Criterion) {
    let topology = ohlc();
    let topic = topic(&topology, Produced::default());
    let runner = RefCell::new(TaskRunner::new(&topology).expect("runs"));
    let mut group = c.benchmark_group("commit_flush");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("10k", |b| {
        let dirty = || {
            let tick = Tick { price: 1.0, quantity: 1.0 };
            let records = (0..RECORDS as u64).map(|key| (key, tick, Timestamp(0)));
            runner.borrow_mut().run(Records::of(&topic, records).expect("serializes")).expect("runs")
        };
        b.iter_batched(
            dirty,
            |_| assert_eq!(runner.borrow_mut().commit().expect("commits"), RECORDS),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, stateless_chain, windowed_ohlc, close_windows, commit_flush);
criterion_main!(benches);
