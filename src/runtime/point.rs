//! The named points of the commit protocol, at which a test kills a process.

/// A step of a commit; a kill happens just before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommitPoint {
    /// Everything pending is forwarded and handed to the producer.
    S0,
    /// The guard: is the assignment still held?
    S1,
    /// The positions go into the transaction.
    S2,
    /// The end of the transaction is asked for.
    S3,
    /// The log has the end of the transaction; its answer is not there yet.
    S3Received,
    /// The stores are written: between the batches of two tasks, if there are two.
    S4,
    /// A producer that is under suspicion is replaced.
    S5,
    /// A revocation is acknowledged.
    S6,
    /// The transaction is aborted.
    S9,
    /// `at_least_once`: outputs are flushed, changelogs written.
    A0,
    /// `at_least_once`: the positions go to the group.
    A2,
    /// `at_least_once`: the group has the positions; its answer is not there yet.
    A2Received,
    /// `at_least_once`: the stores are written: between the batches of two tasks, if there are two.
    A1,
}

impl CommitPoint {
    /// The points that a commit under `exactly_once_v2` passes; `S9` only where it fails, `S6` only on a revocation.
    pub const EXACTLY_ONCE: [Self; 9] =
        [Self::S0, Self::S1, Self::S2, Self::S3, Self::S3Received, Self::S4, Self::S5, Self::S6, Self::S9];
    /// The points that a commit under `at_least_once` passes; `S9` only where it fails, `S6` only on a revocation.
    pub const AT_LEAST_ONCE: [Self; 7] =
        [Self::A0, Self::S1, Self::A2, Self::A2Received, Self::A1, Self::S6, Self::S9];
}
