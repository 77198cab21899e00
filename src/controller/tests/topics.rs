use super::*;
use crate::protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use crate::protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopicConfig,
};
use crate::protocol::messages::delete_topics_request::DeleteTopicState;
use crate::protocol::messages::{CreatePartitionsRequest, DeleteTopicsRequest};

fn with_config(name: &str, key: &str, value: Option<&str>) -> CreatableTopic {
    let (key, value) = (key.to_owned(), value.map(str::to_owned));
    let config = CreatableTopicConfig { name: key, value };
    CreatableTopic {
        configs: vec![config],
        ..topic(name, 1, 1)
    }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *index,
        broker_ids: brokers.to_vec(),
    };
    let assignments = assignments.iter().map(assignment).collect();
    CreatableTopic {
        assignments,
        ..topic(name, -1, -1)
    }
}

#[test]
fn a_topic_is_one_batch_of_records() {
    let mut cluster = Cluster::running();
    let mut created = with_config("t", "min.insync.replicas", Some("1"));
    created.num_partitions = 2;
    let request = CreateTopicsRequest {
        topics: vec![created],
        ..Default::default()
    };
    let result =
        cluster
            .controller
            .create_topics(&cluster.image, &request, &mut || 1 << 100, &mut |_| Ok(()));
    assert!(result.is_atomic);
    assert_eq!(
        names(&result.records),
        [
            "TopicRecord",
            "ConfigRecord",
            "ClearElrRecord",
            "PartitionRecord",
            "PartitionRecord"
        ]
    );
    cluster.apply(&result.records);
    let partition = cluster.image.topics.partition("t", 1).unwrap();
    assert_eq!((partition.leader, &*partition.isr), (1, &[1][..]));
    assert_eq!((partition.leader_epoch, partition.partition_epoch), (0, 0));
    assert_eq!(
        partition.directories,
        cluster.image.cluster.brokers[&1].log_dirs
    );
    let reply = &result.response.topics[0];
    assert_eq!((reply.num_partitions, reply.replication_factor), (2, 1));
    let configs = reply.configs.as_ref().unwrap();
    let set = configs
        .iter()
        .find(|config| config.name == "min.insync.replicas")
        .unwrap();
    assert_eq!((set.value.as_deref(), set.config_source), (Some("1"), 1));
    assert!(configs.windows(2).all(|pair| pair[0].name < pair[1].name));
}

#[test]
fn validation_alone_writes_nothing() {
    let cluster = Cluster::running();
    let request = CreateTopicsRequest {
        topics: vec![topic("t", -1, -1)],
        validate_only: true,
        ..Default::default()
    };
    let result =
        cluster
            .controller
            .create_topics(&cluster.image, &request, &mut || 1 << 100, &mut |_| Ok(()));
    assert!(result.records.is_empty());
    let reply = &result.response.topics[0];
    assert_eq!(
        (
            reply.error_code,
            reply.num_partitions,
            reply.replication_factor
        ),
        (0, 1, 1)
    );
}

#[test]
fn refusals_are_kafkas_to_the_letter() {
    let mut cluster = Cluster::running();
    cluster.create_simple("there.a_b", 1);
    for (request, code, message) in [
        (
            topic("there.a_b", 1, 1),
            ErrorCode::TopicAlreadyExists,
            "Topic 'there.a_b' already exists.".to_owned(),
        ),
        (
            topic("there_a.b", 1, 1),
            ErrorCode::InvalidTopicException,
            "Topic 'there_a.b' collides with existing topic: there.a_b".to_owned(),
        ),
        (
            topic("bad name", 1, 1),
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: 'bad name' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'"
                .to_owned(),
        ),
        (
            topic(".", 1, 1),
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: '.' is not allowed".to_owned(),
        ),
        (
            topic("x", 1, 3),
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 \
             cannot be reached because only 1 broker(s) are registered or some brokers have all \
             their log directories cordoned."
                .to_owned(),
        ),
        (
            topic("x", 1, 0),
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
        ),
        (
            topic("x", 0, 1),
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.".to_owned(),
        ),
        (
            topic("x", 10_001, 1),
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.".to_owned(),
        ),
    ] {
        let name = request.name.clone();
        assert_eq!(cluster.create(vec![request]), [(name, code, Some(message))]);
    }
    assert_eq!(cluster.image.topics.len(), 1);
}

