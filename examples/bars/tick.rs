//! A trade or a quote, and its JSON in the topic `ticks`: `{"ts":1700000000000,"price":101.25,"volume":3}`.

use crate::decimal;
use highwater::BoxError;
use highwater::serdes::{Deserializer, Serializer};
use highwater::time::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;

/// One tick of some symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Event time.
    pub at: Timestamp,
    pub price: Decimal,
    pub volume: Decimal,
}

/// A tick as it comes from the topic: where it says no time, the record's is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Received {
    #[serde(rename = "ts")]
    at: Option<Timestamp>,
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    price: Decimal,
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    volume: Decimal,
}

impl Received {
    /// Its event time, in a record of this timestamp.
    pub fn at(&self, record: Timestamp) -> Timestamp {
        self.at.unwrap_or(record)
    }

    pub fn dated(&self, at: Timestamp) -> Tick {
        Tick { at, price: self.price, volume: self.volume }
    }
}

/// Written by hand, and read back by hand where it has exactly the form that is written: every tick passes twice.
/// Any other JSON of a tick (spaces, order of fields, decimal strings, exponents) is read by `serde_json`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TickJson;

impl Serializer<Tick> for TickJson {
    fn serialize(&self, tick: &Tick, out: &mut Vec<u8>) -> Result<(), BoxError> {
        let received = Received { at: Some(tick.at), price: tick.price, volume: tick.volume };
        self.serialize(&received, out)
    }
}

impl Serializer<Received> for TickJson {
    fn serialize(&self, tick: &Received, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.push(b'{');
        if let Some(at) = tick.at {
            out.extend_from_slice(b"\"ts\":");
            decimal::write(Decimal::from(at.0), out)?;
            out.push(b',');
        }
        out.extend_from_slice(b"\"price\":");
        decimal::write(tick.price, out)?;
        out.extend_from_slice(b",\"volume\":");
        decimal::write(tick.volume, out)?;
        out.push(b'}');
        Ok(())
    }
}

impl Deserializer<Received> for TickJson {
    fn deserialize(&self, bytes: &[u8]) -> Result<Received, BoxError> {
        match read_as_written(bytes) {
            Some(tick) => Ok(tick),
            None => Ok(serde_json::from_slice(bytes)?),
        }
    }
}

fn read_as_written(bytes: &[u8]) -> Option<Received> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (ts, rest) = text.strip_prefix("{\"ts\":")?.split_once(',')?;
    let (price, rest) = rest.strip_prefix("\"price\":")?.split_once(',')?;
    let volume = rest.strip_prefix("\"volume\":")?.strip_suffix('}')?;
    let at = Some(Timestamp(ts.parse().ok()?));
    Some(Received { at, price: decimal::parse(price).ok()?, volume: decimal::parse(volume).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_700_000_000_000);

    fn tick() -> Tick {
        Tick { at: AT, price: Decimal::new(10_125, 2), volume: Decimal::from(3) }
    }

    fn read(json: &str) -> Result<Received, BoxError> {
        TickJson.deserialize(json.as_bytes())
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let mut bytes = Vec::new();
        TickJson.serialize(&tick(), &mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), r#"{"ts":1700000000000,"price":101.25,"volume":3}"#);
        assert_eq!(read_as_written(&bytes).unwrap().dated(AT), tick(), "by the fast way");
    }

    #[test]
    fn any_json_of_a_tick_is_read() {
        for json in [
            r#"{ "price": 101.25, "volume": 3, "ts": 1700000000000 }"#,
            r#"{"ts":1700000000000,"price":"101.25","volume":"3"}"#,
            r#"{"ts":1700000000000,"price":101.25,"volume":3,"side":"buy"}"#,
        ] {
            let received = read(json).unwrap();
            assert_eq!((received.at(Timestamp(5)), received.dated(AT)), (AT, tick()), "{json}");
        }
    }

    #[test]
    fn without_a_time_the_records_is_meant() {
        let json = r#"{"price":101.25,"volume":3}"#;
        let received = read(json).unwrap();
        assert_eq!(received.at(Timestamp(5)), Timestamp(5));
        let mut bytes = Vec::new();
        TickJson.serialize(&received, &mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), json);
    }

    #[test]
    fn numbers_keep_digits_that_a_float_would_lose() {
        let tick =
            read(r#"{"volume":0.1000000000000000000001,"ts":1,"price":12345678901234567890.12}"#).unwrap();
        assert_eq!(tick.volume.to_string(), "0.1000000000000000000001");
        assert_eq!(tick.price.to_string(), "12345678901234567890.12");
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
            assert!(read(json).is_err(), "{json}");
        }
    }
}
