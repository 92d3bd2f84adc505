//! A pipeline that is as simple as it can be, to try the soak itself: it takes the options that `examples/bars` takes.
//!
//! It keeps no state. Whoever gets a partition fences the owner before, reads the finals that are there, folds all ticks
//! again, and writes the finals that are missing, in transactions. With `at_least_once` there are no transactions, and
//! with `STAND_IN_MISTAKE=repeat` or `lose` it is wrong on purpose.

use highwater_verifier::finals::Final;
use highwater_verifier::fold::{Bars, Expected, Fold, Rules};
use highwater_verifier::kafka::{Cluster, Isolation, Reader};
use highwater_verifier::tick::Tick;
use highwater_verifier::timeframe::{Timeframe, Topics};
use highwater_verifier::{Error, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);
type Done = BTreeSet<(Timeframe, String, i64)>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let after =
        |name: &str| arguments.iter().position(|word| word == name).map(|at| arguments[at + 1].clone());
    let cluster = Cluster::new(&after("--bootstrap-server").ok_or("no --bootstrap-server")?);
    let group = after("--application-id").ok_or("no --application-id")?;
    let property = |name: &str| arguments.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let transactional = property("processing.guarantee") != Some("at_least_once");
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    ctrlc::set_handler(move || set.store(true, Ordering::Relaxed))?;

    let mut config = cluster.config();
    config
        .set("group.id", &group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "earliest").set("partition.assignment.strategy", "range");
    config.set("session.timeout.ms", property("consumer.session.timeout.ms").unwrap_or("6000"));
    config.set("heartbeat.interval.ms", property("consumer.heartbeat.interval.ms").unwrap_or("1500"));
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&[&Topics::default().ticks()])?;
    let mut tasks: BTreeMap<i32, Task> = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let until = Instant::now() + Duration::from_millis(100);
        while Instant::now() < until {
            // Only to be a member; the task reads by itself.
            if let Some(Err(error)) = consumer.poll(Duration::from_millis(10)) {
                println!("{error}");
            }
        }
        let owned = consumer.assignment()?;
        let owned: BTreeSet<i32> = owned
            .elements()
            .iter()
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
            .collect();
        tasks.retain(|partition, _| owned.contains(partition));
        for partition in owned {
            if let Entry::Vacant(vacant) = tasks.entry(partition) {
                println!("partition {partition}");
                match Task::new(&cluster, &group, partition, transactional) {
                    Ok(task) => _ = vacant.insert(task),
                    Err(error) => println!("partition {partition}: {error}"),
                }
            }
        }
        // A task that was fenced, or a broker that is away: begin again.
        tasks.retain(|partition, task| {
            task.step().inspect_err(|error| println!("{partition}: {error}")).is_ok()
        });
    }
    Ok(())
}

struct Task {
    partition: i32,
    producer: BaseProducer,
    transactional: bool,
    done: Done,
    input: BaseConsumer,
    ticks: Vec<Tick>,
}

impl Task {
    fn new(cluster: &Cluster, group: &str, partition: i32, transactional: bool) -> Result<Self> {
        let mut config = cluster.config();
        config.set("enable.idempotence", "true").set("linger.ms", "5");
        if transactional {
            config.set("transactional.id", format!("{group}-{partition}"));
            config.set("transaction.timeout.ms", "10000");
        }
        let producer: BaseProducer = config.create()?;
        if transactional {
            producer.init_transactions(LIMIT)?;
        }
        let mut done = Done::new();
        let reader = Reader::of(cluster)?;
        for timeframe in Timeframe::ALL {
            reader.read(&Topics::default().finals(timeframe), |record| {
                let bar = Final::read(record.key, record.value.unwrap_or_default())?;
                done.insert((timeframe, bar.symbol, bar.slot.start));
                Ok(())
            })?;
        }
        let input = cluster.consumer(Isolation::Committed)?;
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(&Topics::default().ticks(), partition, rdkafka::Offset::Beginning)?;
        input.assign(&list)?;
        Ok(Self { partition, producer, transactional, done, input, ticks: Vec::new() })
    }

    fn step(&mut self) -> Result<()> {
        if self.transactional {
            self.producer.begin_transaction()?;
        }
        while let Some(message) = self.input.poll(Duration::from_millis(1)) {
            let Ok(message) = message else { continue };
            let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
            self.ticks.push(Tick::read(key, value, 0)?);
            self.send(&Topics::default().live(Timeframe::M1), key, value)?;
        }
        let mut fold = Fold::new(Rules::default());
        self.ticks.iter().try_for_each(|tick| fold.add(tick))?;
        for (timeframe, bars) in Timeframe::ALL.into_iter().zip(fold.finish()?) {
            self.finals(timeframe, &bars)?;
        }
        if self.transactional {
            self.producer.commit_transaction(LIMIT)?;
        } else {
            self.producer.flush(LIMIT)?;
        }
        Ok(())
    }

    fn finals(&mut self, timeframe: Timeframe, bars: &Bars<Expected>) -> Result<()> {
        for ((symbol, start), expected) in bars.iter().filter(|(_, expected)| expected.must) {
            if !self.done.insert((timeframe, symbol.clone(), *start)) {
                continue;
            }
            let mistake = std::env::var("STAND_IN_MISTAKE").ok().filter(|_| start % 7 == 3);
            let times = match mistake.as_deref() {
                Some("lose") => 0,
                Some("repeat") => 2,
                _ => 1,
            };
            let bar = &expected.bar;
            let number = |n: Option<u32>| n.map_or("null".to_owned(), |n| n.to_string());
            let json = format!(
                "{{\"symbol\":\"{symbol}\",\"start\":{start},\"end\":{},\"open\":{},\"high\":{},\"low\":{},\"close\":{},\"volume\":{},\
                 \"ticks\":{},\"children\":{},\"expected\":{},\"complete\":{}}}",
                expected.slot.end,
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                bar.volume,
                bar.ticks,
                number(bar.children),
                number(expected.children),
                bar.children == expected.children
            );
            let key = Final::key(symbol, expected.slot);
            for _ in 0..times {
                self.send(&Topics::default().finals(timeframe), &key, json.as_bytes())?;
            }
        }
        Ok(())
    }

    fn send(&self, topic: &str, key: &[u8], value: &[u8]) -> Result<()> {
        let record = BaseRecord::to(topic).partition(self.partition).key(key).payload(value);
        self.producer.send(record).map_err(|(error, _)| -> Error { error.into() })?;
        self.producer.poll(Duration::ZERO);
        Ok(())
    }
}
