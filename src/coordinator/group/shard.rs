//! The group machine: one shard per `__consumer_offsets` partition.
//!
//! `stored` is what the log says and changes by replay alone; `live` is who is here now, empty
//! after a load but for groups whose last generation had members. A group has a live half from its
//! first JoinGroup on until it is empty again and the log says so.
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;

use super::classic::{ClassicGroup, State};
use super::config::GroupConfig;
use super::consumer::SoftState;
use super::invariants;
use super::join::Join;
use super::rebalance::Step;
use super::record::{GroupMetadataValue, GroupRecord};
use super::share::{ShareReply, ShareRequest};
use super::stored::{Stored, StoredGroup};
use super::streams;
use super::timers::{TimerKey, Timers};
use crate::coordinator::shard::{Decision, EncodedRecord, Now, Shard, Token, TransactionEnd};
use crate::metadata::delta::MetadataChanges;
use crate::metadata::image::MetadataImage;
use crate::protocol::messages::consumer_group_describe_response;
use crate::protocol::messages::create_topics_request::CreatableTopic;
use crate::protocol::messages::delete_groups_response::DeletableGroupResult;
use crate::protocol::messages::describe_groups_response::DescribedGroup;
use crate::protocol::messages::list_groups_response::ListedGroup;
use crate::protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use crate::protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use crate::protocol::messages::streams_group_describe_response;
use crate::protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse, SyncGroupRequest,
    SyncGroupResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use crate::protocol::wire::{DecodeError, EncodeError};
use crate::protocol::{ErrorCode, Uuid};

/// The cluster's metadata as it is now.
pub type SharedImage = Arc<ArcSwap<MetadataImage>>;

pub type GroupDecision = Decision<GroupShard>;

/// Who asks to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub api_version: i16,
    pub client_id: String,
    /// As Java prints an address: `/127.0.0.1`.
    pub client_host: String,
    /// A new random UUID for the member id that the machine may have to give out.
    pub fresh_id: String,
}

