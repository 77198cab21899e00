//! The quorum, features, and the nodes that make up the cluster.

use kafkars::protocol::Uuid;
use kafkars::protocol::messages::*;

use crate::support::wire::Connection;
use crate::transcript::Transcript;

/// Feature, level, upgrade type.
type Update<'a> = (&'a str, i16, i8);

fn features(updates: &[Update<'_>]) -> UpdateFeaturesRequest {
    use update_features_request::FeatureUpdateKey;
    let update = |(feature, level, upgrade_type): &Update<'_>| FeatureUpdateKey {
        feature: (*feature).to_owned(),
        max_version_level: *level,
        upgrade_type: *upgrade_type,
        ..Default::default()
    };
    UpdateFeaturesRequest {
        feature_updates: updates.iter().map(update).collect(),
        ..Default::default()
    }
}

pub fn quorum(topic: &str, partition: i32) -> DescribeQuorumRequest {
    use describe_quorum_request::{PartitionData, TopicData};
    DescribeQuorumRequest {
        topics: vec![TopicData {
            topic_name: topic.to_owned(),
            partitions: vec![PartitionData {
                partition_index: partition,
            }],
        }],
    }
}

fn cluster(endpoint_type: i8) -> DescribeClusterRequest {
    DescribeClusterRequest {
        endpoint_type,
        include_cluster_authorized_operations: true,
        ..Default::default()
    }
}

pub fn refused(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    t.ask(
        controller,
        "downgrade, of the controller",
        &features(&[("metadata.version", 7, 1)]),
    );
    for (at, suffix) in [(&mut *c, ""), (controller, ", of the controller")] {
        t.ask(at, &format!("another topic{suffix}"), &quorum("plain", 0));
        t.ask(
            at,
            &format!("another partition{suffix}"),
            &quorum("__cluster_metadata", 1),
        );
        t.ask(
            at,
            &format!("no topic{suffix}"),
            &DescribeQuorumRequest::default(),
        );
        t.ask(
            at,
            &format!("unknown{suffix}"),
            &UnregisterBrokerRequest { broker_id: 99 },
        );
        t.ask(
            at,
            &format!("negative{suffix}"),
            &UnregisterBrokerRequest { broker_id: -1 },
        );
        voters(t, at, suffix);
        t.ask(at, &format!("unknown type{suffix}"), &cluster(3));
    }
    let updates: [(&str, &[Update<'_>]); 10] = [
        ("unknown feature", &[("speed", 1, 1)]),
        ("too high", &[("metadata.version", 99, 1)]),
        ("too low", &[("metadata.version", 1, 2)]),
        ("downgrade as upgrade", &[("metadata.version", 7, 1)]),
        ("downgrade that loses", &[("metadata.version", 7, 2)]),
        ("unsafe downgrade", &[("metadata.version", 7, 3)]),
        ("unknown upgrade type", &[("group.version", 0, 0)]),
        ("upgrade as downgrade", &[("group.version", 2, 2)]),
        ("negative", &[("group.version", -1, 2)]),
        ("one is wrong", &[("group.version", 0, 2), ("speed", 1, 1)]),
    ];
    for (what, updates) in updates {
        t.ask(c, what, &features(updates));
        t.ask_in(c, &format!("{what}, version 1"), &features(updates), 1);
    }
    t.ask(c, "nothing", &features(&[]));
    let dry = UpdateFeaturesRequest {
        validate_only: true,
        ..features(&[("group.version", 0, 2)])
    };
    t.ask(c, "only validated", &dry);
    t.ask(c, "controllers of a broker", &cluster(2));
}

fn voters(t: &mut Transcript, c: &mut Connection, suffix: &str) {
    let listener = add_raft_voter_request::Listener {
        name: "CONTROLLER".to_owned(),
        host: "localhost".to_owned(),
        port: 9,
    };
    let add = AddRaftVoterRequest {
        cluster_id: None,
        timeout_ms: 1000,
        voter_id: 2,
        voter_directory_id: Uuid::from_u128(77),
        listeners: vec![listener],
        ack_when_committed: true,
    };
    t.ask(c, &format!("with static voters{suffix}"), &add);
    let wrong_cluster = AddRaftVoterRequest {
        cluster_id: Some("other".to_owned()),
        ..add.clone()
    };
    t.ask(c, &format!("another cluster{suffix}"), &wrong_cluster);
    let nowhere = AddRaftVoterRequest {
        listeners: Vec::new(),
        ..add
    };
    t.ask(c, &format!("no endpoint{suffix}"), &nowhere);
    let remove = RemoveRaftVoterRequest {
        cluster_id: None,
        voter_id: 1,
        voter_directory_id: Uuid::from_u128(77),
    };
    t.ask(c, &format!("with static voters{suffix}"), &remove);
    let wrong_cluster = RemoveRaftVoterRequest {
        cluster_id: Some("other".to_owned()),
        ..remove
    };
    t.ask(c, &format!("another cluster{suffix}"), &wrong_cluster);
}

/// What differs from run to run is taken out.
fn note_quorum(t: &mut Transcript, c: &mut Connection, what: &str, version: i16) {
    let mut response = c.ask(&quorum("__cluster_metadata", 0), version);
    for partition in response
        .topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions)
    {
        assert!(partition.high_watermark > 0);
        partition.high_watermark = 0;
        assert!(partition.leader_epoch > 0);
        partition.leader_epoch = 0;
        for replica in partition
            .current_voters
            .iter_mut()
            .chain(&mut partition.observers)
        {
            assert!(replica.log_end_offset > 0);
            replica.log_end_offset = 0;
            if version > 0 {
                assert!(replica.last_fetch_timestamp > 0, "{replica:?}");
                assert!(replica.last_caught_up_timestamp > 0, "{replica:?}");
                (
                    replica.last_fetch_timestamp,
                    replica.last_caught_up_timestamp,
                ) = (0, 0);
            }
            if version > 1 {
                replica.replica_directory_id =
                    Uuid::from_u128(u128::from(replica.replica_directory_id != Uuid::ZERO));
            }
        }
    }
    t.note(
        &format!("DescribeQuorum: {what}, version {version}"),
        &format!("{response:?}"),
    );
}

pub fn accepted(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    for version in 0..=2 {
        note_quorum(t, c, "the metadata log", version);
        note_quorum(
            t,
            controller,
            "the metadata log, of the controller",
            version,
        );
    }
    t.ask(c, "to level 0", &features(&[("group.version", 0, 2)]));
    t.ask(c, "and back", &features(&[("group.version", 1, 1)]));
    t.ask(
        c,
        "to the level it has",
        &features(&[("group.version", 1, 1)]),
    );
    for (at, who, endpoint_type) in [(&mut *c, "brokers", 1), (controller, "controllers", 2)] {
        let mut response = at.ask(&cluster(endpoint_type), 2);
        response.cluster_id.clear();
        t.note(&format!("DescribeCluster: {who}"), &format!("{response:?}"));
    }
}
