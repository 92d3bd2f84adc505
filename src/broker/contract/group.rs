//! Groups: who owns what, and whose commits count.

use super::*;

/// What a member is assigned next.
#[track_caller]
fn assigned(harness: &dyn Harness, member: &mut dyn Consumer) -> Vec<String> {
    match event(harness, member) {
        GroupEvent::Assigned(partitions) => partitions.iter().map(|p| p.partition.to_string()).collect(),
        other => panic!("{other:?} instead of an assignment"),
    }
}

/// Lets a second member in, to whom the first gives way.
#[track_caller]
fn second(
    harness: &dyn Harness,
    first: &mut dyn Consumer,
    group: &str,
    topics: &[String],
) -> Box<dyn Consumer> {
    let mut second = harness.client("b").consumer(group, "b").expect("client");
    second.subscribe(topics);
    let revoked = until(harness, "revocation", || {
        assert_eq!(second.poll_group(), None, "the group waits for the first");
        first.poll_group()
    });
    assert_eq!(revoked, GroupEvent::Revoked);
    second
}

pub(crate) fn partitions_are_shared_and_co_partitioned(harness: &dyn Harness) {
    let (left, right, group) = (topic(harness, 3, &[]), topic(harness, 3, &[]), harness.unique("group"));
    let topics = [left, right];
    let mut a = harness.client("a").consumer(&group, "a").expect("client");
    assert_eq!(a.group_metadata().generation, -1);
    a.subscribe(&topics);
    assert_eq!(assigned(harness, &mut *a), ["0", "1", "2", "0", "1", "2"]);
    let generation = a.group_metadata().generation;
    let mut b = second(harness, &mut *a, &group, &topics);
    a.acknowledge_revocation();
    // Members sort by id; whichever is first has two of three, and each has the same of both topics.
    let mut shares = [assigned(harness, &mut *a), assigned(harness, &mut *b)];
    shares.sort();
    assert_eq!(shares, [vec!["0", "1", "0", "1"], vec!["2", "2"]]);
    assert!(a.group_metadata().generation > generation);
    assert_eq!(a.group_metadata().generation, b.group_metadata().generation);
    assert_ne!(a.group_metadata().member, b.group_metadata().member);
}

pub(crate) fn offset_metadata_is_kept(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 1, &[]), harness.unique("group"), Waiting::new(harness));
    let log = at(&topic, 0);
    let mut reader = member(harness, &group, "a", &[topic]);
    assert_eq!(ask.committed(&group, &log), None);
    let kept = CommittedOffset { offset: 7, metadata: "AgAAAAAAAATS/+€".to_owned() };
    commit_offsets(harness, &mut *reader, Offsets::from([(log.clone(), kept.clone())])).expect("commit");
    assert_eq!(ask.committed(&group, &log), Some(kept));
}

pub(crate) fn offset_metadata_above_the_limit_is_refused(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 1, &[]), harness.unique("group"), Waiting::new(harness));
    let log = at(&topic, 0);
    let mut reader = member(harness, &group, "a", &[topic]);
    let with = |size: usize| {
        Offsets::from([(log.clone(), CommittedOffset { offset: size as i64, metadata: "x".repeat(size) })])
    };
    commit_offsets(harness, &mut *reader, with(4_096)).expect("commit");
    let failure = refused(FailureKind::Fatal, commit_offsets(harness, &mut *reader, with(4_097)));
    assert!(failure.message.contains("metadata"), "{failure}");
    assert_eq!(ask.committed(&group, &log).map(|committed| committed.offset), Some(4_096));
}

pub(crate) fn offset_metadata_that_is_not_utf8(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 1, &[]), harness.unique("group"), Waiting::new(harness));
    let log = at(&topic, 0);
    harness.commit_bytes(&group, &log, 3, &[b'a', 0xff, b'b']);
    let committed = ask.committed(&group, &log).expect("committed");
    assert_eq!((committed.offset, committed.metadata.as_str()), (3, "a\u{fffd}b"));
}

