//! Who decides about records that cannot be read, processed or written: for a topology as a whole.

use super::draft::Draft;
use super::streams_builder::StreamsBuilder;
use super::topology_builder::TopologyBuilder;
use crate::error::Error;
use crate::processor::{ErrorHandlerContext, Failing, Handler, Response};

impl StreamsBuilder {
    /// Decides about records that cannot be read, at sources without a handler of their own
    /// ([`Consumed::on_deserialization_error`](crate::Consumed::on_deserialization_error)). Without one the property
    /// `deserialization.exception.handler` counts. The last call counts.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// builder.on_deserialization_error(|_, _| Response::Continue);
    /// builder.stream::<String, u64>("in", Consumed::default()).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "seven".to_owned(), Timestamp(0));
    /// assert!(driver.read_output(&output).is_empty());
    /// assert_eq!(driver.total_counts().dropped, 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on_deserialization_error(
        &self,
        handler: impl Fn(&ErrorHandlerContext<'_>, &Error) -> Response + Send + Sync + 'static,
    ) {
        put(self.draft(), Failing::Reading, Handler::new(handler));
    }

    /// Decides about records on which the program's code fails or panics; without one, the property
    /// `processing.exception.handler` does.
    ///
    /// A record that is left out, sent to the dead letter topic or tried again is as if it had not been processed: if
    /// it had changed a store, the task goes back to its last commit and meets it again. Outside a record (a punctuator,
    /// a window's final, an update that was held back) there is nothing to go back to: the call that failed is left out
    /// alone, and [`Response::Retry`] is `Fail`.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// builder.on_processing_error(|record, _| match record.retries {
    ///     0..3 => Response::Retry,
    ///     _ => Response::DeadLetter,
    /// });
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// lines.try_map_values(|line| line.parse::<u64>()).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// let mut driver = driver.set("errors.dead.letter.queue.topic.name", "dead");
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let dead = driver.output_topic("dead", Consumed::<String, String>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "seven".to_owned(), Timestamp(0));
    /// driver.advance_clock(seconds(1));
    /// let letters = driver.read_records(&dead);
    /// assert_eq!(letters[0].value, "seven");
    /// assert_eq!(letters[0].headers.last("__streams.errors.offset"), Some(Some(&b"0"[..])));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on_processing_error(
        &self,
        handler: impl Fn(&ErrorHandlerContext<'_>, &Error) -> Response + Send + Sync + 'static,
    ) {
        put(self.draft(), Failing::Processing, Handler::new(handler));
    }

    /// Decides about results that cannot be serialized or are too large for their topic; without one, the property
    /// `production.exception.handler` does. [`Response::Continue`] leaves out this result and keeps the rest of what
    /// its record did; [`Response::DeadLetter`] undoes the record and sends it, as it was read, to the dead letter topic.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// builder.on_production_error(|_, _| Response::Continue);
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// lines.map_values(|line| line.repeat(100)).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// let mut driver = driver.set("max.request.size", "1000");
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, String>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "ten times ten".to_owned(), Timestamp(0));
    /// assert!(driver.read_output(&output).is_empty());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on_production_error(
        &self,
        handler: impl Fn(&ErrorHandlerContext<'_>, &Error) -> Response + Send + Sync + 'static,
    ) {
        put(self.draft(), Failing::Writing, Handler::new(handler));
    }
}

impl TopologyBuilder {
    /// As [`StreamsBuilder::on_deserialization_error`].
    pub fn on_deserialization_error(
        &mut self,
        handler: impl Fn(&ErrorHandlerContext<'_>, &Error) -> Response + Send + Sync + 'static,
    ) {
        put(self.draft(), Failing::Reading, Handler::new(handler));
    }
    /// As [`StreamsBuilder::on_processing_error`].
    pub fn on_processing_error(
        &mut self,
        handler: impl Fn(&ErrorHandlerContext<'_>, &Error) -> Response + Send + Sync + 'static,
    ) {
        put(self.draft(), Failing::Processing, Handler::new(handler));
    }
    /// As [`StreamsBuilder::on_production_error`].
    pub fn on_production_error(
        &mut self,
        handler: impl Fn(&ErrorHandlerContext<'_>, &Error) -> Response + Send + Sync + 'static,
    ) {
        put(self.draft(), Failing::Writing, Handler::new(handler));
    }
}

fn put(draft: &Draft, failing: Failing, handler: Handler) {
    *draft.graph().handlers.of_mut(failing) = Some(handler);
}
