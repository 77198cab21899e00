//! Groups whose members speak both protocols, on their way from one to the other and back.
use bytes::Bytes;

use super::consumer::{Consumer, topic};
use super::context::*;
use crate::coordinator::group::shard::{GroupReply, GroupRequest};
use crate::coordinator::group::{GroupConfig, MigrationPolicy, StoredGroup};
use crate::protocol::ErrorCode;
use crate::protocol::messages::consumer_protocol_assignment::TopicPartition as Assigned;
use crate::protocol::messages::consumer_protocol_subscription::TopicPartition as Owned;
use crate::protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
    SyncGroupRequest,
};
use crate::protocol::records::{decode_value, encode_value};

const VERSION: i16 = 3;
const LONG_SESSION_MS: i32 = 45_000;

fn subscription(owned: &[i32]) -> Bytes {
    let owned = Owned {
        topic: "t".into(),
        partitions: owned.to_vec(),
    };
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["t".into()],
        owned_partitions: vec![owned],
        ..Default::default()
    };
    encode_value(&subscription, VERSION).unwrap()
}

fn assignment(partitions: &[i32]) -> Bytes {
    let assigned = Assigned {
        topic: "t".into(),
        partitions: partitions.to_vec(),
    };
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: vec![assigned],
        ..Default::default()
    };
    encode_value(&assignment, VERSION).unwrap()
}

fn join(client: &str, owned: &[i32]) -> Join {
    Join {
        protocols: vec![("range".into(), subscription(owned))],
        session_ms: LONG_SESSION_MS,
        ..Join::old(client)
    }
}

/// A classic member as its client runs it.
struct Classic {
    client: &'static str,
    id: String,
    generation: i32,
    owned: Vec<i32>,
}

impl Classic {
    /// A heartbeat, and if it is told so, a join and a sync.
    fn go_on(&mut self, context: &mut Context) {
        match context.heartbeat(&self.id, self.generation) {
            ErrorCode::None => return,
            ErrorCode::RebalanceInProgress => {}
            other => panic!("{}: {other:?}", self.client),
        }
        let joined = context.join(join(self.client, &self.owned).member(&self.id));
        assert_eq!(error(joined.error_code), ErrorCode::None);
        self.generation = joined.generation_id;
        let request = SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: joined.protocol_type,
            protocol_name: joined.protocol_name,
            ..Default::default()
        };
        let GroupReply::Sync(synced) = context.ask(GroupRequest::Sync(request)) else {
            panic!("not a sync")
        };
        assert_eq!(error(synced.error_code), ErrorCode::None);
        let assignment: ConsumerProtocolAssignment = decode_value(synced.assignment).unwrap();
        let topics = assignment.assigned_partitions.into_iter();
        self.owned = topics.flat_map(|topic| topic.partitions).collect();
    }
}

/// Two stable classic members that share four partitions.
fn classic_group(config: GroupConfig) -> (Context, Vec<Classic>) {
    let mut context = Context::with_topics(config, &[("t", 4)]);
    let tokens = ["a", "b"].map(|client| context.send_join(join(client, &[])));
    context.sleep(2 * INITIAL_DELAY_MS);
    let joined = tokens.map(|token| context.joined(token));
    let shares: [&[i32]; 2] = [&[0, 1], &[2, 3]];
    let bytes = shares.map(assignment);
    let leader = &joined[0];
    let request = |index: usize| SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id: joined[index].generation_id,
        member_id: joined[index].member_id.clone(),
        assignments: (0..2)
            .filter(|_| joined[index].member_id == leader.leader)
            .map(
                |at| crate::protocol::messages::sync_group_request::SyncGroupRequestAssignment {
                    member_id: joined[at].member_id.clone(),
                    assignment: bytes[at].clone(),
                },
            )
            .collect(),
        ..Default::default()
    };
    let tokens = [0, 1].map(|index| context.send(GroupRequest::Sync(request(index))));
    for token in tokens {
        assert_eq!(error(context.synced(token).error_code), ErrorCode::None);
    }
    let member = |index: usize| Classic {
        client: ["a", "b"][index],
        id: joined[index].member_id.clone(),
        generation: joined[index].generation_id,
        owned: shares[index].to_vec(),
    };
    let members = vec![member(0), member(1)];
    (context, members)
}

fn go_on(context: &mut Context, classic: &mut [Classic], consumers: &mut [Consumer]) {
    for _ in 0..10 {
        context.sleep(3_000);
        classic.iter_mut().for_each(|member| member.go_on(context));
        for consumer in consumers.iter_mut() {
            assert_eq!(context.beat(consumer).error_code, 0);
        }
    }
}

