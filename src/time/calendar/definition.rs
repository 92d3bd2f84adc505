//! The meaning of a calendar file: which trade dates have which sessions. All mistakes of a file are told together.

use super::document::Node;
use super::local_time::{LocalSegment, WEEKDAYS};
use super::zone::TimeZone;
use crate::error::{Error, ErrorKind, Result};
use chrono::{Datelike, NaiveDate};
use std::collections::BTreeMap;

/// What a file says.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) zone: TimeZone,
    /// The first and the last year covered.
    pub(super) years: (i32, i32),
    /// Regular hours by the date from which they hold, ascending.
    pub(super) hours: Vec<Hours>,
    /// Trade dates that differ from the regular hours; no segment: closed.
    pub(super) exceptions: BTreeMap<NaiveDate, Vec<LocalSegment>>,
}

/// Regular hours, from a date on.
#[derive(Clone, Debug)]
pub(super) struct Hours {
    pub(super) from: NaiveDate,
    /// By days since Monday.
    pub(super) week: [Vec<LocalSegment>; 7],
}

/// A calendar covers no other years: before, nothing has a timestamp; after, no zone's clock changes are known.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2099;

impl Definition {
    /// Reads a file.
    pub(super) fn read(json: &str) -> Result<Self> {
        let document = serde_json::from_str::<Node>(json).map_err(|cause| {
            Error::new(ErrorKind::Calendar, "a calendar is not JSON").cause(cause).help(FORMAT)
        })?;
        let mut reader = Reader { name: String::new(), errors: Vec::new() };
        let definition = reader.definition(&document);
        match (Error::all(reader.errors), definition) {
            (None, Some(definition)) => Ok(definition),
            (error, _) => {
                Err(error.unwrap_or_else(|| Error::internal("a calendar has a mistake without a name")))
            }
        }
    }

    /// The segments of a trade date inside or beside the years, by the rules alone where it is beside them.
    pub(super) fn segments(&self, date: NaiveDate) -> &[LocalSegment] {
        if let Some(segments) = self.exceptions.get(&date) {
            return segments;
        }
        let regular = self.hours.iter().rev().find(|hours| hours.from <= date).or(self.hours.first());
        regular
            .and_then(|hours| hours.week.get(date.weekday().num_days_from_monday() as usize))
            .map_or(&[], Vec::as_slice)
    }

    /// Whether it covers a trade date.
    pub(super) fn covers(&self, date: NaiveDate) -> bool {
        self.years.0 <= date.year() && date.year() <= self.years.1
    }
}

const FORMAT: &str = "the format is on the page `Calendar files` of the guide";

/// Collects mistakes while it reads on.
struct Reader {
    name: String,
    errors: Vec<Error>,
}

type Fields = [(String, Node)];

impl Reader {
    fn mistake(&mut self, at: &str, message: impl Into<String>) {
        let calendar = if self.name.is_empty() { "?" } else { &self.name };
        let error = Error::new(ErrorKind::Calendar, message).with("calendar", calendar);
        self.errors.push(if at.is_empty() { error } else { error.with("at", at) });
    }

    fn definition(&mut self, document: &Node) -> Option<Definition> {
        let known = ["name", "zone", "years", "hours", "closed", "special", "about"];
        let fields = self.object(document, "", Some(&known))?;
        if let Some(name) = self.text_field(fields, "name") {
            self.name = name;
        }
        let zone = self.zone(fields);
        let years = self.years(fields);
        let hours = self.hours(fields, years);
        let mut exceptions = BTreeMap::new();
        self.closed(fields, years, &mut exceptions);
        self.special(fields, years, &mut exceptions);
        Some(Definition { name: self.name.clone(), zone: zone?, years: years?, hours: hours?, exceptions })
    }

