//! One file per API: `handle(context, request) -> response`.
//!
//! A handler asks whoever owns the matter (logs, controller, coordinators) and maps what it hears to Kafka's error
//! codes, per topic and partition. An API is in the table below when every version of it that Kafka offers is handled.

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod add_raft_voter;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod alter_replica_log_dirs;
pub mod alter_share_group_offsets;
pub mod alter_user_scram_credentials;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_acls;
pub mod create_delegation_token;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_share_group_offsets;
pub mod delete_share_group_state;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_delegation_token;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_share_group_offsets;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod describe_user_scram_credentials;
pub mod elect_leaders;
pub mod end_txn;
pub mod expire_delegation_token;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod initialize_share_group_state;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod read_share_group_state;
pub mod read_share_group_state_summary;
pub mod remove_raft_voter;
pub mod renew_delegation_token;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod share_acknowledge;
pub mod share_fetch;
pub mod share_group_describe;
pub mod share_group_heartbeat;
pub mod streams_group_describe;
pub mod streams_group_heartbeat;
pub mod sync_group;
mod topic_view;
pub mod txn_offset_commit;
pub mod unregister_broker;
pub mod update_features;
pub mod write_share_group_state;
pub mod write_txn_markers;

use std::ops::RangeInclusive;

use super::context::RequestContext;
use super::quotas::Kind;
use crate::controller::validate_topic_name;
use crate::net::Reply;
use crate::protocol::messages::*;
use crate::protocol::wire::{DecodeError, Reader};
use crate::protocol::{ApiKey, ErrorCode, Message, Response, frame};

/// The versions of an API that a listener offers; none if it does not offer the API.
pub fn offered(key: ApiKey, on_controller_listener: bool) -> Option<RangeInclusive<i16>> {
    let (broker, controller) = handled(key)?;
    if on_controller_listener {
        controller.then(|| key.controller_versions())?
    } else {
        broker.then(|| key.broker_versions())?
    }
}

/// The error for a topic that is asked for by a name that does not exist.
pub(super) fn unknown_name(name: &str) -> ErrorCode {
    if validate_topic_name(name).is_ok() {
        ErrorCode::UnknownTopicOrPartition
    } else {
        ErrorCode::InvalidTopicException
    }
}

/// The error code for a transactional request: versions 0 and 1 have no PRODUCER_FENCED.
fn fenced_for(version: i16, outcome: Result<(), ErrorCode>) -> i16 {
    const FIRST_WITH_FENCED: i16 = 2;
    let error = match outcome {
        Ok(()) => ErrorCode::None,
        Err(ErrorCode::ProducerFenced) if version < FIRST_WITH_FENCED => {
            ErrorCode::InvalidProducerEpoch
        }
        Err(error) => error,
    };
    error.code()
}

/// Whether a member of a share group may have this id.
fn is_member_id(text: &str) -> bool {
    const LENGTH_MAX: usize = 36;
    !text.is_empty() && text.encode_utf16().count() <= LENGTH_MAX
}

/// Where the routing of most APIs is written down: key, listeners, request type, module.
macro_rules! apis {
    ($($key:ident ($broker:literal, $controller:literal) $request:ident => $module:ident;)*) => {
        /// Whether an API is handled on broker listeners, and on controller listeners.
        fn handled(key: ApiKey) -> Option<(bool, bool)> {
            match key {
                ApiKey::Produce | ApiKey::Fetch => Some((true, false)),
                ApiKey::ApiVersions => Some((true, true)),
                $(ApiKey::$key => Some(($broker, $controller)),)*
                _ => None,
            }
        }

        async fn route(
            cx: &RequestContext<'_>,
            key: ApiKey,
            correlation_id: i32,
            mut body: Reader,
        ) -> Result<Reply, DecodeError> {
            match key {
                $(ApiKey::$key => {
                    let request = $request::decode(&mut body, cx.api_version)?;
                    let response = $module::handle(cx, request).await;
                    Ok(encode(cx, correlation_id, response))
                })*
                _ => Ok(Reply::Close(format!("{} is not offered here", key.name()))),
            }
        }
    };
}

