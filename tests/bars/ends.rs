//! How a run ends that does not come to its end: closed pipes, full disks, Ctrl-C.

use crate::program::{Ended, Folder, files, program, rows, run, skip, ticks};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};

#[test]
fn an_output_that_is_a_file_is_an_error_before_anything_is_read() {
    let folder = Folder::new();
    let (input, file) = (folder.write("ticks.csv", &ticks(10)), folder.write("taken", "mine"));
    let ended = run(&["--input", &input, "--output", &file]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.starts_with("error: cannot write ") && ended.stderr.contains("taken"),
        "{}",
        ended.stderr
    );
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

/// A file system of so many bytes, gone with the value.
struct Small(String);

impl Small {
    fn mount(at: String) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs", &at]).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).output().ok();
    }
}

#[test]
fn a_full_disk_is_an_error_and_nothing_half_written() {
    let folder = Folder::new();
    let input = folder.write("ticks.csv", &ticks(2_000));
    let Some(small) = Small::mount(folder.path("small")) else {
        return skip(
            "a_full_disk_is_an_error_and_nothing_half_written",
            "no small file system can be mounted here",
        );
    };
    fs::write(format!("{}/bars_final_m1.csv", small.0), "old").unwrap();
    let ended = run(&["--input", &input, "--output", &small.0]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let (start, reason) = (format!("error: cannot write {}", small.0), "No space left on device");
    assert!(ended.stderr.starts_with(&start) && ended.stderr.contains(reason), "{}", ended.stderr);
    assert_eq!(files(&small.0), [("bars_final_m1.csv".to_owned(), "old".to_owned())]);
}

#[test]
fn a_full_standard_output_is_an_error() {
    let Ok(full) = File::create("/dev/full") else {
        return skip("a_full_standard_output_is_an_error", "there is no /dev/full");
    };
    let folder = Folder::new();
    let (input, out) = (folder.write("ticks.csv", &ticks(30)), folder.path("out"));
    for output in ["-", &out] {
        let mut command = program();
        command.args(["--input", &input, "--output", output]).stdout(full.try_clone().unwrap());
        let ended = Ended::of(command.output().unwrap());
        assert_eq!(ended.code, Some(1), "{output}");
        assert!(
            ended.stderr.contains("standard output: No space left on device"),
            "{output}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
    assert!(files(&out).is_empty(), "{:?}", files(&out));
}

/// Lines until the first final, and the rest unread.
fn first_final(child: &mut Child) -> BufReader<std::process::ChildStdout> {
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("M1 ") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "no final came");
    }
    lines
}

fn ended(mut child: Child) -> Ended {
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    Ended { code: child.wait().unwrap().code(), stdout: String::new(), stderr }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_run_without_a_panic() {
    let folder = Folder::new();
    let input = folder.write("ticks.csv", &ticks(2_000));
    let out = folder.path("out");
    for more in [&["--speed", "1000"][..], &["--input", &input], &["--input", &input, "--output", &out]] {
        let mut child = program().args(more).spawn().unwrap();
        drop(first_final(&mut child));
        let ended = ended(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{more:?}");
    }
    assert!(rows_without_quotes(&out) > 5_000, "files are made although nobody looks on");
}

fn rows_without_quotes(out: &str) -> usize {
    fs::read_to_string(format!("{out}/bars_final_m1.csv")).unwrap().lines().count()
}

#[test]
fn json_lines_that_nobody_reads_to_the_end_are_no_failure() {
    let folder = Folder::new();
    let input = folder.write("ticks.csv", &ticks(2_000));
    let mut child = program().args(["--input", &input, "--output", "-"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"timeframe\":\"m1\""), "{line}");
    let ended = ended(child);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn an_interrupt_leaves_whole_lines_and_says_so() {
    let folder = Folder::new();
    let input = folder.write("ticks.csv", &ticks(1_000).replace("\"A,B\"", "AB"));
    let out = folder.path("out");
    let mut command = program();
    // 1000 minutes take 100 s at this speed; the first final comes after a quarter of a second.
    command.args(["--input", &input, "--output", &out, "--speed", "600"]);
    let mut child = command.spawn().unwrap();
    let mut lines = first_final(&mut child);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let ended = ended(child);
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let m1 = rows(&out, "m1");
    assert!(!m1.is_empty() && m1.len() < 2_000, "{}", m1.len());
    assert_eq!(files(&out).len(), 5, "{:?}", files(&out));
    assert!(rest.contains("final bars"), "the summary: {rest}");
}