    /// The fields of an object, each once and, where `known` says which, no other.
    fn object<'a>(&mut self, node: &'a Node, at: &str, known: Option<&[&str]>) -> Option<&'a Fields> {
        let Node::Object(fields) = node else {
            self.mistake(at, format!("this is {}, not an object", node.kind()));
            return None;
        };
        for (i, (field, _)) in fields.iter().enumerate() {
            if fields.iter().take(i).any(|(earlier, _)| earlier == field) {
                self.mistake(&join(at, field), "this is written twice");
            }
            if let Some(known) = known.filter(|known| !known.contains(&field.as_str())) {
                let message = format!("unknown field `{field}`, did you mean `{}`?", nearest(field, known));
                self.mistake(at, message);
            }
        }
        Some(fields)
    }

    fn required<'a>(&mut self, fields: &'a Fields, name: &str) -> Option<&'a Node> {
        let node = optional(fields, name);
        if node.is_none() {
            self.mistake("", format!("the field `{name}` is missing"));
        }
        node
    }

    fn text<'a>(&mut self, node: &'a Node, at: &str) -> Option<&'a str> {
        match node {
            Node::Text(text) if !text.trim().is_empty() => Some(text),
            Node::Text(_) => {
                self.mistake(at, "this text is empty");
                None
            }
            other => {
                self.mistake(at, format!("this is {}, not a text", other.kind()));
                None
            }
        }
    }

    fn text_field(&mut self, fields: &Fields, name: &str) -> Option<String> {
        let node = self.required(fields, name)?;
        self.text(node, name).map(str::to_owned)
    }

    fn zone(&mut self, fields: &Fields) -> Option<TimeZone> {
        let zone = self.text_field(fields, "zone")?.parse();
        zone.map_err(|error: Error| self.errors.push(error.with("calendar", &self.name).with("at", "zone")))
            .ok()
    }

    fn years(&mut self, fields: &Fields) -> Option<(i32, i32)> {
        let node = self.required(fields, "years")?;
        let year = |number: i64| i32::try_from(number).ok().filter(|year| YEARS.contains(year));
        if let Node::List(list) = node
            && let [Node::Number(Some(first)), Node::Number(Some(last))] = list.as_slice()
            && let (Some(first), Some(last)) = (year(*first), year(*last))
            && first <= last
        {
            return Some((first, last));
        }
        let (first, last) = (YEARS.start(), YEARS.end());
        self.mistake("years", format!("years are `[first, last]`, inside {first} to {last}"));
        None
    }

    fn hours(&mut self, fields: &Fields, years: Option<(i32, i32)>) -> Option<Vec<Hours>> {
        let Node::List(list) = self.required(fields, "hours")? else {
            self.mistake("hours", "hours are a list: `[{\"week\": {\"mon-fri\": [\"09:30-16:00\"]}}]`");
            return None;
        };
        let mut hours: Vec<Hours> = Vec::new();
        for (i, node) in list.iter().enumerate() {
            let at = format!("hours[{i}]");
            let Some(next) = self.hours_from(node, &at) else { continue };
            if hours.last().is_some_and(|previous| next.from <= previous.from) {
                self.mistake(&at, "`from` is not after that of the hours before");
            }
            hours.push(next);
        }
        let first_day = years.and_then(|(first, _)| NaiveDate::from_ymd_opt(first, 1, 1));
        match (hours.first(), first_day) {
            (None, _) => self.mistake("hours", "there are none"),
            (Some(first), Some(day)) if first.from > day => {
                self.mistake(
                    "hours[0]",
                    format!("these begin on {}, and nothing says the hours before", first.from),
                );
            }
            _ => {}
        }
        Some(hours)
    }

    fn hours_from(&mut self, node: &Node, at: &str) -> Option<Hours> {
        let fields = self.object(node, at, Some(&["from", "week", "about"]))?;
        let from = match optional(fields, "from") {
            None => Some(NaiveDate::MIN),
            Some(node) => {
                self.text(node, &join(at, "from")).map(str::to_owned).and_then(|text| self.date(&text, at))
            }
        };
        let Some(week) = optional(fields, "week") else {
            self.mistake(at, "the field `week` is missing");
            return None;
        };
        let week = self.week(week, &join(at, "week"))?;
        Some(Hours { from: from?, week })
    }

    fn week(&mut self, node: &Node, at: &str) -> Option<[Vec<LocalSegment>; 7]> {
        let mut week: [Vec<LocalSegment>; 7] = Default::default();
        for (days, node) in self.object(node, at, None)? {
            let at = join(at, days);
            let Some(range) = weekdays(days) else {
                self.mistake(
                    &at,
                    format!("`{days}` is not a weekday such as `mon`, nor some of them such as `mon-fri`"),
                );
                continue;
            };
            let Some(segments) = self.segments(node, &at) else { continue };
            for day in week.iter_mut().take(range.1 + 1).skip(range.0) {
                if !day.is_empty() {
                    self.mistake(&at, "a weekday is written twice");
                }
                day.clone_from(&segments);
            }
        }
        Some(week)
    }

    fn segments(&mut self, node: &Node, at: &str) -> Option<Vec<LocalSegment>> {
        let Node::List(list) = node else {
            self.mistake(
                at,
                format!("this is {}, not a list such as `[\"09:00-11:30\", \"12:30-15:30\"]`", node.kind()),
            );
            return None;
        };
        let mut segments = Vec::new();
        for (i, node) in list.iter().enumerate() {
            let at = format!("{at}[{i}]");
            let Some(text) = self.text(node, &at) else { continue };
            match LocalSegment::parse(text) {
                Ok(segment) => segments.push(segment),
                Err(reason) => {
                    self.mistake(&at, format!("`{text}` is not a segment such as `09:30-16:00`: {reason}"));
                }
            }
        }
        Some(segments)
    }

    fn closed(&mut self, fields: &Fields, years: Option<(i32, i32)>, exceptions: &mut Exceptions) {
        let Some(node) = optional(fields, "closed") else { return };
        for (date, why) in self.object(node, "closed", None).unwrap_or_default() {
            let at = join("closed", date);
            self.text(why, &at);
            if let Some(date) = self.date_within(date, &at, years) {
                exceptions.insert(date, Vec::new());
            }
        }
    }

    fn special(&mut self, fields: &Fields, years: Option<(i32, i32)>, exceptions: &mut Exceptions) {
        let Some(node) = optional(fields, "special") else { return };
        for (date, node) in self.object(node, "special", None).unwrap_or_default() {
            let at = join("special", date);
            let Some(fields) = self.object(node, &at, Some(&["sessions", "why"])) else { continue };
            if let Some(why) = optional(fields, "why") {
                self.text(why, &join(&at, "why"));
            }
            let Some(sessions) = optional(fields, "sessions") else {
                self.mistake(&at, "the field `sessions` is missing");
                continue;
            };
            let segments = self.segments(sessions, &join(&at, "sessions"));
            if segments.as_ref().is_some_and(Vec::is_empty) {
                self.mistake(&at, "it has no session; a date without any belongs into `closed`");
            }
            let (Some(date), Some(segments)) = (self.date_within(date, &at, years), segments) else {
                continue;
            };
            if exceptions.insert(date, segments).is_some_and(|earlier| earlier.is_empty()) {
                self.mistake(&at, "this date is in `closed` as well");
            }
        }
    }

    fn date(&mut self, text: &str, at: &str) -> Option<NaiveDate> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|date| date.to_string() == text);
        if date.is_none() {
            self.mistake(at, format!("`{text}` is not a date such as `2024-11-05`"));
        }
        date
    }

    fn date_within(&mut self, text: &str, at: &str, years: Option<(i32, i32)>) -> Option<NaiveDate> {
        let date = self.date(text, at)?;
        match years {
            Some((first, last)) if date.year() < first || date.year() > last => {
                self.mistake(at, format!("{date} is outside the years covered, {first} to {last}"));
                None
            }
            _ => Some(date),
        }
    }
}

type Exceptions = BTreeMap<NaiveDate, Vec<LocalSegment>>;

fn optional<'a>(fields: &'a Fields, name: &str) -> Option<&'a Node> {
    fields.iter().find(|(field, _)| field == name).map(|(_, node)| node)
}

fn join(at: &str, field: &str) -> String {
    if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") }
}

/// `mon` or `mon-fri`, as days since Monday.
fn weekdays(text: &str) -> Option<(usize, usize)> {
    let day = |text: &str| WEEKDAYS.iter().position(|(name, _)| *name == text);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((day(first)?, day(last)?)).filter(|(first, last)| first <= last)
}

/// The known word that looks most like one that is not.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> &'a str {
    let score = |known: &str| strsim::jaro_winkler(known, word);
    known.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or_default()
}
