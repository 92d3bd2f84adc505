//! A bar as it stands in a topic: key = symbol, start, end (8 bytes each, big endian), value = JSON.

use crate::Result;
use crate::bar::Bar;
use crate::calendar::Slot;
use crate::fold::Expected;
use crate::tick::decimal;
use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Debug, Deserialize)]
struct Json {
    symbol: String,
    start: i64,
    end: i64,
    open: Value,
    high: Value,
    low: Value,
    close: Value,
    volume: Value,
    ticks: u64,
    children: Option<u32>,
    expected: Option<u32>,
    complete: bool,
}

#[derive(Clone, Debug)]
pub struct Final {
    pub symbol: String,
    pub slot: Slot,
    json: Json,
}

impl Final {
    /// Key and value must name the same symbol and slot.
    pub fn read(key: &[u8], value: &[u8]) -> Result<Self> {
        let json: Json = serde_json::from_slice(value)?;
        let (symbol, times) = key.split_last_chunk::<16>().ok_or("a key of less than 16 bytes")?;
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) as i64;
        let slot = Slot { start: number(&times[..8]), end: number(&times[8..]) };
        let symbol = String::from_utf8(symbol.to_vec())?;
        if (&symbol, slot.start, slot.end) != (&json.symbol, json.start, json.end) {
            return Err(format!("the key says {symbol} {slot:?}, the value another").into());
        }
        Ok(Self { symbol, slot, json })
    }

    /// The key of a bar.
    pub fn key(symbol: &str, slot: Slot) -> Vec<u8> {
        [symbol.as_bytes(), &slot.start.to_be_bytes(), &slot.end.to_be_bytes()].concat()
    }

    /// The names of the fields that are not as they have to be.
    pub fn differs(&self, expected: &Expected) -> Result<Vec<&'static str>> {
        let Bar { open, high, low, close, volume, ticks, children, .. } = expected.bar;
        let json = &self.json;
        let same = [
            ("end", self.slot == expected.slot),
            ("open", decimal(&json.open)? == open),
            ("high", decimal(&json.high)? == high),
            ("low", decimal(&json.low)? == low),
            ("close", decimal(&json.close)? == close),
            ("volume", decimal(&json.volume)? == volume),
            ("ticks", json.ticks == ticks),
            ("children", json.children == children),
            ("expected", json.expected == expected.children),
            ("complete", json.complete == (children == expected.children)),
        ];
        Ok(same.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect())
    }
}
