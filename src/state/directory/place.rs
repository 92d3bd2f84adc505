//! One numbered place of an application: who lives in it, and the version of its layout.

use super::files::{disk_error, make_folder, names, read_text, replace_text};
use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The version of the layout and of what the stores hold.
const FORMAT: u32 = 1;
/// Kafka's limit for the id of a static member.
const LONGEST_ID: usize = 249;

/// `<state.dir>/<application.id>/<n>`.
pub(super) struct Place {
    pub(super) path: PathBuf,
}

/// A place and the lock on it.
pub(super) struct Taken {
    pub(super) place: Place,
    pub(super) lock: File,
}

/// Who lives in a place.
pub(super) struct Inhabitant {
    pub(super) id: String,
    /// By the user: nobody else may move in while it is away.
    given: bool,
}

impl Place {
    fn new(application: &Path, number: u32) -> Self {
        Self { path: application.join(number.to_string()) }
    }

    /// Only one process at a time looks for a place; the others wait, for as long as that takes.
    pub(super) fn turn(application: &Path) -> Result<File> {
        let path = application.join("lock");
        let file = lock_file(&path)?;
        file.lock().map_err(|error| disk_error("lock", &path, error))?;
        Ok(file)
    }

    /// The places that are there, by number.
    pub(super) fn all(application: &Path) -> Result<Vec<Self>> {
        let mut numbers: Vec<u32> = names(application)?.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|number| Self::new(application, number)).collect())
    }

    /// The smallest one in which nobody lives.
    pub(super) fn free(application: &Path) -> Result<Taken> {
        Self::first(application, |known| known.is_none_or(|known| !known.given))
    }

    /// The one of an instance, or the smallest one that has never been used.
    pub(super) fn of_instance(application: &Path, instance: &str) -> Result<Taken> {
        check_id(instance)?;
        for place in Self::all(application)? {
            if place.instance()?.is_some_and(|known| known.id == instance) {
                let lock = place.hold()?.ok_or_else(|| place.is_in_use("taken twice"))?;
                return Ok(Taken { place, lock });
            }
        }
        Self::first(application, |known| known.is_none())
    }

    fn first(application: &Path, fits: impl Fn(Option<Inhabitant>) -> bool) -> Result<Taken> {
        for number in 0..u32::MAX {
            let place = Self::new(application, number);
            if !fits(place.instance()?) {
                continue;
            }
            if let Some(lock) = place.hold()? {
                return Ok(Taken { place, lock });
            }
        }
        Err(Error::internal("no place is left in the state directory"))
    }

    /// The lock on it; `None`: somebody else has it. The kernel gives it back when the process ends.
    pub(super) fn hold(&self) -> Result<Option<File>> {
        make_folder(&self.path)?;
        let path = self.path.join("lock");
        let mut file = lock_file(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(disk_error("lock", &path, error)),
        }
        // For the message that somebody else gets.
        let noted = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        noted.map_err(|error| disk_error("write", &path, error))?;
        Ok(Some(file))
    }

    pub(super) fn is_in_use(&self, refused: &str) -> Error {
        let process = std::fs::read_to_string(self.path.join("lock")).unwrap_or_default();
        let error = Error::state(format!("{} is in use: it cannot be {refused}", self.path.display()));
        let error = match self.instance() {
            Ok(Some(known)) => error.with("instance", known.id),
            _ => error,
        };
        let error = if process.is_empty() { error } else { error.with("process", process) };
        error.help(
            "stop that process, or give this one another group.instance.id, application.id or state.dir",
        )
    }

    pub(super) fn instance(&self) -> Result<Option<Inhabitant>> {
        let Some(text) = read_text(&self.path.join("instance"))? else { return Ok(None) };
        let mut lines = text.lines();
        let id = lines.next().unwrap_or_default().to_owned();
        check_id(&id)
            .map_err(|error| error.with("file", self.path.join("instance").display().to_string()))?;
        Ok(Some(Inhabitant { id, given: lines.next() == Some("given") }))
    }

    pub(super) fn name(&self, id: &str, given: bool) -> Result<String> {
        let line = if given { "\ngiven\n" } else { "\n" };
        replace_text(&self.path.join("instance"), &format!("{id}{line}"))?;
        Ok(id.to_owned())
    }

    pub(super) fn check_format(&self) -> Result<()> {
        let path = self.path.join("format");
        let Some(text) = read_text(&path)? else { return replace_text(&path, &format!("{FORMAT}\n")) };
        if text.trim().parse() == Ok(FORMAT) {
            return Ok(());
        }
        let shown = self.path.display();
        Err(Error::state(format!("{shown} has format {}, and this version knows {FORMAT}", text.trim()))
            .with("cause", "another version of the library wrote it")
            .help(format!("run that version, or remove {shown}: the state is restored from the changelogs")))
    }
}

fn lock_file(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    file.map_err(|error| disk_error("open", path, error))
}

/// It becomes part of transactional ids.
fn check_id(id: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(fits) {
        return Ok(());
    }
    let text = format!("{id:?} cannot be the id of an instance");
    Err(Error::new(ErrorKind::Config, text)
        .help(format!("use letters, digits, `.`, `_` and `-`, at most {LONGEST_ID} of them")))
}
