//! Groups that go from one implementation to the other and back, request by request: members, epochs, assignments and
//! offsets are what they were, and each goes on where the other has stopped. With Java's consumers the same is in
//! `consumer_protocol.rs`, and with a share group in `share_groups.rs`.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafkars::protocol::messages::consumer_group_describe_response::DescribedGroup;
use kafkars::protocol::messages::*;
use kafkars::protocol::{ErrorCode, Uuid};
use support::genuine::Genuine;
use support::wire::Connection;
use support::{Setup, until};

const GROUP: &str = "g";
const CLASSIC: &str = "classic";
const TOPIC: &str = "t";
const PARTITIONS: usize = 6;

/// A member, request by request.
#[derive(Debug, Clone, PartialEq)]
struct Beating {
    id: String,
    instance_id: Option<String>,
    epoch: i32,
    owned: BTreeMap<Uuid, BTreeSet<i32>>,
}

const LEAVES: i32 = -1;
/// Of a static member that is to come back.
const LEAVES_FOR_NOW: i32 = -2;

impl Beating {
    fn new(id: &str, instance_id: Option<&str>) -> Beating {
        Beating {
            id: id.to_owned(),
            instance_id: instance_id.map(str::to_owned),
            epoch: 0,
            owned: BTreeMap::new(),
        }
    }

    /// Tells what it has, and does as it is told.
    fn beat(&mut self, c: &mut Connection) {
        use consumer_group_heartbeat_request::TopicPartitions;
        let owned = self
            .owned
            .iter()
            .map(|(topic_id, partitions)| TopicPartitions {
                topic_id: *topic_id,
                partitions: partitions.iter().copied().collect(),
            });
        let request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP.to_owned(),
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: 300_000,
            subscribed_topic_names: Some(vec![TOPIC.to_owned()]),
            topic_partitions: Some(owned.collect()),
            ..Default::default()
        };
        let response = c.ask(&request, 1);
        assert_eq!(response.error_code, 0, "{self:?}: {response:?}");
        self.epoch = response.member_epoch;
        if let Some(assignment) = response.assignment {
            let topics = assignment.topic_partitions.into_iter();
            self.owned = topics
                .map(|topic| (topic.topic_id, topic.partitions.into_iter().collect()))
                .collect();
        }
    }

    fn leave(&mut self, c: &mut Connection, how: i32) {
        self.epoch = how;
        self.owned.clear();
        self.beat(c);
        self.epoch = 0;
    }

    fn commit(&self, c: &mut Connection, epoch: i32, offset: i64) -> ErrorCode {
        let request = OffsetCommitRequest {
            group_id: GROUP.to_owned(),
            generation_id_or_member_epoch: epoch,
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            topics: commit_of(offset),
            ..Default::default()
        };
        let response = c.ask(&request, 9);
        ErrorCode::from_code(response.topics[0].partitions[0].error_code)
    }
}

/// An offset of the first partition.
fn commit_of(offset: i64) -> Vec<offset_commit_request::OffsetCommitRequestTopic> {
    use offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    vec![OffsetCommitRequestTopic {
        name: TOPIC.to_owned(),
        partitions: vec![OffsetCommitRequestPartition {
            committed_offset: offset,
            ..Default::default()
        }],
        ..Default::default()
    }]
}

/// Until all partitions have an owner, evenly, in one epoch.
fn settle(c: &mut Connection, members: &mut [Beating]) {
    until("the group is settled", || {
        members.iter_mut().for_each(|member| member.beat(c));
        let each = PARTITIONS / members.len();
        let has = |member: &Beating| member.owned.values().map(BTreeSet::len).sum::<usize>();
        let even = members.iter().all(|member| has(member) == each);
        let epoch = members[0].epoch;
        (even && members.iter().all(|member| member.epoch == epoch)).then_some(())
    });
}

