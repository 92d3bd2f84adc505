//! The client objects of one process.

use super::MemoryLog;
use super::admin::MemoryAdmin;
use super::consumer::MemoryConsumer;
use super::producer::MemoryProducer;
use crate::broker::{Admin, Answer, Client, Consumer, Producer};
use std::sync::Arc;

/// Makes client objects that share a name, by which faults hit them.
#[derive(Clone, Debug)]
pub(crate) struct MemoryClient {
    log: MemoryLog,
    name: Arc<str>,
}

impl MemoryClient {
    pub(super) fn new(log: MemoryLog, name: &str) -> Self {
        Self { log, name: name.into() }
    }
}

impl Client for MemoryClient {
    /// Dropping it does not leave the group, as with a process that was killed.
    fn consumer(&self, group: &str, member_name: &str) -> Answer<Box<dyn Consumer>> {
        Ok(Box::new(MemoryConsumer::new(self.log.clone(), self.name.clone(), group, member_name)))
    }
    fn producer(&self, transactional_id: Option<&str>) -> Answer<Box<dyn Producer>> {
        Ok(Box::new(MemoryProducer::new(self.log.clone(), self.name.clone(), transactional_id)))
    }
    fn admin(&self) -> Answer<Box<dyn Admin>> {
        Ok(Box::new(MemoryAdmin::new(self.log.clone(), self.name.clone())))
    }
}
