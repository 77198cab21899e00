//! What the tools for share and streams groups have in common: how they start and end, list groups
//! and delete them.
use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::{Worded, block_on, exception, plain, thrown, thrown_again};
use super::java_order::hash_order;
use super::listing::{self, column, padded, width};
use super::options::Definition;
use super::options::jopt::OptionSet;
use super::output::{Format, Invocation, Printer, message};
use super::registry::Exit;
use super::session::{self, Request};
use super::usage::{self, UsageError};
use crate::client::ClientError;
use crate::client::admin::{Admin, GroupListing};

const NO_BROKERS: &str =
    "org.apache.kafka.common.KafkaException: Failed to find brokers to send ListGroups";

/// A type of groups, in the words that Kafka has for it.
pub struct Kind {
    /// As brokers name it.
    pub name: &'static str,
    /// At the head of a sentence.
    pub title: &'static str,
    pub states: &'static [&'static str],
    /// What a group to delete is that is not in the list.
    pub unlisted: &'static str,
    /// Whether the failures of a deletion are kept in a copy of Java's map, which has another order.
    pub copies_failures: bool,
    /// How the list of deleted groups ends.
    pub end_of_list: &'static str,
    /// How the tool ends when the cluster refuses.
    pub failure: Exit,
    pub definition: &'static Definition,
}

/// What every action needs.
pub struct GroupTool<'a> {
    pub kind: &'static Kind,
    pub admin: &'a Admin,
    pub options: &'a OptionSet,
    pub format: Format,
    pub printer: Printer,
}

/// An end of the tool that is not the usual one: what stands on stderr, and the exit code.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Ended {
    pub text: String,
    pub exit: Exit,
}

/// Runs `action` with an admin client, and tells what went wrong as Kafka does.
pub fn run<T>(
    kind: &'static Kind,
    request: &Request<T>,
    invocation: &Invocation,
    action: impl AsyncFnOnce(&mut GroupTool<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let options = &request.options;
    let mut config = session::admin_config(options)?;
    let timeout = options.number::<i64>("timeout");
    if let Ok(Some(ms)) = timeout {
        config.api_timeout = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    }
    block_on(async {
        let admin = Admin::new(config);
        let mut tool = GroupTool {
            kind,
            admin: &admin,
            options,
            format: request.format,
            printer: Printer::default(),
        };
        let result = match timeout {
            Ok(_) => action(&mut tool).await,
            Err(error) => Err(error.into()),
        };
        let exit = tool.report(result, invocation);
        admin.close().await;
        exit
    })
}

impl GroupTool<'_> {
    fn report(
        &mut self,
        result: anyhow::Result<()>,
        invocation: &Invocation,
    ) -> anyhow::Result<Exit> {
        let Err(failure) = result else {
            self.printer.flush()?;
            return Ok(Exit::SUCCESS);
        };
        if failure.is::<std::io::Error>() {
            return Err(failure);
        }
        if let Some(usage) = failure.downcast_ref::<UsageError>() {
            self.printer.flush()?;
            return Ok(usage::refuse(self.kind.definition, invocation, usage));
        }
        if let Some(ended) = failure.downcast_ref::<Ended>() {
            self.printer.flush()?;
            message(&ended.text);
            return Ok(ended.exit);
        }
        if self.format == Format::Kafka {
            let name = self.kind.name;
            self.error(&format!(
                "Executing {name} group command failed due to {failure}"
            ))?;
        }
        self.printer.flush()?;
        match self.format {
            Format::Kafka => message(failure.to_string()),
            _ => message(plain(&failure)),
        }
        Ok(self.kind.failure)
    }

    /// Kafka's way of telling what went wrong: an empty line, then the text, on stdout. People
    /// read it on stderr.
    pub fn error(&mut self, text: &str) -> std::io::Result<()> {
        match self.format {
            Format::Kafka => self.printer.line(format!("\nError: {text}")),
            _ => {
                message(text);
                Ok(())
            }
        }
    }

    /// The groups that `--group` names, or all.
    pub async fn groups(&self) -> anyhow::Result<Vec<String>> {
        if self.options.has("all-groups") {
            let groups = self.listings(&[]).await.map_err(not_listed_again)?;
            return Ok(groups.into_iter().map(|group| group.group_id).collect());
        }
        let mut groups = Vec::new();
        for group in self.options.values("group") {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        Ok(groups)
    }

    async fn listings(&self, states: &[&str]) -> crate::client::Result<Vec<GroupListing>> {
        self.admin.list_groups(states, &[self.kind.name]).await
    }

    pub async fn list(&mut self) -> anyhow::Result<()> {
        let states = self.options.has("state");
        if self.format == Format::Kafka && !states {
            for group in self.listings(&[]).await.map_err(not_listed_again)? {
                self.printer.line(group.group_id)?;
            }
            return Ok(());
        }
        let wanted = wanted_states(self.kind, self.options.value("state")?.unwrap_or_default())?;
        let groups = self.listings(&wanted).await.map_err(not_listed)?;
        if self.format != Format::Kafka {
            let columns = [column("Group", "group"), column("State", "state")];
            let row = |group: &GroupListing| vec![json!(group.group_id), json!(group.state)];
            let rows: Vec<Vec<Value>> = groups.iter().map(row).collect();
            let none = format!("No {} groups.", self.kind.name);
            let printer = &mut self.printer;
            return Ok(listing::show(printer, self.format, &columns, &rows, &none)?);
        }
        let widths = [width(15, groups.iter().map(|group| &*group.group_id)), 0];
        self.printer.line(padded(&["GROUP", "STATE"], &widths))?;
        for group in &groups {
            self.printer
                .line(padded(&[&group.group_id, &group.state], &widths))?;
        }
        Ok(())
    }

    /// Deletes groups without members.
    pub async fn delete(&mut self) -> anyhow::Result<()> {
        let mut deletion = self.deletion().await?;
        self.execute(&mut deletion).await?;
        self.tell_deletion(&deletion)
    }

    /// Which groups can be deleted.
    pub async fn deletion(&self) -> anyhow::Result<Deletion> {
        let listed = self.listings(&[]).await.map_err(not_listed_again)?;
        let asked = match self.options.has("all-groups") {
            true => listed.iter().map(|group| group.group_id.clone()).collect(),
            false => self.groups().await?,
        };
        let mut deletion = Deletion::default();
        for group in asked {
            let listing = listed.iter().find(|listing| listing.group_id == group);
            match self.why_not(listing, &group) {
                Some(reason) => deletion.failed.push((group, reason)),
                None => deletion.fit.push(group),
            }
        }
        Ok(deletion)
    }

    pub async fn execute(&self, deletion: &mut Deletion) -> anyhow::Result<()> {
        let capacity = match deletion.failed.len() {
            known if known > 0 && self.kind.copies_failures => known * 4 / 3 + 1,
            _ => 16,
        };
        let fit: Vec<&str> = deletion.fit.iter().map(String::as_str).collect();
        for (group, outcome) in self.admin.delete_groups(&fit).await? {
            match outcome {
                Ok(()) => deletion.deleted.push(group),
                Err(error) => {
                    let reason = format!("{}: {error}", exception(&error));
                    deletion.failed.push((group, reason));
                }
            }
        }
        hash_order(&mut deletion.deleted, 16, |group| group);
        hash_order(&mut deletion.failed, capacity, |(group, _)| group);
        Ok(())
    }

    /// Why a group cannot be deleted, known before asking for it.
    fn why_not(&self, listing: Option<&GroupListing>, group: &str) -> Option<String> {
        let title = self.kind.title;
        let Some(listing) = listing else {
            let unlisted = self.kind.unlisted;
            return Some(format!(
                "java.lang.IllegalArgumentException: Group '{group}' {unlisted}."
            ));
        };
        match &*listing.state {
            "Empty" | "" => None,
            "Dead" => Some(format!(
                "java.lang.IllegalStateException: {title} group '{group}' group state is DEAD."
            )),
            _ => Some(format!(
                "org.apache.kafka.common.errors.GroupNotEmptyException: {title} group '{group}' \
                 is not EMPTY."
            )),
        }
    }

    pub fn tell_deletion(&mut self, deletion: &Deletion) -> anyhow::Result<()> {
        let Deletion {
            deleted, failed, ..
        } = deletion;
        let name = self.kind.name;
        let quoted: Vec<String> = deleted.iter().map(|group| format!("'{group}'")).collect();
        let quoted = quoted.join(", ");
        if failed.is_empty() {
            let text = format!("Deletion of requested {name} groups ({quoted}) was successful.");
            return Ok(self.printer.line(text)?);
        }
        let head = format!("\nError: Deletion of some {name} groups failed:");
        self.printer.line(head)?;
        for (group, reason) in failed {
            self.printer.line(format!(
                "* Group '{group}' could not be deleted due to: {reason}"
            ))?;
        }
        if !deleted.is_empty() {
            let end = self.kind.end_of_list;
            self.printer.line(format!(
                "\nThese {name} groups were deleted successfully: {quoted}{end}"
            ))?;
        }
        Ok(())
    }
}

/// Kafka's client has words of its own for a cluster that does not answer this.
fn not_listed(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Timeout(text) => Worded {
            kafka: NO_BROKERS.to_owned(),
            plain: text.to_string(),
        }
        .into(),
        error => thrown(error),
    }
}

