//! Questions and orders that are answered by an event on a queue.

use super::partitions::{self, Told};
use super::{
    Event, Handle, KafkaError, NamedOffset, Partitions, Queue, c_string, opaque_of, rd, result, text,
};
use crate::broker::{Isolation, NewTopic};
use crate::record::TopicPartition;
use std::collections::BTreeMap;
use std::ffi::{CString, c_int};

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum OffsetSpec {
    Earliest,
    Latest,
    /// Of the first record at or after a time, ms.
    ForTime(i64),
}

impl OffsetSpec {
    fn number(self) -> i64 {
        match self {
            Self::Earliest => rd::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST as i64,
            Self::Latest => rd::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST as i64,
            Self::ForTime(time) => time,
        }
    }
}

/// What is asked for or ordered.
pub(in super::super) enum Question<'a> {
    /// Partition counts of topics.
    Topics(&'a [String]),
    /// Properties of topics.
    Configs(&'a [String]),
    Create(&'a [NewTopic], c_int),
    #[cfg(test)]
    Delete(&'a [String]),
    Offsets(Vec<(TopicPartition, OffsetSpec)>, Isolation),
    /// Committed offsets of a group; unanswered while a transaction with offsets is open.
    Committed(&'a str, &'a [TopicPartition]),
    DeleteRecords(&'a BTreeMap<TopicPartition, i64>),
}

/// What is told of a topic, by name.
pub(in super::super) type OfTopic<T> = (String, Result<T, KafkaError>);

/// An answer; the parts that belong to single topics or partitions have errors of their own.
pub(in super::super) enum AdminEvent {
    Topics(Vec<OfTopic<u32>>),
    Configs(Vec<OfTopic<BTreeMap<String, String>>>),
    Created(Vec<OfTopic<()>>),
    Offsets(Vec<Told>),
    Committed(Vec<Told>),
    RecordsDeleted(Vec<Told>),
}

struct Options(*mut rd::rd_kafka_AdminOptions_t);

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { rd::rd_kafka_AdminOptions_destroy(self.0) };
    }
}

impl Options {
    fn new(handle: &Handle, operation: rd::rd_kafka_admin_op_t, timeout_ms: c_int, number: u64) -> Self {
        // SAFETY: the client lives; no texts are wanted; the opaque is a number.
        unsafe {
            let options = Self(rd::rd_kafka_AdminOptions_new(handle.raw(), operation));
            rd::rd_kafka_AdminOptions_set_request_timeout(options.0, timeout_ms, std::ptr::null_mut(), 0);
            rd::rd_kafka_AdminOptions_set_opaque(options.0, opaque_of(number));
            options
        }
    }
}

impl Handle {
    /// Starts a question; its answer comes to `answers` with the number, by the deadline.
    pub(in super::super) fn ask(
        &self,
        question: &Question<'_>,
        answers: &Queue,
        timeout_ms: c_int,
        number: u64,
    ) {
        use rd::rd_kafka_admin_op_t as Op;
        let options = |operation| Options::new(self, operation, timeout_ms, number);
        match question {
            Question::Topics(names) => {
                self.ask_topics(names, &options(Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS), answers);
            }
            Question::Configs(names) => {
                self.ask_configs(names, &options(Op::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS), answers);
            }
            Question::Create(topics, replication) => {
                self.create(topics, *replication, &options(Op::RD_KAFKA_ADMIN_OP_CREATETOPICS), answers);
            }
            #[cfg(test)]
            Question::Delete(names) => {
                self.delete(names, &options(Op::RD_KAFKA_ADMIN_OP_DELETETOPICS), answers);
            }
            Question::Offsets(specs, isolation) => {
                let options = options(Op::RD_KAFKA_ADMIN_OP_LISTOFFSETS);
                self.ask_offsets(specs, *isolation, &options, answers);
            }
            Question::Committed(group, partitions) => {
                let options = options(Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
                self.ask_committed(group, partitions, &options, answers);
            }
            Question::DeleteRecords(before) => {
                self.delete_records(before, &options(Op::RD_KAFKA_ADMIN_OP_DELETERECORDS), answers);
            }
        }
    }

    fn ask_topics(&self, names: &[String], options: &Options, answers: &Queue) {
        let names: Vec<CString> = names.iter().map(|name| c_string(name)).collect();
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the names live through the calls, which copy them; the collection is destroyed once.
        unsafe {
            let topics = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            rd::rd_kafka_DescribeTopics(self.raw(), topics, options.0, answers.raw());
            rd::rd_kafka_TopicCollection_destroy(topics);
        }
    }

    fn ask_configs(&self, names: &[String], options: &Options, answers: &Queue) {
        let topic = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        // SAFETY: names end in 0 and are copied; the resources are ours and destroyed once.
        unsafe {
            let mut resources: Vec<_> = names
                .iter()
                .map(|name| rd::rd_kafka_ConfigResource_new(topic, c_string(name).as_ptr()))
                .collect();
            let (start, count) = (resources.as_mut_ptr(), resources.len());
            rd::rd_kafka_DescribeConfigs(self.raw(), start, count, options.0, answers.raw());
            rd::rd_kafka_ConfigResource_destroy_array(start, count);
        }
    }

    fn create(&self, topics: &[NewTopic], replication: c_int, options: &Options, answers: &Queue) {
        // SAFETY: strings end in 0 and are copied; the topics are ours and destroyed once; a topic that librdkafka
        // refuses (null) is left out, and is then missing.
        unsafe {
            let make = |topic: &NewTopic| {
                let name = c_string(&topic.name);
                let partitions = topic.partitions as c_int;
                let made = rd::rd_kafka_NewTopic_new(
                    name.as_ptr(),
                    partitions,
                    replication,
                    std::ptr::null_mut(),
                    0,
                );
                for (key, value) in topic.config.iter().filter(|_| !made.is_null()) {
                    let (key, value) = (c_string(key), c_string(value));
                    rd::rd_kafka_NewTopic_set_config(made, key.as_ptr(), value.as_ptr());
                }
                made
            };
            let mut orders: Vec<_> = topics.iter().map(make).filter(|made| !made.is_null()).collect();
            let (start, count) = (orders.as_mut_ptr(), orders.len());
            rd::rd_kafka_CreateTopics(self.raw(), start, count, options.0, answers.raw());
            rd::rd_kafka_NewTopic_destroy_array(start, count);
        }
    }

    #[cfg(test)]
    fn delete(&self, names: &[String], options: &Options, answers: &Queue) {
        // SAFETY: names end in 0 and are copied; the orders are ours and destroyed once.
        unsafe {
            let mut orders: Vec<_> =
                names.iter().map(|name| rd::rd_kafka_DeleteTopic_new(c_string(name).as_ptr())).collect();
            let (start, count) = (orders.as_mut_ptr(), orders.len());
            rd::rd_kafka_DeleteTopics(self.raw(), start, count, options.0, answers.raw());
            rd::rd_kafka_DeleteTopic_destroy_array(start, count);
        }
    }

    fn ask_offsets(
        &self,
        specs: &[(TopicPartition, OffsetSpec)],
        isolation: Isolation,
        options: &Options,
        answers: &Queue,
    ) {
        use rd::rd_kafka_IsolationLevel_t as Level;
        let level = match isolation {
            Isolation::ReadUncommitted => Level::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
            Isolation::ReadCommitted => Level::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        };
        let list = Partitions::at(specs.iter().map(|(partition, spec)| (partition, spec.number())));
        // SAFETY: the list is copied; the error object is taken; options live through the call.
        unsafe {
            KafkaError::take(rd::rd_kafka_AdminOptions_set_isolation_level(options.0, level)).ok();
            rd::rd_kafka_ListOffsets(self.raw(), list.raw(), options.0, answers.raw());
        }
    }

    fn ask_committed(&self, group: &str, of: &[TopicPartition], options: &Options, answers: &Queue) {
        let list = Partitions::at(of.iter().map(|partition| (partition, NamedOffset::default().offset)));
        let group = c_string(group);
        // SAFETY: strings and list are copied; the question is ours and destroyed once.
        unsafe {
            KafkaError::take(rd::rd_kafka_AdminOptions_set_require_stable_offsets(options.0, 1)).ok();
            let mut question = rd::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list.raw());
            rd::rd_kafka_ListConsumerGroupOffsets(self.raw(), &raw mut question, 1, options.0, answers.raw());
            rd::rd_kafka_ListConsumerGroupOffsets_destroy(question);
        }
    }

    fn delete_records(&self, before: &BTreeMap<TopicPartition, i64>, options: &Options, answers: &Queue) {
        let list = Partitions::at(before.iter().map(|(partition, offset)| (partition, *offset)));
        // SAFETY: the list is copied; the order is ours and destroyed once.
        unsafe {
            let mut order = rd::rd_kafka_DeleteRecords_new(list.raw());
            rd::rd_kafka_DeleteRecords(self.raw(), &raw mut order, 1, options.0, answers.raw());
            rd::rd_kafka_DeleteRecords_destroy(order);
        }
    }

    /// The names of all topics and their partition counts. Waits for a broker.
    pub(in super::super) fn all_topics(
        &self,
        timeout_ms: c_int,
    ) -> Result<BTreeMap<String, u32>, KafkaError> {
        let mut metadata = std::ptr::null();
        // SAFETY: the answer is ours, read within its counts, and destroyed once.
        unsafe {
            result(rd::rd_kafka_metadata(
                self.raw(),
                1,
                std::ptr::null_mut(),
                &raw mut metadata,
                timeout_ms,
            ))?;
            let told = &*metadata;
            let topics =
                std::slice::from_raw_parts(told.topics, usize::try_from(told.topic_cnt).unwrap_or(0));
            let found = topics
                .iter()
                .filter(|topic| result(topic.err).is_ok())
                .map(|topic| (text(topic.topic), u32::try_from(topic.partition_cnt).unwrap_or(0)))
                .collect();
            rd::rd_kafka_metadata_destroy(metadata);
            Ok(found)
        }
    }
}

impl AdminEvent {
    /// The answer in an event of this kind; `None`: an event of another kind.
    pub(super) fn of(event: &Event, kind: c_int) -> Option<Self> {
        // SAFETY: results belong to the event, which lives through the call; arrays have the counts that are told.
        unsafe {
            match kind {
                rd::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT => {
                    let result = rd::rd_kafka_event_DescribeTopics_result(event.raw());
                    let each = |count: &mut usize| rd::rd_kafka_DescribeTopics_result_topics(result, count);
                    Some(Self::Topics(all(each).map(|topic| described(topic)).collect()))
                }
                rd::RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT => {
                    let result = rd::rd_kafka_event_DescribeConfigs_result(event.raw());
                    let each =
                        |count: &mut usize| rd::rd_kafka_DescribeConfigs_result_resources(result, count);
                    Some(Self::Configs(all(each).map(|resource| configured(resource)).collect()))
                }
                rd::RD_KAFKA_EVENT_CREATETOPICS_RESULT => {
                    let result = rd::rd_kafka_event_CreateTopics_result(event.raw());
                    let each = |count: &mut usize| rd::rd_kafka_CreateTopics_result_topics(result, count);
                    Some(Self::Created(all(each).map(|topic| created(topic)).collect()))
                }
                rd::RD_KAFKA_EVENT_DELETETOPICS_RESULT => Some(Self::Created(Vec::new())),
                rd::RD_KAFKA_EVENT_LISTOFFSETS_RESULT => {
                    let result = rd::rd_kafka_event_ListOffsets_result(event.raw());
                    let each = |count: &mut usize| rd::rd_kafka_ListOffsets_result_infos(result, count);
                    Some(Self::Offsets(all(each).map(|info| told(info)).collect()))
                }
                rd::RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT => {
                    let result = rd::rd_kafka_event_ListConsumerGroupOffsets_result(event.raw());
                    let each = |count: &mut usize| {
                        rd::rd_kafka_ListConsumerGroupOffsets_result_groups(result, count)
                    };
                    let groups = all(each);
                    Some(Self::Committed(
                        groups
                            .flat_map(|group| partitions::read(rd::rd_kafka_group_result_partitions(group)))
                            .collect(),
                    ))
                }
                rd::RD_KAFKA_EVENT_DELETERECORDS_RESULT => {
                    let result = rd::rd_kafka_event_DeleteRecords_result(event.raw());
                    let list = if result.is_null() {
                        std::ptr::null()
                    } else {
                        rd::rd_kafka_DeleteRecords_result_offsets(result)
                    };
                    Some(Self::RecordsDeleted(partitions::read(list).collect()))
                }
                _ => None,
            }
        }
    }
}

/// The elements of an array that C tells with a count.
///
/// # Safety
/// The array that `each` gives lives as long as the iterator, and has the count that it sets.
unsafe fn all<T>(each: impl FnOnce(&mut usize) -> *mut *const T) -> impl Iterator<Item = *const T> {
    let mut count = 0;
    let start = each(&mut count);
    let count = if start.is_null() { 0 } else { count };
    // SAFETY: as this function's own condition.
    (0..count).map(move |at| unsafe { *start.add(at) })
}

unsafe fn described(topic: *const rd::rd_kafka_TopicDescription_t) -> (String, Result<u32, KafkaError>) {
    // SAFETY: `topic` lives; its error may be null or stand for success.
    unsafe {
        let name = text(rd::rd_kafka_TopicDescription_name(topic));
        let error = rd::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            let error = KafkaError::read(error);
            if error.code != rdkafka::types::RDKafkaErrorCode::NoError {
                return (name, Err(error));
            }
        }
        let mut count = 0;
        rd::rd_kafka_TopicDescription_partitions(topic, &raw mut count);
        (name, Ok(count as u32))
    }
}

unsafe fn configured(
    resource: *const rd::rd_kafka_ConfigResource_t,
) -> (String, Result<BTreeMap<String, String>, KafkaError>) {
    // SAFETY: `resource` and its entries live; strings end in 0.
    unsafe {
        let name = text(rd::rd_kafka_ConfigResource_name(resource));
        if let Err(error) = result(rd::rd_kafka_ConfigResource_error(resource)) {
            let message = text(rd::rd_kafka_ConfigResource_error_string(resource));
            return (name, Err(KafkaError { message, ..error }));
        }
        let entries = all(|count| rd::rd_kafka_ConfigResource_configs(resource, count));
        let read =
            |entry| (text(rd::rd_kafka_ConfigEntry_name(entry)), text(rd::rd_kafka_ConfigEntry_value(entry)));
        (name, Ok(entries.map(read).collect()))
    }
}

unsafe fn created(topic: *const rd::rd_kafka_topic_result_t) -> (String, Result<(), KafkaError>) {
    // SAFETY: `topic` lives; strings end in 0.
    unsafe {
        let name = text(rd::rd_kafka_topic_result_name(topic));
        let made = result(rd::rd_kafka_topic_result_error(topic)).map_err(|error| KafkaError {
            message: text(rd::rd_kafka_topic_result_error_string(topic)),
            ..error
        });
        (name, made)
    }
}

unsafe fn told(info: *const rd::rd_kafka_ListOffsetsResultInfo_t) -> Told {
    // SAFETY: `info` and its partition live; the name ends in 0.
    unsafe {
        let entry = &*rd::rd_kafka_ListOffsetsResultInfo_topic_partition(info);
        Told {
            partition: TopicPartition::new(text(entry.topic), u32::try_from(entry.partition).unwrap_or(0)),
            offset: entry.offset,
            metadata: Vec::new(),
            error: result(entry.err).err(),
        }
    }
}
