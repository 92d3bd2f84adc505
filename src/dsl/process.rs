//! Streams through processors of the user's, and the stores they use.

use super::kstream::KStream;
use super::streams_builder::StreamsBuilder;
use crate::processor::{FixedKeyProcessor, Processor};
use crate::state::{StateStore, StoreBuilder};
use crate::topology::{StoreHandle, StoreSet};

impl StreamsBuilder {
    /// Adds a store for processors; give the handle to those that use it. A store that nobody uses is an error of
    /// [`build`](Self::build).
    ///
    /// ```
    /// # use highwater::{KeyValueStore, StoreHandle, StreamsBuilder, time::Timestamp};
    /// # let builder = StreamsBuilder::new();
    /// let seen: StoreHandle<KeyValueStore<String, u64>> = builder.add_state_store(KeyValueStore::named("seen"));
    /// ```
    #[must_use = "a store is used by the processors it is given to"]
    pub fn add_state_store<S: StateStore>(&self, store: StoreBuilder<S>) -> StoreHandle<S> {
        self.draft().graph().add_state_store(store)
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Each record goes to a [`Processor`]; one is made per task, with the stores it is connected to: `()`, `&handle`,
    /// or a tuple of up to four. Afterwards equal keys may be in different partitions.
    ///
    /// ```
    /// use highwater::testing::TopologyTestDriver;
    /// use highwater::time::{Timestamp, milliseconds, minutes};
    /// use highwater::*;
    ///
    /// /// Lets each key through once a minute of event time.
    /// struct Once(KeyValueStore<String, u64>);
    /// impl Processor for Once {
    ///     type KIn = String;
    ///     type VIn = u64;
    ///     type KOut = String;
    ///     type VOut = u64;
    ///     fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
    ///         let _ = ctx.schedule(minutes(1), PunctuationType::Watermark, Self::forget);
    ///         Ok(())
    ///     }
    ///     fn process(&mut self, n: Record<'_, String, u64>, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
    ///         if self.0.get(n.key)?.is_none() {
    ///             self.0.put(n.key, *n.value)?;
    ///             ctx.forward(n);
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// impl Once {
    ///     fn forget(&mut self, _: Timestamp, _: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
    ///         self.0.all()?.try_for_each(|(key, _)| self.0.delete(&key))
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// let seen = builder.add_state_store(KeyValueStore::named("seen"));
    /// builder.stream("in", Consumed::default()).process(&seen, Once).to("out", Produced::default());
    ///
    /// let mut driver = TopologyTestDriver::new(builder.build()?);
    /// let (input, output) = (driver.input_topic("in", Produced::default()), driver.output_topic("out", Consumed::default()));
    /// for (n, at) in [(1_u64, 0), (2, 10_000), (3, 60_000), (4, 60_001)] {
    ///     driver.pipe_input(&input, "a".to_owned(), n, Timestamp(at));
    /// }
    /// driver.crash_and_restore(0);
    /// driver.pipe_input(&input, "a".to_owned(), 5_u64, Timestamp(70_000));
    /// assert_eq!(driver.read_output::<String, u64>(&output), [("a".to_owned(), 1), ("a".to_owned(), 2), ("a".to_owned(), 4)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn process<S, P>(
        &self,
        stores: S,
        make: impl Fn(S::Opened) -> P + Send + Sync + 'static,
    ) -> KStream<P::KOut, P::VOut>
    where
        S: StoreSet<Opened: 'static>,
        P: Processor<KIn = K, VIn = V>,
    {
        let name = self.draft.numbered("KSTREAM-PROCESSOR-");
        let node = self.draft.graph().add_processor(name, vec![self.from], stores, make);
        self.with_keys(node, None)
    }

    /// The same with a processor that keeps the key, and with it its partition.
    ///
    /// ```
    /// use highwater::testing::TopologyTestDriver;
    /// use highwater::time::Timestamp;
    /// use highwater::*;
    ///
    /// /// Where each record was read.
    /// struct Offsets;
    /// impl FixedKeyProcessor for Offsets {
    ///     type KIn = String;
    ///     type VIn = u64;
    ///     type VOut = String;
    ///     fn process(
    ///         &mut self,
    ///         _: Record<'_, String, u64>,
    ///         ctx: &mut FixedKeyProcessorContext<'_, Self>,
    ///     ) -> Result<(), BoxError> {
    ///         let at = ctx.metadata().ok_or("outside a record")?.to_string();
    ///         ctx.forward(&at);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream("in", Consumed::default()).process_values((), |()| Offsets).to("out", Produced::default());
    ///
    /// let mut driver = TopologyTestDriver::new(builder.build()?);
    /// let (input, output) = (driver.input_topic("in", Produced::default()), driver.output_topic("out", Consumed::default()));
    /// driver.pipe_input(&input, "a".to_owned(), 7_u64, Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), "in-0@0".to_owned())]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn process_values<S, P>(
        &self,
        stores: S,
        make: impl Fn(S::Opened) -> P + Send + Sync + 'static,
    ) -> KStream<K, P::VOut>
    where
        S: StoreSet<Opened: 'static>,
        P: FixedKeyProcessor<KIn = K, VIn = V>,
    {
        let name = self.draft.numbered("KSTREAM-PROCESSVALUES-");
        let node = self.draft.graph().add_fixed_key_processor(name, vec![self.from], stores, make);
        self.with_values(node)
    }
}
