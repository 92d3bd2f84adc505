//! A value with its event time: what `earliest_by_time` and `latest_by_time` keep.

use crate::error::BoxError;
use crate::serdes::Codec;
use crate::time::Timestamp;
use std::sync::Arc;

/// The value that counts so far, and its record's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timed<V> {
    pub(crate) at: Timestamp,
    pub(crate) value: V,
}

impl<V: 'static> Timed<V> {
    /// The time (8 bytes, big endian), then the value.
    pub(crate) fn codec(value: Arc<dyn Codec<V>>) -> Arc<dyn Codec<Self>> {
        Arc::new(TimedCodec(value))
    }
    #[expect(clippy::unnecessary_wraps, reason = "a `View`, which may show nothing")]
    pub(crate) fn shown(&self) -> Option<&V> {
        Some(&self.value)
    }
}

struct TimedCodec<V>(Arc<dyn Codec<V>>);

impl<V: 'static> Codec<Timed<V>> for TimedCodec<V> {
    fn write(&self, timed: &Timed<V>, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        let start = out.len();
        out.extend_from_slice(&timed.at.0.to_be_bytes());
        let written = self.0.write(&timed.value, out)?;
        if !written {
            out.truncate(start);
        }
        Ok(written)
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<Timed<V>, BoxError> {
        let (at, value) =
            bytes.and_then(<[u8]>::split_first_chunk::<8>).ok_or("an entry without its time")?;
        Ok(Timed { at: Timestamp(i64::from_be_bytes(*at)), value: self.0.read(Some(value))? })
    }
    fn is_null(&self, timed: &Timed<V>) -> bool {
        self.0.is_null(&timed.value)
    }
    fn nullable(&self) -> bool {
        self.0.nullable()
    }
    fn describe(&self) -> String {
        format!("time, {}", self.0.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serdes::{Utf8, both, optional};

    #[test]
    fn time_before_the_value() {
        let codec = Timed::codec(both::<String>(Utf8));
        let (timed, mut out) = (Timed { at: Timestamp(258), value: "a".to_owned() }, Vec::new());
        assert!(codec.write(&timed, &mut out).expect("writes"));
        assert_eq!(out, [0, 0, 0, 0, 0, 0, 1, 2, b'a']);
        assert_eq!(codec.read(Some(&out)).expect("reads"), timed);
        assert!(codec.read(Some(b"short")).is_err());
    }

    #[test]
    fn null_leaves_no_bytes() {
        let (codec, mut out) = (Timed::codec(optional(both::<String>(Utf8))), Vec::new());
        assert!(!codec.write(&Timed { at: Timestamp(1), value: None }, &mut out).expect("writes"));
        assert!(out.is_empty());
    }
}