fn describe(c: &mut Connection) -> DescribedGroup {
    c.find_group(GROUP);
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![GROUP.to_owned()],
        ..Default::default()
    };
    let mut group = until("the group is loaded", || {
        let group = c.ask(&request, 1).groups.remove(0);
        let error = ErrorCode::from_code(group.error_code);
        (!error.is_retriable()).then_some(group)
    });
    assert_eq!(group.error_code, 0, "{group:?}");
    // Neither orders them.
    group.members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    for member in &mut group.members {
        for assignment in [&mut member.assignment, &mut member.target_assignment] {
            for topic in &mut assignment.topic_partitions {
                topic.partitions.sort_unstable();
            }
        }
    }
    group
}

/// Finds the group as the other implementation has left it, and goes on with it.
fn taken_over(c: &mut Connection, left: &DescribedGroup, members: &mut [Beating], offset: i64) {
    assert_eq!(describe(c), *left);
    for member in members.iter_mut() {
        let before = member.clone();
        member.beat(c);
        assert_eq!(*member, before, "nothing is taken from it or given to it");
    }
    let place = (TOPIC.to_owned(), 0);
    assert_eq!(c.committed(GROUP)[&place].0, offset);
    let first = &members[0];
    // Not older than the epoch in which it got the partition.
    let late = first.commit(c, first.epoch - 1, offset);
    assert_eq!(late, ErrorCode::None);
    let stale = first.commit(c, 1, 0);
    assert_eq!(stale, ErrorCode::StaleMemberEpoch);
    assert_eq!(first.commit(c, first.epoch, offset + 1), ErrorCode::None);
    assert_eq!(c.committed(GROUP)[&place].0, offset + 1);
}

/// The leader and only member of a group of the classic protocol.
struct Leader {
    id: String,
    generation: i32,
    assignment: Bytes,
}

impl Leader {
    /// Joins, also anew, and assigns.
    fn join(c: &mut Connection, id: &str, user_data: &str) -> Leader {
        let mut join = JoinGroupRequest {
            group_id: CLASSIC.to_owned(),
            member_id: id.to_owned(),
            session_timeout_ms: 1_800_000,
            rebalance_timeout_ms: 10_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![join_group_request::JoinGroupRequestProtocol {
                name: "range".to_owned(),
                metadata: subscription(user_data),
            }],
            ..Default::default()
        };
        let mut joined = c.ask(&join, 9);
        if ErrorCode::from_code(joined.error_code) == ErrorCode::MemberIdRequired {
            join.member_id = joined.member_id;
            joined = c.ask(&join, 9);
        }
        assert_eq!(joined.error_code, 0, "{joined:?}");
        let mut leader = Leader {
            id: joined.member_id,
            generation: joined.generation_id,
            assignment: Bytes::from(format!("assigned in generation {}", joined.generation_id)),
        };
        let assignment = leader.assignment.clone();
        assert_eq!(leader.sync(c, Some(assignment.clone())), assignment);
        leader.assignment = assignment;
        leader
    }

    fn sync(&self, c: &mut Connection, assignment: Option<Bytes>) -> Bytes {
        let of_member = |assignment| sync_group_request::SyncGroupRequestAssignment {
            member_id: self.id.clone(),
            assignment,
        };
        let request = SyncGroupRequest {
            group_id: CLASSIC.to_owned(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: assignment.into_iter().map(of_member).collect(),
            ..Default::default()
        };
        let synced = c.ask(&request, 5);
        assert_eq!(synced.error_code, 0, "{synced:?}");
        synced.assignment
    }

    fn beat(&self, c: &mut Connection, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: CLASSIC.to_owned(),
            generation_id: generation,
            member_id: self.id.clone(),
            ..Default::default()
        };
        ErrorCode::from_code(c.ask(&request, 4).error_code)
    }

