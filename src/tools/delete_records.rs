//! `kafka-delete-records`: deletes records from the start of partitions.
use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use super::cluster::{block_on, thrown};
use super::json_input::{array, int, long, read_file, text, version};
use super::listing::{self, column};
use super::options::jopt::OptionSet;
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation, OUTPUT, Printer};
use super::registry::Exit;
use super::session::{self, OTHER, WHERE};
use super::usage::require;
use crate::client::TopicPartition;
use crate::client::admin::{Admin, DeletedRecords};

pub static DEFINITION: Definition = Definition {
    name: "delete-records",
    about: "Deletes the records before an offset.",
    groups: &[
        WHERE,
        Group {
            heading: "Which records",
            options: &[Opt::value(
                "offset-json-file",
                "FILE",
                "The new first offsets (required); -1 is the end: \
                 {\"partitions\":[{\"topic\":\"t\",\"partition\":0,\"offset\":5}],\"version\":1}",
            )],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let check = |set: &OptionSet| require(set, &["bootstrap-server", "offset-json-file"]);
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let config = session::admin_config(&request.options)?;
    let path = request
        .options
        .value("offset-json-file")?
        .unwrap_or_default();
    let offsets = parse(&read_file(path)?)?;
    let outcomes = block_on(async {
        let admin = Admin::new(config);
        let outcomes = admin.delete_records(&offsets).await;
        admin.close().await;
        Ok(outcomes?)
    })?;
    print(request.format, &outcomes)?;
    Ok(Exit::SUCCESS)
}

/// The new first offset of each partition.
fn parse(json: &str) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    let parsed: Value =
        serde_json::from_str(json).map_err(|_| anyhow!("The input string is not a valid JSON"))?;
    match version(&parsed)? {
        1 => {}
        other => bail!("Not supported version field value {other}"),
    }
    let partitions = parsed.get("partitions");
    let partitions = partitions.ok_or_else(|| anyhow!("Missing partitions field"))?;
    let mut offsets = BTreeMap::new();
    let mut twice: Vec<String> = Vec::new();
    for item in array(partitions)? {
        let partition = TopicPartition::new(text(item, "topic")?, int(item, "partition")?);
        let offset = long(item, "offset")?;
        if offsets.insert(partition.clone(), offset).is_some() {
            twice.push(partition.to_string());
        }
    }
    if !twice.is_empty() {
        twice.dedup();
        let twice = twice.join(",");
        bail!("Offset json file contains duplicate topic partitions: {twice}");
    }
    Ok(offsets)
}

fn print(format: Format, outcomes: &DeletedRecords) -> anyhow::Result<()> {
    let mut printer = Printer::default();
    if format == Format::Kafka {
        printer.line("Executing records delete operation")?;
        printer.line("Records delete operation completed:")?;
        for (partition, outcome) in outcomes {
            let outcome = match outcome {
                Ok(low) => format!("low_watermark: {low}"),
                Err(error) => format!("error: {}", thrown(error.clone())),
            };
            printer.line(format!("partition: {partition}\t{outcome}"))?;
        }
    } else {
        let columns = [
            column("Topic", "topic"),
            column("Partition", "partition"),
            column("First offset", "lowWatermark"),
            column("Error", "error"),
        ];
        let rows: Vec<Vec<Value>> = outcomes
            .iter()
            .map(|(partition, outcome)| {
                vec![
                    json!(&*partition.topic),
                    json!(partition.partition),
                    json!(outcome.as_ref().ok()),
                    json!(outcome.as_ref().err().map(ToString::to_string)),
                ]
            })
            .collect();
        listing::show(
            &mut printer,
            format,
            &columns,
            &rows,
            "No partitions were named.",
        )?;
    }
    Ok(printer.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_partitions_once() {
        let one = r#"{"partitions":[{"topic":"t","partition":0,"offset":5}]}"#;
        let want = BTreeMap::from([(TopicPartition::new("t", 0), 5)]);
        assert_eq!(parse(one).unwrap(), want);
        for (text, want) in [
            ("{", "The input string is not a valid JSON"),
            ("{}", "Missing partitions field"),
            (r#"{"version":2}"#, "Not supported version field value 2"),
            (
                r#"{"partitions":[{"topic":"t","partition":0,"offset":5},
                   {"topic":"t","partition":0,"offset":6}]}"#,
                "Offset json file contains duplicate topic partitions: t-0",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), want, "{text}");
        }
    }
}