pub(crate) fn an_offset_commit_does_not_check_ownership(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 2, &[]), harness.unique("group"), Waiting::new(harness));
    let mut a = member(harness, &group, "a", std::slice::from_ref(&topic));
    let mut b = second(harness, &mut *a, &group, std::slice::from_ref(&topic));
    a.acknowledge_revocation();
    let of_a = assigned(harness, &mut *a);
    assigned(harness, &mut *b);
    let foreign = at(&topic, of_a[0].parse().expect("number"));
    commit_offsets(harness, &mut *b, offsets(&foreign, 9)).expect("commit");
    assert_eq!(ask.committed(&group, &foreign).map(|committed| committed.offset), Some(9));
}

pub(crate) fn an_offset_commit_checks_member_and_generation(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 1, &[]), harness.unique("group"), Waiting::new(harness));
    let log = at(&topic, 0);
    let mut a = member(harness, &group, "a", std::slice::from_ref(&topic));
    commit_offsets(harness, &mut *a, offsets(&log, 1)).expect("commit");
    let mut b = harness.client("b").consumer(&group, "b").expect("client");
    b.subscribe(std::slice::from_ref(&topic));
    // Nobody hears of the first any more, who still believes in its generation: a process that was stopped.
    let timeout = harness.silence();
    let evicted = (0..20).any(|_| {
        harness.pass(timeout / 10);
        b.poll_group().is_some()
    });
    assert!(evicted);
    refused(FailureKind::Abortable, commit_offsets(harness, &mut *a, offsets(&log, 2)));
    assert_eq!(ask.committed(&group, &log).map(|committed| committed.offset), Some(1));
}

pub(crate) fn a_simple_commit_is_for_groups_without_members(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 1, &[]), harness.unique("group"), Waiting::new(harness));
    let log = at(&topic, 0);
    let mut outside = harness.client("outside").consumer(&group, "outside").expect("client");
    commit_offsets(harness, &mut *outside, offsets(&log, 1)).expect("commit");
    let mut inside = member(harness, &group, "a", &[topic]);
    refused(FailureKind::Abortable, commit_offsets(harness, &mut *outside, offsets(&log, 2)));
    inside.leave();
    until(harness, "leave", || commit_offsets(harness, &mut *outside, offsets(&log, 3)).ok());
    assert_eq!(ask.committed(&group, &log).map(|committed| committed.offset), Some(3));
}

pub(crate) fn a_revocation_acknowledged_later_than_it_came(harness: &dyn Harness) {
    let (topic, group, mut ask) = (topic(harness, 2, &[]), harness.unique("group"), Waiting::new(harness));
    let log = at(&topic, 0);
    let mut a = member(harness, &group, "a", std::slice::from_ref(&topic));
    a.seek(&log, 0);
    let generation = a.group_metadata().generation;
    let mut b = second(harness, &mut *a, &group, std::slice::from_ref(&topic));
    for _ in 0..20 {
        harness.pass(harness.session_timeout() / 10);
        assert_eq!(a.poll_group(), None, "told once, and not evicted as long as it is heard");
        assert_eq!(b.poll_group(), None, "the group waits");
    }
    assert_eq!(a.group_metadata().generation, generation, "what is owned may still be committed");
    commit_offsets(harness, &mut *a, offsets(&log, 5)).expect("commit before the acknowledgement");
    assert!(a.fetch(&log, 1).is_ok());
    a.acknowledge_revocation();
    assert_eq!(assigned(harness, &mut *b).len(), 1);
    assert_eq!(assigned(harness, &mut *a).len(), 1);
    assert_eq!(ask.committed(&group, &log).map(|committed| committed.offset), Some(5));
}

pub(crate) fn a_revocation_never_acknowledged(harness: &dyn Harness) {
    let (topic, group) = (topic(harness, 2, &[]), harness.unique("group"));
    let mut a = member(harness, &group, "a", std::slice::from_ref(&topic));
    let mut b = second(harness, &mut *a, &group, std::slice::from_ref(&topic));
    let step = harness.session_timeout() / 3;
    let mut events = Vec::new();
    for _ in 0..=2 * harness.rebalance_timeout() / step {
        harness.pass(step);
        events.extend(b.poll_group());
        events.extend(a.poll_group());
        if events.len() == 2 {
            break;
        }
    }
    assert_eq!(events, [GroupEvent::Assigned(vec![at(&topic, 0), at(&topic, 1)]), GroupEvent::Lost]);
    assert_eq!(a.group_metadata().generation, -1);
    assert!(a.group_metadata().member.is_empty());
}

