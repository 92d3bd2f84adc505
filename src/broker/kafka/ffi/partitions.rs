//! Lists of partitions with offsets, metadata and errors.

use super::{KafkaError, rd, result, text};
use crate::record::TopicPartition;
use std::ffi::c_void;
use std::ptr::NonNull;

/// An offset and its metadata as bytes, which a broker does not ask to be UTF-8.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct NamedOffset {
    pub(in super::super) offset: i64,
    pub(in super::super) metadata: Vec<u8>,
}

/// What a list says of one partition.
#[derive(Clone, Debug)]
pub(in super::super) struct Told {
    pub(in super::super) partition: TopicPartition,
    pub(in super::super) offset: i64,
    pub(in super::super) metadata: Vec<u8>,
    pub(in super::super) error: Option<KafkaError>,
}

/// librdkafka's list of partitions, owned.
pub(in super::super) struct Partitions(NonNull<rd::rd_kafka_topic_partition_list_t>);

// SAFETY: a plain list in memory, used through one owner.
unsafe impl Send for Partitions {}

impl Drop for Partitions {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.raw()) };
    }
}

impl Partitions {
    pub(in super::super) fn new() -> Self {
        // SAFETY: makes a list that is ours. librdkafka aborts the process where there is no memory.
        let raw = unsafe { rd::rd_kafka_topic_partition_list_new(8) };
        Self(NonNull::new(raw).unwrap_or(NonNull::dangling()))
    }

    /// A list of these, at an offset each.
    pub(in super::super) fn at<'a>(entries: impl IntoIterator<Item = (&'a TopicPartition, i64)>) -> Self {
        let mut list = Self::new();
        for (partition, offset) in entries {
            list.push(
                &partition.topic,
                partition.partition as i32,
                &NamedOffset { offset, metadata: Vec::new() },
            );
        }
        list
    }

    pub(super) fn raw(&self) -> *mut rd::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }

    /// Adds a partition; -1 for a whole topic.
    pub(in super::super) fn push(&mut self, topic: &str, partition: i32, offset: &NamedOffset) {
        let topic = super::c_string(topic);
        // SAFETY: the name ends in 0 and is copied; the entry lives until the list changes; its metadata is memory that
        // librdkafka frees with `free`, so it is allocated by librdkafka's own function.
        unsafe {
            let entry = rd::rd_kafka_topic_partition_list_add(self.raw(), topic.as_ptr(), partition);
            (*entry).offset = offset.offset;
            if !offset.metadata.is_empty() {
                let size = offset.metadata.len();
                let copy = rd::rd_kafka_mem_malloc(std::ptr::null_mut(), size).cast::<u8>();
                std::ptr::copy_nonoverlapping(offset.metadata.as_ptr(), copy, size);
                (*entry).metadata = copy.cast::<c_void>();
                (*entry).metadata_size = size;
            }
        }
    }

    pub(in super::super) fn iter(&self) -> impl Iterator<Item = Told> + '_ {
        // SAFETY: the list is ours and is not changed while it is borrowed.
        unsafe { read(self.raw()) }
    }
}

/// # Safety
/// `list` is null or a list that lives, unchanged, as long as the iterator.
pub(super) unsafe fn read<'a>(
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> impl Iterator<Item = Told> + 'a {
    // SAFETY: as this function's own condition.
    let count = if list.is_null() { 0 } else { unsafe { (*list).cnt } };
    (0..usize::try_from(count).unwrap_or(0)).map(move |at| {
        // SAFETY: `at` is below the count; names end in 0; metadata has the size that is told.
        unsafe {
            let entry = &*(*list).elems.add(at);
            let metadata = if entry.metadata.is_null() {
                Vec::new()
            } else {
                std::slice::from_raw_parts(entry.metadata.cast::<u8>(), entry.metadata_size).to_vec()
            };
            Told {
                partition: TopicPartition::new(
                    text(entry.topic),
                    u32::try_from(entry.partition).unwrap_or(0),
                ),
                offset: entry.offset,
                metadata,
                error: result(entry.err).err(),
            }
        }
    })
}
