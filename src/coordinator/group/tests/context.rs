//! The driver of the tests: appends, replays and answers as `runtime.rs` does, without threads or
//! time.
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::coordinator::group::shard::{
    Caller, GroupDecision, GroupReply, GroupRequest, GroupShard, SharedImage,
};
use crate::coordinator::group::{GroupConfig, Stored};
use crate::coordinator::shard::{
    EncodedRecord, Now, Shard, Token, TransactionEnd, append_error_to_client,
};
use crate::protocol::ErrorCode;
use crate::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use crate::protocol::messages::leave_group_request::MemberIdentity;
use crate::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use crate::protocol::messages::offset_fetch_response::OffsetFetchResponsePartitions;
use crate::protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use crate::protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, SyncGroupRequest, SyncGroupResponse,
};

pub const GROUP: &str = "g";
pub const SESSION_MS: i32 = 10_000;
pub const REBALANCE_MS: i32 = 60_000;
pub const INITIAL_DELAY_MS: i64 = 3_000;

/// A record of the log, and the transaction it is part of.
#[derive(Clone, Debug)]
pub enum Entry {
    Record(Option<i64>, EncodedRecord),
    Marker { producer_id: i64, committed: bool },
}

pub struct Context {
    pub shard: GroupShard,
    pub log: Vec<Entry>,
    pub now: Now,
    pub image: SharedImage,
    /// The next appends fail with this.
    pub failure: Option<ErrorCode>,
    answers: BTreeMap<Token, Result<GroupReply, ErrorCode>>,
    next_token: u64,
}

impl Context {
    pub fn new() -> Context {
        Context::with(GroupConfig::default())
    }

    pub fn with(config: GroupConfig) -> Context {
        let image = SharedImage::default();
        let mut context = Context {
            shard: GroupShard::new(config, image.clone()),
            image,
            log: Vec::new(),
            now: Now {
                wall_ms: 1_700_000_000_000,
                monotonic_ms: 5_000,
            },
            failure: None,
            answers: BTreeMap::new(),
            next_token: 0,
        };
        let decision = context.shard.loaded(context.now);
        context.carry_out(decision);
        context
    }

