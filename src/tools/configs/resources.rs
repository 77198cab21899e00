//! Configurations of topics, brokers, their loggers, groups and client metrics.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::entities::Kind;
use super::{Changes, Command, only};
use crate::broker::validate_topic_name;
use crate::client::admin::{
    AlterConfigOp, ConfigEntry, ConfigSynonym, DescribeConfigsOptions, OpType, ResourceType,
};
use crate::tools::cluster::thrown;
use crate::tools::listing::{self, column};
use crate::tools::output::Format;
use crate::tools::usage::UsageError;

impl Command<'_> {
    pub(super) async fn describe_resources(&mut self, kind: Kind) -> anyhow::Result<()> {
        let all = self.options.has("all");
        let name = self.entities.names.first().cloned();
        let names = match name {
            Some(name) => {
                if kind == Kind::Topic {
                    validate_topic_name(&name)?;
                }
                if !all && !self.exists(kind, &name).await? {
                    let text = format!(
                        "The {} '{name}' doesn't exist and doesn't have dynamic config.",
                        kind.singular()
                    );
                    return Ok(self.printer.line(text)?);
                }
                vec![name]
            }
            None => self.known(kind).await?,
        };
        let mut rows: Vec<Vec<Value>> = Vec::new();
        for name in &names {
            if self.format == Format::Kafka {
                self.printer.line(heading(kind, name, all))?;
            }
            for entry in self.entries(kind, name, all).await? {
                match self.format {
                    Format::Kafka => self.printer.line(line(&entry))?,
                    _ => rows.push(row(kind, name, &entry)),
                }
            }
        }
        if self.format != Format::Kafka {
            let columns = [
                column("Type", "entityType"),
                column("Name", "entityName"),
                column("Key", "key"),
                column("Value", "value"),
                column("Source", "source"),
                column("Sensitive", "sensitive"),
            ];
            let none = "Nothing is set.";
            listing::show(&mut self.printer, self.format, &columns, &rows, none)?;
        }
        Ok(())
    }

    async fn exists(&self, kind: Kind, name: &str) -> anyhow::Result<bool> {
        let is_default = kind == Kind::Broker && name.is_empty();
        Ok(is_default || self.known(kind).await?.iter().any(|known| known == name))
    }

    /// Everything of a kind that may have a configuration; last the default of all brokers.
    async fn known(&self, kind: Kind) -> anyhow::Result<Vec<String>> {
        match kind {
            Kind::Topic => {
                let topics = self.admin.list_topics(true).await.map_err(thrown)?;
                Ok(topics
                    .into_iter()
                    .map(|topic| topic.name.to_string())
                    .collect())
            }
            Kind::Broker | Kind::BrokerLogger => {
                let cluster = self.admin.describe_cluster().await.map_err(thrown)?;
                let ids = cluster.brokers.iter().map(|broker| broker.id.to_string());
                Ok(ids.chain([String::new()]).collect())
            }
            Kind::ClientMetrics => {
                let kinds = [ResourceType::ClientMetrics];
                let found = self.admin.list_config_resources(&kinds).await;
                Ok(found
                    .map_err(thrown)?
                    .into_iter()
                    .map(|found| found.name)
                    .collect())
            }
            _ => {
                let groups = self.admin.list_groups(&[], &[]).await.map_err(thrown)?;
                let mut names: BTreeSet<String> =
                    groups.into_iter().map(|group| group.group_id).collect();
                // Brokers before 4.1 cannot tell which groups have a configuration.
                let kinds = [ResourceType::Group];
                if let Ok(found) = self.admin.list_config_resources(&kinds).await {
                    names.extend(found.into_iter().map(|found| found.name));
                }
                Ok(names.into_iter().collect())
            }
        }
    }

    /// What is set, or with `all` everything, by key.
    async fn entries(&self, kind: Kind, name: &str, all: bool) -> anyhow::Result<Vec<ConfigEntry>> {
        let Some((resource, source)) = kind.resource(name) else {
            return Ok(Vec::new());
        };
        if resource.kind == ResourceType::Broker && !name.is_empty() {
            broker_id(kind, name)?;
        }
        let how = DescribeConfigsOptions {
            include_synonyms: true,
            ..Default::default()
        };
        let described = self.admin.describe_configs(&[resource], how).await;
        let mut entries = only(described.map_err(thrown)?)?.unwrap_or_default();
        if !all {
            entries.retain(|entry| source.is_none_or(|source| entry.source == source));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    pub(super) async fn alter_resource(
        &mut self,
        kind: Kind,
        changes: &Changes,
    ) -> anyhow::Result<()> {
        let name = self.entities.names.first().cloned().unwrap_or_default();
        if kind == Kind::Broker && !name.is_empty() {
            broker_id(kind, &name)?;
        }
        let Some((resource, _)) = kind.resource(&name) else {
            return Ok(());
        };
        let change = [(resource, operations(changes))];
        let altered = self.admin.incremental_alter_configs(&change, false).await;
        only(altered.map_err(thrown)?)?;
        Ok(())
    }

    pub(super) async fn alter_loggers(&mut self, changes: &Changes) -> anyhow::Result<()> {
        let name = self.entities.names.first().cloned().unwrap_or_default();
        let loggers = self.entries(Kind::BrokerLogger, &name, true).await?;
        let named = changes.deleted.iter().chain(changes.added.keys());
        let unknown: Vec<&str> = named
            .filter(|key| !loggers.iter().any(|logger| logger.name == **key))
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            let unknown = unknown.join(",");
            return Err(UsageError(format!("Invalid broker logger(s): {unknown}")).into());
        }
        self.alter_resource(Kind::BrokerLogger, changes).await
    }
}

fn broker_id(kind: Kind, name: &str) -> Result<i32, UsageError> {
    name.parse().map_err(|_| {
        UsageError(format!(
            "The entity name for {} must be a valid integer broker id, found: {name}",
            kind.plural()
        ))
    })
}

fn operations(changes: &Changes) -> Vec<AlterConfigOp> {
    let deleted = changes.deleted.iter().map(|key| AlterConfigOp {
        name: key.clone(),
        value: Some(String::new()),
        op: OpType::Delete,
    });
    let added = changes.added.iter().map(|(key, value)| AlterConfigOp {
        name: key.clone(),
        value: Some(value.clone()),
        op: OpType::Set,
    });
    deleted.chain(added).collect()
}

fn heading(kind: Kind, name: &str, all: bool) -> String {
    if name.is_empty() {
        return format!("Default configs for {} in the cluster are:", kind.plural());
    }
    let which = if all { "All" } else { "Dynamic" };
    format!("{which} configs for {} {name} are:", kind.singular())
}

fn line(entry: &ConfigEntry) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonym = |synonym: &ConfigSynonym| {
        let source = source_name(synonym.source);
        format!("{source}:{}={}", synonym.name, value(&synonym.value))
    };
    let synonyms: Vec<String> = entry.synonyms.iter().map(synonym).collect();
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        entry.name,
        value(&entry.value),
        entry.sensitive,
        synonyms.join(", ")
    )
}

fn row(kind: Kind, name: &str, entry: &ConfigEntry) -> Vec<Value> {
    vec![
        json!(kind.plural()),
        json!((!name.is_empty()).then_some(name)),
        json!(entry.name),
        json!(entry.value),
        json!(source_name(entry.source)),
        json!(entry.sensitive),
    ]
}

/// Kafka's names of where values come from.
fn source_name(source: i8) -> &'static str {
    match source {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        5 => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}
