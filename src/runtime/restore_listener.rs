//! Tells a program how the stores of starting tasks are restored, as Kafka Streams' `StateRestoreListener` does.
//!
//! ```text
//!   Start --> Batch* --> End          all that counts was read
//!                   \--> Suspended    the task went away first
//! ```
//! Whoever restores sends; the application's thread calls the listener. So the listener holds up no restore that another
//! thread does, and every `Start` has one `End` or `Suspended`: a telling that is dropped says the latter.

use crate::record::TopicPartition;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// What happens to a store while its task starts. Told of every store with a changelog, also where nothing has to be read:
/// then both offsets of the start are the same, and the end has a total of 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRestore {
    /// Of the changelog.
    pub partition: TopicPartition,
    /// The store's name.
    pub store: Arc<str>,
    /// What happens.
    pub stage: RestoreStage,
}

/// How far a restore is. Offsets are the changelog's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreStage {
    /// It begins.
    Start {
        /// Where reading begins.
        starting_offset: i64,
        /// Where it ends; the record there is not read.
        ending_offset: i64,
    },
    /// Records were written to the store; at most `highwater.restore.batch` at once.
    Batch {
        /// The offset of the last of them.
        batch_end_offset: i64,
        /// How many.
        restored: u64,
    },
    /// The store is as the last commit left it. Its task runs once all its stores are.
    End {
        /// Records in all.
        total_restored: u64,
    },
    /// The task was given up before its store was restored: it went to another process, the application stops, or its
    /// disk failed. If it comes back, there is another start.
    Suspended {
        /// Records up to here.
        total_restored: u64,
    },
}

/// Where the tasks of a process send what they restore; nowhere, unless somebody listens.
#[derive(Clone, Debug, Default)]
pub(crate) struct RestoreTeller(Option<Sender<StateRestore>>);

impl RestoreTeller {
    pub(crate) fn channel() -> (Self, Receiver<StateRestore>) {
        let (teller, listener) = channel();
        (Self(Some(teller)), listener)
    }

    /// A restore begins.
    pub(crate) fn start(&self, partition: &TopicPartition, store: &Arc<str>, offsets: (i64, i64)) -> Telling {
        let (partition, store) = (partition.clone(), store.clone());
        let telling = Telling { teller: self.clone(), partition, store, total: 0, ended: false };
        let (starting_offset, ending_offset) = offsets;
        telling.tell(RestoreStage::Start { starting_offset, ending_offset });
        telling
    }
}

/// What is told of one restore.
#[derive(Debug)]
pub(crate) struct Telling {
    teller: RestoreTeller,
    partition: TopicPartition,
    store: Arc<str>,
    total: u64,
    ended: bool,
}

impl Telling {
    fn tell(&self, stage: RestoreStage) {
        if let Some(listener) = &self.teller.0 {
            let (partition, store) = (self.partition.clone(), self.store.clone());
            let _nobody_listens_any_more = listener.send(StateRestore { partition, store, stage });
        }
    }

    pub(crate) fn batch(&mut self, batch_end_offset: i64, restored: u64) {
        self.total += restored;
        self.tell(RestoreStage::Batch { batch_end_offset, restored });
    }

    /// The first call counts.
    pub(crate) fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.tell(RestoreStage::End { total_restored: self.total });
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(RestoreStage::Suspended { total_restored: self.total });
        }
    }
}
