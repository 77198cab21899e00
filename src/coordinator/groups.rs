//! The group coordinator as the broker's handlers call it: one async function per API. What is
//! checked before a request reaches a shard is checked here, and every error becomes the API's own
//! response.
//!
//! Authorisation, throttling and the mapping between topic names and ids belong to the handlers.
//! Topics of OffsetCommit and OffsetFetch come with their name filled in whatever the version, and
//! with their id if it is known.
use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;

use super::group::{
    Caller, GroupConfig, GroupReply, GroupRequest, GroupShard, SharedImage, response,
};
use super::runtime::{LoadError, PartitionLog, Runtime, RuntimeConfig};
use super::shard::TransactionEnd;
use crate::metadata::delta::MetadataChanges;
use crate::metadata::image::MetadataImage;
use crate::protocol::messages::delete_groups_response::DeletableGroupResult;
use crate::protocol::messages::leave_group_request::MemberIdentity;
use crate::protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use crate::protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use crate::protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DeleteGroupsRequest, DeleteGroupsResponse,
    DescribeGroupsRequest, DescribeGroupsResponse, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
    ListGroupsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use crate::protocol::{ErrorCode, Uuid};

/// LeaveGroup 0-2 names one member.
const LEAVE_MANY_FROM: i16 = 3;
/// OffsetFetch 8 and later ask for many groups.
const FETCH_MANY_FROM: i16 = 8;

/// What of a request's context the group coordinator looks at.
#[derive(Clone, Debug)]
pub struct RequestContext {
    pub api_version: i16,
    pub client_id: String,
    /// As Java prints an address: `/127.0.0.1`.
    pub client_host: String,
}

impl RequestContext {
    pub(super) fn caller(&self, fresh_id: String) -> Caller {
        Caller {
            api_version: self.api_version,
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            fresh_id,
        }
    }
}

pub struct GroupCoordinator<L: PartitionLog> {
    pub(super) runtime: Arc<Runtime<GroupShard, L>>,
    pub(super) config: GroupConfig,
    partition_count: i32,
    pub(super) image: SharedImage,
}

impl<L: PartitionLog> GroupCoordinator<L> {
    /// `partition_count`: of `__consumer_offsets`, as it is or will be.
    pub fn new(
        log: L,
        config: GroupConfig,
        runtime: RuntimeConfig,
        partition_count: i32,
        image: Arc<MetadataImage>,
    ) -> GroupCoordinator<L> {
        let shard_config = config.clone();
        let image = Arc::new(ArcSwap::new(image));
        let shard_image = image.clone();
        let new_shard = move || GroupShard::new(shard_config.clone(), shard_image.clone());
        GroupCoordinator {
            runtime: Runtime::new(log, runtime, new_shard, |_, effect| match effect {}),
            config,
            partition_count: partition_count.max(1),
            image,
        }
    }

    /// The partition of `__consumer_offsets` that holds the group.
    pub fn partition_for(&self, group_id: &str) -> i32 {
        partition_for(group_id, self.partition_count)
    }

    /// This broker leads the partition. See [`Runtime::load`].
    pub fn load(&self, partition: i32) -> JoinHandle<Result<(), LoadError>> {
        self.runtime.load(partition)
    }

    /// This broker leads the partition no more.
    pub fn unload(&self, partition: i32) {
        self.runtime.unload(partition);
    }

    /// The high watermark of the partition has moved.
    pub fn high_watermark_advanced(&self, partition: i32) {
        self.runtime.high_watermark_advanced(partition);
    }

