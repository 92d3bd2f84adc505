//! Works an advance of the watermark off: moment by moment, node by node, in chunks.
//!
//! ```text
//!                 due <= W                         nothing due, W ahead
//!   idle  ---> pass at the next due moment ---> last pass, if a punctuator is due ---> handed = W
//!                 |        ^                                    |
//!                 v        | (resumed)                          v
//!               chunk used up: a commit may fall here   chunk used up
//! ```
//!
//! In each pass a node is told the moment after all that forward to it. What it emits is judged by the watermark that
//! was handed before the pass. So a jump and many small advances do the same things in the same order; punctuators
//! alone fire once, with the watermark that was reached.

use super::Task;
use crate::error::{Error, Result};
use crate::processor::{Cx, Effects, SharedNode, guarded};
use crate::time::Timestamp;

/// How far the nodes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handed {
    /// What every node has worked off.
    pub(super) watermark: Timestamp,
    /// A pass that is not finished.
    pub(super) pass: Option<Pass>,
    /// The pass before, in the same advance: its moment, and whether punctuators were called.
    last: Option<(Timestamp, bool)>,
    /// The moment of a pass that an earlier task began and committed in: no pass has an earlier one.
    begun: Timestamp,
}

/// One moment, on its way through the nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) moment: Timestamp,
    /// The nodes before it have worked the moment off.
    pub(super) node: usize,
    /// Whether punctuators are called too.
    punctuates: bool,
}

impl Handed {
    /// Nothing yet; an earlier task may have begun a pass.
    pub(super) fn nothing(begun: Timestamp) -> Self {
        Self { watermark: Timestamp::MIN, pass: None, last: None, begun }
    }

    /// In the middle of an advance to `watermark`: the moment that is being worked off, to be saved.
    pub(super) fn unfinished(&self, watermark: Timestamp) -> Option<Timestamp> {
        let moment = self.pass.map_or(self.watermark.max(self.begun), |pass| pass.moment);
        (self.watermark < watermark && moment > Timestamp::MIN).then_some(moment)
    }

    /// What this node has worked off.
    pub(super) fn at(&self, node: usize) -> Timestamp {
        match self.pass {
            Some(pass) if node < pass.node => pass.moment,
            _ => self.watermark,
        }
    }
}

impl Task {
    /// Whether `advance` has anything to do; if not, the nodes need not be told.
    #[inline]
    pub(super) fn is_due(&mut self) -> bool {
        let reached = self.watermark > Timestamp::MIN;
        if reached && self.effects.alarm <= self.watermark || self.handed.pass.is_some() {
            return true;
        }
        self.handed.watermark = self.watermark;
        false
    }

    /// Does what is due up to the watermark, as far as the budget of windows goes; `false`: call again.
    pub(super) fn advance(&mut self, now: Timestamp, budget: &mut usize) -> Result<bool> {
        loop {
            let Some(mut pass) =
                self.handed.pass.take().map_or_else(|| self.next_pass(), |pass| Ok(Some(pass)))?
            else {
                return Ok(true);
            };
            let done = run_pass(
                &self.graph.nodes,
                &mut self.effects,
                &mut pass,
                self.handed.watermark,
                (now, budget),
            );
            if !done.map_err(|error| self.at_moment(error, pass.moment))? {
                self.handed.pass = Some(pass);
                return Ok(false);
            }
            self.handed.watermark = pass.moment;
            self.handed.last = Some((pass.moment, pass.punctuates));
        }
    }

    /// The next moment at which something is due, or the watermark itself where a punctuator waits for it. A moment
    /// that lies behind (a child came that completes its parent) is worked off where the nodes are.
    fn next_pass(&mut self) -> Result<Option<Pass>> {
        let due = self.next_due();
        let punctuation = self.next_punctuation();
        let reached = self.watermark > Timestamp::MIN;
        let pass = if reached && due <= self.watermark {
            let moment = due.max(self.handed.watermark).max(self.handed.begun);
            Some(Pass { moment, node: 0, punctuates: false })
        } else if reached && punctuation <= self.watermark {
            Some(Pass { moment: self.watermark, node: 0, punctuates: true })
        } else {
            None
        };
        let Some(pass) = pass else {
            self.handed = Handed { watermark: self.watermark, ..Handed::nothing(Timestamp::MIN) };
            self.effects.alarm = due.min(punctuation);
            return Ok(None);
        };
        if self.handed.last.is_some_and(|last| (pass.moment, pass.punctuates) <= last) {
            return Err(self.endless(pass.moment));
        }
        Ok(Some(pass))
    }

    pub(super) fn next_due(&self) -> Timestamp {
        self.graph.nodes.iter().map(|node| node.borrow().next_due()).min().unwrap_or(Timestamp::MAX)
    }

    fn next_punctuation(&self) -> Timestamp {
        self.graph.nodes.iter().map(|node| node.borrow().next_punctuation()).min().unwrap_or(Timestamp::MAX)
    }

    fn endless(&self, moment: Timestamp) -> Error {
        let node = self.graph.nodes.iter().position(|node| node.borrow().next_due() <= moment);
        let at = node.map_or_else(|| "a node".to_owned(), |at| format!("node {at}"));
        Error::internal(format!("{at} is still due at {moment} after it was worked off"))
            .with("task", self.plan.id.to_string())
    }

    fn at_moment(&self, error: Error, moment: Timestamp) -> Error {
        error.with("task", self.plan.id.to_string()).with("while", format!("closing at watermark {moment}"))
    }
}

/// Tells the nodes from `pass.node` on the moment; `false`: the budget is used up.
fn run_pass(
    nodes: &[SharedNode],
    effects: &mut Effects,
    pass: &mut Pass,
    judge: Timestamp,
    (now, budget): (Timestamp, &mut usize),
) -> Result<bool> {
    while let Some(node) = nodes.get(pass.node) {
        let mut node = node.borrow_mut();
        let mut cx = Cx::quiet(judge, now, effects);
        // So that a pass never stops between two nodes with nothing left to do at its moment: after a restore it
        // could not be told that it was begun.
        let spent = *budget == 0 && node.next_due() <= pass.moment;
        if spent || !guarded(|| node.advance(&mut cx, pass.moment, budget))? {
            return Ok(false);
        }
        if pass.punctuates && node.next_punctuation() <= pass.moment {
            guarded(|| node.punctuate(&mut cx, pass.moment))?;
        }
        pass.node += 1;
    }
    Ok(true)
}
