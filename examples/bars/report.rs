//! Finals as they close: a table on a terminal, plain aligned lines in a pipe, nothing where standard output is the result.

use crate::published::Published;
use crate::timeframe::Timeframe;
use chrono::DateTime;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, Table, Width, presets};
use highwater::time::Timestamp;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

/// A final, and when it came.
#[derive(Clone, Debug)]
pub struct Closed {
    pub timeframe: Timeframe,
    /// Of the task that made it.
    pub partition: u32,
    pub bar: Published,
    /// The application's time when it could be read.
    pub at: Timestamp,
}

/// How finals are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For a terminal of so many columns.
    Table {
        width: usize,
    },
    Plain,
    Silent,
}

struct Column {
    title: &'static str,
    width: usize,
    right: bool,
    /// Narrow terminals do without it; the smallest number goes first. 0: never.
    spare: u8,
}

const fn column(title: &'static str, width: usize, right: bool, spare: u8) -> Column {
    Column { title, width, right, spare }
}

const COLUMNS: [Column; 12] = [
    column("bar", 3, false, 0),
    column("symbol", 8, false, 0),
    column("slot (UTC)", 16, false, 0),
    column("end", 5, true, 6),
    column("open", 10, true, 5),
    column("high", 10, true, 2),
    column("low", 10, true, 3),
    column("close", 10, true, 0),
    column("volume", 12, true, 4),
    column("ticks", 6, true, 1),
    column("children", 8, true, 0),
    column("delay", 8, true, 0),
];
const GAP: usize = 2;

pub struct Report<W> {
    out: W,
    style: Style,
    columns: Vec<usize>,
    begun: bool,
}

impl<W: Write> Report<W> {
    pub fn new(out: W, style: Style) -> Self {
        let columns = match style {
            Style::Table { width } => columns_within(width),
            Style::Plain | Style::Silent => (0..COLUMNS.len()).collect(),
        };
        Self { out, style, columns, begun: false }
    }

    /// `grace`: of the bar's timeframe; the delay is counted from the slot's end and this.
    pub fn show(&mut self, closed: &[Closed], grace: impl Fn(Timeframe) -> Duration) -> io::Result<()> {
        if closed.is_empty() || self.style == Style::Silent {
            return Ok(());
        }
        let rows: Vec<_> =
            closed.iter().map(|closed| (closed, cells(closed, grace(closed.timeframe)))).collect();
        let first = !std::mem::replace(&mut self.begun, true);
        match self.style {
            Style::Table { .. } => self.table(&rows, first),
            Style::Plain | Style::Silent => self.plain(&rows, first),
        }?;
        self.out.flush()
    }

    /// Text between the finals and after them.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    fn table(&mut self, rows: &[(&Closed, [String; 12])], first: bool) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).enforce_styling();
        if first {
            table.add_row(
                self.columns.iter().map(|at| aligned(*at, COLUMNS[*at].title).add_attribute(Attribute::Bold)),
            );
            table.add_row(
                self.columns.iter().map(|at| Cell::new("─".repeat(COLUMNS[*at].width)).fg(Color::DarkGrey)),
            );
        }
        for (closed, cells) in rows {
            table.add_row(self.columns.iter().map(|at| coloured(*at, &cells[*at], closed)));
        }
        for (position, at) in self.columns.iter().enumerate() {
            let Some(column) = table.column_mut(position) else { continue };
            // Padding included: a longer number widens its column instead of being broken.
            let width = (COLUMNS[*at].width + GAP) as u16;
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
        writeln!(self.out, "{table}")
    }

    fn plain(&mut self, rows: &[(&Closed, [String; 12])], first: bool) -> io::Result<()> {
        if first {
            let titles = COLUMNS.each_ref().map(|column| column.title.to_owned());
            self.plain_line(&titles)?;
        }
        rows.iter().try_for_each(|(_, cells)| self.plain_line(cells))
    }

