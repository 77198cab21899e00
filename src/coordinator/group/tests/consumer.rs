//! Consumer groups of the new protocol: heartbeats against one shard.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::*;
use super::topics::image_of;
use crate::coordinator::group::shard::{Caller, GroupReply, GroupRequest};
use crate::coordinator::group::{ConsumerGroup, GroupConfig, StoredGroup};
use crate::metadata::delta::MetadataChanges;
use crate::metadata::image::MetadataImage;
use crate::protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use crate::protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, OffsetCommitRequest,
};
use crate::protocol::{ErrorCode, Uuid};

pub const HEARTBEAT_MS: i64 = 5_000;
pub const SESSION_MS: i64 = 45_000;

/// Topic ids of `image_of` count from 1.
pub fn topic(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub type Owned = BTreeMap<Uuid, BTreeSet<i32>>;

/// A consumer as its client library runs it.
#[derive(Clone, Debug, Default)]
pub struct Consumer {
    pub id: String,
    pub instance_id: Option<String>,
    pub epoch: i32,
    pub topics: Vec<String>,
    pub regex: Option<String>,
    pub owned: Owned,
    /// What it was told to own; it revokes first, then takes.
    pub told: Option<Owned>,
    /// An answer was lost: it says all of itself, and is told all.
    pub says_all: bool,
}

impl Consumer {
    pub fn new(id: &str, topics: &[&str]) -> Consumer {
        Consumer {
            id: id.into(),
            topics: topics.iter().map(|topic| topic.to_string()).collect(),
            ..Consumer::default()
        }
    }

    pub fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let joins = self.epoch == 0;
        let says_all = joins || self.says_all;
        let topic = |(id, partitions): (&Uuid, &BTreeSet<i32>)| TopicPartitions {
            topic_id: *id,
            partitions: partitions.iter().copied().collect(),
        };
        let owned: Vec<_> = self.owned.iter().map(topic).collect();
        ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance_id.clone(),
            rebalance_timeout_ms: if says_all { 60_000 } else { -1 },
            subscribed_topic_names: says_all.then(|| self.topics.clone()),
            subscribed_topic_regex: self.regex.clone().filter(|_| says_all),
            topic_partitions: Some(if joins { Vec::new() } else { owned }),
            ..Default::default()
        }
    }

    /// Takes an answer in; fenced, it drops everything and joins anew.
    pub fn take(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        self.says_all = false;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            _ => {
                self.epoch = 0;
                self.owned.clear();
                self.told = None;
                return;
            }
        }
        self.epoch = response.member_epoch;
        if let Some(assignment) = &response.assignment {
            let topics = assignment.topic_partitions.iter();
            let told = topics.map(|t| (t.topic_id, t.partitions.iter().copied().collect()));
            self.told = Some(told.collect());
        }
        if let Some(told) = self.told.take() {
            self.owned = told;
        }
    }

    pub fn owned_count(&self) -> usize {
        self.owned.values().map(BTreeSet::len).sum()
    }
}

pub fn caller(api_version: i16) -> Caller {
    Caller {
        api_version,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        fresh_id: "fresh".into(),
    }
}

impl Context {
    pub fn with_topics(config: GroupConfig, topics: &[(&str, usize)]) -> Context {
        let mut context = Context::with(config);
        context.set_image(image_of(topics), MetadataChanges::default());
        context
    }

    pub fn set_image(&mut self, image: MetadataImage, changes: MetadataChanges) {
        self.image.store(Arc::new(image));
        self.ask(GroupRequest::MetadataChanged(Arc::new(changes)));
    }

    pub fn beat_with(
        &mut self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        match self.ask(GroupRequest::ConsumerHeartbeat(caller(1), request)) {
            GroupReply::ConsumerHeartbeat(response) => response,
            other => panic!("not a heartbeat: {other:?}"),
        }
    }

    pub fn beat(&mut self, consumer: &mut Consumer) -> ConsumerGroupHeartbeatResponse {
        let response = self.beat_with(consumer.request());
        consumer.take(&response);
        response
    }

