//! `kafka-features`: the levels of features, and changing them.
use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use super::cluster::block_on;
use super::listing::{self, column};
use super::options::argparse::{self, ArgumentError, Commands, Parsed, Stop, Subcommand};
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation, OUTPUT, Printer, message};
use super::registry::Exit;
use super::{storage, subcommands};
use crate::client::admin::{Admin, UpgradeType};
use crate::client::connection::ApiVersions;
use crate::metadata::MetadataVersion;
use crate::metadata::feature::FEATURES;
use crate::metadata::version::FEATURE_NAME;

static GLOBALS: Subcommand = Subcommand {
    definition: Definition {
        name: "",
        about: "",
        groups: &[Group {
            heading: "Where",
            options: &[
                Opt::value(
                    "command-config",
                    "FILE",
                    "Settings of the client: a .properties file",
                ),
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "A broker of the cluster",
                ),
                Opt::value(
                    "bootstrap-controller",
                    "HOST:PORT,...",
                    "A controller of the cluster",
                ),
            ],
        }],
        after: "",
    },
    exclusive: &["bootstrap-server", "bootstrap-controller"],
    one_required: false,
    words: None,
};

const RELEASE: Opt = Opt::value(
    "release-version",
    "VERSION",
    "The levels of this release, such as 4.3",
);
const METADATA: Opt = Opt::value("metadata", "VERSION", "Old way to name a metadata.version");
const LEVEL: Opt = Opt::value(
    "feature",
    "NAME=LEVEL",
    "A feature and its new level (repeatable)",
)
.repeatable();
const UNSAFE: Opt = Opt::flag(
    "unsafe",
    "Even if metadata is lost that the lower level does not know",
);
const DRY_RUN: Opt = Opt::flag("dry-run", "Only tell whether it could be done");

pub static COMMANDS: Commands = Commands {
    program: "kafka-features",
    about: "Shows the levels of features, and changes them.",
    globals: Some(&GLOBALS),
    commands: &[
        Subcommand::new(
            "describe",
            "Show supported levels and those in force",
            &[
                Group {
                    heading: "Which node",
                    options: &[Opt::value("node-id", "ID", "Ask this node, not just any")],
                },
                OUTPUT,
            ],
        ),
        Subcommand::new(
            "upgrade",
            "Raise levels",
            &[Group {
                heading: "To what",
                options: &[METADATA, RELEASE, LEVEL, DRY_RUN],
            }],
        ),
        Subcommand::new(
            "downgrade",
            "Lower levels",
            &[Group {
                heading: "To what",
                options: &[METADATA, RELEASE, LEVEL, UNSAFE, DRY_RUN],
            }],
        ),
        Subcommand::new(
            "disable",
            "Switch features off",
            &[Group {
                heading: "What",
                options: &[
                    Opt::value("feature", "NAME", "A feature (repeatable)").repeatable(),
                    UNSAFE,
                    DRY_RUN,
                ],
            }],
        ),
        Subcommand::new(
            "version-mapping",
            "Show the levels that belong to a release",
            &[Group {
                heading: "Which release",
                options: &[RELEASE],
            }],
        ),
        Subcommand::new(
            "feature-dependencies",
            "Show what levels of features need",
            &[Group {
                heading: "Of what",
                options: &[Opt::value(
                    "feature",
                    "NAME=LEVEL",
                    "A feature and its level (repeatable)",
                )
                .repeatable()
                .required()],
            }],
        ),
    ],
};

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let parsed = match argparse::parse(&COMMANDS, &invocation.args) {
        Ok(parsed) => parsed,
        Err(Stop::Help(subcommand)) => {
            let mut printer = Printer::default();
            printer.line(subcommands::help(&COMMANDS, &invocation, subcommand).trim_end())?;
            printer.flush()?;
            return Ok(Exit::SUCCESS);
        }
        Err(Stop::Error(error)) => return Ok(command_line_error(&error.to_string())),
    };
    let mut printer = Printer::default();
    match parsed.command.definition.name {
        "version-mapping" => {
            storage::version_mapping(&parsed, &mut printer)?;
            printer.flush()?;
            return Ok(Exit::SUCCESS);
        }
        "feature-dependencies" => {
            for pair in parsed.values("feature") {
                name_and_level(pair)?;
            }
            storage::dependencies(&parsed, &mut printer)?;
            printer.flush()?;
            return Ok(Exit::SUCCESS);
        }
        _ => {}
    }
    if !parsed.has("bootstrap-server") && !parsed.has("bootstrap-controller") {
        let text = "You must specify either --bootstrap-controller or --bootstrap-server.";
        return Ok(command_line_error(text));
    }
    let config = subcommands::client_config(&parsed, parsed.value("command-config"))?;
    let format = subcommands::format(&parsed, &invocation)?;
    let result = block_on(async {
        let admin = Admin::new(config);
        let result = execute(&admin, &parsed, format, &mut printer).await;
        admin.close().await;
        result
    });
    printer.flush()?;
    match result {
        Err(failure) if failure.is::<ArgumentError>() => {
            Ok(command_line_error(&failure.to_string()))
        }
        result => result,
    }
}

