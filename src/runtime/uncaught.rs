//! What follows an error that nothing else has handled: Kafka Streams' `StreamsUncaughtExceptionHandler` (KIP-671).
//!
//! Its third choice, to shut down all processes of the application, is told to them there through the group's protocol,
//! by an assignor of Kafka Streams' own. librdkafka takes none, so it is not offered: stop the others as you started them.

use super::Settings;
use crate::error::{Error, ErrorKind};
use std::any::Any;
use std::time::Duration;

/// What to do after an error has ended the application's thread: the choices of Kafka Streams, but for `SHUTDOWN_APPLICATION`.
/// It tells the other processes through an assignor of its own, and librdkafka takes none; stop them as you started them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UncaughtErrorResponse {
    /// Starts anew from the last commit, as a new member of the group. An error that stays (a record that cannot be
    /// processed) comes again: so each time in a row waits longer (`retry.backoff.ms` up to `retry.backoff.max.ms`), and
    /// after `highwater.thread.replacements` of them without a commit the client shuts down all the same.
    ReplaceThread,
    /// Ends this process's part with the error; the others take over its tasks, and meet what is wrong with a record
    /// there.
    ShutdownClient,
}

/// Replacements in a row.
pub(super) struct Replacements {
    most: u32,
    backoff: u64,
    longest: u64,
    count: u32,
    /// Commits when the last one began.
    commits: u64,
}

impl Replacements {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            most: settings.thread_replacements,
            backoff: settings.retry_backoff.unsigned_abs(),
            longest: settings.retry_backoff_max.unsigned_abs(),
            count: 0,
            commits: 0,
        }
    }

    /// How long to wait before the next; `None`: there have been enough.
    pub(super) fn next(&mut self, commits: u64) -> Option<Duration> {
        if std::mem::replace(&mut self.commits, commits) != commits {
            self.count = 0;
        }
        if self.count >= self.most {
            return None;
        }
        let wait = self.backoff.saturating_mul(1 << self.count.min(32)).min(self.longest);
        self.count += 1;
        Some(Duration::from_millis(wait))
    }

    /// What is said when there have been enough.
    pub(super) fn exhausted(&self, error: Error) -> Error {
        error.action(format!(
            "replaced {} times without a commit in between (highwater.thread.replacements); shut down",
            self.count
        ))
    }
}

/// A panic that no record can be blamed for.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Error::new(ErrorKind::Processing, "the application's thread panicked")
        .cause(text.unwrap_or_else(|| "it does not say why".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::StreamsConfig;

    #[test]
    fn replacements_slow_down_and_end_unless_something_is_committed() {
        let config = StreamsConfig::new("app", "").set("highwater.thread.replacements", "4");
        let config = config.set("retry.backoff.ms", "100").set("retry.backoff.max.ms", "300");
        let mut replacements = Replacements::new(&config.settings().expect("fine"));
        let mut next = |commits| replacements.next(commits).map(|wait| wait.as_millis());
        assert_eq!([next(0), next(0), next(0), next(0)], [Some(100), Some(200), Some(300), Some(300)]);
        assert_eq!(next(0), None, "enough");
        assert_eq!([next(1), next(1)], [Some(100), Some(200)], "a commit came between");
        let error = replacements.exhausted(Error::internal("x")).to_string();
        assert!(error.contains("highwater.thread.replacements"), "{error}");
    }
}