    /// Everyone beats, again and again, until nobody's epoch or partitions change.
    pub fn settle(&mut self, consumers: &mut [Consumer]) {
        for _ in 0..12 {
            self.sleep(HEARTBEAT_MS);
            for consumer in consumers.iter_mut() {
                let response = self.beat(consumer);
                assert_eq!(response.error_code, 0, "{response:?}");
            }
        }
        assert_eq!(self.consumer_group().state(), "Stable");
    }

    pub fn consumer_group(&self) -> &ConsumerGroup {
        match self.shard.stored.groups.get(GROUP) {
            Some(StoredGroup::Consumer(group)) => group,
            other => panic!("no consumer group: {other:?}"),
        }
    }

    fn refuse(&mut self, request: ConsumerGroupHeartbeatRequest) -> ErrorCode {
        let (log, response) = (self.log.len(), self.beat_with(request));
        assert_eq!(self.log.len(), log, "a refusal writes nothing");
        ErrorCode::from_code(response.error_code)
    }
}

fn counts(consumers: &[Consumer]) -> Vec<usize> {
    consumers.iter().map(Consumer::owned_count).collect()
}

#[test]
fn a_group_forms_grows_and_shrinks() {
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", 6)]);
    let mut consumers = vec![Consumer::new("a", &["t"])];
    let response = context.beat(&mut consumers[0]);
    assert_eq!(response.member_id.as_deref(), Some("a"));
    assert_eq!(
        (response.member_epoch, response.heartbeat_interval_ms),
        (2, 5_000)
    );
    assert_eq!(counts(&consumers), [6], "all at once: nobody else has any");

    consumers.push(Consumer::new("b", &["t"]));
    consumers.push(Consumer::new("c", &["t"]));
    context.settle(&mut consumers);
    assert_eq!(counts(&consumers), [2, 2, 2]);
    let before = consumers.clone();

    let leave = ConsumerGroupHeartbeatRequest {
        member_epoch: -1,
        ..consumers.remove(1).request()
    };
    assert_eq!(context.beat_with(leave).member_epoch, -1);
    context.settle(&mut consumers);
    assert_eq!(counts(&consumers), [3, 3]);
    for (now, then) in consumers.iter().zip([&before[0], &before[2]]) {
        assert!(
            then.owned[&topic(1)].is_subset(&now.owned[&topic(1)]),
            "sticky"
        );
    }
    context.restart();
    context.settle(&mut consumers);
    assert_eq!(counts(&consumers), [3, 3]);
}

#[test]
fn a_partition_is_given_when_its_owner_has_revoked_it() {
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", 2)]);
    let (mut a, mut b) = (Consumer::new("a", &["t"]), Consumer::new("b", &["t"]));
    context.beat(&mut a);
    context.sleep(HEARTBEAT_MS);
    let response = context.beat(&mut b);
    assert_eq!(
        response.member_epoch, 3,
        "it is at the target's epoch, without its partition"
    );
    assert_eq!(b.owned_count(), 0);

    // The owner hears of it, and goes on owning both while it revokes.
    let response = context.beat_with(a.request());
    assert_eq!(response.member_epoch, 2);
    let told = response.assignment.clone().expect("told to revoke");
    assert_eq!(told.topic_partitions[0].partitions.len(), 1);
    let both = ConsumerGroupHeartbeatRequest {
        member_epoch: 2,
        ..a.request()
    };
    assert_eq!(context.beat_with(both).member_epoch, 2);
    context.beat(&mut b);
    assert_eq!(b.owned_count(), 0);

    a.take(&response);
    assert_eq!(context.beat(&mut a).member_epoch, 3);
    context.beat(&mut b);
    assert_eq!((a.owned_count(), b.owned_count()), (1, 1));
}

