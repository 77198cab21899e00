//! Streams groups: requests, topologies and topics that are or are not as they should be.
use super::context::*;
use super::streams::*;
use crate::coordinator::group::StoredGroup;
use crate::protocol::ErrorCode;
use crate::protocol::messages::StreamsGroupHeartbeatRequest as Request;
use crate::protocol::messages::streams_group_heartbeat_request::{
    CopartitionGroup, TaskIds, Topology,
};

#[test]
fn missing_internal_topics_are_asked_for_and_waited_for() {
    let mut context = Context::with_streams(&[("in", 4)]);
    let mut thread = Thread::new("a", "p");
    let (response, to_create) = context.streams_beat_with(thread.request());
    thread.take(&response);
    assert_eq!(thread.status, [5, 3]);
    let detail = &response.status.as_ref().expect("a status")[1].status_detail;
    assert_eq!(
        detail,
        "Internal topics are missing: app-changelog, app-repartition"
    );
    let wanted: Vec<_> = to_create
        .iter()
        .map(|topic| (topic.name.as_str(), topic.num_partitions))
        .collect();
    assert_eq!(wanted, [("app-changelog", 4), ("app-repartition", 4)]);
    assert_eq!(to_create[0].configs[0].name, "cleanup.policy");
    assert_eq!(to_create[0].replication_factor, -1);
    assert_eq!(context.streams_group().state(), "NotReady");
    context.sleep(DELAY_MS + HEARTBEAT_MS);
    context.streams_beat(&mut thread);
    assert_eq!((thread.active_count(), thread.status.clone()), (0, vec![3]));
    context.streams_topics(&[("in", 4), ("app-changelog", 4), ("app-repartition", 4)]);
    context.sleep(HEARTBEAT_MS);
    context.streams_beat(&mut thread);
    assert_eq!((thread.active_count(), thread.status.clone()), (8, vec![]));
    assert_eq!(context.streams_group().state(), "Stable");
}

#[test]
fn topics_that_do_not_fit_are_told() {
    let mut context = Context::with_streams(&[]);
    let mut thread = Thread::new("a", "p");
    context.streams_beat(&mut thread);
    assert_eq!(thread.status, [5, 1], "the source topic is missing");
    context.streams_topics(&[("in", 2), ("app-changelog", 3), ("app-repartition", 2)]);
    let response = context.streams_beat(&mut thread);
    let status = response.status.expect("a status").pop().expect("one");
    assert_eq!(status.status_code, 2);
    assert_eq!(
        status.status_detail,
        "Existing topic app-changelog has different number of partitions: expected 2, found 3"
    );
    // More partitions than before: tasks for them too, once the internal topics have them.
    context.streams_topics(&[("in", 3), ("app-changelog", 3), ("app-repartition", 3)]);
    context.streams_settle(std::slice::from_mut(&mut thread));
    assert_eq!(thread.active_count(), 6);
}

#[test]
fn topics_that_are_joined_have_as_many_partitions_as_each_other() {
    let joined = |repartition: i32| {
        let mut topology = word_count(0);
        topology.subtopologies[1].source_topics = vec!["table".into()];
        topology.subtopologies[1].repartition_source_topics =
            vec![internal("app-repartition", repartition)];
        topology.subtopologies[1].copartition_groups = vec![CopartitionGroup {
            source_topics: vec![0],
            repartition_source_topics: vec![0],
            ..CopartitionGroup::default()
        }];
        topology
    };
    let mut context = Context::with_streams(&[("in", 2), ("table", 5)]);
    let request = |topology| Request {
        topology: Some(topology),
        ..Thread::new("a", "p").request()
    };
    let (_, to_create) = context.streams_beat_with(request(joined(0)));
    let counts: Vec<i32> = to_create.iter().map(|topic| topic.num_partitions).collect();
    assert_eq!(counts, [5, 5]);
    let mut context = Context::with_streams(&[("in", 2), ("table", 5)]);
    let (response, to_create) = context.streams_beat_with(request(joined(4)));
    assert_eq!(to_create, []);
    let status = response.status.expect("a status").pop().expect("one");
    assert_eq!(status.status_code, 2);
    assert!(
        status
            .status_detail
            .contains("[4] of repartition topic [app-repartition]")
    );
    let mut bad = joined(0);
    bad.subtopologies[1].copartition_groups[0].source_topics = vec![7];
    let mut context = Context::with_streams(&[("in", 2), ("table", 5)]);
    assert_eq!(
        context.streams_refuse(request(bad)).0,
        ErrorCode::UnknownServerError
    );
}

#[test]
fn topologies_that_make_no_sense_are_refused() {
    let mut context = Context::with_streams(&[("in", 2)]);
    let mut refuse = |change: &dyn Fn(&mut Topology)| {
        let mut topology = word_count(0);
        change(&mut topology);
        let request = Request {
            topology: Some(topology),
            ..Thread::new("a", "p").request()
        };
        context.streams_refuse(request).0
    };
    let invalid = ErrorCode::StreamsInvalidTopology;
    let changelog = |t: &mut Topology| t.subtopologies[1].state_changelog_topics[0].partitions = 3;
    assert_eq!(refuse(&changelog), invalid);
    let no_sink = |t: &mut Topology| t.subtopologies[0].repartition_sink_topics.clear();
    assert_eq!(refuse(&no_sink), invalid);
    let no_source = |t: &mut Topology| t.subtopologies[0].source_topics.clear();
    assert_eq!(refuse(&no_source), invalid);
    let regex = |t: &mut Topology| t.subtopologies[0].source_topic_regex.push("x".into());
    assert_eq!(refuse(&regex), ErrorCode::InvalidRequest);
    let twice = |t: &mut Topology| t.subtopologies[0].subtopology_id = "1".into();
    assert_eq!(refuse(&twice), ErrorCode::UnknownServerError);
    let negative = |t: &mut Topology| t.epoch = -1;
    assert_eq!(refuse(&negative), ErrorCode::UnknownServerError);
}

