//! What is always true of a shard between two steps. Each check panics with what it found.
use super::classic::{ClassicGroup, State};
use super::record::GroupMetadataValue;
use super::shard::GroupShard;
use super::stored::StoredGroup;
use super::timers::TimerKey;

pub fn check(shard: &GroupShard) {
    for (id, group) in &shard.live {
        assert_eq!(id, &group.id);
        membership_is_consistent(group);
        waiting_fits_the_state(group);
        deadlines_are_set(shard, group);
        match shard.stored.groups.get(id) {
            Some(StoredGroup::Classic(value)) => stable_is_what_the_log_says(group, value),
            Some(StoredGroup::Simple) | None => assert_ne!(group.state, State::Stable, "{group:?}"),
            Some(StoredGroup::Consumer(_) | StoredGroup::Share(_) | StoredGroup::Streams(_)) => {
                panic!("{id} is two groups: {group:?}")
            }
        }
    }
    for (id, group) in &shard.stored.groups {
        if let StoredGroup::Classic(value) = group {
            let is_live = shard.live.contains_key(id);
            assert!(
                is_live || value.members.is_empty(),
                "{id} has members but no live half"
            );
        }
        let members: Vec<&String> = match group {
            StoredGroup::Consumer(group) => {
                group.check(id);
                group.members.keys().collect()
            }
            StoredGroup::Share(group) => {
                group.check(id);
                group.members.keys().collect()
            }
            StoredGroup::Streams(group) => {
                group.check(id);
                group.members.keys().collect()
            }
            _ => Vec::new(),
        };
        for member in members {
            let key = TimerKey::Session(id.clone(), member.clone());
            let is_watched = shard.timers.contains(&key);
            assert!(is_watched, "{member} lives forever in {id}");
        }
    }
}

fn membership_is_consistent(group: &ClassicGroup) {
    let is_empty = group.members.is_empty();
    match group.state {
        State::Empty => assert!(is_empty, "{group:?}"),
        // All may have left while an id that was given out is still waited for.
        State::PreparingRebalance => {}
        State::CompletingRebalance | State::Stable => assert!(!is_empty, "{group:?}"),
    }
    if !is_empty {
        let leader = group
            .leader
            .as_ref()
            .expect("a group with members has a leader");
        assert!(
            group.members.contains_key(leader),
            "the leader is no member: {group:?}"
        );
    }
    for (instance_id, member_id) in &group.static_members {
        let member = group
            .members
            .get(member_id)
            .expect("a static member is a member");
        assert_eq!(member.instance_id.as_ref(), Some(instance_id), "{group:?}");
    }
    let with_instance = group
        .members
        .values()
        .filter(|member| member.instance_id.is_some());
    assert_eq!(
        with_instance.count(),
        group.static_members.len(),
        "{group:?}"
    );
    let is_pending = |id: &String| group.pending_join.contains(id);
    assert!(
        !group.members.keys().any(is_pending),
        "a member is pending: {group:?}"
    );
    let is_member = |id: &String| group.members.contains_key(id);
    assert!(group.pending_sync.iter().all(is_member), "{group:?}");
}

fn waiting_fits_the_state(group: &ClassicGroup) {
    for member in group.members.values() {
        if member.awaiting_join.is_some() {
            assert_eq!(group.state, State::PreparingRebalance, "{group:?}");
        }
        if member.awaiting_sync.is_some() {
            assert_eq!(group.state, State::CompletingRebalance, "{group:?}");
        }
    }
    if !group.pending_sync.is_empty() {
        let state = group.state;
        assert!(
            matches!(state, State::CompletingRebalance | State::Stable),
            "{group:?}"
        );
    }
}

/// Nobody waits for something that has no end.
fn deadlines_are_set(shard: &GroupShard, group: &ClassicGroup) {
    let has = |key| shard.timers.contains(&key);
    if group.state == State::PreparingRebalance {
        assert!(
            has(TimerKey::Join(group.id.clone())),
            "no end of the join phase: {group:?}"
        );
    }
    if !group.pending_sync.is_empty() {
        assert!(
            has(TimerKey::Sync(group.id.clone())),
            "no end of the sync phase: {group:?}"
        );
    }
    let silent = |id: &&String| group.members.get(*id).is_some_and(|m| m.may_be_silent());
    for id in group
        .members
        .keys()
        .chain(&group.pending_join)
        .filter(|id| !silent(id))
    {
        assert!(
            has(TimerKey::Session(group.id.clone(), id.clone())),
            "{id} lives forever: {group:?}"
        );
    }
}

fn stable_is_what_the_log_says(group: &ClassicGroup, value: &GroupMetadataValue) {
    if group.state != State::Stable {
        return;
    }
    assert_eq!(group.generation, value.generation, "{group:?}");
    assert_eq!(group.protocol, value.protocol, "{group:?}");
    for stored in &value.members {
        // A member that did not fetch its assignment may have been removed since; that starts a
        // rebalance.
        let member = group.members.get(&stored.member_id);
        let member =
            member.unwrap_or_else(|| panic!("{} is missing in {group:?}", stored.member_id));
        assert_eq!(member.assignment, stored.assignment, "{group:?}");
    }
    assert_eq!(group.members.len(), value.members.len(), "{group:?}");
}
