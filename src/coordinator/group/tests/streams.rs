//! Streams groups: heartbeats of applications against one shard.
use std::collections::BTreeMap;

use super::consumer::caller;
use super::context::*;
use super::topics::image_of;
use crate::coordinator::group::shard::{GroupReply, GroupRequest};
use crate::coordinator::group::{GroupConfig, StoredGroup, StreamsGroup};
use crate::metadata::delta::MetadataChanges;
use crate::protocol::ErrorCode;
use crate::protocol::messages::create_topics_request::CreatableTopic;
use crate::protocol::messages::streams_group_describe_response::DescribedGroup;
use crate::protocol::messages::streams_group_heartbeat_request::{
    Endpoint, KeyValue, Subtopology, TaskIds, TopicInfo, Topology,
};
use crate::protocol::messages::{
    StreamsGroupHeartbeatRequest as Request, StreamsGroupHeartbeatResponse as Response,
};

pub const HEARTBEAT_MS: i64 = 5_000;
const SESSION_MS: i64 = 45_000;
pub const DELAY_MS: i64 = 3_000;

pub type Running = BTreeMap<String, Vec<i32>>;

/// A topic that the application has made, with or without a number of partitions.
pub fn internal(name: &str, partitions: i32) -> TopicInfo {
    TopicInfo {
        name: name.into(),
        partitions,
        topic_configs: vec![KeyValue {
            key: "cleanup.policy".into(),
            value: "compact".into(),
        }],
        ..TopicInfo::default()
    }
}

/// Reads `in`, counts by key: a repartition topic in between, and a store with a changelog.
pub fn word_count(epoch: i32) -> Topology {
    Topology {
        epoch,
        subtopologies: vec![
            Subtopology {
                subtopology_id: "0".into(),
                source_topics: vec!["in".into()],
                repartition_sink_topics: vec!["app-repartition".into()],
                ..Subtopology::default()
            },
            Subtopology {
                subtopology_id: "1".into(),
                repartition_source_topics: vec![internal("app-repartition", 0)],
                state_changelog_topics: vec![internal("app-changelog", 0)],
                ..Subtopology::default()
            },
        ],
    }
}

/// All topics of it.
pub const TOPICS: [(&str, usize); 3] = [("in", 3), ("app-repartition", 3), ("app-changelog", 3)];

/// A thread of an application as its library runs it.
#[derive(Clone, Debug)]
pub struct Thread {
    pub id: String,
    pub process: String,
    pub epoch: i32,
    pub topology: Topology,
    pub endpoint: Option<Endpoint>,
    pub active: Running,
    pub standby: Running,
    pub status: Vec<i8>,
}

impl Thread {
    pub fn new(id: &str, process: &str) -> Thread {
        Thread {
            id: id.into(),
            process: process.into(),
            epoch: 0,
            topology: word_count(0),
            endpoint: None,
            active: Running::new(),
            standby: Running::new(),
            status: Vec::new(),
        }
    }

    pub fn request(&self) -> Request {
        let joins = self.epoch == 0;
        let list = |running: &Running| {
            let task = |(id, partitions): (&String, &Vec<i32>)| TaskIds {
                subtopology_id: id.clone(),
                partitions: partitions.clone(),
            };
            Some(running.iter().map(task).collect())
        };
        Request {
            group_id: GROUP.into(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: if joins { 60_000 } else { -1 },
            topology: joins.then(|| self.topology.clone()),
            process_id: joins.then(|| self.process.clone()),
            user_endpoint: self.endpoint.clone().filter(|_| joins),
            client_tags: joins.then(Vec::new),
            active_tasks: list(&self.active),
            standby_tasks: list(&self.standby),
            warmup_tasks: Some(Vec::new()),
            ..Request::default()
        }
    }

    pub fn take(&mut self, response: &Response) {
        if response.error_code != 0 {
            self.forget();
            return;
        }
        self.epoch = response.member_epoch;
        let status = response.status.iter().flatten();
        self.status = status.map(|status| status.status_code).collect();
        for (running, told) in [
            (&mut self.active, &response.active_tasks),
            (&mut self.standby, &response.standby_tasks),
        ] {
            if let Some(told) = told {
                let told = told.iter();
                *running = told
                    .map(|task| (task.subtopology_id.clone(), task.partitions.clone()))
                    .collect();
            }
        }
    }

    /// Fenced, or gone: it runs nothing, and joins if it comes back.
    pub fn forget(&mut self) {
        self.epoch = 0;
        self.active.clear();
        self.standby.clear();
    }

    pub fn active_count(&self) -> usize {
        self.active.values().map(Vec::len).sum()
    }
}

impl Context {
    pub fn with_streams(topics: &[(&str, usize)]) -> Context {
        Context::with_topics(GroupConfig::default(), topics)
    }

