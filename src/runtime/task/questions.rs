//! What a task has to know of its logs, and when it has to be looked at again.

use super::{Question, Task, Wakeup};
use crate::broker::Isolation;
use crate::runtime::Moment;
use crate::time::Timestamp;

impl Task {
    /// The log ends that have to be asked for now: of silent partitions, whether they are caught up; of empty ones that
    /// others wait for, whether they have data. Notes that they were asked for.
    pub(crate) fn questions(&mut self, moment: Moment) -> Vec<Question> {
        let mut questions = Vec::new();
        let alarm = self.effects.alarm;
        for (input, plan) in self.plan.inputs.iter().enumerate() {
            let mut ask = |isolation| {
                questions.push(Question { input, partition: plan.partition.clone(), isolation });
            };
            if self.group.asks(input, moment.machine, self.settings.ask_interval) {
                ask(Isolation::ReadCommitted);
            }
            let silent = self.group.buffered(input) == 0;
            let Some(source) = self.watermarks.get_mut(input).and_then(|input| input.source_mut()) else {
                continue;
            };
            let next = source.next_question(alarm, self.settings.ask_interval);
            if silent && next.is_some_and(|next| next <= moment.now) {
                source.ask(moment.now);
                ask(Isolation::ReadUncommitted);
            }
        }
        questions
    }

    /// `asked`: the application's clock before the question was sent. No answer is no harm; it is asked for again.
    pub(crate) fn answered(&mut self, question: &Question, asked: Timestamp, end: i64) {
        match question.isolation {
            Isolation::ReadCommitted => self.group.answered(question.input, end),
            Isolation::ReadUncommitted => {
                let input = self.watermarks.get_mut(question.input);
                if let Some(source) = input.and_then(|input| input.source_mut()) {
                    source.answered(asked, end);
                }
            }
        }
    }

    /// When to call `questions` and `run` again if nothing comes.
    pub(crate) fn next_wakeup(&self, moment: Moment) -> Wakeup {
        let wall_clock = self.graph.nodes.iter().map(|node| node.borrow().next_wall_clock()).min();
        let wall_clock = wall_clock.filter(|at| *at < Timestamp::MAX);
        let due = [wall_clock, self.next_by_clock(moment.now)];
        let asks = self.group.next_asks(self.settings.ask_interval);
        let waits = [self.group.waits_until(), asks, self.waits_until];
        Wakeup {
            due: due.into_iter().flatten().min().map(|at| at.max(moment.now)),
            question: self.next_question().map(|at| at.max(moment.now)),
            machine: waits.into_iter().flatten().min().map(|at| at.max(moment.machine)),
            markers: self.next_markers().map(|at| at.max(moment.machine)),
        }
    }

    /// When the clock will have moved the watermark to the next moment at which something is due: every input that
    /// holds it must be silent and have an idle timeout.
    fn next_by_clock(&self, now: Timestamp) -> Option<Timestamp> {
        let alarm = self.effects.alarm;
        if self.closing
            || self.handed.pass.is_some()
            || alarm <= self.watermark && self.watermark > Timestamp::MIN
        {
            return Some(now);
        }
        let mut latest = None;
        // The first watermark of all is waited for where a punctuator fires on it.
        let target = alarm.max(Timestamp(i64::MIN + 1));
        for (at, input) in self.watermarks.iter().enumerate().filter(|(_, input)| input.watermark() < target)
        {
            let source = input.source().filter(|_| self.group.buffered(at) == 0)?;
            latest = latest.max(Some(source.reaches(alarm, self.settings.ask_interval)?));
        }
        latest
    }

    /// What is due here is known; below, whatever the watermark may reach.
    fn next_question(&self) -> Option<Timestamp> {
        if self.plan.outputs.is_empty() {
            return None;
        }
        let alarm = self.effects.alarm;
        let silent = self.watermarks.iter().enumerate().filter(|(at, _)| self.group.buffered(*at) == 0);
        let sources = silent.filter_map(|(_, input)| input.source());
        sources.filter_map(|source| source.next_question(alarm, self.settings.ask_interval)).min()
    }
}
