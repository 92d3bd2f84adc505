//! librdkafka's C functions behind safe types: the only `unsafe` code of the crate.
//!
//! The crate's own wrappers are not used where they cost or lose something: a commit of 100 ms instead of a few, a panic
//! on a header that is not UTF-8, batches from partition queues. Invariant: every pointer is owned by exactly one type
//! here, whose `Drop` gives it back, and everything that belongs to a client keeps that client alive.

#![expect(unsafe_code, reason = "the one module that calls C")]

mod admin;
mod event;
mod message;
mod outgoing;
mod partitions;
mod queue;
#[cfg(test)]
mod tests;
mod transactions;

pub(super) use admin::{AdminEvent, OfTopic, OffsetSpec, Question};
pub(super) use event::{Event, Notice, Severity};
use message::Message;
pub(super) use message::{Delivery, Item};
pub(super) use outgoing::TopicHandles;
pub(super) use partitions::{NamedOffset, Partitions, Told};
pub(super) use queue::Queue;

use crate::broker::GroupMetadata;
use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::NonNull;
use std::sync::Arc;

/// Room for librdkafka's error texts.
const TEXT_BYTES: usize = 512;

/// An error of librdkafka or of a broker, with what librdkafka says should be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KafkaError {
    pub(super) code: RDKafkaErrorCode,
    pub(super) message: String,
    pub(super) fatal: bool,
    pub(super) retriable: bool,
    pub(super) abort: bool,
}

impl KafkaError {
    fn of_code(code: rd::rd_kafka_resp_err_t) -> Self {
        // SAFETY: returns a static string for any code.
        let message = unsafe { text(rd::rd_kafka_err2str(code)) };
        Self { code: code.into(), message, fatal: false, retriable: false, abort: false }
    }

    /// Takes an error object; null is success.
    fn take(error: *mut rd::rd_kafka_error_t) -> Result<(), Self> {
        if error.is_null() {
            return Ok(());
        }
        let read = Self::read(error);
        // SAFETY: an error returned by a call is owned by the caller and destroyed once.
        unsafe { rd::rd_kafka_error_destroy(error) };
        Err(read)
    }

    fn read(error: *const rd::rd_kafka_error_t) -> Self {
        // SAFETY: `error` is not null and lives through these calls, which only read it.
        unsafe {
            Self {
                code: rd::rd_kafka_error_code(error).into(),
                message: text(rd::rd_kafka_error_string(error)),
                fatal: rd::rd_kafka_error_is_fatal(error) != 0,
                retriable: rd::rd_kafka_error_is_retriable(error) != 0,
                abort: rd::rd_kafka_error_txn_requires_abort(error) != 0,
            }
        }
    }
}

fn result(code: rd::rd_kafka_resp_err_t) -> Result<(), KafkaError> {
    if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    Err(KafkaError::of_code(code))
}

/// A C string as text; what is not UTF-8 is replaced, null is empty.
///
/// # Safety
/// `pointer` is null or a string that ends in 0 and lives through the call.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as this function's own condition.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Text for C; a 0 inside ends it there, as C would read it.
fn c_string(value: &str) -> CString {
    let until = value.split('\0').next().unwrap_or_default();
    CString::new(until).unwrap_or_default()
}

/// What a client is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Consumer,
    Producer,
}

/// A client of librdkafka with its threads. Clones share it; the last one ends it.
#[derive(Clone)]
pub(super) struct Handle(Arc<Owned>);

struct Owned(NonNull<rd::rd_kafka_t>);

// SAFETY: librdkafka documents all functions of a client as thread-safe.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        // Without a close: a consumer that is dropped with a deferred revocation would wait for ever, and one that is
        // meant to leave its group has left it before.
        // SAFETY: the last user of the client is gone, and it is destroyed once.
        unsafe { rd::rd_kafka_destroy_flags(self.0.as_ptr(), rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) };
    }
}

