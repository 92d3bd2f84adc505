//! Where finals go: into the files of `--output`, onto the terminal, into the counts of the summary.

use crate::finals::Finals;
use crate::market::Market;
use crate::options::{Options, Output};
use crate::report::{Closed, Report, Style};
use crate::summary::Summary;
use crate::timeframe::PerTimeframe;
use highwater::BoxError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

pub struct Outlet {
    finals: Option<Finals>,
    report: Report<BufWriter<Stdout>>,
    market: Market,
    progress: ProgressBar,
    pub bars: PerTimeframe<u64>,
    stdout_is_result: bool,
    /// Standard output was closed by its reader.
    gone: bool,
}

impl Outlet {
    pub fn open(options: &Options) -> Result<Self, BoxError> {
        let style = match options.output {
            Output::Stdout => Style::Silent,
            _ if io::stdout().is_terminal() => Style::Table { width: terminal_width() },
            _ => Style::Plain,
        };
        Ok(Self {
            finals: Finals::to(&options.output)?,
            report: Report::new(BufWriter::new(io::stdout()), style),
            market: options.market.clone(),
            progress: ProgressBar::hidden(),
            bars: PerTimeframe::of(|_| 0),
            stdout_is_result: options.output == Output::Stdout,
            gone: false,
        })
    }

    /// Progress of a file, on a terminal only.
    pub fn progress(&mut self, length: u64) {
        let template = "{elapsed_precise} {bar:40.cyan/blue} {percent:>3} % {msg} ticks, {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        self.progress = ProgressBar::with_draw_target(Some(length), target).with_style(style);
    }

    pub fn progressed(&self, position: u64, ticks: u64) {
        if !self.progress.is_hidden() {
            self.progress.set_position(position);
            self.progress.set_message(ticks.to_string());
        }
    }

    /// The file is at its end.
    pub fn progress_ends(&self) {
        self.progress.finish_and_clear();
    }

    pub fn take(&mut self, closed: &[Closed]) -> Result<(), BoxError> {
        for Closed { timeframe, partition, bar, .. } in closed {
            self.bars[*timeframe] += 1;
            if let Some(finals) = &mut self.finals {
                finals.write(*timeframe, *partition, bar)?;
            }
        }
        if self.gone || closed.is_empty() {
            return Ok(());
        }
        let Self { report, market, progress, .. } = self;
        let shown = progress.suspend(|| report.show(closed, |timeframe| market.grace(timeframe)));
        self.unless_gone(shown)
    }

    pub fn warn(&self, text: &str) {
        self.progress.suspend(|| _ = writeln!(io::stderr(), "warning: {text}"));
    }

    /// Nobody reads any more, and there are no files to make: there is nothing left to run for.
    pub fn is_pointless(&self) -> bool {
        self.gone && self.finals.is_none()
    }

    /// Merges the finals; the summary goes where it does not disturb the result.
    pub fn finish(mut self, summary: &Summary) -> Result<(), BoxError> {
        self.progress_ends();
        if let Some(finals) = self.finals.take() {
            let merged = finals.finish(&mut BufWriter::new(io::stdout().lock()));
            match merged {
                Err(error) if self.stdout_is_result && error.source.kind() == io::ErrorKind::BrokenPipe => {
                    self.gone = true;
                }
                other => other?,
            }
        }
        if self.stdout_is_result {
            _ = writeln!(io::stderr(), "{summary}");
            return Ok(());
        }
        let said = if self.gone { Ok(()) } else { self.report.say(&format!("\n{summary}")) };
        self.unless_gone(said)
    }

    /// A reader that has seen enough (`| head`) is no failure.
    fn unless_gone(&mut self, written: io::Result<()>) -> Result<(), BoxError> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.gone = true,
            other => other.map_err(|error| format!("cannot write to standard output: {error}"))?,
        }
        Ok(())
    }
}

fn terminal_width() -> usize {
    comfy_table::Table::new().width().map_or(120, usize::from)
}