apis! {
    ListOffsets (true, false) ListOffsetsRequest => list_offsets;
    Metadata (true, false) MetadataRequest => metadata;
    OffsetCommit (true, false) OffsetCommitRequest => offset_commit;
    OffsetFetch (true, false) OffsetFetchRequest => offset_fetch;
    FindCoordinator (true, false) FindCoordinatorRequest => find_coordinator;
    JoinGroup (true, false) JoinGroupRequest => join_group;
    Heartbeat (true, false) HeartbeatRequest => heartbeat;
    LeaveGroup (true, false) LeaveGroupRequest => leave_group;
    SyncGroup (true, false) SyncGroupRequest => sync_group;
    DescribeGroups (true, false) DescribeGroupsRequest => describe_groups;
    ListGroups (true, false) ListGroupsRequest => list_groups;
    CreateTopics (true, true) CreateTopicsRequest => create_topics;
    DeleteTopics (true, true) DeleteTopicsRequest => delete_topics;
    InitProducerId (true, false) InitProducerIdRequest => init_producer_id;
    DescribeConfigs (true, true) DescribeConfigsRequest => describe_configs;
    CreatePartitions (true, true) CreatePartitionsRequest => create_partitions;
    DeleteGroups (true, false) DeleteGroupsRequest => delete_groups;
    IncrementalAlterConfigs (true, true) IncrementalAlterConfigsRequest => incremental_alter_configs;
    ListPartitionReassignments (true, true) ListPartitionReassignmentsRequest
        => list_partition_reassignments;
    DeleteRecords (true, false) DeleteRecordsRequest => delete_records;
    AlterReplicaLogDirs (true, false) AlterReplicaLogDirsRequest => alter_replica_log_dirs;
    DescribeLogDirs (true, false) DescribeLogDirsRequest => describe_log_dirs;
    DescribeCluster (true, true) DescribeClusterRequest => describe_cluster;
    ConsumerGroupHeartbeat (true, false) ConsumerGroupHeartbeatRequest => consumer_group_heartbeat;
    ConsumerGroupDescribe (true, false) ConsumerGroupDescribeRequest => consumer_group_describe;
    ListConfigResources (true, false) ListConfigResourcesRequest => list_config_resources;
    AddPartitionsToTxn (true, false) AddPartitionsToTxnRequest => add_partitions_to_txn;
    AddOffsetsToTxn (true, false) AddOffsetsToTxnRequest => add_offsets_to_txn;
    EndTxn (true, false) EndTxnRequest => end_txn;
    WriteTxnMarkers (true, false) WriteTxnMarkersRequest => write_txn_markers;
    TxnOffsetCommit (true, false) TxnOffsetCommitRequest => txn_offset_commit;
    DescribeProducers (true, false) DescribeProducersRequest => describe_producers;
    DescribeTransactions (true, false) DescribeTransactionsRequest => describe_transactions;
    ListTransactions (true, false) ListTransactionsRequest => list_transactions;
    AlterShareGroupOffsets (true, false) AlterShareGroupOffsetsRequest => alter_share_group_offsets;
    DeleteShareGroupOffsets (true, false) DeleteShareGroupOffsetsRequest => delete_share_group_offsets;
    DeleteShareGroupState (true, false) DeleteShareGroupStateRequest => delete_share_group_state;
    DescribeShareGroupOffsets (true, false) DescribeShareGroupOffsetsRequest => describe_share_group_offsets;
    InitializeShareGroupState (true, false) InitializeShareGroupStateRequest => initialize_share_group_state;
    ReadShareGroupState (true, false) ReadShareGroupStateRequest => read_share_group_state;
    ReadShareGroupStateSummary (true, false) ReadShareGroupStateSummaryRequest => read_share_group_state_summary;
    ShareAcknowledge (true, false) ShareAcknowledgeRequest => share_acknowledge;
    ShareFetch (true, false) ShareFetchRequest => share_fetch;
    ShareGroupDescribe (true, false) ShareGroupDescribeRequest => share_group_describe;
    ShareGroupHeartbeat (true, false) ShareGroupHeartbeatRequest => share_group_heartbeat;
    WriteShareGroupState (true, false) WriteShareGroupStateRequest => write_share_group_state;
    StreamsGroupHeartbeat (true, false) StreamsGroupHeartbeatRequest => streams_group_heartbeat;
    StreamsGroupDescribe (true, false) StreamsGroupDescribeRequest => streams_group_describe;
    DescribeTopicPartitions (true, false) DescribeTopicPartitionsRequest
        => describe_topic_partitions;
    AddRaftVoter (true, true) AddRaftVoterRequest => add_raft_voter;
    AlterClientQuotas (true, true) AlterClientQuotasRequest => alter_client_quotas;
    AlterConfigs (true, true) AlterConfigsRequest => alter_configs;
    AlterPartitionReassignments (true, true) AlterPartitionReassignmentsRequest => alter_partition_reassignments;
    AlterUserScramCredentials (true, true) AlterUserScramCredentialsRequest => alter_user_scram_credentials;
    CreateAcls (true, true) CreateAclsRequest => create_acls;
    CreateDelegationToken (true, true) CreateDelegationTokenRequest => create_delegation_token;
    DeleteAcls (true, true) DeleteAclsRequest => delete_acls;
    DescribeAcls (true, true) DescribeAclsRequest => describe_acls;
    DescribeClientQuotas (true, false) DescribeClientQuotasRequest => describe_client_quotas;
    DescribeDelegationToken (true, true) DescribeDelegationTokenRequest => describe_delegation_token;
    DescribeQuorum (true, true) DescribeQuorumRequest => describe_quorum;
    DescribeUserScramCredentials (true, true) DescribeUserScramCredentialsRequest => describe_user_scram_credentials;
    ElectLeaders (true, true) ElectLeadersRequest => elect_leaders;
    ExpireDelegationToken (true, true) ExpireDelegationTokenRequest => expire_delegation_token;
    OffsetDelete (true, false) OffsetDeleteRequest => offset_delete;
    OffsetForLeaderEpoch (true, false) OffsetForLeaderEpochRequest => offset_for_leader_epoch;
    RemoveRaftVoter (true, true) RemoveRaftVoterRequest => remove_raft_voter;
    RenewDelegationToken (true, true) RenewDelegationTokenRequest => renew_delegation_token;
    SaslAuthenticate (true, true) SaslAuthenticateRequest => sasl_authenticate;
    SaslHandshake (true, true) SaslHandshakeRequest => sasl_handshake;
    UnregisterBroker (true, true) UnregisterBrokerRequest => unregister_broker;
    UpdateFeatures (true, true) UpdateFeaturesRequest => update_features;
}

