//! A trade or a quote, and its JSON in the topic `ticks`: `{"ts":1700000000000,"price":101.25,"volume":3}`.

use crate::decimal;
use highwater::BoxError;
use highwater::serdes::{Deserializer, Serializer};
use highwater::time::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;

/// One tick of some symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Tick {
    /// Event time.
    #[serde(rename = "ts")]
    pub at: Timestamp,
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    pub price: Decimal,
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    pub volume: Decimal,
}

/// Written by hand, and read back by hand where it has exactly the form that is written: every tick passes twice.
/// Any other JSON of a tick (spaces, order of fields, decimal strings, exponents) is read by `serde_json`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TickJson;

impl Serializer<Tick> for TickJson {
    fn serialize(&self, tick: &Tick, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(b"{\"ts\":");
        decimal::write(Decimal::from(tick.at.0), out)?;
        out.extend_from_slice(b",\"price\":");
        decimal::write(tick.price, out)?;
        out.extend_from_slice(b",\"volume\":");
        decimal::write(tick.volume, out)?;
        out.push(b'}');
        Ok(())
    }
}

impl Deserializer<Tick> for TickJson {
    fn deserialize(&self, bytes: &[u8]) -> Result<Tick, BoxError> {
        match read_as_written(bytes) {
            Some(tick) => Ok(tick),
            None => Ok(serde_json::from_slice(bytes)?),
        }
    }
}

fn read_as_written(bytes: &[u8]) -> Option<Tick> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (ts, rest) = text.strip_prefix("{\"ts\":")?.split_once(',')?;
    let (price, rest) = rest.strip_prefix("\"price\":")?.split_once(',')?;
    let volume = rest.strip_prefix("\"volume\":")?.strip_suffix('}')?;
    let at = Timestamp(ts.parse().ok()?);
    Some(Tick { at, price: decimal::parse(price).ok()?, volume: decimal::parse(volume).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick() -> Tick {
        Tick { at: Timestamp(1_700_000_000_000), price: Decimal::new(10_125, 2), volume: Decimal::from(3) }
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let mut bytes = Vec::new();
        TickJson.serialize(&tick(), &mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), r#"{"ts":1700000000000,"price":101.25,"volume":3}"#);
        assert_eq!(read_as_written(&bytes), Some(tick()), "by the fast way");
    }

    #[test]
    fn any_json_of_a_tick_is_read() {
        for json in [
            r#"{ "price": 101.25, "volume": 3, "ts": 1700000000000 }"#,
            r#"{"ts":1700000000000,"price":"101.25","volume":"3"}"#,
            r#"{"ts":1700000000000,"price":101.25,"volume":3,"side":"buy"}"#,
        ] {
            assert_eq!(TickJson.deserialize(json.as_bytes()).unwrap(), tick(), "{json}");
        }
    }

    #[test]
    fn numbers_keep_digits_that_a_float_would_lose() {
        let json = r#"{"volume":0.1000000000000000000001,"ts":1,"price":12345678901234567890.12}"#;
        let read = TickJson.deserialize(json.as_bytes()).unwrap();
        assert_eq!(read.volume.to_string(), "0.1000000000000000000001");
        assert_eq!(read.price.to_string(), "12345678901234567890.12");
    }

    #[test]
    fn what_is_no_tick_is_an_error() {
        for json in [
            "",
            "{}",
            r#"{"ts":1,"price":"x","volume":1}"#,
            r#"{"ts":1.5,"price":1,"volume":1}"#,
            "{\"ts\":1,\"price\":1,\"volume\":1",
        ] {
            assert!(TickJson.deserialize(json.as_bytes()).is_err(), "{json}");
        }
    }
}
