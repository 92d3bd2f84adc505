//! Queues of a client: events, the messages of one partition, answers.

use super::{Event, Handle, Item, Message, rd};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

/// Called on a thread of librdkafka when something has come into an empty queue; it must be short and not call back.
type Waker = Arc<dyn Fn() + Send + Sync>;

/// A queue, and the client it belongs to.
pub(in super::super) struct Queue {
    raw: NonNull<rd::rd_kafka_queue_t>,
    /// Kept for as long as librdkafka may call it.
    waker: Option<Box<Waker>>,
    _handle: Handle,
}

// SAFETY: librdkafka documents all functions of queues as thread-safe.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: our own reference, given back once; no wake-up comes any more before the waker is dropped.
        unsafe {
            if self.waker.is_some() {
                rd::rd_kafka_queue_cb_event_enable(self.raw(), None, std::ptr::null_mut());
            }
            rd::rd_kafka_queue_destroy(self.raw());
        }
    }
}

impl Queue {
    fn of(handle: &Handle, raw: *mut rd::rd_kafka_queue_t) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, waker: None, _handle: handle.clone() })
    }

    /// A new one, for answers.
    pub(in super::super) fn new(handle: &Handle) -> Option<Self> {
        // SAFETY: the client lives; the reference is ours.
        Self::of(handle, unsafe { rd::rd_kafka_queue_new(handle.raw()) })
    }

    /// The client's own: delivery reports, errors, log.
    pub(in super::super) fn main(handle: &Handle) -> Option<Self> {
        // SAFETY: as above.
        Self::of(handle, unsafe { rd::rd_kafka_queue_get_main(handle.raw()) })
    }

    /// The consumer's: rebalances, errors, log. Messages must not come here: who takes batches of them from this queue
    /// drops the rebalances between them.
    pub(in super::super) fn consumer(handle: &Handle) -> Option<Self> {
        // SAFETY: as above.
        Self::of(handle, unsafe { rd::rd_kafka_queue_get_consumer(handle.raw()) })
    }

    /// The messages of one partition, which come nowhere else from now on. To be made before the partition is
    /// assigned, and kept for the life of the consumer.
    pub(in super::super) fn partition(handle: &Handle, topic: &str, partition: u32) -> Option<Self> {
        let topic = super::c_string(topic);
        // SAFETY: the name ends in 0; the reference is ours; forwarding to null cuts it from the consumer's queue.
        unsafe {
            let raw = rd::rd_kafka_queue_get_partition(handle.raw(), topic.as_ptr(), partition as i32);
            let queue = Self::of(handle, raw)?;
            rd::rd_kafka_queue_forward(queue.raw(), std::ptr::null_mut());
            Some(queue)
        }
    }

    pub(super) fn raw(&self) -> *mut rd::rd_kafka_queue_t {
        self.raw.as_ptr()
    }

    /// Calls `waker` whenever something has come into the empty queue.
    pub(in super::super) fn wake(&mut self, waker: Waker) {
        let waker = Box::new(waker);
        let opaque = std::ptr::from_ref::<Waker>(&waker).cast_mut().cast::<c_void>();
        // SAFETY: the box is kept until the call-back is taken off in `drop`, and does not move.
        unsafe { rd::rd_kafka_queue_cb_event_enable(self.raw(), Some(woken), opaque) };
        self.waker = Some(waker);
    }

    /// The next event, waiting at most so long.
    pub(in super::super) fn poll(&self, timeout_ms: c_int) -> Option<Event> {
        // SAFETY: the event is owned by us.
        Event::of(unsafe { rd::rd_kafka_queue_poll(self.raw(), timeout_ms) })
    }

    /// What has arrived of a partition, at most `max`, without waiting.
    pub(in super::super) fn take(&self, max: usize, mut each: impl FnMut(Item)) {
        const AT_ONCE: usize = 512;
        let mut batch: [*mut rd::rd_kafka_message_t; AT_ONCE] = [std::ptr::null_mut(); AT_ONCE];
        let wanted = max.min(AT_ONCE);
        // SAFETY: the array has room for `wanted`; the messages that are given are ours to destroy.
        let taken = unsafe { rd::rd_kafka_consume_batch_queue(self.raw(), 0, batch.as_mut_ptr(), wanted) };
        let taken = usize::try_from(taken).unwrap_or(0);
        for raw in batch.iter().take(taken).copied().filter_map(NonNull::new) {
            each(Message::of(raw).item());
        }
    }
}

unsafe extern "C" fn woken(_: *mut rd::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: `opaque` is the box that `wake` keeps.
    let waker = unsafe { &*opaque.cast::<Waker>() };
    waker();
}
