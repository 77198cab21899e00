//! `reassign-partitions --verify` and `--cancel`.
use std::collections::{BTreeMap, BTreeSet};

use super::directories::Place;
use super::plan::{Plan, Replica};
use super::throttles::plural;
use super::{Command, failures, join};
use crate::client::TopicPartition;
use crate::client::admin::PARTITIONS_PER_RESPONSE;
use crate::protocol::ErrorCode;
use crate::tools::cluster::thrown;

impl Command<'_> {
    pub(super) async fn verify(&mut self) -> anyhow::Result<()> {
        let plan = self.plan()?;
        let ongoing = self.admin.list_partition_reassignments(None).await;
        let ongoing = ongoing.map_err(thrown)?;
        let current = self.replicas_found(&plan).await?;
        self.printer.line("Status of partition reassignment:")?;
        let partitions: BTreeMap<&TopicPartition, &Vec<i32>> = plan
            .partitions
            .iter()
            .map(|(p, replicas)| (p, replicas))
            .collect();
        for (partition, target) in partitions {
            let found = current.get(partition).map_or(&[][..], Vec::as_slice);
            let text = if ongoing.contains_key(partition) {
                format!("Reassignment of partition {partition} is still in progress.")
            } else if found == target.as_slice() {
                format!("Reassignment of partition {partition} is completed.")
            } else {
                format!(
                    "There is no active reassignment of partition {partition}, but replica set is \
                     {} rather than {}.",
                    join(found),
                    join(target)
                )
            };
            self.printer.line(text)?;
        }
        let replicas: BTreeSet<Replica> = plan.directories.keys().cloned().collect();
        let places = self.places(&replicas).await?;
        let states: Vec<(String, bool)> = plan
            .directories
            .iter()
            .map(|(replica, target)| state(replica, target, places.get(replica)))
            .collect();
        let lines: Vec<&str> = states.iter().map(|(text, _)| text.as_str()).collect();
        self.printer.line(lines.join("\n"))?;
        let moving = states.iter().any(|(_, moving)| *moving);
        if ongoing.is_empty() && !moving && !self.options.has("preserve-throttles") {
            self.clear_throttles(&plan.partitions).await?;
        }
        Ok(())
    }

    /// The present replicas of those partitions of the plan that exist.
    async fn replicas_found(
        &self,
        plan: &Plan,
    ) -> anyhow::Result<BTreeMap<TopicPartition, Vec<i32>>> {
        let topics: BTreeSet<&str> = plan.partitions.iter().map(|(p, _)| &*p.topic).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let mut found = BTreeMap::new();
        let described = self.admin.describe_topics(&topics, PARTITIONS_PER_RESPONSE);
        for (name, topic) in described.await.map_err(thrown)? {
            match topic {
                Ok(topic) => {
                    for p in topic.partitions {
                        found.insert(TopicPartition::new(&*name, p.partition), p.replicas);
                    }
                }
                Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
                Err(error) => return Err(thrown(error)),
            }
        }
        Ok(found)
    }

    pub(super) async fn cancel(&mut self) -> anyhow::Result<()> {
        let plan = self.plan()?;
        let partitions: Vec<TopicPartition> =
            plan.partitions.iter().map(|(p, _)| p.clone()).collect();
        let ongoing = self
            .admin
            .list_partition_reassignments(Some(&partitions))
            .await;
        let active: BTreeMap<TopicPartition, Option<Vec<i32>>> = ongoing
            .map_err(thrown)?
            .into_iter()
            .filter(|(_, moving)| !moving.adding.is_empty() || !moving.removing.is_empty())
            .map(|(partition, _)| (partition, None))
            .collect();
        if active.is_empty() {
            self.printer
                .line("None of the specified partition reassignments are active.")?;
        } else {
            let outcomes = self
                .admin
                .alter_partition_reassignments(&active, true)
                .await;
            failures(outcomes.map_err(thrown)?, |count| {
                format!(
                    "Error cancelling partition reassignment{} for:",
                    plural(count)
                )
            })?;
            let names: Vec<String> = active.keys().map(ToString::to_string).collect();
            self.printer.line(format!(
                "Successfully cancelled partition reassignment{} for: {}",
                plural(names.len()),
                names.join(",")
            ))?;
        }
        let replicas: BTreeSet<Replica> = plan.directories.keys().cloned().collect();
        let places = self.places(&replicas).await?.into_iter();
        // Back to where they are.
        let back: BTreeMap<Replica, String> = places
            .filter_map(|(replica, place)| place.future.and(place.current).map(|d| (replica, d)))
            .collect();
        if back.is_empty() {
            // Kafka ends this sentence without a new line.
            self.printer
                .text("None of the specified partition moves are active.")?;
        } else {
            self.move_replicas(&back).await?;
        }
        if !self.options.has("preserve-throttles") {
            self.clear_throttles(&plan.partitions).await?;
        }
        Ok(())
    }
}

/// What is told of a replica's move to a directory, and whether it is under way.
fn state(replica: &Replica, target: &str, place: Option<&Place>) -> (String, bool) {
    let Replica { broker, partition } = replica;
    let Some((current, future)) =
        place.and_then(|place| Some((place.current.as_ref()?, &place.future)))
    else {
        let text = format!(
            "Partition {partition} is not found in any live log dir on broker {broker}. There is \
             likely an offline log directory on the broker."
        );
        return (text, false);
    };
    match future {
        Some(future) if future == target => (
            format!("Reassignment of replica {replica} is still in progress."),
            true,
        ),
        Some(future) => {
            let text = format!(
                "Partition {partition} on broker {broker} is being moved to log dir {future} \
                 instead of {target}."
            );
            (text, true)
        }
        None if current == target => (
            format!("Reassignment of replica {replica} completed successfully."),
            false,
        ),
        None => {
            let text = format!(
                "Partition {partition} on broker {broker} is not being moved from log dir \
                 {current} to {target}."
            );
            (text, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_between_directories_have_states() {
        let replica = Replica {
            broker: 1,
            partition: TopicPartition::new("t", 0),
        };
        let place = |current: &str, future: Option<&str>| Place {
            current: Some(current.to_owned()),
            future: future.map(str::to_owned),
        };
        for (place, want, moving) in [
            (
                place("/b", None),
                "Reassignment of replica t-0-1 completed successfully.",
                false,
            ),
            (
                place("/a", Some("/b")),
                "Reassignment of replica t-0-1 is still in progress.",
                true,
            ),
            (
                place("/a", Some("/c")),
                "Partition t-0 on broker 1 is being moved to log dir /c instead of /b.",
                true,
            ),
            (
                place("/a", None),
                "Partition t-0 on broker 1 is not being moved from log dir /a to /b.",
                false,
            ),
        ] {
            assert_eq!(
                state(&replica, "/b", Some(&place)),
                (want.to_owned(), moving)
            );
        }
        assert!(
            state(&replica, "/b", None)
                .0
                .contains("offline log directory")
        );
    }
}
