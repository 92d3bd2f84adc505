//! Small text files and folders, with errors that name the path and the way out.

use crate::error::{Error, Result};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// An error of the file system.
pub(crate) fn disk_error(doing: &str, path: &Path, error: io::Error) -> Error {
    let help = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space on that disk",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "let this user write there, or set state.dir to another directory"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "there is a file where a directory should be: remove it, or set state.dir to another directory"
        }
        ErrorKind::Unsupported => "set state.dir to a directory on a local disk, which has file locks",
        _ => "look at that disk, or set state.dir to another directory",
    };
    Error::disk(format!("cannot {doing} {}", path.display())).cause(error).help(help)
}

pub(super) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| disk_error("make the directory", path, error))
}

/// `None`: there is no such file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk_error("read", path, error)),
    }
}

/// The old text or the new one, whatever happens in between.
pub(super) fn replace_text(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|error| disk_error("write", path, error))
}

pub(super) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(disk_error("remove", path, error)),
        _ => Ok(()),
    }
}

/// A folder with all that is in it; no matter if there is none.
pub(super) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(disk_error("remove", path, error)),
        _ => Ok(()),
    }
}

/// The names in a folder, in order.
pub(super) fn names(path: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(path).map_err(|error| disk_error("list", path, error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| disk_error("list", path, error))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}