/// Answers one request whose key and version are offered.
pub(super) async fn answer(
    cx: &RequestContext<'_>,
    key: ApiKey,
    correlation_id: i32,
    mut body: Reader,
) -> Result<Reply, DecodeError> {
    match key {
        ApiKey::Produce => {
            let request = ProduceRequest::decode(&mut body, cx.api_version)?;
            // What is written in a transaction is verified first; that may have to wait.
            let outcome = match request.transactional_id {
                None => produce::handle(cx, request).await,
                Some(_) => Box::pin(produce::handle_transactional(cx, request)).await,
            };
            Ok(match outcome {
                produce::Outcome::Response(response) => {
                    cx.record(Kind::Produce, cx.request_bytes as f64);
                    encode(cx, correlation_id, response)
                }
                produce::Outcome::Silent => {
                    cx.record(Kind::Produce, cx.request_bytes as f64);
                    cx.record_time();
                    Reply::Nothing
                }
                produce::Outcome::Close(why) => Reply::Close(why),
            })
        }
        ApiKey::Fetch => {
            let request = FetchRequest::decode(&mut body, cx.api_version)?;
            drop(body);
            let mut answer = fetch::handle(cx, request).await;
            set_throttle_time(cx, &mut answer.response);
            Ok(super::reply::with_ranges(
                cx.api_version,
                correlation_id,
                answer,
            ))
        }
        ApiKey::ApiVersions => {
            let request = ApiVersionsRequest::decode(&mut body, cx.api_version)?;
            let response = api_versions::handle(cx, request).await;
            Ok(encode(cx, correlation_id, response))
        }
        // The others are rarer and their futures large: boxed, they do not weigh on every connection.
        _ => Box::pin(route(cx, key, correlation_id, body)).await,
    }
}

fn encode<R: Response>(cx: &RequestContext<'_>, correlation_id: i32, mut response: R) -> Reply {
    set_throttle_time(cx, &mut response);
    super::reply::encoded(frame::encode_response(
        correlation_id,
        &response,
        cx.api_version,
    ))
}

/// Tells the client for how long it has to wait, if it has.
fn set_throttle_time<R: Response>(cx: &RequestContext<'_>, response: &mut R) {
    if cx.quotas == 0 {
        return;
    }
    cx.record_time();
    let ms = cx.usage.throttle_ms();
    if ms > 0 {
        response.set_throttle_time_ms(i32::try_from(ms).unwrap_or(i32::MAX));
    }
}
