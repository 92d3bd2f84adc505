//! Topologies as programs write them: the names of their nodes, what is refused, and what runs in a task.

mod mistakes;
mod names;
mod running;
mod windows;

use super::*;
use crate::broker::LogRecord;
use crate::processor::{Cx, Effects, TaskGraph};
use crate::record::{Headers, TaskId};
use crate::state::{Disk, MemoryDisk};
use crate::time::Timestamp;
use crate::topology::{TaskEnv, Topology};
use std::rc::Rc;
use std::sync::Arc;

/// One task of a topology, driven by hand, on one partition.
struct Task {
    graph: TaskGraph,
    effects: Effects,
    handed: Timestamp,
}

impl Task {
    /// The task of sub-topology `sub` of application `app`; `topics` have one partition each.
    fn of(topology: &Topology, sub: u32, topics: &[&str]) -> Self {
        let blueprint = topology.blueprint();
        let task = TaskId { subtopology: sub, partition: 0 };
        let stores = &blueprint.subtopologies[sub as usize].stores;
        let stores: Vec<_> = stores.iter().map(|store| store.name.clone()).collect();
        let env = TaskEnv {
            task,
            application_id: "app".into(),
            backend: MemoryDisk::default().open(task, &stores).expect("opens"),
            topics: Arc::new(topics.iter().map(|topic| (Arc::from(*topic), 1)).collect()),
            limits: Rc::default(),
            cache_bytes: 1 << 20,
        };
        let graph = blueprint.instantiate(&env).expect("makes the task");
        let mut task = Self { graph, effects: Effects::default(), handed: Timestamp::MIN };
        task.each(|node, cx| node.restored(cx, Timestamp::MIN));
        task
    }

    fn each(
        &mut self,
        mut told: impl FnMut(&mut dyn crate::processor::Node, &mut Cx<'_>) -> crate::error::Result<()>,
    ) {
        for node in &self.graph.nodes {
            let mut cx = Cx::quiet(self.handed, Timestamp(0), &mut self.effects);
            told(&mut *node.borrow_mut(), &mut cx).expect("works");
        }
    }

    fn try_send(
        &mut self,
        input: usize,
        key: Option<&str>,
        value: Option<&str>,
        at: i64,
    ) -> crate::Result<()> {
        let (headers, bytes) = (Headers::new(), |text: &str| Arc::from(text.as_bytes()));
        let (key, value) = (key.map(bytes), value.map(bytes));
        let record = LogRecord { offset: 0, timestamp: Timestamp(at), key, value, headers: headers.clone() };
        self.graph.inputs[input].decode(0, &record, self.handed, Timestamp(0))?;
        let watermark = self.handed.max(Timestamp(at));
        let (metadata, now) = (None, Timestamp(0));
        let effects = &mut self.effects;
        let mut cx = Cx {
            timestamp: Timestamp(at),
            headers: &headers,
            metadata,
            raw: None,
            judge: watermark,
            now,
            effects,
        };
        self.graph.inputs[input].process(0, &mut cx)?;
        self.advance(watermark.0);
        Ok(())
    }
    fn send(&mut self, key: &str, value: &str, at: i64) {
        self.try_send(0, Some(key), Some(value), at).expect("is processed");
    }

    /// Works an advance off, then forwards what is held back.
    fn advance(&mut self, to: i64) {
        loop {
            let due = self.graph.nodes.iter().map(|node| node.borrow().next_due()).min();
            let Some(due) = due.filter(|due| *due <= Timestamp(to)) else { break };
            self.each(|node, cx| node.advance(cx, due, &mut 1_000).map(|done| assert!(done)));
            self.handed = due;
        }
        self.handed = self.handed.max(Timestamp(to));
        self.each(|node, cx| node.flush(cx));
    }

    /// What was written to a topic since the last call, `key=value@time`; null is `-`, a window's bytes are `[start]` or
    /// `[start,end)`.
    fn written(&mut self, topic: &str) -> Vec<String> {
        let records = self.effects.records.extract_if(.., |record| &*record.target.topic == topic);
        records
            .map(|record| {
                let text = |bytes: Option<&[u8]>| bytes.map_or("-".to_owned(), readable);
                let (key, value) = (text(record.key.as_deref()), text(record.value.as_deref()));
                format!("{key}={value}@{}", record.timestamp.0)
            })
            .collect()
    }
}

/// Text, followed by big-endian timestamps.
fn readable(bytes: &[u8]) -> String {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(at);
    let numbers: Vec<_> =
        rest.chunks(8).map(|n| i64::from_be_bytes(n.try_into().expect("8 bytes"))).collect();
    let text = String::from_utf8_lossy(text);
    match numbers[..] {
        [] => text.into_owned(),
        [start] => format!("{text}[{start}]"),
        _ => format!("{text}{numbers:?}"),
    }
}

/// The names of the nodes in the order in which they were added.
fn names(topology: &Topology) -> Vec<String> {
    topology.blueprint().graph.nodes.iter().map(|node| node.name.to_string()).collect()
}
