//! Kafka's error codes: what is on the wire, what tools print, what a client does about it.

use std::fmt;

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Fatal,
    Retriable,
    /// Retriable once the client's metadata is up to date.
    Refresh,
}

macro_rules! error_codes {
    ($($code:literal $variant:ident $retry:ident $name:literal $exception:literal $message:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(#[doc = $message]
            $variant = $code,)*
        }

        impl ErrorCode {
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),*];

            /// A code that we do not know is an unknown server error, as Java clients have it.
            pub const fn from_code(code: i16) -> ErrorCode {
                match code {
                    $($code => ErrorCode::$variant,)*
                    _ => ErrorCode::UnknownServerError,
                }
            }

            const fn facts(self) -> (&'static str, &'static str, &'static str, Retry) {
                match self {
                    $(ErrorCode::$variant => ($name, $exception, $message, Retry::$retry),)*
                }
            }
        }
    };
}

impl ErrorCode {
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name, such as `TOPIC_ALREADY_EXISTS`.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// The simple name of the Java exception, such as `TopicExistsException`; empty for
    /// [`ErrorCode::None`].
    pub const fn exception(self) -> &'static str {
        self.facts().1
    }

    /// The Java exception with its package, as Java's tools print it.
    pub fn exception_class(self) -> String {
        match self {
            ErrorCode::None => String::new(),
            // The one exception that lives elsewhere.
            ErrorCode::InvalidRecord => format!("org.apache.kafka.common.{}", self.exception()),
            _ => format!("org.apache.kafka.common.errors.{}", self.exception()),
        }
    }

    /// Kafka's text for the case that a response brings none of its own.
    pub const fn message(self) -> &'static str {
        self.facts().2
    }

    pub const fn is_retriable(self) -> bool {
        !matches!(self.facts().3, Retry::Fatal)
    }

    /// The client's metadata is out of date: refresh it, then try again.
    pub const fn invalidates_metadata(self) -> bool {
        matches!(self.facts().3, Retry::Refresh)
    }

    pub const fn is_none(self) -> bool {
        matches!(self, ErrorCode::None)
    }

    /// `Ok` if there is no error.
    pub const fn into_result(self) -> Result<(), ErrorCode> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> ErrorCode {
        ErrorCode::from_code(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> i16 {
        error.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::error::Error for ErrorCode {}

// Texts are Kafka's: tools print them.
error_codes! {
     -1 UnknownServerError Fatal "UNKNOWN_SERVER_ERROR" "UnknownServerException"
        "The server experienced an unexpected error when processing the request.";
      0 None Fatal "NONE" ""
        "NONE";
      1 OffsetOutOfRange Fatal "OFFSET_OUT_OF_RANGE" "OffsetOutOfRangeException"
        "The requested offset is not within the range of offsets maintained by the server.";
      2 CorruptMessage Retriable "CORRUPT_MESSAGE" "CorruptRecordException"
        "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt.";
      3 UnknownTopicOrPartition Refresh "UNKNOWN_TOPIC_OR_PARTITION" "UnknownTopicOrPartitionException"
        "This server does not host this topic-partition.";
      4 InvalidFetchSize Fatal "INVALID_FETCH_SIZE" "InvalidFetchSizeException"
        "The requested fetch size is invalid.";
      5 LeaderNotAvailable Refresh "LEADER_NOT_AVAILABLE" "LeaderNotAvailableException"
        "There is no leader for this topic-partition as we are in the middle of a leadership election.";
      6 NotLeaderOrFollower Refresh "NOT_LEADER_OR_FOLLOWER" "NotLeaderOrFollowerException"
        "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.";
      7 RequestTimedOut Retriable "REQUEST_TIMED_OUT" "TimeoutException"
        "The request timed out.";
      8 BrokerNotAvailable Fatal "BROKER_NOT_AVAILABLE" "BrokerNotAvailableException"
        "The broker is not available.";
      9 ReplicaNotAvailable Refresh "REPLICA_NOT_AVAILABLE" "ReplicaNotAvailableException"
        "The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.";
     10 MessageTooLarge Fatal "MESSAGE_TOO_LARGE" "RecordTooLargeException"
        "The request included a message larger than the max message size the server will accept.";
     11 StaleControllerEpoch Fatal "STALE_CONTROLLER_EPOCH" "ControllerMovedException"
        "The controller moved to another broker.";
     12 OffsetMetadataTooLarge Fatal "OFFSET_METADATA_TOO_LARGE" "OffsetMetadataTooLarge"
        "The metadata field of the offset request was too large.";
     13 NetworkException Refresh "NETWORK_EXCEPTION" "NetworkException"
        "The server disconnected before a response was received.";
     14 CoordinatorLoadInProgress Retriable "COORDINATOR_LOAD_IN_PROGRESS" "CoordinatorLoadInProgressException"
        "The coordinator is loading and hence can't process requests.";
     15 CoordinatorNotAvailable Retriable "COORDINATOR_NOT_AVAILABLE" "CoordinatorNotAvailableException"
        "The coordinator is not available.";
     16 NotCoordinator Retriable "NOT_COORDINATOR" "NotCoordinatorException"
        "This is not the correct coordinator.";
     17 InvalidTopicException Fatal "INVALID_TOPIC_EXCEPTION" "InvalidTopicException"
        "The request attempted to perform an operation on an invalid topic.";
     18 RecordListTooLarge Fatal "RECORD_LIST_TOO_LARGE" "RecordBatchTooLargeException"
        "The request included message batch larger than the configured segment size on the server.";
     19 NotEnoughReplicas Retriable "NOT_ENOUGH_REPLICAS" "NotEnoughReplicasException"
        "Messages are rejected since there are fewer in-sync replicas than required.";
     20 NotEnoughReplicasAfterAppend Retriable "NOT_ENOUGH_REPLICAS_AFTER_APPEND" "NotEnoughReplicasAfterAppendException"
        "Messages are written to the log, but to fewer in-sync replicas than required.";
     21 InvalidRequiredAcks Fatal "INVALID_REQUIRED_ACKS" "InvalidRequiredAcksException"
        "Produce request specified an invalid value for required acks.";
     22 IllegalGeneration Fatal "ILLEGAL_GENERATION" "IllegalGenerationException"
        "Specified group generation id is not valid.";
     23 InconsistentGroupProtocol Fatal "INCONSISTENT_GROUP_PROTOCOL" "InconsistentGroupProtocolException"
        "The group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list.";
     24 InvalidGroupId Fatal "INVALID_GROUP_ID" "InvalidGroupIdException"
        "The group id is invalid.";
     25 UnknownMemberId Fatal "UNKNOWN_MEMBER_ID" "UnknownMemberIdException"
        "The coordinator is not aware of this member.";
     26 InvalidSessionTimeout Fatal "INVALID_SESSION_TIMEOUT" "InvalidSessionTimeoutException"
        "The session timeout is not within the range allowed by the broker (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms).";
     27 RebalanceInProgress Fatal "REBALANCE_IN_PROGRESS" "RebalanceInProgressException"
        "The group is rebalancing, so a rejoin is needed.";
     28 InvalidCommitOffsetSize Fatal "INVALID_COMMIT_OFFSET_SIZE" "InvalidCommitOffsetSizeException"
        "The committing offset data size is not valid.";
     29 TopicAuthorizationFailed Fatal "TOPIC_AUTHORIZATION_FAILED" "TopicAuthorizationException"
        "Topic authorization failed.";
     30 GroupAuthorizationFailed Fatal "GROUP_AUTHORIZATION_FAILED" "GroupAuthorizationException"
        "Group authorization failed.";
     31 ClusterAuthorizationFailed Fatal "CLUSTER_AUTHORIZATION_FAILED" "ClusterAuthorizationException"
        "Cluster authorization failed.";
     32 InvalidTimestamp Fatal "INVALID_TIMESTAMP" "InvalidTimestampException"
        "The timestamp of the message is out of acceptable range.";
     33 UnsupportedSaslMechanism Fatal "UNSUPPORTED_SASL_MECHANISM" "UnsupportedSaslMechanismException"
        "The broker does not support the requested SASL mechanism.";
     34 IllegalSaslState Fatal "ILLEGAL_SASL_STATE" "IllegalSaslStateException"
        "Request is not valid given the current SASL state.";
     35 UnsupportedVersion Fatal "UNSUPPORTED_VERSION" "UnsupportedVersionException"
        "The version of API is not supported.";
     36 TopicAlreadyExists Fatal "TOPIC_ALREADY_EXISTS" "TopicExistsException"
        "Topic with this name already exists.";
     37 InvalidPartitions Fatal "INVALID_PARTITIONS" "InvalidPartitionsException"
        "Number of partitions is below 1.";
     38 InvalidReplicationFactor Fatal "INVALID_REPLICATION_FACTOR" "InvalidReplicationFactorException"
        "Replication factor is below 1 or larger than the number of available brokers.";
     39 InvalidReplicaAssignment Fatal "INVALID_REPLICA_ASSIGNMENT" "InvalidReplicaAssignmentException"
        "Replica assignment is invalid.";
     40 InvalidConfig Fatal "INVALID_CONFIG" "InvalidConfigurationException"
        "Configuration is invalid.";
     41 NotController Retriable "NOT_CONTROLLER" "NotControllerException"
        "This is not the correct controller for this cluster.";
     42 InvalidRequest Fatal "INVALID_REQUEST" "InvalidRequestException"
        "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.";
     43 UnsupportedForMessageFormat Fatal "UNSUPPORTED_FOR_MESSAGE_FORMAT" "UnsupportedForMessageFormatException"
        "The message format version on the broker does not support the request.";
     44 PolicyViolation Fatal "POLICY_VIOLATION" "PolicyViolationException"
        "Request parameters do not satisfy the configured policy.";
     45 OutOfOrderSequenceNumber Fatal "OUT_OF_ORDER_SEQUENCE_NUMBER" "OutOfOrderSequenceException"
        "The broker received an out of order sequence number.";
     46 DuplicateSequenceNumber Fatal "DUPLICATE_SEQUENCE_NUMBER" "DuplicateSequenceException"
        "The broker received a duplicate sequence number.";
     47 InvalidProducerEpoch Fatal "INVALID_PRODUCER_EPOCH" "InvalidProducerEpochException"
        "Producer attempted to produce with an old epoch.";
     48 InvalidTxnState Fatal "INVALID_TXN_STATE" "InvalidTxnStateException"
        "The producer attempted a transactional operation in an invalid state.";
     49 InvalidProducerIdMapping Fatal "INVALID_PRODUCER_ID_MAPPING" "InvalidPidMappingException"
        "The producer attempted to use a producer id which is not currently assigned to its transactional id.";
     50 InvalidTransactionTimeout Fatal "INVALID_TRANSACTION_TIMEOUT" "InvalidTxnTimeoutException"
        "The transaction timeout is larger than the maximum value allowed by the broker (as configured by transaction.max.timeout.ms).";
     51 ConcurrentTransactions Retriable "CONCURRENT_TRANSACTIONS" "ConcurrentTransactionsException"
        "The producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing.";
     52 TransactionCoordinatorFenced Fatal "TRANSACTION_COORDINATOR_FENCED" "TransactionCoordinatorFencedException"
        "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer.";
     53 TransactionalIdAuthorizationFailed Fatal "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" "TransactionalIdAuthorizationException"
        "Transactional Id authorization failed.";
     54 SecurityDisabled Fatal "SECURITY_DISABLED" "SecurityDisabledException"
        "Security features are disabled.";
     55 OperationNotAttempted Fatal "OPERATION_NOT_ATTEMPTED" "OperationNotAttemptedException"
        "The broker did not attempt to execute this operation. This may happen for batched RPCs where some operations in the batch failed, causing the broker to respond without trying the rest.";
     56 KafkaStorageError Refresh "KAFKA_STORAGE_ERROR" "KafkaStorageException"
        "Disk error when trying to access log file on the disk.";
     57 LogDirNotFound Fatal "LOG_DIR_NOT_FOUND" "LogDirNotFoundException"
        "The user-specified log directory is not found in the broker config.";
     58 SaslAuthenticationFailed Fatal "SASL_AUTHENTICATION_FAILED" "SaslAuthenticationException"
        "SASL Authentication failed.";
     59 UnknownProducerId Fatal "UNKNOWN_PRODUCER_ID" "UnknownProducerIdException"
        "This exception is raised by the broker if it could not locate the producer metadata associated with the producerId in question. This could happen if, for instance, the producer's records were deleted because their retention time had elapsed. Once the last records of the producerId are removed, the producer's metadata is removed from the broker, and future appends by the producer will return this exception.";
     60 ReassignmentInProgress Fatal "REASSIGNMENT_IN_PROGRESS" "ReassignmentInProgressException"
        "A partition reassignment is in progress.";
     61 DelegationTokenAuthDisabled Fatal "DELEGATION_TOKEN_AUTH_DISABLED" "DelegationTokenDisabledException"
        "Delegation Token feature is not enabled.";
     62 DelegationTokenNotFound Fatal "DELEGATION_TOKEN_NOT_FOUND" "DelegationTokenNotFoundException"
        "Delegation Token is not found on server.";
     63 DelegationTokenOwnerMismatch Fatal "DELEGATION_TOKEN_OWNER_MISMATCH" "DelegationTokenOwnerMismatchException"
        "Specified Principal is not valid Owner/Renewer.";
     64 DelegationTokenRequestNotAllowed Fatal "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED" "UnsupportedByAuthenticationException"
        "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token authenticated channels.";
     65 DelegationTokenAuthorizationFailed Fatal "DELEGATION_TOKEN_AUTHORIZATION_FAILED" "DelegationTokenAuthorizationException"
        "Delegation Token authorization failed.";
     66 DelegationTokenExpired Fatal "DELEGATION_TOKEN_EXPIRED" "DelegationTokenExpiredException"
        "Delegation Token is expired.";
     67 InvalidPrincipalType Fatal "INVALID_PRINCIPAL_TYPE" "InvalidPrincipalTypeException"
        "Supplied principalType is not supported.";
     68 NonEmptyGroup Fatal "NON_EMPTY_GROUP" "GroupNotEmptyException"
        "The group is not empty.";
     69 GroupIdNotFound Fatal "GROUP_ID_NOT_FOUND" "GroupIdNotFoundException"
        "The group id does not exist.";
     70 FetchSessionIdNotFound Retriable "FETCH_SESSION_ID_NOT_FOUND" "FetchSessionIdNotFoundException"
        "The fetch session ID was not found.";
     71 InvalidFetchSessionEpoch Retriable "INVALID_FETCH_SESSION_EPOCH" "InvalidFetchSessionEpochException"
        "The fetch session epoch is invalid.";
     72 ListenerNotFound Refresh "LISTENER_NOT_FOUND" "ListenerNotFoundException"
        "There is no listener on the leader broker that matches the listener on which metadata request was processed.";
     73 TopicDeletionDisabled Fatal "TOPIC_DELETION_DISABLED" "TopicDeletionDisabledException"
        "Topic deletion is disabled.";
     74 FencedLeaderEpoch Refresh "FENCED_LEADER_EPOCH" "FencedLeaderEpochException"
        "The leader epoch in the request is older than the epoch on the broker.";
     75 UnknownLeaderEpoch Retriable "UNKNOWN_LEADER_EPOCH" "UnknownLeaderEpochException"
        "The leader epoch in the request is newer than the epoch on the broker.";
     76 UnsupportedCompressionType Fatal "UNSUPPORTED_COMPRESSION_TYPE" "UnsupportedCompressionTypeException"
        "The requesting client does not support the compression type of given partition.";
     77 StaleBrokerEpoch Fatal "STALE_BROKER_EPOCH" "StaleBrokerEpochException"
        "Broker epoch has changed.";
     78 OffsetNotAvailable Retriable "OFFSET_NOT_AVAILABLE" "OffsetNotAvailableException"
        "The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.";
     79 MemberIdRequired Fatal "MEMBER_ID_REQUIRED" "MemberIdRequiredException"
        "The group member needs to have a valid member id before actually entering a consumer group.";
     80 PreferredLeaderNotAvailable Refresh "PREFERRED_LEADER_NOT_AVAILABLE" "PreferredLeaderNotAvailableException"
        "The preferred leader was not available.";
     81 GroupMaxSizeReached Fatal "GROUP_MAX_SIZE_REACHED" "GroupMaxSizeReachedException"
        "The group has reached its maximum size.";
     82 FencedInstanceId Fatal "FENCED_INSTANCE_ID" "FencedInstanceIdException"
        "The broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id.";
     83 EligibleLeadersNotAvailable Refresh "ELIGIBLE_LEADERS_NOT_AVAILABLE" "EligibleLeadersNotAvailableException"
        "Eligible topic partition leaders are not available.";
     84 ElectionNotNeeded Refresh "ELECTION_NOT_NEEDED" "ElectionNotNeededException"
        "Leader election not needed for topic partition.";
     85 NoReassignmentInProgress Fatal "NO_REASSIGNMENT_IN_PROGRESS" "NoReassignmentInProgressException"
        "No partition reassignment is in progress.";
     86 GroupSubscribedToTopic Fatal "GROUP_SUBSCRIBED_TO_TOPIC" "GroupSubscribedToTopicException"
        "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.";
     87 InvalidRecord Fatal "INVALID_RECORD" "InvalidRecordException"
        "This record has failed the validation on broker and hence will be rejected.";
     88 UnstableOffsetCommit Retriable "UNSTABLE_OFFSET_COMMIT" "UnstableOffsetCommitException"
        "There are unstable offsets that need to be cleared.";
     89 ThrottlingQuotaExceeded Retriable "THROTTLING_QUOTA_EXCEEDED" "ThrottlingQuotaExceededException"
        "The throttling quota has been exceeded.";
     90 ProducerFenced Fatal "PRODUCER_FENCED" "ProducerFencedException"
        "There is a newer producer with the same transactionalId which fences the current one.";
     91 ResourceNotFound Fatal "RESOURCE_NOT_FOUND" "ResourceNotFoundException"
        "A request illegally referred to a resource that does not exist.";
     92 DuplicateResource Fatal "DUPLICATE_RESOURCE" "DuplicateResourceException"
        "A request illegally referred to the same resource twice.";
     93 UnacceptableCredential Fatal "UNACCEPTABLE_CREDENTIAL" "UnacceptableCredentialException"
        "Requested credential would not meet criteria for acceptability.";
     94 InconsistentVoterSet Fatal "INCONSISTENT_VOTER_SET" "InconsistentVoterSetException"
        "Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters.";
     95 InvalidUpdateVersion Fatal "INVALID_UPDATE_VERSION" "InvalidUpdateVersionException"
        "The given update version was invalid.";
     96 FeatureUpdateFailed Fatal "FEATURE_UPDATE_FAILED" "FeatureUpdateFailedException"
        "Unable to update finalized features due to an unexpected server error.";
     97 PrincipalDeserializationFailure Fatal "PRINCIPAL_DESERIALIZATION_FAILURE" "PrincipalDeserializationException"
        "Request principal deserialization failed during forwarding. This indicates an internal error on the broker cluster security setup.";
     98 SnapshotNotFound Fatal "SNAPSHOT_NOT_FOUND" "SnapshotNotFoundException"
        "Requested snapshot was not found.";
     99 PositionOutOfRange Fatal "POSITION_OUT_OF_RANGE" "PositionOutOfRangeException"
        "Requested position is not greater than or equal to zero, and less than the size of the snapshot.";
    100 UnknownTopicId Refresh "UNKNOWN_TOPIC_ID" "UnknownTopicIdException"
        "This server does not host this topic ID.";
    101 DuplicateBrokerRegistration Fatal "DUPLICATE_BROKER_REGISTRATION" "DuplicateBrokerRegistrationException"
        "This broker ID is already in use.";
    102 BrokerIdNotRegistered Fatal "BROKER_ID_NOT_REGISTERED" "BrokerIdNotRegisteredException"
        "The given broker ID was not registered.";
    103 InconsistentTopicId Refresh "INCONSISTENT_TOPIC_ID" "InconsistentTopicIdException"
        "The log's topic ID did not match the topic ID in the request.";
    104 InconsistentClusterId Fatal "INCONSISTENT_CLUSTER_ID" "InconsistentClusterIdException"
        "The clusterId in the request does not match that found on the server.";
    105 TransactionalIdNotFound Fatal "TRANSACTIONAL_ID_NOT_FOUND" "TransactionalIdNotFoundException"
        "The transactionalId could not be found.";
    106 FetchSessionTopicIdError Retriable "FETCH_SESSION_TOPIC_ID_ERROR" "FetchSessionTopicIdException"
        "The fetch session encountered inconsistent topic ID usage.";
    107 IneligibleReplica Fatal "INELIGIBLE_REPLICA" "IneligibleReplicaException"
        "The new ISR contains at least one ineligible replica.";
    108 NewLeaderElected Fatal "NEW_LEADER_ELECTED" "NewLeaderElectedException"
        "The AlterPartition request successfully updated the partition state but the leader has changed.";
    109 OffsetMovedToTieredStorage Fatal "OFFSET_MOVED_TO_TIERED_STORAGE" "OffsetMovedToTieredStorageException"
        "The requested offset is moved to tiered storage.";
    110 FencedMemberEpoch Fatal "FENCED_MEMBER_EPOCH" "FencedMemberEpochException"
        "The member epoch is fenced by the group coordinator. The member must abandon all its partitions and rejoin.";
    111 UnreleasedInstanceId Fatal "UNRELEASED_INSTANCE_ID" "UnreleasedInstanceIdException"
        "The instance ID is still used by another member in the consumer group. That member must leave first.";
    112 UnsupportedAssignor Fatal "UNSUPPORTED_ASSIGNOR" "UnsupportedAssignorException"
        "The assignor or its version range is not supported by the consumer group.";
    113 StaleMemberEpoch Fatal "STALE_MEMBER_EPOCH" "StaleMemberEpochException"
        "The member epoch is stale. The member must retry after receiving its updated member epoch via the ConsumerGroupHeartbeat API.";
    114 MismatchedEndpointType Fatal "MISMATCHED_ENDPOINT_TYPE" "MismatchedEndpointTypeException"
        "The request was sent to an endpoint of the wrong type.";
    115 UnsupportedEndpointType Fatal "UNSUPPORTED_ENDPOINT_TYPE" "UnsupportedEndpointTypeException"
        "This endpoint type is not supported yet.";
    116 UnknownControllerId Fatal "UNKNOWN_CONTROLLER_ID" "UnknownControllerIdException"
        "This controller ID is not known.";
    117 UnknownSubscriptionId Fatal "UNKNOWN_SUBSCRIPTION_ID" "UnknownSubscriptionIdException"
        "Client sent a push telemetry request with an invalid or outdated subscription ID.";
    118 TelemetryTooLarge Fatal "TELEMETRY_TOO_LARGE" "TelemetryTooLargeException"
        "Client sent a push telemetry request larger than the maximum size the broker will accept.";
    119 InvalidRegistration Fatal "INVALID_REGISTRATION" "InvalidRegistrationException"
        "The controller has considered the broker registration to be invalid.";
    120 TransactionAbortable Fatal "TRANSACTION_ABORTABLE" "TransactionAbortableException"
        "The server encountered an error with the transaction. The client can abort the transaction to continue using this transactional ID.";
    121 InvalidRecordState Fatal "INVALID_RECORD_STATE" "InvalidRecordStateException"
        "The record state is invalid. The acknowledgement of delivery could not be completed.";
    122 ShareSessionNotFound Retriable "SHARE_SESSION_NOT_FOUND" "ShareSessionNotFoundException"
        "The share session was not found.";
    123 InvalidShareSessionEpoch Retriable "INVALID_SHARE_SESSION_EPOCH" "InvalidShareSessionEpochException"
        "The share session epoch is invalid.";
    124 FencedStateEpoch Fatal "FENCED_STATE_EPOCH" "FencedStateEpochException"
        "The share coordinator rejected the request because the share-group state epoch did not match.";
    125 InvalidVoterKey Fatal "INVALID_VOTER_KEY" "InvalidVoterKeyException"
        "The voter key doesn't match the receiving replica's key.";
    126 DuplicateVoter Fatal "DUPLICATE_VOTER" "DuplicateVoterException"
        "The voter is already part of the set of voters.";
    127 VoterNotFound Fatal "VOTER_NOT_FOUND" "VoterNotFoundException"
        "The voter is not part of the set of voters.";
    128 InvalidRegularExpression Fatal "INVALID_REGULAR_EXPRESSION" "InvalidRegularExpression"
        "The regular expression is not valid.";
    129 RebootstrapRequired Fatal "REBOOTSTRAP_REQUIRED" "RebootstrapRequiredException"
        "Client metadata is stale. The client should rebootstrap to obtain new metadata.";
    130 StreamsInvalidTopology Fatal "STREAMS_INVALID_TOPOLOGY" "StreamsInvalidTopologyException"
        "The supplied topology is invalid.";
    131 StreamsInvalidTopologyEpoch Fatal "STREAMS_INVALID_TOPOLOGY_EPOCH" "StreamsInvalidTopologyEpochException"
        "The supplied topology epoch is invalid.";
    132 StreamsTopologyFenced Fatal "STREAMS_TOPOLOGY_FENCED" "StreamsTopologyFencedException"
        "The supplied topology epoch is outdated.";
    133 ShareSessionLimitReached Retriable "SHARE_SESSION_LIMIT_REACHED" "ShareSessionLimitReachedException"
        "The limit of share sessions has been reached.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_without_gaps() {
        let codes: Vec<i16> = ErrorCode::ALL.iter().map(|error| error.code()).collect();
        assert_eq!(codes, (-1..=133).collect::<Vec<_>>());
        for &error in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(error.code()), error);
            assert_eq!(error.exception().is_empty(), error.is_none());
        }
        assert_eq!(ErrorCode::from_code(1000), ErrorCode::UnknownServerError);
    }

    #[test]
    fn facts_are_javas() {
        let error = ErrorCode::TopicAlreadyExists;
        assert_eq!((error.code(), error.name()), (36, "TOPIC_ALREADY_EXISTS"));
        assert_eq!(
            error.exception_class(),
            "org.apache.kafka.common.errors.TopicExistsException"
        );
        assert!(!error.is_retriable());
        assert!(ErrorCode::NotCoordinator.is_retriable());
        assert!(!ErrorCode::NotCoordinator.invalidates_metadata());
        assert!(ErrorCode::NotLeaderOrFollower.invalidates_metadata());
    }
}