    pub fn streams_beat_with(&mut self, request: Request) -> (Response, Vec<CreatableTopic>) {
        match self.ask(GroupRequest::StreamsHeartbeat(caller(0), request)) {
            GroupReply::StreamsHeartbeat(response, to_create) => (response, to_create),
            other => panic!("not a heartbeat: {other:?}"),
        }
    }

    pub fn streams_beat(&mut self, thread: &mut Thread) -> Response {
        let (response, _) = self.streams_beat_with(thread.request());
        thread.take(&response);
        response
    }

    /// Everyone beats for a while.
    pub fn streams_settle(&mut self, threads: &mut [Thread]) {
        for _ in 0..8 {
            self.sleep(HEARTBEAT_MS);
            for thread in threads.iter_mut() {
                let response = self.streams_beat(thread);
                assert_eq!(response.error_code, 0, "{response:?}");
            }
        }
    }

    pub fn streams_group(&self) -> &StreamsGroup {
        match self.shard.stored.groups.get(GROUP) {
            Some(StoredGroup::Streams(group)) => group,
            other => panic!("no streams group: {other:?}"),
        }
    }

    pub fn streams_refuse(&mut self, request: Request) -> (ErrorCode, String) {
        let log = self.log.len();
        let (response, to_create) = self.streams_beat_with(request);
        assert_eq!(self.log.len(), log, "a refusal writes nothing");
        assert!(to_create.is_empty());
        let message = response.error_message.unwrap_or_default();
        (ErrorCode::from_code(response.error_code), message)
    }

    fn streams_describe(&mut self) -> DescribedGroup {
        match self.ask(GroupRequest::StreamsDescribe(vec![GROUP.into()])) {
            GroupReply::StreamsDescribe(mut groups) => groups.remove(0),
            other => panic!("not a description: {other:?}"),
        }
    }

