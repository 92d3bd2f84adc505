//! The program on Apache Kafka: fed, served by two processes, stopped.

#[path = "../it/kafka/cluster.rs"]
#[allow(dead_code, reason = "a module of several tests")]
mod cluster;

use crate::program::{Ended, Folder, HEADER, program, run, run_well};
use crate::published::{Coverage, compare, data};
use cluster::{Cluster, LONG};
use flate2::read::MultiGzDecoder;
use highwater::time::{Clock, SystemClock};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command};

/// What one exchange has published is expected of each of them, wherever its partition is.
const SYMBOLS: [&str; 6] = ["XRPETH", "ADAETH", "EOSETH", "LTCETH", "TRXETH", "XLMETH"];

/// The ticks of a file under six names, in the order of the file.
fn six_times(ticks: &Path) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(File::open(ticks).unwrap()).read_to_string(&mut text).unwrap();
    let mut six = HEADER.to_owned();
    for line in text.lines().skip(1) {
        let (_, rest) = line.split_once(',').unwrap();
        for symbol in SYMBOLS {
            writeln!(six, "{symbol},{rest}").unwrap();
        }
    }
    six
}

/// A process that serves, once it says that it is ready.
fn serving(cluster: &Cluster, prefix: &str, folder: &str) -> Child {
    let mut command = program();
    command.args(["--bootstrap-server", &cluster.bootstrap, "--topic-prefix", prefix, "--state-dir", folder]);
    command.args(["--application-id", &format!("{prefix}bars"), "--no-heartbeats", "--idle-timeout", "10s"]);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    // One byte at a time, so that what follows stays in the pipe.
    BufReader::with_capacity(1, child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    if line != "ready\n" {
        child.kill().unwrap();
        panic!("{line:?}: {}", Ended::of(child.wait_with_output().unwrap()).stderr);
    }
    child
}

/// By symbol, the finals in the columns of the files, each as often as it is there.
fn finals(cluster: &Cluster, topic: &str) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut rows: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for (_, _, bar) in cluster.read(topic) {
        let bar: serde_json::Value = serde_json::from_str(&bar).unwrap();
        let text = |name: &str| bar[name].as_str().map_or_else(|| bar[name].to_string(), str::to_owned);
        let names = ["symbol", "start", "end", "open", "high", "low", "close", "volume", "ticks", "complete"];
        rows.entry(text("symbol")).or_default().push(names.map(text).to_vec());
    }
    rows
}

fn stop(child: Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "stopped\n"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
}

#[test]
fn two_processes_publish_each_bar_once() {
    let Some(cluster) = Cluster::there() else { return };
    let Some(ticks) = data("two_processes_publish_each_bar_once", "binance_xrpeth_trades_2019-10") else {
        return;
    };
    let (folder, prefix) = (Folder::new(), format!("{}-", cluster.unique("bars")));
    let file = folder.write("ticks.csv", &six_times(&ticks.join("ticks.csv.gz")));
    let on = ["--bootstrap-server", &cluster.bootstrap, "--topic-prefix", &prefix];
    let fed = run_well(&[&on[..], &["--create-topics", "--partitions", "6", "--feed", &file]].concat());
    assert!(fed.stderr.contains("74862 ticks fed"), "{}", fed.stderr);

    let processes = ["a", "b"].map(|name| serving(&cluster, &prefix, &folder.path(name)));
    let topic = format!("{prefix}bars_final_m1");
    let clock = SystemClock::new();
    // Six times the bars of the file; the last of them by the idle timeout.
    while finals(&cluster, &topic).values().map(Vec::len).sum::<usize>() < 6 * 2_469 {
        assert!(clock.monotonic() < LONG.as_millis() as i64 * 3, "the finals are not there");
    }
    processes.into_iter().for_each(stop);

    let mut all = finals(&cluster, &topic);
    for symbol in SYMBOLS {
        let mut rows = all.remove(symbol).unwrap_or_default();
        for row in &mut rows {
            row[0] = "XRPETH".to_owned();
        }
        compare(&ticks, rows, "published_M1", Coverage::Whole);
    }
    assert!(all.is_empty(), "{:?}", all.keys());
}

#[test]
fn what_is_not_there_is_said() {
    let Some(cluster) = Cluster::there() else { return };
    let folder = Folder::new();
    let file = folder.write("ticks.csv", HEADER);
    let prefix = format!("{}-", cluster.unique("bars"));
    let on = ["--bootstrap-server", &cluster.bootstrap, "--topic-prefix", &prefix];
    let ended = run(&[&on[..], &["--feed", &file]].concat());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--create-topics makes it"), "{}", ended.stderr);

    let ended = run(&[&on[..], &["--state-dir", &folder.path("state")]].concat());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&format!("{prefix}ticks")), "{}", ended.stderr);

    let ended = run(&[&on[..], &["-X", "comit.interval.ms=5", "--feed", &file]].concat());
    assert!(ended.code == Some(1) && ended.stderr.contains("commit.interval.ms"), "{}", ended.stderr);
}
