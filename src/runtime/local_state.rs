//! What a process has on its machine: a place in the state directory, an id, and a disk for its tasks.

use super::Settings;
use crate::error::{Error, Result};
use crate::record::TaskId;
#[cfg(feature = "rocksdb")]
use crate::state::RocksDisk;
use crate::state::{Disk, MemoryDisk, SharedBackend, StateDirectory, Wanted};
use std::sync::Arc;

/// Taken until it is dropped.
pub(crate) struct LocalState {
    pub(crate) disk: Box<dyn Disk>,
    /// Kept over restarts.
    pub(crate) instance_id: String,
}

impl LocalState {
    /// Takes a place below `state.dir`. `instance`: the id that the user asks for, such as `group.instance.id`; `seed`
    /// makes the id of a place that has none and must differ from process to process ([`Self::seed`]).
    ///
    /// # Errors
    /// If the directory cannot be used, or another process has that id.
    pub(crate) fn open(
        settings: &Settings,
        fingerprint: &str,
        instance: Option<&str>,
        seed: u64,
    ) -> Result<Self> {
        let state_dir = &settings.stores.state_dir;
        let wanted = Wanted { state_dir, application_id: &settings.application_id, instance, seed };
        let directory = Arc::new(StateDirectory::take(&wanted)?);
        if directory.note_topology(fingerprint)?.is_some() {
            tracing::info!(path = %directory.path().display(), "another topology was here before");
        }
        let instance_id = directory.instance().to_owned();
        let disk = if settings.stores.on_disk {
            on_disk(directory, settings)?
        } else {
            Box::new(InMemory { disk: MemoryDisk::default(), _directory: directory })
        };
        Ok(Self { disk, instance_id })
    }

    /// Chance from the operating system: containers that start together have the same process id and the same date.
    pub(crate) fn seed() -> Result<u64> {
        getrandom::u64()
            .map_err(|error| Error::disk("the operating system gives no random number").cause(error))
    }
}

#[cfg(feature = "rocksdb")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn on_disk(directory: Arc<StateDirectory>, settings: &Settings) -> Result<Box<dyn Disk>> {
    Ok(Box::new(RocksDisk::new(directory, &settings.stores.rocksdb)))
}

#[cfg(not(feature = "rocksdb"))]
fn on_disk(_directory: Arc<StateDirectory>, _settings: &Settings) -> Result<Box<dyn Disk>> {
    Err(Error::config("this program was built without the feature `rocksdb` of highwater"))
}

/// Stores in memory; the place is taken for its id alone.
struct InMemory {
    disk: MemoryDisk,
    _directory: Arc<StateDirectory>,
}

impl Disk for InMemory {
    fn open(&self, task: TaskId, stores: &[Arc<str>]) -> Result<SharedBackend> {
        self.disk.open(task, stores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::StreamsConfig;

    #[test]
    fn stores_in_memory_leave_nothing_but_the_id() {
        let root = tempfile::tempdir().expect("a directory");
        let config = StreamsConfig::new("app", "").set("state.dir", root.path().display().to_string());
        let settings = config.settings().expect("fine");
        let open = |instance| LocalState::open(&settings, "a topology", instance, LocalState::seed()?);
        let (first, second) = (open(None).expect("opens"), open(None).expect("opens"));
        assert_ne!(first.instance_id, second.instance_id);
        let id = first.instance_id.clone();
        let task = TaskId { subtopology: 0, partition: 0 };
        first.disk.open(task, &[Arc::from("store")]).expect("opens");
        drop(first);
        assert_eq!(open(None).expect("opens again").instance_id, id);
        let names = std::fs::read_dir(root.path().join("app/0")).expect("a folder");
        let mut names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        assert_eq!(names, ["format", "instance", "lock", "topology"]);
        let blue = open(Some("blue")).expect("opens");
        assert_eq!(blue.instance_id, "blue");
        assert!(open(Some("blue")).is_err_and(|error| error.is_state()));
    }
}