/// Without a line's end, as Kafka's tool has it.
fn command_line_error(text: &str) -> Exit {
    use std::io::Write as _;
    let text = format!("Command line error: {text}. Type --help for help.");
    // Nobody may be listening: that is no failure.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    Exit::FAILURE
}

async fn execute(
    admin: &Admin,
    parsed: &Parsed,
    format: Format,
    printer: &mut Printer,
) -> anyhow::Result<Exit> {
    let downgrade = match parsed.has("unsafe") {
        true => UpgradeType::UnsafeDowngrade,
        false => UpgradeType::SafeDowngrade,
    };
    match parsed.command.definition.name {
        "describe" => {
            let node: Option<i32> = parsed.number("node-id")?;
            if let Some(id) = node.filter(|id| *id < 0) {
                bail!("Invalid node id {id}: must be non-negative.");
            }
            let features = admin.describe_features(node).await?;
            describe(printer, format, &features)?;
            Ok(Exit::SUCCESS)
        }
        "upgrade" => {
            let levels = wanted(parsed, printer, UpgradeType::Upgrade)?;
            update(admin, parsed, printer, levels, UpgradeType::Upgrade).await
        }
        "downgrade" => {
            let levels = wanted(parsed, printer, downgrade)?;
            update(admin, parsed, printer, levels, downgrade).await
        }
        _ => {
            let mut levels = BTreeMap::new();
            for feature in parsed.values("feature") {
                if levels.insert(feature.clone(), 0).is_some() {
                    bail!("Feature {feature} was specified more than once.");
                }
            }
            update(admin, parsed, printer, levels, downgrade).await
        }
    }
}

fn describe(printer: &mut Printer, format: Format, features: &ApiVersions) -> anyhow::Result<()> {
    let epoch = features.finalized_features_epoch();
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for (name, (min, max)) in features.supported_features() {
        let finalized = features.finalized_feature(name);
        let [min, max, finalized] = [min, max, finalized].map(|level| shown(name, level));
        match format {
            Format::Kafka => {
                let epoch = epoch.map_or("-".to_owned(), |epoch| epoch.to_string());
                printer.line(format!(
                    "Feature: {name:<40}  SupportedMinVersion: {min:<15}  SupportedMaxVersion: \
                     {max:<15}  FinalizedVersionLevel: {finalized:<15}  Epoch: {epoch}"
                ))?;
            }
            _ => rows.push(vec![
                json!(name),
                json!(finalized),
                json!(min),
                json!(max),
                json!(epoch),
            ]),
        }
    }
    if format != Format::Kafka {
        let columns = [
            column("Feature", "feature"),
            column("In force", "finalizedVersionLevel"),
            column("From", "supportedMinVersion"),
            column("To", "supportedMaxVersion"),
            column("Epoch", "epoch"),
        ];
        listing::show(printer, format, &columns, &rows, "No features.")?;
    }
    Ok(())
}

/// Metadata versions by name, others by number.
fn shown(feature: &str, level: i16) -> String {
    if feature != FEATURE_NAME {
        return level.to_string();
    }
    match MetadataVersion::from_level(level) {
        Ok(version) => version.to_string(),
        Err(_) => format!("UNKNOWN {level}"),
    }
}

