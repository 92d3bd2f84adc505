//! What a person reads of an application while it runs: its state, how far a restore is, a line per interval, and why a
//! window is overdue.
//!
//! It is shown what the application's thread publishes, decides by the clocks it is given, and logs nothing itself.

use super::instance::State;
use super::running_streams::Snapshot;
use super::{Explanation, Moment, Settings};
use crate::processor::Counts;
use crate::record::TaskId;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Between two looks at the windows, ms.
const OVERDUE_LOOK: i64 = 1_000;
/// Between two warnings of one task, ms.
const OVERDUE_AGAIN: i64 = 60_000;
/// A restore that is shorter is not told, ms.
const SHORT_RESTORE: i64 = 1_000;
/// Between two lines of a restore, ms.
const RESTORE_LINE: i64 = 5_000;
/// Tasks that are named in one line.
const NAMED: usize = 8;

/// How far the changelogs of a task are read before it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restoring {
    /// Records that were read, by their offsets.
    pub read: u64,
    /// Records that are read in all.
    pub all: u64,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) warning: bool,
    pub(crate) text: String,
}

impl News {
    pub(crate) fn log(&self) {
        if self.warning {
            tracing::warn!(target: "highwater", "{}", self.text);
        } else {
            tracing::info!(target: "highwater", "{}", self.text);
        }
    }
}

/// What was told, and when something is due again; times are the machine's unless said otherwise.
pub(crate) struct Progress {
    interval: Option<i64>,
    overdue: Option<i64>,
    state: State,
    /// When it came into its state.
    since: Option<i64>,
    /// When the last line was told, and what was counted then.
    line: Option<(i64, Counts)>,
    restore: Option<Restore>,
    paused: bool,
    watches: BTreeMap<TaskId, Watch>,
    looked: Option<i64>,
}

/// From when the first task began until none is left.
struct Restore {
    since: i64,
    tasks: BTreeMap<TaskId, Restoring>,
    told: Option<i64>,
}

/// The watermark of a task, now and one or two patiences ago.
struct Watch {
    older: (i64, Timestamp),
    newer: (i64, Timestamp),
    warned: Option<i64>,
}

