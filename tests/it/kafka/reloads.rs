//! The coordinators of the group and of its transactions go and come back, which then read their topics again, while
//! transactions are open and the group is about to change.

use super::cluster::Cluster;
use super::node::Node;
use super::processes::{ALL_KEYS, World};
use std::time::Duration;

/// Longer than a restart. A node whose partitions have no other replica has no leader of them for a moment when it comes
/// back from a crash, and a transaction that times out by then is called aborted without a marker in any of them ("these
/// partitions are likely deleted already", Kafka 4.3.1): the next commit of the same producer commits what it left.
#[cfg(feature = "crash-points")]
const LEFT_OPEN: Duration = Duration::from_secs(60);

/// One process dies in the middle of a commit, one more joins, and at once the broker is killed too.
fn reloaded(guarantee: &'static str) {
    let Some(node) = Node::start() else { return };
    let mut world = World::on(Cluster::at(&node.cluster.bootstrap), guarantee);
    world.transaction_timeout = Duration::from_secs(4);
    let steady = world.spawn(None);
    let victim = world.spawn(None);
    world.feed_until_members(2);
    (0..20).for_each(|_| world.feed());
    drop(victim);
    let joins = world.spawn(None);
    (0..2).for_each(|_| world.feed());
    node.away(Duration::ZERO, |_| (0..ALL_KEYS).for_each(|_| world.hand_over()));
    world.cluster.flush();
    world.feed_until_members(2);
    (0..10).for_each(|_| world.feed());
    world.verify();
    steady.stop();
    joins.stop();
    world.until_changelogs_are_the_fold();
}

#[test]
fn coordinators_are_reloaded_in_a_rebalance_exactly_once() {
    reloaded("exactly_once_v2");
}

#[test]
fn coordinators_are_reloaded_in_a_rebalance_at_least_once() {
    reloaded("at_least_once");
}

/// The positions are in the transaction of a process that dies before it ends it, and the coordinators learn of both
/// only from their topics; or the group has them, and the stores do not.
#[cfg(feature = "crash-points")]
fn reloaded_at(guarantee: &'static str, point: &str) {
    use super::processes::Fault;
    let Some(node) = Node::start() else { return };
    let mut world = World::on(Cluster::at(&node.cluster.bootstrap), guarantee);
    world.transaction_timeout = LEFT_OPEN;
    let steady = world.spawn(None);
    let fault = Fault { point, number: 6, delay_us: 0, signal: "KILL" };
    let mut victim = world.spawn(Some(fault));
    world.feed_until(point, |_| victim.0.try_wait().expect("a status").is_some());
    let joins = world.spawn(None);
    node.away(Duration::ZERO, |_| (0..ALL_KEYS).for_each(|_| world.hand_over()));
    world.cluster.flush();
    world.feed_until_members(2);
    (0..10).for_each(|_| world.feed());
    world.verify();
    steady.stop();
    joins.stop();
    world.until_changelogs_are_the_fold();
}

#[cfg(feature = "crash-points")]
#[test]
fn coordinators_are_reloaded_with_positions_pending() {
    reloaded_at("exactly_once_v2", "S3");
}

#[cfg(feature = "crash-points")]
#[test]
fn coordinators_are_reloaded_with_positions_committed() {
    reloaded_at("at_least_once", "A1");
}
