//! How large a record is to a broker: in a batch of its own, uncompressed, at most (message format v2).

use super::Outgoing;

/// Bytes of a batch without its records, and what a record adds to its key, value and headers.
const OVERHEAD: usize = 61 + 21;
/// Two varints.
const HEADER_OVERHEAD: usize = 10;

impl Outgoing {
    /// In bytes.
    pub(crate) fn size(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers = self.headers.iter().map(|(key, value)| HEADER_OVERHEAD + key.len() + length(value));
        OVERHEAD + length(self.key.as_deref()) + length(self.value.as_deref()) + headers.sum::<usize>()
    }
}