impl Progress {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self::every(settings.progress_interval, settings.overdue_warning)
    }

    fn every(interval: Option<Duration>, overdue: Option<Duration>) -> Self {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self {
            interval: interval.map(ms),
            overdue: overdue.map(ms),
            state: State::Created,
            since: None,
            line: None,
            restore: None,
            paused: false,
            watches: BTreeMap::new(),
            looked: None,
        }
    }

    /// What there is to tell of a state that is published at this moment.
    pub(crate) fn look(&mut self, moment: Moment, state: State, snapshot: &Snapshot) -> Vec<News> {
        let at = moment.machine;
        let told = [
            self.restore(at, snapshot),
            self.state(at, state, snapshot),
            self.pause(snapshot),
            self.line(moment, snapshot),
        ];
        let mut news: Vec<News> =
            told.into_iter().flatten().map(|text| News { warning: false, text }).collect();
        news.extend(self.overdue(moment, snapshot).into_iter().map(|text| News { warning: true, text }));
        news
    }

    fn state(&mut self, at: i64, state: State, snapshot: &Snapshot) -> Option<String> {
        let old = std::mem::replace(&mut self.state, state);
        let since = *self.since.get_or_insert(at);
        if old == state {
            return None;
        }
        (self.since, self.line) = (Some(at), Some((at, snapshot.counts)));
        let after =
            if old == State::Created { String::new() } else { format!(" after {}", span(at - since)) };
        let what = match state {
            State::Created => String::new(),
            State::Rebalancing => ": tasks are assigned and restored".to_owned(),
            State::Running if snapshot.tasks.is_empty() => {
                ": no task is here, the others have them".to_owned()
            }
            State::Running => format!(": {}", named(snapshot.tasks.iter())),
            State::PendingShutdown => ": the last commit, then it leaves the group".to_owned(),
            State::NotRunning => ": all is committed".to_owned(),
            State::Error => ": it has failed".to_owned(),
        };
        Some(format!("{} -> {}{after}{what}", word(old), word(state)))
    }

    fn pause(&mut self, snapshot: &Snapshot) -> Option<String> {
        let said = if snapshot.paused { "paused: nothing is processed" } else { "resumed" };
        (std::mem::replace(&mut self.paused, snapshot.paused) != snapshot.paused).then(|| said.to_owned())
    }

    fn restore(&mut self, at: i64, snapshot: &Snapshot) -> Option<String> {
        if self.restore.is_none() && snapshot.restoring.is_empty() {
            return None;
        }
        let restore =
            self.restore.get_or_insert_with(|| Restore { since: at, tasks: BTreeMap::new(), told: None });
        restore.take(&snapshot.restoring);
        if snapshot.restoring.is_empty() {
            return self.restore.take().and_then(|restore| restore.ended(at));
        }
        self.interval?;
        let due = restore.told.map_or(restore.since + SHORT_RESTORE, |told| told + RESTORE_LINE);
        if at < due {
            return None;
        }
        restore.told = Some(at);
        Some(restore.line(at, &snapshot.restoring))
    }

    fn line(&mut self, moment: Moment, snapshot: &Snapshot) -> Option<String> {
        let interval = self.interval?;
        let (last, counted) = *self.line.get_or_insert((moment.machine, snapshot.counts));
        let passed = moment.machine - last;
        if passed < interval {
            return None;
        }
        let line = match self.state {
            State::Running => running(passed, counted, moment, snapshot),
            State::Rebalancing if self.restore.is_none() => {
                let since = self.since.map_or(0, |since| moment.machine - since);
                format!("rebalancing for {}: the group or the topics are waited for", span(since))
            }
            _ => return None,
        };
        self.line = Some((moment.machine, snapshot.counts));
        Some(line)
    }

    fn overdue(&mut self, moment: Moment, snapshot: &Snapshot) -> Vec<String> {
        let Some(patience) = self.overdue else { return Vec::new() };
        if self.looked.is_some_and(|looked| moment.machine < looked + OVERDUE_LOOK) {
            return Vec::new();
        }
        self.looked = Some(moment.machine);
        if snapshot.paused {
            // Its windows wait because somebody wants them to; patience begins when they no longer do.
            self.watches.clear();
            return Vec::new();
        }
        self.watches.retain(|task, _| snapshot.windows.contains_key(task));
        let mut warnings = Vec::new();
        for (task, explanation) in &snapshot.windows {
            let now = (moment.machine, explanation.watermark);
            let watch = self.watches.entry(*task).or_insert(Watch { older: now, newer: now, warned: None });
            watch.sample(now, patience);
            let Some(closes_at) = explanation.closes_at else { continue };
            let late = moment.now.0.saturating_sub(closes_at.0);
            if late >= patience && watch.stands(now, patience) {
                watch.warned = Some(moment.machine);
                warnings.push(overdue(*task, explanation, late));
            }
        }
        warnings
    }
}

impl Restore {
    /// Tasks that are restored no longer are done.
    fn take(&mut self, restoring: &BTreeMap<TaskId, Restoring>) {
        for (task, known) in &mut self.tasks {
            if !restoring.contains_key(task) {
                known.read = known.all;
            }
        }
        self.tasks.extend(restoring);
    }

    fn sum(&self) -> Restoring {
        let sum = |part: fn(&Restoring) -> u64| self.tasks.values().map(part).sum();
        Restoring { read: sum(|task| task.read), all: sum(|task| task.all) }
    }

    fn line(&self, at: i64, restoring: &BTreeMap<TaskId, Restoring>) -> String {
        let Restoring { read, all } = self.sum();
        let percent = read * 100 / all.max(1);
        let passed = (at - self.since).unsigned_abs();
        let left = match (all.saturating_sub(read)).saturating_mul(passed).checked_div(read) {
            Some(left) => format!("{} left", span(i64::try_from(left).unwrap_or(i64::MAX))),
            None => "nothing was read yet".to_owned(),
        };
        let (read, all) = (grouped(read), grouped(all));
        format!("restoring {}: {percent} %, {read} of {all} records, {left}", named(restoring.keys()))
    }

