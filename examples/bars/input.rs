//! The file of `--input` as ticks of symbols with a calendar: bad lines fail the run, or are shown and counted.

use crate::options::{OnBadLine, Options};
use crate::outlet::Outlet;
use crate::symbol::Symbol;
use crate::tick::Tick;
use crate::ticks::{BadLine, TickFile, TickReader};
use highwater::BoxError;

/// Bad lines that are shown before they are only counted.
const SHOWN: u64 = 10;

pub struct Input<'a> {
    reader: TickReader,
    options: &'a Options,
    pub ticks: u64,
    pub skipped: u64,
}

impl<'a> Input<'a> {
    pub fn open(file: &TickFile, options: &'a Options) -> Result<Self, BoxError> {
        let reader =
            file.open().map_err(|error| format!("cannot open {}: {error}", file.path().display()))?;
        Ok(Self { reader, options, ticks: 0, skipped: 0 })
    }

    /// In bytes.
    pub fn length(&self) -> u64 {
        self.reader.length()
    }

    /// How many bytes of it are read.
    pub fn position(&self) -> u64 {
        self.reader.position()
    }

    /// None at the end.
    pub fn next(&mut self, outlet: &Outlet) -> Result<Option<(Symbol, Tick)>, BoxError> {
        loop {
            match self.reader.next() {
                None => return Ok(None),
                Some(Ok((symbol, tick))) => {
                    self.options
                        .market
                        .knows(&symbol)
                        .map_err(|error| self.reader.place(error.to_string()))?;
                    self.ticks += 1;
                    return Ok(Some((symbol, tick)));
                }
                Some(Err(bad)) => self.skip(bad, outlet)?,
            }
        }
    }

    fn skip(&mut self, bad: BadLine, outlet: &Outlet) -> Result<(), BoxError> {
        if bad.fatal || self.options.on_bad_line == OnBadLine::Fail {
            return Err(bad.into());
        }
        self.skipped += 1;
        match self.skipped {
            1..=SHOWN => outlet.warn(&format!("skipped {bad}")),
            n if n == SHOWN + 1 => outlet.warn("more bad lines are skipped; the summary counts them"),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use clap::Parser;

    /// Ticks, skipped lines and how it ended.
    fn read(text: &str, options: &[&str]) -> (u64, u64, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks.csv");
        std::fs::write(&path, text).unwrap();
        let line = ["bars", "--input", path.to_str().unwrap()].into_iter().chain(options.iter().copied());
        let options = Options::check(&Arguments::try_parse_from(line).unwrap()).unwrap();
        let outlet = Outlet::open(&options).unwrap();
        let mut input = Input::open(options.input.as_ref().unwrap(), &options).unwrap();
        let ended = loop {
            match input.next(&outlet) {
                Ok(Some(_)) => {}
                Ok(None) => break String::new(),
                Err(error) => break error.to_string().rsplit('/').next().unwrap_or_default().to_owned(),
            }
        };
        assert_eq!(input.length(), text.len() as u64);
        (input.ticks, input.skipped, ended)
    }

    const TEXT: &str = "symbol,ts_ms,price,volume\nA,1,1,1\nA,x,1,1\nB,1,1,1\n";

    #[test]
    fn a_bad_line_fails_or_is_counted() {
        let (ticks, skipped, ended) = read(TEXT, &[]);
        assert_eq!((ticks, skipped), (1, 0));
        assert_eq!(ended, "ticks.csv:3: ts_ms: \"x\" is not a whole number of milliseconds");
        assert_eq!(read(TEXT, &["--on-bad-line", "skip"]), (2, 1, String::new()));
    }

    #[test]
    fn a_missing_header_cannot_be_skipped() {
        let (ticks, _, ended) = read("A,1,1,1\n", &["--on-bad-line", "skip"]);
        assert!(ticks == 0 && ended.starts_with("ticks.csv:1: the first line must be the header"), "{ended}");
    }

    #[test]
    fn a_symbol_without_a_calendar_is_named_with_its_line() {
        let (_, _, ended) = read(TEXT, &["--calendar", "A*=24x7", "--on-bad-line", "skip"]);
        assert!(ended.starts_with("ticks.csv:4: symbol \"B\" has no calendar"), "{ended}");
    }

    #[test]
    fn many_bad_lines_are_all_counted() {
        let text = format!("{TEXT}{}", "bad\n".repeat(50));
        assert_eq!(read(&text, &["--on-bad-line", "skip"]), (2, 51, String::new()));
    }
}