pub(crate) fn a_silent_member_is_evicted(harness: &dyn Harness) {
    let (topic, group) = (topic(harness, 1, &[]), harness.unique("group"));
    let mut a = member(harness, &group, "a", std::slice::from_ref(&topic));
    let mut b = harness.client("b").consumer(&group, "b").expect("client");
    b.subscribe(std::slice::from_ref(&topic));
    assert_eq!(b.poll_group(), None);
    harness.pass(harness.silence() + 1);
    assert_eq!(assigned(harness, &mut *b), ["0"]);
    assert_eq!(event(harness, &mut *a), GroupEvent::Lost);
    // It joins again by itself.
    until(harness, "the revocation of the new owner", || {
        assert_eq!(a.poll_group(), None);
        b.poll_group().filter(|event| *event == GroupEvent::Revoked)
    });
    b.acknowledge_revocation();
    assigned(harness, &mut *a);
}

pub(crate) fn leaving_hands_over_at_once(harness: &dyn Harness) {
    let (topic, group) = (topic(harness, 2, &[]), harness.unique("group"));
    let mut a = member(harness, &group, "a", std::slice::from_ref(&topic));
    let mut b = second(harness, &mut *a, &group, &[topic]);
    a.leave();
    assert_eq!(assigned(harness, &mut *b), ["0", "1"]);
    assert_eq!(a.poll_group(), None);
    assert_eq!(a.group_metadata().generation, -1);
}

pub(crate) fn a_killed_member_does_not_leave(harness: &dyn Harness) {
    let (topic, group) = (topic(harness, 1, &[]), harness.unique("group"));
    let a = member(harness, &group, "a", std::slice::from_ref(&topic));
    drop(a);
    let mut b = harness.client("b").consumer(&group, "b").expect("client");
    b.subscribe(&[topic]);
    for _ in 0..8 {
        assert_eq!(b.poll_group(), None, "the group cannot know yet");
        harness.pass(harness.session_timeout() / 10);
    }
    harness.pass(harness.session_timeout());
    assert_eq!(assigned(harness, &mut *b), ["0"]);
}

pub(crate) fn subscribing_again_rejoins(harness: &dyn Harness) {
    let (one, two, group) = (topic(harness, 1, &[]), topic(harness, 1, &[]), harness.unique("group"));
    let mut a = member(harness, &group, "a", std::slice::from_ref(&one));
    let generation = a.group_metadata().generation;
    a.subscribe(&[one.clone(), two.clone()]);
    assert_eq!(event(harness, &mut *a), GroupEvent::Revoked);
    a.acknowledge_revocation();
    let GroupEvent::Assigned(mut partitions) = event(harness, &mut *a) else { panic!("not assigned") };
    let mut both = [at(&one, 0), at(&two, 0)];
    both.sort();
    partitions.sort();
    assert_eq!(partitions, both);
    assert!(a.group_metadata().generation > generation);
}

pub(crate) fn a_partition_that_was_not_sought(harness: &dyn Harness) {
    let (topic, group) = (topic(harness, 1, &[]), harness.unique("group"));
    let log = at(&topic, 0);
    let mut a = member(harness, &group, "a", std::slice::from_ref(&topic));
    assert_eq!(a.position(&log), None);
    refused(FailureKind::Fatal, a.fetch(&log, 1).map(|fetched| fetched.records));
    a.seek(&log, 0);
    assert_eq!(a.position(&log), Some(0));
    a.subscribe(&[topic]);
    assert_eq!(event(harness, &mut *a), GroupEvent::Revoked);
    a.acknowledge_revocation();
    assert_eq!(a.position(&log), None, "what was given back is read no more");
}
