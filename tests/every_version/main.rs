//! Every API that the broker offers answers in every version it offers, with what a client of that version can read.

mod admin;
mod data;
mod directories;
mod groups;
mod share;
#[path = "../support/mod.rs"]
mod support;
mod topics;
mod transactions;

use std::io::{Read, Write};
use std::net::TcpStream;

use kafkars::protocol::ApiKey;
use kafkars::protocol::messages::ApiVersionsRequest;
use support::Broker;
use support::wire::Connection;

#[test]
fn every_offered_version_is_answered() {
    let broker = Broker::start();
    let mut c = Connection::open(broker.port);
    let offered = offered(&mut c);
    let topic_id = topics::topics(&mut c);
    data::answers(&mut c, topic_id);
    groups::answers(&mut c, topic_id);
    transactions::answers(&mut c);
    share::groups(&mut c, topic_id);
    topics::configs(&mut c);
    directories::answers(&mut c);
    admin::answers(&mut c);
    // The list above covers all that is offered, so that a new API cannot be forgotten here.
    assert_eq!(offered, ASKED.map(|key| key.code()).to_vec());
}

/// Everything that is asked below, in the order of the keys.
const ASKED: [ApiKey; 75] = [
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::SaslHandshake,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::AddPartitionsToTxn,
    ApiKey::AddOffsetsToTxn,
    ApiKey::EndTxn,
    ApiKey::WriteTxnMarkers,
    ApiKey::TxnOffsetCommit,
    ApiKey::DescribeAcls,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::AlterReplicaLogDirs,
    ApiKey::DescribeLogDirs,
    ApiKey::SaslAuthenticate,
    ApiKey::CreatePartitions,
    ApiKey::CreateDelegationToken,
    ApiKey::RenewDelegationToken,
    ApiKey::ExpireDelegationToken,
    ApiKey::DescribeDelegationToken,
    ApiKey::DeleteGroups,
    ApiKey::ElectLeaders,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::OffsetDelete,
    ApiKey::DescribeClientQuotas,
    ApiKey::AlterClientQuotas,
    ApiKey::DescribeUserScramCredentials,
    ApiKey::AlterUserScramCredentials,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::DescribeCluster,
    ApiKey::DescribeProducers,
    ApiKey::UnregisterBroker,
    ApiKey::DescribeTransactions,
    ApiKey::ListTransactions,
    ApiKey::ConsumerGroupHeartbeat,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::ListConfigResources,
    ApiKey::DescribeTopicPartitions,
    ApiKey::ShareGroupHeartbeat,
    ApiKey::ShareGroupDescribe,
    ApiKey::ShareFetch,
    ApiKey::ShareAcknowledge,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
    ApiKey::InitializeShareGroupState,
    ApiKey::ReadShareGroupState,
    ApiKey::WriteShareGroupState,
    ApiKey::DeleteShareGroupState,
    ApiKey::ReadShareGroupStateSummary,
    ApiKey::StreamsGroupHeartbeat,
    ApiKey::StreamsGroupDescribe,
    ApiKey::DescribeShareGroupOffsets,
    ApiKey::AlterShareGroupOffsets,
    ApiKey::DeleteShareGroupOffsets,
];

fn offered(c: &mut Connection) -> Vec<i16> {
    let mut keys = Vec::new();
    let request = |_| ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
    };
    c.ask_all(request, |version, response| {
        assert_eq!(response.error_code, 0, "version {version}");
        keys = response.api_keys.iter().map(|api| api.api_key).collect();
    });
    keys
}

#[test]
fn an_unknown_api_versions_version_is_answered_in_version_0() {
    let broker = Broker::start();
    let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
    // Version 5, as newer clients probe first: header, then a body that nobody here knows.
    let request = [0, 0, 0, 14, 0, 18, 0, 5, 0, 0, 0, 9, 0xff, 0xff, 0, 1, 1, 0];
    stream.write_all(&request).unwrap();
    let mut answer = [0; 20];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(
        answer,
        [
            0, 0, 0, 16, 0, 0, 0, 9, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4
        ]
    );
}
