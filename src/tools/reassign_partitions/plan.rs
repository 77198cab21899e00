//! The files: which partitions get which replicas, in which directories.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use crate::client::TopicPartition;
use crate::tools::json_input::{array, field, int, text, version};

/// A directory that will do.
const ANY: &str = "any";

/// A replica: a partition on a broker. In the order of Kafka's messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replica {
    pub broker: i32,
    pub partition: TopicPartition,
}

impl std::fmt::Display for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.partition, self.broker)
    }
}

/// New replicas by partition, in the order of the file, and directories where it names some.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub partitions: Vec<(TopicPartition, Vec<i32>)>,
    pub directories: BTreeMap<Replica, String>,
}

pub fn parse(json: &str) -> anyhow::Result<Plan> {
    let parsed: Value = serde_json::from_str(json).map_err(|error| anyhow!("{error}"))?;
    match version(&parsed)? {
        1 => {}
        other => bail!("Not supported version field value {other}"),
    }
    let mut plan = Plan::default();
    let Some(partitions) = parsed.get("partitions") else {
        return Ok(plan);
    };
    for item in array(partitions)? {
        let partition = TopicPartition::new(text(item, "topic")?, int(item, "partition")?);
        let mut replicas = Vec::new();
        for id in array(field(item, "replicas")?)? {
            let number = id.as_i64().and_then(|id| i32::try_from(id).ok());
            replicas
                .push(number.ok_or_else(|| anyhow!("Expected `Integer` value, received {id}"))?);
        }
        if let Some(directories) = item.get("log_dirs") {
            let directories = array(directories)?;
            if directories.len() != replicas.len() {
                bail!(
                    "Size of replicas list {replicas:?} is different from size of log dirs list \
                     {} for partition {partition}",
                    java_list(directories)
                );
            }
            for (broker, directory) in replicas.iter().zip(directories) {
                let path = directory
                    .as_str()
                    .ok_or_else(|| anyhow!("Expected `String` value, received {directory}"))?;
                if path != ANY {
                    let replica = Replica {
                        broker: *broker,
                        partition: partition.clone(),
                    };
                    plan.directories.insert(replica, path.to_owned());
                }
            }
        }
        plan.partitions.push((partition, replicas));
    }
    Ok(plan)
}

fn java_list(values: &[Value]) -> String {
    let texts = values.iter().map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

/// What is wrong with a plan that is to be carried out.
pub fn check(plan: &Plan) -> anyhow::Result<()> {
    if plan.partitions.is_empty() {
        bail!("Partition reassignment list cannot be empty");
    }
    if plan
        .partitions
        .iter()
        .any(|(_, replicas)| replicas.is_empty())
    {
        bail!("Partition replica list cannot be empty");
    }
    let names: Vec<String> = plan.partitions.iter().map(|(p, _)| p.to_string()).collect();
    let twice = duplicates(&names);
    if !twice.is_empty() {
        let twice = twice.join(",");
        bail!("Partition reassignment contains duplicate topic partitions: {twice}");
    }
    let mut wrong = Vec::new();
    for (partition, replicas) in &plan.partitions {
        let ids: Vec<String> = replicas.iter().map(i32::to_string).collect();
        let twice = duplicates(&ids);
        if !twice.is_empty() {
            let twice = twice.join(",");
            wrong.push(format!("{partition} contains multiple entries for {twice}"));
        }
    }
    if !wrong.is_empty() {
        let wrong = wrong.join(". ");
        bail!("Partition replica lists may not contain duplicate entries: {wrong}");
    }
    Ok(())
}

/// What is there more than once, once.
pub fn duplicates(items: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for item in items {
        if !seen.insert(item) {
            twice.insert(item.clone());
        }
    }
    twice.into_iter().collect()
}

/// The assignment as a file, in the order of partitions.
pub fn format(
    partitions: &BTreeMap<TopicPartition, Vec<i32>>,
    directories: &BTreeMap<Replica, String>,
) -> String {
    let partition = |(partition, replicas): (&TopicPartition, &Vec<i32>)| {
        let directory = |broker: &i32| {
            let replica = Replica {
                broker: *broker,
                partition: partition.clone(),
            };
            directories
                .get(&replica)
                .map_or(ANY, String::as_str)
                .to_owned()
        };
        let directories: Vec<String> = replicas.iter().map(directory).collect();
        format!(
            "{{\"topic\":{},\"partition\":{},\"replicas\":{},\"log_dirs\":{}}}",
            json!(&*partition.topic),
            partition.partition,
            json!(replicas),
            json!(directories)
        )
    };
    let partitions: Vec<String> = partitions.iter().map(partition).collect();
    format!(
        "{{\"version\":1,\"partitions\":[{}]}}",
        partitions.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_written_alike() {
        let file = r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","/d"]}]}"#;
        let plan = parse(file).unwrap();
        check(&plan).unwrap();
        let partitions = plan.partitions.iter().cloned().collect();
        assert_eq!(format(&partitions, &plan.directories), file);
    }

    #[test]
    fn what_is_wrong_with_plans() {
        for (file, want) in [
            (
                r#"{"partitions":[]}"#,
                "Partition reassignment list cannot be empty",
            ),
            (
                r#"{"partitions":[{"topic":"t","partition":0,"replicas":[]}]}"#,
                "Partition replica list cannot be empty",
            ),
            (
                r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1,1]}]}"#,
                "Partition replica lists may not contain duplicate entries: t-0 contains multiple \
                 entries for 1",
            ),
            (
                r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":[]}]}"#,
                "Size of replicas list [1] is different from size of log dirs list [] for \
                 partition t-0",
            ),
        ] {
            let checked = parse(file).and_then(|plan| check(&plan));
            assert_eq!(checked.unwrap_err().to_string(), want, "{file}");
        }
    }
}
