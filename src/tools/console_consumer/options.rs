//! The options of `kafka-console-consumer`, and the settings they make.
use std::collections::BTreeSet;

use crate::config::Properties;
use crate::tools::cluster::load_properties;
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::usage::{UsageError, not_both, pairs, require};

pub static DEFINITION: Definition = Definition {
    name: "console-consumer",
    about: "Prints the records of topics.",
    groups: &[
        Group {
            heading: "Where from",
            options: &[
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "Brokers of the cluster (required)",
                ),
                Opt::value("topic", "NAME", "The topic; this or --include is required"),
                Opt::value("include", "REGEX", "All topics whose names match"),
                Opt::value(
                    "command-config",
                    "FILE",
                    "Settings of the consumer: a .properties file",
                ),
                Opt::value(
                    "command-property",
                    "KEY=VALUE",
                    "A setting; wins over the file (repeatable)",
                )
                .repeatable(),
            ],
        },
        Group {
            heading: "Which records",
            options: &[
                Opt::flag(
                    "from-beginning",
                    "Start with the first record, unless the group has offsets",
                ),
                Opt::value("partition", "N", "This partition alone, without a group"),
                Opt::value(
                    "offset",
                    "OFFSET",
                    "With --partition: a number, earliest or latest",
                )
                .default("latest"),
                Opt::value(
                    "group",
                    "ID",
                    "The consumer group [default: console-consumer-N]",
                ),
                Opt::value("max-messages", "N", "End after so many records"),
                Opt::value("timeout-ms", "MS", "End when no record came for so long"),
                Opt::value(
                    "isolation-level",
                    "LEVEL",
                    "read_committed or read_uncommitted",
                )
                .default("read_uncommitted"),
            ],
        },
        Group {
            heading: "What to print",
            options: &[
                Opt::value(
                    "formatter-property",
                    "KEY=VALUE",
                    "What is printed (repeatable): print.timestamp, print.partition, print.offset, \
                     print.delivery, print.epoch, print.headers, print.key [false], print.value \
                     [true], key.separator [tab], line.separator [newline], headers.separator [,], \
                     null.literal [null], key.deserializer, value.deserializer, \
                     headers.deserializer [bytes as they are]",
                )
                .repeatable(),
                Opt::value(
                    "formatter-config",
                    "FILE",
                    "The same, from a .properties file",
                ),
                Opt::value(
                    "formatter",
                    "CLASS",
                    "In org.apache.kafka.tools.consumer: DefaultMessageFormatter, \
                     LoggingMessageFormatter, NoOpMessageFormatter, OffsetsMessageFormatter, \
                     GroupMetadataMessageFormatter, TransactionLogMessageFormatter, \
                     ShareGroupMessageFormatter, group.share.ShareGroupStateMessageFormatter",
                )
                .default(super::DEFAULT_FORMATTER),
                Opt::value(
                    "key-deserializer",
                    "CLASS",
                    "As the property key.deserializer",
                ),
                Opt::value(
                    "value-deserializer",
                    "CLASS",
                    "As the property value.deserializer",
                ),
                Opt::flag(
                    "skip-message-on-error",
                    "Go on after a record that cannot be printed",
                ),
                Opt::flag(
                    "enable-systest-events",
                    "Print shutdown_complete at the end",
                ),
            ],
        },
        Group {
            heading: "Old names",
            options: &[
                Opt::value("property", "KEY=VALUE", "Now --formatter-property").repeatable(),
                Opt::value("consumer-property", "KEY=VALUE", "Now --command-property").repeatable(),
                Opt::value("consumer.config", "FILE", "Now --command-config"),
            ],
        },
        Group {
            heading: "Other",
            options: &[
                Opt::flag("help", "Show this help"),
                Opt::flag("version", "Show the version"),
            ],
        },
    ],
    after: "Ctrl-C ends the consumer. How many records it printed is told on stderr.",
};

/// Where reading starts when a partition is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
    Offset(i64),
}