    /// Sends a request; its answer may come later.
    pub fn send(&mut self, request: GroupRequest) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        let decision = self.shard.handle(self.now, token, request);
        self.carry_out(decision);
        token
    }

    /// Sends a request that must be answered at once.
    pub fn ask(&mut self, request: GroupRequest) -> GroupReply {
        let token = self.send(request);
        self.answer(token)
            .expect("an answer at once")
            .expect("no error of the log")
    }

    pub fn answer(&mut self, token: Token) -> Option<Result<GroupReply, ErrorCode>> {
        self.answers.remove(&token)
    }

    pub fn carry_out(&mut self, decision: GroupDecision) {
        let mut decisions = VecDeque::from([decision]);
        while let Some(GroupDecision {
            records,
            answers,
            transaction,
            marker,
            after,
            ..
        }) = decisions.pop_front()
        {
            let outcome = match self.failure {
                Some(error) if !records.is_empty() => Err(append_error_to_client(error)),
                _ => Ok(()),
            };
            if outcome.is_ok() {
                for record in records {
                    let encoded = record.encode().expect("a record can be written");
                    let offset = self.log.len() as i64;
                    let producer_id = transaction.map(|transaction| transaction.producer_id);
                    self.log.push(Entry::Record(producer_id, encoded));
                    self.shard.replay(offset, producer_id, record);
                }
                if let Some(end) = marker {
                    let (producer_id, committed) = (end.producer_id, end.committed);
                    self.log.push(Entry::Marker {
                        producer_id,
                        committed,
                    });
                    self.shard.replay_end_transaction(producer_id, committed);
                }
            }
            for answer in answers {
                let result = outcome.map(|()| answer.reply);
                assert!(
                    self.answers.insert(answer.token, result).is_none(),
                    "answered twice"
                );
            }
            if let Some(after) = after {
                decisions.push_back(self.shard.appended(self.now, after, outcome));
            }
        }
        self.shard.check_invariants();
    }

    /// Moves the clock and handles what becomes due on the way, each at its own time.
    pub fn sleep(&mut self, ms: i64) {
        let end_ms = self.now.monotonic_ms + ms;
        while let Some(deadline_ms) = self.shard.next_deadline_ms().filter(|due| *due <= end_ms) {
            self.move_clock(deadline_ms.max(self.now.monotonic_ms));
            let decision = self.shard.expire(self.now).expect("something is due");
            self.carry_out(decision);
        }
        self.move_clock(end_ms);
    }

    fn move_clock(&mut self, monotonic_ms: i64) {
        self.now.wall_ms += monotonic_ms - self.now.monotonic_ms;
        self.now.monotonic_ms = monotonic_ms;
    }

    /// What a log adds up to, without any live half.
    pub fn stored_from_log(&self) -> Stored {
        let mut stored = Stored::default();
        for (offset, entry) in self.log.iter().enumerate() {
            match entry {
                Entry::Record(producer_id, (key, value)) => {
                    let record = GroupShard::decode(key.clone(), value.clone());
                    let record = record.expect("our own record").expect("of a kind we know");
                    stored.replay(offset as i64, *producer_id, record);
                }
                Entry::Marker {
                    producer_id,
                    committed,
                } => {
                    stored.end_transaction(*producer_id, *committed);
                }
            }
        }
        stored
    }

    /// The log is all there is; a broker starts on it.
    pub fn restart(&mut self) {
        let mut shard = GroupShard::new(self.shard.config.clone(), self.image.clone());
        shard.stored = self.stored_from_log();
        self.shard = shard;
        self.answers.clear();
        let decision = self.shard.loaded(self.now);
        self.carry_out(decision);
    }

    /// A record that somebody else (a transaction, genuine Kafka) has written.
    pub fn write(&mut self, producer_id: Option<i64>, key: Bytes, value: Option<Bytes>) {
        let offset = self.log.len() as i64;
        self.log
            .push(Entry::Record(producer_id, (key.clone(), value.clone())));
        let record = GroupShard::decode(key, value)
            .expect("legal")
            .expect("known");
        self.shard.replay(offset, producer_id, record);
    }

    pub fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        self.send(GroupRequest::EndTransaction(TransactionEnd {
            producer_id,
            producer_epoch: 0,
            committed,
            coordinator_epoch: 0,
            transaction_version: 0,
        }));
    }

    // ---- shorthands ----

    pub fn send_join(&mut self, join: Join) -> Token {
        self.send(join.request(self.next_token))
    }

    pub fn join(&mut self, join: Join) -> JoinGroupResponse {
        let token = self.send_join(join);
        self.joined(token)
    }

    pub fn joined(&mut self, token: Token) -> JoinGroupResponse {
        match self
            .answer(token)
            .expect("the join is answered")
            .expect("no error of the log")
        {
            GroupReply::Join(response) => response,
            other => panic!("not a join: {other:?}"),
        }
    }

    pub fn is_waiting(&mut self, token: Token) -> bool {
        !self.answers.contains_key(&token)
    }

    pub fn send_sync(&mut self, joined: &JoinGroupResponse, assignments: &[(&str, &str)]) -> Token {
        let assignment = |(member_id, assignment): &(&str, &str)| SyncGroupRequestAssignment {
            member_id: member_id.to_string(),
            assignment: Bytes::copy_from_slice(assignment.as_bytes()),
        };
        self.send(GroupRequest::Sync(SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            protocol_type: joined.protocol_type.clone(),
            protocol_name: joined.protocol_name.clone(),
            assignments: assignments.iter().map(assignment).collect(),
            ..SyncGroupRequest::default()
        }))
    }

    pub fn synced(&mut self, token: Token) -> SyncGroupResponse {
        match self
            .answer(token)
            .expect("the sync is answered")
            .expect("no error of the log")
        {
            GroupReply::Sync(response) => response,
            other => panic!("not a sync: {other:?}"),
        }
    }

    pub fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.into(),
            group_instance_id: None,
        };
        match self.ask(GroupRequest::Heartbeat(request)) {
            GroupReply::Heartbeat(response) => ErrorCode::from_code(response.error_code),
            other => panic!("not a heartbeat: {other:?}"),
        }
    }

    pub fn leave(&mut self, members: Vec<MemberIdentity>) -> LeaveGroupResponse {
        let request = LeaveGroupRequest {
            group_id: GROUP.into(),
            members,
            ..LeaveGroupRequest::default()
        };
        match self.ask(GroupRequest::Leave(request)) {
            GroupReply::Leave(response) => response,
            other => panic!("not a leave: {other:?}"),
        }
    }

    pub fn commit(&mut self, member_id: &str, generation: i32, offset: i64) -> ErrorCode {
        self.commit_request(9, commit_request(member_id, generation, offset))
    }

    pub fn commit_request(&mut self, api_version: i16, request: OffsetCommitRequest) -> ErrorCode {
        match self.ask(GroupRequest::OffsetCommit {
            api_version,
            request: Arc::new(request),
        }) {
            GroupReply::OffsetCommit(response) => {
                ErrorCode::from_code(response.topics[0].partitions[0].error_code)
            }
            other => panic!("not a commit: {other:?}"),
        }
    }

    pub fn fetch(&mut self, group: &str, require_stable: bool) -> OffsetFetchResponsePartitions {
        let topic = OffsetFetchRequestTopics {
            name: "t".into(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        };
        let request = OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequestGroup::default()
        };
        match self.ask(GroupRequest::OffsetFetch {
            request,
            require_stable,
        }) {
            GroupReply::OffsetFetch(mut response) => {
                assert_eq!(response.error_code, 0, "{response:?}");
                response.topics.remove(0).partitions.remove(0)
            }
            other => panic!("not a fetch: {other:?}"),
        }
    }

    pub fn offset(&mut self) -> i64 {
        self.fetch(GROUP, false).committed_offset
    }

    pub fn state(&mut self) -> String {
        let groups = vec![GROUP.to_string()];
        match self.ask(GroupRequest::Describe {
            api_version: 5,
            groups,
        }) {
            GroupReply::Describe(groups) => groups[0].group_state.clone(),
            other => panic!("not a description: {other:?}"),
        }
    }

    /// A group of `count` members `m0`, `m1`, … that is stable in its first generation; m0 leads.
    pub fn stable_group(&mut self, count: usize) -> Vec<JoinGroupResponse> {
        let tokens: Vec<Token> = (0..count)
            .map(|index| self.send_join(Join::old(&format!("m{index}"))))
            .collect();
        self.sleep(2 * INITIAL_DELAY_MS);
        let joined: Vec<JoinGroupResponse> =
            tokens.into_iter().map(|token| self.joined(token)).collect();
        self.sync_all(&joined);
        joined
    }

    /// Everyone syncs; each gets its own id as its assignment.
    pub fn sync_all(&mut self, joined: &[JoinGroupResponse]) {
        let ids: Vec<(&str, &str)> = joined
            .iter()
            .map(|j| (j.member_id.as_str(), j.member_id.as_str()))
            .collect();
        let tokens: Vec<Token> = joined
            .iter()
            .map(|j| self.send_sync(j, if j.leader == j.member_id { &ids } else { &[] }))
            .collect();
        for (token, joined) in tokens.into_iter().zip(joined) {
            let synced = self.synced(token);
            assert_eq!(
                (synced.error_code, &synced.assignment[..]),
                (0, joined.member_id.as_bytes())
            );
        }
        assert_eq!(self.state(), "Stable");
    }
}

