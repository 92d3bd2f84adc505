//! What a program reads of the stores of its own process.

use super::running_streams::RunningStreams;
use super::store_reader::StoreReader;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::serdes::{Codec, Key, partition_for};
use crate::state::{KeyValueForm, StoreScan, WindowedForm, key_value_words, window_words};
use crate::time::{Timestamp, Window, Windowed};
use std::any::Any;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

/// How a store can be read: [`ReadOnlyKeyValueStore`] or [`ReadOnlyWindowStore`].
pub trait QueryableStore: sealed::Open {}

/// Public only as far as the compiler asks for it: nobody outside can name what is in here.
pub(crate) mod sealed {
    use super::{Any, StoreReader};

    /// A view of a store.
    pub trait Open: Sized {
        /// If the form is that of its types.
        #[expect(private_interfaces, reason = "nobody outside can call it")]
        fn open(reader: StoreReader, form: &dyn Any) -> Option<Self>;
        /// Its types in words.
        fn words() -> String;
    }
}

impl RunningStreams {
    /// A store of the topology, as the tasks that run **in this process** have it; `S` is a [`ReadOnlyKeyValueStore`] or a
    /// [`ReadOnlyWindowStore`] of the store's types: aggregations without and with windows, tables, and the stores of
    /// processors, by the names that the program gave them.
    ///
    /// As in Kafka Streams a read sees what the task has now, **also what is not committed yet**. Under `exactly_once_v2`
    /// such a value can be taken back by an abort or a crash, and be made again from the same input.
    ///
    /// A read travels to the thread that has the task, is answered there between two steps, and **blocks** the caller until
    /// then; it is not for code that runs inside the topology, nor for listeners. It fails after `request.timeout.ms`, or what the store's
    /// `timeout` says.
    ///
    /// ```
    /// # use highwater::*;
    /// # use std::time::Duration;
    /// # let log = EmbeddedLog::new();
    /// # log.create_topic("words", 2)?;
    /// # let builder = StreamsBuilder::new();
    /// # let words = builder.stream("words", Consumed::<String, String>::default());
    /// words.group_by_key().count(Materialized::named("counts"));
    /// # let streams = KafkaStreams::embedded(builder.build()?, &log, StreamsConfig::new("app", "").exactly_once())?;
    /// let running = streams.start();
    /// let counts: ReadOnlyKeyValueStore<String, u64> = running.store("counts")?;
    /// # let produced = Produced::<String, String>::default();
    /// # for key in ["ann", "bob", "ann"] {
    /// #     log.append("words", &produced, &key.to_owned(), &"x".to_owned(), time::Timestamp(0))?;
    /// # }
    /// # while running.counts().processed < 3 { running.wait_for(Duration::from_millis(1)); }
    /// assert_eq!(counts.get(&"ann".to_owned())?, Some(2));
    /// assert_eq!(counts.all(10)?, [("ann".to_owned(), 2), ("bob".to_owned(), 1)]);
    ///
    /// let wrong = running.store::<ReadOnlyKeyValueStore<String, String>>("counts").err().unwrap();
    /// assert!(wrong.to_string().contains("a key-value store of `String` and `u64`"));
    /// # Ok::<(), highwater::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such store, it holds other types, or it is a buffer of an operator. Whether its tasks run is found
    /// when it is read.
    pub fn store<S: QueryableStore>(&self, name: &str) -> Result<S> {
        let (reader, readable) = StoreReader::of(self, name)?;
        S::open(reader, &*readable.form).ok_or_else(|| {
            let text = format!("store `{name}` is {}, not {}", readable.holds, S::words());
            Error::state(text).help("name the types of the store: those of its operator's key and value")
        })
    }
}

/// A key-value store of this process's tasks, to be read; cheap to clone. From [`RunningStreams::store`].
pub struct ReadOnlyKeyValueStore<K, V> {
    reader: StoreReader,
    form: KeyValueForm<K, V>,
}

/// A window store of this process's tasks, to be read; cheap to clone. From [`RunningStreams::store`].
///
/// The window of an aggregation can be read while it is open, and after that for as long as
/// [`Materialized::retention`](crate::Materialized::retention) says (not at all by default).
///
/// ```
/// # use highwater::{*, time::*};
/// # use std::time::Duration;
/// # let log = EmbeddedLog::new();
/// # log.create_topic("clicks", 1)?;
/// # let builder = StreamsBuilder::new();
/// # let clicks = builder.stream("clicks", Consumed::<String, String>::default());
/// let windows = TimeWindows::of_size(minutes(1)).grace(minutes(5));
/// clicks.group_by_key().windowed_by(windows).count(Materialized::named("per-minute"));
/// # let streams = KafkaStreams::embedded(builder.build()?, &log, StreamsConfig::new("app", "").exactly_once())?;
/// # let running = streams.start();
/// # for at in [5_000, 6_000, 60_000] {
/// #     log.append("clicks", &Produced::<String, String>::default(), &"ann".into(), &"/".into(), Timestamp(at))?;
/// # }
/// # while running.counts().processed < 3 { running.wait_for(Duration::from_millis(1)); }
/// let per_minute: ReadOnlyWindowStore<String, u64> = running.store("per-minute")?;
/// let minute = |n: i64| Window::new(Timestamp(n * 60_000), Timestamp((n + 1) * 60_000));
/// assert_eq!(per_minute.get(&"ann".to_owned(), minute(0))?, Some(2));
/// assert_eq!(per_minute.fetch(&"ann".to_owned(), .., 10)?, [(minute(0), 2), (minute(1), 1)]);
/// # Ok::<(), highwater::Error>(())
/// ```
pub struct ReadOnlyWindowStore<K, V> {
    reader: StoreReader,
    form: WindowedForm<K, V>,
}

