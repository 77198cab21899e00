//! The options of `kafka-streams-groups`, and which of them go together.
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::OUTPUT;
use crate::tools::reset_plan::{PLACES, RESET, exclusive_places};
use crate::tools::session::{OTHER, WHERE};
use crate::tools::usage::{UsageError, available, exclude, one_of, require};

pub static DEFINITION: Definition = Definition {
    name: "streams-groups",
    about: "Lists, describes, resets and deletes streams groups.",
    groups: &[
        Group {
            heading: "What to do (exactly one)",
            options: &[
                Opt::flag("list", "List the groups"),
                Opt::flag("describe", "Show lag, members or state of groups"),
                Opt::flag("delete", "Delete groups that have no members"),
                Opt::flag("reset-offsets", "Set the offsets of groups without members"),
                Opt::flag("delete-offsets", "Forget a group's offsets of input topics"),
            ],
        },
        WHERE,
        Group {
            heading: "Which groups and topics",
            options: &[
                Opt::value("group", "GROUP", "A group (repeatable)").repeatable(),
                Opt::flag("all-groups", "All groups"),
                Opt::value(
                    "input-topic",
                    "TOPIC[:0,1]",
                    "Reset and delete offsets: a source topic, or some of its partitions (repeatable)",
                )
                .repeatable(),
                Opt::flag(
                    "all-input-topics",
                    "Reset and delete offsets: all source topics of the topology",
                ),
                Opt::value(
                    "delete-internal-topic",
                    "TOPIC",
                    "Reset with --execute: delete this internal topic too (repeatable)",
                )
                .repeatable(),
                Opt::flag(
                    "delete-all-internal-topics",
                    "Delete, and reset with --execute: delete all internal topics too",
                ),
            ],
        },
        Group {
            heading: "List and describe",
            options: &[
                Opt::flag("offsets", "Describe: lag (this is the default)"),
                Opt::flag("members", "Describe: members and their tasks"),
                Opt::optional_value(
                    "state",
                    "STATE,...",
                    "Describe: state and coordinator; list: the state, and only groups in these",
                ),
                Opt::flag(
                    "verbose",
                    "Describe: offsets, epochs and target assignments too",
                ),
            ],
        },
        RESET,
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

/// The action asked for, when the options make sense together.
pub fn check(set: &OptionSet) -> Result<Action, UsageError> {
    for option in ["members", "offsets", "verbose"] {
        available(set, option, &["describe"])?;
    }
    available(set, "state", &["describe", "list"])?;
    require(set, &["bootstrap-server"])?;
    check_describe(set)?;
    check_delete(set)?;
    check_delete_offsets(set)?;
    check_reset(set)?;
    check_internal_topics(set)?;
    let mode = set.has("dry-run") || set.has("execute");
    if mode && !set.has("reset-offsets") {
        return refused("Only Option [reset-offsets] accepts [execute] or [dry-run]");
    }
    exclude(set, "group", &["all-groups"])?;
    exclude(set, "group", &["list"])?;
    exclude(set, "input-topic", &["list", "describe", "delete"])?;
    one_of(
        set,
        &ACTIONS,
        "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, \
         or --delete-offsets.",
    )
}

fn refused<T>(text: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(text.into()))
}

fn need_groups(set: &OptionSet, action: &str) -> Result<(), UsageError> {
    if set.has("group") || set.has("all-groups") {
        return Ok(());
    }
    refused(format!(
        "Option [{action}] takes one of these options: [all-groups], [group]"
    ))
}

fn check_describe(set: &OptionSet) -> Result<(), UsageError> {
    if !set.has("describe") {
        return Ok(());
    }
    need_groups(set, "describe")?;
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
    need_groups(set, "delete")?;
    if set.has("input-topic") || set.has("all-input-topics") {
        return refused(
            "Kafka Streams does not support topic-specific offset deletion from a streams group.",
        );
    }
    Ok(())
}

fn check_delete_offsets(set: &OptionSet) -> Result<(), UsageError> {
    if !set.has("delete-offsets") {
        return Ok(());
    }
    let topics = set.has("input-topic") || set.has("all-input-topics");
    if !topics || !set.has("group") {
        return refused(
            "Option [delete-offsets] takes the [group] and one of these options: \
             [all-input-topics], [input-topic]",
        );
    }
    let groups = set.values("group");
    if groups.len() > 1 {
        return refused(format!(
            "Option [delete-offsets] supports only one [group] at a time, but found: [{}]",
            groups.join(", ")
        ));
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
    need_groups(set, "reset-offsets")?;
    exclusive_places(set, &PLACES)
}

fn check_internal_topics(set: &OptionSet) -> Result<(), UsageError> {
    let (reset, execute) = (set.has("reset-offsets"), set.has("execute"));
    if set.has("delete-all-internal-topics") {
        if !reset && !set.has("delete") {
            return refused(
                "Option [delete-all-internal-topics] takes one of these options: [delete], \
                 [reset-offsets]",
            );
        }
        if reset && !execute {
            return refused(
                "Option [delete-all-internal-topics] takes [execute] when [reset-offsets] is used.",
            );
        }
    } else if set.has("delete-internal-topic") && !(reset && execute) {
        return refused(
            "Option [delete-internal-topic] takes [reset-offsets] when [execute] is used.",
        );
    }
    Ok(())
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
            ("--list --state Stable", Action::List),
            ("--describe --group g --state", Action::Describe),
            (
                "--delete --all-groups --delete-all-internal-topics",
                Action::Delete,
            ),
            (
                "--delete-offsets --group g --all-input-topics",
                Action::DeleteOffsets,
            ),
            (
                "--reset-offsets --group g --input-topic t --shift-by -1 --execute \
                 --delete-internal-topic g-c-changelog",
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
                "--describe --group g --dry-run",
                "Only Option [reset-offsets] accepts [execute] or [dry-run]",
            ),
            (
                "--delete-offsets --group g --group h --input-topic t",
                "Option [delete-offsets] supports only one [group] at a time, but found: [g, h]",
            ),
            (
                "--reset-offsets --group g --dry-run --delete-all-internal-topics --to-latest",
                "Option [delete-all-internal-topics] takes [execute] when [reset-offsets] is used.",
            ),
            (
                "--delete --group g --input-topic t",
                "Kafka Streams does not support topic-specific offset deletion from a streams \
                 group.",
            ),
        ] {
            assert_eq!(checked(line), Err(want.to_owned()), "{line}");
        }
    }
}
