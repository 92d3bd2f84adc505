//! What is left of tasks that went elsewhere, and of stores that could not be read.

use super::StateDirectory;
use super::files::{disk_error, names, read_text, remove_file, remove_folder, replace_text};
use crate::error::Result;
use crate::record::TaskId;
use crate::time::{Timestamp, millis};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

impl StateDirectory {
    /// Removes the state of tasks that nobody has owned for so long, and says which. Called now and then: a task is
    /// idle from the first call on that does not find it among the owned ones, also over restarts.
    pub(crate) fn clean(
        &self,
        owned: &BTreeSet<TaskId>,
        date: Timestamp,
        delay: Duration,
    ) -> Result<Vec<TaskId>> {
        let open = self.tasks();
        let mut removed = Vec::new();
        for name in names(&self.path)? {
            let path = self.path.join(&name);
            if path.extension().is_some_and(|extension| extension == "gone") {
                remove_folder(&path)?;
            }
            let Some(task) = task_of(&name) else { continue };
            let idle = self.beside(task, "idle");
            if owned.contains(&task) || open.contains(&task) {
                remove_file(&idle)?;
                continue;
            }
            let since = read_text(&idle)?.and_then(|text| text.trim().parse::<i64>().ok());
            match since {
                // A clock that was set back must not keep it for ever.
                Some(since) if since <= date.0 => {
                    if date.0 - since >= millis(delay) {
                        self.remove(task)?;
                        removed.push(task);
                    }
                }
                _ => replace_text(&idle, &date.0.to_string())?,
            }
        }
        Ok(removed)
    }

    fn remove(&self, task: TaskId) -> Result<()> {
        // At once out of the way: what is half removed must never be opened.
        let (path, gone) = (self.task_path(task), self.beside(task, "gone"));
        remove_folder(&gone)?;
        std::fs::rename(&path, &gone).map_err(|error| disk_error("remove", &path, error))?;
        remove_folder(&gone)?;
        remove_folder(&self.beside(task, "corrupt"))?;
        remove_file(&self.beside(task, "idle"))
    }

    /// Moves stores that cannot be read out of the way; one copy is kept, in the path that is returned.
    pub(crate) fn set_aside(&self, task: TaskId) -> Result<PathBuf> {
        let (path, aside) = (self.task_path(task), self.beside(task, "corrupt"));
        remove_folder(&aside)?;
        std::fs::rename(&path, &aside).map_err(|error| disk_error("set aside", &path, error))?;
        Ok(aside)
    }

    fn beside(&self, task: TaskId, what: &str) -> PathBuf {
        self.path.join(format!("{task}.{what}"))
    }
}

/// `0_3`.
fn task_of(name: &str) -> Option<TaskId> {
    let (subtopology, partition) = name.split_once('_')?;
    Some(TaskId { subtopology: subtopology.parse().ok()?, partition: partition.parse().ok()? })
}
