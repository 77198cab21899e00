//! Committing, fetching, deleting and forgetting offsets.
use std::sync::Arc;

use bytes::Bytes;

use super::context::*;
use crate::coordinator::group::shard::{GroupReply, GroupRequest};
use crate::coordinator::group::{GroupConfig, StoredGroup};
use crate::coordinator::shard::Token;
use crate::protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use crate::protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use crate::protocol::messages::{OffsetCommitRequest, OffsetDeleteRequest, TxnOffsetCommitRequest};
use crate::protocol::wire::Writer;
use crate::protocol::{ErrorCode, Uuid};

const RETENTION_MS: i64 = 7 * 24 * 60 * 60 * 1000;

#[test]
fn a_simple_consumer_commits_without_joining() {
    let mut context = Context::new();
    assert_eq!(context.offset(), -1);
    assert_eq!(context.commit("", -1, 42), ErrorCode::None);
    assert_eq!(context.offset(), 42);
    assert_eq!(
        context.fetch(GROUP, false).metadata.as_deref(),
        Some("note")
    );
    assert_eq!(context.state(), "Empty");
    context.restart();
    assert_eq!(context.offset(), 42);
}

#[test]
fn a_member_must_be_of_the_generation_it_commits_for() {
    let mut context = Context::new();
    let joined = context.stable_group(1);
    let id = joined[0].member_id.as_str();
    assert_eq!(context.commit(id, 1, 1), ErrorCode::None);
    assert_eq!(context.commit(id, 0, 2), ErrorCode::IllegalGeneration);
    assert_eq!(context.commit("nobody", 1, 3), ErrorCode::UnknownMemberId);
    assert_eq!(context.commit("", -1, 4), ErrorCode::UnknownMemberId);
    assert_eq!(context.offset(), 1);
    let rejoined = context.join(Join::old("m").member(id));
    assert_eq!(rejoined.generation_id, 2);
    assert_eq!(context.commit(id, 2, 5), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_member_of_a_group_that_is_gone_learns_it() {
    let mut context = Context::new();
    let request = || commit_request("m", 3, 1);
    assert_eq!(
        context.commit_request(9, request()),
        ErrorCode::GroupIdNotFound
    );
    assert_eq!(
        context.commit_request(8, request()),
        ErrorCode::IllegalGeneration
    );
}

#[test]
fn metadata_has_a_limit() {
    let mut context = Context::with(GroupConfig {
        offset_metadata_max_bytes: 3,
        ..GroupConfig::default()
    });
    assert_eq!(context.commit("", -1, 1), ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(context.offset(), -1);
    assert!(context.log.is_empty());
}

#[test]
fn a_commit_that_cannot_be_stored_has_not_happened() {
    let mut context = Context::new();
    context.failure = Some(ErrorCode::KafkaStorageError);
    let request = GroupRequest::OffsetCommit {
        api_version: 9,
        request: commit_request("", -1, 1).into(),
    };
    let token = context.send(request);
    assert_eq!(context.answer(token), Some(Err(ErrorCode::NotCoordinator)));
    context.failure = None;
    assert_eq!((context.offset(), context.state().as_str()), (-1, "Dead"));
}

#[test]
fn records_are_kafkas_to_the_byte() {
    let mut context = Context::new();
    context.commit("", -1, 42);
    let super::context::Entry::Record(_, (key, value)) = &context.log[0] else {
        panic!()
    };
    assert_eq!(&key[..], b"\0\x01\0\x01g\0\x01t\0\0\0\0");
    // Version 4: offset, leader epoch -1, compact metadata, commit time, no tags.
    let mut expected = Writer::new();
    expected.i16(4);
    expected.i64(42);
    expected.i32(-1);
    expected.raw(b"\x05note");
    expected.i64(context.now.wall_ms);
    expected.raw(b"\0");
    assert_eq!(value.as_ref(), expected.finish().to_bytes().as_ref());
}

fn with_retention(retention_time_ms: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        retention_time_ms,
        ..commit_request("", -1, 7)
    }
}

#[test]
fn a_client_may_say_how_long_an_offset_lives() {
    let mut context = Context::new();
    assert_eq!(
        context.commit_request(4, with_retention(1_000)),
        ErrorCode::None
    );
    context.restart();
    assert_eq!(context.offset(), 7);
    context.sleep(600_000);
    assert_eq!((context.offset(), context.state().as_str()), (-1, "Dead"));
}

#[test]
fn a_simple_groups_offsets_expire_by_their_age() {
    let mut context = Context::new();
    context.commit("", -1, 1);
    context.sleep(RETENTION_MS / 2);
    assert_eq!(context.offset(), 1);
    context.commit("", -1, 2);
    context.sleep(RETENTION_MS - 1);
    assert_eq!(context.offset(), 2);
    context.sleep(600_000);
    assert_eq!((context.offset(), context.state().as_str()), (-1, "Dead"));
    assert_eq!(context.stored_from_log(), Default::default());
}

#[test]
fn an_empty_groups_offsets_expire_by_the_time_it_is_empty() {
    let mut context = Context::new();
    let joined = context.stable_group(1);
    context.commit(&joined[0].member_id, 1, 5);
    for _ in 0..RETENTION_MS / 1000 / 9 + 1 {
        context.sleep(9_000);
        context.heartbeat(&joined[0].member_id, 1);
    }
    assert_eq!(
        context.offset(),
        5,
        "its metadata cannot be read, so all topics are in use"
    );
    context.leave(vec![identity(&joined[0].member_id, None)]);
    context.sleep(RETENTION_MS - 1);
    assert_eq!(context.offset(), 5);
    context.sleep(600_000);
    assert_eq!((context.offset(), context.state().as_str()), (-1, "Dead"));
}

/// A ConsumerProtocolSubscription of version 0.
fn subscription(topic: &str) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(0);
    writer.i32(1);
    writer.string(topic, false).unwrap();
    writer.i32(-1);
    writer.finish().to_bytes().unwrap()
}

#[test]
fn a_living_group_keeps_the_offsets_of_its_topics_alone() {
    let mut context = Context::new();
    let join = Join {
        protocols: vec![("range".into(), subscription("t"))],
        ..Join::old("m")
    };
    let token = context.send_join(join);
    context.sleep(INITIAL_DELAY_MS);
    let joined = context.joined(token);
    let id = joined.member_id.clone();
    context.sync_all(&[joined]);
    let mut other = commit_request(&id, 1, 9);
    other.topics[0].name = "other".into();
    assert_eq!(context.commit_request(9, other), ErrorCode::None);
    context.commit(&id, 1, 5);

    let delete = context.ask(GroupRequest::OffsetDelete(OffsetDeleteRequest {
        group_id: GROUP.into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: "t".into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    }));
    let GroupReply::OffsetDelete(delete) = delete else {
        panic!("{delete:?}")
    };
    let refused = error(delete.topics[0].partitions[0].error_code);
    assert_eq!(refused, ErrorCode::GroupSubscribedToTopic);

    for _ in 0..(RETENTION_MS + 600_000) / 9_000 + 1 {
        context.sleep(9_000);
        context.heartbeat(&id, 1);
    }
    assert_eq!(context.offset(), 5);
    let kept: Vec<_> = context
        .shard
        .stored
        .offsets
        .group(GROUP)
        .unwrap()
        .keys()
        .collect();
    assert_eq!(kept, ["t"]);
}

/// Sent by a producer; `answer` tells what became of it.
pub fn transactional_commit(context: &mut Context, producer_id: i64, offset: i64) -> Token {
    let request = txn_commit(producer_id, ("", -1), offset);
    send_txn_commit(context, request)
}

fn txn_commit(producer_id: i64, member: (&str, i32), offset: i64) -> TxnOffsetCommitRequest {
    TxnOffsetCommitRequest {
        group_id: GROUP.into(),
        producer_id,
        member_id: member.0.into(),
        generation_id: member.1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![TxnOffsetCommitRequestPartition {
                committed_offset: offset,
                ..Default::default()
            }],
        }],
        ..Default::default()
    }
}

