//! What a task forgets when it goes on after a pause.

use super::Task;
use crate::runtime::Moment;

impl Task {
    /// Its inputs have grown unseen: whether they are caught up is asked anew, and silence is counted from now on. So what
    /// came during the pause is read before an input is idle, or before the others stop waiting for it.
    pub(crate) fn resume(&mut self, moment: Moment) {
        self.group.forget_waits();
        self.watermarks.iter_mut().filter_map(|input| input.source_mut()).for_each(|s| s.resume(moment.now));
    }
}
