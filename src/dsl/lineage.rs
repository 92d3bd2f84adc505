//! What is known of a stream or table from the steps above it: its time, whether its key is where it belongs, and which
//! windows its results are of.

use crate::serdes::Codec;
use crate::time::{NodeTime, Timestamp, Windows};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// What is known of a stream.
#[derive(Clone, Default)]
pub(super) struct Lineage {
    /// The time that windows below see, unless they are a roll-up's.
    pub(super) time: NodeTime,
    /// The key has changed since the records were where their keys belong.
    pub(super) rekeyed: bool,
    /// The windows that the stream's keys are.
    pub(super) results: Option<Results>,
}

impl Lineage {
    pub(super) fn rekeyed(&self) -> Self {
        Self { time: self.time.clone(), rekeyed: true, results: None }
    }
    pub(super) fn at_home(&self) -> Self {
        Self { rekeyed: false, ..self.clone() }
    }
    pub(super) fn merge(&self, other: &Self) -> Self {
        let results = match (&self.results, &other.results) {
            (Some(a), Some(b)) => Some(a.merge(b)),
            _ => None,
        };
        Self { time: self.time.merge(&other.time), rekeyed: self.rekeyed || other.rekeyed, results }
    }
}

/// Results of windows.
#[derive(Clone)]
pub(super) struct Results {
    pub(super) above: WindowsAbove,
    /// Finals only, and all of them.
    pub(super) finals: bool,
}

impl Results {
    fn merge(&self, other: &Self) -> Self {
        let (a, b) = (&self.above, &other.above);
        let above = WindowsAbove { time: a.time.merge(&b.time), grace: a.grace.max(b.grace), ..a.clone() };
        Self { above, finals: self.finals && other.finals }
    }
}

/// The windows of the aggregate above.
#[derive(Clone)]
pub(super) struct WindowsAbove {
    /// The time that these windows see.
    pub(super) time: NodeTime,
    pub(super) grace: Duration,
    earliest_open: Arc<dyn Fn(Timestamp) -> Timestamp + Send + Sync>,
    /// A `WindowsOf<K>`.
    windows: Arc<dyn Any + Send + Sync>,
}

/// The windows with their keys' type.
pub(super) struct WindowsOf<K> {
    pub(super) windows: Arc<dyn Windows<K>>,
    /// The codec of the keys without their windows.
    pub(super) key: Arc<dyn Codec<K>>,
}

impl WindowsAbove {
    pub(super) fn new<K: 'static>(
        windows: Arc<dyn Windows<K>>,
        key: Arc<dyn Codec<K>>,
        time: NodeTime,
    ) -> Self {
        let open = windows.clone();
        Self {
            time,
            grace: windows.grace(),
            earliest_open: Arc::new(move |watermark| open.earliest_open(watermark)),
            windows: Arc::new(WindowsOf { windows, key }),
        }
    }
    /// The time of windows below.
    pub(super) fn below(&self) -> NodeTime {
        let earliest_open = self.earliest_open.clone();
        self.time.below(move |watermark| earliest_open(watermark))
    }
    pub(super) fn of<K: 'static>(&self) -> Option<&WindowsOf<K>> {
        self.windows.downcast_ref()
    }
}
