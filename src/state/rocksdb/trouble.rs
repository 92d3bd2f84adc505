//! What an error of RocksDB means: files that are worth nothing any longer, or a disk that may be well again.

use rocksdb::ErrorKind;
use std::{fmt, io};

#[derive(Debug)]
pub(super) enum Trouble {
    /// The files cannot be read, and will not be.
    Corrupt(String),
    /// They are as good as they were: no space, no right, too many open files, a handle elsewhere.
    Passing(String),
    /// Of the file system, outside RocksDB.
    Files(io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(why) | Self::Passing(why) => f.write_str(why),
            Self::Files(error) => write!(f, "{error}"),
        }
    }
}

impl From<rocksdb::Error> for Trouble {
    fn from(error: rocksdb::Error) -> Self {
        let kind = error.kind();
        let text = error.into_string();
        match kind {
            ErrorKind::Corruption
            | ErrorKind::InvalidArgument
            | ErrorKind::NotSupported
            | ErrorKind::NotFound
            | ErrorKind::Incomplete => Self::Corrupt(text),
            // A file is gone that another one names, or a sector cannot be read: waiting does not bring it back.
            ErrorKind::IOError
                if ["No such file or directory", "Input/output error"]
                    .iter()
                    .any(|sign| text.contains(sign)) =>
            {
                Self::Corrupt(text)
            }
            _ => Self::Passing(text),
        }
    }
}

pub(super) fn way_out(why: &str) -> &'static str {
    let signs = [
        ("No space left", "free some space on that disk: the task goes on by itself, and nothing is lost"),
        ("File too large", "the file is larger than this user may write: raise that limit"),
        ("Disk quota", "raise the quota on that disk: the task goes on by itself, and nothing is lost"),
        ("Too many open files", "raise the limit of open files, or lower highwater.rocksdb.max.open.files"),
        ("Permission denied", "let this user write there, or set state.dir to another directory"),
        ("Read-only file system", "set state.dir to a directory that can be written"),
        ("lock", "another handle or process has it open; it is tried again"),
    ];
    let known = signs.iter().find(|(sign, _)| why.contains(sign));
    known.map_or("the task is opened again, and restored from the changelog if need be", |(_, help)| help)
}