#[test]
fn a_group_is_upgraded_and_downgraded_while_it_consumes() {
    let (mut context, mut classic) = classic_group(GroupConfig::default());
    assert_eq!(
        context.commit(&classic[0].id, classic[0].generation, 5),
        ErrorCode::None
    );
    let mut consumers = [Consumer::new("c", &["t"])];
    assert_eq!(context.beat(&mut consumers[0]).error_code, 0);
    assert_eq!(context.consumer_group().members.len(), 3);
    assert_eq!(context.offset(), 5, "offsets stay");

    go_on(&mut context, &mut classic, &mut consumers);
    assert_eq!(context.consumer_group().state(), "Stable");
    let sizes = [
        classic[0].owned.len(),
        classic[1].owned.len(),
        consumers[0].owned_count(),
    ];
    assert_eq!(sizes.iter().sum::<usize>(), 4);
    assert!(sizes.iter().all(|size| *size > 0), "{sizes:?}");
    context.restart();
    go_on(&mut context, &mut classic, &mut consumers);
    let (id, generation) = (classic[1].id.clone(), classic[1].generation);
    assert_eq!(
        context.commit(&id, generation - 2, 6),
        ErrorCode::IllegalGeneration
    );

    let leave = ConsumerGroupHeartbeatRequest {
        member_epoch: -1,
        ..consumers[0].request()
    };
    assert_eq!(context.beat_with(leave).error_code, 0);
    assert!(matches!(
        context.shard.stored.groups.get(GROUP),
        Some(StoredGroup::Classic(_))
    ));
    assert_eq!(
        context.state(),
        "PreparingRebalance",
        "its partitions are to be shared out"
    );
    let tokens: Vec<_> = classic
        .iter()
        .map(|member| (member.client, member.owned.clone(), member.id.clone()))
        .map(|(client, owned, id)| context.send_join(join(client, &owned).member(&id)))
        .collect();
    let joined: Vec<_> = tokens
        .into_iter()
        .map(|token| context.joined(token))
        .collect();
    context.sync_all(&joined);
    assert_eq!((context.state().as_str(), context.offset()), ("Stable", 5));
}

#[test]
fn a_static_member_that_goes_back_to_classic_takes_the_group_with_it() {
    let (mut context, mut classic) = classic_group(GroupConfig::default());
    let mut consumer = Consumer::new("c", &["t"]);
    consumer.instance_id = Some("i".into());
    let mut consumers = [consumer];
    context.beat(&mut consumers[0]);
    go_on(&mut context, &mut classic, &mut consumers);
    let owned: Vec<i32> = consumers[0].owned[&topic(1)].iter().copied().collect();
    let back = Join {
        instance_id: Some("i".into()),
        ..join("c", &owned)
    };
    let joined = context.join(back);
    assert_eq!(error(joined.error_code), ErrorCode::None);
    assert_eq!(context.state(), "Stable");
    context.restart();
    let ids = [&joined.member_id, &classic[0].id];
    for id in ids {
        let beaten = context.heartbeat(id, joined.generation_id);
        assert_eq!(beaten, ErrorCode::None, "nothing has moved");
    }
}

#[test]
fn the_policy_says_which_way() {
    use MigrationPolicy::{Bidirectional, Disabled, Downgrade, Upgrade};
    for (policy, upgrades, downgrades) in [
        (Disabled, false, false),
        (Upgrade, true, false),
        (Downgrade, false, true),
        (Bidirectional, true, true),
    ] {
        let mut config = GroupConfig::default();
        config.consumer.migration_policy = policy;
        let (mut context, _classic) = classic_group(config.clone());
        let response = context.beat(&mut Consumer::new("c", &["t"]));
        let expected = if upgrades {
            ErrorCode::None
        } else {
            ErrorCode::GroupIdNotFound
        };
        assert_eq!(error(response.error_code), expected, "{policy:?}");

        let mut context = Context::with_topics(config, &[("t", 4)]);
        let consumer = Consumer::new("c", &["t"]);
        context.beat_with(consumer.request());
        let joined = context.join(join("a", &[]));
        let expected = match policy {
            Disabled => ErrorCode::InconsistentGroupProtocol,
            _ => ErrorCode::None,
        };
        assert_eq!(error(joined.error_code), expected, "{policy:?}");
        let leave = ConsumerGroupHeartbeatRequest {
            member_epoch: -1,
            ..consumer.request()
        };
        context.beat_with(leave);
        let is_classic = matches!(
            context.shard.stored.groups.get(GROUP),
            Some(StoredGroup::Classic(_))
        );
        assert_eq!(is_classic, downgrades, "{policy:?}");
    }
}

#[test]
fn classic_members_who_stay_away_are_fenced() {
    let (mut context, _classic) = classic_group(GroupConfig::default());
    let mut consumer = Consumer::new("c", &["t"]);
    for _ in 0..20 {
        context.beat(&mut consumer);
        context.sleep(5_000);
    }
    context.beat(&mut consumer);
    assert_eq!(context.consumer_group().members.len(), 1);
    assert_eq!(consumer.owned_count(), 4);
}
