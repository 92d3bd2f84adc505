//! A process that writes commits is killed at random moments: what is there is every commit it was told of, as a whole.

use super::{TASK, batch, disk_at, names, noise, options};
use crate::state::{Batch, Disk};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Set in the process that is killed: where its state is.
const CHILD: &str = "HIGHWATER_TEST_KILLED_AT";
const NAME: &str =
    "state::rocksdb::tests::killed::nothing_that_was_committed_is_lost_and_nothing_is_half_there";
const KILLS: u64 = 40;

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// Commit `n`: some keys get values, some go.
fn changes(n: u64) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let dice = noise(n, 64);
    let change = |byte: &u8| {
        let key = format!("key {byte}").into_bytes();
        (key, (!byte.is_multiple_of(5)).then(|| noise(n ^ u64::from(*byte), 20 + usize::from(*byte) * 16)))
    };
    let mut changes: Content = Content::new();
    let mut gone = Vec::new();
    for (key, value) in dice.iter().map(change) {
        match value {
            Some(value) => drop(changes.insert(key, value)),
            None => gone.push((key, None)),
        }
    }
    changes.into_iter().map(|(key, value)| (key, Some(value))).chain(gone).collect()
}

fn commit(n: u64) -> Batch {
    batch(changes(n), n)
}

#[test]
fn nothing_that_was_committed_is_lost_and_nothing_is_half_there() {
    if let Some(path) = std::env::var_os(CHILD) {
        write_for_ever(Path::new(&path));
    }
    let root = tempfile::tempdir().expect("a directory");
    let (mut model, mut done) = (Content::new(), 0);
    for kill in 0..KILLS {
        let dice = noise(kill, 8);
        let told = write_and_kill(root.path(), 1 + u64::from(dice[0]) * u64::from(dice[1] % 3), dice[2]);
        let disk = disk_at(root.path(), &options());
        let backend = disk.open(TASK, &names()).expect("opens");
        assert_eq!(disk.set_aside(), 0, "a kill is no corruption");
        let checkpoint = backend.borrow().checkpoint().expect("read").map_or(0, |bytes| number(&bytes));
        assert!(checkpoint >= told, "commit {told} is lost, {checkpoint} is there");
        for n in done + 1..=checkpoint {
            for (key, value) in changes(n) {
                match value {
                    Some(value) => drop(model.insert(key, value)),
                    None => drop(model.remove(&key)),
                }
            }
        }
        done = checkpoint;
        let mut found = Content::new();
        let mut each = |key: &[u8], value: &[u8]| {
            found.insert(key.to_vec(), value.to_vec());
            Ok(())
        };
        backend.borrow().scan(0, &mut each).expect("scanned");
        assert!(found == model, "after kill {kill} the entries are not those of commit {checkpoint}");
    }
    assert!(done > KILLS * 10, "{done} commits in {KILLS} lives");
}

/// The last commit that a new process said it had made, after at least so many of this life and a moment more.
fn write_and_kill(path: &Path, commits: u64, moment: u8) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([NAME, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut said =
        lines.by_ref().map_while(Result::ok).filter_map(|line| line.strip_prefix("commit ")?.parse().ok());
    let mut told: u64 = said.by_ref().nth(commits as usize).expect("it writes until it is killed");
    for _ in 0..moment {
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    // What it had said by then.
    told = said.last().unwrap_or(told);
    child.wait().expect("ended");
    told
}

fn write_for_ever(path: &Path) -> ! {
    let disk = disk_at(path, &options());
    let backend = disk.open(TASK, &names()).expect("opens");
    let mut n = backend.borrow().checkpoint().expect("read").map_or(0, |bytes| number(&bytes));
    println!();
    loop {
        n += 1;
        backend.borrow_mut().write(commit(n)).expect("written");
        writeln!(std::io::stdout(), "commit {n}").expect("said");
    }
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
}
