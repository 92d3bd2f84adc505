//! Lets each order through once and forgets it after an hour: a processor with a store and a punctuator.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "on_kafka/mod.rs"]
mod on_kafka;

use highwater::serdes::Json;
use highwater::time::{Timestamp, hours, minutes};
use highwater::{
    AtEnd, BoxError, Consumed, DefaultSerde, EmbeddedLog, KafkaStreams, KeyValueStore, Processor,
    ProcessorContext, Produced, PunctuationType, Record, Result, StreamsBuilder, StreamsConfig, Topology,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    total: u64,
}
impl DefaultSerde for Order {
    type Serde = Json;
}

/// When each order of the last hour was seen, by customer and number.
type Seen = KeyValueStore<(String, u64), Timestamp>;

struct Once {
    seen: Seen,
}

impl Once {
    /// Orders leave the store an hour of event time after they came.
    fn forget(&mut self, now: Timestamp, _: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        let old: Vec<_> = self.seen.all()?.filter(|(_, at)| at.plus(hours(1)) <= now).collect();
        old.iter().try_for_each(|(order, _)| self.seen.delete(order))
    }
}

impl Processor for Once {
    type KIn = String;
    type VIn = Order;
    type KOut = String;
    type VOut = Order;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        let _runs_as_long_as_the_task = ctx.schedule(minutes(1), PunctuationType::Watermark, Self::forget);
        Ok(())
    }

    fn process(
        &mut self,
        order: Record<'_, String, Order>,
        ctx: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let number = (order.key.clone(), order.value.id);
        if self.seen.get(&number)?.is_none() {
            self.seen.put(&number, order.timestamp)?;
            ctx.forward(order);
        }
        Ok(())
    }
}

fn topology() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let seen = builder.add_state_store(Seen::with("seen", Json, Json));
    builder
        .stream::<String, Order>("orders", Consumed::default())
        .process(&seen, |seen| Once { seen })
        .to("orders-once", Produced::default());
    builder.build()
}

fn orders() -> impl Iterator<Item = (String, Order, Timestamp)> {
    let orders = [(1, 1), (2, 2), (3, 1), (90, 3), (91, 1)].into_iter();
    orders.map(|(minute, id)| ("ann".to_owned(), Order { id, total: 10 }, Timestamp(minute * 60_000)))
}

fn show(orders: Vec<(String, Order)>) {
    for (customer, order) in orders {
        println!("{customer}: order {} for {}", order.id, order.total);
    }
}

fn main() -> Result<(), BoxError> {
    match on_kafka::Demo::asked("orders-once", &["orders", "orders-once"])? {
        None => Ok(embedded()?),
        Some(demo) => on_kafka(&demo),
    }
}

/// On a log inside the process.
#[tokio::main(flavor = "current_thread")]
async fn embedded() -> Result<()> {
    let log = EmbeddedLog::new();
    log.create_topic("orders", 2)?;
    log.create_topic("orders-once", 2)?;
    for (customer, order, at) in orders() {
        log.append("orders", &Produced::default(), &customer, &order, at)?;
    }
    log.end_of_input(AtEnd::Close);

    let config = StreamsConfig::new("orders-once", "").exactly_once();
    KafkaStreams::embedded(topology()?, &log, config)?.run(tokio::signal::ctrl_c()).await?;
    show(log.read("orders-once", &Consumed::default())?);
    Ok(())
}

/// With `--bootstrap-server`: until four of the five orders have passed.
fn on_kafka(demo: &on_kafka::Demo) -> Result<(), BoxError> {
    demo.feed("orders", &Produced::default(), orders())?;
    let passed = || demo.read("orders-once", &Consumed::default());
    demo.run(topology()?, || Ok(passed()?.len() == 4))?;
    show(passed()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::testing::{CommitPoint, InputTopic, OutputTopic, TopologyTestDriver};

    struct Shop {
        driver: TopologyTestDriver,
        orders: InputTopic<String, Order>,
        once: OutputTopic<String, Order>,
    }

    impl Shop {
        fn new() -> Self {
            let driver = TopologyTestDriver::new(topology().unwrap()).partitions(2);
            let orders = driver.input_topic("orders", Produced::default());
            let once = driver.output_topic("orders-once", Consumed::default());
            Self { driver, orders, once }
        }

        fn order(&mut self, id: u64, minute: i64) {
            let at = Timestamp(minute * 60_000);
            self.driver.pipe_input(&self.orders, "ann".to_owned(), Order { id, total: 10 }, at);
        }

        fn passed(&mut self) -> Vec<u64> {
            self.driver.read_output(&self.once).into_iter().map(|(_, order)| order.id).collect()
        }
    }

    #[test]
    fn an_order_passes_once_also_after_a_kill() {
        let mut shop = Shop::new();
        shop.order(1, 0);
        shop.order(2, 1);
        shop.order(1, 2);
        shop.driver.kill_at(CommitPoint::S4);
        assert_eq!(shop.passed(), [1, 2]);
        shop.order(2, 3);
        assert!(shop.passed().is_empty());
    }

    #[test]
    fn the_program_runs() {
        embedded().unwrap();
    }

    #[test]
    fn an_order_is_forgotten_after_an_hour() {
        let mut shop = Shop::new();
        shop.order(1, 0);
        shop.order(2, 59);
        shop.order(1, 59);
        shop.order(3, 61);
        shop.order(1, 61);
        assert_eq!(shop.passed(), [1, 2, 3, 1]);
    }
}
