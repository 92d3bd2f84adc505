//! Calls of a transactional producer. All but `begin` wait for a broker; they belong on a thread of their own.

use super::{Handle, KafkaError, Partitions, c_string, rd};
use crate::broker::GroupMetadata;
use std::ffi::c_int;

impl Handle {
    pub(in super::super) fn init_transactions(&self, timeout_ms: c_int) -> Result<(), KafkaError> {
        // SAFETY: the client lives; may be called from one thread at a time, which the producer sees to.
        KafkaError::take(unsafe { rd::rd_kafka_init_transactions(self.raw(), timeout_ms) })
    }

    pub(in super::super) fn begin_transaction(&self) -> Result<(), KafkaError> {
        // SAFETY: the client lives.
        KafkaError::take(unsafe { rd::rd_kafka_begin_transaction(self.raw()) })
    }

    /// The crate can only pass on what a consumer object says of itself at that moment; here it is what was read and
    /// checked before.
    pub(in super::super) fn send_offsets(
        &self,
        offsets: &Partitions,
        from: &GroupMetadata,
        timeout_ms: c_int,
    ) -> Result<(), KafkaError> {
        let (group, member) = (c_string(&from.group), c_string(&from.member));
        // SAFETY: the strings end in 0 and are copied; the metadata is ours, and destroyed once.
        unsafe {
            let metadata = rd::rd_kafka_consumer_group_metadata_new_with_genid(
                group.as_ptr(),
                from.generation,
                member.as_ptr(),
                std::ptr::null(),
            );
            let sent =
                rd::rd_kafka_send_offsets_to_transaction(self.raw(), offsets.raw(), metadata, timeout_ms);
            rd::rd_kafka_consumer_group_metadata_destroy(metadata);
            KafkaError::take(sent)
        }
    }

    /// Through C, with another thread that takes the delivery reports: the crate's own call polls in steps of 100 ms.
    pub(in super::super) fn commit_transaction(&self, timeout_ms: c_int) -> Result<(), KafkaError> {
        // SAFETY: the client lives.
        KafkaError::take(unsafe { rd::rd_kafka_commit_transaction(self.raw(), timeout_ms) })
    }

    pub(in super::super) fn abort_transaction(&self, timeout_ms: c_int) -> Result<(), KafkaError> {
        // SAFETY: the client lives.
        KafkaError::take(unsafe { rd::rd_kafka_abort_transaction(self.raw(), timeout_ms) })
    }

    /// Gives up what was handed over and is not sent.
    pub(in super::super) fn purge(&self) {
        let what =
            rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_INFLIGHT | rd::RD_KAFKA_PURGE_F_NON_BLOCKING;
        // SAFETY: the client lives.
        unsafe { rd::rd_kafka_purge(self.raw(), what) };
    }

    /// Sends what waits, without waiting for `linger.ms`.
    pub(in super::super) fn flush_now(&self) {
        // SAFETY: the client lives; with no time it only wakes the senders.
        unsafe { rd::rd_kafka_flush(self.raw(), 0) };
    }
}
