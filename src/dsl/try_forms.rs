//! Operators whose closures can fail. The error goes to the processing exception handler with the record's coordinates.

use super::kstream::KStream;
use crate::error::BoxError;

impl<K: 'static, V: 'static> KStream<K, V> {
    /// [`filter`](Self::filter) with a closure that can fail.
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
    /// ```ignore
    /// let orders = lines.try_map_values(|line| serde_json::from_str::<Order>(line));
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
    pub fn try_for_each<E: Into<BoxError>>(
        &self,
        f: impl Fn(&K, &V) -> Result<(), E> + Send + Sync + 'static,
    ) {
        self.then::<K, V, _>("KSTREAM-FOREACH-", move |next, cx, key, value| {
            f(key, value).map_err(|error| next.failed(cx, error))
        });
    }
}
