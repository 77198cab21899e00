//! The admin client against a broker.
use std::collections::BTreeMap;

use super::{broker, unique};
use crate::client::TopicPartition;
use crate::client::admin::{
    Admin, AlterConfigOp, CommittedOffset, ConfigResource, CreateOptions, DescribeConfigsOptions,
    NewPartitions, NewTopic, OffsetSpec, OpType, PARTITIONS_PER_RESPONSE,
};
use crate::client::config::IsolationLevel;
use crate::client::errors::ClientError;
use crate::protocol::ErrorCode;

/// Waits until the cluster shows the topic: creation is only eventually visible.
async fn described(admin: &Admin, topic: &str, partitions: usize) -> Vec<i32> {
    loop {
        let found = admin
            .describe_topics(&[topic], 2)
            .await
            .unwrap()
            .remove(0)
            .1;
        if let Ok(found) = found
            && found.partitions.len() == partitions
        {
            return found
                .partitions
                .iter()
                .map(|partition| partition.partition)
                .collect();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_life_of_a_topic() {
    let Some(properties) = broker("the_life_of_a_topic") else {
        return;
    };
    let admin = Admin::from_properties(&properties).unwrap();
    let name = unique("life");
    let topic = NewTopic {
        name: name.clone(),
        partitions: Some(3),
        configs: BTreeMap::from([("retention.ms".to_owned(), "1000".to_owned())]),
        ..NewTopic::default()
    };
    let bad = NewTopic {
        name: "a/b".to_owned(),
        ..NewTopic::default()
    };
    let created = admin
        .create_topics(&[topic.clone(), bad], CreateOptions::default())
        .await
        .unwrap();
    let by_name: BTreeMap<_, _> = created.into_iter().collect();
    assert_eq!(by_name[&name].as_ref().unwrap().partitions, 3);
    let refused = by_name["a/b"].as_ref().unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::InvalidTopicException));

    assert_eq!(described(&admin, &name, 3).await, [0, 1, 2]);
    let again = admin
        .create_topics(&[topic], CreateOptions::default())
        .await
        .unwrap();
    assert_eq!(
        again[0].1.as_ref().unwrap_err().code(),
        Some(ErrorCode::TopicAlreadyExists)
    );
    assert_eq!(
        again[0].1.as_ref().unwrap_err().to_string(),
        format!("Topic '{name}' already exists.")
    );

    let grow = NewPartitions {
        topic: name.clone(),
        total: 5,
        assignments: None,
    };
    let grown = admin
        .create_partitions(&[grow], CreateOptions::default())
        .await
        .unwrap();
    assert!(grown[0].1.is_ok(), "{grown:?}");
    assert_eq!(described(&admin, &name, 5).await, [0, 1, 2, 3, 4]);
    let listed = admin.list_topics(false).await.unwrap();
    let id = listed.iter().find(|topic| *topic.name == *name).unwrap().id;
    let by_id = admin.describe_topics_by_id(&[id]).await.unwrap();
    assert_eq!(by_id[0].1.as_ref().unwrap().partitions.len(), 5);

    let deleted = admin
        .delete_topics(&[&name, "no-such-topic"])
        .await
        .unwrap();
    let by_name: BTreeMap<_, _> = deleted.into_iter().collect();
    assert!(by_name[&name].is_ok());
    let unknown = by_name["no-such-topic"].as_ref().unwrap_err();
    assert_eq!(unknown.code(), Some(ErrorCode::UnknownTopicOrPartition));
    admin.close().await;
}

#[tokio::test]
async fn configurations_are_described_and_altered() {
    let Some(properties) = broker("configurations_are_described_and_altered") else {
        return;
    };
    let admin = Admin::from_properties(&properties).unwrap();
    let name = super::new_topic(&properties, "config", 1).await;
    let resource = ConfigResource::topic(&name);
    let change = |name: &str, value: &str| AlterConfigOp {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        op: OpType::Set,
    };
    let altered = admin
        .incremental_alter_configs(
            &[(resource.clone(), vec![change("retention.ms", "777")])],
            false,
        )
        .await
        .unwrap();
    assert!(altered[0].1.is_ok(), "{altered:?}");
    let refused = admin
        .incremental_alter_configs(
            &[(resource.clone(), vec![change("retention.ms", "x")])],
            false,
        )
        .await
        .unwrap();
    assert_eq!(
        refused[0].1.as_ref().unwrap_err().code(),
        Some(ErrorCode::InvalidConfig)
    );
    let how = DescribeConfigsOptions {
        include_synonyms: true,
        include_documentation: false,
    };
    loop {
        let described = admin
            .describe_configs(std::slice::from_ref(&resource), how)
            .await
            .unwrap();
        let entries = described[0].1.as_ref().unwrap();
        let retention = entries
            .iter()
            .find(|entry| entry.name == "retention.ms")
            .unwrap();
        if retention.value.as_deref() == Some("777") {
            assert_eq!((retention.source, retention.synonyms[0].source), (1, 1));
            break;
        }
    }
    admin.close().await;
}

#[tokio::test]
async fn offsets_of_empty_and_unknown_partitions() {
    let Some(mut properties) = broker("offsets_of_empty_and_unknown_partitions") else {
        return;
    };
    properties.set("default.api.timeout.ms", "1500");
    let admin = Admin::from_properties(&properties).unwrap();
    let topic = super::new_topic(&properties, "offsets", 2).await;
    let wanted = BTreeMap::from([
        (TopicPartition::new(topic.as_str(), 0), OffsetSpec::Earliest),
        (TopicPartition::new(topic.as_str(), 1), OffsetSpec::Latest),
    ]);
    let listed = admin
        .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
        .await
        .unwrap();
    for outcome in listed.values() {
        assert_eq!(outcome.as_ref().unwrap().offset, 0);
    }
    let wanted = BTreeMap::from([(TopicPartition::new("no-such-topic", 0), OffsetSpec::Latest)]);
    let listed = admin
        .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
        .await
        .unwrap();
    assert!(listed.values().all(Result::is_err));
    admin.close().await;
}

#[tokio::test]
async fn committed_offsets_of_a_group_without_members() {
    let Some(properties) = broker("committed_offsets_of_a_group_without_members") else {
        return;
    };
    let admin = Admin::from_properties(&properties).unwrap();
    let topic = super::new_topic(&properties, "groups", 2).await;
    let group = unique("group");
    let partition = TopicPartition::new(topic.as_str(), 1);
    let mut committed = CommittedOffset::at(42);
    committed.metadata = "note".to_owned();
    let offsets = BTreeMap::from([(partition.clone(), committed.clone())]);
    let altered = admin
        .alter_consumer_group_offsets(&group, &offsets)
        .await
        .unwrap();
    assert!(altered[0].1.is_ok(), "{altered:?}");
    assert_eq!(
        admin
            .list_consumer_group_offsets(&group, None)
            .await
            .unwrap(),
        offsets
    );
    let other = [TopicPartition::new(topic.as_str(), 0)];
    let none = admin
        .list_consumer_group_offsets(&group, Some(&other))
        .await
        .unwrap();
    assert!(none.is_empty());

    let listed = admin.list_groups(&[], &[]).await.unwrap();
    assert!(listed.iter().any(|listing| listing.group_id == group));
    let described = admin.describe_groups(&[&group]).await.unwrap();
    assert_eq!(described[0].1.as_ref().unwrap().state, "Empty");
    assert!(admin.delete_groups(&[&group]).await.unwrap()[0].1.is_ok());
    let gone = admin.delete_groups(&[&group]).await.unwrap();
    assert_eq!(
        gone[0].1.as_ref().unwrap_err().code(),
        Some(ErrorCode::GroupIdNotFound)
    );
    admin.close().await;
}

#[tokio::test]
async fn the_cluster_and_its_reassignments() {
    let Some(properties) = broker("the_cluster_and_its_reassignments") else {
        return;
    };
    let admin = Admin::from_properties(&properties).unwrap();
    let cluster = admin.describe_cluster().await.unwrap();
    assert!(!cluster.brokers.is_empty() && !cluster.cluster_id.is_empty());
    assert!(
        admin
            .list_partition_reassignments(None)
            .await
            .unwrap()
            .is_empty()
    );
    let missing = admin
        .describe_topics(&["no-such-topic", ""], PARTITIONS_PER_RESPONSE)
        .await;
    let texts: Vec<_> = missing
        .unwrap()
        .into_iter()
        .map(|(_, outcome)| outcome.unwrap_err().to_string())
        .collect();
    assert_eq!(
        texts[0],
        "The given topic name '' cannot be represented in a request."
    );
    assert_eq!(texts[1], "This server does not host this topic-partition.");
    admin.close().await;
}

#[tokio::test]
async fn no_broker_is_a_timeout_in_kafkas_words() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let text = format!("bootstrap.servers=127.0.0.1:{port}\ndefault.api.timeout.ms=300");
    let admin = Admin::from_properties(&crate::config::Properties::parse(&text).unwrap()).unwrap();
    let failure = admin.list_topics(true).await.unwrap_err();
    assert!(matches!(failure, ClientError::Timeout(_)));
    let text = "Timed out waiting for a node assignment. Call: listTopics";
    assert_eq!(failure.to_string(), text);
    admin.close().await;
}
