//! A disk that has no room: the commit is an error, and what was committed before is all there.

use super::{TASK, batch, disk_at, names, noise, options};
use crate::error::Error;
use crate::state::Disk;
use std::path::Path;
use std::process::Command;

/// Set in the process that has a limit: where its state is.
const CHILD: &str = "HIGHWATER_TEST_LIMITED_AT";
const NAME: &str = "state::rocksdb::tests::limits::a_file_that_cannot_grow_loses_nothing";

/// The limit of a process on the size of its files stands in for the end of a disk: both fail in the middle of a
/// write. 64 blocks are 32 or 64 KiB, depending on the shell.
#[test]
#[cfg(unix)]
fn a_file_that_cannot_grow_loses_nothing() {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_until_it_fails(Path::new(&path));
    }
    let root = tempfile::tempdir().expect("a directory");
    // The signal that comes with it would end the process.
    let limited = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let ended = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().expect("this test"))
        .args([NAME, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, root.path())
        .output()
        .expect("starts");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}\n{}", String::from_utf8_lossy(&ended.stderr));
    let last = said.lines().find_map(|line| line.strip_prefix("last commit ")?.parse::<u64>().ok());
    let last = last.expect("it says how far it came");
    assert!(last > 0, "nothing fitted at all");
    let disk = disk_at(root.path(), &options());
    let backend = disk.open(TASK, &names()).expect("opens");
    assert_eq!(disk.set_aside(), 0);
    let checkpoint = backend.borrow().checkpoint().expect("read").expect("some");
    assert_eq!(u64::from_be_bytes(checkpoint.try_into().expect("8 bytes")), last);
    for n in 1..=last + 1 {
        let value = backend.borrow().read(0, &n.to_be_bytes()).expect("read");
        assert_eq!(value, (n <= last).then(|| noise(n, 4_000)), "commit {n} of {last}");
    }
}

fn write_until_it_fails(path: &Path) {
    let disk = disk_at(path, &options());
    let backend = disk.open(TASK, &names()).expect("opens");
    let write = |n: u64| -> Result<(), Error> {
        backend.borrow_mut().write(batch([(n.to_be_bytes().to_vec(), Some(noise(n, 4_000)))], n))
    };
    let failed = (1..1_000).find_map(|n| write(n).err().map(|error| (n, error)));
    let (n, error) = failed.expect("the limit is reached");
    assert!(error.is_disk() && error.is_state(), "{error}");
    assert!(error.to_string().contains("help: "), "{error}");
    // It stays an error until the task is opened again: nothing is written behind a hole.
    assert!(write(n + 1).is_err_and(|error| error.is_disk()));
    println!("\nlast commit {}", n - 1);
}
