//! What an aggregation does to its state, whatever it is grouped or windowed by.

use super::materialized::Materialized;
use crate::error::BoxError;
use crate::processor::{Apply, Timed, View};
use crate::serdes::Codec;
use std::sync::Arc;

/// One of `count`, `reduce`, `aggregate` and their kin: how a record changes what is stored, and what of it the table
/// shows.
pub(super) struct Aggregation<Key, In, State, Out> {
    pub(super) prefix: &'static str,
    pub(super) apply: Apply<Key, In, State>,
    pub(super) view: View<State, Out>,
    /// The same for who reads the store from outside.
    pub(super) show: fn(State) -> Option<Out>,
    /// The bytes of what is stored.
    pub(super) state: Arc<dyn Codec<State>>,
    pub(super) store: Materialized<Out>,
}

const AGGREGATE: &str = "KSTREAM-AGGREGATE-";
const REDUCE: &str = "KSTREAM-REDUCE-";

impl<K: 'static, V: 'static, A: 'static> Aggregation<K, V, A, A> {
    fn plain(prefix: &'static str, apply: Apply<K, V, A>, store: Materialized<A>) -> Self {
        Self { prefix, apply, view: |state| Some(state), show: Some, state: store.value.clone(), store }
    }
    pub(super) fn aggregate<E: Into<BoxError>>(
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, &V, &mut A) -> Result<(), E> + Send + Sync + 'static,
        store: Materialized<A>,
    ) -> Self {
        let apply: Apply<K, V, A> = Arc::new(move |key, value, _, state: &mut Option<A>| {
            add(key, value, state.get_or_insert_with(&init)).map_err(Into::into)
        });
        Self::plain(AGGREGATE, apply, store)
    }
}

impl<K: 'static, V: 'static> Aggregation<K, V, u64, u64> {
    pub(super) fn count(store: Materialized<u64>) -> Self {
        let apply: Apply<K, V, u64> = Arc::new(|_, _, _, count: &mut Option<u64>| {
            *count.get_or_insert(0) += 1;
            Ok(())
        });
        Self::plain(AGGREGATE, apply, store)
    }
}

impl<K: 'static, V: Clone + 'static> Aggregation<K, V, V, V> {
    pub(super) fn reduce(
        reducer: impl Fn(&mut V, &V) + Send + Sync + 'static,
        store: Materialized<V>,
    ) -> Self {
        let apply: Apply<K, V, V> = Arc::new(move |_, value: &V, _, total: &mut Option<V>| {
            match total {
                Some(total) => reducer(total, value),
                None => *total = Some(value.clone()),
            }
            Ok(())
        });
        Self::plain(REDUCE, apply, store)
    }
    pub(super) fn earliest_by_offset(store: Materialized<V>) -> Self {
        let apply: Apply<K, V, V> = Arc::new(|_, value: &V, _, first: &mut Option<V>| {
            first.get_or_insert_with(|| value.clone());
            Ok(())
        });
        Self::plain(AGGREGATE, apply, store)
    }
    pub(super) fn latest_by_offset(store: Materialized<V>) -> Self {
        let apply: Apply<K, V, V> = Arc::new(|_, value: &V, _, last: &mut Option<V>| {
            *last = Some(value.clone());
            Ok(())
        });
        Self::plain(AGGREGATE, apply, store)
    }
}

impl<K: 'static, V: Clone + 'static> Aggregation<K, V, Timed<V>, V> {
    /// `wins(new, kept)`: whether a record's time takes the place of the one that is kept.
    fn by_time(wins: fn(i64, i64) -> bool, store: Materialized<V>) -> Self {
        let apply: Apply<K, V, Timed<V>> = Arc::new(move |_, value: &V, at, kept: &mut Option<Timed<V>>| {
            if kept.as_ref().is_none_or(|kept| wins(at.0, kept.at.0)) {
                *kept = Some(Timed { at, value: value.clone() });
            }
            Ok(())
        });
        let state = Timed::codec(store.value.clone());
        Self { prefix: AGGREGATE, apply, view: Timed::shown, show: |kept| Some(kept.value), state, store }
    }
    /// Of equal times the first that came.
    pub(super) fn earliest_by_time(store: Materialized<V>) -> Self {
        Self::by_time(|new, kept| new < kept, store)
    }
    /// Of equal times the last that came.
    pub(super) fn latest_by_time(store: Materialized<V>) -> Self {
        Self::by_time(|new, kept| new >= kept, store)
    }
}

