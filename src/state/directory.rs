//! Where a process keeps its state on disk, and who it is over restarts.
//!
//! ```text
//! <state.dir>/<application.id>/lock              held for a moment by whoever takes a place or removes all
//!                              <n>/lock          held while a process lives in it
//!                              <n>/instance      its id, made once
//!                              <n>/format        the version of this layout
//!                              <n>/topology      what wrote the state
//!                              <n>/<task>/       the stores of a task
//!                              <n>/<task>.idle   since when nobody owns that task
//!                              <n>/<task>.corrupt/  the last copy that was set aside
//! ```
//! A place has one process at a time, by a lock that ends with the process, however that ends.

mod files;
mod housekeeping;
mod place;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::record::TaskId;
pub(super) use files::disk_error;
use files::{make_folder, read_text, replace_text};
use place::Place;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a process asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) state_dir: &'a Path,
    pub(crate) application_id: &'a str,
    /// An id that the user gave; otherwise the place has one.
    pub(crate) instance: Option<&'a str>,
    /// Makes the id of a place that has none: not used before, by any process.
    pub(crate) seed: u64,
}

/// A place that is this process's own until it is dropped.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    path: PathBuf,
    instance: String,
    /// The tasks whose stores are open.
    open: Mutex<BTreeSet<TaskId>>,
    _lock: File,
}

/// The stores of a task are open, once.
#[derive(Debug)]
pub(crate) struct OpenTask {
    directory: Arc<StateDirectory>,
    task: TaskId,
}

impl StateDirectory {
    /// Takes the smallest place that is free, or the one of the instance that is asked for.
    ///
    /// # Errors
    /// If the directory cannot be written, if that instance runs already, if a newer version wrote the place.
    pub(crate) fn take(wanted: &Wanted<'_>) -> Result<Self> {
        let application = wanted.state_dir.join(wanted.application_id);
        make_folder(&application)?;
        let turn = Place::turn(&application)?;
        let taken = match wanted.instance {
            Some(instance) => Place::of_instance(&application, instance)?,
            None => Place::free(&application)?,
        };
        taken.place.check_format()?;
        let instance = match (taken.place.instance()?, wanted.instance) {
            (Some(known), _) => known.id,
            (None, Some(given)) => taken.place.name(given, true)?,
            (None, None) => taken.place.name(&format!("{:016x}", mixed(wanted.seed)), false)?,
        };
        drop(turn);
        tracing::info!(path = %taken.place.path.display(), instance, "the state directory is taken");
        let open = Mutex::default();
        Ok(Self { path: taken.place.path, instance, open, _lock: taken.lock })
    }

    /// Removes the local state of an application, instance ids included.
    ///
    /// # Errors
    /// If a process of the application is alive here; then nothing is removed.
    pub(crate) fn clean_up(state_dir: &Path, application_id: &str) -> Result<()> {
        let application = state_dir.join(application_id);
        if !application.exists() {
            return Ok(());
        }
        let _turn = Place::turn(&application)?;
        let places = Place::all(&application)?;
        let locks = places.iter().map(|place| place.hold()?.ok_or_else(|| place.is_in_use("removed")));
        drop(locks.collect::<Result<Vec<File>>>()?);
        for Place { path, .. } in places {
            fs::remove_dir_all(&path).map_err(|error| disk_error("remove", &path, error))?;
        }
        Ok(())
    }

    /// Of the process that lives here, kept over restarts: it names the transactional ids.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves word of what writes the state, for whoever looks at it; what it was before, if that was something else.
    pub(crate) fn note_topology(&self, fingerprint: &str) -> Result<Option<String>> {
        let path = self.path.join("topology");
        let before = read_text(&path)?.filter(|before| before != fingerprint);
        if before.is_some() || !path.exists() {
            replace_text(&path, fingerprint)?;
        }
        Ok(before)
    }

    /// Where the stores of a task lie.
    pub(crate) fn task_path(&self, task: TaskId) -> PathBuf {
        self.path.join(task.to_string())
    }

    /// The stores of a task may be opened, by one handle at a time.
    pub(crate) fn open_task(self: &Arc<Self>, task: TaskId) -> Result<OpenTask> {
        if !self.tasks().insert(task) {
            let path = self.task_path(task);
            return Err(Error::disk(format!(
                "the stores of task {task} in {} are still open",
                path.display()
            )));
        }
        Ok(OpenTask { directory: self.clone(), task })
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeSet<TaskId>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenTask {
    fn drop(&mut self) {
        self.directory.tasks().remove(&self.task);
    }
}

/// Seeds that are near each other make ids that are not (splitmix64).
fn mixed(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
