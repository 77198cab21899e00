//! Elections, reassignments, epochs, offsets.

use kafkars::protocol::messages::*;

use crate::support::wire::{Connection, batch};
use crate::transcript::Transcript;

fn elect(election_type: i8, partitions: Option<&[(&str, i32)]>) -> ElectLeadersRequest {
    let topic = |(topic, index): &(&str, i32)| elect_leaders_request::TopicPartitions {
        topic: (*topic).to_owned(),
        partitions: vec![*index],
    };
    ElectLeadersRequest {
        election_type,
        topic_partitions: partitions.map(|all| all.iter().map(topic).collect()),
        timeout_ms: 5000,
    }
}

fn reassign(
    topic: &str,
    index: i32,
    replicas: Option<&[i32]>,
) -> AlterPartitionReassignmentsRequest {
    use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
    AlterPartitionReassignmentsRequest {
        timeout_ms: 5000,
        topics: vec![ReassignableTopic {
            name: topic.to_owned(),
            partitions: vec![ReassignablePartition {
                partition_index: index,
                replicas: replicas.map(<[i32]>::to_vec),
            }],
        }],
        ..Default::default()
    }
}

fn epoch(topic: &str, index: i32, current: i32, asked: i32) -> OffsetForLeaderEpochRequest {
    use offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
    OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: topic.to_owned(),
            partitions: vec![OffsetForLeaderPartition {
                partition: index,
                current_leader_epoch: current,
                leader_epoch: asked,
            }],
        }],
    }
}

fn forget(group: &str, topic: &str, partitions: &[i32]) -> OffsetDeleteRequest {
    use offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
    let partition = |index: &i32| OffsetDeleteRequestPartition {
        partition_index: *index,
    };
    OffsetDeleteRequest {
        group_id: group.to_owned(),
        topics: vec![OffsetDeleteRequestTopic {
            name: topic.to_owned(),
            partitions: partitions.iter().map(partition).collect(),
        }],
    }
}

pub fn refused(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    for (at, suffix) in [(&mut *c, ""), (controller, ", of the controller")] {
        let mut elect = |what: &str, request| {
            t.ask(at, &format!("{what}{suffix}"), &request);
        };
        elect("unknown type", elect_type(7));
        elect("unknown topic", elect_one(0, "nowhere", 0));
        elect("unknown partition", elect_one(0, "plain", 9));
        elect("not needed", elect_one(0, "plain", 0));
        elect("unclean, not needed", elect_one(1, "plain", 1));
        let mut reassign = |what: &str, request| {
            t.ask(at, &format!("{what}{suffix}"), &request);
        };
        reassign("unknown topic", self::reassign("nowhere", 0, Some(&[1])));
        reassign("unknown partition", self::reassign("plain", 9, Some(&[1])));
        reassign("no replicas", self::reassign("plain", 0, Some(&[])));
        reassign("unknown broker", self::reassign("plain", 0, Some(&[2])));
        reassign("negative broker", self::reassign("plain", 0, Some(&[-1])));
        reassign("twice the same", self::reassign("plain", 0, Some(&[1, 1])));
        reassign("nothing to cancel", self::reassign("plain", 0, None));
        reassign("where it is", self::reassign("plain", 0, Some(&[1])));
        reassign("nothing", AlterPartitionReassignmentsRequest::default());
        reassign(
            "another replication factor",
            AlterPartitionReassignmentsRequest {
                allow_replication_factor_change: false,
                ..self::reassign("plain", 0, Some(&[1, 2]))
            },
        );
    }
    t.ask(c, "unknown topic", &epoch("nowhere", 0, -1, 0));
    t.ask(c, "unknown partition", &epoch("plain", 9, -1, 0));
    t.ask(c, "newer leader epoch", &epoch("plain", 0, 5, 0));
    t.ask(c, "newer epoch than there is", &epoch("plain", 0, 0, 7));
    t.ask(c, "negative epoch", &epoch("plain", 0, 0, -5));
    t.ask(c, "unknown group", &forget("nobody", "plain", &[0]));
    t.ask(c, "unknown topic", &forget("group", "nowhere", &[0]));
    t.ask(c, "unknown partition", &forget("group", "plain", &[9]));
    t.ask(c, "what is not committed", &forget("group", "plain", &[1]));
    t.ask(c, "empty group", &forget("", "plain", &[0]));
    special_timestamps(t, c);
}

fn elect_type(election_type: i8) -> ElectLeadersRequest {
    elect(election_type, Some(&[("plain", 0)]))
}

fn elect_one(election_type: i8, topic: &str, index: i32) -> ElectLeadersRequest {
    elect(election_type, Some(&[(topic, index)]))
}

fn offsets(topic: &str, timestamp: i64) -> ListOffsetsRequest {
    use list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: topic.to_owned(),
            partitions: vec![ListOffsetsPartition {
                partition_index: 0,
                timestamp,
                current_leader_epoch: -1,
            }],
        }],
        ..Default::default()
    }
}

/// All of them in all versions that could know them, of an empty partition.
fn special_timestamps(t: &mut Transcript, c: &mut Connection) {
    for timestamp in -8..=0 {
        for version in [1, 6, 7, 8, 9, 10, 11] {
            let what = format!("timestamp {timestamp}, version {version}");
            t.ask_in(c, &what, &offsets("plain", timestamp), version);
        }
    }
    t.ask(c, "unknown topic", &offsets("nowhere", -1));
}

pub fn accepted(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    // Of all partitions none needs an election.
    t.ask(
        controller,
        "all, preferred",
        &ElectLeadersRequest {
            topic_partitions: Some(Vec::new()),
            ..elect(0, None)
        },
    );
    c.produce("plain", 0, batch(&[b"one", b"two"]));
    t.ask(c, "the epoch there is", &epoch("plain", 0, 0, 0));
    for timestamp in [-6, -5, -4, -2, -1] {
        t.ask(
            c,
            &format!("timestamp {timestamp}"),
            &offsets("plain", timestamp),
        );
    }
    let listed = ListPartitionReassignmentsRequest::default();
    t.ask(c, "none", &listed);
    t.ask(controller, "none, of the controller", &listed);
    t.ask(c, "the group's", &forget("group", "plain", &[0]));
    t.ask(
        c,
        "the group is gone with its last offset",
        &forget("group", "plain", &[0]),
    );
}