/// The aggregations of a grouped stream; `$out` is the key of the table, `$this` how they take it: `&Self` grouped, `Self`
/// windowed. Both have a `fold`.
macro_rules! aggregations {
    ($name:ident => $out:ty, $this:ty) => {
        impl<K: Key, V: 'static> $name<K, V> {
            /// How many records.
            ///
            /// ```
            /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
            /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
            /// let grouped = numbers.group_by_key();
            /// grouped.count(Materialized::named("counts")).to_stream().to("out", Produced::default());
            /// # let mut driver = TopologyTestDriver::new(builder.build()?);
            /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
            /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
            /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
            /// driver.pipe_input(&input, "a".to_owned(), 8, Timestamp(1));
            /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 2)));
            /// # Ok::<(), Error>(())
            /// ```
            pub fn count(self: $this, store: Materialized<u64>) -> KTable<$out, u64> {
                self.fold(Aggregation::count(store))
            }
            /// `|total, value|`, in place; the first value starts it.
            ///
            /// ```
            /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
            /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
            /// let grouped = numbers.group_by_key();
            /// grouped.reduce(|sum, n| *sum += n, Materialized::named("sums")).to_stream().to("out", Produced::default());
            /// # let mut driver = TopologyTestDriver::new(builder.build()?);
            /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
            /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
            /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
            /// driver.pipe_input(&input, "a".to_owned(), 8, Timestamp(1));
            /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 15)));
            /// # Ok::<(), Error>(())
            /// ```
            pub fn reduce(
                self: $this,
                reducer: impl Fn(&mut V, &V) + Send + Sync + 'static,
                store: Materialized<V>,
            ) -> KTable<$out, V>
            where
                V: Clone,
            {
                self.fold(Aggregation::reduce(reducer, store))
            }
            /// `|key, value, aggregate|`, in place, from what `init` gives.
            ///
            /// ```
            /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
            /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
            /// let grouped = numbers.group_by_key();
            /// let texts = grouped.aggregate(String::new, |key, n, all| *all += &format!("{key}{n}"), Materialized::named("all"));
            /// texts.to_stream().to("out", Produced::default());
            /// # let mut driver = TopologyTestDriver::new(builder.build()?);
            /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
            /// # let output = driver.output_topic("out", Consumed::<String, String>::default());
            /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
            /// driver.pipe_input(&input, "a".to_owned(), 8, Timestamp(1));
            /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), "a7a8".to_owned())));
            /// # Ok::<(), Error>(())
            /// ```
            pub fn aggregate<A: 'static>(
                self: $this,
                init: impl Fn() -> A + Send + Sync + 'static,
                add: impl Fn(&K, &V, &mut A) + Send + Sync + 'static,
                store: Materialized<A>,
            ) -> KTable<$out, A> {
                let add = move |key: &K, value: &V, aggregate: &mut A| {
                    add(key, value, aggregate);
                    Ok::<(), BoxError>(())
                };
                self.fold(Aggregation::aggregate(init, add, store))
            }
            /// [`aggregate`](Self::aggregate) with a closure that can fail.
            ///
            /// ```
            /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
            /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
            /// let grouped = numbers.group_by_key();
            /// let add = |_: &String, n: &u64, sum: &mut u64| -> Result<(), BoxError> {
            ///     *sum = sum.checked_add(*n).ok_or("the sum is too large")?;
            ///     Ok(())
            /// };
            /// let sums = grouped.try_aggregate(|| 0, add, Materialized::named("sums"));
            /// sums.to_stream().to("out", Produced::default());
            /// # let mut driver = TopologyTestDriver::new(builder.build()?);
            /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
            /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
            /// driver.pipe_input(&input, "a".to_owned(), 7, Timestamp(0));
            /// driver.pipe_input(&input, "a".to_owned(), 8, Timestamp(1));
            /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 15)));
            /// # Ok::<(), Error>(())
            /// ```
            pub fn try_aggregate<A: 'static, E: Into<BoxError>>(
                self: $this,
                init: impl Fn() -> A + Send + Sync + 'static,
                add: impl Fn(&K, &V, &mut A) -> Result<(), E> + Send + Sync + 'static,
                store: Materialized<A>,
            ) -> KTable<$out, A> {
                self.fold(Aggregation::aggregate(init, add, store))
            }
            /// The value that came first.
            ///
            /// ```
            /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
            /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
            /// let grouped = numbers.group_by_key();
            /// grouped.earliest_by_offset(Materialized::named("n")).to_stream().to("out", Produced::default());
            /// # let mut driver = TopologyTestDriver::new(builder.build()?);
            /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
            /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
            /// driver.pipe_input(&input, "a".to_owned(), 2, Timestamp(9));
            /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(5));
            /// driver.pipe_input(&input, "a".to_owned(), 3, Timestamp(7));
            /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 2)));
            /// # Ok::<(), Error>(())
            /// ```
            pub fn earliest_by_offset(self: $this, store: Materialized<V>) -> KTable<$out, V>
            where
                V: Clone,
            {
                self.fold(Aggregation::earliest_by_offset(store))
            }
            /// The value that came last.
            ///
            /// ```
            /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
            /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
            /// let grouped = numbers.group_by_key();
            /// grouped.latest_by_offset(Materialized::named("n")).to_stream().to("out", Produced::default());
            /// # let mut driver = TopologyTestDriver::new(builder.build()?);
            /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
            /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
            /// driver.pipe_input(&input, "a".to_owned(), 2, Timestamp(9));
            /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(5));
            /// driver.pipe_input(&input, "a".to_owned(), 3, Timestamp(7));
            /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 3)));
            /// # Ok::<(), Error>(())
            /// ```
            pub fn latest_by_offset(self: $this, store: Materialized<V>) -> KTable<$out, V>
            where
                V: Clone,
            {
                self.fold(Aggregation::latest_by_offset(store))
            }
            /// The value of the earliest event time; of equal times the one that came first.
            ///
            /// ```
            /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
            /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
            /// let grouped = numbers.group_by_key();
            /// grouped.earliest_by_time(Materialized::named("n")).to_stream().to("out", Produced::default());
            /// # let mut driver = TopologyTestDriver::new(builder.build()?);
            /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
            /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
            /// driver.pipe_input(&input, "a".to_owned(), 2, Timestamp(9));
            /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(5));
            /// driver.pipe_input(&input, "a".to_owned(), 3, Timestamp(7));
            /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 1)));
            /// # Ok::<(), Error>(())
            /// ```
            pub fn earliest_by_time(self: $this, store: Materialized<V>) -> KTable<$out, V>
            where
                V: Clone,
            {
                self.fold(Aggregation::earliest_by_time(store))
            }
            /// The value of the latest event time; of equal times the one that came last.
            ///
            /// ```
            /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
            /// # let numbers: KStream<String, u64> = builder.stream("in", Consumed::default());
            /// let grouped = numbers.group_by_key();
            /// grouped.latest_by_time(Materialized::named("n")).to_stream().to("out", Produced::default());
            /// # let mut driver = TopologyTestDriver::new(builder.build()?);
            /// # let input = driver.input_topic("in", Produced::<String, u64>::default());
            /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
            /// driver.pipe_input(&input, "a".to_owned(), 2, Timestamp(9));
            /// driver.pipe_input(&input, "a".to_owned(), 1, Timestamp(5));
            /// driver.pipe_input(&input, "a".to_owned(), 3, Timestamp(7));
            /// assert_eq!(driver.read_output(&output).last(), Some(&("a".to_owned(), 2)));
            /// # Ok::<(), Error>(())
            /// ```
            pub fn latest_by_time(self: $this, store: Materialized<V>) -> KTable<$out, V>
            where
                V: Clone,
            {
                self.fold(Aggregation::latest_by_time(store))
            }
        }
    };
}
pub(super) use aggregations;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serdes::Utf8;
    use crate::time::Timestamp;

    fn after<S, A>(aggregation: &Aggregation<(), String, S, A>, records: &[(&str, i64)]) -> Option<S> {
        let mut state = None;
        for (value, at) in records {
            (aggregation.apply)(&(), &(*value).to_owned(), Timestamp(*at), &mut state).expect("applies");
        }
        state
    }

    const RECORDS: [(&str, i64); 5] = [("b", 2), ("a", 1), ("z", 9), ("y", 9), ("x", 1)];

    #[test]
    fn by_offset_the_order_of_arrival_counts() {
        let store = || Materialized::with("s", Utf8);
        assert_eq!(after(&Aggregation::earliest_by_offset(store()), &RECORDS).as_deref(), Some("b"));
        assert_eq!(after(&Aggregation::latest_by_offset(store()), &RECORDS).as_deref(), Some("x"));
    }

    #[test]
    fn by_time_ties_go_to_the_first_and_to_the_last() {
        let store = || Materialized::with("s", Utf8);
        let earliest = after(&Aggregation::earliest_by_time(store()), &RECORDS).expect("one");
        let latest = after(&Aggregation::latest_by_time(store()), &RECORDS).expect("one");
        assert_eq!((earliest.value.as_str(), latest.value.as_str()), ("a", "y"));
    }

    #[test]
    fn the_first_value_starts_a_reduction() {
        let joined =
            Aggregation::reduce(|all: &mut String, one| all.push_str(one), Materialized::with("s", Utf8));
        assert_eq!(after(&joined, &RECORDS).as_deref(), Some("bazyx"));
        assert_eq!(after(&Aggregation::count(Materialized::named("n")), &RECORDS), Some(5));
    }
}
