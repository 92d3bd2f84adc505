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
    /// ```ignore
    /// let seen = builder.add_state_store(KeyValueStore::named("seen"));
    /// let once = orders.process(&seen, |seen| Once { seen });
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
    /// ```ignore
    /// let totals = orders.process_values((), |()| Totals);
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
