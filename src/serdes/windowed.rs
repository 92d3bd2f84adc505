//! Windowed keys as users name their serde. Whether the end can be known is part of the type, so reading without knowing
//! it does not compile.

use super::windowed_codec::WindowForm;
use super::{Deserializer, Serializer};
use crate::error::BoxError;
use crate::time::Windowed;
use std::marker::PhantomData;
use std::time::Duration;

/// Kafka Streams' bytes of a windowed key: the key, then the start (8 bytes, big endian, ms).
///
/// The end is not in them, so this writes and does not read, until [`size`](Self::size) or [`with_end`](Self::with_end)
/// says where windows end. Partitions are chosen by the key alone.
///
/// ```
/// use highwater::serdes::{Deserializer, Serializer, Utf8, WindowedSerde};
/// use highwater::time::{Timestamp, Window, Windowed, minutes};
///
/// let serde = WindowedSerde::of(Utf8).size(minutes(1));
/// let mut bytes = Vec::new();
/// let key = Windowed::new("a".to_owned(), Window::new(Timestamp(0), Timestamp(60_000)));
/// serde.serialize(&key, &mut bytes)?;
/// assert_eq!(bytes, *b"a\0\0\0\0\0\0\0\0");
/// assert_eq!(Deserializer::<Windowed<String>>::deserialize(&serde, &bytes)?, key);
/// # Ok::<(), highwater::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WindowedSerde<S, End = NotKnown> {
    key: S,
    form: WindowForm,
    end: PhantomData<fn() -> End>,
}

/// Where windows end is not known: they can be written only.
#[derive(Clone, Copy, Debug)]
pub struct NotKnown;

/// Where windows end is known.
#[derive(Clone, Copy, Debug)]
pub struct Known;

impl<S> WindowedSerde<S> {
    /// Writes key and start.
    pub fn of(key: S) -> Self {
        Self { key, form: WindowForm::Start(Duration::ZERO), end: PhantomData }
    }
    /// The same bytes; a window ends `size` after its start.
    pub fn size(self, size: Duration) -> WindowedSerde<S, Known> {
        WindowedSerde { key: self.key, form: WindowForm::Start(size), end: PhantomData }
    }
    /// Writes key, start and end (8 bytes each): for calendar windows, whose lengths differ.
    pub fn with_end(self) -> WindowedSerde<S, Known> {
        WindowedSerde { key: self.key, form: WindowForm::StartEnd, end: PhantomData }
    }
}

impl<S: Default> Default for WindowedSerde<S> {
    fn default() -> Self {
        Self::of(S::default())
    }
}

impl<K, S: Serializer<K>, End: Send + Sync + 'static> Serializer<Windowed<K>> for WindowedSerde<S, End> {
    fn serialize(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), BoxError> {
        self.key.serialize(&value.key, out)?;
        self.form.put(value.window, out);
        Ok(())
    }
    fn partition_key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.key.partition_key(self.form.key(bytes))
    }
}

/// Whether a windowed serde can read.
#[diagnostic::on_unimplemented(
    message = "windowed keys cannot be read so: where a window ends is not in their bytes",
    label = "does not know where the windows end",
    note = "say it: `WindowedSerde::of(serde).size(duration)`, or `.with_end()` if the end was written too"
)]
pub trait KnowsEnd: Send + Sync + 'static {}
impl KnowsEnd for Known {}

impl<K, S: Deserializer<K>, End: KnowsEnd> Deserializer<Windowed<K>> for WindowedSerde<S, End> {
    fn deserialize(&self, bytes: &[u8]) -> Result<Windowed<K>, BoxError> {
        let (key, window) = self.form.split(bytes)?;
        Ok(Windowed::new(self.key.deserialize(key)?, window))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Utf8;
    use super::*;
    use crate::time::{Timestamp, Window, minutes};

    #[test]
    fn writes_kafkas_bytes_and_reads_them_with_a_size() {
        let key = Windowed::new("a".to_owned(), Window::new(Timestamp(60_000), Timestamp(120_000)));
        let (mut unsized_, mut sized, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        WindowedSerde::of(Utf8).serialize(&key, &mut unsized_).expect("writes");
        let by_size = WindowedSerde::of(Utf8).size(minutes(1));
        by_size.serialize(&key, &mut sized).expect("writes");
        let by_end = WindowedSerde::of(Utf8).with_end();
        by_end.serialize(&key, &mut ended).expect("writes");
        assert_eq!(unsized_, [b"a".as_slice(), &60_000_i64.to_be_bytes()].concat());
        assert_eq!(sized, unsized_);
        assert_eq!(ended, [b"a".as_slice(), &60_000_i64.to_be_bytes(), &120_000_i64.to_be_bytes()].concat());
        assert_eq!(by_size.deserialize(&sized).expect("reads"), key);
        assert_eq!(by_end.deserialize(&ended).expect("reads"), key);
        assert_eq!(Serializer::<Windowed<String>>::partition_key(&by_end, &ended), b"a");
    }
}
