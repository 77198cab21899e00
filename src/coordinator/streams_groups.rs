//! The APIs of streams groups (KIP-1071) as the broker's handlers call them.
use super::group::{GroupReply, GroupRequest, response};
use super::groups::{GroupCoordinator, RequestContext, error_of};
use super::runtime::PartitionLog;
use crate::protocol::messages::create_topics_request::CreatableTopic;
use crate::protocol::messages::{
    StreamsGroupDescribeRequest, StreamsGroupDescribeResponse, StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse,
};
use crate::protocol::{ErrorCode, Uuid};

impl<L: PartitionLog> GroupCoordinator<L> {
    /// The feature is finalised, and the configuration does not switch the protocol off.
    pub fn offers_streams_groups(&self) -> bool {
        self.config.streams.is_offered && self.image.load().features.level("streams.version") > 0
    }

    /// Joins, goes on, leaves; and the internal topics that are missing.
    pub async fn streams_group_heartbeat(
        &self,
        context: &RequestContext,
        request: StreamsGroupHeartbeatRequest,
    ) -> (StreamsGroupHeartbeatResponse, Vec<CreatableTopic>) {
        let failed = |response| (response, Vec::new());
        if !self.offers_streams_groups() {
            return failed(response::streams_heartbeat_error(
                ErrorCode::UnsupportedVersion,
            ));
        }
        if self.runtime.is_closed() {
            return failed(StreamsGroupHeartbeatResponse {
                error_code: ErrorCode::CoordinatorNotAvailable.code(),
                ..Default::default()
            });
        }
        let partition = self.partition_for(&request.group_id);
        let caller = context.caller(Uuid::from_random(fastrand::u128(..)).to_string());
        let call = GroupRequest::StreamsHeartbeat(caller, request);
        match self.runtime.call(partition, call).await {
            Ok(GroupReply::StreamsHeartbeat(response, to_create)) => (response, to_create),
            other => failed(response::streams_heartbeat_error(error_of(other))),
        }
    }

    pub async fn streams_group_describe(
        &self,
        request: StreamsGroupDescribeRequest,
    ) -> StreamsGroupDescribeResponse {
        let described = self.describe_each(
            request.group_ids,
            self.offers_streams_groups(),
            GroupRequest::StreamsDescribe,
            |reply| match reply {
                GroupReply::StreamsDescribe(described) => Some(described),
                _ => None,
            },
            response::streams_describe_error,
        );
        StreamsGroupDescribeResponse {
            groups: described.await,
            ..Default::default()
        }
    }
}
