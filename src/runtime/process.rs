//! What the parts of an instance share: what is fixed for the process, and what one step sees.

use super::point::CommitPoint;
use super::restore_listener::RestoreTeller;
use super::topics::TopicPlan;
use super::{Moment, Settings};
use crate::broker::{Admin, Client, Consumer, Failure, FailureKind, GroupMetadata, TooLarge};
use crate::error::{Error, ErrorKind, Result};
use crate::processor::{RecordLimits, Response};
use crate::state::Disk;
use crate::topology::Blueprint;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Asked before each point of a commit; `true` kills the process there.
pub(crate) type KillHook = Box<dyn FnMut(CommitPoint) -> bool>;

/// What comes in from outside; nothing in the engine reaches for a clock, a disk, chance or a network by itself.
pub(crate) struct Surroundings {
    pub(crate) client: Box<dyn Client>,
    pub(crate) disk: Box<dyn Disk>,
    /// Kept over restarts: it names the transactional ids.
    pub(crate) instance_id: String,
    /// Different for every process and every start of one: it makes commit ids.
    pub(crate) seed: u64,
    pub(crate) kill: Option<KillHook>,
}

/// What is fixed while an instance lives.
pub(crate) struct Process {
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) settings: Settings,
    pub(crate) client: Box<dyn Client>,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) instance_id: String,
    /// Empty until the topics have been looked at.
    pub(crate) plan: TopicPlan,
    /// Who is told of restores.
    pub(crate) restores: RestoreTeller,
    /// By topic, the size of records that a broker has taken for too large.
    refused: RefCell<BTreeMap<Arc<str>, usize>>,
    kill: RefCell<Option<KillHook>>,
    killed: Cell<bool>,
    seed: Cell<u64>,
}

impl Process {
    pub(crate) fn new(blueprint: Arc<Blueprint>, settings: Settings, surroundings: Surroundings) -> Self {
        let Surroundings { client, disk, instance_id, seed, kill } = surroundings;
        Self {
            blueprint,
            settings,
            client,
            disk,
            instance_id,
            plan: TopicPlan::default(),
            restores: RestoreTeller::default(),
            refused: RefCell::default(),
            kill: RefCell::new(kill),
            killed: Cell::new(false),
            seed: Cell::new(seed),
        }
    }

    /// A commit comes to this point; an error if the process is killed here.
    pub(crate) fn before(&self, point: CommitPoint) -> Result<()> {
        let mut hook = self.kill.borrow_mut();
        if hook.as_mut().is_some_and(|kill| kill(point)) {
            self.killed.set(true);
            return Err(Error::internal(format!("killed before {point:?}")));
        }
        Ok(())
    }

    /// How large records may be: as configured, as the topics say, and as brokers have said.
    pub(crate) fn record_limits(&self) -> RecordLimits {
        let mut limits = self.plan.limits.clone();
        self.refused.borrow().iter().for_each(|(topic, size)| limits.limit(topic.clone(), size - 1));
        limits
    }

    /// A record was refused because of its size, which is known from now on: back to the last commit, where the sink
    /// meets it again and asks the handler. An error if that would not help.
    pub(crate) fn learns(&self, failure: &Failure) -> Result<bool> {
        let Some(TooLarge { topic, size }) = &failure.too_large else { return Ok(false) };
        let mut refused = self.refused.borrow_mut();
        let handled = self.settings.tasks.on_error.writing != Response::Fail
            || self.blueprint.handlers().writing.is_some();
        if handled && refused.get(topic).is_none_or(|known| size < known) {
            refused.insert(topic.clone(), *size);
            return Ok(true);
        }
        Err(Error::new(ErrorKind::Production, format!("a record of {size} bytes is too large for `{topic}`"))
            .cause(failure.message.clone())
            .action("fail; the offset was not committed")
            .help("raise max.message.bytes of the topic, or set production.exception.handler to continue or dlq"))
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.get()
    }

    /// Not used before, by any process (splitmix64).
    pub(crate) fn next_commit_id(&self) -> u64 {
        let seed = self.seed.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.seed.set(seed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// One step: the clocks read once, and the clients of the process.
pub(crate) struct Step<'a> {
    pub(crate) process: &'a Process,
    pub(crate) consumer: &'a mut dyn Consumer,
    pub(crate) admin: &'a mut dyn Admin,
    pub(crate) moment: Moment,
}

impl Step<'_> {
    /// The metadata to commit with, if the tasks are still owned as they were assigned (S1). Read now: a client can
    /// have lost its membership while its partitions still look owned, and a broker takes a commit without a member.
    pub(crate) fn guard(&self, owner: Option<&GroupMetadata>) -> Option<GroupMetadata> {
        let now = self.consumer.group_metadata();
        (now.generation >= 0 && !now.member.is_empty() && Some(&now) == owner).then_some(now)
    }
}

/// What a part did in a step, and what it waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    /// Call again at once.
    pub(crate) progressed: bool,
    /// A call of the client is not answered yet: look again soon.
    pub(crate) awaiting: bool,
    /// The machine's clock.
    pub(crate) machine: Option<i64>,
    /// The application's clock.
    pub(crate) application: Option<crate::time::Timestamp>,
}

impl Activity {
    pub(crate) const PROGRESS: Self =
        Self { progressed: true, awaiting: false, machine: None, application: None };
    pub(crate) const WAIT: Self =
        Self { progressed: false, awaiting: true, machine: None, application: None };

    pub(crate) fn until(machine: i64) -> Self {
        Self { machine: Some(machine), ..Self::default() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.progressed |= other.progressed;
        self.awaiting |= other.awaiting;
        self.machine = earlier(self.machine, other.machine);
        self.application = earlier(self.application, other.application);
    }
}

pub(crate) fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The error of a failed call of the client.
pub(crate) fn broker_error(doing: &str, failure: &Failure) -> Error {
    let kind = match failure.kind {
        FailureKind::Retriable | FailureKind::Unknown | FailureKind::Abortable => ErrorKind::Retriable,
        FailureKind::Fenced => ErrorKind::Fenced,
        FailureKind::OutOfRange | FailureKind::Fatal => ErrorKind::Broker,
    };
    Error::new(kind, format!("cannot {doing}")).cause(failure.message.clone())
}
