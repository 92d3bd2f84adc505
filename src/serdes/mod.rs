//! Bytes: what a type becomes on a topic and in a store.
//!
//! A serde is two halves; what only leaves needs only the writing one. Null is no business of a serde, which always has
//! bytes: `.null_values()` and `.null_keys()` on what reads or writes add it, and then the type says so.
//!
//! | serde | for | bytes |
//! | --- | --- | --- |
//! | [`Utf8`] | `String` | UTF-8 |
//! | [`Bytes`] | `Vec<u8>` | themselves |
//! | [`BigEndian`] | integers and floats | as Kafka's own: 2, 4 or 8 bytes, big endian |
//! | [`Json`] | whatever derives serde's traits | JSON |
//! | [`Nothing`] | [`NoKey`](crate::NoKey) | none: null |
//! | [`WindowedSerde`] | [`Windowed`] keys | key, start, and the end if asked for |
//!
//! An own type opts in with one line:
//! ```
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Click {
//!     page: String,
//! }
//! impl highwater::DefaultSerde for Click {
//!     type Serde = highwater::serdes::Json;
//! }
//! ```

mod codec;
mod keys;
mod murmur2;
mod plain;
mod windowed;
mod windowed_codec;

pub(crate) use codec::{Codec, both, nullable_key, optional, present_key, short, unknown, writing};
pub use keys::{Key, NoKey, NullableKey};
pub(crate) use murmur2::{murmur2, partition_for};
pub use plain::{BigEndian, Bytes, Json, Nothing, Utf8};
pub use windowed::{Known, KnowsEnd, NotKnown, WindowedSerde};
pub(crate) use windowed_codec::{WindowForm, key_inside, windowed};

use crate::error::BoxError;
use crate::time::Windowed;

/// The writing half of a serde.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot write a `{T}`",
    label = "this serde is not for `{T}`",
    note = "`Utf8`: String; `BigEndian`: numbers; `Bytes`: Vec<u8>; `Json`: what derives serde::Serialize",
    note = "nulls: `.null_values()`, `.null_keys()` on what reads or writes"
)]
pub trait Serializer<T>: Send + Sync + 'static {
    /// Appends the bytes of a value. The same value must always have the same bytes: they decide the partition and are
    /// the key in a store.
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError>;

    /// The part of a key's bytes that decides the partition: all, unless the key is windowed; then the key without its
    /// window, so that all windows of a key are together.
    fn partition_key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }
}

/// The reading half of a serde.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot read a `{T}`",
    label = "this serde does not read `{T}`",
    note = "`Utf8`: String; `BigEndian`: numbers; `Bytes`: Vec<u8>; `Json`: what derives serde::Deserialize",
    note = "nulls: `.null_values()`, `.null_keys()` on what reads or writes"
)]
pub trait Deserializer<T>: Send + Sync + 'static {
    /// Reads a value from all of the bytes; what is left over is an error.
    fn deserialize(&self, bytes: &[u8]) -> Result<T, BoxError>;
}

/// Both halves. Never implemented by hand.
pub trait Serde<T>: Serializer<T> + Deserializer<T> {}
impl<T, S: Serializer<T> + Deserializer<T>> Serde<T> for S {}

/// A type with an obvious serde: one line for an own type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default serde",
    label = "`{Self}` must become bytes here",
    note = "for an own type: `impl highwater::DefaultSerde for {Self} {{ type Serde = highwater::serdes::Json; }}`",
    note = "or name the serde: `Consumed::with(key, value)`, `Produced::with(key, value)`, `Grouped::with(name, key, value)`, \
            `Materialized::with(name, value)`",
    note = "an `Option` has one as a value (null); a key is never null: leave out the records without one first"
)]
pub trait DefaultSerde: Sized + 'static {
    /// The serde.
    type Serde: Serde<Self> + Default;
}

/// The writing half: every [`DefaultSerde`], and windowed keys, which are only written so. Never implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default way to be written",
    label = "`{Self}` must become bytes here",
    note = "for an own type, also inside `Windowed<_>`: `impl highwater::DefaultSerde for MyType {{ type Serde = highwater::serdes::Json; }}`",
    note = "or name the serde: `Produced::with(key, value)`"
)]
pub trait DefaultSerializer: Sized + 'static {
    /// The writing half.
    type Serializer: Serializer<Self> + Default;
}

impl<T: DefaultSerde> DefaultSerializer for T {
    type Serializer = T::Serde;
}
impl<K: DefaultSerde> DefaultSerializer for Windowed<K> {
    type Serializer = WindowedSerde<K::Serde>;
}

/// Never holds; here for the compiler's words: it then says what a windowed key lacks. Coherence accepts it beside the
/// two impls above, for [`NotKnown`] does not know the end.
impl<K: DefaultSerde> DefaultSerde for Windowed<K>
where
    WindowedSerde<K::Serde>: Deserializer<Windowed<K>>,
{
    type Serde = WindowedSerde<K::Serde>;
}
