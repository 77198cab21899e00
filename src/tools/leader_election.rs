//! `kafka-leader-election`: elects leaders of partitions.
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::cluster::{self, block_on, thrown};
use super::json_input::{array, int, read_file, text};
use super::options::jopt::{OptionError, OptionSet};
use super::options::{Definition, Group, Opt};
use super::output::{Invocation, Printer, message};
use super::registry::Exit;
use super::session::{self, BOOTSTRAP_SERVER, COMMAND_CONFIG, OTHER};
use super::usage::{UsageError, exclude};
use crate::client::admin::{Admin, ElectionType};
use crate::client::{ClientError, TopicPartition};
use crate::protocol::ErrorCode;

pub static DEFINITION: Definition = Definition {
    name: "leader-election",
    about: "Elects leaders of partitions.",
    groups: &[
        Group {
            heading: "Where",
            options: &[
                BOOTSTRAP_SERVER,
                COMMAND_CONFIG,
                Opt::value("admin.config", "FILE", "Old name of --command-config"),
            ],
        },
        Group {
            heading: "What to elect",
            options: &[Opt::value(
                "election-type",
                "TYPE",
                "preferred: the first replica; unclean: one that is not in sync, where no other \
                 is left, which may lose records (required)",
            )],
        },
        Group {
            heading: "Of which partitions (exactly one way)",
            options: &[
                Opt::value(
                    "topic",
                    "TOPIC",
                    "Of this topic the partition of --partition",
                ),
                Opt::value("partition", "N", "The partition of --topic"),
                Opt::flag("all-topic-partitions", "All where it makes a difference"),
                Opt::value(
                    "path-to-json-file",
                    "FILE",
                    "Those of a file: {\"partitions\":[{\"topic\":\"t\",\"partition\":0}]}",
                ),
            ],
        },
        OTHER,
    ],
    after: "",
};

