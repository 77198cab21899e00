//! Consumer, share and streams groups: known by their records, served as far as classic APIs reach.
use bytes::Bytes;

use super::context::*;
use crate::coordinator::group::shard::{GroupReply, GroupRequest};
use crate::coordinator::group::{GroupConfig, MigrationPolicy, StoredGroup};
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_groups_response::ListedGroup;
use crate::protocol::records::group::*;
use crate::protocol::records::{encode_key, encode_value};
use crate::protocol::{Message, Record};

fn write<K: Record, V: Message>(context: &mut Context, key: &K, value: Option<&V>) {
    let value = value.map(|value| encode_value(value, V::MIN_VERSION).unwrap());
    context.write(None, encode_key(key).unwrap(), value);
}

fn consumer_group(context: &mut Context, with_member: bool) {
    let group_id = GROUP.to_string();
    if with_member {
        let key = ConsumerGroupMemberMetadataKey {
            group_id: group_id.clone(),
            member_id: "m".into(),
        };
        write(
            context,
            &key,
            Some(&ConsumerGroupMemberMetadataValue {
                classic_member_metadata: None,
                ..Default::default()
            }),
        );
    }
    let key = ConsumerGroupMetadataKey {
        group_id: group_id.clone(),
    };
    let value = ConsumerGroupMetadataValue {
        epoch: 2,
        ..Default::default()
    };
    write(context, &key, Some(&value));
    let key = ConsumerGroupTargetAssignmentMetadataKey {
        group_id: group_id.clone(),
    };
    let value = ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: 2,
        ..Default::default()
    };
    write(context, &key, Some(&value));
    if with_member {
        let key = ConsumerGroupCurrentMemberAssignmentKey {
            group_id,
            member_id: "m".into(),
        };
        let value = ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: 2,
            ..Default::default()
        };
        write(context, &key, Some(&value));
    }
    context.restart();
}

fn listed(context: &mut Context, states: &[&str], types: &[&str]) -> Vec<ListedGroup> {
    let strings = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    let request = GroupRequest::List {
        states: strings(states),
        types: strings(types),
    };
    match context.ask(request) {
        GroupReply::List(groups) => groups,
        other => panic!("not a list: {other:?}"),
    }
}

fn description(group: &ListedGroup) -> [&str; 3] {
    [&group.protocol_type, &group.group_state, &group.group_type]
}