impl Handle {
    /// # Errors
    /// A property that librdkafka does not know or whose value it does not take: named without the value, which may
    /// be a password.
    pub(super) fn new(kind: Kind, config: &BTreeMap<String, String>) -> Result<Self, String> {
        let events = match kind {
            Kind::Consumer => rd::RD_KAFKA_EVENT_REBALANCE | rd::RD_KAFKA_EVENT_OFFSET_COMMIT,
            Kind::Producer => rd::RD_KAFKA_EVENT_DR,
        };
        let native_kind = match kind {
            Kind::Consumer => rd::rd_kafka_type_t::RD_KAFKA_CONSUMER,
            Kind::Producer => rd::rd_kafka_type_t::RD_KAFKA_PRODUCER,
        };
        let config = Config::new(config)?;
        let mut why = [0 as c_char; TEXT_BYTES];
        // SAFETY: the configuration is given away only if a client is made; `why` has the size that is told.
        let client = unsafe {
            rd::rd_kafka_conf_set_events(config.0.as_ptr(), events | rd::RD_KAFKA_EVENT_ERROR);
            rd::rd_kafka_new(native_kind, config.0.as_ptr(), why.as_mut_ptr(), why.len())
        };
        let Some(client) = NonNull::new(client) else {
            // SAFETY: librdkafka ends its text in 0.
            return Err(unsafe { text(why.as_ptr()) });
        };
        std::mem::forget(config);
        let handle = Self(Arc::new(Owned(client)));
        // SAFETY: the client lives; its log goes to the queue that is polled for events.
        unsafe {
            let main = rd::rd_kafka_queue_get_main(handle.raw());
            rd::rd_kafka_set_log_queue(handle.raw(), main);
            rd::rd_kafka_queue_destroy(main);
            if kind == Kind::Consumer {
                rd::rd_kafka_poll_set_consumer(handle.raw());
            }
        }
        Ok(handle)
    }

    fn raw(&self) -> *mut rd::rd_kafka_t {
        self.0.0.as_ptr()
    }

    /// A fatal error of the client: it can only be replaced.
    pub(super) fn fatal_error(&self) -> Option<KafkaError> {
        let mut why = [0 as c_char; TEXT_BYTES];
        // SAFETY: `why` has the size that is told; librdkafka ends its text in 0.
        let (code, message) = unsafe {
            let code = rd::rd_kafka_fatal_error(self.raw(), why.as_mut_ptr(), why.len());
            (code, text(why.as_ptr()))
        };
        let failed = result(code).err()?;
        Some(KafkaError { message, fatal: true, ..failed })
    }

    // ---- group

    pub(super) fn subscribe(&self, topics: &[String]) -> Result<(), KafkaError> {
        let mut list = Partitions::new();
        for topic in topics {
            list.push(topic, -1, &NamedOffset::default());
        }
        // SAFETY: the list is copied by the call.
        result(unsafe { rd::rd_kafka_subscribe(self.raw(), list.raw()) })
    }

    /// Replaces the assignment; `None`: nothing.
    pub(super) fn assign(&self, partitions: Option<&Partitions>) -> Result<(), KafkaError> {
        let list = partitions.map_or(std::ptr::null(), |list| list.raw().cast_const());
        // SAFETY: the list is copied by the call, and may be null.
        result(unsafe { rd::rd_kafka_assign(self.raw(), list) })
    }

    pub(super) fn incremental_assign(&self, partitions: &Partitions) -> Result<(), KafkaError> {
        // SAFETY: the list is copied by the call.
        KafkaError::take(unsafe { rd::rd_kafka_incremental_assign(self.raw(), partitions.raw()) })
    }

    pub(super) fn incremental_unassign(&self, partitions: &Partitions) -> Result<(), KafkaError> {
        // SAFETY: the list is copied by the call.
        KafkaError::take(unsafe { rd::rd_kafka_incremental_unassign(self.raw(), partitions.raw()) })
    }

    /// Whether the protocol of the group gives and takes single partitions.
    pub(super) fn is_cooperative(&self) -> bool {
        // SAFETY: returns null or a static string.
        unsafe { text(rd::rd_kafka_rebalance_protocol(self.raw())) == "COOPERATIVE" }
    }

    pub(super) fn assignment_lost(&self) -> bool {
        // SAFETY: reads a flag.
        unsafe { rd::rd_kafka_assignment_lost(self.raw()) != 0 }
    }

    /// As the client knows it at this moment; a generation of -1 outside a group.
    pub(super) fn group_metadata(&self) -> GroupMetadata {
        // SAFETY: the object is owned by us, read, and destroyed once; null without a group.
        unsafe {
            let metadata = rd::rd_kafka_consumer_group_metadata(self.raw());
            if metadata.is_null() {
                return GroupMetadata { group: String::new(), member: String::new(), generation: -1 };
            }
            let read = GroupMetadata {
                group: text(rd::rd_kafka_consumer_group_metadata_group_id(metadata)),
                member: text(rd::rd_kafka_consumer_group_metadata_member_id(metadata)),
                generation: rd::rd_kafka_consumer_group_metadata_generation_id(metadata),
            };
            rd::rd_kafka_consumer_group_metadata_destroy(metadata);
            read
        }
    }

