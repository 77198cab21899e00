//! How members come, stay and go.
use super::context::*;
use crate::coordinator::group::{GroupConfig, StoredGroup};
use crate::protocol::ErrorCode;

#[test]
fn a_new_member_is_told_its_id_and_joins_with_it() {
    let mut context = Context::new();
    let told = context.join(Join::new("client"));
    assert_eq!(error(told.error_code), ErrorCode::MemberIdRequired);
    assert_eq!(told.member_id, "client-id0");
    // As Kafka, the group exists from now on.
    assert!(matches!(
        context.stored_from_log().groups.get(GROUP),
        Some(StoredGroup::Classic(_))
    ));

    let token = context.send_join(Join::new("client").member(&told.member_id));
    context.sleep(INITIAL_DELAY_MS - 1);
    assert!(context.is_waiting(token));
    context.sleep(1);
    let joined = context.joined(token);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!(
        (joined.leader.as_str(), joined.members.len()),
        ("client-id0", 1)
    );
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(context.state(), "CompletingRebalance");
    context.sync_all(&[joined]);
}

#[test]
fn an_id_that_is_never_used_is_forgotten() {
    let mut context = Context::new();
    let told = context.join(Join::new("client"));
    context.sleep(SESSION_MS.into());
    let late = context.join(Join::new("client").member(&told.member_id));
    assert_eq!(error(late.error_code), ErrorCode::UnknownMemberId);
}

#[test]
fn the_first_rebalance_waits_as_long_as_members_keep_coming() {
    let mut context = Context::new();
    let first = context.send_join(Join::old("a"));
    context.sleep(INITIAL_DELAY_MS - 1);
    let second = context.send_join(Join::old("b"));
    context.sleep(1);
    assert!(context.is_waiting(first), "extended because b came");
    context.sleep(INITIAL_DELAY_MS);
    let (a, b) = (context.joined(first), context.joined(second));
    assert_eq!((a.generation_id, b.generation_id), (1, 1));
    assert_eq!(
        (a.members.len(), b.members.len()),
        (2, 0),
        "only the leader sees all"
    );
    assert_eq!(a.leader, a.member_id);
}

#[test]
fn three_members_and_one_that_comes_later() {
    let mut context = Context::new();
    let joined = context.stable_group(3);
    let late = context.send_join(Join::old("late"));
    assert_eq!(context.state(), "PreparingRebalance");
    for member in &joined {
        assert_eq!(
            context.heartbeat(&member.member_id, 1),
            ErrorCode::RebalanceInProgress
        );
    }
    let mut tokens: Vec<_> = joined
        .iter()
        .map(|member| context.send_join(Join::old("m").member(&member.member_id)))
        .collect();
    tokens.push(late);
    let joined: Vec<_> = tokens
        .into_iter()
        .map(|token| context.joined(token))
        .collect();
    assert!(joined.iter().all(|member| member.generation_id == 2));
    assert_eq!(
        joined.iter().map(|member| member.members.len()).max(),
        Some(4)
    );
    context.sync_all(&joined);
    for member in &joined {
        assert_eq!(context.heartbeat(&member.member_id, 2), ErrorCode::None);
        assert_eq!(
            context.heartbeat(&member.member_id, 1),
            ErrorCode::IllegalGeneration
        );
    }
    assert_eq!(context.heartbeat("nobody", 2), ErrorCode::UnknownMemberId);
}

