//! The five timeframes, smallest first, and the names of their topics.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timeframe {
    M1,
    H1,
    D1,
    W1,
    Mo1,
}

impl Timeframe {
    pub const ALL: [Self; 5] = [Self::M1, Self::H1, Self::D1, Self::W1, Self::Mo1];

    pub const fn name(self) -> &'static str {
        match self {
            Self::M1 => "m1",
            Self::H1 => "h1",
            Self::D1 => "d1",
            Self::W1 => "w1",
            Self::Mo1 => "mo1",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|timeframe| timeframe.name() == name)
    }

    /// How long after its end a slot still takes ticks or children, in ms, where nothing else is said.
    pub const fn default_grace(self) -> i64 {
        match self {
            Self::M1 => 90_000,
            Self::H1 => 300_000,
            Self::D1 | Self::W1 | Self::Mo1 => 600_000,
        }
    }
}

/// The topics of the pipeline, all behind one prefix (usually none).
#[derive(Clone, Debug, Default)]
pub struct Topics {
    pub prefix: String,
}

impl Topics {
    pub fn ticks(&self) -> String {
        format!("{}ticks", self.prefix)
    }

    pub fn finals(&self, timeframe: Timeframe) -> String {
        format!("{}bars_final_{}", self.prefix, timeframe.name())
    }

    pub fn live(&self, timeframe: Timeframe) -> String {
        format!("{}bars_live_{}", self.prefix, timeframe.name())
    }
}