#[test]
fn who_does_not_revoke_in_time_is_fenced() {
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", 2)]);
    let (mut a, mut b) = (Consumer::new("a", &["t"]), Consumer::new("b", &["t"]));
    context.beat(&mut a);
    context.sleep(HEARTBEAT_MS);
    context.beat(&mut b);
    for _ in 0..13 {
        context.sleep(HEARTBEAT_MS);
        context.beat(&mut b);
        context.beat_with(a.request());
    }
    assert!(!context.consumer_group().members.contains_key("a"));
    let response = context.beat_with(a.request());
    assert_eq!(error(response.error_code), ErrorCode::UnknownMemberId);
    context.sleep(HEARTBEAT_MS);
    context.beat(&mut b);
    assert_eq!(b.owned_count(), 2);
}

#[test]
fn silence_ends_a_membership() {
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", 2)]);
    context.beat(&mut Consumer::new("a", &["t"]));
    context.sleep(SESSION_MS - 1);
    assert_eq!(context.consumer_group().members.len(), 1);
    context.sleep(1);
    assert_eq!(context.consumer_group().state(), "Empty");
    context.beat(&mut Consumer::new("a", &["t"]));
    context.restart();
    context.sleep(SESSION_MS);
    assert_eq!(
        context.consumer_group().members.len(),
        0,
        "counted from the restart"
    );
}

#[test]
fn a_lost_answer_may_be_asked_for_again() {
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", 4)]);
    let (mut a, mut b) = (Consumer::new("a", &["t"]), Consumer::new("b", &["t"]));
    context.beat(&mut a);
    context.sleep(HEARTBEAT_MS);
    context.beat(&mut b);
    context.beat(&mut a);
    context.beat_with(a.request());
    let again = context.beat_with(a.request());
    assert_eq!(
        (error(again.error_code), again.member_epoch),
        (ErrorCode::None, 3)
    );
    // With partitions that it was never given, the old epoch does not count.
    let mut too_much = a.request();
    too_much.topic_partitions = Some(vec![TopicPartitions {
        topic_id: topic(1),
        partitions: vec![0, 1, 2, 3],
    }]);
    assert_eq!(context.refuse(too_much), ErrorCode::FencedMemberEpoch);
}