#[derive(Clone, Debug)]
pub enum GroupRequest {
    Join(Caller, JoinGroupRequest),
    Sync(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveGroupRequest),
    OffsetCommit {
        api_version: i16,
        /// Shared with whoever builds the response if there is none from here.
        request: Arc<OffsetCommitRequest>,
    },
    /// Verified with the transaction coordinator.
    TxnOffsetCommit {
        request: Arc<TxnOffsetCommitRequest>,
        verification: Option<u64>,
    },
    /// Not a client's: a producer's transaction ends in this partition.
    EndTransaction(TransactionEnd),
    OffsetFetch {
        request: OffsetFetchRequestGroup,
        require_stable: bool,
    },
    OffsetDelete(OffsetDeleteRequest),
    Describe {
        api_version: i16,
        groups: Vec<String>,
    },
    List {
        states: Vec<String>,
        types: Vec<String>,
    },
    Delete(Vec<String>),
    ConsumerHeartbeat(Caller, ConsumerGroupHeartbeatRequest),
    ConsumerDescribe(Vec<String>),
    Share(ShareRequest),
    StreamsHeartbeat(Caller, StreamsGroupHeartbeatRequest),
    StreamsDescribe(Vec<String>),
    /// Not a client's: what of the cluster's metadata has changed.
    MetadataChanged(Arc<MetadataChanges>),
    /// Not a client's: topics by name and id that are gone.
    TopicsDeleted(Vec<(String, Uuid)>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum GroupReply {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    Leave(LeaveGroupResponse),
    OffsetCommit(OffsetCommitResponse),
    TxnOffsetCommit(TxnOffsetCommitResponse),
    TransactionEnded,
    OffsetFetch(OffsetFetchResponseGroup),
    OffsetDelete(OffsetDeleteResponse),
    Describe(Vec<DescribedGroup>),
    List(Vec<ListedGroup>),
    Delete(Vec<DeletableGroupResult>),
    ConsumerHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerDescribe(Vec<consumer_group_describe_response::DescribedGroup>),
    Share(ShareReply),
    /// And the internal topics that are to be created.
    StreamsHeartbeat(StreamsGroupHeartbeatResponse, Vec<CreatableTopic>),
    StreamsDescribe(Vec<streams_group_describe_response::DescribedGroup>),
    MetadataChanged,
    TopicsDeleted,
}

/// What becomes true, or does not, with an append.
#[derive(Debug)]
pub enum AfterAppend {
    NewGroup {
        group: String,
    },
    Assignment {
        group: String,
        generation: i32,
        assignments: BTreeMap<String, Bytes>,
    },
    /// A classic group has become a consumer group.
    Upgraded {
        group: String,
    },
    /// A consumer group has become a classic group, perhaps with an assignment that is too old.
    Downgraded {
        group: String,
        rebalances: bool,
    },
    /// The group as it is with the static member's new id.
    StaticMember {
        group: Box<ClassicGroup>,
        old_id: String,
        new_id: String,
        token: Token,
        can_skip_assignment: bool,
    },
}

#[derive(Debug)]
pub struct GroupShard {
    pub(super) config: GroupConfig,
    pub(super) stored: Stored,
    pub(super) live: BTreeMap<String, ClassicGroup>,
    pub(super) timers: Timers,
    /// As of the last change that the shard was told of.
    pub(super) image: Arc<MetadataImage>,
    latest_image: SharedImage,
    pub(super) soft: SoftState,
    pub(super) soft_streams: streams::SoftState,
}

impl GroupShard {
    pub fn new(config: GroupConfig, latest_image: SharedImage) -> GroupShard {
        GroupShard {
            config,
            stored: Stored::default(),
            live: BTreeMap::new(),
            timers: Timers::default(),
            image: latest_image.load_full(),
            latest_image,
            soft: SoftState::default(),
            soft_streams: streams::SoftState::default(),
        }
    }

    /// What the log has added up to.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    pub(super) fn is_classic(&self, group_id: &str) -> bool {
        let stored = self.stored.groups.get(group_id);
        self.live.contains_key(group_id)
            || matches!(stored, Some(StoredGroup::Simple | StoredGroup::Classic(_)))
    }

    fn is_share(&self, group_id: &str) -> bool {
        matches!(
            self.stored.groups.get(group_id),
            Some(StoredGroup::Share(_))
        )
    }

    pub(super) fn is_streams(&self, group_id: &str) -> bool {
        matches!(
            self.stored.groups.get(group_id),
            Some(StoredGroup::Streams(_))
        )
    }

    /// A classic group that nobody is in.
    pub(super) fn is_empty_classic(&self, group_id: &str) -> bool {
        match (self.live.get(group_id), self.stored.groups.get(group_id)) {
            (Some(group), _) => group.state == State::Empty,
            (None, Some(StoredGroup::Classic(value))) => value.members.is_empty(),
            (None, Some(StoredGroup::Simple)) => true,
            (None, _) => false,
        }
    }

    /// The group's live half, made if need be, and all that a step of it needs.
    pub(super) fn step<'a>(
        &'a mut self,
        group_id: &str,
        now: Now,
        out: &'a mut GroupDecision,
    ) -> Step<'a> {
        let stored = &self.stored.groups;
        let group =
            self.live
                .entry(group_id.into())
                .or_insert_with(|| match stored.get(group_id) {
                    Some(StoredGroup::Classic(value)) => ClassicGroup::from_stored(group_id, value),
                    _ => ClassicGroup::new(group_id, now.wall_ms),
                });
        Step {
            group,
            timers: &mut self.timers,
            config: &self.config,
            now,
            out,
        }
    }

    /// Removes the live half with its deadlines.
    pub(super) fn drop_live(&mut self, group_id: &str) -> Option<ClassicGroup> {
        let group = self.live.remove(group_id)?;
        self.timers.cancel(&TimerKey::Join(group_id.into()));
        self.timers.cancel(&TimerKey::Sync(group_id.into()));
        for member_id in group.members.keys().chain(&group.pending_join) {
            self.timers
                .cancel(&TimerKey::Session(group_id.into(), member_id.clone()));
        }
        Some(group)
    }

    /// A live half that knows no more than the log is not kept.
    fn tidy(&mut self, group_id: &str) {
        let Some(group) = self.live.get(group_id) else {
            return;
        };
        let log_knows = match self.stored.groups.get(group_id) {
            Some(StoredGroup::Classic(GroupMetadataValue {
                generation,
                members,
                ..
            })) => members.is_empty() && *generation == group.generation,
            Some(StoredGroup::Simple) => group.generation == 0,
            Some(StoredGroup::Consumer(_) | StoredGroup::Share(_) | StoredGroup::Streams(_))
            | None => false,
        };
        if group.state == State::Empty && group.pending_join.is_empty() && log_knows {
            self.drop_live(group_id);
        }
    }

    fn dispatch(&mut self, now: Now, token: Token, request: GroupRequest) -> GroupDecision {
        match request {
            GroupRequest::Join(caller, request) => {
                let decision = self.join(
                    now,
                    &Join {
                        caller: &caller,
                        request: &request,
                        token,
                    },
                );
                self.tidy(&request.group_id);
                decision
            }
            GroupRequest::Sync(request) => self.sync(now, token, &request),
            GroupRequest::Heartbeat(request) => self.heartbeat(now, token, &request),
            GroupRequest::Leave(request) => {
                let decision = self.leave(now, token, &request);
                self.tidy(&request.group_id);
                decision
            }
            GroupRequest::OffsetCommit {
                api_version,
                request,
            } => self.offset_commit(now, token, api_version, &request),
            GroupRequest::TxnOffsetCommit {
                request,
                verification,
            } => self.txn_offset_commit(now, token, &request, verification),
            GroupRequest::EndTransaction(end) => {
                let mut decision = GroupDecision {
                    marker: Some(end),
                    ..Default::default()
                };
                decision.answer(token, GroupReply::TransactionEnded);
                decision
            }
            GroupRequest::OffsetFetch {
                request,
                require_stable,
            } => self.offset_fetch(token, &request, require_stable),
            GroupRequest::OffsetDelete(request) => self.offset_delete(token, &request),
            GroupRequest::Describe {
                api_version,
                groups,
            } => self.describe(token, api_version, &groups),
            GroupRequest::List { states, types } => self.list(token, &states, &types),
            GroupRequest::Delete(groups) => self.delete(token, &groups),
            GroupRequest::ConsumerHeartbeat(caller, request) => {
                self.consumer_heartbeat(now, token, &caller, &request)
            }
            GroupRequest::ConsumerDescribe(groups) => self.describe_consumer_groups(token, &groups),
            GroupRequest::Share(request) => self.handle_share(now, token, request),
            GroupRequest::StreamsHeartbeat(caller, request) => {
                self.streams_heartbeat(now, token, &caller, &request)
            }
            GroupRequest::StreamsDescribe(groups) => self.describe_streams_groups(token, &groups),
            GroupRequest::MetadataChanged(changes) => {
                self.take_image();
                self.metadata_changed(&changes);
                let mut decision = GroupDecision::default();
                decision.answer(token, GroupReply::MetadataChanged);
                decision
            }
            GroupRequest::TopicsDeleted(topics) => {
                let mut decision = self.topics_deleted(&topics);
                decision.answer(token, GroupReply::TopicsDeleted);
                decision
            }
        }
    }

    fn take_image(&mut self) {
        self.image = self.latest_image.load_full();
    }

    fn deadline(&mut self, now: Now, key: TimerKey) -> GroupDecision {
        let mut out = GroupDecision::default();
        match key {
            TimerKey::Retention => return self.expire_offsets(now),
            TimerKey::Join(group) if self.live.contains_key(&group) => {
                self.step(&group, now, &mut out).join_deadline();
            }
            TimerKey::Sync(group) if self.live.contains_key(&group) => {
                self.step(&group, now, &mut out).sync_deadline();
            }
            TimerKey::Session(group, member) if self.live.contains_key(&group) => {
                self.step(&group, now, &mut out).session_deadline(&member);
                self.tidy(&group);
            }
            TimerKey::Session(group, member) if self.is_share(&group) => {
                return self.share_session_deadline(&group, &member);
            }
            TimerKey::Regex(group) => return self.resolve_regexes(now, &group),
            TimerKey::Join(_) | TimerKey::Sync(_) => {}
            key @ TimerKey::FirstAssignment(_) => return self.streams_deadline(now, &key),
            TimerKey::Session(ref group, _) | TimerKey::Rebalance(ref group, _)
                if self.is_streams(group) =>
            {
                return self.streams_deadline(now, &key);
            }
            key => return self.consumer_deadline(now, &key),
        }
        out
    }
}

