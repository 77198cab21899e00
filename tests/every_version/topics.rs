//! Topics, and what they are configured with, in every version.

use kafkars::protocol::Uuid;
use kafkars::protocol::messages::*;

use crate::support::wire::Connection;

/// The id of t7.
pub fn topics(c: &mut Connection) -> Uuid {
    use create_topics_request::CreatableTopic;
    let mut topic_id = Uuid::ZERO;
    let create = |version: i16| CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: format!("t{version}"),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    c.ask_all(create, |version, response| {
        assert_eq!(
            response.topics[0].error_code, 0,
            "version {version}: {response:?}"
        );
        topic_id = response.topics[0].topic_id;
    });
    let grow = |version: i16| CreatePartitionsRequest {
        topics: vec![create_partitions_request::CreatePartitionsTopic {
            name: "t2".to_owned(),
            count: 2 + i32::from(version),
            assignments: None,
        }],
        timeout_ms: 1000,
        validate_only: false,
    };
    c.ask_all(grow, |version, response| {
        assert_eq!(
            response.results[0].error_code, 0,
            "version {version}: {response:?}"
        );
    });
    let metadata = |_| MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let all = |version| match version {
        0 => MetadataRequest {
            topics: Some(Vec::new()),
            ..Default::default()
        },
        _ => metadata(version),
    };
    c.ask_all(all, |version, response| {
        assert_eq!(response.topics.len(), 6, "version {version}: {response:?}");
        assert!(response.topics.iter().all(|topic| topic.error_code == 0));
    });
    c.ask_all(
        |_| DescribeTopicPartitionsRequest::default(),
        |_, response| {
            assert_eq!(response.topics.len(), 6);
        },
    );
    c.ask_all(
        |_| DescribeClusterRequest::default(),
        |version, response| {
            assert_eq!(
                (response.error_code, response.brokers.len()),
                (0, 1),
                "version {version}"
            );
        },
    );
    let reassignments = |_| ListPartitionReassignmentsRequest {
        topics: None,
        timeout_ms: 1000,
    };
    c.ask_all(reassignments, |_, response| {
        assert_eq!(response.error_code, 0)
    });
    let delete = |version: i16| DeleteTopicsRequest {
        topic_names: if version < 6 {
            vec![format!("t{}", version + 1)]
        } else {
            Vec::new()
        },
        topics: if version < 6 {
            Vec::new()
        } else {
            let name = Some("absent".to_owned());
            vec![delete_topics_request::DeleteTopicState {
                name,
                topic_id: Uuid::ZERO,
            }]
        },
        timeout_ms: 1000,
    };
    c.ask_all(delete, |version, response| {
        let expected = if version < 6 { 0 } else { 3 };
        assert_eq!(
            response.responses[0].error_code, expected,
            "version {version}: {response:?}"
        );
    });
    topic_id
}

pub fn configs(c: &mut Connection) {
    const TOPIC: i8 = 2;
    let alter = |version: i16| IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs_request::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t7".to_owned(),
            configs: vec![incremental_alter_configs_request::AlterableConfig {
                name: "retention.ms".to_owned(),
                config_operation: 0,
                value: Some(format!("{}", 1000 + version)),
            }],
        }],
        validate_only: false,
    };
    c.ask_all(alter, |version, response| {
        assert_eq!(
            response.responses[0].error_code, 0,
            "version {version}: {response:?}"
        );
    });
    let describe = |_| DescribeConfigsRequest {
        resources: vec![describe_configs_request::DescribeConfigsResource {
            resource_type: TOPIC,
            resource_name: "t7".to_owned(),
            configuration_keys: None,
        }],
        include_synonyms: true,
        ..Default::default()
    };
    c.ask_all(describe, |version, response| {
        let configs = &response.results[0].configs;
        assert_eq!(configs.len(), 33, "version {version}");
        let retention = configs
            .iter()
            .find(|config| config.name == "retention.ms")
            .unwrap();
        assert_eq!(retention.value.as_deref(), Some("1001"));
    });
}
