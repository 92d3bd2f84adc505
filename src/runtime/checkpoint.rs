//! What lies beside the stores of a task: to which commit they belong.

use super::TaskCheckpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The form of these bytes.
const VERSION: u32 = 1;

/// Written in one batch with the entries of a commit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Checkpoint {
    version: u32,
    /// `None`: nothing was committed yet.
    pub(crate) commit_id: Option<u64>,
    /// By store, the offset after the last changelog record that is in it.
    pub(crate) changelogs: BTreeMap<Arc<str>, i64>,
    /// The date of the commit: a store that is older than tombstones are kept cannot be brought up to date.
    pub(crate) date: Timestamp,
    /// What decides how the entries are read.
    pub(crate) fingerprint: String,
    pub(crate) task: TaskCheckpoint,
}

impl Checkpoint {
    pub(crate) fn new(
        commit_id: Option<u64>,
        changelogs: BTreeMap<Arc<str>, i64>,
        date: Timestamp,
        fingerprint: &str,
        task: TaskCheckpoint,
    ) -> Self {
        Self { version: VERSION, commit_id, changelogs, date, fingerprint: fingerprint.to_owned(), task }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::state("cannot write a checkpoint").cause(e))
    }

    /// `None`: not in this form; the store is set aside.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(bytes).ok().filter(|checkpoint| checkpoint.version == VERSION)
    }

    /// Whether the store was written by a topology that reads entries the same way.
    pub(crate) fn check_topology(&self, fingerprint: &str) -> Result<()> {
        if self.fingerprint == fingerprint {
            return Ok(());
        }
        let difference = difference(&self.fingerprint, fingerprint);
        Err(Error::new(ErrorKind::State, "the local state was written by another topology")
            .with("difference", difference)
            .help("set highwater.on.topology.change=accept if the state can be read all the same, or reset the application"))
    }
}

/// Lines that only one of two texts has: `-` the old one, `+` the new one.
fn difference(old: &str, new: &str) -> String {
    let (old_lines, new_lines): (BTreeSet<&str>, BTreeSet<&str>) =
        (old.lines().collect(), new.lines().collect());
    let gone = old.lines().filter(|line| !new_lines.contains(line)).map(|line| format!("\n    - {line}"));
    let come = new.lines().filter(|line| !old_lines.contains(line)).map(|line| format!("\n    + {line}"));
    gone.chain(come).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(fingerprint: &str) -> Checkpoint {
        let changelogs = BTreeMap::from([("counts".into(), 7)]);
        Checkpoint::new(Some(3), changelogs, Timestamp(5), fingerprint, TaskCheckpoint::default())
    }

    #[test]
    fn what_is_written_is_read() {
        let written = checkpoint("a");
        assert_eq!(Checkpoint::decode(&written.encode().expect("encodes")), Some(written));
        assert_eq!(Checkpoint::decode(b"{\"version\":1}"), None);
        assert_eq!(Checkpoint::decode(b"not json"), None);
    }

    #[test]
    fn another_topology_is_refused_with_the_difference() {
        checkpoint("a\nb").check_topology("a\nb").expect("the same");
        let error = checkpoint("a\nwindow 10").check_topology("a\nwindow 20").expect_err("another");
        assert!(error.is_state());
        let text = error.to_string();
        assert!(text.contains("\n    - window 10\n    + window 20"), "{text}");
    }
}