impl Shard for GroupShard {
    type Request = GroupRequest;
    type Reply = GroupReply;
    type Record = GroupRecord;
    type AfterAppend = AfterAppend;
    type Effect = Infallible;

    fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<GroupRecord>, DecodeError> {
        GroupRecord::decode(key, value)
    }

    fn encode(record: &GroupRecord) -> Result<EncodedRecord, EncodeError> {
        record.encode()
    }

    fn handle(&mut self, now: Now, token: Token, request: GroupRequest) -> GroupDecision {
        self.dispatch(now, token, request)
    }

    fn replay(&mut self, offset: i64, producer_id: Option<i64>, record: GroupRecord) {
        let classic = match &record {
            GroupRecord::ClassicGroup { group, value } => Some((group.clone(), value.is_none())),
            GroupRecord::OffsetCommit { .. }
            | GroupRecord::Consumer { .. }
            | GroupRecord::Share { .. }
            | GroupRecord::Streams { .. } => None,
        };
        self.stored.replay(offset, producer_id, record);
        match classic {
            Some((group, true)) => drop(self.drop_live(&group)),
            Some((group, false)) => self.tidy(&group),
            None => {}
        }
    }

    fn replay_end_transaction(&mut self, producer_id: i64, committed: bool) {
        self.stored.end_transaction(producer_id, committed);
    }

