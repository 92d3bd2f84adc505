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
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let orders: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// /// Lets each key through once.
    /// struct Once(KeyValueStore<String, u64>);
    /// impl Processor for Once {
    ///     type KIn = String;
    ///     type VIn = u64;
    ///     type KOut = String;
    ///     type VOut = u64;
    ///     fn process(&mut self, order: Record<'_, String, u64>, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
    ///         if self.0.get(order.key)?.is_none() {
    ///             self.0.put(order.key, *order.value)?;
    ///             ctx.forward(order);
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// let seen = builder.add_state_store(KeyValueStore::named("seen"));
    /// orders.process(&seen, Once).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), 8, Timestamp(1));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 7)]);
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
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let orders: KStream<String, u64> = builder.stream("in", Consumed::default());
    /// /// A record's timestamp in place of its value.
    /// struct Times;
    /// impl FixedKeyProcessor for Times {
    ///     type KIn = String;
    ///     type VIn = u64;
    ///     type VOut = i64;
    ///     fn process(&mut self, order: Record<'_, String, u64>, ctx: &mut FixedKeyProcessorContext<'_, Self>) -> Result<(), BoxError> {
    ///         ctx.forward(&order.timestamp.as_millis());
    ///         Ok(())
    ///     }
    /// }
    /// orders.process_values((), |()| Times).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, i64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(5));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 5)]);
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