fn name_and_level(text: &str) -> anyhow::Result<(String, i16)> {
    let wrong = |what: &str| anyhow!("Can't parse feature=level string {text}: {what}");
    let (name, level) = text
        .split_once('=')
        .ok_or_else(|| wrong("equals sign not found."))?;
    let (name, level) = (name.trim(), level.trim());
    let number = level
        .parse()
        .map_err(|_| wrong(&format!("unable to parse {level} as a short.")))?;
    Ok((name.to_owned(), number))
}

/// The levels that `upgrade` and `downgrade` are given.
fn wanted(
    parsed: &Parsed,
    printer: &mut Printer,
    how: UpgradeType,
) -> anyhow::Result<BTreeMap<String, i16>> {
    let mut levels = BTreeMap::new();
    if let Some(release) = parsed.value("release-version") {
        if parsed.has("metadata") || parsed.has("feature") {
            bail!("Can not specify `release-version` with other feature flags.");
        }
        let version = MetadataVersion::parse(release, true)?;
        levels.insert(FEATURE_NAME.to_owned(), version.level());
        for feature in FEATURES {
            let level = feature.default_level(version);
            if how != UpgradeType::Upgrade || level > 0 {
                levels.insert(feature.name.to_owned(), level);
            }
        }
    }
    if let Some(metadata) = parsed.value("metadata") {
        printer.line(" `metadata` flag is deprecated and may be removed in a future release.")?;
        let version = MetadataVersion::parse(metadata, true)?;
        levels.insert(FEATURE_NAME.to_owned(), version.level());
    }
    for text in parsed.values("feature") {
        let (name, level) = name_and_level(text)?;
        if levels.insert(name.clone(), level).is_some() {
            bail!("Feature {name} was specified more than once.");
        }
    }
    Ok(levels)
}

async fn update(
    admin: &Admin,
    parsed: &Parsed,
    printer: &mut Printer,
    levels: BTreeMap<String, i16>,
    how: UpgradeType,
) -> anyhow::Result<Exit> {
    let op = parsed.command.definition.name;
    if levels.is_empty() {
        bail!("You must specify at least one feature to {op}");
    }
    let dry_run = parsed.has("dry-run");
    let outcomes = match admin.update_features(&levels, how, dry_run).await {
        Ok(outcomes) => outcomes,
        Err(error) => levels
            .keys()
            .map(|feature| (feature.clone(), Err(error.clone())))
            .collect(),
    };
    let mut failures = 0;
    for (feature, outcome) in outcomes {
        let level = levels.get(&feature).copied().unwrap_or_default();
        let disabled = op == "disable";
        match outcome {
            Ok(()) => {
                let verb = if dry_run { "can be" } else { "was" };
                let done = match disabled {
                    true => "disabled.".to_owned(),
                    false => format!("{op}d to {level}."),
                };
                printer.line(format!("{feature} {verb} {done}"))?;
            }
            Err(error) => {
                failures += 1;
                let not = if dry_run { "Can not" } else { "Could not" };
                let to = if disabled {
                    String::new()
                } else {
                    format!(" to {level}")
                };
                printer.line(format!("{not} {op} {feature}{to}. {error}"))?;
            }
        }
    }
    if failures == 0 {
        return Ok(Exit::SUCCESS);
    }
    printer.flush()?;
    message(format!(
        "{failures} out of {} operation(s) failed.",
        levels.len()
    ));
    Ok(Exit::FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_levels() {
        assert_eq!(name_and_level("a.b = 3").unwrap(), ("a.b".to_owned(), 3));
        for (text, want) in [
            (
                "a",
                "Can't parse feature=level string a: equals sign not found.",
            ),
            (
                "a=x",
                "Can't parse feature=level string a=x: unable to parse x as a short.",
            ),
        ] {
            assert_eq!(name_and_level(text).unwrap_err().to_string(), want);
        }
        assert_eq!(shown(FEATURE_NAME, 30), "4.3-IV0");
        assert_eq!(shown(FEATURE_NAME, 999), "UNKNOWN 999");
        assert_eq!(shown("group.version", 1), "1");
    }
}