/// Checks which options go together; returns the lines that tell of old names, for stdout.
pub fn check(set: &OptionSet) -> Result<Vec<&'static str>, UsageError> {
    not_both(set, "consumer-property", "command-property")?;
    not_both(set, "consumer.config", "command-config")?;
    let mut told = Vec::new();
    if set.has("consumer-property") {
        told.push(
            "Option --consumer-property is deprecated and will be removed in a future version. \
             Use --command-property instead.",
        );
    }
    if set.has("consumer.config") {
        told.push(
            "Option --consumer.config is deprecated and will be removed in a future version. Use \
             --command-config instead.",
        );
    }
    if set.has("topic") == set.has("include") {
        let text = "Exactly one of the following arguments is required: [include], [topic]";
        return Err(UsageError(text.to_owned()));
    }
    if set.has("partition") {
        set.number::<i32>("partition")?;
        if !set.has("topic") {
            let text = "The topic is required when partition is specified.";
            return Err(UsageError(text.to_owned()));
        }
        if set.has("from-beginning") && set.has("offset") {
            let text = "Options from-beginning and offset cannot be specified together.";
            return Err(UsageError(text.to_owned()));
        }
    } else if set.has("offset") {
        let text = "The partition is required when offset is specified.";
        return Err(UsageError(text.to_owned()));
    }
    require(set, &["bootstrap-server"])?;
    Ok(told)
}

/// The consumer's settings: file, then `--command-property`, then what the options say.
/// `random` makes the group's name when none is given.
pub fn consumer_properties(set: &OptionSet, random: u32) -> anyhow::Result<Properties> {
    let file = match set.value("consumer.config")? {
        None => set.value("command-config")?,
        file => file,
    };
    let mut properties = load_properties(file)?;
    let mut groups: BTreeSet<String> = BTreeSet::new();
    groups.extend(set.value("group")?.map(str::to_owned));
    groups.extend(properties.get("group.id").map(str::to_owned));
    for name in ["consumer-property", "command-property"] {
        for (key, value) in pairs(set.values(name)) {
            if key == "group.id" {
                groups.insert(value.to_owned());
            }
            properties.set(key, value);
        }
    }
    check_groups(set, &groups)?;
    set_offset_reset(set, &mut properties)?;
    properties.set(
        "bootstrap.servers",
        set.value("bootstrap-server")?.unwrap_or_default(),
    );
    if !properties.contains("client.id") {
        properties.set("client.id", "console-consumer");
    }
    if set.has("isolation-level") || !properties.contains("isolation.level") {
        let level = set.value("isolation-level")?.unwrap_or_default().to_owned();
        properties.set("isolation.level", level);
    }
    match groups.pop_first() {
        Some(group) => properties.set("group.id", group),
        None => {
            properties.set("group.id", format!("console-consumer-{random}"));
            // Nobody will use this group again: it leaves no offsets behind.
            if !properties.contains("enable.auto.commit") {
                properties.set("enable.auto.commit", "false");
            }
        }
    }
    Ok(properties)
}

fn check_groups(set: &OptionSet, groups: &BTreeSet<String>) -> Result<(), UsageError> {
    if groups.len() > 1 {
        let named: Vec<String> = groups.iter().map(|group| format!("'{group}'")).collect();
        return Err(UsageError(format!(
            "The group ids provided in different places (directly using '--group', via \
             '--command-property', or via '--command-config') do not match. Detected group ids: {}",
            named.join(", ")
        )));
    }
    if !groups.is_empty() && set.has("partition") {
        let text = "Options group and partition cannot be specified together.";
        return Err(UsageError(text.to_owned()));
    }
    Ok(())
}

fn set_offset_reset(set: &OptionSet, properties: &mut Properties) -> Result<(), UsageError> {
    let from_beginning = set.has("from-beginning");
    match properties.get("auto.offset.reset") {
        Some(reset) if from_beginning && reset != "earliest" => Err(UsageError(format!(
            "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', \
             please remove one option"
        ))),
        Some(_) => Ok(()),
        None => {
            let reset = if from_beginning { "earliest" } else { "latest" };
            properties.set("auto.offset.reset", reset);
            Ok(())
        }
    }
}

/// Where to start in the partition that was named.
pub fn start(set: &OptionSet) -> Result<Start, UsageError> {
    if !set.has("offset") {
        return Ok(if set.has("from-beginning") {
            Start::Earliest
        } else {
            Start::Latest
        });
    }
    let text = set.value("offset")?.unwrap_or_default();
    match text.to_lowercase().as_str() {
        "earliest" => return Ok(Start::Earliest),
        "latest" => return Ok(Start::Latest),
        _ => {}
    }
    match text.parse() {
        Ok(offset) if offset >= 0 => Ok(Start::Offset(offset)),
        _ => Err(UsageError(format!(
            "The provided offset value '{text}' is incorrect. Valid values are 'earliest', \
             'latest', or a non-negative long."
        ))),
    }
}

