//! The time that a node's own windows see: a function of the one watermark that travels, fixed when the topology is built.
//!
//! The travelling watermark is never changed on its way. Below windows that close, a window can only count on what is
//! certainly complete there: the start of the earliest window that may still be open above.

use super::Timestamp;
use std::fmt;
use std::sync::Arc;

type Function = dyn Fn(Timestamp) -> Timestamp + Send + Sync;

/// A non-decreasing function from the travelling watermark to a node's own time; never later than the watermark.
#[derive(Clone, Default)]
pub(crate) struct NodeTime(Option<Arc<Function>>);

impl NodeTime {
    /// The watermark itself: at sources, and wherever no windows lie above.
    pub(crate) const IDENTITY: Self = Self(None);

    /// Below windows: what may still be open there (`Windows::earliest_open`), applied on top of their own time.
    pub(crate) fn below(
        &self,
        earliest_open: impl Fn(Timestamp) -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let above = self.clone();
        Self(Some(Arc::new(move |watermark| earliest_open(above.at(watermark)))))
    }

    /// Where streams merge: what is complete in both.
    pub(crate) fn merge(&self, other: &Self) -> Self {
        if self.is_identity() && other.is_identity() {
            return Self::IDENTITY;
        }
        let (a, b) = (self.clone(), other.clone());
        Self(Some(Arc::new(move |watermark| a.at(watermark).min(b.at(watermark)))))
    }

    fn is_identity(&self) -> bool {
        self.0.is_none()
    }

    /// The node's time at this watermark.
    #[inline]
    pub(crate) fn at(&self, watermark: Timestamp) -> Timestamp {
        match &self.0 {
            None => watermark,
            Some(_) if watermark == Timestamp::MIN || watermark == Timestamp::MAX => watermark,
            Some(function) => function(watermark),
        }
    }

    /// The first watermark at which the node's time has reached `time`: by doubling steps, then by bisection.
    pub(crate) fn first_at(&self, time: Timestamp) -> Timestamp {
        if self.is_identity() || time == Timestamp::MIN || time == Timestamp::MAX {
            return time;
        }
        let (mut low, mut step) = (time.0.saturating_sub(1), 1_i64);
        let mut high = loop {
            let high = low.saturating_add(step);
            if high == i64::MAX {
                return Timestamp::MAX;
            }
            if self.at(Timestamp(high)) >= time {
                break high;
            }
            (low, step) = (high, step.saturating_mul(2));
        };
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if self.at(Timestamp(middle)) >= time {
                high = middle;
            } else {
                low = middle;
            }
        }
        Timestamp(high)
    }
}

impl fmt::Debug for NodeTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_identity() { "NodeTime::IDENTITY" } else { "NodeTime(..)" })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{TimeWindows, Windows, milliseconds as ms};
    use super::*;

    #[test]
    fn first_at_is_the_inverse() {
        let windows = TimeWindows::of_size(ms(10)).grace(ms(5));
        let below = NodeTime::IDENTITY.below(move |w| Windows::<()>::earliest_open(&windows, w));
        for time in 1..200 {
            let first = below.first_at(Timestamp(time));
            assert!(below.at(first) >= Timestamp(time), "at {time}");
            assert!(below.at(Timestamp(first.0 - 1)) < Timestamp(time), "before {time}");
        }
        assert_eq!(NodeTime::IDENTITY.first_at(Timestamp(7)), Timestamp(7));
    }

    #[test]
    fn never_stays_never() {
        let below = NodeTime::IDENTITY.below(|w| Timestamp(w.0 - 1));
        assert_eq!(below.at(Timestamp::MIN), Timestamp::MIN);
        assert_eq!(below.first_at(Timestamp::MAX), Timestamp::MAX);
        assert_eq!(below.merge(&NodeTime::IDENTITY).at(Timestamp(5)), Timestamp(4));
    }
}