impl<K, V> Clone for ReadOnlyKeyValueStore<K, V> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), form: self.form.clone() }
    }
}

impl<K, V> Clone for ReadOnlyWindowStore<K, V> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), form: self.form.clone() }
    }
}

impl<K: Key, V: 'static> QueryableStore for ReadOnlyKeyValueStore<K, V> {}

impl<K: Key, V: 'static> sealed::Open for ReadOnlyKeyValueStore<K, V> {
    #[expect(private_interfaces, reason = "nobody outside can call it")]
    fn open(reader: StoreReader, form: &dyn Any) -> Option<Self> {
        Some(Self { reader, form: form.downcast_ref::<KeyValueForm<K, V>>()?.clone() })
    }
    fn words() -> String {
        key_value_words::<K, V>()
    }
}

impl<K: Key, V: 'static> QueryableStore for ReadOnlyWindowStore<K, V> {}

impl<K: Key, V: 'static> sealed::Open for ReadOnlyWindowStore<K, V> {
    #[expect(private_interfaces, reason = "nobody outside can call it")]
    fn open(reader: StoreReader, form: &dyn Any) -> Option<Self> {
        Some(Self { reader, form: form.downcast_ref::<WindowedForm<K, V>>()?.clone() })
    }
    fn words() -> String {
        window_words::<K, V>()
    }
}

