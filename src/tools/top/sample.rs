//! What a cluster is like at one moment, as far as any Kafka cluster tells.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::client::TopicPartition;
use crate::client::admin::{Admin, OffsetSpec};
use crate::client::config::IsolationLevel;
use crate::client::errors::Result;

/// Partitions that brokers are asked to describe at a time.
const PAGE: i32 = 2000;

#[derive(Debug, Clone)]
pub struct Sample {
    pub at: Instant,
    pub cluster_id: String,
    pub brokers: Vec<Broker>,
    pub topics: BTreeMap<String, Topic>,
    pub groups: BTreeMap<String, Group>,
    /// Partitions that are being moved, and how many replicas are added to each.
    pub moving: BTreeMap<TopicPartition, usize>,
}

#[derive(Debug, Clone, Default)]
pub struct Broker {
    pub id: i32,
    pub address: String,
    pub leads: usize,
    pub replicas: usize,
    /// Of its logs; not every user may ask.
    pub bytes: Option<i64>,
}

#[derive(Debug, Clone, Default)]
pub struct Topic {
    pub partitions: usize,
    pub without_leader: usize,
    pub under_replicated: usize,
    /// The ends of its partitions, added up.
    pub end: i64,
    /// Of all replicas.
    pub bytes: Option<i64>,
}

#[derive(Debug, Clone, Default)]
pub struct Group {
    pub kind: String,
    pub state: String,
    /// What it committed, added up; `None` without any.
    pub committed: Option<i64>,
    pub lag: i64,
}

pub async fn take(admin: &Admin) -> Result<Sample> {
    let cluster = admin.describe_cluster().await?;
    let mut brokers: BTreeMap<i32, Broker> = BTreeMap::new();
    let mut bytes: BTreeMap<String, i64> = BTreeMap::new();
    for node in cluster.brokers {
        let mut broker = Broker {
            id: node.id,
            address: format!("{}:{}", node.host, node.port),
            ..Broker::default()
        };
        if let Ok(directories) = admin.describe_log_dirs(node.id).await {
            let replicas = directories.iter().flat_map(|directory| &directory.replicas);
            let mut total = 0;
            for (partition, replica) in replicas {
                total += replica.size;
                *bytes.entry(partition.topic.to_string()).or_default() += replica.size;
            }
            broker.bytes = Some(total);
        }
        brokers.insert(broker.id, broker);
    }
    let (mut topics, led) = topics(admin, &mut brokers).await?;
    let wanted = led.into_iter().map(|tp| (tp, OffsetSpec::Latest)).collect();
    let listed = admin
        .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
        .await?;
    let mut ends = BTreeMap::new();
    for (partition, offset) in listed {
        if let Ok(offset) = offset {
            if let Some(topic) = topics.get_mut(&*partition.topic) {
                topic.end += offset.offset;
            }
            ends.insert(partition, offset.offset);
        }
    }
    for (name, topic) in &mut topics {
        topic.bytes = bytes.get(name).copied();
    }
    let moving = admin.list_partition_reassignments(None).await;
    let moving = moving.unwrap_or_default().into_iter();
    Ok(Sample {
        at: Instant::now(),
        cluster_id: cluster.cluster_id,
        brokers: brokers.into_values().collect(),
        topics,
        groups: groups(admin, &ends).await?,
        moving: moving.map(|(tp, m)| (tp, m.adding.len())).collect(),
    })
}

/// The topics, and their partitions that have a leader; counts for each broker what it leads and has.
async fn topics(
    admin: &Admin,
    brokers: &mut BTreeMap<i32, Broker>,
) -> Result<(BTreeMap<String, Topic>, BTreeSet<TopicPartition>)> {
    let names = admin.list_topics(true).await?;
    let names: Vec<&str> = names.iter().map(|topic| &*topic.name).collect();
    let mut topics = BTreeMap::new();
    let mut led = BTreeSet::new();
    for (name, described) in admin.describe_topics(&names, PAGE).await? {
        // Gone since it was listed, or not for this user.
        let Ok(described) = described else { continue };
        let mut topic = Topic {
            partitions: described.partitions.len(),
            ..Topic::default()
        };
        for partition in described.partitions {
            match brokers.get_mut(&partition.leader) {
                Some(leader) => {
                    leader.leads += 1;
                    led.insert(TopicPartition::new(name.as_str(), partition.partition));
                }
                None => topic.without_leader += 1,
            }
            if partition.isr.len() < partition.replicas.len() {
                topic.under_replicated += 1;
            }
            for replica in partition.replicas {
                if let Some(broker) = brokers.get_mut(&replica) {
                    broker.replicas += 1;
                }
            }
        }
        topics.insert(name, topic);
    }
    Ok((topics, led))
}

async fn groups(
    admin: &Admin,
    ends: &BTreeMap<TopicPartition, i64>,
) -> Result<BTreeMap<String, Group>> {
    let mut groups = BTreeMap::new();
    for listed in admin.list_groups(&[], &[]).await? {
        let mut group = Group {
            kind: listed.group_type.to_lowercase(),
            state: listed.state,
            ..Group::default()
        };
        // Share groups commit no offsets of this kind.
        if group.kind != "share"
            && let Ok(offsets) = admin
                .list_consumer_group_offsets(&listed.group_id, None)
                .await
        {
            for (partition, committed) in offsets {
                *group.committed.get_or_insert(0) += committed.offset;
                if let Some(end) = ends.get(&partition) {
                    group.lag += (end - committed.offset).max(0);
                }
            }
        }
        groups.insert(listed.group_id, group);
    }
    Ok(groups)
}
