//! Static members (KIP-345) and skipped assignments (KIP-814).
use super::context::*;
use crate::coordinator::group::StoredGroup;
use crate::coordinator::group::shard::GroupRequest;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{JoinGroupResponse, SyncGroupRequest};

/// A stable group of a leader `one` and a follower `two`, both static.
fn stable(context: &mut Context) -> [JoinGroupResponse; 2] {
    let tokens = ["one", "two"].map(|id| context.send_join(Join::fixed(id)));
    context.sleep(2 * INITIAL_DELAY_MS);
    let joined = tokens.map(|token| context.joined(token));
    assert_eq!(joined[0].leader, joined[0].member_id);
    context.sync_all(&joined);
    joined
}

#[test]
fn a_restarted_follower_takes_its_place_without_a_rebalance() {
    let mut context = Context::new();
    let joined = stable(&mut context);
    let back = context.join(Join::fixed("two"));
    assert_eq!((back.error_code, back.generation_id), (0, 1));
    assert_ne!(back.member_id, joined[1].member_id);
    assert_eq!(
        (back.leader.as_str(), back.skip_assignment),
        (joined[0].member_id.as_str(), false)
    );
    assert_eq!(context.state(), "Stable");
    // It gets what its predecessor had, and the log knows its new id.
    let token = context.send_sync(&back, &[]);
    assert_eq!(
        context.synced(token).assignment,
        joined[1].member_id.as_bytes()
    );
    let stored = context.stored_from_log();
    let Some(StoredGroup::Classic(value)) = stored.groups.get(GROUP) else {
        panic!("{stored:?}")
    };
    assert!(
        value
            .members
            .iter()
            .any(|member| member.member_id == back.member_id)
    );
    assert_eq!(
        context.heartbeat(&joined[1].member_id, 1),
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn a_restarted_leader_keeps_the_assignment() {
    let mut context = Context::new();
    let joined = stable(&mut context);
    let back = context.join(Join::fixed("one"));
    assert!(back.skip_assignment);
    assert_eq!(
        (back.leader.as_str(), back.members.len()),
        (back.member_id.as_str(), 2)
    );
    // Before version 9 a leader could not be told: it is told that another one leads.
    let older = context.join(Join {
        api_version: 8,
        ..Join::fixed("one")
    });
    assert_eq!(
        (older.leader.as_str(), older.members.len()),
        (back.member_id.as_str(), 0)
    );
    assert!(!older.skip_assignment);
    assert_ne!(older.member_id, joined[0].member_id);
    assert_eq!(context.state(), "Stable");
}

#[test]
fn a_predecessor_is_fenced() {
    let mut context = Context::new();
    let joined = stable(&mut context);
    let back = context.join(Join::fixed("two"));
    let stale = SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id: 1,
        member_id: joined[1].member_id.clone(),
        group_instance_id: Some("two".into()),
        ..SyncGroupRequest::default()
    };
    let token = context.send(GroupRequest::Sync(stale));
    assert_eq!(
        error(context.synced(token).error_code),
        ErrorCode::FencedInstanceId
    );
    let stale = context.join(Join::fixed("two").member(&joined[1].member_id));
    assert_eq!(error(stale.error_code), ErrorCode::FencedInstanceId);
    let left = context.leave(vec![identity(&joined[1].member_id, Some("two"))]);
    assert_eq!(
        error(left.members[0].error_code),
        ErrorCode::FencedInstanceId
    );
    assert_eq!(context.heartbeat(&back.member_id, 1), ErrorCode::None);
}

#[test]
fn who_waits_under_the_old_id_is_fenced() {
    let mut context = Context::new();
    let first = context.send_join(Join::fixed("one"));
    let second = context.send_join(Join::fixed("one"));
    assert_eq!(
        error(context.joined(first).error_code),
        ErrorCode::FencedInstanceId
    );
    context.sleep(2 * INITIAL_DELAY_MS);
    assert_eq!(context.joined(second).generation_id, 1);
}

#[test]
fn a_restart_in_the_middle_of_a_rebalance_starts_another() {
    let mut context = Context::new();
    let tokens = ["one", "two"].map(|id| context.send_join(Join::fixed(id)));
    context.sleep(2 * INITIAL_DELAY_MS);
    let joined = tokens.map(|token| context.joined(token));
    let waiting = context.send_sync(&joined[1], &[]);
    let back = context.send_join(Join::fixed("two"));
    assert_eq!(
        error(context.synced(waiting).error_code),
        ErrorCode::FencedInstanceId
    );
    assert!(context.is_waiting(back));
    assert_eq!(context.state(), "PreparingRebalance");
}

#[test]
fn another_protocol_means_another_generation() {
    let mut context = Context::new();
    let token = context.send_join(Join::fixed("one").protocols(&[("range", ""), ("sticky", "")]));
    context.sleep(INITIAL_DELAY_MS);
    let joined = context.joined(token);
    context.sync_all(&[joined]);
    let changed = context.join(Join::fixed("one").protocols(&[("sticky", ""), ("range", "")]));
    assert_eq!(
        (changed.generation_id, changed.protocol_name.as_deref()),
        (2, Some("sticky"))
    );
}

#[test]
fn an_absent_static_member_stays_until_its_session_ends() {
    let mut context = Context::new();
    let joined = stable(&mut context);
    context.sleep(i64::from(SESSION_MS) - 1);
    context.heartbeat(&joined[0].member_id, 1);
    assert_eq!(context.state(), "Stable");
    context.sleep(1);
    assert_eq!(context.state(), "PreparingRebalance");
}

#[test]
fn an_administrator_removes_by_instance_id() {
    let mut context = Context::new();
    stable(&mut context);
    let left = context.leave(vec![identity("", Some("two")), identity("", Some("three"))]);
    let errors: Vec<_> = left
        .members
        .iter()
        .map(|member| error(member.error_code))
        .collect();
    assert_eq!(errors, [ErrorCode::None, ErrorCode::UnknownMemberId]);
    assert_eq!(context.state(), "PreparingRebalance");
}

#[test]
fn a_new_id_that_cannot_be_stored_is_not_given_out() {
    let mut context = Context::new();
    let joined = stable(&mut context);
    context.failure = Some(ErrorCode::KafkaStorageError);
    let back = context.join(Join::fixed("two"));
    assert_eq!(error(back.error_code), ErrorCode::NotCoordinator);
    assert_eq!(context.heartbeat(&joined[1].member_id, 1), ErrorCode::None);
}
