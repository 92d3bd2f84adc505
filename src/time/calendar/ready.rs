//! The ready calendars: data files of this crate, read once.

use super::Calendar;
use super::definition::nearest;
use crate::error::{Error, ErrorKind, Result};
use std::sync::OnceLock;

struct Ready {
    name: &'static str,
    json: &'static str,
    read: OnceLock<Calendar>,
}

impl Ready {
    const fn new(name: &'static str, json: &'static str) -> Self {
        Self { name, json, read: OnceLock::new() }
    }
}

static READY: [Ready; 5] = [
    Ready::new("xnys", include_str!("data/xnys.json")),
    Ready::new("xtks", include_str!("data/xtks.json")),
    Ready::new("xlon", include_str!("data/xlon.json")),
    Ready::new("xhkg", include_str!("data/xhkg.json")),
    Ready::new("fx", include_str!("data/fx.json")),
];

/// What `Calendar::parse` reads, for messages.
const SPECS: &str = "`24x7`, `24x7@ZONE`, `xnys`, `xtks`, `xlon`, `xhkg` or `fx`";

/// The calendar of this name, upper or lower case.
pub(super) fn named(name: &str) -> Result<Calendar> {
    let Some(ready) = READY.iter().find(|ready| ready.name.eq_ignore_ascii_case(name)) else {
        return Err(unknown(name));
    };
    if let Some(calendar) = ready.read.get() {
        return Ok(calendar.clone());
    }
    let calendar = Calendar::from_json(ready.json)?;
    Ok(ready.read.get_or_init(|| calendar).clone())
}

fn unknown(name: &str) -> Error {
    let known: Vec<_> = READY.iter().map(|ready| ready.name).chain(["24x7"]).collect();
    let lower = name.to_ascii_lowercase();
    Error::new(ErrorKind::Calendar, format!("unknown calendar `{name}`"))
        .help(format!("did you mean `{}`? A calendar is {SPECS}", nearest(&lower, &known)))
}
