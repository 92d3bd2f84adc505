//! Handing records over to a producer.

use super::{Handle, KafkaError, c_string, rd};
use crate::broker::Outgoing;
use crate::record::Headers;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

/// The topics that a producer writes to: looked up once, not for each record.
pub(in super::super) struct TopicHandles {
    topics: BTreeMap<Arc<str>, NonNull<rd::rd_kafka_topic_t>>,
    handle: Handle,
}

// SAFETY: librdkafka documents all functions of topics as thread-safe.
unsafe impl Send for TopicHandles {}

impl Drop for TopicHandles {
    fn drop(&mut self) {
        for topic in self.topics.values() {
            // SAFETY: our own reference, given back once; the client outlives it.
            unsafe { rd::rd_kafka_topic_destroy(topic.as_ptr()) };
        }
    }
}

impl TopicHandles {
    pub(in super::super) fn new(handle: &Handle) -> Self {
        Self { topics: BTreeMap::new(), handle: handle.clone() }
    }

    fn topic(&mut self, name: &Arc<str>) -> Option<*mut rd::rd_kafka_topic_t> {
        if let Some(topic) = self.topics.get(name) {
            return Some(topic.as_ptr());
        }
        let c_name = c_string(name);
        // SAFETY: the name ends in 0 and is copied; no configuration is given; the reference is ours.
        let topic =
            unsafe { rd::rd_kafka_topic_new(self.handle.raw(), c_name.as_ptr(), std::ptr::null_mut()) };
        let topic = NonNull::new(topic)?;
        self.topics.insert(name.clone(), topic);
        Some(topic.as_ptr())
    }

    /// Copies a record into the producer's queue; its delivery report will have the number.
    pub(in super::super) fn produce(&mut self, record: &Outgoing, number: u64) -> Result<(), KafkaError> {
        let Some(topic) = self.topic(&record.target.topic) else {
            return Err(KafkaError::of_code(rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC));
        };
        let headers = native_headers(&record.headers);
        let mut values = [
            value(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT, |u| u.rkt = topic),
            value(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION, |u| {
                u.i32_ = record.target.partition as i32;
            }),
            value(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS, |u| u.i = rd::RD_KAFKA_MSG_F_COPY),
            value(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP, |u| u.i64_ = writable(record.timestamp)),
            value(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE, |u| u.ptr = super::opaque_of(number)),
            value(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, |u| u.mem = memory(record.key.as_deref())),
            value(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE, |u| u.mem = memory(record.value.as_deref())),
            value(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS, |u| u.headers = headers),
        ];
        let count = values.len() - usize::from(headers.is_null());
        // SAFETY: `values` has `count` entries whose pointers live through the call, which copies what they point to
        // and takes the headers over if it succeeds.
        let done = KafkaError::take(unsafe {
            rd::rd_kafka_produceva(self.handle.raw(), values.as_mut_ptr(), count)
        });
        if done.is_err() && !headers.is_null() {
            // SAFETY: refused, so the headers are still ours.
            unsafe { rd::rd_kafka_headers_destroy(headers) };
        }
        done
    }
}

/// librdkafka takes 0 for "now", and has no other way to say it: the first moment of 1970 is written 1 ms later.
fn writable(timestamp: Timestamp) -> i64 {
    if timestamp.0 == 0 { 1 } else { timestamp.0 }
}

fn value(
    kind: rd::rd_kafka_vtype_t,
    fill: impl FnOnce(&mut rd::rd_kafka_vu_s__bindgen_ty_1),
) -> rd::rd_kafka_vu_t {
    let mut u = rd::rd_kafka_vu_s__bindgen_ty_1 { _pad: [0; 64] };
    fill(&mut u);
    rd::rd_kafka_vu_t { vtype: kind, u }
}

/// An empty value is not the same as none.
fn memory(bytes: Option<&[u8]>) -> rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
    match bytes {
        Some(bytes) => rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
            ptr: bytes.as_ptr().cast_mut().cast::<c_void>(),
            size: bytes.len(),
        },
        None => rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: std::ptr::null_mut(), size: 0 },
    }
}

/// Null where there are none.
fn native_headers(headers: &Headers) -> *mut rd::rd_kafka_headers_t {
    if headers.is_empty() {
        return std::ptr::null_mut();
    }
    // SAFETY: the list is ours; names and values are copied with the sizes that are told; a null value is allowed.
    unsafe {
        let list = rd::rd_kafka_headers_new(8);
        for (name, value) in headers.iter() {
            let (start, size) = match value {
                Some(value) => (value.as_ptr().cast::<c_void>(), value.len() as isize),
                None => (std::ptr::null(), 0),
            };
            rd::rd_kafka_header_add(list, name.as_ptr().cast::<c_char>(), name.len() as isize, start, size);
        }
        list
    }
}
