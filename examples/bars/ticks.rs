//! Ticks from a file, `symbol,ts_ms,price,volume`: streamed, and every line that cannot be read named with its reason.

use crate::decimal;
use crate::lines::{LONGEST, Line, Lines};
use crate::symbol::Symbol;
use crate::tick::Tick;
use flate2::read::MultiGzDecoder;
use highwater::time::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::serde::arbitrary_precision;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const HEADER: &str = "symbol,ts_ms,price,volume";
/// 9999-12-31T23:59:59.999Z.
const LAST_MS: i64 = 253_402_300_799_999;

/// A file that has the name of one; it is opened by [`open`](Self::open).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickFile {
    path: PathBuf,
    format: Format,
    gzipped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    JsonLines,
}

/// A line that gives no tick.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLine {
    file: Arc<str>,
    number: u64,
    reason: String,
    /// Whether nothing after it can be trusted either, so that it cannot be skipped.
    pub fatal: bool,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.number, self.reason)
    }
}

impl std::error::Error for BadLine {}

impl TickFile {
    /// By its extension.
    pub fn named(name: &str) -> Result<Self, String> {
        let (plain, gzipped) = name.strip_suffix(".gz").map_or((name, false), |plain| (plain, true));
        let format = match Path::new(plain).extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Format::Csv,
            Some("jsonl") => Format::JsonLines,
            _ => {
                return Err(format!("{name}: the name ends in none of .csv, .jsonl, .csv.gz, .jsonl.gz"));
            }
        };
        Ok(Self { path: PathBuf::from(name), format, gzipped })
    }

    pub fn open(&self) -> io::Result<TickReader> {
        let file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::other("it is a folder"));
        }
        let mut reader = self.read(file);
        reader.length = metadata.len();
        Ok(reader)
    }

    fn read(&self, source: impl Read + Send + 'static) -> TickReader {
        let position = Arc::new(AtomicU64::new(0));
        let counted = Counted(source, Arc::clone(&position));
        let bytes: Box<dyn Read + Send> = if self.gzipped {
            Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(LONGEST, counted)))
        } else {
            Box::new(counted)
        };
        let file = self.path.display().to_string().into();
        TickReader { lines: Lines::of(bytes), format: self.format, file, length: 0, position, ended: false }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The ticks of a file in its order. After a fatal line it is at its end.
pub struct TickReader {
    lines: Lines<Box<dyn Read + Send>>,
    format: Format,
    file: Arc<str>,
    length: u64,
    position: Arc<AtomicU64>,
    ended: bool,
}

impl TickReader {
    /// Of the file, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many bytes of the file have been read.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// The line of the last tick, as a place for what is wrong with it.
    pub fn place(&self, reason: String) -> BadLine {
        BadLine { file: Arc::clone(&self.file), number: self.lines.number(), reason, fatal: true }
    }

    fn read_line(&mut self) -> Result<Option<(Symbol, Tick)>, Trouble> {
        loop {
            let first = self.lines.number() == 0;
            let line = match self.lines.next() {
                Ok(Some(Line::Whole(line))) => line,
                Ok(Some(Line::TooLong)) => {
                    return Err(Trouble::Line(format!("the line has more than {LONGEST} bytes")));
                }
                Ok(None) if first && self.format == Format::Csv => b"",
                Ok(None) => return Ok(None),
                Err(error) if first => return Err(Trouble::Fatal(unreadable(&error))),
                Err(error) => return Err(Trouble::of(&error)),
            };
            let line = if first { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
            let text =
                std::str::from_utf8(line).map_err(|_| Trouble::Line("the line is not UTF-8".to_owned()));
            if first && self.format == Format::Csv {
                header(text.unwrap_or("what is not UTF-8"))?;
                continue;
            }
            let text = text?;
            if text.trim().is_empty() {
                continue;
            }
            let read = if self.format == Format::Csv { csv(text) } else { json(text) };
            return read.map(Some).map_err(Trouble::Line);
        }
    }
}

impl Iterator for TickReader {
    type Item = Result<(Symbol, Tick), BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read_line();
        self.ended = matches!(read, Ok(None) | Err(Trouble::Fatal(_) | Trouble::Damaged(_)));
        match read {
            Ok(tick) => tick.map(Ok),
            Err(Trouble::Line(reason) | Trouble::Damaged(reason)) => {
                Some(Err(BadLine { fatal: false, ..self.place(reason) }))
            }
            Err(Trouble::Fatal(reason)) => Some(Err(self.place(reason))),
        }
    }
}