#[test]
fn refusals() {
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", 1)]);
    let mut known = Consumer::new("a", &["t"]);
    let mut fixed = Consumer::new("s", &["t"]);
    fixed.instance_id = Some("i".into());
    context.beat(&mut known);
    context.beat(&mut fixed);
    let join = || Consumer::new("n", &["t"]).request();
    let change = |change: &dyn Fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = join();
        change(&mut request);
        request
    };
    let instance = |epoch: i32, member: &'static str, instance: &'static str| {
        change(&|r| {
            r.member_epoch = epoch;
            r.member_id = member.into();
            r.instance_id = Some(instance.into());
        })
    };
    use ErrorCode::{
        FencedInstanceId, FencedMemberEpoch, GroupIdNotFound, InvalidRegularExpression,
        InvalidRequest, UnknownMemberId, UnreleasedInstanceId, UnsupportedAssignor,
    };
    for (what, request, expected) in [
        (
            "no group",
            change(&|r| r.group_id = " ".into()),
            InvalidRequest,
        ),
        (
            "no member id",
            change(&|r| r.member_id.clear()),
            InvalidRequest,
        ),
        (
            "empty rack",
            change(&|r| r.rack_id = Some("".into())),
            InvalidRequest,
        ),
        (
            "empty instance",
            change(&|r| r.instance_id = Some("".into())),
            InvalidRequest,
        ),
        (
            "no timeout",
            change(&|r| r.rebalance_timeout_ms = -1),
            InvalidRequest,
        ),
        (
            "owns on joining",
            change(&|r| r.topic_partitions = None),
            InvalidRequest,
        ),
        (
            "subscribes to nothing",
            change(&|r| r.subscribed_topic_names = None),
            InvalidRequest,
        ),
        (
            "away without instance",
            change(&|r| r.member_epoch = -2),
            InvalidRequest,
        ),
        (
            "no such epoch",
            change(&|r| r.member_epoch = -3),
            InvalidRequest,
        ),
        (
            "assignor",
            change(&|r| r.server_assignor = Some("x".into())),
            UnsupportedAssignor,
        ),
        (
            "unknown group",
            change(&|r| (r.group_id, r.member_epoch) = ("x".into(), 1)),
            GroupIdNotFound,
        ),
        (
            "leaves nothing",
            change(&|r| (r.group_id, r.member_epoch) = ("x".into(), -1)),
            GroupIdNotFound,
        ),
        (
            "unknown member",
            change(&|r| r.member_epoch = 1),
            UnknownMemberId,
        ),
        (
            "unknown leaves",
            change(&|r| r.member_epoch = -1),
            UnknownMemberId,
        ),
        (
            "ahead",
            change(&|r| (r.member_id, r.member_epoch) = ("a".into(), 9)),
            FencedMemberEpoch,
        ),
        (
            "behind",
            change(&|r| (r.member_id, r.member_epoch) = ("a".into(), 1)),
            FencedMemberEpoch,
        ),
        (
            "taken instance",
            instance(0, "n", "i"),
            UnreleasedInstanceId,
        ),
        ("fenced instance", instance(1, "n", "i"), FencedInstanceId),
        ("unknown instance", instance(1, "n", "x"), UnknownMemberId),
        (
            "leaves as another",
            instance(-2, "n", "i"),
            FencedInstanceId,
        ),
        (
            "regex",
            change(&|r| r.subscribed_topic_regex = Some("(".into())),
            InvalidRegularExpression,
        ),
    ] {
        assert_eq!(context.refuse(request), expected, "{what}");
    }
    let response = context.beat_with(change(&|r| r.subscribed_topic_regex = Some("a**".into())));
    assert_eq!(
        response.error_message.as_deref(),
        Some(
            "SubscribedTopicRegex `a**` is not a valid regular expression: invalid nested repetition operator."
        )
    );
}

#[test]
fn a_full_group_takes_nobody_more() {
    let mut config = GroupConfig::default();
    config.consumer.max_size = 1;
    let mut context = Context::with_topics(config, &[("t", 1)]);
    let mut a = Consumer::new("a", &["t"]);
    context.beat(&mut a);
    let refused = context.refuse(Consumer::new("b", &["t"]).request());
    assert_eq!(refused, ErrorCode::GroupMaxSizeReached);
    assert_eq!(context.beat(&mut a).error_code, 0);
}

#[test]
fn a_static_member_comes_back_to_its_partitions() {
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", 4)]);
    let mut fixed = Consumer::new("s1", &["t"]);
    fixed.instance_id = Some("i".into());
    let mut consumers = vec![fixed.clone(), Consumer::new("a", &["t"])];
    context.settle(&mut consumers);
    let (epoch, owned) = (context.consumer_group().epoch, consumers[0].owned.clone());
    let away = ConsumerGroupHeartbeatRequest {
        member_epoch: -2,
        ..consumers[0].request()
    };
    assert_eq!(context.beat_with(away).member_epoch, -2);
    context.sleep(HEARTBEAT_MS);
    context.beat(&mut consumers[1]);
    assert_eq!(consumers[1].owned_count(), 2, "they are kept for it");
    context.restart();

    fixed.id = "s2".into();
    context.beat(&mut fixed);
    assert_eq!(fixed.owned, owned);
    assert_eq!(
        context.consumer_group().epoch,
        epoch,
        "nothing has changed for the group"
    );
    assert_eq!(context.consumer_group().members.len(), 2);
    let old = context.refuse(consumers[0].request());
    assert_eq!(old, ErrorCode::FencedInstanceId);
}

