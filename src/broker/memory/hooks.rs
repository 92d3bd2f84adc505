//! What tests do to the log behind the backs of its clients: faults, late requests, and looks inside.

use super::{Call, Loss, MemoryLog};
use crate::broker::{Answer, CommittedOffset, GroupMetadata, Isolation, LogRecord, Offsets};
use crate::record::TopicPartition;
use crate::time::Timestamp;
use std::collections::BTreeMap;

impl MemoryLog {
    /// Records of one partition from `offset` on, at most `max`, and the position behind them.
    pub(crate) fn read(
        &self,
        from: &TopicPartition,
        offset: i64,
        isolation: Isolation,
        max: usize,
    ) -> Answer<(Vec<LogRecord>, i64)> {
        let (mut state, _) = self.current();
        state.partition(from)?.read(offset, isolation, max)
    }

    /// What a group has committed, if no transaction is pending on it.
    pub(crate) fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Option<Offsets> {
        self.current()
            .0
            .groups
            .get(group)
            .map_or_else(|| Some(Offsets::new()), |g| g.stable_offsets(partitions))
    }

    /// Commits offsets as a tool does, for a group without members. Metadata is what a broker makes of the bytes:
    /// text, with replacements where it is none.
    pub(crate) fn commit(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, (i64, Vec<u8>)>,
    ) -> Answer<()> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let offset = |(at, (offset, metadata)): (&TopicPartition, &(i64, Vec<u8>))| {
            (at.clone(), CommittedOffset { offset: *offset, metadata: text(metadata) })
        };
        let nobody = GroupMetadata { group: group.to_owned(), member: String::new(), generation: -1 };
        self.current().0.commit_offsets(&offsets.iter().map(offset).collect(), &nobody)
    }

    /// Compacts every compacted topic as of `now`; returns how many records went.
    pub(crate) fn compact(&self, now: Timestamp) -> usize {
        self.current().0.compact(now.0)
    }

    /// Switches an outage for one client.
    pub(crate) fn outage_of(&self, client: &str, on: bool) {
        let mut state = self.current().0;
        switch(&mut state.faults.outages, client, on);
    }

    /// Holds the records that a client hands over back; other calls pass. If the producer is dropped meanwhile, they
    /// become late requests.
    pub(crate) fn hold_sends_of(&self, client: &str, on: bool) {
        let mut state = self.current().0;
        switch(&mut state.faults.held_sends, client, on);
    }

    /// Holds the markers of transactions that end: their end is answered but not seen yet.
    pub(crate) fn hold_markers(&self, on: bool) {
        let mut state = self.current().0;
        state.faults.markers_held = on;
        state.write_markers();
    }

    /// Loses the next call of this kind of a client.
    pub(crate) fn lose_next(&self, client: &str, call: Call, loss: Loss) {
        self.current().0.faults.lose_next(client, call, loss);
    }

    /// Requests that are still under way from producers that are gone, or whose callers gave up.
    pub(crate) fn late_requests(&self) -> usize {
        self.current().0.faults.late.len()
    }

    /// Lets the oldest late request arrive; `false` if there is none.
    pub(crate) fn land_late_request(&self) -> bool {
        let (mut state, now) = self.current();
        state.land_late_request(now)
    }

    /// Loses all late requests.
    pub(crate) fn drop_late_requests(&self) {
        self.current().0.faults.late.clear();
    }
}

fn switch(clients: &mut std::collections::BTreeSet<String>, client: &str, on: bool) {
    if on {
        clients.insert(client.to_owned());
    } else {
        clients.remove(client);
    }
}