enum Trouble {
    /// This line alone.
    Line(String),
    /// A compressed file that cannot be read on from here.
    Damaged(String),
    /// Nothing can be read as ticks.
    Fatal(String),
}

impl Trouble {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Self::Damaged("the compressed data ends in the middle: the file was cut off here".to_owned())
            }
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Damaged(format!("the compressed data is damaged from here on: {error}"))
            }
            _ => Self::Fatal(unreadable(error)),
        }
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("the file cannot be read: {error}")
}

/// Without it the order of columns is a guess.
fn header(line: &str) -> Result<(), Trouble> {
    let found: String = line.chars().take(80).collect();
    let same = line.split(',').map(str::trim).eq(HEADER.split(','));
    if same {
        Ok(())
    } else {
        Err(Trouble::Fatal(format!("the first line must be the header {HEADER:?}, not {found:?}")))
    }
}

fn csv(line: &str) -> Result<(Symbol, Tick), String> {
    let (symbol, rest) = if let Some(quoted) = line.strip_prefix('"') {
        unquote(quoted)?
    } else {
        let (symbol, rest) = line.split_once(',').ok_or_else(|| columns(1))?;
        (Symbol::new(symbol), rest)
    };
    let [ts, price, volume] = fields(rest).ok_or_else(|| columns(rest.split(',').count() + 1))?;
    let ts = ts.parse().map_err(|_| format!("ts_ms: {ts:?} is not a whole number of milliseconds"))?;
    let price = decimal::parse(price).map_err(|reason| format!("price: {reason}"))?;
    let volume = decimal::parse(volume).map_err(|reason| format!("volume: {reason}"))?;
    checked(symbol, ts, price, volume)
}

/// Exactly three.
fn fields(text: &str) -> Option<[&str; 3]> {
    let mut commas = memchr::memchr_iter(b',', text.as_bytes());
    let (first, second) = (commas.next()?, commas.next()?);
    commas.next().is_none().then(|| [&text[..first], &text[first + 1..second], &text[second + 1..]])
}

fn columns(found: usize) -> String {
    format!("{found} columns instead of the 4 of {HEADER}")
}

/// What follows the opening quote; two quotes inside stand for one.
fn unquote(text: &str) -> Result<(Result<Symbol, String>, &str), String> {
    let mut symbol = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or("a quote is opened and not closed")?;
        symbol.push_str(part);
        match (after.strip_prefix('"'), after.strip_prefix(',')) {
            (Some(more), _) => {
                symbol.push('"');
                rest = more;
            }
            (_, Some(more)) => return Ok((Symbol::new(&symbol), more)),
            _ => return Err("a closing quote without a comma after it".to_owned()),
        }
    }
}

#[derive(Deserialize)]
struct JsonLine {
    symbol: String,
    ts_ms: i64,
    #[serde(with = "arbitrary_precision")]
    price: Decimal,
    #[serde(with = "arbitrary_precision")]
    volume: Decimal,
}

fn json(line: &str) -> Result<(Symbol, Tick), String> {
    let line: JsonLine = serde_json::from_str(line)
        .map_err(|error| error.to_string().replace(" at line 1 column", " at column"))?;
    checked(Symbol::new(&line.symbol), line.ts_ms, line.price, line.volume)
}

/// A date far ahead is the business of the engine's rule for future records, not of the reader.
fn checked(
    symbol: Result<Symbol, String>,
    ts: i64,
    price: Decimal,
    volume: Decimal,
) -> Result<(Symbol, Tick), String> {
    if ts < 0 {
        return Err(format!("ts_ms: {ts} is negative, before 1970"));
    }
    if ts > LAST_MS {
        return Err(format!("ts_ms: {ts} is after the year 9999; is it in microseconds or nanoseconds?"));
    }
    if volume.is_sign_negative() && !volume.is_zero() {
        return Err(format!("volume: {volume} is negative"));
    }
    Ok((symbol?, Tick { at: Timestamp(ts), price, volume }))
}

/// Counts what is read of the file itself, compressed or not: what progress is measured by.
struct Counted<R>(R, Arc<AtomicU64>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(out)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
