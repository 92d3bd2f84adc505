//! Messages as they come: records, ends of partitions, delivery reports.

use super::{KafkaError, rd, result, text};
use crate::broker::{Bytes, LogRecord};
use crate::record::Headers;
use crate::time::Timestamp;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

/// What a partition's queue gives out.
pub(in super::super) enum Item {
    Record(LogRecord),
    /// The end was reached at this offset: there is nothing before it that has not been given out.
    End(i64),
    Error(KafkaError),
}

/// A message that is ours.
pub(super) struct Message(NonNull<rd::rd_kafka_message_t>);

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { rd::rd_kafka_message_destroy(self.0.as_ptr()) };
    }
}

impl Message {
    pub(super) fn of(raw: NonNull<rd::rd_kafka_message_t>) -> Self {
        Self(raw)
    }

    pub(super) fn item(&self) -> Item {
        // SAFETY: the message lives; key and payload have the sizes that are told.
        unsafe {
            let message = self.0.as_ref();
            match message.err {
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {}
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                    return Item::End(message.offset);
                }
                code => {
                    let mut error = KafkaError::of_code(code);
                    let why = text(rd::rd_kafka_message_errstr(message));
                    if !why.is_empty() {
                        error.message = why;
                    }
                    return Item::Error(error);
                }
            }
            let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            Item::Record(LogRecord {
                offset: message.offset,
                timestamp: Timestamp(rd::rd_kafka_message_timestamp(message, &raw mut kind)),
                key: bytes(message.key, message.key_len),
                value: bytes(message.payload, message.len),
                headers: headers(message),
            })
        }
    }
}

/// # Safety
/// `pointer` is null or the start of `size` bytes.
unsafe fn bytes(pointer: *const c_void, size: usize) -> Option<Bytes> {
    // SAFETY: as this function's own condition.
    (!pointer.is_null()).then(|| unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) }.into())
}

/// Read one by one through C: names need not be UTF-8, and the crate's reader would panic.
///
/// # Safety
/// `message` lives.
unsafe fn headers(message: *const rd::rd_kafka_message_t) -> Headers {
    let mut read = Headers::new();
    let mut list = std::ptr::null_mut();
    // SAFETY: the list belongs to the message; names end in 0 and values have the size that is told.
    unsafe {
        if rd::rd_kafka_message_headers(message, &raw mut list)
            != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return read;
        }
        for at in 0.. {
            let (mut name, mut value, mut size): (*const c_char, *const c_void, usize) =
                (std::ptr::null(), std::ptr::null(), 0);
            let got = rd::rd_kafka_header_get_all(list, at, &raw mut name, &raw mut value, &raw mut size);
            if got != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            let value =
                (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size).to_vec());
            read.push(CStr::from_ptr(name).to_bytes(), value);
        }
    }
    read
}

/// What became of a record that was handed over.
pub(in super::super) struct Delivery<'a> {
    raw: &'a rd::rd_kafka_message_t,
}

impl Delivery<'_> {
    /// # Safety
    /// `raw` lives as long as the event it came with.
    pub(super) unsafe fn of(raw: &rd::rd_kafka_message_t) -> Delivery<'_> {
        Delivery { raw }
    }

    pub(in super::super) fn offset(&self) -> Result<i64, KafkaError> {
        result(self.raw.err).map(|()| self.raw.offset)
    }
    pub(in super::super) fn partition(&self) -> u32 {
        u32::try_from(self.raw.partition).unwrap_or(0)
    }
    /// The number that the record was handed over with.
    pub(in super::super) fn number(&self) -> u64 {
        self.raw._private.addr() as u64
    }
    /// The same for every record of a topic, while its handle lives.
    pub(in super::super) fn topic_key(&self) -> usize {
        self.raw.rkt.addr()
    }
    pub(in super::super) fn topic(&self) -> String {
        // SAFETY: the topic handle lives as long as the message; its name ends in 0.
        unsafe { text(rd::rd_kafka_topic_name(self.raw.rkt)) }
    }
}