#[test]
fn who_does_not_rejoin_in_time_is_out() {
    let mut context = Context::new();
    let joined = context.stable_group(2);
    let token = context.send_join(
        Join::old("m")
            .member(&joined[0].member_id)
            .protocols(&[("range", "new")]),
    );
    // It keeps its session, but does not join.
    for _ in 0..6 {
        context.sleep(i64::from(REBALANCE_MS) / 6 - 1);
        context.heartbeat(&joined[1].member_id, 1);
    }
    assert!(context.is_waiting(token));
    context.sleep(6);
    let alone = context.joined(token);
    assert_eq!((alone.generation_id, alone.members.len()), (2, 1));
    assert_eq!(
        context.heartbeat(&joined[1].member_id, 1),
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn a_member_that_falls_silent_is_removed_and_the_rest_rebalance() {
    let mut context = Context::new();
    let joined = context.stable_group(2);
    context.sleep(i64::from(SESSION_MS) - 1);
    assert_eq!(context.heartbeat(&joined[0].member_id, 1), ErrorCode::None);
    context.sleep(1);
    assert_eq!(context.state(), "PreparingRebalance");
    assert_eq!(
        context.heartbeat(&joined[1].member_id, 1),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        context.heartbeat(&joined[0].member_id, 1),
        ErrorCode::RebalanceInProgress
    );
    let next = context.join(Join::old("m").member(&joined[0].member_id));
    assert_eq!((next.error_code, next.generation_id), (0, 2));
}

#[test]
fn a_commit_keeps_the_session() {
    let mut context = Context::new();
    let joined = context.stable_group(1);
    for offset in 0..3 {
        context.sleep(i64::from(SESSION_MS) - 1);
        assert_eq!(
            context.commit(&joined[0].member_id, 1, offset),
            ErrorCode::None
        );
    }
}

#[test]
fn who_gets_a_generation_but_never_syncs_is_removed() {
    let mut context = Context::new();
    let tokens = [
        context.send_join(Join::old("a")),
        context.send_join(Join::old("b")),
    ];
    context.sleep(2 * INITIAL_DELAY_MS);
    let joined = tokens.map(|token| context.joined(token));
    let waiting = context.send_sync(&joined[1], &[]);
    for _ in 0..5 {
        context.sleep(i64::from(SESSION_MS) - 1);
        assert_eq!(context.heartbeat(&joined[0].member_id, 1), ErrorCode::None);
    }
    assert!(context.is_waiting(waiting));
    context.sleep(SESSION_MS.into());
    let synced = context.synced(waiting);
    assert_eq!(error(synced.error_code), ErrorCode::RebalanceInProgress);
    assert_eq!(context.state(), "PreparingRebalance");
}

#[test]
fn the_last_to_leave_turns_off_the_light() {
    let mut context = Context::new();
    let joined = context.stable_group(2);
    let left = context.leave(vec![
        identity(&joined[0].member_id, None),
        identity("nobody", None),
        identity(&joined[1].member_id, None),
    ]);
    let errors: Vec<_> = left
        .members
        .iter()
        .map(|member| error(member.error_code))
        .collect();
    assert_eq!(
        errors,
        [ErrorCode::None, ErrorCode::UnknownMemberId, ErrorCode::None]
    );
    assert_eq!(context.state(), "Empty");
    let stored = context.stored_from_log();
    let Some(StoredGroup::Classic(value)) = stored.groups.get(GROUP) else {
        panic!("{stored:?}")
    };
    assert_eq!((value.generation, value.members.len()), (2, 0));
    assert_eq!(
        (value.protocol_type.as_str(), &value.protocol),
        ("consumer", &None)
    );
    assert!(
        context.shard.live.is_empty(),
        "nothing is kept of an empty group"
    );
    // The next generation goes on counting, also after a restart.
    context.restart();
    let token = context.send_join(Join::old("c"));
    context.sleep(INITIAL_DELAY_MS);
    assert_eq!(context.joined(token).generation_id, 3);
}

#[test]
fn leaving_while_others_wait_lets_them_go_on() {
    let mut context = Context::new();
    let joined = context.stable_group(2);
    let token = context.send_join(Join::old("m").member(&joined[0].member_id));
    assert!(context.is_waiting(token));
    context.leave(vec![identity(&joined[1].member_id, None)]);
    assert_eq!(context.joined(token).generation_id, 2);
}

#[test]
fn votes_choose_among_what_all_speak() {
    let mut context = Context::new();
    let speaks = |names: &[&str]| {
        let protocols: Vec<_> = names.iter().map(|name| (*name, "")).collect();
        Join::old("m").protocols(&protocols)
    };
    let tokens = [
        context.send_join(speaks(&["sticky", "range", "only-mine"])),
        context.send_join(speaks(&["range", "sticky"])),
        context.send_join(speaks(&["range", "sticky"])),
    ];
    let stranger = context.join(speaks(&["unheard-of"]));
    assert_eq!(
        error(stranger.error_code),
        ErrorCode::InconsistentGroupProtocol
    );
    let connect = context.join(Join {
        protocol_type: "connect".into(),
        ..speaks(&["range"])
    });
    assert_eq!(
        error(connect.error_code),
        ErrorCode::InconsistentGroupProtocol
    );
    context.sleep(2 * INITIAL_DELAY_MS);
    for token in tokens {
        assert_eq!(
            context.joined(token).protocol_name.as_deref(),
            Some("range")
        );
    }
}

#[test]
fn a_repeated_join_gets_the_same_generation() {
    let mut context = Context::new();
    let joined = context.stable_group(2);
    let (leader, follower) = (&joined[0], &joined[1]);
    assert_eq!(leader.leader, leader.member_id);
    let again = context.join(Join::old("m").member(&follower.member_id));
    assert_eq!((again.generation_id, again.members.len()), (1, 0));
    assert_eq!(context.state(), "Stable");
    // The leader rejoins to assign anew.
    let token = context.send_join(Join::old("m").member(&leader.member_id));
    assert!(context.is_waiting(token));
    assert_eq!(context.state(), "PreparingRebalance");
}

#[test]
fn a_group_has_a_size() {
    let mut context = Context::with(GroupConfig {
        max_size: 2,
        ..GroupConfig::default()
    });
    let joined = context.stable_group(2);
    let third = context.join(Join::old("third"));
    assert_eq!(error(third.error_code), ErrorCode::GroupMaxSizeReached);
    assert_eq!(context.heartbeat(&joined[0].member_id, 1), ErrorCode::None);
}

#[test]
fn a_group_that_became_too_large_rebalances_when_it_is_loaded() {
    let mut context = Context::new();
    context.stable_group(3);
    context.shard.config.max_size = 2;
    context.restart();
    assert_eq!(context.state(), "PreparingRebalance");
}

#[test]
fn members_survive_a_restart_and_the_silent_ones_are_found_out() {
    let mut context = Context::new();
    let joined = context.stable_group(2);
    context.restart();
    assert_eq!(context.state(), "Stable");
    assert_eq!(context.heartbeat(&joined[0].member_id, 1), ErrorCode::None);
    let again = context.send_sync(&joined[1], &[]);
    assert_eq!(
        context.synced(again).assignment,
        joined[1].member_id.as_bytes()
    );
    context.sleep(i64::from(SESSION_MS) - 1);
    context.heartbeat(&joined[0].member_id, 1);
    context.sleep(1);
    assert_eq!(
        context.heartbeat(&joined[0].member_id, 1),
        ErrorCode::RebalanceInProgress
    );
}

#[test]
fn an_assignment_that_cannot_be_stored_is_not_given_out() {
    let mut context = Context::new();
    let tokens = [
        context.send_join(Join::old("a")),
        context.send_join(Join::old("b")),
    ];
    context.sleep(2 * INITIAL_DELAY_MS);
    let joined = tokens.map(|token| context.joined(token));
    let follower = context.send_sync(&joined[1], &[]);
    context.failure = Some(ErrorCode::KafkaStorageError);
    let leader = context.send_sync(&joined[0], &[(&joined[0].member_id, "x")]);
    for token in [leader, follower] {
        assert_eq!(
            error(context.synced(token).error_code),
            ErrorCode::NotCoordinator
        );
    }
    assert_eq!(context.state(), "PreparingRebalance");
}

#[test]
fn a_group_that_cannot_be_stored_does_not_exist() {
    let mut context = Context::new();
    context.failure = Some(ErrorCode::NotEnoughReplicas);
    let parked = context.send_join(Join::old("a"));
    assert_eq!(
        error(context.joined(parked).error_code),
        ErrorCode::CoordinatorNotAvailable
    );
    let told = context.send_join(Join::new("a"));
    assert_eq!(
        context.answer(told),
        Some(Err(ErrorCode::CoordinatorNotAvailable))
    );
    assert_eq!(context.state(), "Dead");
    assert!(context.shard.live.is_empty());
}
