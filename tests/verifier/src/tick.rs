//! A tick of the topic `ticks`: key = symbol, value = `{"ts":1700000000000,"price":101.25,"volume":3}`.

use crate::Result;
use rust_decimal::Decimal;
use serde::Deserialize;
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    pub symbol: String,
    /// Event time, ms UTC.
    pub at: i64,
    pub price: Decimal,
    pub volume: Decimal,
}

#[derive(Deserialize)]
struct Json {
    ts: Option<i64>,
    price: serde_json::Value,
    volume: serde_json::Value,
}

impl Tick {
    /// `timestamp`: the record's, which counts where the value says none.
    pub fn read(key: &[u8], value: &[u8], timestamp: i64) -> Result<Self> {
        let json: Json = serde_json::from_slice(value)?;
        Ok(Self {
            symbol: String::from_utf8(key.to_vec())?,
            at: json.ts.unwrap_or(timestamp),
            price: decimal(&json.price)?,
            volume: decimal(&json.volume)?,
        })
    }

    pub fn json(&self) -> String {
        format!("{{\"ts\":{},\"price\":{},\"volume\":{}}}", self.at, self.price, self.volume)
    }
}

/// A JSON number or a text, with all its digits.
pub fn decimal(value: &serde_json::Value) -> Result<Decimal> {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        other => return Err(format!("{other} is no decimal").into()),
    };
    let exact =
        if text.contains(['e', 'E']) { Decimal::from_scientific(&text) } else { Decimal::from_str(&text) };
    exact.map_err(|error| format!("{text}: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_read_with_all_digits() {
        let tick =
            Tick::read(b"A", br#"{"ts":5,"price":"12345678901234567890.12","volume":1e-3}"#, 9).unwrap();
        assert_eq!((tick.at, tick.price.to_string()), (5, "12345678901234567890.12".to_owned()));
        assert_eq!(tick.volume.to_string(), "0.001");
        assert_eq!(Tick::read(b"A", tick.json().as_bytes(), 9).unwrap(), tick);
        let dated = Tick::read(b"A", br#"{"price":1,"volume":2}"#, 9).unwrap();
        assert_eq!(dated.at, 9);
        assert!(Tick::read(b"A", br#"{"price":null,"volume":2}"#, 9).is_err());
    }
}
