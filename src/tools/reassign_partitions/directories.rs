//! In which log directories replicas are, and moving them to others.
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::bail;

use super::Command;
use super::plan::Replica;
use super::throttles::plural;
use crate::client::TopicPartition;
use crate::client::admin::Moves;
use crate::protocol::ErrorCode;
use crate::tools::cluster::thrown;

/// Where a replica is, and where it is being moved to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub current: Option<String>,
    pub future: Option<String>,
}

impl Command<'_> {
    /// Where each of the replicas is, as far as its broker has it.
    pub(super) async fn places(
        &self,
        replicas: &BTreeSet<Replica>,
    ) -> anyhow::Result<BTreeMap<Replica, Place>> {
        let brokers: BTreeSet<i32> = replicas.iter().map(|replica| replica.broker).collect();
        let mut places: BTreeMap<Replica, Place> = BTreeMap::new();
        for broker in brokers {
            let directories = self.admin.describe_log_dirs(broker).await.map_err(thrown)?;
            for directory in directories {
                for (partition, info) in directory.replicas {
                    let replica = Replica { broker, partition };
                    if !replicas.contains(&replica) {
                        continue;
                    }
                    let place = places.entry(replica).or_default();
                    let path = Some(directory.path.clone());
                    match info.is_future {
                        true => place.future = path,
                        false => place.current = path,
                    }
                }
            }
        }
        Ok(places)
    }

    /// The directories of the present replicas of partitions.
    pub(super) async fn current_directories(
        &self,
        assignments: &BTreeMap<TopicPartition, Vec<i32>>,
    ) -> anyhow::Result<BTreeMap<Replica, String>> {
        let mut replicas = BTreeSet::new();
        for (partition, brokers) in assignments {
            replicas.extend(brokers.iter().map(|broker| Replica {
                broker: *broker,
                partition: partition.clone(),
            }));
        }
        let places = self.places(&replicas).await?.into_iter();
        Ok(places
            .filter_map(|(replica, place)| Some((replica, place.current?)))
            .collect())
    }

    /// Starts the moves, again and again for replicas that are not there yet.
    pub(super) async fn move_replicas(
        &mut self,
        moves: &BTreeMap<Replica, String>,
    ) -> anyhow::Result<()> {
        let timeout = self.options.number::<u64>("timeout")?.unwrap_or_default();
        let deadline = Instant::now() + Duration::from_millis(timeout);
        let mut pending = moves.clone();
        loop {
            for replica in self.start_moves(&pending).await? {
                let Some(directory) = pending.remove(&replica) else {
                    continue;
                };
                // Kafka leaves a blank at the end.
                self.printer.line(format!(
                    "Successfully started moving log directory to {directory} for replica {} with \
                     broker {} ",
                    replica.partition, replica.broker
                ))?;
            }
            if pending.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let left: Vec<String> = pending.keys().map(ToString::to_string).collect();
                bail!(
                    "Timed out before log directory move{} could be started for: {}",
                    plural(left.len()),
                    left.join(",")
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// One attempt; the replicas whose move has begun.
    async fn start_moves(&self, moves: &BTreeMap<Replica, String>) -> anyhow::Result<Vec<Replica>> {
        let mut by_broker: BTreeMap<i32, Moves> = BTreeMap::new();
        for (replica, directory) in moves {
            let to = by_broker.entry(replica.broker).or_default();
            let partitions = to.entry(directory.clone()).or_default();
            partitions.push(replica.partition.clone());
        }
        let mut started = Vec::new();
        for (broker, moves) in by_broker {
            let moved = self.admin.alter_replica_log_dirs(broker, &moves).await;
            for (partition, outcome) in moved.map_err(thrown)? {
                let replica = Replica { broker, partition };
                match outcome {
                    Ok(()) => started.push(replica),
                    Err(error) if error.code() == Some(ErrorCode::ReplicaNotAvailable) => {}
                    Err(error) => bail!("Failed to alter dir for {replica}: {error}"),
                }
            }
        }
        started.sort();
        Ok(started)
    }
}
