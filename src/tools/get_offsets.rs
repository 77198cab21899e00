//! `kafka-get-offsets`: the offsets of partitions, now or at a time.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cluster::{block_on, thrown};
use super::listing::{self, column};
use super::options::jopt::{self, OptionSet};
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation, OUTPUT, Printer, message};
use super::registry::Exit;
use super::session::{self, OTHER, WHERE};
use super::topics::TopicFilter;
use super::usage::{self, UsageError, require};
use crate::client::TopicPartition;
use crate::client::admin::{Admin, OffsetSpec, PARTITIONS_PER_RESPONSE};
use crate::client::config::IsolationLevel;

pub static DEFINITION: Definition = Definition {
    name: "get-offsets",
    about: "Prints the offsets of partitions.",
    groups: &[
        WHERE,
        Group {
            heading: "Which partitions (all without any of these)",
            options: &[
                Opt::value("topic", "REGEX", "Topics whose whole name matches"),
                Opt::value("partitions", "0,1,...", "Partitions of these topics"),
                Opt::value(
                    "topic-partitions",
                    "TOPIC:0-3,...",
                    "Topics with partitions: t:0, t:0-3 (without 3), t:5-, t:-3; t alone is all",
                ),
                Opt::flag("exclude-internal-topics", "Leave out Kafka's own topics"),
            ],
        },
        Group {
            heading: "Which offset",
            options: &[Opt::value(
                "time",
                "TIME",
                "latest (-1), earliest (-2), max-timestamp (-3), earliest-local (-4), \
                     latest-tiered (-5), earliest-pending-upload (-6), or of the first record \
                     since a time in milliseconds",
            )
            .default("latest")],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

/// A topic expression and the partitions wanted of what it matches, from and up to.
struct Rule {
    topics: TopicFilter,
    partitions: Partitions,
}

enum Partitions {
    Among(Vec<i32>),
    From(i32, i32),
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    // Unlike other tools it tells of unknown options as of everything else.
    if let Err(error) = jopt::parse(&DEFINITION, &invocation.args) {
        let error = UsageError(format!("Error occurred: {error}"));
        return Ok(usage::refuse(&DEFINITION, &invocation, &error));
    }
    let check = |set: &OptionSet| {
        require(set, &["bootstrap-server"])?;
        check_bootstrap(set.value("bootstrap-server")?.unwrap_or_default())
    };
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let result = fetch(&request.options).and_then(|offsets| print(request.format, &offsets));
    match result {
        Ok(()) => Ok(Exit::SUCCESS),
        Err(error) if error.is::<std::io::Error>() => Err(error),
        Err(error) => {
            message(format!("Error occurred: {error}"));
            Ok(Exit::FAILURE)
        }
    }
}

fn check_bootstrap(list: &str) -> Result<(), UsageError> {
    if list.trim().is_empty() {
        let text = "Error while validating the bootstrap address\n";
        return Err(UsageError(text.to_owned()));
    }
    let has_port = |address: &str| {
        let port = address.rsplit_once(':').map(|(_, port)| port);
        port.is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
    };
    if list.split(',').all(has_port) {
        return Ok(());
    }
    let text = "Please provide valid host:port like host1:9091,host2:9092\n";
    Err(UsageError(text.to_owned()))
}

fn fetch(options: &OptionSet) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    let by_pattern = options.has("topic-partitions");
    if by_pattern && (options.has("topic") || options.has("partitions")) {
        anyhow::bail!("--topic-partitions cannot be used with --topic or --partitions");
    }
    let spec = parse_time(options.value("time")?.unwrap_or_default())?;
    let rules = match options.value("topic-partitions")? {
        Some(text) => text.split(',').map(parse_rule).collect::<Result<_, _>>()?,
        None => vec![Rule {
            topics: TopicFilter::new(options.value("topic")?.unwrap_or(".*"))?,
            partitions: parse_partitions(options.value("partitions")?.unwrap_or_default())?,
        }],
    };
    let internal = !options.has("exclude-internal-topics");
    let config = session::admin_config(options)?;
    block_on(async {
        let admin = Admin::new(config);
        let offsets = offsets(&admin, &rules, spec, internal).await;
        admin.close().await;
        offsets
    })
}

async fn offsets(
    admin: &Admin,
    rules: &[Rule],
    spec: OffsetSpec,
    internal: bool,
) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    let topics = admin.list_topics(internal).await.map_err(thrown)?;
    let names = topics.iter().map(|topic| &*topic.name);
    let names: Vec<&str> = names
        .filter(|name| rules.iter().any(|rule| rule.topics.matches(name)))
        .collect();
    let described = admin.describe_topics(&names, PARTITIONS_PER_RESPONSE);
    let mut wanted = BTreeMap::new();
    for (name, topic) in described.await.map_err(thrown)? {
        for p in topic.map_err(thrown)?.partitions {
            if rules.iter().any(|rule| rule.wants(&name, p.partition)) {
                wanted.insert(TopicPartition::new(&*name, p.partition), spec);
            }
        }
    }
    if wanted.is_empty() {
        anyhow::bail!("Could not match any topic-partitions with the specified filters");
    }
    let listed = admin.list_offsets(&wanted, IsolationLevel::ReadUncommitted);
    let mut offsets = BTreeMap::new();
    for (partition, listed) in listed.await.map_err(thrown)? {
        match listed {
            Ok(listed) if listed.offset == -1 => {}
            Ok(listed) => {
                offsets.insert(partition, listed.offset);
            }
            Err(error) => message(format!(
                "Skip getting offsets for topic-partition {partition} due to error: {}",
                thrown(error)
            )),
        }
    }
    Ok(offsets)
}

fn print(format: Format, offsets: &BTreeMap<TopicPartition, i64>) -> anyhow::Result<()> {
    let mut printer = Printer::default();
    if format == Format::Kafka {
        // In the order of their names as text: t-10 comes before t-2.
        let mut lines: Vec<_> = offsets
            .iter()
            .map(|(p, offset)| (p.to_string(), p, offset))
            .collect();
        lines.sort();
        for (_, partition, offset) in lines {
            let (topic, partition) = (&partition.topic, partition.partition);
            printer.line(format!("{topic}:{partition}:{offset}"))?;
        }
    } else {
        let columns = [
            column("Topic", "topic"),
            column("Partition", "partition"),
            column("Offset", "offset"),
        ];
        let row = |(partition, offset): (&TopicPartition, &i64)| {
            vec![
                json!(&*partition.topic),
                json!(partition.partition),
                json!(offset),
            ]
        };
        let rows: Vec<Vec<Value>> = offsets.iter().map(row).collect();
        let none = "No partition has such an offset.";
        listing::show(&mut printer, format, &columns, &rows, none)?;
    }
    Ok(printer.flush()?)
}

fn parse_time(text: &str) -> anyhow::Result<OffsetSpec> {
    let number = text.parse::<i64>().ok();
    Ok(match (text, number) {
        ("latest", _) | (_, Some(-1)) => OffsetSpec::Latest,
        ("earliest", _) | (_, Some(-2)) => OffsetSpec::Earliest,
        ("max-timestamp", _) | (_, Some(-3)) => OffsetSpec::MaxTimestamp,
        ("earliest-local", _) | (_, Some(-4)) => OffsetSpec::EarliestLocal,
        ("latest-tiered", _) | (_, Some(-5)) => OffsetSpec::LatestTiered,
        ("earliest-pending-upload", _) | (_, Some(-6)) => OffsetSpec::EarliestPendingUpload,
        (_, Some(timestamp)) => OffsetSpec::Timestamp(timestamp),
        (_, None) => anyhow::bail!(
            "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or \
             max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or \
             earliest-pending-upload, or a specified long format timestamp"
        ),
    })
}

/// `--partitions`; an empty list means all.
fn parse_partitions(text: &str) -> anyhow::Result<Partitions> {
    if text.is_empty() {
        return Ok(Partitions::From(0, i32::MAX));
    }
    let numbers: Result<Vec<i32>, _> = text.split(',').map(str::parse).collect();
    numbers.map(Partitions::Among).map_err(|_| {
        anyhow::anyhow!(
            "--partitions expects a comma separated list of numeric partition ids, but received: \
             {text}"
        )
    })
}

/// One part of `--topic-partitions`: `REGEX`, `REGEX:N`, `REGEX:N-M`, each number optional.
fn parse_rule(text: &str) -> anyhow::Result<Rule> {
    let invalid = || {
        anyhow::anyhow!("org.apache.kafka.tools.TerseException: Invalid rule specification: {text}")
    };
    let number = |digits: &str, absent: i32| -> anyhow::Result<i32> {
        match digits {
            "" => Ok(absent),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits
                .parse()
                .map_err(|_| anyhow::anyhow!("For input string: \"{digits}\"")),
            _ => Err(invalid()),
        }
    };
    let (topic, range) = text.split_once(':').unwrap_or((text, ""));
    let partitions = match range.split_once('-') {
        Some((from, to)) => Partitions::From(number(from, 0)?, number(to, i32::MAX)?),
        None if range.is_empty() => Partitions::From(0, i32::MAX),
        None => Partitions::Among(vec![number(range, 0)?]),
    };
    let topics = TopicFilter::new(if topic.is_empty() { ".*" } else { topic })?;
    Ok(Rule { topics, partitions })
}

impl Rule {
    fn wants(&self, topic: &str, partition: i32) -> bool {
        let fits = match &self.partitions {
            Partitions::Among(wanted) => wanted.contains(&partition),
            Partitions::From(from, to) => (*from..*to).contains(&partition),
        };
        fits && self.topics.matches(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_topics_and_partitions() {
        for (rule, topic, want) in [
            ("t", "t", vec![0, 1, 2, 3, 4]),
            ("t:1", "t", vec![1]),
            ("t:1-3", "t", vec![1, 2]),
            ("t:3-", "t", vec![3, 4]),
            (":-2", "any", vec![0, 1]),
            ("t.*:0", "to", vec![0]),
            ("t", "to", vec![]),
        ] {
            let parsed = parse_rule(rule).unwrap();
            let found: Vec<i32> = (0..5).filter(|p| parsed.wants(topic, *p)).collect();
            assert_eq!(found, want, "{rule}");
        }
        for wrong in ["t:x", "t:1:2", "t:1-2-3"] {
            assert!(parse_rule(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bootstrap_addresses_need_ports() {
        assert!(check_bootstrap("a:1,b:2").is_ok());
        for wrong in ["", " ", "a", "a:1,b", "a:x"] {
            assert!(check_bootstrap(wrong).is_err(), "{wrong}");
        }
    }
}
