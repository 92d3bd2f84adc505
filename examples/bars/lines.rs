//! Lines of a file of any length in bounded memory, with their numbers.

use std::io::{self, Read};

/// A longer line is not a tick, and would let memory grow with the input.
pub const LONGEST: usize = 64 * 1024;
const BUFFER: usize = 4 * LONGEST;

pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    number: u64,
    at_end: bool,
}

/// A line without its line end (`\n` or `\r\n`).
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

impl<R: Read> Lines<R> {
    pub fn of(reader: R) -> Self {
        Self { reader, buffer: vec![0; BUFFER], start: 0, end: 0, number: 0, at_end: false }
    }

    /// Of the line that [`next`](Self::next) gave or failed at, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// None at the end. After an error there is nothing more.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.number += 1;
        let mut searched = self.start;
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[searched..self.end]) {
                return Ok(Some(self.line(searched + found, 1)));
            }
            if self.end - self.start > LONGEST {
                self.skip_to_line_end()?;
                return Ok(Some(Line::TooLong));
            }
            if self.at_end {
                let rest = self.start < self.end;
                return Ok(rest.then(|| self.line(self.end, 0)));
            }
            searched = self.end - self.start;
            self.fill()?;
        }
    }

    fn line(&mut self, end: usize, line_end: usize) -> Line<'_> {
        let line = &self.buffer[self.start..end];
        self.start = end + line_end;
        if line.len() > LONGEST {
            Line::TooLong
        } else {
            Line::Whole(line.strip_suffix(b"\r").unwrap_or(line))
        }
    }

    /// Moves what is unread to the front and reads once more.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let read = loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        // What came before an error is still in the buffer, but a line that it cuts off must not pass for a whole one.
        let read = read.inspect_err(|_| (self.at_end, self.start, self.end) = (true, 0, 0))?;
        (self.end, self.at_end) = (self.end + read, read == 0);
        Ok(())
    }

    fn skip_to_line_end(&mut self) -> io::Result<()> {
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(found) = memchr::memchr(b'\n', unread) {
                self.start += found + 1;
                return Ok(());
            }
            if self.at_end {
                return Ok(());
            }
            self.start = self.end;
            self.fill()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, then ends or fails.
    struct Trickle<'a>(&'a [u8], usize, Option<io::ErrorKind>);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(self.1).min(out.len());
            match (n, self.2) {
                (0, Some(kind)) => Err(kind.into()),
                _ => {
                    out[..n].copy_from_slice(&self.0[..n]);
                    self.0 = &self.0[n..];
                    Ok(n)
                }
            }
        }
    }

    fn all(text: &[u8], step: usize) -> Vec<Result<String, &'static str>> {
        let mut lines = Lines::of(Trickle(text, step, None));
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(match line {
                Line::Whole(line) => Ok(String::from_utf8_lossy(line).into_owned()),
                Line::TooLong => Err("too long"),
            });
        }
        assert_eq!(lines.number(), all.len() as u64 + 1);
        all
    }

    #[test]
    fn line_ends_of_both_kinds() {
        for step in [1, 2, 3, 100] {
            let expected: Vec<_> = ["a", "bc", "", "d\re", "f"].map(|line| Ok(line.to_owned())).to_vec();
            assert_eq!(all(b"a\r\nbc\n\nd\re\nf", step), expected);
            assert_eq!(all(b"a\r\nbc\n\nd\re\nf\r\n", step), expected);
        }
        assert!(all(b"", 1).is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_one_line() {
        for (length, long) in [(LONGEST, false), (LONGEST + 1, true), (BUFFER, true), (5 * BUFFER + 7, true)]
        {
            for last in [false, true] {
                let after: &[u8] = if last { b"" } else { b"\nb\n" };
                let text = [b"a\n", &vec![b'x'; length][..], after].concat();
                let all = all(&text, 100_000);
                assert_eq!(all.len(), if last { 2 } else { 3 }, "{length}");
                assert_eq!(all[1].is_err(), long, "{length}");
            }
        }
    }

    #[test]
    fn an_error_comes_after_the_whole_lines_and_ends_all() {
        let mut lines = Lines::of(Trickle(b"a\nb\nhalf", 3, Some(io::ErrorKind::UnexpectedEof)));
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"a")));
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"b")));
        assert!(lines.next().is_err());
        assert_eq!((lines.number(), lines.next().unwrap()), (3, None));
    }
}
