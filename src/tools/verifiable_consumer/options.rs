//! The options of `kafka-verifiable-consumer` and what they ask for.
use anyhow::bail;

use crate::config::Properties;
use crate::tools::options::argparse::{Parsed, Subcommand};
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::verifiable_producer::with_file;

pub const PROGRAM: &str = "verifiable-consumer";

pub static TOOL: Subcommand = Subcommand {
    definition: Definition {
        name: "verifiable-consumer",
        about: "Consumes a topic in a group, and prints as JSON what happens.",
        groups: &[
            Group {
                heading: "Where",
                options: &[Opt::value(
                    "bootstrap-server",
                    "HOST1:PORT1[,HOST2:PORT2[...]]",
                    "Brokers of the cluster",
                )
                .required()],
            },
            Group {
                heading: "What to consume",
                options: &[
                    Opt::value("topic", "TOPIC", "The topic to consume").required(),
                    Opt::value(
                        "group-protocol",
                        "GROUP-PROTOCOL",
                        "classic or consumer (KIP-848) [default: classic]",
                    ),
                    Opt::value(
                        "group-remote-assignor",
                        "GROUP-REMOTE-ASSIGNOR",
                        "The broker's assignor, with the consumer protocol",
                    ),
                    Opt::value("group-id", "GROUP-ID", "As a member of this group").required(),
                    Opt::value(
                        "group-instance-id",
                        "GROUP-INSTANCE-ID",
                        "As this static member of it",
                    ),
                    Opt::value(
                        "max-messages",
                        "MAX-MESSAGES",
                        "How many; -1 for no end [default: -1]",
                    ),
                    Opt::value(
                        "session-timeout",
                        "TIMEOUT-MS",
                        "Without heartbeats for so long a member is gone (classic protocol)",
                    ),
                    Opt::flag("verbose", "Print every record"),
                    Opt::flag(
                        "enable-autocommit",
                        "Commit now and then, not after each poll",
                    ),
                    Opt::value(
                        "reset-policy",
                        "RESET-POLICY",
                        "Where the group has no offset: earliest, latest or none \
                         [default: earliest]",
                    ),
                    Opt::value(
                        "assignment-strategy",
                        "ASSIGNMENT-STRATEGY",
                        "The assignor, with the classic protocol [default: \
                         org.apache.kafka.clients.consumer.RangeAssignor]",
                    ),
                    Opt::value(
                        "consumer.config",
                        "CONFIG-FILE",
                        "Deprecated: use --command-config",
                    ),
                    Opt::value(
                        "command-config",
                        "CONFIG-FILE",
                        "Settings: a .properties file",
                    ),
                ],
            },
        ],
        after: "",
    },
    exclusive: &["bootstrap-server"],
    one_required: true,
    words: None,
};

pub struct Plan {
    pub topic: String,
    /// `None`: without end.
    pub messages: Option<usize>,
    pub auto_commit: bool,
    pub verbose: bool,
    pub properties: Properties,
}

pub fn plan(parsed: &Parsed) -> anyhow::Result<Plan> {
    let messages: i32 = parsed.number("max-messages")?.unwrap_or(-1);
    let session_timeout: Option<i32> = parsed.number("session-timeout")?;
    let mut properties = with_file(Properties::new(), parsed, "consumer.config")?;
    let text = |name: &str| parsed.value(name).unwrap_or_default();
    let protocol = parsed.value("group-protocol").unwrap_or("classic");
    match protocol.to_uppercase().as_str() {
        "CONSUMER" => {
            properties.set("group.protocol", protocol);
            if let Some(assignor) = parsed.value("group-remote-assignor") {
                properties.set("group.remote.assignor", assignor);
            }
        }
        "CLASSIC" => {
            let range = "org.apache.kafka.clients.consumer.RangeAssignor";
            let strategy = parsed.value("assignment-strategy").unwrap_or(range);
            properties.set("partition.assignment.strategy", strategy);
            if let Some(timeout) = session_timeout {
                properties.set("session.timeout.ms", timeout.to_string());
            }
        }
        unknown => bail!(
            "No enum constant org.apache.kafka.clients.consumer.GroupProtocol.{unknown}\n\
             --group-protocol is classic or consumer."
        ),
    }
    properties.set("group.id", text("group-id"));
    if let Some(id) = parsed.value("group-instance-id") {
        properties.set("group.instance.id", id);
    }
    properties.set("bootstrap.servers", text("bootstrap-server"));
    let auto_commit = parsed.has("enable-autocommit");
    properties.set("enable.auto.commit", auto_commit.to_string());
    let reset = parsed.value("reset-policy").unwrap_or("earliest");
    properties.set("auto.offset.reset", reset);
    Ok(Plan {
        topic: text("topic").to_owned(),
        messages: usize::try_from(messages).ok(),
        auto_commit,
        verbose: parsed.has("verbose"),
        properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::argparse::parse_alone;

    fn planned(line: &str) -> anyhow::Result<Plan> {
        let line = format!("--bootstrap-server b:1 --topic t --group-id g {line}");
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        plan(&parse_alone(&TOOL, &args).map_err(|stop| anyhow::anyhow!("{stop:?}"))?)
    }

    #[test]
    fn each_protocol_has_its_settings() {
        let classic = planned("--session-timeout 7000 --group-remote-assignor range").unwrap();
        let consumer = planned(
            "--group-protocol consumer --session-timeout 7000 --group-remote-assignor range",
        )
        .unwrap();
        for (plan, key, want) in [
            (&classic, "session.timeout.ms", Some("7000")),
            (&classic, "group.remote.assignor", None),
            (&classic, "enable.auto.commit", Some("false")),
            (&consumer, "session.timeout.ms", None),
            (&consumer, "group.remote.assignor", Some("range")),
            (&consumer, "partition.assignment.strategy", None),
        ] {
            assert_eq!(plan.properties.get(key), want, "{key}");
        }
        let error = planned("--group-protocol foo").err().unwrap().to_string();
        assert!(error.starts_with("No enum constant"), "{error}");
    }
}
