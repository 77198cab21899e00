//! The options of `kafka-reassign-partitions`, and which of them go with which action.
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::session::{COMMAND_CONFIG, OTHER};
use crate::tools::usage::{UsageError, require};

pub static DEFINITION: Definition = Definition {
    name: "reassign-partitions",
    about: "Moves partitions between brokers, and between the directories of a broker.",
    groups: &[
        Group {
            heading: "What to do (exactly one)",
            options: &[
                Opt::flag("generate", "Propose how to spread topics over brokers"),
                Opt::flag("execute", "Start moving as the file says"),
                Opt::flag(
                    "verify",
                    "Tell how far it is; when it is done, lift its throttles",
                ),
                Opt::flag("cancel", "Go back to the replicas of before"),
                Opt::flag("list", "List what is being moved"),
            ],
        },
        Group {
            heading: "Where (exactly one of the first two; controllers can list and cancel)",
            options: &[
                Opt::optional_value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "A broker of the cluster",
                ),
                Opt::optional_value(
                    "bootstrap-controller",
                    "HOST:PORT,...",
                    "A controller of the cluster",
                ),
                COMMAND_CONFIG,
            ],
        },
        Group {
            heading: "Generate",
            options: &[
                Opt::value(
                    "topics-to-move-json-file",
                    "FILE",
                    "The topics: {\"topics\":[{\"topic\":\"t\"}],\"version\":1}",
                ),
                Opt::value("broker-list", "0,1,...", "The brokers"),
                Opt::flag("disable-rack-aware", "Do not spread replicas over racks"),
            ],
        },
        Group {
            heading: "Execute, verify and cancel",
            options: &[
                Opt::value(
                    "reassignment-json-file",
                    "FILE",
                    "The moves: {\"partitions\":[{\"topic\":\"t\",\"partition\":0,\
                     \"replicas\":[1,2]}],\"version\":1}; \"log_dirs\" may name directories",
                ),
                Opt::value(
                    "throttle",
                    "BYTES",
                    "Execute: so many bytes a second between brokers",
                )
                .default("-1"),
                Opt::value(
                    "replica-alter-log-dirs-throttle",
                    "BYTES",
                    "Execute: so many bytes a second between directories",
                )
                .default("-1"),
                Opt::value(
                    "timeout",
                    "MS",
                    "Wait so long for moves between directories to start",
                )
                .default("10000"),
                Opt::flag("additional", "Execute: beside what is being moved already"),
                Opt::flag(
                    "disallow-replication-factor-change",
                    "Execute: only with as many replicas as before",
                ),
                Opt::flag(
                    "preserve-throttles",
                    "Verify, cancel: leave throttles as they are",
                ),
            ],
        },
        OTHER,
    ],
    after: "",
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Generate,
    Execute,
    Verify,
    Cancel,
    List,
}

const ACTIONS: [(&str, Action); 5] = [
    ("generate", Action::Generate),
    ("execute", Action::Execute),
    ("verify", Action::Verify),
    ("cancel", Action::Cancel),
    ("list", Action::List),
];

impl Action {
    fn required(self) -> &'static [&'static str] {
        match self {
            Action::Generate => &["topics-to-move-json-file", "broker-list"],
            Action::Execute | Action::Verify | Action::Cancel => &["reassignment-json-file"],
            Action::List => &[],
        }
    }

    fn permitted(self) -> &'static [&'static str] {
        match self {
            Action::Generate => &["disable-rack-aware"],
            Action::Execute => &[
                "additional",
                "throttle",
                "replica-alter-log-dirs-throttle",
                "timeout",
                "disallow-replication-factor-change",
            ],
            Action::Verify => &["preserve-throttles"],
            Action::Cancel => &["preserve-throttles", "timeout", "bootstrap-controller"],
            Action::List => &["bootstrap-controller"],
        }
    }
}

pub fn check(set: &OptionSet) -> Result<Action, UsageError> {
    let refused = |text: String| Err(UsageError(text));
    let mut asked = ACTIONS.iter().filter(|(name, _)| set.has(name));
    let (Some((name, action)), None) = (asked.next(), asked.next()) else {
        let names: Vec<String> = ACTIONS
            .iter()
            .map(|(name, _)| format!("--{name}"))
            .collect();
        let names = names.join(", ");
        return refused(format!("Command must include exactly one action: {names}"));
    };
    match (set.has("bootstrap-server"), set.has("bootstrap-controller")) {
        (true, true) => {
            let text = "Please don't specify both --bootstrap-server and --bootstrap-controller";
            return refused(text.to_owned());
        }
        (false, false) => {
            let text = "Please specify either --bootstrap-server or --bootstrap-controller";
            return refused(text.to_owned());
        }
        _ => {}
    }
    require(set, action.required())?;
    let fits = |option: &str| {
        option == *name
            || matches!(option, "bootstrap-server" | "command-config")
            || action.required().contains(&option)
            || action.permitted().contains(&option)
    };
    match set.given().iter().find(|option| !fits(option)) {
        Some(option) => refused(format!(
            "Option \"[{option}]\" can't be used with action \"[{name}]\""
        )),
        None => Ok(*action),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn checked(line: &str) -> Result<Action, String> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        check(&parse(&DEFINITION, &args).unwrap()).map_err(|error| error.0)
    }

    #[test]
    fn options_belong_to_actions() {
        assert_eq!(checked("--bootstrap-controller c --list"), Ok(Action::List));
        for (line, want) in [
            (
                "--bootstrap-controller c --verify --reassignment-json-file f",
                "Option \"[bootstrap-controller]\" can't be used with action \"[verify]\"",
            ),
            (
                "--bootstrap-server b --cancel --reassignment-json-file f --throttle 5",
                "Option \"[throttle]\" can't be used with action \"[cancel]\"",
            ),
            (
                "--bootstrap-server b --generate --broker-list 1",
                "Missing required argument \"[topics-to-move-json-file]\"",
            ),
        ] {
            assert_eq!(checked(line), Err(want.to_owned()), "{line}");
        }
    }
}
