//! `kafka-acls`: shows and changes access control lists.
pub mod options;
mod wanted;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use anyhow::bail;
use serde_json::{Value, json};

use self::options::{Action, DEFINITION, check};
use super::cluster::{block_on, plain, thrown};
use super::listing::{self, column};
use super::options::jopt::OptionSet;
use super::output::{Format, Invocation, Printer, message};
use super::registry::Exit;
use super::session;
use super::usage::{self, UsageError};
use crate::client::admin::{AclBinding, AclEntry, AclFilter, AclResource, Admin};

/// What every action needs.
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
        let ended = match request.checked {
            Action::Add => command.add().await,
            Action::Remove => command.remove().await,
            Action::List => command.list().await,
        };
        admin.close().await;
        command.report(ended, &invocation)
    })
}

impl Command<'_> {
    /// Arguments that turn out to be wrong are an error of the command line; everything else is
    /// told on stdout, as Kafka does.
    fn report(
        &mut self,
        ended: anyhow::Result<()>,
        invocation: &Invocation,
    ) -> anyhow::Result<Exit> {
        let Err(failure) = ended else {
            self.printer.flush()?;
            return Ok(Exit::SUCCESS);
        };
        if let Some(usage) = failure.downcast_ref::<UsageError>() {
            self.printer.flush()?;
            return Ok(usage::refuse(&DEFINITION, invocation, usage));
        }
        match self.format {
            Format::Kafka => {
                let text = format!("Error while executing ACL command: {failure}");
                self.printer.line(text)?;
            }
            _ => message(plain(&failure)),
        }
        self.printer.flush()?;
        Ok(Exit::FAILURE)
    }

    async fn add(&mut self) -> anyhow::Result<()> {
        for (resource, entries) in wanted::additions(self.options)? {
            let there = self.admin.describe_acls(&AclFilter::of(&resource)).await;
            let there = there.map_err(thrown)?;
            let mut new = Vec::new();
            for entry in entries {
                let resource = resource.clone();
                let binding = AclBinding { resource, entry };
                if there.contains(&binding) {
                    self.printer.line(format!(
                        "Acl (pattern={}, entry={}) already exists.",
                        words::resource(&binding.resource),
                        words::entry(&binding.entry)
                    ))?;
                } else {
                    new.push(binding);
                }
            }
            if new.is_empty() {
                continue;
            }
            let entries: Vec<&AclEntry> = new.iter().map(|binding| &binding.entry).collect();
            self.printer.line(format!(
                "Adding ACLs for resource `{}`: \n {}\n",
                words::resource(&resource),
                lines(&entries)
            ))?;
            self.admin.create_acls(&new).await.map_err(thrown)?;
        }
        Ok(())
    }

    async fn remove(&mut self) -> anyhow::Result<()> {
        for (resource, entries) in wanted::entries(self.options)? {
            let name = words::resource(&resource);
            let question = if entries.is_empty() {
                format!(
                    "Are you sure you want to delete all ACLs for resource filter `{name}`? (y/n)"
                )
            } else {
                let entries: Vec<&AclEntry> = entries.iter().collect();
                format!(
                    "Are you sure you want to remove ACLs: \n {}\n from resource filter `{name}`? \
                     (y/n)",
                    lines(&entries)
                )
            };
            if !self.confirmed(&question)? {
                continue;
            }
            let filters = match entries.is_empty() {
                true => vec![AclFilter::of(&resource)],
                false => entries
                    .iter()
                    .map(|entry| AclFilter::one(&resource, entry))
                    .collect(),
            };
            self.admin.delete_acls(&filters).await.map_err(thrown)?;
        }
        Ok(())
    }

    fn confirmed(&mut self, question: &str) -> anyhow::Result<bool> {
        if self.options.has("force") {
            return Ok(true);
        }
        self.printer.line(question)?;
        self.printer.flush()?;
        let mut answer = String::new();
        if io::stdin().lock().read_line(&mut answer)? == 0 {
            bail!("there is nobody to ask: --force removes without asking");
        }
        Ok(answer.trim().eq_ignore_ascii_case("y"))
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let resources = wanted::resources(self.options)?;
        let principals = wanted::principals_of(self.options, "principal")?;
        let filters: Vec<AclFilter> = match resources.is_empty() {
            true => vec![AclFilter::any()],
            false => resources.iter().map(AclFilter::of).collect(),
        };
        let mut found: BTreeMap<AclResource, BTreeSet<AclEntry>> = BTreeMap::new();
        for filter in filters {
            let described = self.admin.describe_acls(&filter).await;
            for AclBinding { resource, entry } in described.map_err(thrown)? {
                found.entry(resource).or_default().insert(entry);
            }
        }
        if self.format != Format::Kafka {
            return self.show(&found, &principals);
        }
        if principals.is_empty() {
            return self.print(&found);
        }
        for principal in principals {
            let text = format!("ACLs for principal `{principal}`");
            self.printer.line(text)?;
            let mut of_principal = found.clone();
            for entries in of_principal.values_mut() {
                entries.retain(|entry| entry.principal == principal);
            }
            of_principal.retain(|_, entries| !entries.is_empty());
            self.print(&of_principal)?;
        }
        Ok(())
    }

    fn print(&mut self, found: &BTreeMap<AclResource, BTreeSet<AclEntry>>) -> anyhow::Result<()> {
        for (resource, entries) in found {
            let entries: Vec<&AclEntry> = entries.iter().collect();
            self.printer.line(format!(
                "Current ACLs for resource `{}`:\n{}\n",
                words::resource(resource),
                lines(&entries)
            ))?;
        }
        Ok(())
    }

    fn show(
        &mut self,
        found: &BTreeMap<AclResource, BTreeSet<AclEntry>>,
        principals: &BTreeSet<String>,
    ) -> anyhow::Result<()> {
        let columns = [
            column("Resource", "resourceType"),
            column("Name", "resourceName"),
            column("Pattern", "patternType"),
            column("Principal", "principal"),
            column("Host", "host"),
            column("Operation", "operation"),
            column("Permission", "permissionType"),
        ];
        let mut rows: Vec<Vec<Value>> = Vec::new();
        for (resource, entries) in found {
            for entry in entries {
                if !principals.is_empty() && !principals.contains(&entry.principal) {
                    continue;
                }
                rows.push(vec![
                    json!(words::kind(resource.kind)),
                    json!(resource.name),
                    json!(words::pattern(resource.pattern_type)),
                    json!(entry.principal),
                    json!(entry.host),
                    json!(words::operation(entry.operation)),
                    json!(words::permission(entry.permission)),
                ]);
            }
        }
        let (printer, none) = (&mut self.printer, "No access control lists.");
        Ok(listing::show(printer, self.format, &columns, &rows, none)?)
    }
}

/// Entries, one a line, indented by a tab.
fn lines(entries: &[&AclEntry]) -> String {
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| format!("\t{}", words::entry(entry)))
        .collect();
    lines.join("\n")
}
