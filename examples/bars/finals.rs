//! The finals of `--output`: runs on disk while slots close, whole sorted files at the end.
//!
//! A file appears under its name only when it is whole, whatever happens on the way.

use crate::decimal;
use crate::options::Output;
use crate::published::Published;
use crate::runs::{DiskError, Row, RunWriter, merge};
use crate::timeframe::{PerTimeframe, Timeframe};
use highwater::BoxError;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir};

const HEADER: &[u8] = b"symbol,slot_start_ms,slot_end_ms,open,high,low,close,volume,ticks,complete\n";

/// Takes finals of all timeframes and tasks in any order.
pub struct Finals {
    /// None: JSON lines on standard output.
    folder: Option<PathBuf>,
    /// Holds the runs; deleted at the end.
    runs_folder: TempDir,
    writers: BTreeMap<(Timeframe, u32), RunWriter>,
}

impl Finals {
    /// None where no output is wanted. Makes the folder, and fails at once if nothing can be written there.
    pub fn to(output: &Output) -> Result<Option<Self>, DiskError> {
        let (folder, runs_folder) = match output {
            Output::None => return Ok(None),
            Output::Stdout => {
                let temporary = std::env::temp_dir();
                (None, tempfile::tempdir_in(&temporary).map_err(DiskError::at(&temporary))?)
            }
            Output::Folder(folder) => {
                std::fs::create_dir_all(folder).map_err(DiskError::at(folder))?;
                let runs = tempfile::Builder::new().prefix(".bars-runs-").tempdir_in(folder);
                (Some(folder.clone()), runs.map_err(DiskError::at(folder))?)
            }
        };
        Ok(Some(Self { folder, runs_folder, writers: BTreeMap::new() }))
    }

    /// `partition`: of the task that made it; each brings its own finals nearly in order.
    pub fn write(&mut self, timeframe: Timeframe, partition: u32, bar: &Published) -> Result<(), BoxError> {
        let mut line = Vec::with_capacity(128);
        match self.folder {
            Some(_) => csv(bar, &mut line)?,
            None => json(timeframe, bar, &mut line)?,
        }
        let row = Row { end: bar.end.0, start: bar.start.0, symbol: bar.symbol.clone(), line };
        let path = || self.runs_folder.path().join(format!("{}-{partition}", timeframe.name()));
        Ok(self.writers.entry((timeframe, partition)).or_insert_with(|| RunWriter::new(path())).push(row)?)
    }

    /// Merges what was written: files in the folder, or lines on `stdout`, sorted by (end, start, symbol).
    pub fn finish(self, stdout: &mut dyn Write) -> Result<(), DiskError> {
        let Self { folder, runs_folder, writers } = self;
        let mut runs = PerTimeframe::of(|_| Vec::new());
        for ((timeframe, _), writer) in writers {
            runs[timeframe].extend(writer.finish()?);
        }
        for timeframe in Timeframe::ALL {
            let of_timeframe = std::mem::take(&mut runs[timeframe]);
            let passes = runs_folder.path().join(timeframe.name());
            match &folder {
                Some(folder) => whole_file(folder, timeframe, of_timeframe, &passes)?,
                None => lines(of_timeframe, &passes, stdout, Path::new("standard output"))?,
            }
        }
        stdout.flush().map_err(DiskError::at(Path::new("standard output")))?;
        runs_folder.close().map_err(|source| DiskError { path: folder.unwrap_or_default(), source })
    }
}

/// Under another name until it is whole and on disk.
fn whole_file(
    folder: &Path,
    timeframe: Timeframe,
    runs: Vec<PathBuf>,
    passes: &Path,
) -> Result<(), DiskError> {
    let path = folder.join(format!("bars_final_{}.csv", timeframe.name()));
    let mut file = file_in(folder).map_err(DiskError::at(&path))?;
    let mut out = BufWriter::new(file.as_file_mut());
    out.write_all(HEADER).map_err(DiskError::at(&path))?;
    lines(runs, passes, &mut out, &path)?;
    out.flush().map_err(DiskError::at(&path))?;
    drop(out);
    file.as_file().sync_all().map_err(DiskError::at(&path))?;
    file.persist(&path).map_err(|error| DiskError::at(&path)(error.error))?;
    Ok(())
}

/// A temporary file is its owner's alone; a result is as open as any other new file.
fn file_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".bars-final-").tempfile_in(folder)
}

fn lines(runs: Vec<PathBuf>, passes: &Path, out: &mut dyn Write, name: &Path) -> Result<(), DiskError> {
    merge(runs, passes, |row| out.write_all(&row.line).map_err(DiskError::at(name)))
}

