//! Files that cannot be read are set aside, and the task starts empty; a log that ends early is an earlier commit.

use super::{OnRocks, TASK, batch, files, names, noise};
use crate::state::Disk;
use std::fs;

/// Commits 1 to 9, of which some are in a file and the rest in the log; then the process ends.
fn written() -> OnRocks {
    let machine = OnRocks::new();
    let write = |commits: std::ops::RangeInclusive<u64>| {
        let disk = machine.open();
        let backend = disk.open(TASK, &names()).expect("opens");
        for n in commits {
            let entries = (0..50_u64).map(|key| (key.to_be_bytes().to_vec(), Some(noise(n, 400))));
            backend.borrow_mut().write(batch(entries, n)).expect("written");
        }
    };
    write(1..=5);
    // What is in the log goes to a file when it is opened.
    write(6..=9);
    assert!(!files(&machine.task(), ".sst").is_empty());
    machine
}

/// The task is opened, is empty, works, and the bad files are kept; the next start finds nothing wrong.
fn assert_set_aside(machine: &OnRocks) {
    {
        let disk = machine.open();
        let backend = disk.open(TASK, &names()).expect("opens");
        assert_eq!(disk.set_aside(), 1);
        assert_eq!(backend.borrow().checkpoint().expect("read"), None);
        backend.borrow_mut().write(batch([(b"k".to_vec(), Some(b"v".to_vec()))], 1)).expect("written");
    }
    let aside = machine.task().with_extension("corrupt");
    assert!(aside.is_dir(), "{} is kept", aside.display());
    let disk = machine.open();
    let backend = disk.open(TASK, &names()).expect("opens");
    assert_eq!((disk.set_aside(), backend.borrow().read(0, b"k").expect("read")), (0, Some(b"v".to_vec())));
}

#[test]
fn a_manifest_that_is_rubbish() {
    for change in [
        |_: Vec<u8>| b"rubbish".to_vec(),
        |mut bytes: Vec<u8>| {
            bytes[20] ^= 0xFF;
            bytes
        },
    ] {
        let machine = written();
        let manifest =
            files(&machine.task(), "").into_iter().find(|file| file.to_string_lossy().contains("MANIFEST"));
        let manifest = manifest.expect("there is one");
        fs::write(&manifest, change(fs::read(&manifest).expect("read"))).expect("written");
        assert_set_aside(&machine);
    }
}

#[test]
fn files_that_are_missing() {
    for gone in ["MANIFEST", ".sst"] {
        let machine = written();
        let all = files(&machine.task(), "");
        for file in all.iter().filter(|file| file.to_string_lossy().contains(gone)) {
            fs::remove_file(file).expect("removed");
        }
        assert_set_aside(&machine);
    }
}

#[test]
fn a_pointer_that_leads_nowhere() {
    for text in ["", "rubbish", "MANIFEST-999999\n"] {
        let machine = written();
        fs::write(machine.task().join("CURRENT"), text).expect("written");
        assert_set_aside(&machine);
    }
}

/// It opens, because only the blocks of entries have rotted; the first read finds it, and the task is opened again.
#[test]
fn a_block_that_has_rotted_is_found_when_it_is_read() {
    let machine = written();
    for file in files(&machine.task(), ".sst") {
        let mut bytes = fs::read(&file).expect("read");
        let half = bytes.len() / 2;
        bytes[100..half].iter_mut().for_each(|byte| *byte = !*byte);
        fs::write(&file, bytes).expect("written");
    }
    let disk = machine.open();
    // Commits 6 to 9 are written to a file when it is opened, and the first commits lie under them.
    match disk.open(TASK, &names()) {
        Ok(backend) if disk.set_aside() == 0 => {
            let found = backend.borrow().scan(0, &mut |_, _| Ok(())).expect_err("rotten");
            assert!(found.is_disk() && found.to_string().contains("0_0"), "{found}");
            assert_eq!(disk.set_aside(), 0, "not under the open handle");
        }
        opened => drop(opened.expect("opens")),
    }
    let backend = disk.open(TASK, &names()).expect("opens");
    assert_eq!((disk.set_aside(), backend.borrow().checkpoint().expect("read")), (1, None));
    drop(backend);
    disk.open(TASK, &names()).expect("opens");
    assert_eq!(disk.set_aside(), 1, "once");
}

/// As after a power failure: whatever is missing at the end of the log, what is left is a commit as a whole.
#[test]
fn a_log_that_ends_early_is_an_earlier_commit() {
    let mut seen = Vec::new();
    for part in 0..8 {
        let machine = written();
        let log = files(&machine.task(), ".log").pop().expect("a log");
        let len = fs::metadata(&log).expect("metadata").len();
        let file = fs::OpenOptions::new().write(true).open(&log).expect("opens");
        file.set_len(len * part / 8).expect("cut");
        let disk = machine.open();
        let backend = disk.open(TASK, &names()).expect("opens");
        let checkpoint = backend.borrow().checkpoint().expect("read").expect("some");
        let commit = u64::from_be_bytes(checkpoint.try_into().expect("8 bytes"));
        for key in 0..50_u64 {
            let value = backend.borrow().read(0, &key.to_be_bytes()).expect("read");
            assert_eq!(value, Some(noise(commit, 400)), "key {key} after {part} of 8 of the log");
        }
        seen.push(commit);
    }
    assert!(seen.is_sorted() && seen.first() == Some(&5) && seen.last() > Some(&6), "{seen:?}");
}
