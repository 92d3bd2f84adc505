//! Each call on librdkafka's mock cluster, which runs in the client. It shows how the client behaves, not what a broker
//! keeps: that is for the contract suite on Apache Kafka.

use super::*;
use crate::broker::{Isolation, LogRecord, Outgoing};
use crate::record::{Headers, TopicPartition};
use crate::time::Timestamp;
use std::sync::mpsc;
use std::time::Duration;

const TOPIC: &str = "ticks";
/// Looks of `LOOK_MS` after which something has failed to come.
const PATIENCE: usize = 200;
const LOOK_MS: c_int = 50;
const ANSWER_MS: c_int = 10_000;

fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A cluster of one broker with one topic of two partitions, and the client it lives in.
struct Mock {
    _owner: Handle,
    bootstrap: String,
}

impl Mock {
    fn new() -> Self {
        let owner = Handle::new(Kind::Producer, &config(&[("test.mock.num.brokers", "1")])).expect("a mock");
        // SAFETY: the cluster belongs to the client, which `Mock` keeps; the names end in 0.
        let bootstrap = unsafe {
            let cluster = rd::rd_kafka_handle_mock_cluster(owner.raw());
            assert!(!cluster.is_null());
            let made = rd::rd_kafka_mock_topic_create(cluster, c_string(TOPIC).as_ptr(), 2, 1);
            result(made).expect("a topic");
            text(rd::rd_kafka_mock_cluster_bootstraps(cluster))
        };
        Self { _owner: owner, bootstrap }
    }

    fn client(&self, kind: Kind, more: &[(&str, &str)]) -> Handle {
        let mut all = config(&[("bootstrap.servers", &self.bootstrap)]);
        all.extend(config(more));
        Handle::new(kind, &all).expect("a client")
    }

    fn consumer(&self, more: &[(&str, &str)]) -> Handle {
        let fixed = [("group.id", "bars"), ("enable.auto.commit", "false"), ("enable.partition.eof", "true")];
        self.client(Kind::Consumer, &[&fixed, more].concat())
    }

    fn producer(&self, more: &[(&str, &str)]) -> Handle {
        self.client(Kind::Producer, &[&[("enable.idempotence", "true"), ("linger.ms", "1")], more].concat())
    }

    /// Values at the front of partition 0, handed over and acknowledged.
    fn write(&self, values: &[&str]) {
        let producer = self.producer(&[]);
        let mut topics = TopicHandles::new(&producer);
        for (number, value) in (0..).zip(values) {
            topics.produce(&record(None, Some(value.as_bytes())), number).expect("taken");
        }
        assert_eq!(delivered(&producer, values.len()).len(), values.len());
    }
}