fn send_txn_commit(context: &mut Context, request: TxnOffsetCommitRequest) -> Token {
    context.send(GroupRequest::TxnOffsetCommit {
        request: Arc::new(request),
        verification: None,
    })
}

#[test]
fn who_commits_in_a_transaction_is_asked_who_it_is_if_it_says_so() {
    let mut context = Context::new();
    let commit = |context: &mut Context, member: (&str, i32)| {
        let token = send_txn_commit(context, txn_commit(9, member, 5));
        match context.answer(token) {
            Some(Ok(GroupReply::TxnOffsetCommit(response))) => {
                error(response.topics[0].partitions[0].error_code)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(commit(&mut context, ("", 3)), ErrorCode::IllegalGeneration);
    assert_eq!(commit(&mut context, ("", -1)), ErrorCode::None);
    let joined = context.stable_group(1);
    let (member, generation) = (joined[0].member_id.as_str(), joined[0].generation_id);
    for (member, generation, expected) in [
        (member, generation, ErrorCode::None),
        ("", -1, ErrorCode::None),
        (member, generation - 1, ErrorCode::IllegalGeneration),
        (member, -1, ErrorCode::IllegalGeneration),
        ("stranger", generation, ErrorCode::UnknownMemberId),
        ("", generation, ErrorCode::UnknownMemberId),
    ] {
        let seen = commit(&mut context, (member, generation));
        assert_eq!(seen, expected, "{member:?} in {generation}");
    }
    context.end_transaction(9, true);
    assert_eq!(context.offset(), 5);
}

#[test]
fn offsets_of_an_open_transaction_are_unstable() {
    let mut context = Context::new();
    context.commit("", -1, 1);
    transactional_commit(&mut context, 9, 5);
    assert_eq!(context.offset(), 1);
    let unstable = context.fetch(GROUP, true);
    assert_eq!(error(unstable.error_code), ErrorCode::UnstableOffsetCommit);
    assert_eq!(unstable.committed_offset, -1);
    context.restart();
    assert_eq!(
        error(context.fetch(GROUP, true).error_code),
        ErrorCode::UnstableOffsetCommit
    );
    context.end_transaction(9, true);
    assert_eq!(context.fetch(GROUP, true).committed_offset, 5);
    context.restart();
    assert_eq!(context.fetch(GROUP, true).committed_offset, 5);
}

#[test]
fn nothing_expires_under_an_open_transaction() {
    let mut context = Context::new();
    transactional_commit(&mut context, 9, 5);
    context.sleep(2 * RETENTION_MS);
    assert_eq!(context.state(), "Empty");
    context.end_transaction(9, false);
    context.sleep(600_000);
    assert_eq!(context.state(), "Dead");
}

#[test]
fn a_deleted_group_leaves_nothing() {
    let mut context = Context::new();
    context.commit("", -1, 1);
    transactional_commit(&mut context, 9, 5);
    let delete = || GroupRequest::Delete(vec![GROUP.into(), "nobody".into()]);
    let GroupReply::Delete(results) = context.ask(delete()) else {
        panic!()
    };
    let errors: Vec<_> = results
        .iter()
        .map(|result| error(result.error_code))
        .collect();
    assert_eq!(errors, [ErrorCode::None, ErrorCode::GroupIdNotFound]);
    context.end_transaction(9, true);
    assert_eq!(context.offset(), -1);
    assert_eq!(context.stored_from_log(), Default::default());

    let joined = context.stable_group(1);
    let GroupReply::Delete(results) = context.ask(delete()) else {
        panic!()
    };
    assert_eq!(error(results[0].error_code), ErrorCode::NonEmptyGroup);
    context.leave(vec![identity(&joined[0].member_id, None)]);
    let GroupReply::Delete(results) = context.ask(delete()) else {
        panic!()
    };
    assert_eq!(error(results[0].error_code), ErrorCode::None);
    assert_eq!(context.stored_from_log(), Default::default());
}

#[test]
fn offsets_go_with_their_topic_but_not_with_its_namesake() {
    let mut context = Context::new();
    let (old, new) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let mut request = commit_request("", -1, 3);
    request.topics[0].topic_id = new;
    context.commit_request(10, request);
    let deleted = |id| GroupRequest::TopicsDeleted(vec![("t".into(), id)]);
    context.ask(deleted(old));
    assert_eq!(context.offset(), 3);
    context.ask(deleted(new));
    assert_eq!(context.offset(), -1);
    assert!(matches!(
        context.shard.stored.groups.get(GROUP),
        Some(StoredGroup::Simple)
    ));
}

#[test]
fn all_topics_are_fetched_when_none_is_named() {
    let mut context = Context::new();
    for (topic, offset) in [("t", 1), ("u", 2)] {
        let mut request = commit_request("", -1, offset);
        request.topics[0].name = topic.into();
        context.commit_request(9, request);
    }
    let request = OffsetFetchRequestGroup {
        group_id: GROUP.into(),
        topics: None,
        ..OffsetFetchRequestGroup::default()
    };
    let reply = context.ask(GroupRequest::OffsetFetch {
        request,
        require_stable: false,
    });
    let GroupReply::OffsetFetch(response) = reply else {
        panic!("{reply:?}")
    };
    let offsets: Vec<_> = response
        .topics
        .iter()
        .map(|topic| (topic.name.as_str(), topic.partitions[0].committed_offset))
        .collect();
    assert_eq!(offsets, [("t", 1), ("u", 2)]);
}