    /// The topics are these from now on.
    pub fn streams_topics(&mut self, topics: &[(&str, usize)]) {
        let image = image_of(topics);
        let topics = image.topics.names().map(|name| (name.clone(), ()));
        let ids = topics.filter_map(|(name, ())| image.topics.id_of(&name));
        let changes = MetadataChanges {
            partitions: ids.map(|id| (id, 0)).collect(),
            ..MetadataChanges::default()
        };
        self.set_image(image, changes);
    }
}

fn counts(threads: &[Thread]) -> Vec<usize> {
    threads.iter().map(Thread::active_count).collect()
}

#[test]
fn the_first_members_are_waited_for_and_then_assigned() {
    let mut context = Context::with_streams(&TOPICS);
    let mut threads = [Thread::new("a", "p"), Thread::new("b", "q")];
    let response = context.streams_beat(&mut threads[0]);
    assert_eq!(response.heartbeat_interval_ms, 5_000);
    assert_eq!(response.active_tasks, Some(Vec::new()));
    assert_eq!(threads[0].status, [5], "the assignment is delayed");
    assert_eq!(context.streams_group().state(), "Assigning");
    context.sleep(1_000);
    context.streams_beat(&mut threads[1]);
    assert_eq!(context.streams_group().assignment_epoch, 1);
    context.sleep(DELAY_MS);
    let assignment_epoch = context.streams_group().assignment_epoch;
    assert_eq!(
        assignment_epoch,
        context.streams_group().epoch,
        "without a heartbeat"
    );
    context.streams_settle(&mut threads);
    assert_eq!(counts(&threads), [3, 3]);
    assert!(threads.iter().all(|thread| thread.status.is_empty()));
    assert_eq!(context.streams_group().state(), "Stable");
}

#[test]
fn who_joins_takes_over_after_the_others_have_given_up() {
    let mut context = Context::with_streams(&TOPICS);
    let mut threads = vec![Thread::new("a", "p")];
    context.streams_settle(&mut threads);
    assert_eq!(counts(&threads), [6]);
    let mut late = Thread::new("b", "q");
    let response = context.streams_beat(&mut late);
    assert_eq!(response.active_tasks, Some(Vec::new()), "not given up yet");
    assert_eq!(context.streams_group().state(), "Reconciling");
    // The first is told to give up, says that it has, and only then the other gets them.
    let told = context.streams_beat(&mut threads[0]);
    assert_eq!(told.member_epoch, 2, "it has not moved");
    assert_eq!(threads[0].active_count(), 3);
    context.streams_beat(&mut late);
    assert_eq!(late.active_count(), 0);
    context.streams_beat(&mut threads[0]);
    context.streams_beat(&mut late);
    assert_eq!(late.active_count(), 3);
    assert_eq!(context.streams_group().state(), "Stable");
}

#[test]
fn a_member_that_does_not_give_up_is_fenced() {
    let mut context = Context::with_streams(&TOPICS);
    let mut threads = vec![Thread::new("a", "p")];
    context.streams_settle(&mut threads);
    let mut late = Thread::new("b", "q");
    context.streams_beat(&mut late);
    let stubborn = threads[0].request();
    for _ in 0..13 {
        context.streams_beat_with(stubborn.clone());
        context.streams_beat(&mut late);
        context.sleep(HEARTBEAT_MS);
    }
    let error = context.streams_beat(&mut threads[0]).error_code;
    assert_eq!(ErrorCode::from_code(error), ErrorCode::UnknownMemberId);
    threads.push(late);
    context.streams_settle(&mut threads);
    assert_eq!(counts(&threads), [3, 3]);
}

#[test]
fn who_is_silent_or_leaves_is_out() {
    let mut context = Context::with_streams(&TOPICS);
    let mut threads = vec![Thread::new("a", "p"), Thread::new("b", "q")];
    context.streams_settle(&mut threads);
    let mut silent = threads.pop().expect("b");
    for _ in 0..(SESSION_MS / HEARTBEAT_MS) + 1 {
        context.sleep(HEARTBEAT_MS);
        context.streams_beat(&mut threads[0]);
    }
    context.streams_settle(&mut threads);
    assert_eq!(counts(&threads), [6]);
    let error = context.streams_beat(&mut silent).error_code;
    assert_eq!(ErrorCode::from_code(error), ErrorCode::UnknownMemberId);
    let leave = Request {
        member_epoch: -1,
        topology: None,
        ..threads[0].request()
    };
    let (response, _) = context.streams_beat_with(leave.clone());
    assert_eq!((response.error_code, response.member_epoch), (0, -1));
    assert_eq!(context.streams_group().state(), "Empty");
    assert_eq!(context.streams_refuse(leave).0, ErrorCode::UnknownMemberId);
    // The group stays, and can be deleted with all that there is of it.
    let GroupReply::Delete(results) = context.ask(GroupRequest::Delete(vec![GROUP.into()])) else {
        panic!()
    };
    assert_eq!(results[0].error_code, 0);
    assert_eq!(context.stored_from_log(), Default::default());
}

#[test]
fn a_group_takes_no_more_members_than_it_may() {
    let mut config = GroupConfig::default();
    config.streams.max_size = 1;
    let mut context = Context::with_topics(config, &TOPICS);
    context.streams_beat(&mut Thread::new("a", "p"));
    let refused = context.streams_refuse(Thread::new("b", "q").request());
    assert_eq!(refused.0, ErrorCode::GroupMaxSizeReached);
}

#[test]
fn the_end_of_the_application_is_told_to_all() {
    let mut context = Context::with_streams(&TOPICS);
    let mut threads = vec![Thread::new("a", "p"), Thread::new("b", "q")];
    context.streams_settle(&mut threads);
    let leave = Request {
        member_epoch: -1,
        shutdown_application: true,
        ..threads[1].request()
    };
    context.streams_beat_with(leave);
    context.streams_beat(&mut threads[0]);
    assert!(threads[0].status.contains(&4), "{:?}", threads[0].status);
    let leave = Request {
        member_epoch: -1,
        ..threads[0].request()
    };
    context.streams_beat_with(leave);
    threads[0].forget();
    context.streams_beat(&mut threads[0]);
    assert!(!threads[0].status.contains(&4), "those who asked are gone");
}

#[test]
fn copies_are_never_where_the_task_runs() {
    let mut context = Context::with_streams(&TOPICS);
    context.shard.config.streams.standby_replicas = 1;
    let mut threads = vec![Thread::new("a", "p"), Thread::new("b", "p")];
    context.streams_settle(&mut threads);
    assert!(threads.iter().all(|thread| thread.standby.is_empty()));
    threads.push(Thread::new("c", "q"));
    context.streams_settle(&mut threads);
    let copies: usize = threads
        .iter()
        .flat_map(|t| t.standby.values())
        .map(Vec::len)
        .sum();
    assert_eq!(copies, 3, "{threads:?}");
    for thread in &threads {
        assert!(!thread.standby.contains_key("0"), "it has no store");
    }
    assert_eq!(context.streams_group().state(), "Stable");
}

#[test]
fn members_know_whom_to_ask() {
    let mut context = Context::with_streams(&TOPICS);
    let mut threads = vec![Thread::new("a", "p"), Thread::new("b", "q")];
    threads[0].endpoint = Some(Endpoint {
        host: "h".into(),
        port: 4040,
    });
    context.streams_settle(&mut threads);
    let request = Request {
        endpoint_information_epoch: -1,
        ..threads[1].request()
    };
    let (response, _) = context.streams_beat_with(request);
    let told = response.partitions_by_user_endpoint.expect("endpoints");
    assert_eq!(told.len(), 1);
    assert_eq!(
        (
            told[0].user_endpoint.host.as_str(),
            told[0].user_endpoint.port
        ),
        ("h", 4040)
    );
    let partitions = told[0].active_partitions.iter();
    let count: usize = partitions.map(|topic| topic.partitions.len()).sum();
    assert_eq!(count, 3);
    let request = Request {
        endpoint_information_epoch: response.endpoint_information_epoch,
        ..threads[1].request()
    };
    let (response, _) = context.streams_beat_with(request);
    assert_eq!(response.partitions_by_user_endpoint, None, "nothing new");
}

#[test]
fn a_lost_answer_is_given_again_and_a_stale_one_fences() {
    let mut context = Context::with_streams(&TOPICS);
    let mut thread = Thread::new("a", "p");
    context.streams_beat(&mut thread);
    context.sleep(DELAY_MS + HEARTBEAT_MS);
    let before = thread.request();
    context.streams_beat_with(before.clone());
    // It says the epoch before, and runs no more than it was given.
    let response = context.streams_beat(&mut thread);
    assert_eq!(response.error_code, 0);
    assert_eq!(thread.active_count(), 6, "it hears now what it is to run");
    let mut silent = before.clone();
    (
        silent.active_tasks,
        silent.standby_tasks,
        silent.warmup_tasks,
    ) = (None, None, None);
    assert_eq!(
        context.streams_refuse(silent).0,
        ErrorCode::FencedMemberEpoch
    );
}

#[test]
fn members_commit_with_their_epoch() {
    let mut context =
        Context::with_streams(&[("t", 3), ("app-repartition", 3), ("app-changelog", 3)]);
    let mut thread = Thread::new("a", "p");
    thread.topology.subtopologies[0].source_topics = vec!["t".into()];
    context.streams_settle(std::slice::from_mut(&mut thread));
    let epoch = thread.epoch;
    assert_eq!(context.commit("a", epoch, 5), ErrorCode::None);
    assert_eq!(
        context.commit("a", epoch + 1, 6),
        ErrorCode::StaleMemberEpoch
    );
    assert_eq!(context.commit("b", epoch, 6), ErrorCode::UnknownMemberId);
    assert_eq!(context.commit("", -1, 6), ErrorCode::UnknownMemberId);
    let old = context.commit_request(8, commit_request("a", epoch, 6));
    assert_eq!(old, ErrorCode::UnsupportedVersion);
    // A task that it has had since an earlier epoch, in that epoch.
    let mut late = Thread::new("b", "q");
    late.topology = thread.topology.clone();
    context.streams_beat(&mut late);
    context.streams_beat(&mut thread);
    context.streams_beat(&mut thread);
    assert!(thread.epoch > epoch);
    let keeps = thread
        .active
        .get("0")
        .is_some_and(|tasks| tasks.contains(&0));
    let expected = if keeps {
        ErrorCode::None
    } else {
        ErrorCode::StaleMemberEpoch
    };
    assert_eq!(context.commit("a", epoch, 7), expected);
    assert_eq!(context.commit("a", 1, 8), ErrorCode::StaleMemberEpoch);
    context.restart();
    assert_eq!(context.offset(), if keeps { 7 } else { 5 });
}

#[test]
fn a_group_is_described_and_goes_on_after_a_restart() {
    let mut context = Context::with_streams(&TOPICS);
    let described = context.streams_describe();
    assert_eq!(
        (described.error_code, described.error_message.as_deref()),
        (
            ErrorCode::GroupIdNotFound.code(),
            Some("Group g not found.")
        )
    );
    let mut threads = vec![Thread::new("a", "p"), Thread::new("b", "q")];
    context.streams_settle(&mut threads);
    let described = context.streams_describe();
    assert_eq!(described.group_state, "Stable");
    let topology = described.topology.expect("a topology");
    let subtopologies = topology.subtopologies.expect("subtopologies");
    assert_eq!(subtopologies[1].state_changelog_topics[0].partitions, 3);
    let member = &described.members[0];
    assert_eq!(
        (member.process_id.as_str(), member.topology_epoch),
        ("p", 0)
    );
    assert_eq!(member.assignment, member.target_assignment);
    let epoch = described.group_epoch;
    context.restart();
    let described = context.streams_describe();
    let topology = described.topology.expect("a topology");
    let subtopologies = topology.subtopologies.expect("subtopologies");
    assert_eq!(
        subtopologies[1].state_changelog_topics[0].partitions, 0,
        "nobody has looked yet"
    );
    context.streams_settle(&mut threads);
    assert_eq!(context.streams_group().epoch, epoch, "nothing has changed");
    assert_eq!(counts(&threads), [3, 3]);
}

#[test]
fn another_number_of_copies_makes_another_epoch() {
    let mut context = Context::with_streams(&TOPICS);
    let mut threads = vec![Thread::new("a", "p"), Thread::new("b", "q")];
    context.streams_settle(&mut threads);
    let epoch = context.streams_group().epoch;
    context.shard.config.streams.standby_replicas = 1;
    context.streams_settle(&mut threads);
    assert_eq!(context.streams_group().epoch, epoch + 1);
    let copies: usize = threads
        .iter()
        .flat_map(|t| t.standby.values())
        .map(Vec::len)
        .sum();
    assert_eq!(copies, 3);
}