    fn appended(
        &mut self,
        now: Now,
        after: AfterAppend,
        outcome: Result<(), ErrorCode>,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        match (after, outcome) {
            (AfterAppend::Upgraded { group }, Ok(())) => self.watch_upgraded(now, &group),
            (AfterAppend::Downgraded { group, rebalances }, Ok(())) => {
                self.forget_consumer_deadlines(&group);
                let mut step = self.step(&group, now, &mut out);
                step.resume();
                if rebalances {
                    step.rebalance_or_complete_join("the group was a consumer group");
                }
            }
            (AfterAppend::Upgraded { .. } | AfterAppend::Downgraded { .. }, Err(_)) => {}
            (AfterAppend::NewGroup { .. }, Ok(())) => {}
            (AfterAppend::NewGroup { group }, Err(error)) => {
                return self.new_group_failed(&group, error);
            }
            (
                AfterAppend::Assignment {
                    group,
                    generation,
                    assignments,
                },
                outcome,
            ) => {
                let current = self.live.get(&group).is_some_and(|group| {
                    group.state == State::CompletingRebalance && group.generation == generation
                });
                if current {
                    let mut step = self.step(&group, now, &mut out);
                    match outcome {
                        Ok(()) => step.assignment_stored(assignments),
                        Err(error) => step.assignment_failed(error),
                    }
                }
            }
            (
                AfterAppend::StaticMember {
                    group,
                    old_id,
                    new_id,
                    token,
                    can_skip_assignment,
                },
                Ok(()),
            ) => {
                let id = group.id.clone();
                self.live.insert(id.clone(), *group);
                let mut step = self.step(&id, now, &mut out);
                step.static_member_stored(&old_id, &new_id, token, can_skip_assignment);
            }
            (AfterAppend::StaticMember { token, .. }, Err(error)) => {
                out.answer(
                    token,
                    GroupReply::Join(super::rebalance::join_error("", error)),
                );
            }
        }
        out
    }

    fn loaded(&mut self, now: Now) -> GroupDecision {
        let mut out = GroupDecision::default();
        // Changes were not told while it was loading.
        self.take_image();
        self.soft.new_topics_at = self.image.provenance.last_offset;
        let with_members = |(id, group): (&String, &StoredGroup)| match group {
            StoredGroup::Classic(value) if !value.members.is_empty() => Some(id.clone()),
            _ => None,
        };
        let ids: Vec<String> = self.stored.groups.iter().filter_map(with_members).collect();
        for id in ids {
            let mut step = self.step(&id, now, &mut out);
            step.resume();
        }
        let is_consumer = |(id, group): (&String, &StoredGroup)| match group {
            StoredGroup::Consumer(_) => Some(id.clone()),
            _ => None,
        };
        let ids: Vec<String> = self.stored.groups.iter().filter_map(is_consumer).collect();
        for id in ids {
            self.resume_consumer_group(now, &id);
        }
        let groups = self.stored.groups.keys();
        let ids: Vec<String> = groups.filter(|id| self.is_share(id)).cloned().collect();
        for id in ids {
            self.resume_share_group(now, &id);
        }
        let groups = self.stored.groups.keys();
        let ids: Vec<String> = groups.filter(|id| self.is_streams(id)).cloned().collect();
        for id in ids {
            self.resume_streams_group(now, &id);
        }
        let interval = self.config.offsets_retention_check_interval_ms;
        self.timers
            .set(TimerKey::Retention, now.monotonic_ms + interval);
        out
    }

    fn next_deadline_ms(&self) -> Option<i64> {
        self.timers.next_ms()
    }

    fn expire(&mut self, now: Now) -> Option<GroupDecision> {
        let key = self.timers.pop_due(now.monotonic_ms)?;
        Some(self.deadline(now, key))
    }

    fn check_invariants(&self) {
        invariants::check(self);
    }
}