    /// Starts an offset commit; its event comes to `answers` with `opaque`.
    pub(super) fn commit(
        &self,
        offsets: &Partitions,
        answers: &Queue,
        opaque: u64,
    ) -> Result<(), KafkaError> {
        // SAFETY: the list is copied; without a callback the answer is an event of the queue; the opaque is a number.
        result(unsafe {
            rd::rd_kafka_commit_queue(self.raw(), offsets.raw(), answers.raw(), None, opaque_of(opaque))
        })
    }

    /// Starts to leave the group and to end the consumer; what has to be acknowledged comes to `events`.
    pub(super) fn close(&self, events: &Queue) -> Result<(), KafkaError> {
        // SAFETY: the queue lives as long as the caller polls it, and librdkafka keeps a reference of its own.
        KafkaError::take(unsafe { rd::rd_kafka_consumer_close_queue(self.raw(), events.raw()) })
    }

    pub(super) fn is_closed(&self) -> bool {
        // SAFETY: reads a flag.
        unsafe { rd::rd_kafka_consumer_closed(self.raw()) != 0 }
    }

    // ---- partitions

    /// Goes to offsets in partitions that are assigned; answered by the client's own thread, not by a broker. The
    /// errors are in the list.
    pub(super) fn seek(&self, partitions: &mut Partitions, timeout_ms: c_int) -> Result<(), KafkaError> {
        // SAFETY: the list lives through the call, which fills in errors.
        KafkaError::take(unsafe { rd::rd_kafka_seek_partitions(self.raw(), partitions.raw(), timeout_ms) })
    }

    pub(super) fn pause(&self, partitions: &Partitions) -> Result<(), KafkaError> {
        // SAFETY: the list lives through the call.
        result(unsafe { rd::rd_kafka_pause_partitions(self.raw(), partitions.raw()) })
    }

    pub(super) fn resume(&self, partitions: &Partitions) -> Result<(), KafkaError> {
        // SAFETY: the list lives through the call.
        result(unsafe { rd::rd_kafka_resume_partitions(self.raw(), partitions.raw()) })
    }

    /// After what was given out last, past markers; negative before the first. An event of an end in a batch counts as if
    /// it were a record.
    pub(super) fn position(&self, topic: &str, partition: u32) -> i64 {
        let mut list = Partitions::new();
        list.push(topic, partition as i32, &NamedOffset::default());
        // SAFETY: the list lives through the call, which fills in offsets.
        unsafe { rd::rd_kafka_position(self.raw(), list.raw()) };
        list.iter().next().map_or(-1, |told| told.offset)
    }
}

impl Handle {
    /// The log's end as the last fetch told it.
    pub(super) fn known_end(&self, topic: &str, partition: u32) -> Option<i64> {
        let topic = c_string(topic);
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the name ends in 0; both numbers are ours.
        let told = result(unsafe {
            rd::rd_kafka_get_watermark_offsets(
                self.raw(),
                topic.as_ptr(),
                partition as i32,
                &raw mut low,
                &raw mut high,
            )
        });
        (told.is_ok() && high >= 0).then_some(high)
    }
}

fn opaque_of(number: u64) -> *mut std::ffi::c_void {
    std::ptr::without_provenance_mut(number as usize)
}

/// A configuration that no client has taken yet.
struct Config(NonNull<rd::rd_kafka_conf_t>);

impl Config {
    fn new(properties: &BTreeMap<String, String>) -> Result<Self, String> {
        // SAFETY: makes an object that is ours.
        let raw = NonNull::new(unsafe { rd::rd_kafka_conf_new() }).ok_or("no memory for a configuration")?;
        let config = Self(raw);
        config.set("log.queue", "true")?;
        properties.iter().try_for_each(|(key, value)| config.set(key, value))?;
        Ok(config)
    }

    fn set(&self, key: &str, value: &str) -> Result<(), String> {
        let (c_key, c_value) = (c_string(key), c_string(value));
        let mut why = [0 as c_char; TEXT_BYTES];
        // SAFETY: all strings end in 0 and live through the call; `why` has the size that is told.
        let done = unsafe {
            rd::rd_kafka_conf_set(
                self.0.as_ptr(),
                c_key.as_ptr(),
                c_value.as_ptr(),
                why.as_mut_ptr(),
                why.len(),
            )
        };
        // librdkafka's own text repeats the value, which may be a secret.
        match done {
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => {
                Err(format!("`{key}` is not a property of this build of librdkafka"))
            }
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => {
                Err(format!("`{key}` has a value that librdkafka does not take"))
            }
        }
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: not given to a client, or it would have been forgotten; destroyed once.
        unsafe { rd::rd_kafka_conf_destroy(self.0.as_ptr()) };
    }
}
