//! The bytes of windowed keys. Kafka Streams has two forms for windows of one size, and one key is written in both: with
//! the start on topics, with a sequence number behind it in stores and changelogs. Calendar windows have one form, which
//! also holds the end, so that it can be read without knowing the calendar.

use super::Codec;
use crate::error::BoxError;
use crate::time::{Timestamp, Window, WindowSize, Windowed, millis};
use std::sync::Arc;
use std::time::Duration;

/// What stands behind the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowForm {
    /// The start (8 bytes). The end is start + size.
    Start(Duration),
    /// The start (8 bytes) and a sequence number (4 bytes, 0), as in Kafka's window stores.
    StartSequence(Duration),
    /// The start and the end (8 bytes each).
    StartEnd,
}

impl WindowForm {
    /// On topics.
    pub(crate) fn on_topic(size: WindowSize) -> Self {
        match size {
            WindowSize::Fixed(size) => Self::Start(size),
            WindowSize::AtMost(_) => Self::StartEnd,
        }
    }
    /// In stores and their changelogs.
    pub(crate) fn in_store(size: WindowSize) -> Self {
        match size {
            WindowSize::Fixed(size) => Self::StartSequence(size),
            WindowSize::AtMost(_) => Self::StartEnd,
        }
    }

    /// Bytes behind the key.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Start(_) => 8,
            Self::StartSequence(_) => 12,
            Self::StartEnd => 16,
        }
    }

    pub(super) fn put(self, window: Window, out: &mut Vec<u8>) {
        out.extend_from_slice(&window.start.0.to_be_bytes());
        match self {
            Self::Start(_) => {}
            Self::StartSequence(_) => out.extend_from_slice(&[0; 4]),
            Self::StartEnd => out.extend_from_slice(&window.end.0.to_be_bytes()),
        }
    }

    /// The key's bytes.
    pub(super) fn key(self, bytes: &[u8]) -> &[u8] {
        bytes.split_at_checked(bytes.len().saturating_sub(self.len())).map_or(bytes, |(key, _)| key)
    }

    /// The key's bytes and the window.
    pub(super) fn split(self, bytes: &[u8]) -> Result<(&[u8], Window), BoxError> {
        let short =
            || format!("{} bytes are too few for a windowed key: {} are its window", bytes.len(), self.len());
        let at = bytes.len().checked_sub(self.len()).ok_or_else(short)?;
        let (key, window) = bytes.split_at_checked(at).ok_or_else(short)?;
        let (start, rest) = window.split_first_chunk::<8>().ok_or_else(short)?;
        let start = i64::from_be_bytes(*start);
        let end = match self {
            Self::Start(size) | Self::StartSequence(size) => start.checked_add(millis(size)),
            Self::StartEnd => rest.first_chunk::<8>().map(|end| i64::from_be_bytes(*end)),
        };
        match end {
            Some(end) if end >= start => Ok((key, Window::new(Timestamp(start), Timestamp(end)))),
            Some(end) => {
                Err(format!("a window cannot end at {end} ms, before its start at {start} ms").into())
            }
            None => {
                Err(format!("a window that starts at {start} ms ends beyond what a timestamp can hold")
                    .into())
            }
        }
    }
}

/// The codec of a key in its windows.
pub(crate) fn windowed<K: 'static>(key: Arc<dyn Codec<K>>, form: WindowForm) -> Arc<dyn Codec<Windowed<K>>> {
    Arc::new(WindowedCodec { key, form })
}

/// The codec of the keys without their windows, where only a windowed one is known: of a topic that was read.
pub(crate) fn key_inside<K: Clone + 'static>(windowed: Arc<dyn Codec<Windowed<K>>>) -> Arc<dyn Codec<K>> {
    const PROBE: [u8; 64] = [0; 64];
    let behind = PROBE.len() - windowed.partition_key(&PROBE).len();
    Arc::new(KeyInside { windowed, behind })
}

/// Where the window's bytes cannot be told from the key's they stay, always of the same window.
struct KeyInside<K> {
    windowed: Arc<dyn Codec<Windowed<K>>>,
    /// Bytes of the window behind the key's.
    behind: usize,
}

