//! Sorting more rows than fit in memory: sorted runs on disk, merged at the end.
//!
//! Finals come nearly sorted (a parent that closes early overtakes another key's), so a small heap in front of the file
//! makes one run of nearly everything: a row that is smaller than what was written already waits for the next run.

use crate::symbol::Symbol;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Rows that wait for smaller ones.
const WAITING: usize = 64;
/// Bytes that wait for the disk; no file stays open in between, for there is a run of each timeframe and partition.
const BUFFER: usize = 8 * 1024;
/// Files read at once.
const FAN_IN: usize = 64;

/// A line and its place in the order (end, start, symbol).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub end: i64,
    pub start: i64,
    pub symbol: Symbol,
    /// With its line end.
    pub line: Vec<u8>,
}

/// What failed, and on which file.
#[derive(Debug)]
pub struct DiskError {
    pub path: PathBuf,
    pub source: io::Error,
}

impl std::fmt::Display for DiskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot write {}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for DiskError {}

impl DiskError {
    pub fn at(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self { path: path.to_owned(), source }
    }
}

/// Rows of one task and timeframe on their way to the disk.
pub struct RunWriter {
    /// Of the files; each run adds its number.
    path: PathBuf,
    waiting: BinaryHeap<Reverse<(usize, Row)>>,
    last: Option<(i64, i64, Symbol)>,
    runs: Vec<PathBuf>,
    buffer: Vec<u8>,
}

impl RunWriter {
    pub fn new(path: PathBuf) -> Self {
        Self { path, waiting: BinaryHeap::new(), last: None, runs: Vec::new(), buffer: Vec::new() }
    }

    pub fn push(&mut self, row: Row) -> Result<(), DiskError> {
        let overtaken = self
            .last
            .as_ref()
            .is_some_and(|last| (row.end, row.start, &row.symbol) < (last.0, last.1, &last.2));
        let run = self.runs.len().max(1) + usize::from(overtaken);
        self.waiting.push(Reverse((run, row)));
        if self.waiting.len() > WAITING { self.write_smallest() } else { Ok(()) }
    }

    /// The files, each sorted. Everything is on disk.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, DiskError> {
        while !self.waiting.is_empty() {
            self.write_smallest()?;
        }
        self.flush()?;
        Ok(self.runs)
    }

    fn write_smallest(&mut self) -> Result<(), DiskError> {
        let Some(Reverse((run, row))) = self.waiting.pop() else { return Ok(()) };
        if run > self.runs.len() {
            self.flush()?;
            self.runs.push(suffixed(&self.path, &format!(".run{run}")));
        }
        encode(&row, &mut self.buffer);
        self.last = Some((row.end, row.start, row.symbol));
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let Some(path) = self.runs.last() else { return Ok(()) };
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(&self.buffer)).map_err(DiskError::at(path))?;
        self.buffer.clear();
        Ok(())
    }
}

/// Gives the rows of all runs in order, and deletes the runs. `path` names the files of passes in between.
pub fn merge(
    mut runs: Vec<PathBuf>,
    path: &Path,
    mut each: impl FnMut(&Row) -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let mut passes = 0;
    while runs.len() > FAN_IN {
        passes += 1;
        let mut merged = RunWriter::new(suffixed(path, &format!(".pass{passes}")));
        let some: Vec<_> = runs.drain(..FAN_IN).collect();
        merge_at_once(&some, |row| merged.push(row.clone()))?;
        runs.extend(merged.finish()?);
    }
    merge_at_once(&runs, &mut each)
}

fn merge_at_once(
    runs: &[PathBuf],
    mut each: impl FnMut(&Row) -> Result<(), DiskError>,
) -> Result<(), DiskError> {
    let mut heads = BinaryHeap::new();
    for path in runs {
        let mut reader = BufReader::new(File::open(path).map_err(DiskError::at(path))?);
        if let Some(row) = decode(&mut reader).map_err(DiskError::at(path))? {
            heads.push(Reverse(Head { row, reader, path }));
        }
    }
    while let Some(mut smallest) = heads.peek_mut() {
        each(&smallest.0.row)?;
        let path = smallest.0.path;
        match decode(&mut smallest.0.reader).map_err(DiskError::at(path))? {
            Some(next) => smallest.0.row = next,
            None => drop(PeekMut::pop(smallest)),
        }
    }
    runs.iter().try_for_each(|path| std::fs::remove_file(path).map_err(DiskError::at(path)))
}