#[test]
fn requests_that_say_too_much_or_too_little_are_refused() {
    let mut context = Context::with_streams(&TOPICS);
    let join = Thread::new("a", "p").request();
    let task = TaskIds {
        subtopology_id: "0".into(),
        partitions: vec![0],
    };
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = join.clone();
        change(&mut request);
        request
    };
    let bad = [
        with(&|r| r.member_id = " ".into()),
        with(&|r| r.group_id.clear()),
        with(&|r| r.rack_id = Some(String::new())),
        with(&|r| r.instance_id = Some("i".into())),
        with(&|r| r.rebalance_timeout_ms = -1),
        with(&|r| r.topology = None),
        with(&|r| r.active_tasks = None),
        with(&|r| r.standby_tasks = Some(vec![task.clone()])),
        with(&|r| r.warmup_tasks = Some(vec![task.clone()])),
        with(&|r| r.task_offsets = Some(Vec::new())),
        with(&|r| r.task_end_offsets = Some(Vec::new())),
        with(&|r| r.member_epoch = -3),
        with(&|r| r.member_epoch = -2),
        with(&|r| r.member_epoch = 1),
        with(&|r| (r.member_epoch, r.topology, r.active_tasks) = (1, None, None)),
    ];
    for request in bad {
        let (code, message) = context.streams_refuse(request.clone());
        assert_eq!(code, ErrorCode::InvalidRequest, "{message}: {request:?}");
    }
    let unknown = with(&|r| (r.member_epoch, r.topology) = (1, None));
    let refused = context.streams_refuse(unknown.clone());
    assert_eq!(refused.0, ErrorCode::GroupIdNotFound);
    context.streams_beat_with(join.clone());
    let other = Request {
        member_id: "b".into(),
        ..unknown.clone()
    };
    assert_eq!(context.streams_refuse(other).0, ErrorCode::UnknownMemberId);
    let ahead = Request {
        member_epoch: 9,
        ..unknown.clone()
    };
    assert_eq!(
        context.streams_refuse(ahead).0,
        ErrorCode::FencedMemberEpoch
    );
    let foreign = |subtopology: &str, partition| Request {
        active_tasks: Some(vec![TaskIds {
            subtopology_id: subtopology.into(),
            partitions: vec![partition],
        }]),
        ..unknown.clone()
    };
    for request in [foreign("7", 0), foreign("0", 3), foreign("0", -1)] {
        assert_eq!(context.streams_refuse(request).0, ErrorCode::InvalidRequest);
    }
}

#[test]
fn the_first_topology_is_the_groups() {
    let mut context = Context::with_streams(&TOPICS);
    let mut first = Thread::new("a", "p");
    first.topology = word_count(2);
    context.streams_beat(&mut first);
    let mut old = Thread::new("b", "q");
    let response = context.streams_beat(&mut old);
    assert_eq!(response.error_code, 0);
    assert_eq!(old.status, [0, 5], "stale");
    let mut reordered = Thread::new("c", "q");
    reordered.topology = word_count(2);
    reordered.topology.subtopologies.reverse();
    assert_eq!(context.streams_beat(&mut reordered).error_code, 0);
    let mut new = Thread::new("d", "q");
    new.topology = word_count(3);
    assert_eq!(
        context.streams_refuse(new.request()).0,
        ErrorCode::InvalidRequest
    );
}

#[test]
fn groups_change_their_kind_when_they_are_empty() {
    let mut context = Context::with_streams(&TOPICS);
    assert_eq!(context.commit("", -1, 5), ErrorCode::None);
    let mut thread = Thread::new("a", "p");
    context.streams_beat(&mut thread);
    assert_eq!(context.offset(), 5, "offsets stay");
    let refused = context.join(Join::new("client"));
    assert_eq!(
        ErrorCode::from_code(refused.error_code),
        ErrorCode::InconsistentGroupProtocol
    );
    let leave = Request {
        member_epoch: -1,
        topology: None,
        ..thread.request()
    };
    context.streams_beat_with(leave);
    let told = context.join(Join::new("client"));
    assert_eq!(
        ErrorCode::from_code(told.error_code),
        ErrorCode::MemberIdRequired
    );
    assert!(matches!(
        context.shard.stored.groups.get(GROUP),
        Some(StoredGroup::Classic(_))
    ));
    assert_eq!(context.offset(), 5);
    let mut context = Context::with_streams(&TOPICS);
    context.stable_group(1);
    let refused = context.streams_refuse(Thread::new("a", "p").request());
    assert_eq!(refused.0, ErrorCode::GroupIdNotFound);
}
