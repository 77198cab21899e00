//! The options of `kafka-verifiable-producer` and what they ask for.
use crate::config::Properties;
use crate::tools::options::argparse::{ArgumentError, Parsed, Subcommand, names};
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::Printer;

pub const PROGRAM: &str = "verifiable-producer";

pub static TOOL: Subcommand = Subcommand {
    definition: Definition {
        name: "verifiable-producer",
        about: "Produces numbers that count up, and prints as JSON what became of each.",
        groups: &[
            Group {
                heading: "Where",
                options: &[Opt::value(
                    "bootstrap-server",
                    "HOST1:PORT1[,HOST2:PORT2[...]]",
                    "Brokers of the cluster (required)",
                )],
            },
            Group {
                heading: "What to send",
                options: &[
                    Opt::value("topic", "TOPIC", "The topic to produce to").required(),
                    Opt::value(
                        "max-messages",
                        "MAX-MESSAGES",
                        "How many; -1 for no end [default: -1]",
                    ),
                    Opt::value(
                        "throughput",
                        "THROUGHPUT",
                        "Messages per second; -1 for no limit [default: -1]",
                    ),
                    Opt::value(
                        "acks",
                        "ACKS",
                        "Acknowledged by: 0, 1 or -1 for all [default: -1]",
                    ),
                    Opt::value(
                        "producer.config",
                        "CONFIG-FILE",
                        "Deprecated: use --command-config",
                    ),
                    Opt::value(
                        "message-create-time",
                        "CREATE-TIME",
                        "Timestamps begin here, in ms since 1970 [default: the present]",
                    ),
                    Opt::value(
                        "value-prefix",
                        "VALUE-PREFIX",
                        "A number and a dot before each value",
                    ),
                    Opt::value(
                        "repeating-keys",
                        "REPEATING-KEYS",
                        "Keys that count from 0 up to this and begin anew",
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
    pub messages: Option<i64>,
    pub throughput: i32,
    pub create_time: Option<i64>,
    pub value_prefix: Option<i32>,
    pub repeating_keys: Option<i32>,
    pub properties: Properties,
}

pub fn plan(parsed: &Parsed) -> anyhow::Result<Plan> {
    let messages: i32 = parsed.number("max-messages")?.unwrap_or(-1);
    let throughput = parsed.number("throughput")?.unwrap_or(-1);
    let acks = parsed.number::<i32>("acks")?.unwrap_or(-1);
    if !(-1..=1).contains(&acks) {
        let option = parsed.command.definition.find("acks");
        anyhow::bail!(ArgumentError::InvalidChoice {
            option: option.map(names).unwrap_or_default(),
            value: acks.to_string(),
            choices: "0,1,-1",
        });
    }
    let create_time: i64 = parsed.number("message-create-time")?.unwrap_or(-1);
    let mut properties = Properties::new();
    properties.set(
        "bootstrap.servers",
        parsed.value("bootstrap-server").unwrap_or_default(),
    );
    properties.set("acks", acks.to_string());
    properties.set("retries", "0");
    let plan = Plan {
        topic: parsed.value("topic").unwrap_or_default().to_owned(),
        messages: (messages >= 0).then_some(i64::from(messages)),
        throughput,
        create_time: (create_time != -1).then_some(create_time),
        value_prefix: parsed.number("value-prefix")?,
        repeating_keys: parsed.number("repeating-keys")?,
        properties: with_file(properties, parsed, "producer.config")?,
    };
    Ok(plan)
}

/// The settings of the options, and above them those of the file, under its old or new name.
pub fn with_file(
    mut properties: Properties,
    parsed: &Parsed,
    old: &str,
) -> anyhow::Result<Properties> {
    if parsed.has(old) && parsed.has("command-config") {
        anyhow::bail!(ArgumentError::Other(format!(
            "Options --{old} and --command-config are mutually exclusive."
        )));
    }
    if parsed.has(old) {
        let mut printer = Printer::default();
        printer.line(format!(
            "Option --{old} has been deprecated and will be removed in a future version. Use \
             --command-config instead."
        ))?;
        printer.flush()?;
    }
    if let Some(path) = parsed.value(old).or(parsed.value("command-config")) {
        for (key, value) in load(path)?.iter() {
            properties.set(key, value);
        }
    }
    Ok(properties)
}

/// The settings' file; one that is not there is a mistake of the command line.
pub fn load(path: &str) -> Result<Properties, ArgumentError> {
    Properties::load(path).map_err(|_| ArgumentError::Other(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::argparse::{Stop, parse_alone};

    fn planned(line: &str) -> Result<Plan, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let parsed = parse_alone(&TOOL, &args).map_err(|stop| match stop {
            Stop::Error(error) => error.to_string(),
            Stop::Help(_) => "help".to_owned(),
        })?;
        plan(&parsed).map_err(|error| error.to_string())
    }

    /// Said by Kafka 4.3.1.
    #[test]
    fn mistakes_are_named_as_kafka_does() {
        for (line, want) in [
            (
                "--topic t",
                "one of the arguments --bootstrap-server is required",
            ),
            ("--bootstrap-server b:1", "argument --topic is required"),
            (
                "--topic t --bootstrap-server b:1 --acks 5",
                "argument --acks: invalid choice: '5' (choose from {0,1,-1})",
            ),
            (
                "--topic t --bootstrap-server b:1 --producer.config /nonexistent",
                "/nonexistent",
            ),
            (
                "--topic t --bootstrap-server b:1 --producer.config /a --command-config /b",
                "Options --producer.config and --command-config are mutually exclusive.",
            ),
        ] {
            assert_eq!(planned(line).err().as_deref(), Some(want), "{line}");
        }
    }

    #[test]
    fn negative_numbers_are_values() {
        let plan = planned("--topic t --bootstrap-server b:1 --max-messages -1 --acks -1").unwrap();
        assert_eq!(
            (plan.messages, plan.throughput, plan.create_time),
            (None, -1, None)
        );
        assert_eq!(plan.properties.get("acks"), Some("-1"));
    }
}
