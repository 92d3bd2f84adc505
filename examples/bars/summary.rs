//! What a run did, in a few lines.

use crate::timeframe::{PerTimeframe, Timeframe};
use std::fmt;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Summary {
    pub ticks: u64,
    pub skipped_lines: u64,
    pub late: u64,
    /// Ticks outside every session.
    pub outside: u64,
    /// Ticks dated so far in the future that they moved no time.
    pub future: u64,
    pub bars: PerTimeframe<u64>,
    pub took: Duration,
    /// In KiB, where the system tells.
    pub peak_memory: Option<u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        writeln!(f, "{:<20}{}", "ticks read", grouped(self.ticks))?;
        writeln!(f, "{:<20}{}", "bad lines skipped", grouped(self.skipped_lines))?;
        writeln!(f, "{:<20}{}", "late", grouped(self.late))?;
        writeln!(f, "{:<20}{}", "outside the session", grouped(self.outside))?;
        writeln!(f, "{:<20}{}", "too far ahead", grouped(self.future))?;
        let bars: Vec<_> =
            Timeframe::ALL.iter().map(|tf| format!("{tf} {}", grouped(self.bars[*tf]))).collect();
        writeln!(f, "{:<20}{}", "final bars", bars.join("  "))?;
        writeln!(f, "{:<20}{seconds:.2} s", "time")?;
        write!(
            f,
            "{:<20}{}",
            "records per second",
            grouped((self.ticks as f64 / seconds.max(0.001)) as u64)
        )?;
        match self.peak_memory {
            Some(kib) => write!(f, "\n{:<20}{:.1} MiB", "peak memory", kib as f64 / 1024.0),
            None => Ok(()),
        }
    }
}

/// The most that this process had in memory, from the system's own count.
pub fn peak_memory() -> Option<u64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
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
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_144_807].map(grouped), ["0", "999", "1,000", "1,144,807"]);
    }

    #[test]
    fn memory_is_read_from_the_status() {
        assert_eq!(peak_in("Name:\tbars\nVmHWM:\t   46388 kB\nVmRSS:\t 1 kB\n"), Some(46_388));
        assert_eq!(peak_in("Name:\tbars\n"), None);
    }

    #[test]
    fn a_summary_says_everything() {
        let summary = Summary {
            ticks: 1_144_807,
            skipped_lines: 2,
            late: 3,
            outside: 4,
            future: 5,
            bars: PerTimeframe::of(|timeframe| timeframe as u64),
            took: Duration::from_millis(2_000),
            peak_memory: Some(2_048),
        };
        assert_eq!(
            summary.to_string(),
            "ticks read          1,144,807\nbad lines skipped   2\nlate                3\noutside the session 4\ntoo far ahead       5\n\
             final bars          M1 0  H1 1  D1 2  W1 3  Mo1 4\ntime                2.00 s\nrecords per second  572,403\n\
             peak memory         2.0 MiB"
        );
    }
}