pub fn commit_request(member_id: &str, generation: i32, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: GROUP.into(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                committed_metadata: Some("note".into()),
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

pub fn identity(member_id: &str, instance_id: Option<&str>) -> MemberIdentity {
    MemberIdentity {
        member_id: member_id.into(),
        group_instance_id: instance_id.map(str::to_string),
        reason: None,
    }
}

/// A JoinGroup in the making.
#[derive(Clone, Debug)]
pub struct Join {
    pub api_version: i16,
    pub client_id: String,
    pub member_id: String,
    pub instance_id: Option<String>,
    pub protocols: Vec<(String, Bytes)>,
    pub protocol_type: String,
    pub session_ms: i32,
    pub rebalance_ms: i32,
}

impl Join {
    /// A client that gets its member id and joins in one go (JoinGroup 0-3).
    pub fn old(client_id: &str) -> Join {
        Join {
            api_version: 3,
            client_id: client_id.into(),
            member_id: String::new(),
            instance_id: None,
            protocols: vec![("range".into(), Bytes::from_static(b"r"))],
            protocol_type: "consumer".into(),
            session_ms: SESSION_MS,
            rebalance_ms: REBALANCE_MS,
        }
    }

    pub fn new(client_id: &str) -> Join {
        Join {
            api_version: 9,
            ..Join::old(client_id)
        }
    }

    pub fn fixed(instance_id: &str) -> Join {
        Join {
            instance_id: Some(instance_id.into()),
            ..Join::new("client")
        }
    }

    pub fn member(self, member_id: &str) -> Join {
        Join {
            member_id: member_id.into(),
            ..self
        }
    }

    pub fn protocols(self, protocols: &[(&str, &str)]) -> Join {
        let protocol = |(name, metadata): &(&str, &str)| {
            (
                name.to_string(),
                Bytes::copy_from_slice(metadata.as_bytes()),
            )
        };
        Join {
            protocols: protocols.iter().map(protocol).collect(),
            ..self
        }
    }

    pub fn request(&self, id: u64) -> GroupRequest {
        let caller = Caller {
            api_version: self.api_version,
            client_id: self.client_id.clone(),
            client_host: "/127.0.0.1".into(),
            fresh_id: format!("id{id}"),
        };
        let protocol = |(name, metadata): &(String, Bytes)| JoinGroupRequestProtocol {
            name: name.clone(),
            metadata: metadata.clone(),
        };
        let request = JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.rebalance_ms,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id.clone(),
            protocol_type: self.protocol_type.clone(),
            protocols: self.protocols.iter().map(protocol).collect(),
            reason: None,
        };
        GroupRequest::Join(caller, request)
    }
}

pub fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code)
}