#[test]
fn configs_and_assignments_are_checked_in_kafkas_words() {
    let mut cluster = Cluster::running();
    let manual = "A manual partition assignment was specified, but";
    for (request, code, message) in [
        (
            with_config("x", "no.such.config", Some("1")),
            ErrorCode::InvalidConfig,
            "Unknown topic config name: no.such.config".to_owned(),
        ),
        (
            with_config("x", "retention.ms", None),
            ErrorCode::InvalidConfig,
            "Null value not supported for topic configs: retention.ms".to_owned(),
        ),
        (
            assigned("x", &[(0, &[7])]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 7, but no such broker is registered."
                .to_owned(),
        ),
        (
            assigned("x", &[(1, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence".to_owned(),
        ),
        (
            CreatableTopic {
                num_partitions: 1,
                ..assigned("x", &[(0, &[1])])
            },
            ErrorCode::InvalidRequest,
            format!("{manual} numPartitions was not set to -1."),
        ),
        (
            topic("__cluster_metadata", 1, 1),
            ErrorCode::InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.".to_owned(),
        ),
    ] {
        let name = request.name.clone();
        assert_eq!(cluster.create(vec![request]), [(name, code, Some(message))]);
    }
    assert!(cluster.image.topics.is_empty());
}

#[test]
fn a_name_given_twice_is_refused_and_the_others_are_made() {
    let mut cluster = Cluster::running();
    let outcome = cluster.create(vec![topic("a", 1, 1), topic("b", 1, 1), topic("a", 1, 1)]);
    let duplicate = Some("Duplicate topic name.".to_owned());
    assert_eq!(
        outcome,
        [
            ("b".to_owned(), ErrorCode::None, None),
            ("a".to_owned(), ErrorCode::InvalidRequest, duplicate),
        ]
    );
}

#[test]
fn manual_assignments_are_followed() {
    let mut cluster = Cluster::running();
    cluster.start_broker(2, -1);
    cluster.stop_broker(2);
    let outcome = cluster.create(vec![assigned("t", &[(1, &[2, 1]), (0, &[1, 2])])]);
    assert_eq!(outcome[0].1, ErrorCode::None);
    let partition = cluster.image.topics.partition("t", 1).unwrap();
    assert_eq!(
        (&*partition.replicas, &*partition.isr),
        (&[2, 1][..], &[1][..])
    );
    assert_eq!(partition.leader, 1);
}

fn add(cluster: &mut Cluster, topic: CreatePartitionsTopic) -> (ErrorCode, Option<String>) {
    let request = CreatePartitionsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    let mut result = cluster.controller.create_partitions(
        &cluster.image,
        &request,
        &mut || 1 << 100,
        &mut |_| Ok(()),
    );
    cluster.apply(&result.records);
    let reply = result.response.results.remove(0);
    (ErrorCode::from_code(reply.error_code), reply.error_message)
}

fn grow(name: &str, count: i32) -> CreatePartitionsTopic {
    let name = name.to_owned();
    CreatePartitionsTopic {
        name,
        count,
        assignments: None,
    }
}

#[test]
fn topics_only_grow() {
    let mut cluster = Cluster::running();
    cluster.create_simple("t", 2);
    assert_eq!(add(&mut cluster, grow("t", 4)), (ErrorCode::None, None));
    assert_eq!(cluster.image.topics.get("t").unwrap().partitions.len(), 4);
    for (request, code, message) in [
        (
            grow("t", 4),
            ErrorCode::InvalidPartitions,
            Some("Topic already has 4 partition(s)."),
        ),
        (
            grow("t", 1),
            ErrorCode::InvalidPartitions,
            Some("The topic t currently has 4 partition(s); 1 would not be an increase."),
        ),
        (grow("none", 1), ErrorCode::UnknownTopicOrPartition, None),
        (
            CreatePartitionsTopic {
                assignments: Some(vec![CreatePartitionsAssignment::default(); 2]),
                ..grow("t", 5)
            },
            ErrorCode::InvalidReplicaAssignment,
            Some(
                "Attempted to add 1 additional partition(s), but only 2 assignment(s) were \
                 specified.",
            ),
        ),
    ] {
        assert_eq!(
            add(&mut cluster, request),
            (code, message.map(str::to_owned))
        );
    }
}

#[test]
fn topics_are_deleted_by_name_or_id_once() {
    let mut cluster = Cluster::running();
    for name in ["a", "b", "c", "d"] {
        cluster.create_simple(name, 1);
    }
    let id = |cluster: &Cluster, name| cluster.image.topics.id_of(name).unwrap();
    let by_id = |topic_id| DeleteTopicState {
        topic_id,
        ..Default::default()
    };
    let by_name = |name: &str| DeleteTopicState {
        name: Some(name.to_owned()),
        ..Default::default()
    };
    let unknown = Uuid::from_u128(5 << 64);
    let request = DeleteTopicsRequest {
        topics: vec![
            by_name("a"),
            by_id(id(&cluster, "b")),
            by_id(unknown),
            by_name("none"),
            by_name("c"),
            by_id(id(&cluster, "c")),
            by_name("d"),
            by_name("d"),
        ],
        ..Default::default()
    };
    let result = cluster
        .controller
        .delete_topics(&cluster.image, &request, &mut |_| Ok(()));
    let mut outcome: Vec<_> = result
        .response
        .responses
        .iter()
        .map(|reply| {
            (
                reply.name.as_deref(),
                ErrorCode::from_code(reply.error_code),
            )
        })
        .collect();
    outcome.sort();
    assert_eq!(
        outcome,
        [
            (None, ErrorCode::UnknownTopicId),
            (Some("a"), ErrorCode::None),
            (Some("b"), ErrorCode::None),
            (Some("c"), ErrorCode::InvalidRequest),
            (Some("d"), ErrorCode::InvalidRequest),
            (Some("none"), ErrorCode::UnknownTopicOrPartition),
        ]
    );
    cluster.apply(&result.records);
    assert_eq!(
        cluster
            .image
            .topics
            .names()
            .map(|name| &**name)
            .collect::<Vec<_>>(),
        ["c", "d"]
    );
}
