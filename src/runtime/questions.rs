//! Log ends that tasks want to know: is a silent partition caught up, has an empty one data on its way?
//!
//! An answer counts for the task that asked and no later one: what a task knows of silence goes with it.

use super::Question;
use super::process::{Activity, Step};
use super::running::Running;
use crate::broker::{Isolation, Ticket};
use crate::record::TaskId;
use crate::time::Timestamp;

/// Questions under way.
#[derive(Default)]
pub(crate) struct Questions {
    open: Vec<Open>,
}

struct Open {
    ticket: Ticket,
    /// The application's clock when it was sent.
    asked: Timestamp,
    questions: Vec<(TaskId, Question)>,
}

impl Questions {
    /// Tasks were thrown away, and their questions with them.
    pub(crate) fn forget(&mut self) {
        self.open.clear();
    }

    pub(crate) fn step(&mut self, step: &mut Step<'_>, running: &mut [Running]) -> Activity {
        let mut activity = self.hear(step, running);
        let mut asked: Vec<(TaskId, Question)> = Vec::new();
        for task in running.iter_mut() {
            let questions = task.task.questions(step.moment);
            asked.extend(questions.into_iter().map(|question| (task.id, question)));
        }
        for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
            let of: Vec<_> = asked.iter().filter(|(_, q)| q.isolation == isolation).cloned().collect();
            if !of.is_empty() {
                self.ask(step, isolation, of);
                activity.add(self.hear(step, running));
            }
        }
        activity
    }

    fn ask(&mut self, step: &mut Step<'_>, isolation: Isolation, questions: Vec<(TaskId, Question)>) {
        let partitions = questions.iter().map(|(_, question)| question.partition.clone()).collect();
        let ticket = step.admin.start_bounds(partitions, isolation);
        self.open.push(Open { ticket, asked: step.moment.now, questions });
    }

    /// A question without an answer is asked again when its interval has passed: nothing closes meanwhile.
    fn hear(&mut self, step: &mut Step<'_>, running: &mut [Running]) -> Activity {
        let mut activity = Activity::default();
        let mut open = std::mem::take(&mut self.open);
        open.retain(|open| {
            let Some(answer) = step.admin.poll_bounds(open.ticket) else {
                activity.awaiting = true;
                return true;
            };
            let Ok(bounds) = answer else { return false };
            for (id, question) in &open.questions {
                let task = running.iter_mut().find(|running| running.id == *id);
                if let (Some(task), Some(bounds)) = (task, bounds.get(&question.partition)) {
                    task.task.answered(question, open.asked, bounds.end);
                    activity.progressed = true;
                }
            }
            false
        });
        self.open = open;
        activity
    }
}
