//! What a repartition partition heard from its writers.
use crate::time::Timestamp;
/// Values heard, in the order of a list of writers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Heard {
    /// Of the list.
    pub(crate) hash: u32,
    /// `MIN`: not heard.
    pub(crate) values: Vec<Timestamp>,
}
