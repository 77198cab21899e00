//! The group coordinator's share groups as the broker calls them. What follows from an answer and is
//! the share coordinator's to do is handed back with it.
use std::collections::BTreeMap;

use super::group::{
    Deletion, GroupReply, GroupRequest, InitializeState, Refusal, SharePartitions, ShareReply,
    ShareRequest, response,
};
use super::groups::{GroupCoordinator, RequestContext};
use super::runtime::PartitionLog;
use crate::protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use crate::protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, ShareGroupDescribeRequest, ShareGroupDescribeResponse,
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};
use crate::protocol::{ErrorCode, Uuid};

impl<L: PartitionLog> GroupCoordinator<L> {
    async fn ask_share(&self, group: &str, request: ShareRequest) -> Result<ShareReply, ErrorCode> {
        match self.ask(group, GroupRequest::Share(request)).await? {
            GroupReply::Share(reply) => Ok(reply),
            _ => Err(ErrorCode::UnknownServerError),
        }
    }

    /// Joins, goes on, leaves; and the states that the share coordinator has to begin.
    pub async fn share_group_heartbeat(
        &self,
        context: &RequestContext,
        request: ShareGroupHeartbeatRequest,
    ) -> (ShareGroupHeartbeatResponse, Option<InitializeState>) {
        if self.is_closed() {
            let error_code = ErrorCode::CoordinatorNotAvailable.code();
            let response = ShareGroupHeartbeatResponse {
                error_code,
                ..Default::default()
            };
            return (response, None);
        }
        let group = request.group_id.clone();
        let caller = context.caller(String::new());
        let call = ShareRequest::Heartbeat(caller, request);
        match self.ask_share(&group, call).await {
            Ok(ShareReply::Heartbeat(response, initialize)) => (response, initialize),
            other => (response::share_heartbeat_error(error_of(other)), None),
        }
    }

    pub async fn share_group_describe(
        &self,
        request: ShareGroupDescribeRequest,
    ) -> ShareGroupDescribeResponse {
        let described = self.describe_each(
            request.group_ids,
            true,
            |groups| GroupRequest::Share(ShareRequest::Describe(groups)),
            |reply| match reply {
                GroupReply::Share(ShareReply::Describe(described)) => Some(described),
                _ => None,
            },
            response::share_describe_error,
        );
        ShareGroupDescribeResponse {
            groups: described.await,
            ..Default::default()
        }
    }

    /// The share coordinator has begun these states, or has refused to.
    pub async fn share_states_initialized(
        &self,
        group: &str,
        partitions: SharePartitions,
        is_done: bool,
    ) -> Result<(), ErrorCode> {
        let call = ShareRequest::Initialized {
            group: group.to_owned(),
            partitions,
            is_done,
        };
        self.ask_share(group, call).await.map(drop)
    }

    /// The partitions of a group that have a state.
    pub async fn shared_partitions(&self, group: &str) -> Result<SharePartitions, ErrorCode> {
        let call = ShareRequest::InitializedPartitions(group.to_owned());
        match self.ask_share(group, call).await? {
            ShareReply::InitializedPartitions(partitions) => Ok(partitions),
            _ => Err(ErrorCode::UnknownServerError),
        }
    }

    pub async fn alter_share_group_offsets(
        &self,
        request: AlterShareGroupOffsetsRequest,
    ) -> (AlterShareGroupOffsetsResponse, Option<InitializeState>) {
        let group = request.group_id.clone();
        let answered = match group.is_empty() {
            true => Err(ErrorCode::InvalidGroupId),
            false => {
                self.ask_share(&group, ShareRequest::AlterOffsets(request))
                    .await
            }
        };
        match answered {
            Ok(ShareReply::AlterOffsets(response, initialize)) => (response, initialize),
            other => {
                let error = error_of(other);
                let response = AlterShareGroupOffsetsResponse {
                    error_code: error.code(),
                    error_message: Some(error.message().into()),
                    ..Default::default()
                };
                (response, None)
            }
        }
    }

    /// What the share coordinator has to forget before [`Self::share_offsets_deleted`].
    pub async fn delete_share_group_offsets(
        &self,
        request: DeleteShareGroupOffsetsRequest,
    ) -> Result<Deletion, Refusal> {
        let group = request.group_id.clone();
        let answered = match group.is_empty() {
            true => Err(ErrorCode::InvalidGroupId),
            false => {
                self.ask_share(&group, ShareRequest::DeleteOffsets(request))
                    .await
            }
        };
        match answered {
            Ok(ShareReply::DeleteOffsets(result)) => result,
            other => {
                let error = error_of(other);
                Err(Refusal::new(error, error.message().into()))
            }
        }
    }

    pub async fn share_offsets_deleted(
        &self,
        group: &str,
        topics: BTreeMap<Uuid, String>,
        refused: Vec<DeleteShareGroupOffsetsResponseTopic>,
    ) -> DeleteShareGroupOffsetsResponse {
        let call = ShareRequest::OffsetsDeleted {
            group: group.to_owned(),
            topics,
            refused,
        };
        match self.ask_share(group, call).await {
            Ok(ShareReply::OffsetsDeleted(response)) => response,
            other => {
                let error = error_of(other);
                DeleteShareGroupOffsetsResponse {
                    error_code: error.code(),
                    error_message: Some(error.message().into()),
                    ..Default::default()
                }
            }
        }
    }

    /// The states of a group that is to be deleted; none of a group of another kind.
    pub async fn begin_share_group_deletion(
        &self,
        group: &str,
    ) -> Result<SharePartitions, ErrorCode> {
        let call = ShareRequest::BeginDeletion(group.to_owned());
        match self.ask_share(group, call).await? {
            ShareReply::BeginDeletion(result) => result,
            _ => Err(ErrorCode::UnknownServerError),
        }
    }
}

/// A reply of another kind than was asked for would be our own mistake.
fn error_of(result: Result<ShareReply, ErrorCode>) -> ErrorCode {
    result.err().unwrap_or(ErrorCode::UnknownServerError)
}