    fn commit(&self, c: &mut Connection, offset: i64) {
        let request = OffsetCommitRequest {
            group_id: CLASSIC.to_owned(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: commit_of(offset),
            ..Default::default()
        };
        let response = c.ask(&request, 9);
        assert_eq!(response.topics[0].partitions[0].error_code, 0);
    }

    /// Finds its group as the other implementation has left it, goes on with it, and joins in the next generation.
    fn taken_over(&mut self, c: &mut Connection, left: &str, offset: i64, user_data: &str) {
        assert_eq!(describe_classic(c), left);
        assert_eq!(self.beat(c, self.generation), ErrorCode::None);
        let earlier = self.beat(c, self.generation - 1);
        assert_eq!(earlier, ErrorCode::IllegalGeneration);
        assert_eq!(self.sync(c, None), self.assignment);
        assert_eq!(c.committed(CLASSIC)[&(TOPIC.to_owned(), 0)].0, offset);
        self.commit(c, offset + 1);
        let generation = self.generation;
        *self = Leader::join(c, &self.id, user_data);
        assert_eq!(self.generation, generation + 1);
    }
}

/// To the topic, as the embedded protocol has it in version 0.
fn subscription(user_data: &str) -> Bytes {
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 1];
    bytes.extend(TOPIC.as_bytes());
    bytes.extend(u32::try_from(user_data.len()).unwrap().to_be_bytes());
    bytes.extend(user_data.as_bytes());
    Bytes::from(bytes)
}

fn describe_classic(c: &mut Connection) -> String {
    c.find_group(CLASSIC);
    let request = DescribeGroupsRequest {
        groups: vec![CLASSIC.to_owned()],
        ..Default::default()
    };
    let group = until("the group is loaded", || {
        let group = c.ask(&request, 6).groups.remove(0);
        let error = ErrorCode::from_code(group.error_code);
        (!error.is_retriable()).then_some(group)
    });
    assert_eq!(group.group_state, "Stable", "{group:?}");
    format!("{group:#?}")
}

#[test]
fn groups_keep_members_epochs_and_offsets_in_other_hands() {
    let Some(genuine) = Genuine::find("groups_keep_members_epochs_and_offsets_in_other_hands")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let setup = || {
        Setup::at(dir.path())
            .set("group.consumer.session.timeout.ms", 1_800_000)
            .set("group.consumer.max.session.timeout.ms", 1_800_000)
            .set("group.consumer.assignment.interval.ms", 0)
            .set("offsets.topic.num.partitions", 3)
    };
    let mut broker = setup().start();
    let mut c = Connection::open(broker.port);
    c.create_topic(TOPIC, PARTITIONS as i32, &[]);
    c.find_group(GROUP);
    let first = Beating::new("first", None);
    let mut members = vec![first, Beating::new("second", Some("static"))];
    settle(&mut c, &mut members);
    let epoch = members[0].epoch;
    assert_eq!(members[0].commit(&mut c, epoch, 10), ErrorCode::None);
    let mut leader = Leader::join(&mut c, "", "ours");
    leader.commit(&mut c, 20);
    let left = (describe(&mut c), describe_classic(&mut c));
    broker.kill();

    let mut broker = setup().start_genuine(&genuine);
    let mut c = Connection::open(broker.port);
    taken_over(&mut c, &left.0, &mut members, 10);
    members.push(Beating::new("third", None));
    settle(&mut c, &mut members);
    assert_eq!(members[0].epoch, epoch + 1);
    leader.taken_over(&mut c, &left.1, 20, "theirs");
    let left = (describe(&mut c), describe_classic(&mut c));
    broker.kill();

    let broker = setup().start();
    let mut c = Connection::open(broker.port);
    taken_over(&mut c, &left.0, &mut members, 11);
    // Who comes back under the same instance changes nothing for the others.
    members[1].leave(&mut c, LEAVES_FOR_NOW);
    members[1].id = "second again".to_owned();
    settle(&mut c, &mut members);
    assert_eq!(members[0].epoch, epoch + 1);
    members.pop().unwrap().leave(&mut c, LEAVES);
    settle(&mut c, &mut members);
    assert_eq!(members[0].epoch, epoch + 2);
    leader.taken_over(&mut c, &left.1, 21, "ours again");
}
