//! The five timeframes, smallest first.

use highwater::time::{minutes, seconds};
use std::fmt;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timeframe {
    M1,
    H1,
    D1,
    W1,
    Mo1,
}

impl Timeframe {
    pub const ALL: [Self; 5] = [Self::M1, Self::H1, Self::D1, Self::W1, Self::Mo1];

    /// As in topics, files and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::M1 => "m1",
            Self::H1 => "h1",
            Self::D1 => "d1",
            Self::W1 => "w1",
            Self::Mo1 => "mo1",
        }
    }

    /// From the name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|timeframe| timeframe.name().eq_ignore_ascii_case(name))
    }

    /// How long after the end of its slot a bar waits for stragglers, where no option says otherwise.
    pub const fn default_grace(self) -> Duration {
        match self {
            Self::M1 => seconds(90),
            Self::H1 => minutes(5),
            Self::D1 | Self::W1 | Self::Mo1 => minutes(10),
        }
    }
}

/// As people write it: `M1`.
impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::M1 => "M1",
            Self::H1 => "H1",
            Self::D1 => "D1",
            Self::W1 => "W1",
            Self::Mo1 => "Mo1",
        })
    }
}

/// Something of each timeframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerTimeframe<T>([T; 5]);

impl<T> PerTimeframe<T> {
    pub fn of(f: impl FnMut(Timeframe) -> T) -> Self {
        Self(Timeframe::ALL.map(f))
    }
}

impl<T> std::ops::Index<Timeframe> for PerTimeframe<T> {
    type Output = T;
    fn index(&self, timeframe: Timeframe) -> &T {
        &self.0[timeframe as usize]
    }
}

impl<T> std::ops::IndexMut<Timeframe> for PerTimeframe<T> {
    fn index_mut(&mut self, timeframe: Timeframe) -> &mut T {
        &mut self.0[timeframe as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for timeframe in Timeframe::ALL {
            assert_eq!(Timeframe::named(timeframe.name()), Some(timeframe));
            assert_eq!(Timeframe::named(&timeframe.to_string()), Some(timeframe));
        }
        assert_eq!(Timeframe::named("m5"), None);
    }
}