impl<K: Clone + 'static> Codec<K> for KeyInside<K> {
    fn write(&self, key: &K, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        let window = Window::new(Timestamp(0), Timestamp(0));
        let written = self.windowed.write(&Windowed::new(key.clone(), window), out)?;
        out.truncate(out.len().saturating_sub(if written { self.behind } else { 0 }));
        Ok(written)
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<K, BoxError> {
        let whole = bytes.map(|bytes| [bytes, &vec![0; self.behind]].concat());
        Ok(self.windowed.read(whole.as_deref())?.key)
    }
    fn describe(&self) -> String {
        format!("the key of {}", self.windowed.describe())
    }
}

struct WindowedCodec<K> {
    key: Arc<dyn Codec<K>>,
    form: WindowForm,
}

impl<K: 'static> Codec<Windowed<K>> for WindowedCodec<K> {
    fn write(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        let written = self.key.write(&value.key, out)?;
        if written {
            self.form.put(value.window, out);
        }
        Ok(written)
    }
    fn read(&self, bytes: Option<&[u8]>) -> Result<Windowed<K>, BoxError> {
        let bytes = bytes.ok_or("a windowed key is never null")?;
        let (key, window) = self.form.split(bytes)?;
        Ok(Windowed::new(self.key.read(Some(key))?, window))
    }
    fn partition_key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.key.partition_key(self.form.key(bytes))
    }
    fn describe(&self) -> String {
        let window = match self.form {
            WindowForm::Start(_) => "start",
            WindowForm::StartSequence(_) => "start, sequence",
            WindowForm::StartEnd => "start, end",
        };
        format!("{}, {window}", self.key.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Utf8, both};
    use super::*;
    use crate::time::milliseconds as ms;

    fn key(start: i64, end: i64) -> Windowed<String> {
        Windowed::new("a".to_owned(), Window::new(Timestamp(start), Timestamp(end)))
    }
    fn bytes(form: WindowForm, key: &Windowed<String>) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(windowed(both(Utf8), form).write(key, &mut out).expect("writes"));
        out
    }
    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    }

    #[test]
    fn kafkas_window_store_key() {
        let form = WindowForm::in_store(WindowSize::Fixed(ms(60_000)));
        assert_eq!(bytes(form, &key(0, 60_000)), hex("61 0000000000000000 00000000"));
    }

    #[test]
    fn kafkas_key_on_a_topic() {
        let form = WindowForm::on_topic(WindowSize::Fixed(ms(10)));
        assert_eq!(bytes(form, &key(258, 268)), hex("61 0000000000000102"));
    }

    #[test]
    fn calendar_windows_hold_their_end_everywhere() {
        let size = WindowSize::AtMost(ms(100));
        let expected = hex("61 0000000000000001 0000000000000009");
        assert_eq!(bytes(WindowForm::in_store(size), &key(1, 9)), expected);
        assert_eq!(bytes(WindowForm::on_topic(size), &key(1, 9)), expected);
    }

    #[test]
    fn read_back_whole_and_partitioned_by_the_key() {
        for form in [WindowForm::Start(ms(10)), WindowForm::StartSequence(ms(10)), WindowForm::StartEnd] {
            let codec = windowed(both::<String>(Utf8), form);
            let bytes = bytes(form, &key(20, 30));
            assert_eq!(codec.read(Some(&bytes)).expect("reads"), key(20, 30));
            assert_eq!(codec.partition_key(&bytes), b"a");
        }
    }

    #[test]
    fn windows_that_cannot_be_are_refused() {
        let read =
            |form, text| windowed(both::<String>(Utf8), form).read(Some(&hex(text))).expect_err("refused");
        assert_eq!(
            read(WindowForm::Start(ms(10)), "00000001").to_string(),
            "4 bytes are too few for a windowed key: 8 are its window"
        );
        assert!(read(WindowForm::Start(ms(10)), "61 7fffffffffffffff").to_string().contains("beyond"));
        assert!(
            read(WindowForm::StartEnd, "61 0000000000000009 0000000000000001").to_string().contains("before")
        );
    }
}
