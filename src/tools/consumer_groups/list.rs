//! `consumer-groups --list`, and `--validate-regex`.
use serde_json::{Value, json};

use super::Command;
use crate::broker::compile_regex;
use crate::client::ClientError;
use crate::client::admin::{CONSUMER_PROTOCOL, GroupListing};
use crate::tools::cluster::{thrown, thrown_again};
use crate::tools::groups::type_name;
use crate::tools::listing::{self, column, padded, width};
use crate::tools::output::Format;
use crate::tools::usage::UsageError;

const STATES: [&str; 7] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
];
const TYPES: [&str; 2] = ["Classic", "Consumer"];

impl Command<'_> {
    pub(super) async fn list(&mut self) -> anyhow::Result<()> {
        let (types, states) = (self.options.has("type"), self.options.has("state"));
        if self.format == Format::Kafka && !types && !states {
            for group in self.all_groups().await? {
                self.printer.line(group)?;
            }
            return Ok(());
        }
        let wanted_types = self.wanted("type", &TYPES, "types", "types")?;
        let wanted_states = self.wanted("state", &STATES, "state", "states")?;
        let groups = self.listings(&wanted_types, &wanted_states).await;
        let groups = groups.map_err(thrown)?;
        match self.format {
            Format::Kafka => self.print_as_kafka(&groups, types, states),
            format => {
                let columns = [
                    column("Group", "group"),
                    column("Type", "type"),
                    column("State", "state"),
                ];
                let row = |group: &GroupListing| -> Vec<Value> {
                    vec![
                        json!(group.group_id),
                        json!(type_name(group)),
                        json!(group.state),
                    ]
                };
                let rows: Vec<Vec<Value>> = groups.iter().map(row).collect();
                let none = "No consumer groups.";
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

    /// The names of all consumer groups, of either protocol.
    pub(super) async fn all_groups(&self) -> anyhow::Result<Vec<String>> {
        let groups = self.listings(&[], &[]).await.map_err(|error| match error {
            // Kafka's client has words of its own for this one.
            ClientError::Timeout(_) if self.format == Format::Kafka => anyhow::anyhow!(
                "java.util.concurrent.ExecutionException: org.apache.kafka.common.KafkaException: \
                 Failed to find brokers to send ListGroups"
            ),
            error => thrown_again(error),
        })?;
        Ok(groups.into_iter().map(|group| group.group_id).collect())
    }

    async fn listings(
        &self,
        types: &[&str],
        states: &[&str],
    ) -> crate::client::Result<Vec<GroupListing>> {
        let types = if types.is_empty() { &TYPES } else { types };
        let mut groups = self.admin.list_groups(states, types).await?;
        // Groups without a protocol only commit offsets: those of consumers that assign themselves.
        groups.retain(|group| matches!(&*group.protocol_type, "" | CONSUMER_PROTOCOL));
        Ok(groups)
    }

    /// The known names among those of an option, in Kafka's spelling; nothing without the option.
    fn wanted(
        &self,
        option: &str,
        known: &'static [&'static str],
        list: &str,
        names: &str,
    ) -> anyhow::Result<Vec<&'static str>> {
        let text = self.options.value(option)?.unwrap_or_default();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted = Vec::new();
        for word in text.split(',').map(str::trim) {
            let Some(name) = known.iter().find(|name| name.eq_ignore_ascii_case(word)) else {
                let known = known.join(", ");
                let text = format!("Invalid {list} list '{text}'. Valid {names} are: {known}");
                return Err(UsageError(text).into());
            };
            wanted.push(*name);
        }
        Ok(wanted)
    }

    fn print_as_kafka(
        &mut self,
        groups: &[GroupListing],
        types: bool,
        states: bool,
    ) -> anyhow::Result<()> {
        let longest = width(15, groups.iter().map(|group| &*group.group_id)) + 10;
        let mut widths = vec![longest];
        widths.extend([20].repeat(usize::from(types) + usize::from(states)));
        let row = |name, kind, state| {
            let mut row = vec![name];
            row.extend(types.then_some(kind));
            row.extend(states.then_some(state));
            padded(&row, &widths)
        };
        self.printer.line(row("GROUP", "TYPE", "STATE"))?;
        for group in groups {
            let kind = type_name(group);
            self.printer
                .line(row(&group.group_id, kind, &group.state))?;
        }
        Ok(())
    }
}

/// Whether brokers take the expression, in RE2's words.
pub(super) fn validate_regex(text: &str) -> String {
    match compile_regex(text) {
        Ok(_) => format!("The regular expression `{text}` is valid."),
        Err(reason) => format!("The regular expression `{text}` is invalid: {reason}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged() {
        for (text, want) in [
            ("a.*", "valid"),
            ("a{2", "valid"),
            ("[a", "invalid: missing closing ]"),
            ("(a", "invalid: missing closing )"),
            ("*a", "invalid: missing argument to repetition operator"),
            ("a**", "invalid: invalid nested repetition operator"),
            ("[z-a]", "invalid: invalid character class range"),
            ("(?P<n>a)(?P<n>b)", "invalid: duplicate capture group name"),
        ] {
            let want = format!("The regular expression `{text}` is {want}.");
            assert_eq!(validate_regex(text), want);
        }
    }
}