    fn plain_line(&mut self, cells: &[String; 12]) -> io::Result<()> {
        let mut line = String::with_capacity(160);
        for (column, cell) in COLUMNS.iter().zip(cells) {
            let width = column.width;
            _ = if column.right {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

/// The columns that fit, in their order.
fn columns_within(width: usize) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..COLUMNS.len()).collect();
    let needed = |columns: &[usize]| columns.iter().map(|at| COLUMNS[*at].width + GAP).sum::<usize>();
    for spare in 1..=6 {
        if needed(&columns) <= width {
            break;
        }
        columns.retain(|at| COLUMNS[*at].spare != spare);
    }
    columns
}

fn cells(closed: &Closed, grace: Duration) -> [String; 12] {
    let bar = &closed.bar;
    let delay = closed.at.0.saturating_sub(bar.end.plus(grace).0);
    [
        closed.timeframe.to_string(),
        bar.symbol.to_string(),
        clock(bar.start, "%Y-%m-%d %H:%M"),
        clock(bar.end, "%H:%M"),
        bar.open.to_string(),
        bar.high.to_string(),
        bar.low.to_string(),
        bar.close.to_string(),
        bar.volume.to_string(),
        bar.ticks.to_string(),
        children(bar),
        signed(delay),
    ]
}

fn clock(at: Timestamp, format: &str) -> String {
    DateTime::from_timestamp_millis(at.0).map_or_else(|| at.to_string(), |at| at.format(format).to_string())
}

/// Arrived of expected; `-` for a bar that is made of ticks.
fn children(bar: &Published) -> String {
    match (bar.children, bar.expected) {
        (Some(children), Some(expected)) => format!("{children}/{expected}"),
        (Some(children), None) => format!("{children}/?"),
        (None, _) => "-".to_owned(),
    }
}

/// Negative where a parent closed early.
fn signed(ms: i64) -> String {
    let sign = if ms < 0 { '-' } else { '+' };
    let (ms, seconds) = (ms.unsigned_abs(), ms.unsigned_abs() / 1_000);
    match seconds {
        0..60 => format!("{sign}{}.{}s", seconds, ms % 1_000 / 100),
        60..3_600 => format!("{sign}{}m{:02}s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{sign}{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{sign}{}d", seconds / 86_400),
    }
}

fn aligned(at: usize, text: &str) -> Cell {
    Cell::new(text).set_alignment(if COLUMNS[at].right { CellAlignment::Right } else { CellAlignment::Left })
}

/// Quiet bars are grey, a close that rose green and one that fell red, what is missing yellow.
fn coloured(at: usize, text: &str, closed: &Closed) -> Cell {
    let (bar, cell) = (&closed.bar, aligned(at, text));
    let colour = match COLUMNS[at].title {
        "bar" => return cell.fg(of_timeframe(closed.timeframe)).add_attribute(Attribute::Bold),
        "children" if !bar.complete => Some(Color::Yellow),
        _ if bar.ticks == 0 => Some(Color::DarkGrey),
        "close" if bar.close > bar.open => Some(Color::Green),
        "close" if bar.close < bar.open => Some(Color::Red),
        "slot (UTC)" | "end" | "delay" => Some(Color::DarkGrey),
        _ => None,
    };
    match colour {
        Some(colour) => cell.fg(colour),
        None => cell,
    }
}

fn of_timeframe(timeframe: Timeframe) -> Color {
    match timeframe {
        Timeframe::M1 => Color::Grey,
        Timeframe::H1 => Color::Cyan,
        Timeframe::D1 => Color::Blue,
        Timeframe::W1 => Color::Magenta,
        Timeframe::Mo1 => Color::Yellow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbol::Symbol;
    use highwater::time::{minutes, seconds};
    use rust_decimal::Decimal;

    fn closed(timeframe: Timeframe, children: Option<(u32, u32)>, late_by: i64) -> Closed {
        let bar = Published {
            symbol: Symbol::new("BTCUSD").unwrap(),
            start: Timestamp(1_780_267_920_000),
            end: Timestamp(1_780_267_980_000),
            open: Decimal::new(10_050, 2),
            high: Decimal::new(102, 0),
            low: Decimal::new(99, 0),
            close: Decimal::new(101, 0),
            volume: Decimal::new(12_345, 4),
            ticks: 42,
            children: children.map(|(arrived, _)| arrived),
            expected: children.map(|(_, expected)| expected),
            complete: children.is_none_or(|(arrived, expected)| arrived == expected),
        };
        Closed { timeframe, partition: 0, at: Timestamp(bar.end.0 + 90_000 + late_by), bar }
    }

    fn shown(style: Style) -> String {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out, style);
        report.show(&[closed(Timeframe::M1, None, 1_250)], |_| seconds(90)).unwrap();
        report.show(&[], |_| seconds(90)).unwrap();
        report.show(&[closed(Timeframe::H1, Some((59, 60)), -61_000)], |_| seconds(90)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_lines_are_aligned_and_bare() {
        assert_eq!(
            shown(Style::Plain),
            "bar  symbol    slot (UTC)          end        open        high         low       close        volume   ticks  children     delay\n\
             M1   BTCUSD    2026-05-31 22:52  22:53      100.50         102          99         101        1.2345      42         -     +1.2s\n\
             H1   BTCUSD    2026-05-31 22:52  22:53      100.50         102          99         101        1.2345      42     59/60    -1m01s\n"
        );
    }

    #[test]
    fn a_table_has_one_head_and_the_same_columns_throughout() {
        let text = shown(Style::Table { width: 200 });
        assert!(text.contains('\u{1b}'), "colours");
        let bare: Vec<String> = text.lines().map(without_colours).collect();
        assert_eq!(bare.len(), 4, "{text}");
        let widths: Vec<_> = bare.iter().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?} {text}");
        assert!(bare[3].contains("59/60") && bare[3].trim_end().ends_with("-1m01s"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_has_fewer_columns() {
        for width in [80, 100, 120, 160] {
            let text = shown(Style::Table { width });
            for line in text.lines().map(without_colours) {
                assert!(line.chars().count() <= width, "{width}: {line}");
                assert!(!line.contains("bar") || (line.contains("close") && line.contains("delay")));
            }
        }
        assert!(shown(Style::Silent).is_empty());
    }

    #[test]
    fn delays() {
        let of = |duration: Duration| signed(duration.as_millis() as i64);
        assert_eq!(
            [signed(0), signed(-50), of(seconds(59)), of(minutes(61))],
            ["+0.0s", "-0.0s", "+59.0s", "+1h01m"]
        );
        assert_eq!(of(minutes(60 * 24 * 3)), "+3d");
    }

    fn without_colours(line: &str) -> String {
        let mut parts = line.split('\u{1b}');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
    }
}