fn ticks(partition: u32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> Outgoing {
    Outgoing {
        target: ticks(0),
        timestamp: Timestamp(1_000),
        key: key.map(Into::into),
        value: value.map(Into::into),
        headers: Headers::new(),
    }
}

/// Offsets by number, as the producer's queue reports them.
fn delivered(producer: &Handle, count: usize) -> BTreeMap<u64, Result<i64, RDKafkaErrorCode>> {
    let main = Queue::main(producer).expect("a queue");
    let mut offsets = BTreeMap::new();
    for _ in 0..PATIENCE {
        let Some(event) = main.poll(LOOK_MS) else { continue };
        if let Notice::Deliveries(deliveries) = event.told() {
            for delivery in deliveries {
                assert_eq!((delivery.topic().as_str(), delivery.partition()), (TOPIC, 0));
                offsets.insert(delivery.number(), delivery.offset().map_err(|error| error.code));
            }
        }
        if offsets.len() >= count {
            return offsets;
        }
    }
    panic!("{} of {count} records were reported", offsets.len());
}

/// The first event of the queue of which `wanted` makes something.
fn event<T>(queue: &Queue, mut wanted: impl FnMut(Notice<'_>) -> Option<T>) -> T {
    let mut looks = (0..PATIENCE).filter_map(|_| queue.poll(LOOK_MS));
    looks.find_map(|event| wanted(event.told())).expect("an event")
}

/// The answer to a question.
fn answer(handle: &Handle, question: &Question<'_>) -> Result<AdminEvent, KafkaError> {
    answer_within(ANSWER_MS, handle, question)
}

fn answer_within(ms: c_int, handle: &Handle, question: &Question<'_>) -> Result<AdminEvent, KafkaError> {
    let answers = Queue::new(handle).expect("a queue");
    handle.ask(question, &answers, ms, 7);
    let event = answers.poll(2 * ANSWER_MS).expect("an answer");
    assert_eq!(event.number(), 7);
    event.result()?;
    match event.told() {
        Notice::Admin(told) => Ok(told),
        _ => panic!("another kind of event"),
    }
}

/// A consumer that reads partition 0 from an offset.
fn reader(mock: &Mock, from: i64) -> (Handle, Queue) {
    let consumer = mock.consumer(&[]);
    let queue = Queue::partition(&consumer, TOPIC, 0).expect("a queue");
    consumer.assign(Some(&Partitions::at([(&ticks(0), from)]))).expect("assigned");
    (consumer, queue)
}

/// Records up to the end of the partition, and that end.
fn read(queue: &Queue) -> (Vec<LogRecord>, i64) {
    let (mut records, mut end) = (Vec::new(), None);
    for _ in 0..PATIENCE {
        queue.take(100, |item| match item {
            Item::Record(record) => records.push(record),
            Item::End(offset) => end = Some(offset),
            Item::Error(error) => panic!("{}", error.message),
        });
        if let Some(end) = end {
            return (records, end);
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("the end was not reached behind {} records", records.len());
}

#[test]
fn a_refused_property_is_named_and_its_value_is_not() {
    let refused = |key, value| Handle::new(Kind::Consumer, &config(&[(key, value)])).err().expect("refused");
    let unknown = refused("sasl.passwort", "hunter2");
    assert!(unknown.contains("sasl.passwort") && !unknown.contains("hunter2"), "{unknown}");
    let invalid = refused("security.protocol", "hunter2");
    assert!(invalid.contains("security.protocol") && !invalid.contains("hunter2"), "{invalid}");
}

#[test]
fn a_record_comes_back_as_it_was_handed_over() {
    let mock = Mock::new();
    let producer = mock.producer(&[]);
    let mut headers = Headers::new();
    headers.push([0xFF, 0xFE], Some(vec![0, 1]));
    headers.push("none", None::<Vec<u8>>);
    let written = [
        Outgoing { headers: headers.clone(), ..record(Some(b"EURUSD"), Some(b"1.1")) },
        record(Some(b""), None),
        Outgoing { timestamp: Timestamp(0), ..record(None, Some(b"")) },
    ];
    let mut topics = TopicHandles::new(&producer);
    for (number, record) in (40..).zip(&written) {
        topics.produce(record, number).expect("taken");
    }
    producer.flush_now();
    assert_eq!(delivered(&producer, 3), BTreeMap::from([(40, Ok(0)), (41, Ok(1)), (42, Ok(2))]));

    let (consumer, queue) = reader(&mock, 0);
    let (records, end) = read(&queue);
    assert_eq!((records.len(), end), (3, 3));
    for (record, written) in records.iter().zip(&written) {
        assert_eq!((&record.key, &record.value), (&written.key, &written.value));
        assert_eq!(record.headers, written.headers);
    }
    let times: Vec<i64> = records.iter().map(|record| record.timestamp.0).collect();
    assert_eq!(times, [1_000, 1_000, 1], "0 would be taken for now");
    // The event of the end is counted as a record, if a batch holds it: whoever asks has to know.
    assert_eq!(consumer.position(TOPIC, 0), 4);
    assert_eq!(consumer.known_end(TOPIC, 0), Some(3));
    assert_eq!(consumer.known_end(TOPIC, 1), None, "nothing was fetched there");
}

#[test]
fn a_record_for_a_partition_that_is_not_there_fails() {
    let mock = Mock::new();
    let producer = mock.producer(&[("message.timeout.ms", "2000"), ("enable.idempotence", "false")]);
    let main = Queue::main(&producer).expect("a queue");
    let elsewhere = Outgoing { target: ticks(9), ..record(None, Some(b"lost")) };
    let refused = match TopicHandles::new(&producer).produce(&elsewhere, 1) {
        Err(error) => error,
        Ok(()) => event(&main, |notice| match notice {
            Notice::Deliveries(mut all) => all.find_map(|delivery| delivery.offset().err()),
            _ => None,
        }),
    };
    assert_eq!(refused.code, RDKafkaErrorCode::UnknownPartition, "{}", refused.message);
}

#[test]
fn a_reader_seeks_pauses_and_goes_on() {
    let mock = Mock::new();
    mock.write(&["a", "b", "c"]);
    let (consumer, queue) = reader(&mock, 1);
    let values = |records: &[LogRecord]| -> Vec<String> {
        records.iter().map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or(b"")).into()).collect()
    };
    assert_eq!(values(&read(&queue).0), ["b", "c"]);

    let at = |offset| Partitions::at([(&ticks(0), offset)]);
    consumer.pause(&at(0)).expect("paused");
    consumer.seek(&mut at(0), 1_000).expect("sought");
    std::thread::park_timeout(Duration::from_millis(300));
    queue.take(10, |_| panic!("a paused partition gives nothing out"));
    consumer.resume(&at(0)).expect("resumed");
    assert_eq!(values(&read(&queue).0), ["a", "b", "c"]);

    let mut other = Partitions::at([(&ticks(1), 0)]);
    let told = consumer.seek(&mut other, 1_000);
    assert!(told.is_err() || other.iter().any(|told| told.error.is_some()), "it is not assigned");
}

#[test]
fn whoever_waits_is_woken() {
    let mock = Mock::new();
    let (consumer, mut queue) = reader(&mock, 0);
    // Only what comes into an empty queue wakes.
    read(&queue);
    let (told, waiting) = mpsc::channel();
    queue.wake(Arc::new(move || {
        told.send(()).ok();
    }));
    mock.write(&["a"]);
    waiting.recv_timeout(Duration::from_secs(10)).expect("woken");
    // Nothing is called after the queue is gone, and the client outlives it.
    drop(queue);
    assert!(consumer.fatal_error().is_none());
}

/// Polls the group's queue until a member owns both partitions; what it owns then.
fn join(consumer: &Handle, events: &Queue) -> Vec<TopicPartition> {
    consumer.subscribe(&[TOPIC.to_owned()]).expect("subscribed");
    event(events, |notice| match notice {
        Notice::Assigned(partitions) => Some(partitions),
        _ => None,
    })
}

#[test]
fn a_member_joins_commits_and_leaves() {
    let mock = Mock::new();
    let consumer = mock.consumer(&[("session.timeout.ms", "6000")]);
    let outside = consumer.group_metadata();
    assert!(outside.generation < 0 && outside.member.is_empty(), "{outside:?}");
    let events = Queue::consumer(&consumer).expect("a queue");
    let owned = join(&consumer, &events);
    assert_eq!(owned, [ticks(0), ticks(1)]);
    assert!(!consumer.is_cooperative());
    consumer.assign(Some(&Partitions::at(owned.iter().map(|p| (p, 0))))).expect("assigned");
    let member = consumer.group_metadata();
    assert!(member.group == "bars" && member.generation >= 0 && !member.member.is_empty(), "{member:?}");
    assert!(!consumer.assignment_lost());

    let mut offsets = Partitions::new();
    offsets.push(TOPIC, 0, &NamedOffset { offset: 5, metadata: b"mark".to_vec() });
    let answers = Queue::new(&consumer).expect("a queue");
    consumer.commit(&offsets, &answers, 77).expect("started");
    let (number, told) = event(&answers, |notice| match notice {
        Notice::Committed(number, told, done) => Some((number, done.map(|()| told))),
        _ => None,
    });
    let told = told.expect("committed");
    assert_eq!((number, told[0].offset, told[0].error.clone()), (77, 5, None));

    consumer.assign(None).expect("given back");
    consumer.close(&events).expect("leaving");
    for _ in 0..PATIENCE {
        if consumer.is_closed() {
            break;
        }
        if let Some(Notice::Revoked(_)) = events.poll(LOOK_MS).as_ref().map(Event::told) {
            consumer.assign(None).expect("given back");
        }
    }
    assert!(consumer.is_closed());
    let question = [ticks(0)];
    let reader = mock.consumer(&[]);
    let Ok(AdminEvent::Committed(told)) = answer(&reader, &Question::Committed("bars", &question)) else {
        panic!("no committed offsets")
    };
    assert_eq!((told[0].offset, &*told[0].metadata), (5, &b"mark"[..]));
}

#[test]
fn a_cooperative_member_takes_and_gives_single_partitions() {
    let mock = Mock::new();
    let consumer = mock.consumer(&[("partition.assignment.strategy", "cooperative-sticky")]);
    let events = Queue::consumer(&consumer).expect("a queue");
    let owned = join(&consumer, &events);
    assert!(consumer.is_cooperative());
    let list = |partitions: &[TopicPartition]| Partitions::at(partitions.iter().map(|p| (p, 0)));
    consumer.incremental_assign(&list(&owned)).expect("taken");
    let again = consumer.incremental_assign(&list(&owned)).expect_err("it has them already");
    assert!(!again.fatal, "{}", again.message);
    consumer.incremental_unassign(&list(&owned[..1])).expect("given back");
    consumer.incremental_unassign(&list(&owned[..1])).expect_err("it has it no more");
}

#[test]
fn transactions_begin_commit_and_abort() {
    let mock = Mock::new();
    let producer = mock.producer(&[("transactional.id", "bars-0")]);
    let early = producer.begin_transaction().expect_err("before it is initialised");
    assert_eq!(early.code, RDKafkaErrorCode::State, "{}", early.message);
    producer.init_transactions(ANSWER_MS).expect("initialised");
    let mut topics = TopicHandles::new(&producer);

    producer.begin_transaction().expect("begun");
    topics.produce(&record(None, Some(b"a")), 1).expect("taken");
    let member = GroupMetadata { group: "bars".into(), member: "m".into(), generation: 1 };
    let offsets = Partitions::at([(&ticks(1), 3)]);
    producer.send_offsets(&offsets, &member, ANSWER_MS).expect("offsets");
    // A commit waits until the delivery reports are taken, which is another thread's work.
    let reports = {
        let producer = producer.clone();
        std::thread::spawn(move || delivered(&producer, 1))
    };
    producer.commit_transaction(ANSWER_MS).expect("committed");
    assert_eq!(reports.join().expect("reports"), BTreeMap::from([(1, Ok(0))]));

    producer.begin_transaction().expect("begun");
    topics.produce(&record(None, Some(b"b")), 2).expect("taken");
    producer.purge();
    let reports = {
        let producer = producer.clone();
        std::thread::spawn(move || delivered(&producer, 1))
    };
    producer.abort_transaction(ANSWER_MS).expect("aborted");
    assert!(reports.join().expect("reports").contains_key(&2));
    assert!(producer.commit_transaction(ANSWER_MS).is_err(), "none is open");
    assert!(producer.fatal_error().is_none());
}

#[test]
fn offsets_and_topics_are_told() {
    let mock = Mock::new();
    mock.write(&["a", "b"]);
    let handle = mock.consumer(&[]);
    assert_eq!(handle.all_topics(ANSWER_MS).expect("topics").get(TOPIC), Some(&2));
    for (spec, offset) in [(OffsetSpec::Earliest, 0), (OffsetSpec::Latest, 2)] {
        let question = Question::Offsets(vec![(ticks(0), spec)], Isolation::ReadUncommitted);
        let Ok(AdminEvent::Offsets(told)) = answer(&handle, &question) else { panic!("no offsets") };
        assert_eq!((&told[0].partition, told[0].offset), (&ticks(0), offset));
    }
}

/// The mock answers none of these, so that much is shown: each comes to an end, with an error and its number.
#[test]
fn a_question_that_a_broker_does_not_know_is_answered() {
    let mock = Mock::new();
    let handle = mock.consumer(&[]);
    let names = [TOPIC.to_owned()];
    let topics = [crate::broker::NewTopic {
        name: "new".into(),
        partitions: 1,
        config: config(&[("retention.ms", "-1")]),
    }];
    let before = BTreeMap::from([(ticks(0), 1)]);
    let questions = [
        Question::Configs(&names),
        Question::Create(&topics, 1),
        Question::Delete(&names),
        Question::DeleteRecords(&before),
    ];
    for question in &questions {
        let error = match answer_within(500, &handle, question) {
            Err(error) => error,
            Ok(AdminEvent::RecordsDeleted(told)) => told[0].error.clone().expect("an error"),
            Ok(_) => panic!("the mock cluster cannot do this"),
        };
        assert_ne!(error.code, RDKafkaErrorCode::NoError, "{}", error.message);
    }
}

#[test]
fn lists_keep_offsets_and_any_metadata() {
    let mut list = Partitions::new();
    list.push(TOPIC, 1, &NamedOffset { offset: 9, metadata: vec![0xFF, 0, 0xFE] });
    list.push(TOPIC, 0, &NamedOffset { offset: 4, metadata: Vec::new() });
    let told: Vec<_> = list.iter().map(|told| (told.partition, told.offset, told.metadata)).collect();
    assert_eq!(told, [(ticks(1), 9, vec![0xFF, 0, 0xFE]), (ticks(0), 4, Vec::new())]);
}

#[test]
fn errors_and_logs_come_to_the_clients_queue() {
    let nobody = config(&[("bootstrap.servers", "127.0.0.1:1"), ("debug", "broker")]);
    let handle = Handle::new(Kind::Producer, &nobody).expect("a client");
    let main = Queue::main(&handle).expect("a queue");
    let (mut line, mut error) = (None, None);
    for _ in 0..PATIENCE {
        match main.poll(LOOK_MS).as_ref().map(Event::told) {
            Some(Notice::Log(severity, text)) => line = Some((severity, text)),
            Some(Notice::Error(told)) => error = Some(told),
            _ => {}
        }
        if line.is_some() && error.is_some() {
            break;
        }
    }
    let error = error.expect("an error");
    assert!(
        matches!(error.code, RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown),
        "{}",
        error.message
    );
    assert_eq!(line.expect("a line").0, Severity::Debug);
}