fn csv(bar: &Published, out: &mut Vec<u8>) -> Result<(), BoxError> {
    quoted(bar.symbol.as_str(), out);
    write!(out, ",{},{},", bar.start.0, bar.end.0)?;
    for decimal in [bar.open, bar.high, bar.low, bar.close, bar.volume] {
        decimal::write(decimal, out)?;
        out.push(b',');
    }
    writeln!(out, "{},{}", bar.ticks, bar.complete)?;
    Ok(())
}

/// As RFC 4180 wants it where the symbol holds a comma or a quote.
fn quoted(symbol: &str, out: &mut Vec<u8>) {
    if symbol.contains([',', '"']) {
        out.extend_from_slice(format!("\"{}\"", symbol.replace('"', "\"\"")).as_bytes());
    } else {
        out.extend_from_slice(symbol.as_bytes());
    }
}

/// The JSON of the topics, with the timeframe before it, for all stand on one output.
fn json(timeframe: Timeframe, bar: &Published, out: &mut Vec<u8>) -> Result<(), BoxError> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        timeframe: &'a str,
        #[serde(flatten)]
        bar: &'a Published,
    }
    serde_json::to_writer(&mut *out, &Line { timeframe: timeframe.name(), bar })?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbol::Symbol;
    use highwater::time::Timestamp;
    use rust_decimal::Decimal;

    fn bar(symbol: &str, minute: i64) -> Published {
        Published {
            symbol: Symbol::new(symbol).unwrap(),
            start: Timestamp(minute * 60_000),
            end: Timestamp(minute * 60_000 + 60_000),
            open: Decimal::new(10_050, 2),
            high: Decimal::new(102, 0),
            low: Decimal::new(-1, 1),
            close: Decimal::new(101, 0),
            volume: Decimal::new(1, 8),
            ticks: 7,
            children: None,
            expected: None,
            complete: true,
        }
    }

    fn written(finals: &mut Finals) {
        for (partition, symbol, minute) in
            [(0, "B", 1), (1, "A", 2), (0, "B", 2), (1, "A,\"x\"", 1), (1, "A", 1)]
        {
            finals.write(Timeframe::M1, partition, &bar(symbol, minute)).unwrap();
        }
        finals
            .write(
                Timeframe::H1,
                0,
                &Published { children: Some(59), expected: Some(60), complete: false, ..bar("A", 0) },
            )
            .unwrap();
    }

    #[test]
    fn whole_files_in_order_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let mut finals = Finals::to(&Output::Folder(folder.clone())).unwrap().unwrap();
        written(&mut finals);
        finals.finish(&mut io::sink()).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(
            read("bars_final_m1.csv"),
            "symbol,slot_start_ms,slot_end_ms,open,high,low,close,volume,ticks,complete\n\
             A,60000,120000,100.50,102,-0.1,101,0.00000001,7,true\n\
             \"A,\"\"x\"\"\",60000,120000,100.50,102,-0.1,101,0.00000001,7,true\n\
             B,60000,120000,100.50,102,-0.1,101,0.00000001,7,true\n\
             A,120000,180000,100.50,102,-0.1,101,0.00000001,7,true\n\
             B,120000,180000,100.50,102,-0.1,101,0.00000001,7,true\n"
        );
        assert!(read("bars_final_h1.csv").ends_with("\nA,0,60000,100.50,102,-0.1,101,0.00000001,7,false\n"));
        assert_eq!(read("bars_final_mo1.csv").as_bytes(), HEADER);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 5, "five files and no others");
    }

    #[test]
    fn json_lines_on_standard_output() {
        let mut finals = Finals::to(&Output::Stdout).unwrap().unwrap();
        written(&mut finals);
        let mut out = Vec::new();
        finals.finish(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 6);
        assert!(
            text.starts_with(
                "{\"timeframe\":\"m1\",\"symbol\":\"A\",\"start\":60000,\"end\":120000,\"open\":100.50,"
            ),
            "{text}"
        );
        assert!(text.ends_with("\"children\":59,\"expected\":60,\"complete\":false}\n"), "{text}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_early_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Finals::to(&Output::Folder(file.join("out"))).err().unwrap().to_string();
        assert!(error.starts_with("cannot write ") && error.contains("file/out"), "{error}");
        assert!(Finals::to(&Output::None).unwrap().is_none());
    }

    /// A folder that goes away stands for a disk that fails: what was there stays, nothing half written appears.
    #[test]
    fn a_disk_that_fails_leaves_the_old_files() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("bars_final_m1.csv"), "old").unwrap();
        let mut finals = Finals::to(&Output::Folder(root.path().to_owned())).unwrap().unwrap();
        written(&mut finals);
        std::fs::remove_dir_all(finals.runs_folder.path()).unwrap();
        let error = finals.finish(&mut io::sink()).unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
        assert_eq!(std::fs::read_to_string(root.path().join("bars_final_m1.csv")).unwrap(), "old");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
