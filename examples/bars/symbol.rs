//! What is traded, as the pipeline's key: short names are held in place, so that a clone never allocates.

use highwater::BoxError;
use highwater::serdes::{Deserializer, Serializer};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// Broker and symbol, as one text. The framework never looks inside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Symbol(SmolStr);

impl Symbol {
    /// No longer than this in bytes: a line of garbage is not a symbol.
    pub const LONGEST: usize = 256;

    /// Checked: not empty, not longer than [`LONGEST`](Self::LONGEST), no control characters.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the symbol is empty".to_owned());
        }
        if text.len() > Self::LONGEST {
            return Err(format!("the symbol has {} bytes, more than {}", text.len(), Self::LONGEST));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("the symbol {text:?} holds a control character"));
        }
        Ok(Self(SmolStr::new(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A symbol as the key of a record: its UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct SymbolUtf8;

impl Serializer<Symbol> for SymbolUtf8 {
    fn serialize(&self, symbol: &Symbol, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(symbol.as_str().as_bytes());
        Ok(())
    }
}

impl Deserializer<Symbol> for SymbolUtf8 {
    fn deserialize(&self, bytes: &[u8]) -> Result<Symbol, BoxError> {
        Ok(Symbol::new(std::str::from_utf8(bytes)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_checked() {
        assert_eq!(Symbol::new("7203.T").unwrap().as_str(), "7203.T");
        assert!(Symbol::new("").unwrap_err().contains("empty"));
        assert!(Symbol::new("A\tB").unwrap_err().contains("control character"));
        assert!(Symbol::new(&"x".repeat(257)).unwrap_err().contains("257 bytes"));
    }

    #[test]
    fn a_key_is_its_utf8() {
        let symbol = Symbol::new("Ørsted").unwrap();
        let mut bytes = Vec::new();
        SymbolUtf8.serialize(&symbol, &mut bytes).unwrap();
        assert_eq!(bytes, "Ørsted".as_bytes());
        assert_eq!(SymbolUtf8.deserialize(&bytes).unwrap(), symbol);
        assert!(SymbolUtf8.deserialize(&[0xff]).is_err());
    }
}