fn check(set: &OptionSet) -> Result<(), UsageError> {
    let refused = |text: String| Err(UsageError(text));
    let missing: Vec<&str> = ["bootstrap-server", "election-type"]
        .into_iter()
        .filter(|option| !set.has(option))
        .collect();
    if !missing.is_empty() {
        return refused(format!(
            "Missing required option(s): {}",
            missing.join(", ")
        ));
    }
    exclude(set, "admin.config", &["command-config"])?;
    let ways = ["topic", "all-topic-partitions", "path-to-json-file"];
    if ways.iter().filter(|way| set.has(way)).count() != 1 {
        return refused(format!(
            "One and only one of the following options is required: {}",
            ways.join(", ")
        ));
    }
    match (set.has("topic"), set.has("partition")) {
        (true, false) => refused("Missing required option(s): partition".to_owned()),
        (false, true) => refused("Option partition is only allowed if topic is used".to_owned()),
        _ => Ok(()),
    }
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let options = &request.options;
    let kind = election_type(options.value("election-type")?.unwrap_or_default())?;
    let partitions = partitions(options)?;
    let mut printer = Printer::default();
    if options.has("admin.config") {
        printer.line(
            "Option --admin.config has been deprecated and will be removed in a future version. \
             Use --command-config instead.",
        )?;
    }
    let file = options
        .value("admin.config")?
        .or(options.value("command-config")?);
    let mut properties = cluster::load_properties(file)?;
    let bootstrap = options.value("bootstrap-server")?.unwrap_or_default();
    properties.set("bootstrap.servers", bootstrap);
    let given = |key: &str| properties.get(key).is_some();
    let (api, request_timeout) = (given("default.api.timeout.ms"), given("request.timeout.ms"));
    let mut config = cluster::admin_config(&properties)?;
    if !api {
        config.api_timeout = Duration::from_secs(30);
    }
    if !request_timeout {
        config.request_timeout = Duration::from_secs(15);
    }
    let outcomes = block_on(async {
        let admin = Admin::new(config);
        let outcomes = admin.elect_leaders(kind, partitions.as_deref()).await;
        admin.close().await;
        Ok(outcomes)
    })?;
    let (mut elected, mut valid, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (partition, outcome) in outcomes.or_else(|error| explained(&mut printer, error))? {
        match outcome {
            Ok(()) => elected.push(partition.to_string()),
            Err(error) if error.code() == Some(ErrorCode::ElectionNotNeeded) => {
                valid.push(partition.to_string());
            }
            Err(error) => failed.push((partition, error)),
        }
    }
    let name = match kind {
        ElectionType::Preferred => "PREFERRED",
        ElectionType::Unclean => "UNCLEAN",
    };
    if !elected.is_empty() {
        let elected = elected.join(", ");
        printer.line(format!(
            "Successfully completed leader election ({name}) for partitions {elected}"
        ))?;
    }
    if !valid.is_empty() {
        let valid = valid.join(", ");
        printer.line(format!(
            "Valid replica already elected for partitions {valid}"
        ))?;
    }
    let count = failed.len();
    for (partition, error) in failed {
        printer.line(format!(
            "Error completing leader election ({name}) for partition: {partition}: {}",
            thrown(error)
        ))?;
    }
    printer.flush()?;
    if count == 0 {
        return Ok(Exit::SUCCESS);
    }
    message(format!("{count} replica(s) could not be elected"));
    Ok(Exit::FAILURE)
}

/// Kafka tells of two failures on stdout too.
fn explained<T>(printer: &mut Printer, error: ClientError) -> anyhow::Result<T> {
    let text = match &error {
        ClientError::Timeout(_) => "Timeout waiting for election results",
        error if error.code() == Some(ErrorCode::ClusterAuthorizationFailed) => {
            "Not authorized to perform leader election"
        }
        _ => return Err(thrown(error)),
    };
    printer.line(text)?;
    printer.flush()?;
    bail!("{text}\n{error}")
}

fn election_type(text: &str) -> Result<ElectionType, OptionError> {
    match text.to_ascii_lowercase().as_str() {
        "preferred" => Ok(ElectionType::Preferred),
        "unclean" => Ok(ElectionType::Unclean),
        _ => Err(OptionError::Conversion {
            option: "election-type",
            value: text.to_owned(),
        }),
    }
}

/// The partitions asked for; `None` is all.
fn partitions(options: &OptionSet) -> anyhow::Result<Option<Vec<TopicPartition>>> {
    if let Some(path) = options.value("path-to-json-file")? {
        return Ok(Some(parse(&read_file(path)?)?));
    }
    let partition = options.number::<i32>("partition")?;
    let topic = options.value("topic")?;
    Ok(topic
        .zip(partition)
        .map(|(topic, partition)| vec![TopicPartition::new(topic, partition)]))
}

fn parse(json: &str) -> anyhow::Result<Vec<TopicPartition>> {
    let parsed: Value =
        serde_json::from_str(json).map_err(|_| anyhow!("Replica election data is empty"))?;
    let list = parsed
        .get("partitions")
        .ok_or_else(|| anyhow!("Replica election data is missing \"partitions\" field"))?;
    let mut partitions = Vec::new();
    for item in array(list)? {
        partitions.push(TopicPartition::new(
            text(item, "topic")?,
            int(item, "partition")?,
        ));
    }
    partitions.sort();
    let twice = partitions.windows(2).filter_map(|pair| match pair {
        [a, b] if a == b => Some(a.to_string()),
        _ => None,
    });
    let mut twice: Vec<String> = twice.collect();
    twice.dedup();
    if !twice.is_empty() {
        let twice = twice.join(", ");
        bail!("Replica election data contains duplicate partitions: [{twice}]");
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_partitions_once() {
        let file = r#"{"partitions":[{"topic":"t","partition":1},{"topic":"t","partition":0}]}"#;
        let want = [0, 1].map(|index| TopicPartition::new("t", index));
        assert_eq!(parse(file).unwrap(), want);
        for (file, want) in [
            ("", "Replica election data is empty"),
            (
                "{}",
                "Replica election data is missing \"partitions\" field",
            ),
            (
                r#"{"partitions":[{"topic":"t"}]}"#,
                "No such field exists: `partition`",
            ),
            (
                r#"{"partitions":[{"topic":"t","partition":0},{"topic":"t","partition":0}]}"#,
                "Replica election data contains duplicate partitions: [t-0]",
            ),
        ] {
            assert_eq!(parse(file).unwrap_err().to_string(), want, "{file}");
        }
    }
}
