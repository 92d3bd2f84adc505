//! Processors that cannot change the key, so that what follows needs no repartition.

use super::api::{Processor, ProcessorContext};
use super::punctuation::{Cancellable, PunctuationType};
use crate::error::{BoxError, Error, ErrorKind};
use crate::record::{Headers, Record, RecordMetadata, TaskId};
use crate::time::Timestamp;
use std::time::Duration;

/// A [`Processor`] whose results have the key of the record they come from.
pub trait FixedKeyProcessor: Sized + 'static {
    /// Keys, in and out.
    type KIn;
    /// Values that come in.
    type VIn;
    /// Values that leave.
    type VOut;

    /// As [`Processor::init`].
    fn init(&mut self, _ctx: &mut FixedKeyProcessorContext<'_, Self>) -> Result<(), BoxError> {
        Ok(())
    }
    /// Called for each record.
    fn process(
        &mut self,
        record: Record<'_, Self::KIn, Self::VIn>,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
    ) -> Result<(), BoxError>;
    /// As [`Processor::close`].
    fn close(&mut self) {}
}

/// What such a processor can do while it is called.
pub struct FixedKeyProcessorContext<'a, P: FixedKeyProcessor> {
    inner: ProcessorContext<'a, FixedKey<P>>,
    /// `None` where there is no record: in `init` and in punctuators.
    record: Option<Current<'a, P::KIn>>,
}

/// What stays of the record.
struct Current<'a, K> {
    key: &'a K,
    timestamp: Timestamp,
    headers: &'a Headers,
}

impl<P: FixedKeyProcessor> FixedKeyProcessorContext<'_, P> {
    /// Sends a value under the record's key, with its timestamp and headers. In a punctuator there is no key to send it
    /// under, which is an error.
    pub fn forward(&mut self, value: &P::VOut) {
        let Some(Current { key, timestamp, headers }) = self.record else { return self.no_record() };
        self.inner.forward(Record { key, value, timestamp, headers });
    }
    /// The same with another timestamp.
    pub fn forward_at(&mut self, value: &P::VOut, timestamp: Timestamp) {
        let Some(Current { key, headers, .. }) = self.record else { return self.no_record() };
        self.inner.forward(Record { key, value, timestamp, headers });
    }

    /// As [`ProcessorContext::schedule`].
    pub fn schedule(
        &mut self,
        every: Duration,
        clock: PunctuationType,
        mut punctuate: impl FnMut(&mut P, Timestamp, &mut FixedKeyProcessorContext<'_, P>) -> Result<(), BoxError>
        + 'static,
    ) -> Cancellable {
        self.inner.schedule(every, clock, move |FixedKey(processor), at, ctx| {
            punctuate(processor, at, &mut FixedKeyProcessorContext { inner: ctx.again(), record: None })
        })
    }

    /// As [`ProcessorContext::metadata`].
    pub fn metadata(&self) -> Option<&RecordMetadata> {
        self.inner.metadata()
    }
    /// As [`ProcessorContext::watermark`].
    pub fn watermark(&self) -> Timestamp {
        self.inner.watermark()
    }
    /// As [`ProcessorContext::now`].
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }
    /// As [`ProcessorContext::task_id`].
    pub fn task_id(&self) -> TaskId {
        self.inner.task_id()
    }

    fn no_record(&mut self) {
        let message = "a processor of fixed keys can only forward while it processes a record";
        self.inner.fail(
            Error::new(ErrorKind::Processing, message).help("use `process` instead of `process_values`"),
        );
    }
}

impl<K> Clone for Current<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Current<'_, K> {}

/// Such a processor as one of the general kind.
pub(crate) struct FixedKey<P>(pub(crate) P);

impl<P: FixedKeyProcessor> Processor for FixedKey<P> {
    type KIn = P::KIn;
    type VIn = P::VIn;
    type KOut = P::KIn;
    type VOut = P::VOut;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        self.0.init(&mut FixedKeyProcessorContext { inner: ctx.again(), record: None })
    }
    fn process(
        &mut self,
        record: Record<'_, P::KIn, P::VIn>,
        ctx: &mut ProcessorContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let Record { key, timestamp, headers, .. } = record;
        let current = Some(Current { key, timestamp, headers });
        self.0.process(record, &mut FixedKeyProcessorContext { inner: ctx.again(), record: current })
    }
    fn close(&mut self) {
        self.0.close();
    }
}
