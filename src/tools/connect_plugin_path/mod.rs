//! `connect-plugin-path`: the Java plugins that lie in a worker's plugin path, as far as files tell.
mod archive;
mod plugins;

use std::path::{Path, PathBuf, absolute};

use serde_json::{Value, json};

use super::listing::{self, column};
use super::options::argparse::{Commands, Parsed, Subcommand, text};
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation, OUTPUT, Printer, message};
use super::registry::Exit;
use super::subcommands;
use crate::config::Properties;
use plugins::{Plugin, is_archive, is_location, plugins};

const WHERE: Group = Group {
    heading: "Where (at least one; each may be repeated)",
    options: &[
        Opt::value(
            "plugin-location",
            "PATH",
            "A jar, or a directory with one plugin",
        )
        .repeatable(),
        Opt::value("plugin-path", "DIR,...", "Directories of plugins").repeatable(),
        Opt::value(
            "worker-config",
            "FILE",
            "A worker's settings, for its plugin.path",
        )
        .repeatable(),
    ],
};

pub static COMMANDS: Commands = Commands {
    program: "connect-plugin-path",
    about: "Lists the Java plugins in a worker's plugin path. What kafkars itself runs are the connectors built into it.",
    globals: None,
    commands: &[
        Subcommand {
            definition: Definition {
                name: "list",
                about: "List the plugins that manifests name",
                groups: &[WHERE, OUTPUT],
                after: "",
            },
            exclusive: &[],
            one_required: false,
            words: None,
        },
        Subcommand {
            definition: Definition {
                name: "sync-manifests",
                about: "Write missing manifests (needs Java)",
                groups: &[
                    WHERE,
                    Group {
                        heading: "How",
                        options: &[
                            Opt::flag("dry-run", "Only say what would be written"),
                            Opt::flag(
                                "keep-not-found",
                                "Keep manifests of plugins that are missing",
                            ),
                        ],
                    },
                ],
                after: "",
            },
            exclusive: &[],
            one_required: false,
            words: None,
        },
    ],
};

/// A location that is not there, or cannot be listed.
const BAD_LOCATION: Exit = Exit(2);
const FAILED: Exit = Exit(3);

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let parsed = match subcommands::read(&COMMANDS, &invocation, Exit::FAILURE)? {
        Ok(parsed) => parsed,
        Err(exit) => return Ok(exit),
    };
    let given = ["plugin-location", "plugin-path", "worker-config"];
    if !given.iter().any(|option| parsed.has(option)) {
        message(text::usage(&COMMANDS, Some(parsed.command)));
        let why = "Must specify at least one --plugin-location, --plugin-path, or --worker-config";
        message(text::wrap(&format!("{}: error: {why}", COMMANDS.program)));
        return Ok(Exit::FAILURE);
    }
    let locations = match locations(&parsed) {
        Ok(locations) => locations,
        Err((exit, why)) => {
            message(why);
            return Ok(exit);
        }
    };
    match parsed.command.definition.name {
        "list" => list(&locations, subcommands::format(&parsed, &invocation)?),
        _ => sync(&locations),
    }
}

/// Each once, in the order of Kafka: those of the plugin paths, then those given by themselves.
fn locations(parsed: &Parsed) -> Result<Vec<PathBuf>, (Exit, String)> {
    let mut paths = parsed.values("plugin-path").to_vec();
    for file in parsed.values("worker-config") {
        let unreadable = |_| {
            (
                BAD_LOCATION,
                format!("Unable to read worker config at {file}"),
            )
        };
        let properties = Properties::load(file).map_err(unreadable)?;
        paths.extend(properties.get("plugin.path").map(str::to_owned));
    }
    let mut locations = Vec::new();
    let elements = paths.iter().flat_map(|path| path.split(',')).map(str::trim);
    for element in elements {
        let missing = |_| (FAILED, format!("java.io.FileNotFoundException: {element}"));
        let element = absolute(element).map_err(missing)?;
        let shown = element.display().to_string();
        let missing = |_| (FAILED, format!("java.io.FileNotFoundException: {shown}"));
        if element.is_dir() {
            let entries = std::fs::read_dir(&element).map_err(missing)?;
            let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            found.retain(|path| is_location(path));
            found.sort();
            locations.append(&mut found);
        } else if is_archive(&element) && element.exists() {
            locations.push(element);
        } else {
            std::fs::metadata(&element).map_err(missing)?;
        }
    }
    for location in parsed.values("plugin-location") {
        if !Path::new(location).exists() {
            return Err((
                BAD_LOCATION,
                format!("Specified location {location} does not exist"),
            ));
        }
        locations.push(PathBuf::from(location));
    }
    let mut seen = std::collections::BTreeSet::new();
    locations.retain(|location| seen.insert(location.clone()));
    Ok(locations)
}

fn list(locations: &[PathBuf], format: Format) -> anyhow::Result<Exit> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut loadable = 0;
    for location in locations {
        for plugin in plugins(location)?.1 {
            loadable += usize::from(plugin.has_class);
            rows.push(row(&plugin, location));
        }
    }
    let columns = [
        column("Plugin", "pluginName"),
        column("First alias", "firstAlias"),
        column("Second alias", "secondAlias"),
        column("Version", "pluginVersion"),
        column("Type", "pluginType"),
        column("Loadable", "isLoadable"),
        column("Manifest", "hasManifest"),
        column("Location", "pluginLocation"),
    ];
    let mut printer = Printer::default();
    if format != Format::Kafka {
        listing::show(&mut printer, format, &columns, &rows, "No plugins.")?;
        printer.flush()?;
        return Ok(Exit::SUCCESS);
    }
    printer.line(
        "pluginName\tfirstAlias\tsecondAlias\tpluginVersion\tpluginType\tisLoadable\thasManifest\t\
         pluginLocation",
    )?;
    for row in &rows {
        let cells = row.iter().map(|cell| match cell {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        printer.line(cells.collect::<Vec<_>>().join("\t"))?;
    }
    printer.line(format!("\nTotal plugins:      \t{}", rows.len()))?;
    printer.line(format!("Loadable plugins:   \t{loadable}"))?;
    // Each has the manifest that it was found by.
    printer.line(format!("Compatible plugins: \t{loadable}"))?;
    printer.flush()?;
    Ok(Exit::SUCCESS)
}

fn row(plugin: &Plugin, location: &Path) -> Vec<Value> {
    let alias = |at: usize| plugin.aliases.get(at).map_or("N/A", String::as_str);
    vec![
        json!(plugin.class),
        json!(alias(0)),
        json!(alias(1)),
        // Only the class itself can tell.
        json!("undefined"),
        json!(plugin.kind),
        json!(plugin.has_class),
        json!(true),
        json!(location.display().to_string()),
    ]
}

/// Which classes are plugins only Java can tell; where there are none, nothing is to be done.
fn sync(locations: &[PathBuf]) -> anyhow::Result<Exit> {
    for location in locations {
        if plugins(location)?.0 {
            message(format!(
                "{} has classes of Java: kafkars cannot load them to see which are plugins. Run sync-manifests of Apache \
                 Kafka's own connect-plugin-path.sh.",
                location.display()
            ));
            return Ok(FAILED);
        }
    }
    let mut printer = Printer::default();
    printer.line("Scanning for plugins...\nNo changes required.")?;
    printer.flush()?;
    Ok(Exit::SUCCESS)
}
