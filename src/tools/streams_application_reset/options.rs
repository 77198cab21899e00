//! The options of `kafka-streams-application-reset`, and which of them go together.
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::reset_plan::exclusive_places;
use crate::tools::session::OTHER;
use crate::tools::usage::{UsageError, exclude};

pub static DEFINITION: Definition = Definition {
    name: "streams-application-reset",
    about: "Resets an application of Kafka Streams: its offsets of input topics, and its internal \
            topics. The local state is not touched: call KafkaStreams#cleanUp() or delete state.dir.",
    groups: &[
        Group {
            heading: "Which application",
            options: &[
                Opt::value("application-id", "ID", "Its application.id (required)"),
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "A broker of the cluster",
                )
                .default("localhost:9092"),
                Opt::value(
                    "command-config",
                    "FILE",
                    "Settings of the client: a .properties file",
                ),
            ],
        },
        Group {
            heading: "Which topics",
            options: &[
                Opt::value(
                    "input-topics",
                    "NAME,...",
                    "Topics to set offsets of (repeatable)",
                )
                .repeatable(),
                Opt::value(
                    "internal-topics",
                    "NAME,...",
                    "Delete these internal topics alone (repeatable) [default: all]",
                )
                .repeatable(),
                Opt::value(
                    "intermediate-topics",
                    "NAME,...",
                    "Topics to skip to the end of; deprecated",
                )
                .repeatable(),
            ],
        },
        Group {
            heading: "Where to [default: the first offset]",
            options: &[
                Opt::flag("to-earliest", "To the first offset"),
                Opt::flag("to-latest", "To the end"),
                Opt::value("to-offset", "OFFSET", "To this offset"),
                Opt::value("shift-by", "N", "N further, or back when it is negative"),
                Opt::value(
                    "to-datetime",
                    "TIME",
                    "To the first record since YYYY-MM-DDThh:mm:ss.sss (UTC unless it ends in a zone)",
                ),
                Opt::value(
                    "by-duration",
                    "PnDTnHnMnS",
                    "To the first record since so long ago",
                ),
                Opt::value(
                    "from-file",
                    "FILE",
                    "To the offsets of a CSV file: topic,partition,offset",
                ),
            ],
        },
        Group {
            heading: "How",
            options: &[
                Opt::flag("dry-run", "Only show what would be done"),
                Opt::flag("force", "Remove members that are left in the group first"),
            ],
        },
        Group {
            heading: "Old names",
            options: &[Opt::value("config-file", "FILE", "Now --command-config")],
        },
        OTHER,
    ],
    after: "",
};

const PLACES: [&str; 7] = [
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "from-file",
    "shift-by",
];

pub fn check(set: &OptionSet) -> Result<(), UsageError> {
    if !set.has("application-id") {
        let text = "Missing required option(s) [application-id]";
        return Err(UsageError(text.to_owned()));
    }
    exclusive_places(set, &PLACES)?;
    exclude(set, "config-file", &["command-config"])
}

/// The names in all values of a comma list.
pub fn names(set: &OptionSet, option: &str) -> Vec<String> {
    let values = set.values(option).iter();
    values
        .flat_map(|value| value.split(','))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn set(line: &str) -> OptionSet {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&DEFINITION, &args).unwrap()
    }

    #[test]
    fn what_does_not_go_together() {
        let error = |line| check(&set(line)).unwrap_err().0;
        assert_eq!(
            error("--dry-run"),
            "Missing required option(s) [application-id]"
        );
        assert_eq!(
            error("--application-id a --to-latest --shift-by 1"),
            "Option \"[to-latest]\" can't be used with option \"[shift-by]\""
        );
        assert!(check(&set("--application-id a --force")).is_ok());
    }

    #[test]
    fn lists_may_be_repeated() {
        let set = set("--input-topics a,b --input-topics c");
        assert_eq!(names(&set, "input-topics"), ["a", "b", "c"]);
    }
}
