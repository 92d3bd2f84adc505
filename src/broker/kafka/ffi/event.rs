//! What a client tells on its queues.

use super::admin::AdminEvent;
use super::partitions::Told;
use super::{Delivery, KafkaError, partitions, rd, result, text};
use crate::record::TopicPartition;
use std::ffi::{c_char, c_int};
use std::ptr::NonNull;

/// How much a line of librdkafka's log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Severity {
    Error,
    Warning,
    Info,
    Debug,
}

/// An event that is ours.
pub(in super::super) struct Event(NonNull<rd::rd_kafka_event_t>);

// SAFETY: an event belongs to whoever polled it.
unsafe impl Send for Event {}

/// An event by kind.
pub(in super::super) enum Notice<'a> {
    Deliveries(Box<dyn Iterator<Item = Delivery<'a>> + 'a>),
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
    /// With the number that the commit was started with.
    Committed(u64, Vec<Told>, Result<(), KafkaError>),
    Error(KafkaError),
    Log(Severity, String),
    Admin(AdminEvent),
    Other,
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { rd::rd_kafka_event_destroy(self.raw()) };
    }
}

impl Event {
    pub(super) fn of(raw: *mut rd::rd_kafka_event_t) -> Option<Self> {
        NonNull::new(raw).map(Self)
    }

    pub(super) fn raw(&self) -> *mut rd::rd_kafka_event_t {
        self.0.as_ptr()
    }

    pub(in super::super) fn number(&self) -> u64 {
        // SAFETY: reads the opaque that was given at the start, which is a number.
        unsafe { rd::rd_kafka_event_opaque(self.raw()) }.addr() as u64
    }

    pub(in super::super) fn result(&self) -> Result<(), KafkaError> {
        // SAFETY: the event lives; the text ends in 0.
        unsafe {
            result(rd::rd_kafka_event_error(self.raw())).map_err(|error| KafkaError {
                message: text(rd::rd_kafka_event_error_string(self.raw())),
                fatal: rd::rd_kafka_event_error_is_fatal(self.raw()) != 0,
                ..error
            })
        }
    }

    pub(in super::super) fn told(&self) -> Notice<'_> {
        // SAFETY: the event lives.
        let kind = unsafe { rd::rd_kafka_event_type(self.raw()) };
        match kind {
            rd::RD_KAFKA_EVENT_DR => Notice::Deliveries(Box::new(self.deliveries())),
            rd::RD_KAFKA_EVENT_REBALANCE => self.rebalance(),
            rd::RD_KAFKA_EVENT_OFFSET_COMMIT => {
                Notice::Committed(self.number(), self.partitions(), self.result())
            }
            rd::RD_KAFKA_EVENT_ERROR => match self.result() {
                Err(error) => Notice::Error(error),
                Ok(()) => Notice::Other,
            },
            rd::RD_KAFKA_EVENT_LOG => self.log(),
            _ => AdminEvent::of(self, kind).map_or(Notice::Other, Notice::Admin),
        }
    }

    fn deliveries(&self) -> impl Iterator<Item = Delivery<'_>> {
        std::iter::from_fn(|| {
            // SAFETY: the messages belong to the event and live as long as it does.
            unsafe {
                let next = rd::rd_kafka_event_message_next(self.raw());
                next.as_ref().map(|raw| Delivery::of(raw))
            }
        })
    }

    fn partitions(&self) -> Vec<Told> {
        // SAFETY: the list belongs to the event, which lives through the call.
        unsafe { partitions::read(rd::rd_kafka_event_topic_partition_list(self.raw())) }.collect()
    }

    fn rebalance(&self) -> Notice<'_> {
        // SAFETY: the event lives.
        let code = unsafe { rd::rd_kafka_event_error(self.raw()) };
        let partitions = self.partitions().into_iter().map(|told| told.partition).collect();
        if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            return Notice::Assigned(partitions);
        }
        // An error of the rebalance itself is answered as a revocation is.
        Notice::Revoked(partitions)
    }

    fn log(&self) -> Notice<'_> {
        let (mut facility, mut line, mut level): (*const c_char, *const c_char, c_int) =
            (std::ptr::null(), std::ptr::null(), 0);
        // SAFETY: the strings belong to the event and end in 0.
        let line = unsafe {
            rd::rd_kafka_event_log(self.raw(), &raw mut facility, &raw mut line, &raw mut level);
            format!("{}: {}", text(facility), text(line))
        };
        // Syslog's levels.
        let severity = match level {
            ..=3 => Severity::Error,
            4 => Severity::Warning,
            5 | 6 => Severity::Info,
            _ => Severity::Debug,
        };
        Notice::Log(severity, line)
    }
}