/// The next row of a run; runs with equal rows go by path, so that the order is always the same.
struct Head<'a> {
    row: Row,
    reader: BufReader<File>,
    path: &'a Path,
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Head<'_> {}
impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.row, self.path).cmp(&(&other.row, other.path))
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// end, start, length of the symbol, length of the line, symbol, line.
fn encode(row: &Row, out: &mut Vec<u8>) {
    let symbol = row.symbol.as_str().as_bytes();
    out.extend_from_slice(&row.end.to_le_bytes());
    out.extend_from_slice(&row.start.to_le_bytes());
    out.extend_from_slice(&(symbol.len() as u32).to_le_bytes());
    out.extend_from_slice(&(row.line.len() as u32).to_le_bytes());
    out.extend_from_slice(symbol);
    out.extend_from_slice(&row.line);
}

fn decode(reader: &mut impl io::BufRead) -> io::Result<Option<Row>> {
    if reader.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let (end, start) = (i64::from_le_bytes(field(reader)?), i64::from_le_bytes(field(reader)?));
    let lengths = (u32::from_le_bytes(field(reader)?), u32::from_le_bytes(field(reader)?));
    let mut symbol = vec![0; lengths.0 as usize];
    reader.read_exact(&mut symbol)?;
    let mut line = vec![0; lengths.1 as usize];
    reader.read_exact(&mut line)?;
    let symbol = std::str::from_utf8(&symbol).map_err(io::Error::other)?;
    Ok(Some(Row { end, start, symbol: Symbol::new(symbol).map_err(io::Error::other)?, line }))
}

fn field<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(end: i64, symbol: u8) -> Row {
        let symbol = Symbol::new(&char::from(b'A' + symbol % 26).to_string()).unwrap();
        Row { end, start: end - 60, line: format!("{symbol},{end}\n").into_bytes(), symbol }
    }

    fn write(folder: &Path, name: &str, rows: &[Row]) -> Vec<PathBuf> {
        let mut writer = RunWriter::new(folder.join(name));
        rows.iter().for_each(|row| writer.push(row.clone()).unwrap());
        writer.finish().unwrap()
    }

    fn merged(folder: &Path, runs: Vec<PathBuf>) -> Vec<Row> {
        let mut rows = Vec::new();
        merge(runs, &folder.join("merged"), |row| {
            rows.push(row.clone());
            Ok(())
        })
        .unwrap();
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "runs are deleted");
        rows
    }

    #[test]
    fn nearly_sorted_rows_make_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<_> = (0..10_000).map(|n| row(n ^ 31, n as u8)).collect();
        let runs = write(folder.path(), "m1", &rows);
        assert_eq!(runs.len(), 1);
        let mut sorted = rows;
        sorted.sort();
        assert_eq!(merged(folder.path(), runs), sorted);
    }

    #[test]
    fn reversed_rows_take_several_passes() {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<_> = (0..10_000).rev().map(|n| row(n, 0)).collect();
        let runs = write(folder.path(), "m1", &rows);
        assert!(runs.len() > FAN_IN, "{}", runs.len());
        let sorted: Vec<_> = rows.into_iter().rev().collect();
        assert_eq!(merged(folder.path(), runs), sorted);
    }

    #[test]
    fn nothing_makes_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let runs = write(folder.path(), "m1", &[]);
        assert!(runs.is_empty() && merged(folder.path(), runs).is_empty());
    }

    #[test]
    fn a_full_disk_is_an_error_with_the_path() {
        let mut writer = RunWriter::new(PathBuf::from("/no/such/folder/m1"));
        writer.push(row(1, 0)).unwrap();
        let error = writer.finish().unwrap_err().to_string();
        assert!(error.starts_with("cannot write /no/such/folder/m1.run1: "), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_rows_of_any_tasks_come_sorted(tasks in prop::collection::vec(prop::collection::vec((0..500_i64, any::<u8>()), 0..400), 1..4)) {
            let folder = tempfile::tempdir().unwrap();
            let tasks: Vec<Vec<_>> = tasks.into_iter().map(|rows| rows.into_iter().map(|(end, symbol)| row(end, symbol)).collect()).collect();
            let runs = tasks.iter().enumerate().flat_map(|(n, rows)| write(folder.path(), &format!("task{n}"), rows)).collect();
            let mut sorted = tasks.concat();
            sorted.sort();
            prop_assert_eq!(merged(folder.path(), runs), sorted);
        }
    }
}
