//! The options of `kafka-share-groups`, and which of them go together.
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::OUTPUT;
use crate::tools::reset_plan::exclusive_places;
use crate::tools::session::{OTHER, WHERE};
use crate::tools::usage::{UsageError, available, exclude, one_of, require};

pub static DEFINITION: Definition = Definition {
    name: "share-groups",
    about: "Lists, describes, resets and deletes share groups.",
    groups: &[
        Group {
            heading: "What to do (exactly one)",
            options: &[
                Opt::flag("list", "List the groups"),
                Opt::flag("describe", "Show offsets, members or state of groups"),
                Opt::flag("delete", "Delete groups that have no members"),
                Opt::flag("reset-offsets", "Set where a group without members begins"),
                Opt::flag("delete-offsets", "Forget a group's offsets of topics"),
            ],
        },
        WHERE,
        Group {
            heading: "Which groups and topics",
            options: &[
                Opt::value(
                    "group",
                    "GROUP",
                    "A group (repeatable: describe and delete)",
                )
                .repeatable(),
                Opt::flag("all-groups", "All groups: describe and delete"),
                Opt::value(
                    "topic",
                    "TOPIC[:0,1]",
                    "Delete offsets: a topic; reset: a topic, or some of its partitions (repeatable)",
                )
                .repeatable(),
                Opt::flag(
                    "all-topics",
                    "Reset: every topic that the group has offsets of",
                ),
            ],
        },
        Group {
            heading: "List and describe",
            options: &[
                Opt::flag(
                    "offsets",
                    "Describe: start offsets and lag (this is the default)",
                ),
                Opt::flag("members", "Describe: members"),
                Opt::optional_value(
                    "state",
                    "STATE,...",
                    "Describe: state and coordinator; list: the state, and only groups in these",
                ),
                Opt::flag("verbose", "Describe: epochs too"),
            ],
        },
        Group {
            heading: "Reset offsets (exactly one place; and --dry-run or --execute)",
            options: &[
                Opt::flag("to-earliest", "To the first offset"),
                Opt::flag("to-latest", "To the end"),
                Opt::value(
                    "to-datetime",
                    "TIME",
                    "To the first record since YYYY-MM-DDThh:mm:ss.sss (UTC unless it ends in a zone)",
                ),
                Opt::flag("dry-run", "Only show what would be set"),
                Opt::flag("execute", "Set the offsets"),
            ],
        },
        Group {
            heading: "How long",
            options: &[Opt::value("timeout", "MS", "Give up after so long").default("30000")],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    List,
    Describe,
    Delete,
    ResetOffsets,
    DeleteOffsets,
}

const ACTIONS: [(&str, Action); 5] = [
    ("list", Action::List),
    ("describe", Action::Describe),
    ("delete", Action::Delete),
    ("reset-offsets", Action::ResetOffsets),
    ("delete-offsets", Action::DeleteOffsets),
];

const PLACES: [&str; 3] = ["to-datetime", "to-earliest", "to-latest"];

/// The action asked for, when the options make sense together.
pub fn check(set: &OptionSet) -> Result<Action, UsageError> {
    for option in ["members", "verbose", "offsets"] {
        available(set, option, &["describe"])?;
    }
    available(set, "state", &["describe", "list"])?;
    require(set, &["bootstrap-server"])?;
    check_describe(set)?;
    check_delete(set)?;
    if set.has("delete-offsets") && !(set.has("group") && set.has("topic")) {
        return refused("Option [delete-offsets] takes the following options: [group], [topic]");
    }
    check_reset(set)?;
    exclude(set, "group", &["all-groups"])?;
    exclude(set, "group", &["list"])?;
    exclude(set, "topic", &["list", "describe"])?;
    one_of(
        set,
        &ACTIONS,
        "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, \
         --delete-offsets.",
    )
}

fn refused<T>(text: &str) -> Result<T, UsageError> {
    Err(UsageError(text.to_owned()))
}

fn check_describe(set: &OptionSet) -> Result<(), UsageError> {
    if !set.has("describe") {
        return Ok(());
    }
    if !set.has("group") && !set.has("all-groups") {
        return refused("Option [describe] takes one of these options: [all-groups], [group]");
    }
    let views = ["members", "offsets", "state"];
    if views.iter().filter(|view| set.has(view)).count() > 1 {
        return refused(
            "Option [describe] takes at most one of these options: [members], [offsets], [state]",
        );
    }
    if set.value("state")?.is_some() {
        return refused("Option [describe] does not take a value for [state]");
    }
    Ok(())
}

fn check_delete(set: &OptionSet) -> Result<(), UsageError> {
    if !set.has("delete") {
        return Ok(());
    }
    match (set.has("group"), set.has("all-groups")) {
        (false, false) => {
            return refused("Option [delete] takes the options [group] or [all-groups]");
        }
        (true, true) => {
            return refused("Option [delete] takes either [all-groups] or [group], not both.");
        }
        _ => {}
    }
    if set.has("topic") {
        return refused("Option [delete] does not take the option: [topic]");
    }
    Ok(())
}

fn check_reset(set: &OptionSet) -> Result<(), UsageError> {
    if !set.has("reset-offsets") {
        return Ok(());
    }
    match (set.has("dry-run"), set.has("execute")) {
        (true, true) => {
            return refused("Option [reset-offsets] only accepts one of [execute] and [dry-run]");
        }
        (false, false) => {
            return refused("Option [reset-offsets] takes the option: [execute] or [dry-run]");
        }
        _ => {}
    }
    if !set.has("group") {
        return refused("Option [reset-offsets] takes the option: [group]");
    }
    if !set.has("topic") && !set.has("all-topics") {
        return refused("Option [reset-offsets] takes one of these options: [all-topics], [topic]");
    }
    if !PLACES.iter().any(|place| set.has(place)) {
        return refused(
            "Option [reset-offsets] takes one of these options: [to-datetime], [to-earliest], \
             [to-latest]",
        );
    }
    exclusive_places(set, &PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn checked(line: &str) -> Result<Action, String> {
        let line = format!("--bootstrap-server b {line}");
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        check(&parse(&DEFINITION, &args).unwrap()).map_err(|error| error.0)
    }

    #[test]
    fn actions_with_what_they_need() {
        for (line, action) in [
            ("--list --state", Action::List),
            ("--describe --all-groups --members", Action::Describe),
            ("--delete --group g --group h", Action::Delete),
            (
                "--delete-offsets --group g --topic t",
                Action::DeleteOffsets,
            ),
            (
                "--reset-offsets --group g --all-topics --to-latest --dry-run",
                Action::ResetOffsets,
            ),
        ] {
            assert_eq!(checked(line), Ok(action), "{line}");
        }
    }

    #[test]
    fn what_does_not_go_together() {
        for (line, want) in [
            (
                "--verbose --list",
                "Option(s) [verbose] are unavailable given other options on the command line",
            ),
            (
                "--delete --all-groups --group g",
                "Option [delete] takes either [all-groups] or [group], not both.",
            ),
            (
                "--reset-offsets --group g --topic t --to-latest",
                "Option [reset-offsets] takes the option: [execute] or [dry-run]",
            ),
            (
                "--reset-offsets --group g --topic t --to-latest --to-earliest --execute",
                "Option \"[to-earliest]\" can't be used with option \"[to-latest]\"",
            ),
            (
                "--timeout 1",
                "Command must include exactly one action: --list, --describe, --delete, \
                 --reset-offsets, --delete-offsets.",
            ),
        ] {
            assert_eq!(checked(line), Err(want.to_owned()), "{line}");
        }
    }
}
