//! Operators whose closures can fail. The error goes to the processing exception handler with the record's coordinates.

use super::kstream::KStream;
use crate::error::BoxError;

impl<K: 'static, V: 'static> KStream<K, V> {
    /// [`filter`](Self::filter) with a closure that can fail.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// let small = lines.try_filter(|_, line| line.parse::<u64>().map(|n| n < 10));
    /// small.to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, String>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "7".to_owned(), Timestamp(0));
    /// driver.pipe_input(&input, "a".to_owned(), "70".to_owned(), Timestamp(1));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), "7".to_owned())]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_filter<E: Into<BoxError>>(
        &self,
        f: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.same("KSTREAM-FILTER-", move |next, cx, key, value| match f(key, value) {
            Ok(true) => next.forward(cx, key, value),
            Ok(false) => Ok(()),
            Err(error) => Err(next.failed(cx, error)),
        })
    }
    /// [`map`](Self::map) with a closure that can fail.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// let totals = lines.try_map(|key, line| line.parse::<u64>().map(|n| (n, key.clone())));
    /// totals.to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<u64, String>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "7".to_owned(), Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [(7, "a".to_owned())]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_map<K2: 'static, V2: 'static, E: Into<BoxError>>(
        &self,
        f: impl Fn(&K, &V) -> Result<(K2, V2), E> + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.rekeyed("KSTREAM-MAP-", None, move |next, cx, key, value| match f(key, value) {
            Ok((key, value)) => next.forward(cx, &key, &value),
            Err(error) => Err(next.failed(cx, error)),
        })
    }
    /// [`map_values`](Self::map_values) with a closure that can fail.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// let orders = lines.try_map_values(|line| line.parse::<u64>());
    /// orders.to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "7".to_owned(), Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 7)]);
    /// let bad = InputRecord::new("a".to_owned(), "seven".to_owned(), Timestamp(1));
    /// assert!(driver.try_pipe(&input, &bad).is_err_and(|error| error.is_processing()));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_map_values<V2: 'static, E: Into<BoxError>>(
        &self,
        f: impl Fn(&V) -> Result<V2, E> + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.revalued("KSTREAM-MAPVALUES-", move |next, cx, key, value| match f(value) {
            Ok(value) => next.forward(cx, key, &value),
            Err(error) => Err(next.failed(cx, error)),
        })
    }
    /// [`flat_map`](Self::flat_map) with a closure that can fail.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// let numbers = lines.try_flat_map(|key, line| {
    ///     let numbers = line.split(' ').map(|n| Ok((key.clone(), n.parse()?)));
    ///     numbers.collect::<Result<Vec<(String, u64)>, BoxError>>()
    /// });
    /// numbers.to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "7 8".to_owned(), Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 7), ("a".to_owned(), 8)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_flat_map<K2: 'static, V2: 'static, I, E: Into<BoxError>>(
        &self,
        f: impl Fn(&K, &V) -> Result<I, E> + Send + Sync + 'static,
    ) -> KStream<K2, V2>
    where
        I: IntoIterator<Item = (K2, V2)>,
    {
        self.rekeyed("KSTREAM-FLATMAP-", None, move |next, cx, key, value| match f(key, value) {
            Ok(all) => all.into_iter().try_for_each(|(key, value)| next.forward(cx, &key, &value)),
            Err(error) => Err(next.failed(cx, error)),
        })
    }
    /// [`flat_map_values`](Self::flat_map_values) with a closure that can fail.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// let numbers = lines.try_flat_map_values(|line| line.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>());
    /// numbers.to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<String, u64>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "7 8".to_owned(), Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [("a".to_owned(), 7), ("a".to_owned(), 8)]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_flat_map_values<I: IntoIterator<Item: 'static>, E: Into<BoxError>>(
        &self,
        f: impl Fn(&V) -> Result<I, E> + Send + Sync + 'static,
    ) -> KStream<K, I::Item> {
        self.revalued("KSTREAM-FLATMAPVALUES-", move |next, cx, key, value| match f(value) {
            Ok(all) => all.into_iter().try_for_each(|value| next.forward(cx, key, &value)),
            Err(error) => Err(next.failed(cx, error)),
        })
    }
    /// [`select_key`](Self::select_key) with a closure that can fail.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// lines.try_select_key(|_, line| line.parse::<u64>()).to("out", Produced::default());
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// # let output = driver.output_topic("out", Consumed::<u64, String>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "7".to_owned(), Timestamp(0));
    /// assert_eq!(driver.read_output(&output), [(7, "7".to_owned())]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_select_key<K2: 'static, E: Into<BoxError>>(
        &self,
        f: impl Fn(&K, &V) -> Result<K2, E> + Send + Sync + 'static,
    ) -> KStream<K2, V> {
        let value = self.value.clone();
        self.rekeyed("KSTREAM-KEY-SELECT-", value, move |next, cx, key, value| match f(key, value) {
            Ok(key) => next.forward(cx, &key, value),
            Err(error) => Err(next.failed(cx, error)),
        })
    }
    /// [`for_each`](Self::for_each) with a closure that can fail.
    ///
    /// ```
    /// # use highwater::{*, testing::*, time::*}; let builder = StreamsBuilder::new();
    /// # let lines: KStream<String, String> = builder.stream("in", Consumed::default());
    /// lines.try_for_each(|_, line| line.parse::<u64>().map(drop));
    /// # let mut driver = TopologyTestDriver::new(builder.build()?);
    /// # let input = driver.input_topic("in", Produced::<String, String>::default());
    /// driver.pipe_input(&input, "a".to_owned(), "7".to_owned(), Timestamp(0));
    /// let bad = InputRecord::new("a".to_owned(), "seven".to_owned(), Timestamp(1));
    /// assert!(driver.try_pipe(&input, &bad).is_err_and(|error| error.is_processing()));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_for_each<E: Into<BoxError>>(
        &self,
        f: impl Fn(&K, &V) -> Result<(), E> + Send + Sync + 'static,
    ) {
        self.then::<K, V, _>("KSTREAM-FOREACH-", move |next, cx, key, value| {
            f(key, value).map_err(|error| next.failed(cx, error))
        });
    }
}
