//! Kafka Streams itself, as a process: `tests/kafka streams` with what it is to do.

use super::cluster::{Cluster, LONG, skipped};
use highwater::time::{Clock, SystemClock};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Of `tests/kafka`: there is no Java, no compiler for it, or nothing to fetch Kafka Streams from.
const CANNOT: i32 = 77;

/// The project's own script.
pub const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka");

/// A Java process; it ends when this is dropped.
pub struct Java {
    child: Child,
    /// A topology runs until it is told.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Java {
    /// `None`, and counted as skipped: there is no broker, or no Kafka Streams.
    pub fn there() -> Option<Cluster> {
        let cluster = Cluster::there()?;
        let probe = script(&cluster).args(["streams", "metadata", "nobody"]).output().expect("tests/kafka");
        if probe.status.code() == Some(CANNOT) {
            skipped(String::from_utf8_lossy(&probe.stderr).lines().last().unwrap_or("no Kafka Streams"));
            return None;
        }
        assert!(probe.status.success(), "{}", String::from_utf8_lossy(&probe.stderr));
        Some(cluster)
    }

    /// Starts what the first of the words names.
    pub fn start(cluster: &Cluster, words: &[&str]) -> Self {
        let mut command = script(cluster);
        command.arg("streams").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("tests/kafka");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("its output"));
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).all(|line| tell.send(line).is_ok())
        });
        Self { child, input, lines, said: Vec::new() }
    }

    /// A topology, once it runs; it leaves its group when it is closed.
    pub fn run(cluster: &Cluster, words: &[&str]) -> Self {
        let mut java = Self::start(cluster, words);
        java.until("it runs", |said| said.iter().any(|line| line == "state RUNNING"));
        java
    }

    /// Runs until it has said what it should, to a deadline.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut right: impl FnMut(&[String]) -> bool) -> &[String] {
        let clock = SystemClock::new();
        while !right(&self.said) {
            let left = LONG.saturating_sub(Duration::from_millis(clock.monotonic().unsigned_abs()));
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("Kafka Streams: {what}: not within {LONG:?}; it said {:#?}", self.said);
            };
            self.said.push(line);
        }
        &self.said
    }

    /// Waits for the clean end; what it said.
    #[track_caller]
    pub fn close(self) -> Vec<String> {
        self.end("leave\n")
    }

    /// As `KafkaStreams.close()` does it: the group has the member until its session has timed out.
    #[track_caller]
    pub fn close_and_stay(self) -> Vec<String> {
        self.end("stay\n")
    }

    #[track_caller]
    fn end(mut self, how: &str) -> Vec<String> {
        let mut input = self.input.take().expect("its input");
        input.write_all(how.as_bytes()).expect("told");
        drop(input);
        self.until("it closes", |said| said.iter().any(|line| line == "closed true"));
        std::mem::take(&mut self.said)
    }

    /// What it says until it ends by itself.
    #[track_caller]
    pub fn output(cluster: &Cluster, words: &[&str]) -> Vec<String> {
        let output = script(cluster).arg("streams").args(words).output().expect("tests/kafka");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The script, with the address of the broker.
pub fn script(cluster: &Cluster) -> Command {
    let mut command = Command::new(SCRIPT);
    command.env("HIGHWATER_TEST_BOOTSTRAP", &cluster.bootstrap);
    command
}
