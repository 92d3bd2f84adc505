//! Kills of a real process at a named point of a commit, for tests: `HIGHWATER_CRASH_POINT=S4:3` is the third time that it
//! comes before S4. Points inside of a call (`S3Received`, `A2Received`) kill some microseconds later,
//! `HIGHWATER_CRASH_DELAY_US`, while the call is under way. With `HIGHWATER_CRASH_SIGNAL=STOP` it is stopped instead, once,
//! and goes on when somebody tells it to.

use super::point::CommitPoint;
use super::process::KillHook;
use crate::error::{Error, Result};
use rustix::process::Signal;
use std::sync::mpsc::channel;
use std::time::Duration;

pub(super) fn from_environment() -> Result<Option<KillHook>> {
    let Ok(text) = std::env::var("HIGHWATER_CRASH_POINT") else { return Ok(None) };
    let wrong = || {
        Error::config(format!(
            "HIGHWATER_CRASH_POINT is `{text}`; it has to be a point and a number, as S4:3"
        ))
    };
    let (name, number) = text.split_once(':').ok_or_else(wrong)?;
    let all = CommitPoint::EXACTLY_ONCE.into_iter().chain(CommitPoint::AT_LEAST_ONCE);
    let point = all.into_iter().find(|point| format!("{point:?}") == name).ok_or_else(wrong)?;
    let mut left: u64 = number.parse().map_err(|_| wrong())?;
    let delay = std::env::var("HIGHWATER_CRASH_DELAY_US").ok().and_then(|us| us.parse().ok()).unwrap_or(0);
    let signal = match std::env::var("HIGHWATER_CRASH_SIGNAL").as_deref() {
        Ok("STOP") => Signal::STOP,
        _ => Signal::KILL,
    };
    Ok(Some(Box::new(move |at| {
        if at == point && left > 0 {
            left -= 1;
            if left == 0 {
                signal_after(signal, Duration::from_micros(delay));
            }
        }
        false
    })))
}

/// kill -9, or kill -STOP: nothing is flushed, nobody is told.
fn signal_after(signal: Signal, delay: Duration) {
    let send = move || {
        let (_never, nothing) = channel::<()>();
        nothing.recv_timeout(delay).ok();
        rustix::process::kill_process(rustix::process::getpid(), signal).ok();
    };
    if delay.is_zero() { send() } else { drop(std::thread::spawn(send)) }
}
