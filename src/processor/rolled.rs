//! What a roll-up keeps of a parent: the children that have come, and the aggregate of their values.

use crate::error::BoxError;
use crate::serdes::Codec;
use crate::time::{Timestamp, Window};
use std::sync::Arc;

/// How many children of a parent window have come, and how many its calendar knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Children {
    /// Those that were counted, each once.
    pub arrived: u32,
    /// Those that the parent waits for; `None` where the child windows were not given.
    pub expected: Option<u32>,
}

impl Children {
    /// Whether every expected child has come.
    pub fn complete(self) -> bool {
        self.expected.is_some_and(|expected| self.arrived >= expected)
    }
}

/// A parent's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rolled<A> {
    /// Closed before the watermark closes it: a child that comes now is late. The mark goes with the window.
    pub(crate) closed: bool,
    pub(crate) expected: Option<u32>,
    /// By start.
    pub(crate) children: Vec<Window>,
    pub(crate) value: Option<A>,
}

impl<A> Rolled<A> {
    pub(crate) fn new(expected: Option<u32>, value: A) -> Self {
        Self { closed: false, expected, children: Vec::new(), value: Some(value) }
    }

    pub(crate) fn shown(&self) -> Option<&A> {
        self.value.as_ref()
    }
    pub(crate) fn children(&self) -> Children {
        Children { arrived: self.children.len() as u32, expected: self.expected }
    }
    pub(crate) fn has(&self, child: Window) -> bool {
        self.children.binary_search(&child).is_ok()
    }
    /// Counts a child that has not come before.
    pub(crate) fn count(&mut self, child: Window) {
        if let Err(at) = self.children.binary_search(&child) {
            self.children.insert(at, child);
        }
    }

    /// `flags, [expected], number of children, (start - end of the one before, length)*, [value]`, numbers as varints.
    pub(crate) fn codec(value: Arc<dyn Codec<A>>) -> Arc<dyn Codec<Self>>
    where
        A: 'static,
    {
        Arc::new(RolledCodec(value))
    }
}

const CLOSED: u8 = 1;
const EXPECTED: u8 = 2;
const VALUE: u8 = 4;

struct RolledCodec<A>(Arc<dyn Codec<A>>);

impl<A> Codec<Rolled<A>> for RolledCodec<A> {
    fn write(&self, rolled: &Rolled<A>, out: &mut Vec<u8>) -> Result<bool, BoxError> {
        let flags_at = out.len();
        out.push(if rolled.closed { CLOSED } else { 0 });
        let mut flags = if rolled.closed { CLOSED } else { 0 };
        if let Some(expected) = rolled.expected {
            flags |= EXPECTED;
            write_varint(out, i64::from(expected));
        }
        write_varint(out, rolled.children.len() as i64);
        let mut last = 0;
        for child in &rolled.children {
            write_varint(out, child.start.0.wrapping_sub(last));
            write_varint(out, child.end.0.wrapping_sub(child.start.0));
            last = child.end.0;
        }
        if let Some(value) = &rolled.value
            && self.0.write(value, out)?
        {
            flags |= VALUE;
        }
        if let Some(first) = out.get_mut(flags_at) {
            *first = flags;
        }
        Ok(true)
    }

    fn read(&self, bytes: Option<&[u8]>) -> Result<Rolled<A>, BoxError> {
        let (&flags, mut rest) = bytes.and_then(<[u8]>::split_first).ok_or("a roll-up's entry is empty")?;
        let expected = match flags & EXPECTED {
            0 => None,
            _ => Some(u32::try_from(read_varint(&mut rest)?)?),
        };
        let count = read_varint(&mut rest)?;
        let mut children = Vec::new();
        let mut last = 0_i64;
        for _ in 0..count {
            let start = last.wrapping_add(read_varint(&mut rest)?);
            let end = start.wrapping_add(read_varint(&mut rest)?);
            children.push(Window::new(Timestamp(start), Timestamp(end)));
            last = end;
        }
        let value = if flags & VALUE == 0 { None } else { Some(self.0.read(Some(rest))?) };
        Ok(Rolled { closed: flags & CLOSED != 0, expected, children, value })
    }
}

/// Zigzag, seven bits a byte, lowest first.
pub(crate) fn write_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = value.wrapping_shl(1).cast_unsigned() ^ (value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Takes a varint from the front.
pub(crate) fn read_varint(bytes: &mut &[u8]) -> Result<i64, BoxError> {
    let (mut value, mut shift) = (0_u64, 0);
    loop {
        let (&byte, rest) = bytes.split_first().ok_or("a number is cut off")?;
        *bytes = rest;
        if shift > 63 {
            return Err("a number is too long".into());
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Number;
    impl Codec<i64> for Number {
        fn write(&self, value: &i64, out: &mut Vec<u8>) -> Result<bool, BoxError> {
            out.extend_from_slice(&value.to_be_bytes());
            Ok(true)
        }
        fn read(&self, bytes: Option<&[u8]>) -> Result<i64, BoxError> {
            Ok(i64::from_be_bytes(bytes.ok_or("null")?.try_into()?))
        }
    }

    proptest! {
        #[test]
        fn entries_read_back(closed: bool, expected: Option<u16>, starts in proptest::collection::btree_set(-9_000_i64..9_000, 0..9), value: Option<i64>) {
            let children = starts.iter().map(|s| Window::new(Timestamp(s * 60), Timestamp(s * 60 + 60))).collect();
            let rolled = Rolled { closed, expected: expected.map(u32::from), children, value };
            let codec = Rolled::codec(Arc::new(Number));
            let mut bytes = Vec::new();
            prop_assert!(codec.write(&rolled, &mut bytes).expect("writes"));
            prop_assert_eq!(&codec.read(Some(&bytes)).expect("reads"), &rolled);
            for cut in 0..bytes.len().min(3) {
                prop_assert!(codec.read(Some(&bytes[..cut])).is_err(), "cut to {}", cut);
            }
        }

        #[test]
        fn varints_read_back(value: i64) {
            let mut bytes = Vec::new();
            write_varint(&mut bytes, value);
            prop_assert_eq!(read_varint(&mut bytes.as_slice()).expect("reads"), value);
        }
    }
}
