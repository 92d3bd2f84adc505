//! The watermark of one input, whatever moves it.

use super::{Held, InputKind, InputPlan, TaskSettings};
use crate::runtime::source_watermark::SourceWatermark;
use crate::runtime::writers::{Heard, Writers};
use crate::time::Timestamp;

#[derive(Clone, Debug)]
pub(super) enum InputWatermark {
    Source(SourceWatermark),
    Repartition(Writers),
}

impl InputWatermark {
    pub(super) fn new(plan: &InputPlan, settings: &TaskSettings, now: Timestamp) -> Self {
        match &plan.kind {
            InputKind::Source { out_of_orderness, idle_timeout } => {
                let idle_timeout = idle_timeout.or(settings.idle_timeout);
                Self::Source(SourceWatermark::new(*out_of_orderness, idle_timeout, now))
            }
            InputKind::Repartition { writers } => Self::Repartition(Writers::new(writers)),
        }
    }

    #[inline]
    pub(super) fn watermark(&self) -> Timestamp {
        match self {
            Self::Source(source) => source.watermark(),
            Self::Repartition(writers) => writers.watermark(),
        }
    }
    pub(super) fn raise(&mut self, to: Timestamp) {
        match self {
            Self::Source(source) => source.raise(to),
            Self::Repartition(writers) => writers.raise(to),
        }
    }
    pub(super) fn restore(&mut self, heard: &Heard) {
        if let Self::Repartition(writers) = self {
            writers.restore(heard);
        }
    }
    pub(super) fn heard(&self) -> Option<Heard> {
        match self {
            Self::Source(_) => None,
            Self::Repartition(writers) => Some(writers.heard()),
        }
    }
    pub(super) fn source(&self) -> Option<&SourceWatermark> {
        match self {
            Self::Source(source) => Some(source),
            Self::Repartition(_) => None,
        }
    }
    pub(super) fn source_mut(&mut self) -> Option<&mut SourceWatermark> {
        match self {
            Self::Source(source) => Some(source),
            Self::Repartition(_) => None,
        }
    }

    /// Why it is where it is, given the processed position and what is buffered.
    pub(super) fn held(&self, position: i64, buffered: usize, now: Timestamp) -> Held {
        match self {
            _ if buffered > 0 => Held::Busy(buffered),
            Self::Source(source) => source.held(position, now),
            Self::Repartition(writers) => match writers.slowest() {
                Some((task, heard)) => Held::Writer { task, heard },
                None => Held::NoIdleTimeout,
            },
        }
    }
}