/// The formatter's properties: file, then the deserializer options, then `--formatter-property`.
/// Says whether the old name `--property` was used.
pub fn formatter_properties(set: &OptionSet) -> anyhow::Result<Properties> {
    let mut properties = load_properties(set.value("formatter-config")?)?;
    for (option, key) in [
        ("key-deserializer", "key.deserializer"),
        ("value-deserializer", "value.deserializer"),
    ] {
        if let Some(class) = set.value(option)?.filter(|class| !class.is_empty()) {
            properties.set(key, class);
        }
    }
    for name in ["property", "formatter-property"] {
        for (key, value) in pairs(set.values(name)) {
            properties.set(key, value);
        }
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn set(line: &str) -> OptionSet {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&DEFINITION, &args).unwrap()
    }

    fn check_error(line: &str, want: &str) {
        assert_eq!(check(&set(line)).unwrap_err().0, want, "{line}");
    }

    #[test]
    fn what_goes_together() {
        let one = "Exactly one of the following arguments is required: [include], [topic]";
        check_error("--bootstrap-server b", one);
        check_error("--bootstrap-server b --topic x --include y", one);
        check_error(
            "--topic x",
            "Missing required argument \"[bootstrap-server]\"",
        );
        check_error(
            "--include x --partition 0",
            "The topic is required when partition is specified.",
        );
        check_error(
            "--topic x --offset 1",
            "The partition is required when offset is specified.",
        );
        check_error(
            "--topic x --partition 0 --offset 1 --from-beginning",
            "Options from-beginning and offset cannot be specified together.",
        );
        let told = check(&set(
            "--bootstrap-server b --topic x --consumer-property a=b",
        ))
        .unwrap();
        assert_eq!(told.len(), 1);
    }

    #[test]
    fn starts() {
        let at = |line: &str| start(&set(line)).map_err(|error| error.0);
        assert_eq!(at("--offset 12"), Ok(Start::Offset(12)));
        assert_eq!(at("--offset Earliest"), Ok(Start::Earliest));
        assert_eq!(at("--from-beginning"), Ok(Start::Earliest));
        assert_eq!(at(""), Ok(Start::Latest));
        assert!(
            at("--offset -3")
                .unwrap_err()
                .starts_with("The provided offset value '-3' is")
        );
    }

    fn settings(line: &str) -> Result<Properties, String> {
        consumer_properties(&set(line), 42).map_err(|error| error.to_string())
    }

    #[test]
    fn a_group_is_made_up_and_leaves_no_offsets() {
        let properties = settings("--topic t").unwrap();
        assert_eq!(properties.get("group.id"), Some("console-consumer-42"));
        assert_eq!(properties.get("enable.auto.commit"), Some("false"));
        assert_eq!(properties.get("auto.offset.reset"), Some("latest"));
        assert_eq!(properties.get("isolation.level"), Some("read_uncommitted"));
        let properties = settings("--topic t --group g --from-beginning").unwrap();
        assert_eq!(properties.get("group.id"), Some("g"));
        assert_eq!(properties.get("enable.auto.commit"), None);
        assert_eq!(properties.get("auto.offset.reset"), Some("earliest"));
    }

    #[test]
    fn groups_and_resets_must_agree() {
        let error = settings("--group g --command-property group.id=h").unwrap_err();
        assert!(error.ends_with("Detected group ids: 'g', 'h'"), "{error}");
        assert!(settings("--group g --command-property group.id=g").is_ok());
        assert_eq!(
            settings("--topic t --partition 0 --group g").unwrap_err(),
            "Options group and partition cannot be specified together."
        );
        assert_eq!(
            settings("--from-beginning --command-property auto.offset.reset=latest").unwrap_err(),
            "Can't simultaneously specify --from-beginning and 'auto.offset.reset=latest', please \
             remove one option"
        );
    }

    #[test]
    fn formatter_options_and_properties() {
        let properties = formatter_properties(&set(
            "--value-deserializer a --formatter-property value.deserializer=b --formatter-property print.key=true",
        ))
        .unwrap();
        assert_eq!(properties.get("value.deserializer"), Some("b"));
        assert_eq!(properties.get("print.key"), Some("true"));
    }
}
