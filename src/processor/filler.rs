//! What a gap filler knows of a key: its last final, and which of the open slots have something to show.

use super::rolled::{read_varint, write_varint};
use crate::error::BoxError;
use crate::serdes::Codec;
use crate::time::{Timestamp, Window};
use std::sync::Arc;

/// A slot that is open and has a record or a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenSlot {
    pub(crate) window: Window,
    /// It has a record.
    pub(crate) real: bool,
    /// The bytes of the heartbeat that was shown for it, until it is replaced.
    pub(crate) beat: Option<Vec<u8>>,
}

/// A key's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filler<A> {
    /// The value of the next quiet slot, made from the last final; none before the first final.
    pub(crate) quiet: Option<A>,
    /// The end of the last slot with a final.
    pub(crate) last_end: Timestamp,
    /// The time of the last real record that is known.
    pub(crate) last_record: Timestamp,
    /// Silent for too long: what is open still closes, nothing more is filled.
    pub(crate) forgotten: bool,
    /// By start.
    pub(crate) open: Vec<OpenSlot>,
}

impl<A> Filler<A> {
    pub(crate) fn new() -> Self {
        let (last_end, last_record) = (Timestamp(0), Timestamp(0));
        Self { quiet: None, last_end, last_record, forgotten: false, open: Vec::new() }
    }

    pub(crate) fn slot(&mut self, window: Window) -> Option<&mut OpenSlot> {
        self.open.iter_mut().find(|slot| slot.window == window)
    }
    pub(crate) fn insert(&mut self, slot: OpenSlot) {
        let at = self.open.partition_point(|other| other.window < slot.window);
        self.open.insert(at, slot);
    }
    /// Takes the slot that closes, and those before it, which no record will reach any more.
    pub(crate) fn close(&mut self, window: Window) -> Option<OpenSlot> {
        let mut closed = None;
        self.open.retain_mut(|slot| {
            if slot.window == window {
                closed = Some(OpenSlot { beat: slot.beat.take(), ..slot.clone() });
            }
            slot.window.end > window.end
        });
        closed
    }

    /// `flags, last end, last record, number of open slots, slots, [value]`, numbers as varints.
    pub(crate) fn codec(value: Arc<dyn Codec<A>>) -> Arc<dyn Codec<Self>>
    where
        A: 'static,
    {
        Arc::new(FillerCodec(value))
    }
}

const QUIET: u8 = 1;
const FORGOTTEN: u8 = 2;
const REAL: u8 = 1;
const BEAT: u8 = 2;

struct FillerCodec<A>(Arc<dyn Codec<A>>);

fn write_slot(slot: &OpenSlot, out: &mut Vec<u8>) {
    out.push(if slot.real { REAL } else { 0 } | if slot.beat.is_some() { BEAT } else { 0 });
    write_varint(out, slot.window.start.0);
    write_varint(out, slot.window.end.0.wrapping_sub(slot.window.start.0));
    if let Some(beat) = &slot.beat {
        write_varint(out, beat.len() as i64);
        out.extend_from_slice(beat);
    }
}

fn take_byte(bytes: &mut &[u8]) -> Result<u8, BoxError> {
    let (&byte, rest) = bytes.split_first().ok_or("a gap filler's entry is cut off")?;
    *bytes = rest;
    Ok(byte)
}

fn read_slot(bytes: &mut &[u8]) -> Result<OpenSlot, BoxError> {
    let flags = take_byte(bytes)?;
    let start = read_varint(bytes)?;
    let end = start.wrapping_add(read_varint(bytes)?);
    let mut beat = None;
    if flags & BEAT != 0 {
        let length = usize::try_from(read_varint(bytes)?)?;
        let (taken, rest) = bytes.split_at_checked(length).ok_or("a heartbeat is cut off")?;
        *bytes = rest;
        beat = Some(taken.to_vec());
    }
    Ok(OpenSlot { window: Window::new(Timestamp(start), Timestamp(end)), real: flags & REAL != 0, beat })
}

impl<A> Codec<Filler<A>> for FillerCodec<A> {
    fn write(&self, filler: &Filler<A>, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        let flags_at = out.len();
        let mut flags = if filler.forgotten { FORGOTTEN } else { 0 };
        out.push(flags);
        write_varint(out, filler.last_end.0);
        write_varint(out, filler.last_record.0);
        write_varint(out, filler.open.len() as i64);
        filler.open.iter().for_each(|slot| write_slot(slot, out));
        if let Some(quiet) = &filler.quiet
            && self.0.write(quiet, out)?
        {
            flags |= QUIET;
        }
        if let Some(first) = out.get_mut(flags_at) {
            *first = flags;
        }
        Ok(true)
    }

    fn read(&self, bytes: Option<&[u8]>) -> Result<Filler<A>, BoxError> {
        let mut rest = bytes.ok_or("a gap filler's entry is null")?;
        let flags = take_byte(&mut rest)?;
        let last_end = Timestamp(read_varint(&mut rest)?);
        let last_record = Timestamp(read_varint(&mut rest)?);
        let count = read_varint(&mut rest)?;
        let open = (0..count).map(|_| read_slot(&mut rest)).collect::<Result<Vec<_>, _>>()?;
        let quiet = if flags & QUIET == 0 { None } else { Some(self.0.read(Some(rest))?) };
        Ok(Filler { quiet, last_end, last_record, forgotten: flags & FORGOTTEN != 0, open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Text;
    impl Codec<String> for Text {
        fn write(&self, value: &String, out: &mut Vec<u8>) -> Result<bool, BoxError> {
            out.extend_from_slice(value.as_bytes());
            Ok(true)
        }
        fn read(&self, bytes: Option<&[u8]>) -> Result<String, BoxError> {
            Ok(String::from_utf8(bytes.ok_or("null")?.to_vec())?)
        }
    }

    proptest! {
        #[test]
        fn entries_read_back(
            quiet: Option<String>,
            forgotten: bool,
            slots in proptest::collection::btree_map(0_i64..9_000, (any::<bool>(), any::<Option<Vec<u8>>>()), 0..4),
        ) {
            let window = |start: i64| Window::new(Timestamp(start * 60), Timestamp(start * 60 + 60));
            let open = slots.into_iter().map(|(start, (real, beat))| OpenSlot { window: window(start), real, beat });
            let filler = Filler {
                quiet, forgotten, last_end: Timestamp(60), last_record: Timestamp(59), open: open.collect(),
            };
            let codec = Filler::codec(Arc::new(Text));
            let mut bytes = Vec::new();
            prop_assert!(codec.write(&filler, &mut bytes).expect("writes"));
            prop_assert_eq!(codec.read(Some(&bytes)).expect("reads"), filler);
        }
    }
}