    fn ended(&self, at: i64) -> Option<String> {
        self.told?;
        Some(format!("restored {} records in {}", grouped(self.sum().all), span(at - self.since)))
    }
}

impl Watch {
    fn sample(&mut self, now: (i64, Timestamp), patience: i64) {
        if now.0 - self.newer.0 >= patience {
            self.older = std::mem::replace(&mut self.newer, now);
        }
    }

    /// Whether its time passes no faster than the machine's, so that it never catches up by itself, and nothing was said
    /// of it for a while.
    fn stands(&self, (at, watermark): (i64, Timestamp), patience: i64) -> bool {
        let passed = at - self.older.0;
        passed >= patience
            && watermark.0.saturating_sub(self.older.1.0) <= passed
            && self.warned.is_none_or(|warned| at - warned >= OVERDUE_AGAIN)
    }
}

fn running(passed: i64, before: Counts, moment: Moment, snapshot: &Snapshot) -> String {
    let Snapshot { counts, lag, tasks, windows, .. } = snapshot;
    let rate = |now: u64, before: u64| {
        let tenths = now.saturating_sub(before).saturating_mul(10_000) / passed.max(1).unsigned_abs();
        if tenths < 100 { format!("{}.{}", tenths / 10, tenths % 10) } else { grouped(tenths / 10) }
    };
    let mut line = format!(
        "{} records/s in, {}/s out; {} tasks",
        rate(counts.processed, before.processed),
        rate(counts.written, before.written),
        tasks.len()
    );
    let behind: u64 = lag.values().sum();
    let _ = write!(line, "; lag {}", grouped(behind));
    if let Some((partition, most)) = lag.iter().max_by_key(|(_, lag)| **lag).filter(|_| behind > 0) {
        let lagging = lag.values().filter(|lag| **lag > 0).count();
        let _ = write!(line, " in {lagging} of {} partitions, {partition} has {}", lag.len(), grouped(*most));
    }
    if let Some((task, slowest)) = windows.iter().min_by_key(|(_, explanation)| explanation.watermark) {
        let _ = match slowest.watermark {
            Timestamp::MIN => write!(line, "; task {task} has no watermark yet"),
            watermark => {
                let behind = moment.now.0.saturating_sub(watermark.0);
                write!(line, "; watermark {} behind the clock in task {task}", span(behind))
            }
        };
    }
    for (what, now, before) in [
        ("late", counts.late, before.late),
        ("dropped", counts.dropped, before.dropped),
        ("dead letters", counts.dead_letters, before.dead_letters),
        ("too far ahead", counts.future, before.future),
    ] {
        if now > before {
            let _ = write!(line, "; {} {what}", grouped(now - before));
        }
    }
    if snapshot.paused {
        line.push_str("; paused");
    }
    line
}

fn overdue(task: TaskId, explanation: &Explanation, late: i64) -> String {
    format!("task {task}: a window should have closed {} ago; {explanation}", span(late))
}

const fn word(state: State) -> &'static str {
    match state {
        State::Created => "created",
        State::Rebalancing => "rebalancing",
        State::Running => "running",
        State::PendingShutdown => "stopping",
        State::NotRunning => "stopped",
        State::Error => "error",
    }
}

fn named<'a>(tasks: impl ExactSizeIterator<Item = &'a TaskId>) -> String {
    let count = tasks.len();
    let names: Vec<String> = tasks.take(NAMED).map(ToString::to_string).collect();
    let noun = if count == 1 { "task" } else { "tasks" };
    let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
    format!("{count} {noun} ({}{more})", names.join(", "))
}

/// Milliseconds as a person says them, with two digits at least.
fn span(ms: i64) -> String {
    match ms {
        ..0 => "0 s".to_owned(),
        0..10_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        10_000..600_000 => format!("{} s", ms / 1_000),
        600_000..36_000_000 => format!("{} min", ms / 60_000),
        36_000_000..864_000_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// 1144807 as 1,144,807.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