#[test]
fn topics_that_come_grow_and_go_are_noticed() {
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", 2)]);
    let mut consumers = vec![
        Consumer::new("a", &["t", "later"]),
        Consumer::new("b", &["t", "later"]),
    ];
    context.settle(&mut consumers);
    assert_eq!(counts(&consumers), [1, 1]);
    let epoch = context.consumer_group().epoch;
    let partitions = [(topic(1), 2), (topic(1), 3), (topic(2), 0)]
        .into_iter()
        .collect();
    let changes = MetadataChanges {
        created_topics: BTreeMap::from([(topic(2), "later".into())]),
        partitions,
        ..Default::default()
    };
    context.set_image(image_of(&[("t", 4), ("later", 2)]), changes);
    context.settle(&mut consumers);
    assert_eq!(counts(&consumers), [3, 3]);
    assert_eq!(context.consumer_group().epoch, epoch + 1, "once for both");

    let image = image_of(&[("t", 4), ("later", 2)]);
    let gone = image.topics.get("later").cloned().expect("there");
    let changes = MetadataChanges {
        deleted_topics: BTreeMap::from([(topic(2), gone)]),
        ..Default::default()
    };
    context.set_image(image_of(&[("t", 4)]), changes);
    context.settle(&mut consumers);
    assert_eq!(counts(&consumers), [2, 2]);
}

#[test]
fn a_regular_expression_finds_topics_as_they_come() {
    let topics = [("log-1", 1), ("other", 1), ("log-2", 1)];
    let mut context = Context::with_topics(GroupConfig::default(), &topics);
    let mut consumer = Consumer::new("a", &[]);
    consumer.regex = Some("log-.*".into());
    assert_eq!(context.beat(&mut consumer).member_epoch, 1);
    assert_eq!(consumer.owned_count(), 0, "not resolved in the request");
    let mut consumers = [consumer];
    context.settle(&mut consumers);
    assert_eq!(counts(&consumers), [2]);
    assert_eq!(context.consumer_group().regexes["log-.*"].topics.len(), 2);
    context.restart();

    let mut image = image_of(&[("log-1", 1), ("other", 1), ("log-2", 1), ("log-3", 4)]);
    image.provenance.last_offset = 99;
    let changes = MetadataChanges {
        created_topics: BTreeMap::from([(topic(4), "log-3".into())]),
        ..Default::default()
    };
    context.set_image(image, changes);
    context.settle(&mut consumers);
    assert_eq!(counts(&consumers), [6]);
    let leave = ConsumerGroupHeartbeatRequest {
        member_epoch: -1,
        ..consumers[0].request()
    };
    context.beat_with(leave);
    assert!(context.consumer_group().regexes.is_empty());
}

#[test]
fn offsets_are_committed_with_the_members_epoch() {
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", 2)]);
    let mut consumers = vec![Consumer::new("a", &["t"])];
    context.beat(&mut consumers[0]);
    assert_eq!(context.commit("a", 2, 5), ErrorCode::None);
    assert_eq!(context.commit("a", 3, 5), ErrorCode::StaleMemberEpoch);
    assert_eq!(context.commit("b", 2, 5), ErrorCode::UnknownMemberId);
    assert_eq!(context.commit("", -1, 5), ErrorCode::UnknownMemberId);
    let old = commit_request("a", 2, 6);
    assert_eq!(
        context.commit_request(8, old),
        ErrorCode::UnsupportedVersion
    );

    // A partition that it has owned since an older epoch may be committed with that (KIP-1251).
    consumers.push(Consumer::new("b", &["t"]));
    context.settle(&mut consumers);
    let kept = *consumers[0].owned[&topic(1)].first().expect("one is kept");
    for (partition, epoch, expected) in [
        (kept, 2, ErrorCode::None),
        (kept, 1, ErrorCode::StaleMemberEpoch),
        (1 - kept, 2, ErrorCode::StaleMemberEpoch),
    ] {
        let mut request: OffsetCommitRequest = commit_request("a", epoch, 7);
        request.topics[0].topic_id = topic(1);
        request.topics[0].partitions[0].partition_index = partition;
        assert_eq!(
            context.commit_request(10, request),
            expected,
            "{partition} {epoch}"
        );
    }
}