#[test]
fn a_consumer_group_is_listed_and_not_described() {
    let mut context = Context::new();
    consumer_group(&mut context, true);
    let groups = listed(&mut context, &[], &[]);
    assert_eq!(description(&groups[0]), ["consumer", "Stable", "consumer"]);
    assert_eq!(listed(&mut context, &["stable"], &["CONSUMER"]).len(), 1);
    assert_eq!(listed(&mut context, &["empty"], &[]).len(), 0);
    assert_eq!(
        listed(&mut context, &[], &["classic", "no-such-type"]).len(),
        0
    );

    let groups = vec![GROUP.to_string(), "nobody".to_string()];
    for (api_version, code) in [(5, ErrorCode::None), (6, ErrorCode::GroupIdNotFound)] {
        let request = GroupRequest::Describe {
            api_version,
            groups: groups.clone(),
        };
        let GroupReply::Describe(described) = context.ask(request) else {
            panic!()
        };
        for group in &described {
            assert_eq!(
                (error(group.error_code), group.group_state.as_str()),
                (code, "Dead")
            );
        }
        let text = described.iter().map(|group| group.error_message.as_deref());
        let expected = match api_version {
            5 => [None, None],
            _ => [
                Some("Group g is not a classic group."),
                Some("Group nobody not found."),
            ],
        };
        assert_eq!(text.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn classic_members_do_not_enter_a_consumer_group_that_does_not_migrate() {
    let mut config = GroupConfig::default();
    config.consumer.migration_policy = MigrationPolicy::Disabled;
    let mut context = Context::with(config);
    consumer_group(&mut context, true);
    let refused = context.join(Join::new("client"));
    assert_eq!(
        error(refused.error_code),
        ErrorCode::InconsistentGroupProtocol
    );
    assert_eq!(context.heartbeat("m", 2), ErrorCode::UnknownMemberId);
    assert_eq!(
        context.commit("m", 2, 5),
        ErrorCode::None,
        "a member's own commit counts"
    );
    assert_eq!(context.commit("m", 1, 6), ErrorCode::StaleMemberEpoch);
    assert_eq!(context.commit("", -1, 7), ErrorCode::UnknownMemberId);
    assert_eq!(context.offset(), 5);
    let GroupReply::Delete(results) = context.ask(GroupRequest::Delete(vec![GROUP.into()])) else {
        panic!()
    };
    assert_eq!(error(results[0].error_code), ErrorCode::NonEmptyGroup);
}

#[test]
fn an_empty_consumer_group_becomes_classic_with_its_offsets() {
    let mut context = Context::new();
    consumer_group(&mut context, false);
    assert_eq!(context.commit("", -1, 5), ErrorCode::None);
    let written = context.log.len();
    let told = context.join(Join::new("client"));
    assert_eq!(error(told.error_code), ErrorCode::MemberIdRequired);
    let keys: Vec<i16> = context.log[written..]
        .iter()
        .map(|entry| match entry {
            Entry::Record(_, (key, value)) => {
                assert_eq!(
                    value.is_none(),
                    key[1] != 2,
                    "tombstones for all but the new group"
                );
                i16::from(key[1])
            }
            Entry::Marker { .. } => panic!("no marker"),
        })
        .collect();
    assert_eq!(keys, [6, 4, 3, 2]);
    let groups = listed(&mut context, &[], &[]);
    assert_eq!(description(&groups[0]), ["", "Empty", "classic"]);
    context.restart();
    assert_eq!(context.offset(), 5);
    assert!(matches!(
        context.shard.stored.groups.get(GROUP),
        Some(StoredGroup::Classic(_))
    ));
}

#[test]
fn an_empty_consumer_group_can_be_deleted() {
    let mut context = Context::new();
    consumer_group(&mut context, false);
    context.commit("", -1, 5);
    let GroupReply::Delete(results) = context.ask(GroupRequest::Delete(vec![GROUP.into()])) else {
        panic!()
    };
    assert_eq!(error(results[0].error_code), ErrorCode::None);
    assert_eq!(context.stored_from_log(), Default::default());
}

#[test]
fn a_share_group_is_known_and_left_alone() {
    let mut context = Context::new();
    let key = ShareGroupMetadataKey {
        group_id: GROUP.into(),
    };
    write(
        &mut context,
        &key,
        Some(&ShareGroupMetadataValue::default()),
    );
    let key = ShareGroupStatePartitionMetadataKey {
        group_id: GROUP.into(),
    };
    write(
        &mut context,
        &key,
        Some(&ShareGroupStatePartitionMetadataValue::default()),
    );
    let groups = listed(&mut context, &[], &[]);
    assert_eq!(description(&groups[0]), ["share", "Empty", "share"]);
    let refused = context.join(Join::new("client"));
    assert_eq!(
        error(refused.error_code),
        ErrorCode::InconsistentGroupProtocol
    );
    assert_eq!(context.commit("", -1, 1), ErrorCode::GroupIdNotFound);
    assert_eq!(context.offset(), -1);
    context.sleep(30 * 24 * 60 * 60 * 1000);
    assert_eq!(context.log.len(), 2);
}

#[test]
fn a_streams_group_is_listed() {
    let mut context = Context::new();
    let key = StreamsGroupMetadataKey {
        group_id: GROUP.into(),
    };
    let value = StreamsGroupMetadataValue {
        epoch: 3,
        ..Default::default()
    };
    write(&mut context, &key, Some(&value));
    let groups = listed(&mut context, &[], &["streams"]);
    assert_eq!(description(&groups[0]), ["streams", "Empty", "streams"]);
    let key = StreamsGroupMemberMetadataKey {
        group_id: GROUP.into(),
        member_id: "m".into(),
    };
    write(
        &mut context,
        &key,
        Some(&StreamsGroupMemberMetadataValue::default()),
    );
    context.restart();
    assert_eq!(listed(&mut context, &["NotReady"], &[]).len(), 1);
    assert_eq!(listed(&mut context, &["not_ready"], &[]).len(), 1);
    write(&mut context, &key, None::<&StreamsGroupMemberMetadataValue>);
    assert_eq!(listed(&mut context, &["Empty"], &[]).len(), 1);
}

#[test]
fn a_later_releases_record_is_skipped() {
    use crate::coordinator::group::GroupRecord;
    for key_type in [9u8, 18, 24, 99] {
        let key = Bytes::copy_from_slice(&[0, key_type, 1, 2, 3]);
        assert_eq!(
            GroupRecord::decode(key, Some(Bytes::from_static(b"?"))),
            Ok(None)
        );
    }
    let truncated = Bytes::from_static(&[0, 1, 0, 9, b'g']);
    assert!(GroupRecord::decode(truncated, None).is_err());
}
