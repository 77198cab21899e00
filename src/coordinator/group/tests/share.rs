//! Share groups: heartbeats, states that are begun and forgotten, and what their records add up to.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::*;
use super::topics::image_of;
use crate::coordinator::group::{
    Caller, GroupReply, GroupRequest, InitializeState, SharePartitions, ShareReply, ShareRequest,
    StoredGroup,
};
use crate::protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use crate::protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use crate::protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
};
use crate::protocol::{ErrorCode, Uuid};

/// Longer than the interval between target assignments.
const LATER_MS: i64 = 2_000;

fn context() -> Context {
    let context = Context::new();
    context
        .image
        .store(Arc::new(image_of(&[("t", 4), ("u", 1)])));
    let mut context = context;
    context.restart();
    context
}

fn ask(context: &mut Context, request: ShareRequest) -> ShareReply {
    match context.ask(GroupRequest::Share(request)) {
        GroupReply::Share(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn heartbeat(
    context: &mut Context,
    member: &str,
    member_epoch: i32,
    topics: Option<&[&str]>,
) -> (ShareGroupHeartbeatResponse, Option<InitializeState>) {
    let caller = Caller {
        api_version: 1,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        fresh_id: String::new(),
    };
    let request = ShareGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member.into(),
        member_epoch,
        subscribed_topic_names: topics.map(|t| t.iter().map(|t| t.to_string()).collect()),
        ..Default::default()
    };
    match ask(context, ShareRequest::Heartbeat(caller, request)) {
        ShareReply::Heartbeat(response, initialize) => (response, initialize),
        other => panic!("{other:?}"),
    }
}

/// Joins, or goes on; the response has no error.
fn beat(context: &mut Context, member: &str, epoch: i32) -> ShareGroupHeartbeatResponse {
    let (response, _) = heartbeat(context, member, epoch, Some(&["t"]));
    assert_eq!(response.error_code, 0, "{response:?}");
    response
}

fn partitions(response: &ShareGroupHeartbeatResponse) -> Vec<i32> {
    let assignment = response.assignment.as_ref();
    let topics = assignment.into_iter().flat_map(|a| &a.topic_partitions);
    topics.flat_map(|topic| topic.partitions.clone()).collect()
}

fn all_of(initialize: &InitializeState) -> SharePartitions {
    let offsets = initialize.start_offsets.iter();
    offsets
        .map(|(topic, offsets)| (*topic, offsets.keys().copied().collect()))
        .collect()
}

fn initialized(context: &mut Context, initialize: &InitializeState, is_done: bool) {
    let request = ShareRequest::Initialized {
        group: GROUP.into(),
        partitions: all_of(initialize),
        is_done,
    };
    assert_eq!(ask(context, request), ShareReply::Done);
}

/// A member that has all four partitions of "t", and its epoch.
fn with_member(context: &mut Context) -> i32 {
    let (joined, initialize) = heartbeat(context, "a", 0, Some(&["t"]));
    assert_eq!(joined.error_code, 0, "{joined:?}");
    assert!(partitions(&joined).is_empty(), "no partition has a state");
    initialized(context, &initialize.expect("states are to begin"), true);
    context.sleep(LATER_MS);
    let response = beat(context, "a", joined.member_epoch);
    assert_eq!(partitions(&response), [0, 1, 2, 3]);
    response.member_epoch
}

#[test]
fn partitions_are_assigned_once_they_have_a_state() {
    let mut context = context();
    let epoch = with_member(&mut context);
    let (again, initialize) = heartbeat(&mut context, "a", epoch, None);
    assert_eq!((again.member_epoch, again.assignment), (epoch, None));
    assert_eq!(initialize, None, "nothing is missing");
    assert_eq!(context.stored_from_log(), *context.shard.stored());
    context.restart();
    let (again, initialize) = heartbeat(&mut context, "a", epoch, None);
    assert_eq!((again.error_code, initialize), (0, None));
}

#[test]
fn states_are_asked_for_again_when_they_could_not_begin() {
    let mut context = context();
    let (joined, initialize) = heartbeat(&mut context, "a", 0, Some(&["t", "nothing"]));
    let initialize = initialize.unwrap();
    assert_eq!(initialize.start_offsets.len(), 1);
    let (_, again) = heartbeat(&mut context, "a", joined.member_epoch, None);
    assert_eq!(again, None, "it is under way");
    initialized(&mut context, &initialize, false);
    let (_, again) = heartbeat(&mut context, "a", joined.member_epoch, None);
    assert_eq!(all_of(&again.unwrap()), all_of(&initialize));
    // Whoever was to begin them may have died.
    context.restart();
    let (_, again) = heartbeat(&mut context, "a", joined.member_epoch, None);
    assert_eq!(all_of(&again.unwrap()), all_of(&initialize));
}

#[test]
fn members_share_and_take_over() {
    let mut context = context();
    let epoch = with_member(&mut context);
    let second = beat(&mut context, "b", 0);
    context.sleep(LATER_MS);
    let second = beat(&mut context, "b", second.member_epoch);
    assert_eq!(partitions(&second).len(), 2);
    let first = beat(&mut context, "a", epoch);
    assert_eq!(partitions(&first).len(), 2);
    let (left, _) = heartbeat(&mut context, "b", -1, None);
    assert_eq!((left.error_code, left.member_epoch), (0, -1));
    context.sleep(LATER_MS);
    let first = beat(&mut context, "a", first.member_epoch);
    assert_eq!(partitions(&first), [0, 1, 2, 3]);
    assert_eq!(context.stored_from_log(), *context.shard.stored());
}

#[test]
fn members_that_are_silent_are_fenced() {
    let mut context = context();
    let epoch = with_member(&mut context);
    context.restart();
    context.sleep(46_000);
    let (response, _) = heartbeat(&mut context, "a", epoch, None);
    assert_eq!(error(response.error_code), ErrorCode::UnknownMemberId);
    assert_eq!(context.stored_from_log(), *context.shard.stored());
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut context = context();
    let refused = |context: &mut Context, member: &str, epoch, topics| {
        let before = context.log.len();
        let (response, initialize) = heartbeat(context, member, epoch, topics);
        assert_eq!((context.log.len(), initialize), (before, None));
        error(response.error_code)
    };
    let t: Option<&[&str]> = Some(&["t"]);
    assert_eq!(refused(&mut context, "a", 1, t), ErrorCode::GroupIdNotFound);
    assert_eq!(refused(&mut context, "", 0, t), ErrorCode::InvalidRequest);
    assert_eq!(
        refused(&mut context, "a", 0, None),
        ErrorCode::InvalidRequest
    );
    assert_eq!(refused(&mut context, "a", -2, t), ErrorCode::InvalidRequest);
    let epoch = with_member(&mut context);
    assert_eq!(refused(&mut context, "b", 1, t), ErrorCode::UnknownMemberId);
    let fenced = ErrorCode::FencedMemberEpoch;
    assert_eq!(refused(&mut context, "a", epoch + 1, t), fenced);
    assert_eq!(refused(&mut context, "a", epoch - 2, t), fenced);
    assert_eq!(
        beat(&mut context, "a", epoch - 1).member_epoch,
        epoch,
        "the answer was lost"
    );
    context.commit("", -1, 1);
    let classic = context.join(Join::new("client"));
    assert_eq!(
        error(classic.error_code),
        ErrorCode::InconsistentGroupProtocol
    );
}

#[test]
fn offsets_are_altered_and_deleted_while_nobody_is_there() {
    let mut context = context();
    let alter = || {
        ShareRequest::AlterOffsets(AlterShareGroupOffsetsRequest {
            group_id: GROUP.into(),
            topics: vec![AlterShareGroupOffsetsRequestTopic {
                topic_name: "t".into(),
                partitions: [1, 9]
                    .map(|partition_index| AlterShareGroupOffsetsRequestPartition {
                        partition_index,
                        start_offset: 7,
                    })
                    .to_vec(),
            }],
        })
    };
    let ShareReply::AlterOffsets(response, Some(initialize)) = ask(&mut context, alter()) else {
        panic!()
    };
    let codes = response.responses[0]
        .partitions
        .iter()
        .map(|p| error(p.error_code));
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(codes.collect::<Vec<_>>(), [ErrorCode::None, unknown]);
    let offsets: Vec<_> = initialize.start_offsets.values().collect();
    assert_eq!(offsets, [&BTreeMap::from([(1, 7)])]);
    initialized(&mut context, &initialize, true);
    let delete = |name: &str| {
        ShareRequest::DeleteOffsets(DeleteShareGroupOffsetsRequest {
            group_id: GROUP.into(),
            topics: vec![DeleteShareGroupOffsetsRequestTopic {
                topic_name: name.into(),
            }],
        })
    };
    let ShareReply::DeleteOffsets(Ok(deletion)) = ask(&mut context, delete("u")) else {
        panic!()
    };
    assert_eq!(error(deletion.refused[0].error_code), unknown);
    let ShareReply::DeleteOffsets(Ok(deletion)) = ask(&mut context, delete("t")) else {
        panic!()
    };
    assert_eq!(deletion.partitions, all_of(&initialize));
    let topics: BTreeMap<Uuid, String> = deletion
        .partitions
        .keys()
        .map(|id| (*id, "t".to_string()))
        .collect();
    let deleted = ShareRequest::OffsetsDeleted {
        group: GROUP.into(),
        topics,
        refused: Vec::new(),
    };
    let ShareReply::OffsetsDeleted(response) = ask(&mut context, deleted) else {
        panic!()
    };
    assert_eq!(response.responses[0].topic_name, "t");
    assert_eq!(context.stored_from_log(), *context.shard.stored());
    with_member(&mut context);
    let ShareReply::AlterOffsets(response, None) = ask(&mut context, alter()) else {
        panic!()
    };
    assert_eq!(error(response.error_code), ErrorCode::NonEmptyGroup);
    let ShareReply::DeleteOffsets(Err(refusal)) = ask(&mut context, delete("t")) else {
        panic!()
    };
    assert_eq!(refusal.code, ErrorCode::NonEmptyGroup);
}

#[test]
fn a_group_is_deleted_after_its_states() {
    let mut context = context();
    with_member(&mut context);
    let begin = || ShareRequest::BeginDeletion(GROUP.into());
    let refused = ask(&mut context, begin());
    assert_eq!(
        refused,
        ShareReply::BeginDeletion(Err(ErrorCode::NonEmptyGroup))
    );
    heartbeat(&mut context, "a", -1, None);
    let ShareReply::BeginDeletion(Ok(states)) = ask(&mut context, begin()) else {
        panic!()
    };
    assert_eq!(states.values().map(|p| p.len()).sum::<usize>(), 4);
    // It is told again if the share coordinator could not do it.
    let ShareReply::BeginDeletion(Ok(again)) = ask(&mut context, begin()) else {
        panic!()
    };
    assert_eq!(again, states);
    let GroupReply::Delete(results) = context.ask(GroupRequest::Delete(vec![GROUP.into()])) else {
        panic!()
    };
    assert_eq!(error(results[0].error_code), ErrorCode::None);
    assert_eq!(context.stored_from_log(), Default::default());
}

#[test]
fn topics_that_are_gone_have_no_states() {
    let mut context = context();
    with_member(&mut context);
    let Some(StoredGroup::Share(group)) = context.shard.stored().groups.get(GROUP) else {
        panic!()
    };
    let topic = *group
        .state_partitions
        .as_ref()
        .unwrap()
        .initialized
        .keys()
        .next()
        .unwrap();
    let gone = GroupRequest::TopicsDeleted(vec![("t".into(), topic)]);
    assert_eq!(context.ask(gone), GroupReply::TopicsDeleted);
    let reply = ask(
        &mut context,
        ShareRequest::InitializedPartitions(GROUP.into()),
    );
    assert_eq!(
        reply,
        ShareReply::InitializedPartitions(SharePartitions::new())
    );
}
