//! Help and completions from option definitions, through `clap`.
use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};

use super::{Definition, Opt, Takes, WithFiles};

/// The definition as a `clap` command, for rendering help and writing completions.
pub fn command(definition: &Definition, program: &str) -> Command {
    let mut command = Command::new(definition.name.to_owned())
        .bin_name(program.to_owned())
        .about(definition.about)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true);
    if !definition.after.is_empty() {
        command = command.after_help(definition.after);
    }
    for group in definition.groups {
        command = command.next_help_heading(group.heading);
        for option in group.options {
            command = command.arg(argument(option));
        }
    }
    command
}

/// The same of a tool that takes files.
pub fn command_with_files(tool: &WithFiles, program: &str) -> Command {
    let files = tool.files.iter().map(|files| {
        let arg = Arg::new(files.name).value_name(files.name).help(files.help);
        if files.one {
            arg.required(true).help_heading("Files")
        } else {
            arg.num_args(0..).help_heading("Files")
        }
    });
    command(&tool.definition, program).args(files)
}

pub fn argument(option: &Opt) -> Arg {
    let mut arg = Arg::new(option.name).long(option.name).help(option.help);
    if let Some(short) = option.short {
        arg = arg.short(short);
    }
    if let Some(default) = option.default {
        arg = arg.default_value(default);
    }
    match option.takes {
        Takes::Nothing => arg.action(ArgAction::SetTrue),
        Takes::Value(name) => arg.value_name(name).action(ArgAction::Append),
        Takes::Values(name) => arg.value_name(name).num_args(1..).action(ArgAction::Append),
        Takes::OptionalValue(name) => arg
            .value_name(name)
            .num_args(0..=1)
            .action(ArgAction::Append),
    }
}

/// The help text, coloured for a terminal.
pub fn render(command: &mut Command, terminal: bool) -> String {
    let text: StyledStr = command.render_help();
    let text = if terminal {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    // clap keeps four columns for one-letter names; most of Kafka's tools have none.
    if command
        .get_arguments()
        .any(|argument| argument.get_short().is_some())
    {
        return text.lines().map(|line| outdented(line) + "\n").collect();
    }
    let mut narrow = String::with_capacity(text.len());
    for line in text.lines() {
        narrow.push_str(if line.starts_with("      ") {
            line.get(4..).unwrap_or("")
        } else {
            line
        });
        narrow.push('\n');
    }
    narrow
}

/// Options without a one-letter name begin where the others do; what is said of them stays put.
fn outdented(line: &str) -> String {
    let Some(option) = line.strip_prefix("      --") else {
        return line.to_owned();
    };
    match option.split_once("  ") {
        Some((option, help)) => format!("  --{option}      {help}"),
        None => format!("  --{option}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::Group;

    static SAMPLE: Definition = Definition {
        name: "sample",
        about: "Does samples.",
        groups: &[
            Group {
                heading: "What to do",
                options: &[Opt::flag("list", "List the samples")],
            },
            Group {
                heading: "Where",
                options: &[Opt::value("topic", "NAME", "The topic").default("t")],
            },
        ],
        after: "Example: sample --list",
    };

    #[test]
    fn options_stand_in_groups_and_near_the_margin() {
        let help = render(&mut command(&SAMPLE, "kafkars sample"), false);
        for line in [
            "What to do:",
            "  --list ",
            "Where:",
            "  --topic <NAME>",
            "[default: t]",
        ] {
            assert!(help.contains(line), "{line:?} is not in\n{help}");
        }
        assert!(help.contains("Usage: kafkars sample [OPTIONS]"), "{help}");
    }
}
