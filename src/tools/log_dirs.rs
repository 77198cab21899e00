//! `kafka-log-dirs`: what the log directories of brokers hold.
use std::collections::BTreeSet;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::cluster::{block_on, exception};
use super::listing::{self, column};
use super::options::jopt::OptionSet;
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation, OUTPUT, Printer, message};
use super::registry::Exit;
use super::session::{self, OTHER, WHERE};
use super::usage::require;
use crate::client::TopicPartition;
use crate::client::admin::{Admin, LogDirDescription, ReplicaInfo};

pub static DEFINITION: Definition = Definition {
    name: "log-dirs",
    about: "Shows what the log directories of brokers hold.",
    groups: &[
        Group {
            heading: "What to do",
            options: &[Opt::flag("describe", "Describe the directories (required)")],
        },
        WHERE,
        Group {
            heading: "Of what (everything without these)",
            options: &[
                Opt::value("broker-list", "0,1,...", "Only these brokers").default(""),
                Opt::value("topic-list", "A,B,...", "Only these topics").default(""),
            ],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

/// The directories of a broker.
type BrokerDirs = (i32, Vec<LogDirDescription>);

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let check = |set: &OptionSet| require(set, &["bootstrap-server", "describe"]);
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let options = &request.options;
    let words = |option| -> anyhow::Result<BTreeSet<String>> {
        let words = options.value(option)?.unwrap_or_default().split(',');
        Ok(words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect())
    };
    let topics = words("topic-list")?;
    let wanted = words("broker-list")?
        .iter()
        .map(|id| {
            id.parse()
                .map_err(|_| anyhow!("For input string: \"{id}\""))
        })
        .collect::<anyhow::Result<BTreeSet<i32>>>()?;
    let config = session::admin_config(options)?;
    let brokers = block_on(async {
        let admin = Admin::new(config);
        let described = describe(&admin, &wanted, request.format).await;
        admin.close().await;
        described
    })?;
    match brokers {
        Some(brokers) => {
            print(request.format, &brokers, &topics)?;
            Ok(Exit::SUCCESS)
        }
        None => Ok(Exit::FAILURE),
    }
}

/// The directories of the wanted brokers, or of all; nothing when one of them does not exist.
async fn describe(
    admin: &Admin,
    wanted: &BTreeSet<i32>,
    format: Format,
) -> anyhow::Result<Option<Vec<BrokerDirs>>> {
    let cluster = admin.describe_cluster().await?;
    let there: BTreeSet<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
    let missing: BTreeSet<i32> = wanted.difference(&there).copied().collect();
    if !missing.is_empty() {
        message(format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent \
             brokers: {}",
            join(&missing),
            join(&there)
        ));
        return Ok(None);
    }
    let asked = if wanted.is_empty() { &there } else { wanted };
    if format == Format::Kafka {
        let mut printer = Printer::default();
        printer.line("Querying brokers for log directories information")?;
        printer.flush()?;
    }
    let mut brokers = Vec::with_capacity(asked.len());
    for id in asked {
        brokers.push((*id, admin.describe_log_dirs(*id).await?));
    }
    Ok(Some(brokers))
}

fn join(ids: &BTreeSet<i32>) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

fn print(format: Format, brokers: &[BrokerDirs], topics: &BTreeSet<String>) -> anyhow::Result<()> {
    let mut printer = Printer::default();
    let shown =
        |partition: &TopicPartition| topics.is_empty() || topics.contains(&*partition.topic);
    if format == Format::Kafka {
        let ids: BTreeSet<i32> = brokers.iter().map(|(id, _)| *id).collect();
        printer.line(format!(
            "Received log directory information from brokers {}",
            join(&ids)
        ))?;
        printer.line(as_kafka(brokers, shown))?;
        return Ok(printer.flush()?);
    }
    let columns = [
        column("Broker", "broker"),
        column("Directory", "logDir"),
        column("Topic", "topic"),
        column("Partition", "partition"),
        column("Bytes", "size"),
        column("Lag", "offsetLag"),
        column("Future", "isFuture"),
        column("Error", "error"),
    ];
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for (broker, directories) in brokers {
        for directory in directories {
            let error = directory.error.as_ref().map(ToString::to_string);
            let row = |partition: Option<(&TopicPartition, &ReplicaInfo)>| {
                vec![
                    json!(broker),
                    json!(directory.path),
                    json!(partition.map(|(p, _)| p.topic.to_string())),
                    json!(partition.map(|(p, _)| p.partition)),
                    json!(partition.map(|(_, replica)| replica.size)),
                    json!(partition.map(|(_, replica)| replica.offset_lag)),
                    json!(partition.map(|(_, replica)| replica.is_future)),
                    json!(error),
                ]
            };
            if error.is_some() {
                rows.push(row(None));
            }
            let replicas = directory.replicas.iter().filter(|(p, _)| shown(p));
            rows.extend(replicas.map(|replica| row(Some(replica))));
        }
    }
    let none = "No replicas.";
    listing::show(&mut printer, format, &columns, &rows, none)?;
    Ok(printer.flush()?)
}

/// The line of JSON, its keys in the order in which Kafka's tool writes them.
fn as_kafka(brokers: &[BrokerDirs], shown: impl Fn(&TopicPartition) -> bool) -> String {
    let replica = |(partition, replica): (&TopicPartition, &ReplicaInfo)| {
        format!(
            "{{\"partition\":{},\"size\":{},\"offsetLag\":{},\"isFuture\":{}}}",
            json!(partition.to_string()),
            replica.size,
            replica.offset_lag,
            replica.is_future
        )
    };
    let directory = |directory: &LogDirDescription| {
        let replicas = directory.replicas.iter().filter(|(p, _)| shown(p));
        format!(
            "{{\"partitions\":[{}],\"error\":{},\"logDir\":{}}}",
            replicas.map(replica).collect::<Vec<_>>().join(","),
            json!(directory.error.as_ref().map(exception)),
            json!(directory.path)
        )
    };
    let broker = |(id, directories): &BrokerDirs| {
        let directories: Vec<String> = directories.iter().map(directory).collect();
        format!(
            "{{\"broker\":{id},\"logDirs\":[{}]}}",
            directories.join(",")
        )
    };
    let brokers: Vec<String> = brokers.iter().map(broker).collect();
    format!("{{\"brokers\":[{}],\"version\":1}}", brokers.join(","))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn json_has_kafkas_order_of_keys() {
        let replica = ReplicaInfo {
            size: 5,
            offset_lag: 0,
            is_future: false,
        };
        let directory = LogDirDescription {
            path: "/d".to_owned(),
            error: None,
            replicas: BTreeMap::from([
                (TopicPartition::new("t", 0), replica),
                (TopicPartition::new("u", 0), replica),
            ]),
            total_bytes: -1,
            usable_bytes: -1,
        };
        assert_eq!(
            as_kafka(&[(1, vec![directory])], |partition| &*partition.topic
                == "t"),
            "{\"brokers\":[{\"broker\":1,\"logDirs\":[{\"partitions\":[{\"partition\":\"t-0\",\
             \"size\":5,\"offsetLag\":0,\"isFuture\":false}],\"error\":null,\"logDir\":\"/d\"}]}],\
             \"version\":1}"
        );
    }
}
