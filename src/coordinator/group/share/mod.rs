//! Share groups (KIP-932): members share partitions, the coordinator says which.
//!
//! A heartbeat joins or goes on, as in consumer groups, but nothing is taken back before it is given
//! to another: a member has its target with its next heartbeat. Only partitions are assigned whose
//! state the share coordinator has begun; heartbeats that find others ask for it.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `state.rs` | the durable half: groups, members, which partitions have a state; replay |
//! | `record.rs` | their records |
//! | `heartbeat.rs`, `leave.rs`, `describe.rs` | the APIs, and sessions |
//! | `assignor.rs` | the target assignment |
//! | `initialize.rs` | beginnings of state: what to ask the share coordinator for, what it said |
//! | `offsets.rs` | offsets that are altered and deleted, and the end of a group |
//! | `settings.rs` | configuration |
mod assignor;
mod describe;
mod heartbeat;
mod initialize;
mod leave;
mod offsets;
mod record;
mod settings;
mod state;

use std::collections::BTreeMap;

pub use describe::describe_error;
pub use heartbeat::failed as heartbeat_error;
pub use initialize::Asked;
pub use record::ShareRecord;
pub use settings::ShareGroupConfig;
pub use state::{ShareGroup, SharePartitions};

use super::consumer::Refusal;
use super::shard::{Caller, GroupDecision, GroupReply, GroupShard};
use super::stored::StoredGroup;
use crate::coordinator::shard::{Now, Token};
use crate::protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use crate::protocol::messages::share_group_describe_response::DescribedGroup;
use crate::protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};
use crate::protocol::{ErrorCode, Uuid};

/// What of a share group is asked for.
#[derive(Clone, Debug)]
pub enum ShareRequest {
    Heartbeat(Caller, ShareGroupHeartbeatRequest),
    Describe(Vec<String>),
    /// Not a client's: the share coordinator has begun these partitions' states, or has refused.
    Initialized {
        group: String,
        partitions: SharePartitions,
        is_done: bool,
    },
    /// The partitions that have a state.
    InitializedPartitions(String),
    AlterOffsets(AlterShareGroupOffsetsRequest),
    /// The first half of DeleteShareGroupOffsets: what the share coordinator has to forget.
    DeleteOffsets(DeleteShareGroupOffsetsRequest),
    /// The second half: it has forgotten the states of these topics.
    OffsetsDeleted {
        group: String,
        topics: BTreeMap<Uuid, String>,
        /// What is answered beside them.
        refused: Vec<DeleteShareGroupOffsetsResponseTopic>,
    },
    /// Before a group is deleted: what the share coordinator has to forget.
    BeginDeletion(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum ShareReply {
    /// The states to begin are asked for when the response has left.
    Heartbeat(ShareGroupHeartbeatResponse, Option<InitializeState>),
    Describe(Vec<DescribedGroup>),
    Done,
    InitializedPartitions(SharePartitions),
    AlterOffsets(AlterShareGroupOffsetsResponse, Option<InitializeState>),
    DeleteOffsets(Result<Deletion, Refusal>),
    OffsetsDeleted(DeleteShareGroupOffsetsResponse),
    BeginDeletion(Result<SharePartitions, ErrorCode>),
}

/// What the share coordinator is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitializeState {
    pub group: String,
    pub state_epoch: i32,
    /// Where to start; -1: where `share.auto.offset.reset` says.
    pub start_offsets: BTreeMap<Uuid, BTreeMap<i32, i64>>,
}

/// What the share coordinator is to forget, and what is refused already.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deletion {
    pub partitions: SharePartitions,
    pub refused: Vec<DeleteShareGroupOffsetsResponseTopic>,
}

impl GroupShard {
    pub(super) fn handle_share(
        &mut self,
        now: Now,
        token: Token,
        request: ShareRequest,
    ) -> GroupDecision {
        let mut out = GroupDecision::default();
        let reply = match request {
            ShareRequest::Heartbeat(caller, request) => {
                self.share_heartbeat(now, &caller, &request, &mut out)
            }
            ShareRequest::Describe(groups) => ShareReply::Describe(self.describe_share(&groups)),
            ShareRequest::Initialized {
                group,
                partitions,
                is_done,
            } => {
                self.state_initialized(&group, &partitions, is_done, &mut out);
                ShareReply::Done
            }
            ShareRequest::InitializedPartitions(group) => {
                ShareReply::InitializedPartitions(self.initialized_partitions(&group))
            }
            ShareRequest::AlterOffsets(request) => self.alter_offsets(now, &request, &mut out),
            ShareRequest::DeleteOffsets(request) => {
                ShareReply::DeleteOffsets(self.delete_share_offsets(&request, &mut out))
            }
            ShareRequest::OffsetsDeleted {
                group,
                topics,
                refused,
            } => ShareReply::OffsetsDeleted(
                self.share_offsets_deleted(&group, topics, refused, &mut out),
            ),
            ShareRequest::BeginDeletion(group) => {
                ShareReply::BeginDeletion(self.begin_share_deletion(&group, &mut out))
            }
        };
        out.answer(token, GroupReply::Share(reply));
        out
    }

    fn known_share_group(&self, id: &str) -> Result<&ShareGroup, Refusal> {
        match self.stored.groups.get(id) {
            Some(StoredGroup::Share(group)) => Ok(group),
            None if !self.live.contains_key(id) => {
                Err(Refusal::not_found(format!("Group {id} not found.")))
            }
            _ => Err(Refusal::not_found(format!(
                "Group {id} is not a share group."
            ))),
        }
    }
}