/// The same, where Kafka's tool wraps it once more.
fn not_listed_again(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Timeout(text) => Worded {
            kafka: format!("java.util.concurrent.ExecutionException: {NO_BROKERS}"),
            plain: text.to_string(),
        }
        .into(),
        error => thrown_again(error),
    }
}

/// A deletion under way.
#[derive(Debug, Default)]
pub struct Deletion {
    pub fit: Vec<String>,
    /// In Java's order.
    pub deleted: Vec<String>,
    /// Groups, and why they are still there.
    failed: Vec<(String, String)>,
}

/// The states among those of an option, in Kafka's spelling.
fn wanted_states(kind: &Kind, text: &str) -> Result<Vec<&'static str>, UsageError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let find = |word: &str| {
        let mut states = kind.states.iter().copied();
        states.find(|state| state.eq_ignore_ascii_case(word.trim()))
    };
    let states: Option<Vec<&str>> = text.split(',').map(find).collect();
    states.ok_or_else(|| {
        UsageError(format!(
            "Invalid state list '{text}'. Valid states are: {}",
            kind.states.join(", ")
        ))
    })
}

/// A number, or a dash where there is none.
pub fn or_dash(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::share_groups::KIND;

    #[test]
    fn states_are_known_in_any_case() {
        assert_eq!(wanted_states(&KIND, "").unwrap(), Vec::<&str>::new());
        let states = wanted_states(&KIND, "empty, STABLE").unwrap();
        assert_eq!(states, ["Empty", "Stable"]);
        let error = wanted_states(&KIND, "Empty,Open").unwrap_err();
        assert_eq!(
            error.0,
            "Invalid state list 'Empty,Open'. Valid states are: Empty, Stable, Dead"
        );
    }
}
