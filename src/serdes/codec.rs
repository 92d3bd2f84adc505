//! Serdes with their types erased, and null where a type has one: what streams, sources, sinks and stores hold.

use super::{Deserializer, NoKey, NullableKey, Serde, Serializer};
use crate::error::BoxError;
use std::any::{Any, TypeId, type_name};
use std::marker::PhantomData;
use std::sync::Arc;

/// Bytes or null from a `T` and back.
pub(crate) trait Codec<T>: Send + Sync {
    /// Appends the bytes; `false`: null, nothing was appended.
    fn write(&self, value: &T, out: &mut Vec<u8>) -> Result<bool, BoxError>;
    /// Reads all of the bytes; `None` is null.
    fn read(&self, bytes: Option<&[u8]>) -> Result<T, BoxError>;
    /// Whether this value is written as null, without writing it.
    fn is_null(&self, _value: &T) -> bool {
        false
    }
    /// Whether a value can be null at all.
    fn nullable(&self) -> bool {
        false
    }
    /// The part of the bytes that decides the partition.
    fn partition_key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }
    /// What a person is told: `Json<Tick>`.
    fn describe(&self) -> String {
        short::<T>()
    }
    /// A nullable key's codec of the key that is there: an `Arc<dyn Codec<K>>`.
    fn present(&self) -> Option<Box<dyn Any>> {
        None
    }
}

/// Names without their paths.
pub(crate) fn short<T>() -> String {
    let mut out = String::new();
    for part in type_name::<T>().split_inclusive(['<', '>', ',', ' ', '(', ')', '&', '[', ']']) {
        out.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    out
}

/// A codec of a serde.
pub(crate) fn both<T: 'static>(serde: impl Serde<T>) -> Arc<dyn Codec<T>> {
    Arc::new(Both { serde, never: is_no_key::<T>(), of: PhantomData })
}

/// A codec that writes and does not read.
pub(crate) fn writing<T: 'static>(serializer: impl Serializer<T>) -> Arc<dyn Codec<T>> {
    Arc::new(Writing { serializer, never: is_no_key::<T>(), of: PhantomData })
}

/// Keys that were never read have no bytes, whatever serde is named for them.
fn is_no_key<T: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<NoKey>()
}

struct Both<T, S> {
    serde: S,
    /// It is always null.
    never: bool,
    of: PhantomData<fn() -> T>,
}

impl<T: 'static, S: Serializer<T> + Deserializer<T>> Codec<T> for Both<T, S> {
    fn write(&self, value: &T, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        if self.never {
            return Ok(false);
        }
        self.serde.serialize(value, out).map(|()| true)
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<T, BoxError> {
        match bytes {
            Some(bytes) => self.serde.deserialize(bytes),
            None if self.never => self.serde.deserialize(&[]),
            None => Err("it is null, and its type has no null".into()),
        }
    }
    fn is_null(&self, _: &T) -> bool {
        self.never
    }
    fn partition_key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.serde.partition_key(bytes)
    }
    fn describe(&self) -> String {
        format!("{}<{}>", short::<S>(), short::<T>())
    }
}

struct Writing<T, S> {
    serializer: S,
    never: bool,
    of: PhantomData<fn() -> T>,
}

impl<T: 'static, S: Serializer<T>> Codec<T> for Writing<T, S> {
    fn write(&self, value: &T, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        if self.never {
            return Ok(false);
        }
        self.serializer.serialize(value, out).map(|()| true)
    }
    fn read(&self, _: Option<&[u8]>) -> Result<T, BoxError> {
        Err(format!("{} is only used to write here", self.describe()).into())
    }
    fn is_null(&self, _: &T) -> bool {
        self.never
    }
    fn partition_key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.serializer.partition_key(bytes)
    }
    fn describe(&self) -> String {
        format!("{}<{}>", short::<S>(), short::<T>())
    }
}

/// `None` is null.
pub(crate) fn optional<T: 'static>(of: Arc<dyn Codec<T>>) -> Arc<dyn Codec<Option<T>>> {
    Arc::new(Optional(of))
}

struct Optional<T>(Arc<dyn Codec<T>>);

