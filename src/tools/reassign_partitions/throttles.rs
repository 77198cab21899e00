//! Throttles: limits on brokers, and on topics the replicas that they hold for.
use std::collections::{BTreeMap, BTreeSet};

use super::Command;
use crate::client::TopicPartition;
use crate::client::admin::{
    AlterConfigOp, ConfigResource, OngoingReassignment, OpType, ResourceType,
};
use crate::tools::cluster::thrown;

const LEADER_RATE: &str = "leader.replication.throttled.rate";
const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";
const LOG_DIR_RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";

/// Where a partition comes from and goes to.
pub struct Move {
    sources: BTreeSet<i32>,
    destinations: BTreeSet<i32>,
}

pub type Moves = BTreeMap<TopicPartition, Move>;

/// The moves that are under way and those of the plan.
pub fn moves(
    ongoing: &BTreeMap<TopicPartition, OngoingReassignment>,
    proposed: &[(TopicPartition, Vec<i32>)],
    current: &BTreeMap<TopicPartition, Vec<i32>>,
) -> Moves {
    let mut moves: Moves = ongoing
        .iter()
        .map(|(partition, moving)| {
            let destinations: BTreeSet<i32> = moving.adding.iter().copied().collect();
            let all: BTreeSet<i32> = moving.replicas.iter().copied().collect();
            let sources = all.difference(&destinations).copied().collect();
            (
                partition.clone(),
                Move {
                    sources,
                    destinations,
                },
            )
        })
        .collect();
    for (partition, replicas) in proposed {
        let sources: BTreeSet<i32> = match moves.get(partition) {
            Some(moving) => moving.sources.clone(),
            None => current
                .get(partition)
                .into_iter()
                .flatten()
                .copied()
                .collect(),
        };
        let wanted: BTreeSet<i32> = replicas.iter().copied().collect();
        let destinations = wanted.difference(&sources).copied().collect();
        moves.insert(
            partition.clone(),
            Move {
                sources,
                destinations,
            },
        );
    }
    moves
}

fn resource(kind: ResourceType, name: impl ToString) -> ConfigResource {
    let name = name.to_string();
    ConfigResource { kind, name }
}

fn set(name: &str, value: String) -> AlterConfigOp {
    AlterConfigOp {
        name: name.to_owned(),
        value: Some(value),
        op: OpType::Set,
    }
}

fn delete(name: &&str) -> AlterConfigOp {
    AlterConfigOp {
        name: (*name).to_owned(),
        value: None,
        op: OpType::Delete,
    }
}

impl Command<'_> {
    async fn change(
        &self,
        changes: Vec<(ConfigResource, Vec<AlterConfigOp>)>,
    ) -> anyhow::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let changed = self.admin.incremental_alter_configs(&changes, false).await;
        for (_, outcome) in changed.map_err(thrown)? {
            outcome.map_err(thrown)?;
        }
        Ok(())
    }

    pub(super) async fn limit_brokers(&mut self, moves: &Moves, rate: i64) -> anyhow::Result<()> {
        let mut topics: BTreeMap<&str, [BTreeSet<String>; 2]> = BTreeMap::new();
        let mut brokers = BTreeSet::new();
        for (partition, moving) in moves {
            let [leaders, followers] = topics.entry(&partition.topic).or_default();
            let replica = |broker: &i32| format!("{}:{broker}", partition.partition);
            leaders.extend(moving.sources.iter().map(replica));
            let new = moving.destinations.difference(&moving.sources);
            followers.extend(new.map(replica));
            brokers.extend(moving.sources.union(&moving.destinations).copied());
        }
        let join = |replicas: BTreeSet<String>| replicas.into_iter().collect::<Vec<_>>().join(",");
        let of_topic = |(topic, [leaders, followers]): (&str, [BTreeSet<String>; 2])| {
            let ops = vec![
                set(LEADER_REPLICAS, join(leaders)),
                set(FOLLOWER_REPLICAS, join(followers)),
            ];
            (resource(ResourceType::Topic, topic), ops)
        };
        self.change(topics.into_iter().map(of_topic).collect())
            .await?;
        let of_broker = |broker: &i32| {
            let ops = [LEADER_RATE, FOLLOWER_RATE].map(|key| set(key, rate.to_string()));
            (resource(ResourceType::Broker, broker), ops.to_vec())
        };
        self.change(brokers.iter().map(of_broker).collect()).await?;
        let text = format!("The inter-broker throttle limit was set to {rate} B/s");
        Ok(self.printer.line(text)?)
    }

    pub(super) async fn limit_log_dirs(
        &mut self,
        brokers: BTreeSet<i32>,
        rate: i64,
    ) -> anyhow::Result<()> {
        let of_broker = |broker: &i32| {
            let ops = vec![set(LOG_DIR_RATE, rate.to_string())];
            (resource(ResourceType::Broker, broker), ops)
        };
        self.change(brokers.iter().map(of_broker).collect()).await?;
        let text = format!("The replica-alter-dir throttle limit was set to {rate} B/s");
        Ok(self.printer.line(text)?)
    }

    pub(super) async fn clear_throttles(
        &mut self,
        partitions: &[(TopicPartition, Vec<i32>)],
    ) -> anyhow::Result<()> {
        let cluster = self.admin.describe_cluster().await.map_err(thrown)?;
        let mut brokers: BTreeSet<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
        brokers.extend(partitions.iter().flat_map(|(_, replicas)| replicas));
        let names: Vec<String> = brokers.iter().map(i32::to_string).collect();
        self.printer.line(format!(
            "Clearing broker-level throttles on broker{} {}",
            plural(names.len()),
            names.join(",")
        ))?;
        let rates = [LEADER_RATE, FOLLOWER_RATE, LOG_DIR_RATE];
        let of_broker = |broker: &i32| {
            let ops = rates.iter().map(delete).collect();
            (resource(ResourceType::Broker, broker), ops)
        };
        self.change(brokers.iter().map(of_broker).collect()).await?;
        let topics: BTreeSet<&str> = partitions.iter().map(|(p, _)| &*p.topic).collect();
        let names: Vec<&str> = topics.iter().copied().collect();
        self.printer.line(format!(
            "Clearing topic-level throttles on topic{} {}",
            plural(names.len()),
            names.join(",")
        ))?;
        let replicas = [LEADER_REPLICAS, FOLLOWER_REPLICAS];
        let of_topic = |topic: &&str| {
            let ops = replicas.iter().map(delete).collect();
            (resource(ResourceType::Topic, topic), ops)
        };
        self.change(names.iter().map(of_topic).collect()).await
    }
}

/// The `s` of more than one.
pub fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_go_from_old_replicas_to_new_ones() {
        let partition = TopicPartition::new("t", 0);
        let proposed = [(partition.clone(), vec![2, 3])];
        let current = BTreeMap::from([(partition.clone(), vec![1, 2])]);
        let found = moves(&BTreeMap::new(), &proposed, &current);
        let moving = &found[&partition];
        assert_eq!(moving.sources, BTreeSet::from([1, 2]));
        assert_eq!(moving.destinations, BTreeSet::from([3]));
        let ongoing = OngoingReassignment {
            replicas: vec![1, 2, 4],
            adding: vec![4],
            removing: vec![1],
        };
        let ongoing = BTreeMap::from([(partition.clone(), ongoing)]);
        let found = moves(&ongoing, &[], &current);
        assert_eq!(found[&partition].destinations, BTreeSet::from([4]));
    }
}
