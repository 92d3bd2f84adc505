//! The serdes without parameters.

use super::{DefaultSerde, Deserializer, NoKey, Serializer};
use crate::error::BoxError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `String` as UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8;

impl Serializer<String> for Utf8 {
    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }
}
impl Deserializer<String> for Utf8 {
    fn deserialize(&self, bytes: &[u8]) -> Result<String, BoxError> {
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }
}

/// `Vec<u8>` as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes;

impl Serializer<Vec<u8>> for Bytes {
    fn serialize(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(value);
        Ok(())
    }
}
impl Deserializer<Vec<u8>> for Bytes {
    fn deserialize(&self, bytes: &[u8]) -> Result<Vec<u8>, BoxError> {
        Ok(bytes.to_vec())
    }
}

/// What derives serde's traits, as JSON. One unit for every type: inference finds it from the stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<T: Serialize> Serializer<T> for Json {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(out, value)?)
    }
}
impl<T: DeserializeOwned> Deserializer<T> for Json {
    fn deserialize(&self, bytes: &[u8]) -> Result<T, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// Keys that are not looked at: whatever is there is read as [`NoKey`], and null is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Serializer<NoKey> for Nothing {
    fn serialize(&self, _: &NoKey, _: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(())
    }
}
impl Deserializer<NoKey> for Nothing {
    fn deserialize(&self, _: &[u8]) -> Result<NoKey, BoxError> {
        Ok(NoKey)
    }
}

/// Numbers in big-endian order, as Kafka's own serdes write them: `i16 u16` in 2 bytes, `i32 u32 f32` in 4,
/// `i64 u64 f64` in 8.
#[derive(Clone, Copy, Debug, Default)]
pub struct BigEndian;

macro_rules! big_endian {
    ($($number:ty),*) => { $(
        impl Serializer<$number> for BigEndian {
            fn serialize(&self, value: &$number, out: &mut Vec<u8>) -> Result<(), BoxError> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(())
            }
        }
        impl Deserializer<$number> for BigEndian {
            fn deserialize(&self, bytes: &[u8]) -> Result<$number, BoxError> {
                match bytes.try_into() {
                    Ok(bytes) => Ok(<$number>::from_be_bytes(bytes)),
                    Err(_) => Err(wrong_length(stringify!($number), size_of::<$number>(), bytes.len())),
                }
            }
        }
        impl DefaultSerde for $number {
            type Serde = BigEndian;
        }
    )* };
}
big_endian!(i16, u16, i32, u32, i64, u64, f32, f64);

fn wrong_length(number: &str, expected: usize, found: usize) -> BoxError {
    format!("{number} takes {expected} bytes, found {found}").into()
}

impl DefaultSerde for String {
    type Serde = Utf8;
}
impl DefaultSerde for Vec<u8> {
    type Serde = Bytes;
}
impl DefaultSerde for NoKey {
    type Serde = Nothing;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serdes::Serde;
    use std::fmt::Debug;

    fn round_trips<T: PartialEq + Debug>(serde: &impl Serde<T>, value: &T, expected: &[u8]) {
        let mut bytes = Vec::new();
        serde.serialize(value, &mut bytes).expect("writes");
        assert_eq!(bytes, expected);
        assert_eq!(&serde.deserialize(&bytes).expect("reads"), value);
    }

    #[test]
    fn numbers_are_big_endian() {
        round_trips(&BigEndian, &-2_i16, &[0xff, 0xfe]);
        round_trips(&BigEndian, &258_u16, &[1, 2]);
        round_trips(&BigEndian, &1_i32, &[0, 0, 0, 1]);
        round_trips(&BigEndian, &u32::MAX, &[0xff; 4]);
        round_trips(&BigEndian, &1_000_i64, &[0, 0, 0, 0, 0, 0, 3, 0xe8]);
        round_trips(&BigEndian, &1_u64, &[0, 0, 0, 0, 0, 0, 0, 1]);
        round_trips(&BigEndian, &1.0_f32, &[0x3f, 0x80, 0, 0]);
        round_trips(&BigEndian, &-1.0_f64, &[0xbf, 0xf0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_number_of_another_length_is_refused() {
        let read = Deserializer::<i64>::deserialize(&BigEndian, &[0, 0, 0, 1]);
        assert_eq!(read.expect_err("4 bytes").to_string(), "i64 takes 8 bytes, found 4");
    }

    #[test]
    fn text_bytes_and_json() {
        round_trips(&Utf8, &"€".to_owned(), &[0xe2, 0x82, 0xac]);
        round_trips(&Bytes, &vec![0, 255], &[0, 255]);
        round_trips(&Json, &vec![1, 2], b"[1,2]");
        assert!(Utf8.deserialize(&[0xff]).is_err());
        assert!(Deserializer::<u32>::deserialize(&Json, b"1 2").is_err(), "what is left over");
    }
}
