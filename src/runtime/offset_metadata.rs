//! The metadata of a committed offset.
use crate::runtime::writers::Heard;
use crate::time::Timestamp;
/// What is kept with a committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffsetMetadata {
    /// The largest timestamp seen; `MIN`: none.
    pub(crate) partition_time: Timestamp,
    /// By name, in order.
    pub(crate) entries: Vec<(String, i64)>,
    /// Of a repartition topic: what was heard from its writers.
    pub(crate) heard: Option<Heard>,
}
impl OffsetMetadata {
    /// `None`: not in this encoding.
    pub(crate) fn decode(_text: &str) -> Option<Self> {
        todo!()
    }
    pub(crate) fn commit_id(&self) -> Option<u64> {
        todo!()
    }
    pub(crate) fn changelog(&self, _store: &str) -> Option<i64> {
        todo!()
    }
}
