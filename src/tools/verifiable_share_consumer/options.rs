//! The options of `kafka-verifiable-share-consumer` and what they ask for.
use anyhow::bail;

use crate::config::Properties;
use crate::tools::options::argparse::{Parsed, Subcommand};
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::verifiable_producer::load;

pub const PROGRAM: &str = "verifiable-share-consumer";

pub static TOOL: Subcommand = Subcommand {
    definition: Definition {
        name: "verifiable-share-consumer",
        about: "Consumes a topic through a share group, and prints as JSON what happens.",
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
                    Opt::value("group-id", "GROUP-ID", "Through this share group").required(),
                    Opt::value(
                        "max-messages",
                        "MAX-MESSAGES",
                        "How many to acknowledge; -1 for no end [default: -1]",
                    ),
                    Opt::flag("verbose", "Print every record"),
                    Opt::value(
                        "acknowledgement-mode",
                        "ACKNOWLEDGEMENT-MODE",
                        "When to acknowledge: auto (with the next poll), sync or async (after \
                         each) [default: auto]",
                    ),
                    Opt::value(
                        "offset-reset-strategy",
                        "OFFSET-RESET-STRATEGY",
                        "First have the group begin there: earliest or latest",
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

/// When acknowledgements are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With the next poll.
    Auto,
    /// At once, and waited for.
    Sync,
    /// At once.
    Async,
}

pub struct Plan {
    pub topic: String,
    pub group_id: String,
    /// `None`: without end.
    pub messages: Option<u64>,
    pub mode: Mode,
    pub reset: Option<String>,
    pub verbose: bool,
    /// Of the consumer and of the admin client.
    pub properties: Properties,
}

pub fn plan(parsed: &Parsed) -> anyhow::Result<Plan> {
    let messages: i32 = parsed.number("max-messages")?.unwrap_or(-1);
    let text = |name: &str| parsed.value(name).unwrap_or_default();
    let mode = parsed.value("acknowledgement-mode").unwrap_or("auto");
    let mode = match mode.to_uppercase().as_str() {
        "AUTO" => Mode::Auto,
        "SYNC" => Mode::Sync,
        "ASYNC" => Mode::Async,
        unknown => bail!(
            "No enum constant \
             org.apache.kafka.tools.VerifiableShareConsumer.AcknowledgementMode.{unknown}\n\
             --acknowledgement-mode is auto, sync or async."
        ),
    };
    let mut properties = match parsed.value("command-config") {
        Some(path) => load(path)?,
        None => Properties::new(),
    };
    properties.set("group.id", text("group-id"));
    properties.set("bootstrap.servers", text("bootstrap-server"));
    let reset = text("offset-reset-strategy").to_lowercase();
    Ok(Plan {
        topic: text("topic").to_owned(),
        group_id: text("group-id").to_owned(),
        messages: u64::try_from(messages).ok(),
        mode,
        reset: Some(reset).filter(|reset| !reset.is_empty()),
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
    fn words_may_be_of_any_case() {
        let plan = planned(
            "--acknowledgement-mode ASYNC --offset-reset-strategy Earliest --max-messages 0",
        )
        .unwrap();
        assert_eq!(plan.mode, Mode::Async);
        assert_eq!(plan.reset.as_deref(), Some("earliest"));
        assert_eq!(plan.messages, Some(0));
        let plan = planned("--max-messages -5").unwrap();
        assert_eq!(
            (plan.mode, plan.reset, plan.messages),
            (Mode::Auto, None, None)
        );
        let error = planned("--acknowledgement-mode foo").err().unwrap();
        assert!(error.to_string().contains("AcknowledgementMode.FOO"));
    }
}
