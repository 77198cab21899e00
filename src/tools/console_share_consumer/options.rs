//! The options of `kafka-console-share-consumer`, and the settings they make.
use std::collections::BTreeSet;

use crate::client::share::AcknowledgeType;
use crate::config::Properties;
use crate::tools::cluster::load_properties;
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::session::OTHER;
use crate::tools::usage::{UsageError, not_both, pairs, require};

const DEFAULT_FORMATTER: &str = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";

pub static DEFINITION: Definition = Definition {
    name: "console-share-consumer",
    about: "Prints the records of a topic through a share group, and acknowledges them.",
    groups: &[
        Group {
            heading: "Where from",
            options: &[
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "Brokers of the cluster (required)",
                ),
                Opt::value("topic", "NAME", "The topic (required)"),
                Opt::value(
                    "group",
                    "ID",
                    "The share group [default: console-share-consumer]",
                ),
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
            heading: "Which records, and what becomes of them",
            options: &[
                Opt::value("max-messages", "N", "End after so many records"),
                Opt::value("timeout-ms", "MS", "End when no record came for so long"),
                Opt::flag("release", "Give records back: they are delivered again"),
                Opt::flag("reject", "Reject records: nobody gets them any more"),
                Opt::flag(
                    "reject-message-on-error",
                    "Reject a record that cannot be printed, and go on",
                ),
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
                     LoggingMessageFormatter, NoOpMessageFormatter, and those of internal topics",
                )
                .default(DEFAULT_FORMATTER),
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
                Opt::value("consumer-config", "FILE", "Now --command-config"),
            ],
        },
        OTHER,
    ],
    after: "Ctrl-C ends the consumer. How many records it printed is told on stderr.",
};

/// Checks which options go together; returns the lines that tell of old names, for stdout.
pub fn check(set: &OptionSet) -> Result<Vec<String>, UsageError> {
    if !set.has("topic") {
        return Err(UsageError("--topic is a required argument".to_owned()));
    }
    require(set, &["bootstrap-server"])?;
    if set.has("reject") && set.has("release") {
        let text = "At most one of --reject and --release may be specified.";
        return Err(UsageError(text.to_owned()));
    }
    let renamed = [
        ("consumer-property", "command-property"),
        ("consumer-config", "command-config"),
    ];
    for (old, new) in renamed {
        not_both(set, old, new)?;
    }
    let told = renamed.iter().filter(|(old, _)| set.has(old));
    Ok(told.map(|(old, new)| deprecated(old, new)).collect())
}

pub fn deprecated(old: &str, new: &str) -> String {
    format!(
        "Option --{old} is deprecated and will be removed in a future version. Use --{new} instead."
    )
}

pub fn acknowledge_type(set: &OptionSet) -> AcknowledgeType {
    if set.has("reject") {
        AcknowledgeType::Reject
    } else if set.has("release") {
        AcknowledgeType::Release
    } else {
        AcknowledgeType::Accept
    }
}

/// The consumer's settings: file, then properties, then what the options say.
pub fn consumer_properties(set: &OptionSet) -> anyhow::Result<Properties> {
    let file = match set.value("consumer-config")? {
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
    if groups.len() > 1 {
        let named: Vec<String> = groups.iter().map(|group| format!("'{group}'")).collect();
        return Err(UsageError(format!(
            "The group ids provided in different places (directly using '--group', via \
             '--consumer-property', or via '--consumer-config') do not match. Detected group ids: \
             {}",
            named.join(", ")
        ))
        .into());
    }
    let servers = set.value("bootstrap-server")?.unwrap_or_default();
    properties.set("bootstrap.servers", servers);
    if !properties.contains("client.id") {
        properties.set("client.id", "console-share-consumer");
    }
    let group = groups.pop_first();
    let group = group.unwrap_or_else(|| "console-share-consumer".to_owned());
    properties.set("group.id", group);
    properties.set("share.acknowledgement.mode", "explicit");
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

    #[test]
    fn what_goes_together() {
        let error = |line| check(&set(line)).unwrap_err().0;
        assert_eq!(error("--group g"), "--topic is a required argument");
        assert_eq!(
            error("--bootstrap-server b --topic t --reject --release"),
            "At most one of --reject and --release may be specified."
        );
        let told = check(&set(
            "--bootstrap-server b --topic t --consumer-property a=b",
        ));
        assert_eq!(
            told.unwrap(),
            [
                "Option --consumer-property is deprecated and will be removed in a future version. \
              Use --command-property instead."
            ]
        );
    }

    #[test]
    fn the_group_is_named_once() {
        let properties = consumer_properties(&set("--topic t")).unwrap();
        assert_eq!(properties.get("group.id"), Some("console-share-consumer"));
        let error = consumer_properties(&set("--group g --command-property group.id=h"));
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("Detected group ids: 'g', 'h'"), "{error}");
    }

    #[test]
    fn records_are_accepted_unless_asked_otherwise() {
        assert_eq!(acknowledge_type(&set("")), AcknowledgeType::Accept);
        assert_eq!(acknowledge_type(&set("--reject")), AcknowledgeType::Reject);
        assert_eq!(
            acknowledge_type(&set("--release")),
            AcknowledgeType::Release
        );
    }
}