impl<T: 'static> Codec<Option<T>> for Optional<T> {
    fn write(&self, value: &Option<T>, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        value.as_ref().map_or(Ok(false), |value| self.0.write(value, out))
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<Option<T>, BoxError> {
        bytes.map(|bytes| self.0.read(Some(bytes))).transpose()
    }
    fn is_null(&self, value: &Option<T>) -> bool {
        value.as_ref().is_none_or(|value| self.0.is_null(value))
    }
    fn nullable(&self) -> bool {
        true
    }
    fn describe(&self) -> String {
        format!("{} or null", self.0.describe())
    }
}

impl<K: 'static> Codec<NullableKey<K>> for Optional<K> {
    fn write(&self, key: &NullableKey<K>, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        Codec::write(self, &key.0, out)
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<NullableKey<K>, BoxError> {
        Codec::read(self, bytes).map(NullableKey)
    }
    fn is_null(&self, key: &NullableKey<K>) -> bool {
        Codec::is_null(self, &key.0)
    }
    fn nullable(&self) -> bool {
        true
    }
    fn partition_key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.0.partition_key(bytes)
    }
    fn describe(&self) -> String {
        format!("{} or null", self.0.describe())
    }
    fn present(&self) -> Option<Box<dyn Any>> {
        Some(Box::new(self.0.clone()))
    }
}

/// A key that may be missing.
pub(crate) fn nullable_key<K: 'static>(of: Arc<dyn Codec<K>>) -> Arc<dyn Codec<NullableKey<K>>> {
    Arc::new(Optional(of))
}

/// What a nullable key's codec does with a key that is there.
pub(crate) fn present_key<K: 'static>(codec: &dyn Codec<NullableKey<K>>) -> Option<Arc<dyn Codec<K>>> {
    Some(codec.present()?.downcast_ref::<Arc<dyn Codec<K>>>()?.clone())
}

/// Stands where a mistake left no codec; `build()` refuses the topology before it is used.
pub(crate) fn unknown<T: 'static>() -> Arc<dyn Codec<T>> {
    Arc::new(Unknown)
}

struct Unknown;

impl<T> Codec<T> for Unknown {
    fn write(&self, _: &T, _: &mut Vec<u8>) -> Result<bool, BoxError> {
        Err(format!("no serde for {} is known here", short::<T>()).into())
    }
    fn read(&self, _: Option<&[u8]>) -> Result<T, BoxError> {
        Err(format!("no serde for {} is known here", short::<T>()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Nothing, Utf8};
    use super::*;

    fn written<T>(codec: &dyn Codec<T>, value: &T) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        codec.write(value, &mut out).expect("writes").then_some(out)
    }

    #[test]
    fn null_only_where_the_type_has_one() {
        let plain = both::<String>(Utf8);
        assert_eq!(plain.read(None).expect_err("null").to_string(), "it is null, and its type has no null");
        let maybe = optional(plain.clone());
        assert_eq!(maybe.read(None).expect("null"), None);
        assert_eq!(maybe.read(Some(b"")).expect("empty"), Some(String::new()));
        assert_eq!(written(&*maybe, &None), None);
        assert_eq!(written(&*maybe, &Some("a".to_owned())), Some(b"a".to_vec()));
        assert!(maybe.is_null(&None) && maybe.nullable() && !plain.nullable());
    }

    #[test]
    fn a_key_that_was_not_read_is_written_as_null() {
        let codec = both::<NoKey>(Nothing);
        assert_eq!(written(&*codec, &NoKey), None);
        assert!(codec.read(None).is_ok() && codec.read(Some(b"anything")).is_ok());
    }

    #[test]
    fn a_nullable_keys_codec_gives_the_keys() {
        let codec = nullable_key(both::<String>(Utf8));
        assert_eq!(written(&*codec, &NullableKey(None)), None);
        let present = present_key(&*codec).expect("the key's own");
        assert_eq!(written(&*present, &"a".to_owned()), Some(b"a".to_vec()));
    }

    #[test]
    fn described_without_paths() {
        assert_eq!(both::<String>(Utf8).describe(), "Utf8<String>");
        assert_eq!(
            optional(both::<Vec<(String, u8)>>(super::super::Json)).describe(),
            "Json<Vec<(String, u8)>> or null"
        );
    }
}