impl<K: Key, V: 'static> ReadOnlyKeyValueStore<K, V> {
    /// How long a read may take.
    #[must_use = "it is the store that is returned that waits so long"]
    pub fn timeout(mut self, most: Duration) -> Self {
        self.reader.timeout = most;
        self
    }

    /// The value of a key; `None` if there is none. The key's partition is the one of Kafka's default partitioner.
    ///
    /// # Errors
    /// [`is_not_here`](Error::is_not_here) if another process has the key's task, with the partition;
    /// [`is_retriable`](Error::is_retriable) if the task is being restored, the group rebalances, the application has ended
    /// or the time is over; otherwise if the store cannot be read.
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        let bytes = written(&*self.form.key, key)?;
        let part = self.form.key.partition_key(&bytes).to_vec();
        let value = self.reader.value(bytes, |partitions| partition_for(&part, partitions))?;
        value.map_or(Ok(None), |value| (self.form.value)(&value).map_err(unreadable))
    }

    /// The entries of the tasks here whose key bytes lie in a range, ascending, at most `limit`. Numbers are in order as
    /// bytes only if none is negative.
    ///
    /// ```
    /// # use highwater::*;
    /// # use std::time::Duration;
    /// # let log = EmbeddedLog::new();
    /// # log.create_topic("words", 2)?;
    /// # let builder = StreamsBuilder::new();
    /// # let words = builder.stream("words", Consumed::<String, String>::default());
    /// # words.to_table(Materialized::named("latest"));
    /// # let streams = KafkaStreams::embedded(builder.build()?, &log, StreamsConfig::new("app", "").exactly_once())?;
    /// # let running = streams.start();
    /// # for key in ["ann", "bob", "cleo"] {
    /// #     log.append("words", &Produced::<String, String>::default(), &key.to_owned(), &"x".to_owned(), time::Timestamp(0))?;
    /// # }
    /// # while running.counts().processed < 3 { running.wait_for(Duration::from_millis(1)); }
    /// let latest: ReadOnlyKeyValueStore<String, String> = running.store("latest")?;
    /// let latest = latest.timeout(Duration::from_secs(5));
    /// let keys: Vec<String> = latest.range("b".to_owned().., 10)?.into_iter().map(|(key, _)| key).collect();
    /// assert_eq!(keys, ["bob", "cleo"]);
    /// # Ok::<(), highwater::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get), but that keys of other processes are left out.
    pub fn range(&self, keys: impl RangeBounds<K>, limit: usize) -> Result<Vec<(K, V)>> {
        let keys = (self.bound(keys.start_bound())?, self.bound(keys.end_bound())?);
        let rows = self.reader.rows(StoreScan { keys, length: None, limit })?;
        let entries = rows.into_iter().map(|(key, value)| {
            let value = (self.form.value)(&value).map_err(unreadable)?;
            let Some(value) = value else { return Ok(None) };
            Ok(Some((self.form.key.read(Some(&key)).map_err(unreadable)?, value)))
        });
        entries.filter_map(Result::transpose).collect()
    }

    /// The first entries by key bytes of the tasks here, at most `limit`.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn all(&self, limit: usize) -> Result<Vec<(K, V)>> {
        self.range(.., limit)
    }

    fn bound(&self, bound: Bound<&K>) -> Result<Bound<Vec<u8>>> {
        Ok(match bound {
            Bound::Included(key) => Bound::Included(written(&*self.form.key, key)?),
            Bound::Excluded(key) => Bound::Excluded(written(&*self.form.key, key)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    }
}

impl<K: Key, V: 'static> ReadOnlyWindowStore<K, V> {
    /// How long a read may take.
    #[must_use = "it is the store that is returned that waits so long"]
    pub fn timeout(mut self, most: Duration) -> Self {
        self.reader.timeout = most;
        self
    }

    /// The value of a key in a window; `None` if there is none.
    ///
    /// # Errors
    /// As [`ReadOnlyKeyValueStore::get`].
    pub fn get(&self, key: &K, window: Window) -> Result<Option<V>> {
        let base = written(&*self.form.key, key)?;
        let part = self.form.key.partition_key(&base).to_vec();
        let bytes = written(&*self.form.windowed, &Windowed::new(key.clone(), window))?;
        let value = self.reader.value(bytes, |partitions| partition_for(&part, partitions))?;
        value.map_or(Ok(None), |value| (self.form.value)(&value).map_err(unreadable))
    }

    /// A key's entries whose window starts in a range, by start ascending, at most `limit`.
    ///
    /// # Errors
    /// As [`ReadOnlyKeyValueStore::get`], but that nothing tells a key of another process from one without windows.
    pub fn fetch(
        &self,
        key: &K,
        starts: impl RangeBounds<Timestamp>,
        limit: usize,
    ) -> Result<Vec<(Window, V)>> {
        let base = written(&*self.form.key, key)?;
        let length = base.len() + self.form.suffix;
        let whole =
            StoreScan { keys: around(&base, self.form.suffix), length: Some(length), limit: usize::MAX };
        // Starts before 1970 come last as bytes: only without them is the order that of time.
        let scan = match first_start(&starts) {
            Some(first) if first >= 0 => {
                let from = [base.as_slice(), &first.to_be_bytes()].concat();
                StoreScan { keys: (Bound::Included(from), end(&base, &starts, whole.keys.1)), limit, ..whole }
            }
            _ => whole,
        };
        let entries = self.entries(scan)?.into_iter().map(|(at, value)| (at.window, value));
        let mut entries: Vec<_> = entries.filter(|(window, _)| starts.contains(&window.start)).collect();
        entries.sort_by_key(|(window, _)| *window);
        entries.truncate(limit);
        Ok(entries)
    }

    /// The first entries of the tasks here by the bytes of their keys, then by start, at most `limit`.
    ///
    /// # Errors
    /// As [`ReadOnlyKeyValueStore::range`].
    pub fn all(&self, limit: usize) -> Result<Vec<(Windowed<K>, V)>> {
        self.entries(StoreScan { keys: (Bound::Unbounded, Bound::Unbounded), length: None, limit })
    }

    fn entries(&self, scan: StoreScan) -> Result<Vec<(Windowed<K>, V)>> {
        let entries = self.reader.rows(scan)?.into_iter().map(|(key, value)| {
            let value = (self.form.value)(&value).map_err(unreadable)?;
            let Some(value) = value else { return Ok(None) };
            Ok(Some((self.form.windowed.read(Some(&key)).map_err(unreadable)?, value)))
        });
        entries.filter_map(Result::transpose).collect()
    }
}

/// All windows of a key, and of keys that begin with its bytes.
fn around(base: &[u8], suffix: usize) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let last = [base, &vec![u8::MAX; suffix]].concat();
    (Bound::Included(base.to_vec()), Bound::Included(last))
}

fn first_start(starts: &impl RangeBounds<Timestamp>) -> Option<i64> {
    match starts.start_bound() {
        Bound::Included(first) => Some(first.0),
        Bound::Excluded(before) => before.0.checked_add(1),
        Bound::Unbounded => None,
    }
}

/// Behind the last start of a range that has one; its first is not negative.
fn end(base: &[u8], starts: &impl RangeBounds<Timestamp>, last: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
    let end = match starts.end_bound() {
        Bound::Included(last) => last.0.checked_add(1),
        Bound::Excluded(end) => Some(end.0),
        Bound::Unbounded => None,
    };
    end.map_or(last, |end| Bound::Excluded([base, &end.max(0).to_be_bytes()].concat()))
}

fn written<T>(codec: &dyn Codec<T>, value: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    codec.write(value, &mut bytes).map_err(|error| {
        Error::new(ErrorKind::State, "the key that is asked for cannot be serialized").cause(error)
    })?;
    Ok(bytes)
}

fn unreadable(error: BoxError) -> Error {
    Error::state("an entry of the store cannot be deserialized").cause(error)
}