    /// Sessions, rebalances, retention. Runs until [`Self::close`]; spawn it once.
    pub fn run_timers(&self) -> impl Future<Output = ()> + Send + 'static {
        self.runtime.clone().run_timers()
    }

    pub fn close(&self) {
        self.runtime.close();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.runtime.is_closed()
    }

    /// Asks the shard that holds the group.
    pub(super) async fn ask(
        &self,
        group: &str,
        request: GroupRequest,
    ) -> Result<GroupReply, ErrorCode> {
        let partition = self.partition_for(group);
        self.runtime.call(partition, request).await
    }

    /// Has each group described by the shard that holds it. `is_offered`: whether there are such groups at all.
    pub(super) async fn describe_each<D>(
        &self,
        groups: Vec<String>,
        is_offered: bool,
        call: fn(Vec<String>) -> GroupRequest,
        described: fn(GroupReply) -> Option<Vec<D>>,
        refused: fn(&str, ErrorCode) -> D,
    ) -> Vec<D> {
        let mut all = Vec::with_capacity(groups.len());
        for group in groups {
            let answer = match (is_offered, group.is_empty()) {
                (false, _) => Err(ErrorCode::UnsupportedVersion),
                (true, true) => Err(ErrorCode::InvalidGroupId),
                (true, false) => self.ask(&group, call(vec![group.clone()])).await,
            };
            match answer.map(described) {
                Ok(Some(described)) => all.extend(described),
                Ok(None) => all.push(refused(&group, ErrorCode::UnknownServerError)),
                Err(error) => all.push(refused(&group, error)),
            }
        }
        all
    }

    pub async fn join_group(
        &self,
        context: &RequestContext,
        request: JoinGroupRequest,
    ) -> JoinGroupResponse {
        let member_id = request.member_id.clone();
        let session = request.session_timeout_ms;
        let refusal = if request.group_id.is_empty() {
            Some(ErrorCode::InvalidGroupId)
        } else if session < self.config.session_timeout_min_ms
            || session > self.config.session_timeout_max_ms
        {
            Some(ErrorCode::InvalidSessionTimeout)
        } else {
            None
        };
        let response = match refusal {
            Some(error) => response::join_error(&member_id, error),
            None => {
                let partition = self.partition_for(&request.group_id);
                let caller = context.caller(java_uuid(fastrand::u128(..)));
                match self
                    .runtime
                    .call(partition, GroupRequest::Join(caller, request))
                    .await
                {
                    Ok(GroupReply::Join(response)) => response,
                    other => response::join_error("", error_of(other)),
                }
            }
        };
        response::for_version(response, context.api_version)
    }

    pub async fn sync_group(&self, request: SyncGroupRequest) -> SyncGroupResponse {
        if request.group_id.is_empty() {
            return response::sync_error(ErrorCode::InvalidGroupId);
        }
        let partition = self.partition_for(&request.group_id);
        match self
            .runtime
            .call(partition, GroupRequest::Sync(request))
            .await
        {
            Ok(GroupReply::Sync(response)) => response,
            other => response::sync_error(error_of(other)),
        }
    }

    pub async fn heartbeat(&self, request: HeartbeatRequest) -> HeartbeatResponse {
        let error = if request.group_id.is_empty() {
            ErrorCode::InvalidGroupId
        } else {
            let partition = self.partition_for(&request.group_id);
            match self
                .runtime
                .call(partition, GroupRequest::Heartbeat(request))
                .await
            {
                Ok(GroupReply::Heartbeat(response)) => return response,
                // The members are not known yet: as Kafka, give them the benefit of the doubt.
                Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
                other => error_of(other),
            }
        };
        HeartbeatResponse {
            error_code: error.code(),
            ..Default::default()
        }
    }

    pub async fn leave_group(
        &self,
        context: &RequestContext,
        mut request: LeaveGroupRequest,
    ) -> LeaveGroupResponse {
        let is_old = context.api_version < LEAVE_MANY_FROM;
        if is_old {
            let member_id = std::mem::take(&mut request.member_id);
            request.members = vec![MemberIdentity {
                member_id,
                ..Default::default()
            }];
        }
        let result = if request.group_id.is_empty() {
            Err(ErrorCode::InvalidGroupId)
        } else {
            let partition = self.partition_for(&request.group_id);
            self.runtime
                .call(partition, GroupRequest::Leave(request))
                .await
        };
        let mut response = match result {
            Ok(GroupReply::Leave(response)) => response,
            other => LeaveGroupResponse {
                error_code: error_of(other).code(),
                ..Default::default()
            },
        };
        if is_old && let Some(member) = response.members.pop() {
            response.error_code = member.error_code;
        }
        response
    }

    pub async fn offset_commit(
        &self,
        context: &RequestContext,
        request: OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        let partition = self.partition_for(&request.group_id);
        let request = Arc::new(request);
        let call = GroupRequest::OffsetCommit {
            api_version: context.api_version,
            request: request.clone(),
        };
        match self.runtime.call(partition, call).await {
            Ok(GroupReply::OffsetCommit(response)) => response,
            other => response::commit_error(&request, error_of(other)),
        }
    }

    /// `verification`: what the log gave out before the transaction coordinator was asked.
    pub async fn txn_offset_commit(
        &self,
        request: TxnOffsetCommitRequest,
        verification: Option<u64>,
    ) -> TxnOffsetCommitResponse {
        let partition = self.partition_for(&request.group_id);
        let request = Arc::new(request);
        let call = GroupRequest::TxnOffsetCommit {
            request: request.clone(),
            verification,
        };
        match self.runtime.call(partition, call).await {
            Ok(GroupReply::TxnOffsetCommit(response)) => response,
            other => response::txn_commit_error(&request, error_of(other)),
        }
    }

    /// Ends a producer's transaction in a partition of `__consumer_offsets`: its offsets count, or
    /// are forgotten.
    pub async fn end_transaction(
        &self,
        partition: i32,
        end: TransactionEnd,
    ) -> Result<(), ErrorCode> {
        let call = GroupRequest::EndTransaction(end);
        self.runtime.call(partition, call).await.map(drop)
    }

    /// All versions: the groups are asked one by one and answered in their order.
    pub async fn offset_fetch(
        &self,
        context: &RequestContext,
        request: OffsetFetchRequest,
    ) -> OffsetFetchResponse {
        let require_stable = request.require_stable;
        if context.api_version < FETCH_MANY_FROM {
            let asked = response::from_old_request(&request);
            let group = self.offset_fetch_group(asked.clone(), require_stable).await;
            return response::to_old_response(context.api_version, &asked, group);
        }
        let mut response = OffsetFetchResponse::default();
        for group in request.groups {
            response
                .groups
                .push(self.offset_fetch_group(group, require_stable).await);
        }
        response
    }

    /// The offsets of one group; `topics` null asks for all of them.
    pub async fn offset_fetch_group(
        &self,
        request: OffsetFetchRequestGroup,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        let group_id = request.group_id.clone();
        let partition = self.partition_for(&group_id);
        let call = GroupRequest::OffsetFetch {
            request,
            require_stable,
        };
        match self.runtime.call(partition, call).await {
            Ok(GroupReply::OffsetFetch(response)) => response,
            // Consumers before 3.9 do not know what to make of it here; this one they retry.
            Err(ErrorCode::CoordinatorNotAvailable) if !self.runtime.is_closed() => {
                response::fetch_error(&group_id, ErrorCode::NotCoordinator)
            }
            other => response::fetch_error(&group_id, error_of(other)),
        }
    }

    pub async fn offset_delete(&self, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
        let result = if request.group_id.is_empty() {
            Err(ErrorCode::InvalidGroupId)
        } else {
            let partition = self.partition_for(&request.group_id);
            self.runtime
                .call(partition, GroupRequest::OffsetDelete(request))
                .await
        };
        match result {
            Ok(GroupReply::OffsetDelete(response)) => response,
            other => OffsetDeleteResponse {
                error_code: error_of(other).code(),
                ..Default::default()
            },
        }
    }

    pub async fn describe_groups(
        &self,
        context: &RequestContext,
        request: DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        let mut response = DescribeGroupsResponse::default();
        for group in request.groups {
            let partition = self.partition_for(&group);
            let groups = vec![group];
            let call = GroupRequest::Describe {
                api_version: context.api_version,
                groups: groups.clone(),
            };
            let described = match self.runtime.call(partition, call).await {
                Ok(GroupReply::Describe(described)) => described,
                other => response::describe_error(&groups, error_of(other)),
            };
            response.groups.extend(described);
        }
        response
    }

    /// The groups of all partitions that this broker leads, in the order of their ids within each.
    pub async fn list_groups(&self, request: ListGroupsRequest) -> ListGroupsResponse {
        let mut response = ListGroupsResponse::default();
        if self.runtime.is_closed() {
            response.error_code = ErrorCode::CoordinatorNotAvailable.code();
            return response;
        }
        for partition in self.runtime.partitions() {
            let call = GroupRequest::List {
                states: request.states_filter.clone(),
                types: request.types_filter.clone(),
            };
            match self.runtime.call(partition, call).await {
                Ok(GroupReply::List(groups)) => response.groups.extend(groups),
                Err(ErrorCode::NotCoordinator) => {}
                other => {
                    response.error_code = error_of(other).code();
                    response.groups.clear();
                    break;
                }
            }
        }
        response
    }

    pub async fn delete_groups(&self, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let mut results: Vec<DeletableGroupResult> = Vec::with_capacity(request.groups_names.len());
        let mut seen = BTreeSet::new();
        for group in request.groups_names {
            // As Kafka: a group that is named twice is answered once.
            if !seen.insert(group.clone()) {
                continue;
            }
            let partition = self.partition_for(&group);
            let groups = vec![group];
            match self
                .runtime
                .call(partition, GroupRequest::Delete(groups.clone()))
                .await
            {
                Ok(GroupReply::Delete(deleted)) => results.extend(deleted),
                other => results.extend(response::delete_error(&groups, error_of(other))),
            }
        }
        DeleteGroupsResponse {
            results,
            ..Default::default()
        }
    }

    /// The feature is finalised, and the configuration does not switch the protocol off.
    fn offers_consumer_groups(&self) -> bool {
        self.config.consumer.is_offered && self.image.load().features.level("group.version") > 0
    }

    /// KIP-848: joins, goes on, leaves.
    pub async fn consumer_group_heartbeat(
        &self,
        context: &RequestContext,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        if !self.offers_consumer_groups() {
            return response::heartbeat_error(ErrorCode::UnsupportedVersion);
        }
        if self.runtime.is_closed() {
            return ConsumerGroupHeartbeatResponse {
                error_code: ErrorCode::CoordinatorNotAvailable.code(),
                ..Default::default()
            };
        }
        let partition = self.partition_for(&request.group_id);
        let caller = context.caller(Uuid::from_random(fastrand::u128(..)).to_string());
        let call = GroupRequest::ConsumerHeartbeat(caller, request);
        match self.runtime.call(partition, call).await {
            Ok(GroupReply::ConsumerHeartbeat(response)) => response,
            other => response::heartbeat_error(error_of(other)),
        }
    }

    pub async fn consumer_group_describe(
        &self,
        request: ConsumerGroupDescribeRequest,
    ) -> ConsumerGroupDescribeResponse {
        let described = self.describe_each(
            request.group_ids,
            self.offers_consumer_groups(),
            GroupRequest::ConsumerDescribe,
            |reply| match reply {
                GroupReply::ConsumerDescribe(described) => Some(described),
                _ => None,
            },
            response::consumer_describe_error,
        );
        ConsumerGroupDescribeResponse {
            groups: described.await,
            ..Default::default()
        }
    }

    /// The cluster's metadata is another now. What is told here holds for shards that are loaded
    /// from now on; those that are loaded hear of it through [`Self::on_metadata_changed`].
    pub fn set_image(&self, image: Arc<MetadataImage>) {
        self.image.store(image);
    }

    /// After [`Self::set_image`]: groups look at topics that have changed.
    pub async fn on_metadata_changed(&self, changes: MetadataChanges) {
        let changes = Arc::new(changes);
        for partition in self.runtime.partitions() {
            let call = GroupRequest::MetadataChanged(changes.clone());
            // Who is loading, or gone, takes the image that there is when it is loaded.
            let _ = self.runtime.call(partition, call).await;
        }
    }

    /// Topics are gone: their offsets go. What cannot be removed now stays until it expires, as in
    /// Kafka.
    pub async fn on_topics_deleted(&self, topics: Vec<(String, Uuid)>) {
        for partition in self.runtime.partitions() {
            let call = GroupRequest::TopicsDeleted(topics.clone());
            if let Err(error) = self.runtime.call(partition, call).await
                && error != ErrorCode::NotCoordinator
            {
                tracing::error!(
                    "offsets of deleted topics stay in __consumer_offsets-{partition}: {}",
                    error.name()
                );
            }
        }
    }
}

/// A reply of another kind than was asked for would be our own mistake.
pub(super) fn error_of(result: Result<GroupReply, ErrorCode>) -> ErrorCode {
    result.err().unwrap_or(ErrorCode::UnknownServerError)
}

/// Kafka's mapping: the absolute value of Java's `String.hashCode`, 0 for the one that has none,
/// modulo.
pub fn partition_for(group_id: &str, partition_count: i32) -> i32 {
    let hash = group_id.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    hash.checked_abs().unwrap_or(0) % partition_count
}

/// A random UUID as Java prints it.
fn java_uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &hex[range]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_where_kafka_puts_them() {
        // From the fixture of genuine Kafka; the hash of the last is negative.
        for (group, partition) in [("", 0), ("g-classic", 0), ("g-streams", 1), ("g-re2j", 3)] {
            assert_eq!(partition_for(group, 4), partition, "{group:?}");
        }
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE.
        assert_eq!(partition_for("polygenelubricants", 50), 0);
    }

    #[test]
    fn member_ids_look_like_javas() {
        assert_eq!(java_uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(java_uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
