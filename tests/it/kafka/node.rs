//! A node for one test, started and stopped by `tests/kafka`.

use super::cluster::Cluster;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A node that nobody else uses; stopped when it is dropped.
pub struct Node {
    folder: tempfile::TempDir,
    pub cluster: Cluster,
}

impl Node {
    pub fn start() -> Option<Self> {
        // Where there is no broker for the other tests there is none for these.
        Cluster::there()?;
        let folder = tempfile::tempdir().expect("a folder");
        let started = of_kafka("start", folder.path());
        assert!(started, "the node does not start");
        let bootstrap = std::fs::read_to_string(folder.path().join("bootstrap")).expect("an address");
        Some(Self { cluster: Cluster::at(bootstrap.trim()), folder })
    }

    /// kill -9, and the same ports and data again after a while.
    pub fn away(&self, for_how_long: Duration, meanwhile: impl FnOnce(&Cluster)) {
        assert!(of_kafka("kill", self.folder.path()), "the node is not killed");
        meanwhile(&self.cluster);
        super::cluster::pass(for_how_long);
        assert!(of_kafka("restart", self.folder.path()), "the node does not come back");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        of_kafka("stop", self.folder.path());
    }
}

fn of_kafka(order: &str, folder: &Path) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka");
    let owner = std::process::id().to_string();
    let mut command = Command::new(script);
    command.arg(order).arg("--dir").arg(folder);
    if order == "start" {
        command.args(["--owner", &owner]);
    }
    command.stdout(std::process::Stdio::null()).status().expect("the script").success()
}
