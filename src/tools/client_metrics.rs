//! `kafka-client-metrics`: which metrics clients are asked to send.
use serde_json::{Value, json};
use tracing::error;

use super::cluster::block_on;
use super::java_order::hash_order;
use super::listing::{self, column};
use super::options::jopt::OptionSet;
use super::options::{Definition, Group, Opt};
use super::output::{Format, Invocation, OUTPUT, Printer};
use super::registry::Exit;
use super::session::{self, OTHER, WHERE};
use super::usage::{UsageError, exclude};
use crate::client::ClientError;
use crate::client::admin::{
    Admin, AlterConfigOp, ConfigEntry, ConfigResource, DescribeConfigsOptions, OpType, ResourceType,
};
use crate::protocol::Uuid;

pub static DEFINITION: Definition = Definition {
    name: "client-metrics",
    about: "Shows and changes which metrics clients are asked to send.",
    groups: &[
        Group {
            heading: "What to do (exactly one)",
            options: &[
                Opt::flag("list", "List the names of subscriptions"),
                Opt::flag("describe", "Show subscriptions"),
                Opt::flag("alter", "Make or change a subscription"),
                Opt::flag("delete", "Delete a subscription"),
            ],
        },
        WHERE,
        Group {
            heading: "Which subscription",
            options: &[
                Opt::value("name", "NAME", "Its name"),
                Opt::flag(
                    "generate-name",
                    "Alter: make one with a name that nothing else has",
                ),
            ],
        },
        Group {
            heading: "Alter (an empty value resets to the default)",
            options: &[
                Opt::value("interval", "MS", "How often clients send"),
                Opt::value(
                    "metrics",
                    "PREFIX,...",
                    "Metrics whose names begin so; * for all",
                )
                .repeatable(),
                Opt::value("match", "K=REGEX,...", "Only clients with such labels").repeatable(),
            ],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

const ACTIONS: [&str; 4] = ["alter", "delete", "describe", "list"];

fn check(set: &OptionSet) -> Result<&'static str, UsageError> {
    let refused = |text: &str| Err(UsageError(text.to_owned()));
    let mut asked = ACTIONS.iter().filter(|action| set.has(action));
    let (Some(action), None) = (asked.next(), asked.next()) else {
        return refused(
            "Command must include exactly one action: --alter, --delete, --describe or --list.",
        );
    };
    if !set.has("bootstrap-server") {
        return refused("--bootstrap-server must be specified.");
    }
    let settings = ["generate-name", "interval", "match", "metrics"];
    exclude(set, "delete", &settings)?;
    exclude(set, "describe", &settings)?;
    exclude(set, "list", &["name"])?;
    exclude(set, "list", &settings)?;
    let named = set.has("name");
    match *action {
        "alter" if named == set.has("generate-name") => {
            refused("One of --name or --generate-name must be specified with --alter.")
        }
        "alter" => match set.value("interval")? {
            Some(ms) if !ms.is_empty() && ms.parse::<i32>().is_err() => {
                refused("Invalid interval value. Enter an integer, or leave empty to reset.")
            }
            _ => Ok("alter"),
        },
        "delete" if !named => {
            refused("A client metrics resource name must be specified with --delete.")
        }
        action => Ok(action),
    }
}

struct Command<'a> {
    admin: &'a Admin,
    options: &'a OptionSet,
    format: Format,
    printer: Printer,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let config = session::admin_config(&request.options)?;
    block_on(async {
        let admin = Admin::new(config);
        let mut command = Command {
            admin: &admin,
            options: &request.options,
            format: request.format,
            printer: Printer::default(),
        };
        let result = command.execute(request.checked).await;
        admin.close().await;
        let exit = match result {
            Ok(()) => Exit::SUCCESS,
            Err(failure) if failure.is::<std::io::Error>() => return Err(failure),
            Err(failure) => {
                if request.format == Format::Kafka {
                    let text = format!("Error while executing client metrics command : {failure}");
                    command.printer.line(text)?;
                }
                error!("{failure}");
                Exit::FAILURE
            }
        };
        command.printer.flush()?;
        Ok(exit)
    })
}

impl Command<'_> {
    async fn execute(&mut self, action: &str) -> anyhow::Result<()> {
        match action {
            "alter" => self.alter().await,
            "delete" => self.delete().await,
            "describe" => self.describe().await,
            _ => self.list().await,
        }
    }

    async fn alter(&mut self) -> anyhow::Result<()> {
        let name = match self.options.value("name")? {
            Some(name) => name.to_owned(),
            None => Uuid::from_random(fastrand::u128(..)).to_string(),
        };
        let mut changes = Vec::new();
        for (option, key) in [
            ("interval", "interval.ms"),
            ("metrics", "metrics"),
            ("match", "match"),
        ] {
            if !self.options.has(option) {
                continue;
            }
            let value = self.options.values(option).join(",");
            changes.push(AlterConfigOp {
                name: key.to_owned(),
                op: if value.is_empty() {
                    OpType::Delete
                } else {
                    OpType::Set
                },
                value: Some(value),
            });
        }
        self.change(&name, changes).await?;
        Ok(self
            .printer
            .line(format!("Altered client metrics config for {name}."))?)
    }

    async fn delete(&mut self) -> anyhow::Result<()> {
        let name = self.options.value("name")?.unwrap_or_default().to_owned();
        let entries = self.entries(&name).await?.into_iter();
        let changes = entries.map(|entry| AlterConfigOp {
            name: entry.name,
            value: entry.value,
            op: OpType::Delete,
        });
        let changes: Vec<AlterConfigOp> = changes.collect();
        self.change(&name, changes).await?;
        Ok(self
            .printer
            .line(format!("Deleted client metrics config for {name}."))?)
    }

    async fn change(&self, name: &str, changes: Vec<AlterConfigOp>) -> Result<(), ClientError> {
        let change = [(resource(name), changes)];
        for (_, outcome) in self.admin.incremental_alter_configs(&change, false).await? {
            outcome?;
        }
        Ok(())
    }

    async fn describe(&mut self) -> anyhow::Result<()> {
        let mut names = self.names().await?;
        if let Some(name) = self.options.value("name")? {
            if !names.iter().any(|known| known == name) {
                return Ok(self.printer.line(format!(
                    "The client metric resource {name} doesn't exist and doesn't have dynamic \
                     config."
                ))?);
            }
            names = vec![name.to_owned()];
        }
        let mut rows: Vec<Vec<Value>> = Vec::new();
        for name in &names {
            let entries = self.entries(name).await?;
            if self.format == Format::Kafka {
                self.printer
                    .line(format!("Client metrics configs for {name} are:"))?;
            }
            for entry in entries {
                match self.format {
                    Format::Kafka => {
                        let value = entry.value.as_deref().unwrap_or("null");
                        self.printer.line(format!("  {}={value}", entry.name))?;
                    }
                    _ => rows.push(vec![json!(name), json!(entry.name), json!(entry.value)]),
                }
            }
        }
        if self.format != Format::Kafka {
            let columns = [
                column("Name", "name"),
                column("Key", "key"),
                column("Value", "value"),
            ];
            let none = "No subscriptions.";
            listing::show(&mut self.printer, self.format, &columns, &rows, none)?;
        }
        Ok(())
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let names = self.names().await?;
        match self.format {
            // Kafka prints the names joined: with none of them, an empty line.
            Format::Kafka => Ok(self.printer.line(names.join("\n"))?),
            format => {
                let rows: Vec<Vec<Value>> = names.iter().map(|name| vec![json!(name)]).collect();
                let columns = [column("Name", "name")];
                let none = "No subscriptions.";
                Ok(listing::show(
                    &mut self.printer,
                    format,
                    &columns,
                    &rows,
                    none,
                )?)
            }
        }
    }

    async fn names(&self) -> Result<Vec<String>, ClientError> {
        let kinds = [ResourceType::ClientMetrics];
        let found = self.admin.list_config_resources(&kinds).await?;
        Ok(found.into_iter().map(|resource| resource.name).collect())
    }

    /// The subscription's settings, in the order of Kafka's map.
    async fn entries(&self, name: &str) -> Result<Vec<ConfigEntry>, ClientError> {
        let how = DescribeConfigsOptions::default();
        let mut entries = Vec::new();
        for (_, described) in self.admin.describe_configs(&[resource(name)], how).await? {
            entries.extend(described?);
        }
        hash_order(&mut entries, 16, |entry| &entry.name);
        Ok(entries)
    }
}

fn resource(name: &str) -> ConfigResource {
    ConfigResource {
        kind: ResourceType::ClientMetrics,
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    #[test]
    fn what_goes_together() {
        for (line, want) in [
            ("--list", Ok("list")),
            ("--alter --name a --interval 5", Ok("alter")),
            (
                "--alter --name a --generate-name",
                Err("One of --name or --generate-name must be specified with --alter."),
            ),
            (
                "--alter --name a --interval soon",
                Err("Invalid interval value. Enter an integer, or leave empty to reset."),
            ),
            (
                "--delete",
                Err("A client metrics resource name must be specified with --delete."),
            ),
            (
                "--list --name a",
                Err("Option \"[list]\" can't be used with option \"[name]\""),
            ),
        ] {
            let args: Vec<String> = format!("--bootstrap-server b {line}")
                .split(' ')
                .map(str::to_owned)
                .collect();
            let checked = check(&parse(&DEFINITION, &args).unwrap());
            assert_eq!(
                checked.map_err(|error| error.0),
                want.map_err(str::to_owned),
                "{line}"
            );
        }
    }
}
