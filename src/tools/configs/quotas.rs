//! Quotas of users, client ids and addresses.
use serde_json::{Value, json};

use super::entities::Kind;
use super::{Changes, Command};
use crate::client::admin::{ClientQuota, QuotaEntity, QuotaMatch};
use crate::tools::cluster::thrown;
use crate::tools::java_order::hash_order;
use crate::tools::listing::{self, column};
use crate::tools::output::Format;
use crate::tools::usage::UsageError;

/// Quotas of users and client ids.
const CLIENT_QUOTAS: [&str; 4] = [
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
];
const ADDRESS_QUOTA: &str = "connection_creation_rate";
pub(super) const MECHANISMS: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

fn is_quota(key: &str) -> bool {
    CLIENT_QUOTAS.contains(&key)
}

fn is_scram(key: &str) -> bool {
    MECHANISMS.contains(&key)
}

impl Command<'_> {
    pub(super) async fn describe_quotas(&mut self) -> anyhow::Result<()> {
        let mut quotas = self.quotas().await?;
        if self.format != Format::Kafka {
            let columns = [
                column("User", "user"),
                column("Client id", "clientId"),
                column("Address", "ip"),
                column("Quota", "quota"),
                column("Value", "value"),
            ];
            let rows: Vec<Vec<Value>> = quotas.iter().flat_map(rows).collect();
            let none = "No quotas are set.";
            return Ok(listing::show(
                &mut self.printer,
                self.format,
                &columns,
                &rows,
                none,
            )?);
        }
        for quota in &mut quotas {
            let count = quota.values.len();
            hash_order(&mut quota.values, count, |(key, _)| key);
            let values: Vec<String> = quota
                .values
                .iter()
                .map(|(key, value)| format!("{key}={}", java_double(*value)))
                .collect();
            self.printer.line(format!(
                "Quota configs for {} are {}",
                described(&quota.entity),
                values.join(", ")
            ))?;
        }
        Ok(())
    }

    async fn quotas(&self) -> anyhow::Result<Vec<ClientQuota>> {
        if self.entities.names.len() > self.entities.kinds.len() {
            let text = "More entity names specified than entity types";
            return Err(UsageError(text.to_owned()).into());
        }
        let mut wanted = Vec::new();
        for (at, kind) in self.entities.kinds.iter().enumerate() {
            let matched = match self.entities.names.get(at) {
                None => QuotaMatch::Any,
                Some(name) if name.is_empty() => QuotaMatch::Default,
                Some(name) => QuotaMatch::Named(name.clone()),
            };
            wanted.extend(kind.quota_entity().map(|entity| (entity, matched)));
        }
        self.admin
            .describe_client_quotas(&wanted)
            .await
            .map_err(thrown)
    }

    /// Users and client ids: quotas, or a user's credentials.
    pub(super) async fn alter_clients(&mut self, changes: &Changes) -> anyhow::Result<()> {
        let unknown = |keys: &mut dyn Iterator<Item = &String>, scram: bool| -> Vec<String> {
            let known = |key: &String| is_quota(key) || scram && is_scram(key);
            keys.filter(|key| !known(key)).cloned().collect()
        };
        let user_only = self.entities.first() == Kind::User && self.entities.kinds.len() == 1;
        let (kind, what) = match user_only {
            true => ("users", "quota and SCRAM credential configs"),
            false => ("clients", "quota configs"),
        };
        let added = unknown(&mut changes.added.keys(), user_only);
        let deleted = unknown(&mut changes.deleted.iter(), user_only);
        for (keys, how, collection) in
            [(added, "added", "Set"), (deleted, "deleted", "ArrayBuffer")]
        {
            if !keys.is_empty() {
                return Err(UsageError(format!(
                    "Only {what} can be {how} for '{kind}' using --bootstrap-server. Unexpected \
                     config names: {collection}({})",
                    keys.join(", ")
                ))
                .into());
            }
        }
        let keys = || changes.added.keys().chain(&changes.deleted);
        let (quota, scram) = (
            keys().any(|key| is_quota(key)),
            keys().any(|key| is_scram(key)),
        );
        if scram && self.entities.names.iter().any(String::is_empty) {
            return Err(UsageError(
                "The use of --entity-default or --user-defaults is not allowed with User SCRAM \
                 Credentials using --bootstrap-server."
                    .to_owned(),
            )
            .into());
        }
        if scram && quota {
            return Err(UsageError(format!(
                "Cannot alter both quota and SCRAM credential configs simultaneously for '{kind}' \
                 using --bootstrap-server."
            ))
            .into());
        }
        match quota {
            true => self.alter_quotas(changes).await,
            false => self.alter_credentials(changes).await,
        }
    }

    pub(super) async fn alter_addresses(&mut self, changes: &Changes) -> anyhow::Result<()> {
        let keys = changes.added.keys().chain(&changes.deleted);
        let unknown: Vec<&str> = keys
            .map(String::as_str)
            .filter(|key| *key != ADDRESS_QUOTA)
            .collect();
        if !unknown.is_empty() {
            return Err(UsageError(format!(
                "Only connection quota configs can be added for 'ips' using --bootstrap-server. \
                 Unexpected config names: {}",
                unknown.join(",")
            ))
            .into());
        }
        self.alter_quotas(changes).await
    }

    async fn alter_quotas(&mut self, changes: &Changes) -> anyhow::Result<()> {
        let old = self.quotas().await?;
        let is_set = |key: &String| {
            old.iter()
                .any(|quota| quota.values.iter().any(|(k, _)| k == key))
        };
        let unset: Vec<&str> = changes
            .deleted
            .iter()
            .filter(|key| !is_set(key))
            .map(String::as_str)
            .collect();
        if !unset.is_empty() {
            return Err(UsageError(format!("Invalid config(s): {}", unset.join(","))).into());
        }
        let mut wanted: Vec<(String, Option<f64>)> = Vec::new();
        for (key, value) in &changes.added {
            let Ok(number) = value.trim().parse::<f64>() else {
                return Err(UsageError(format!(
                    "Cannot parse quota configuration value for {key}: {value}"
                ))
                .into());
            };
            wanted.push((key.clone(), Some(number)));
        }
        wanted.extend(changes.deleted.iter().map(|key| (key.clone(), None)));
        let names = self.entities.kinds.iter().zip(&self.entities.names);
        let entity: QuotaEntity = names
            .filter_map(|(kind, name)| {
                let name = (!name.is_empty()).then(|| name.clone());
                Some((kind.quota_entity()?.to_owned(), name))
            })
            .collect();
        let altered = self.admin.alter_client_quotas(&entity, &wanted).await;
        altered.map_err(thrown)
    }
}

/// `user-principal 'alice', the default client-id`.
fn described(entity: &QuotaEntity) -> String {
    let parts = [
        ("user", "user-principal"),
        ("client-id", "client-id"),
        ("ip", "ip"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter_map(|(kind, words)| match entity.get(*kind)? {
            Some(name) => Some(format!("{words} '{name}'")),
            None => Some(format!("the default {words}")),
        })
        .collect();
    parts.join(", ")
}

fn rows(quota: &ClientQuota) -> Vec<Vec<Value>> {
    let part = |kind: &str| match quota.entity.get(kind) {
        Some(Some(name)) => json!(name),
        Some(None) => json!("<default>"),
        None => Value::Null,
    };
    let values = quota.values.iter();
    values
        .map(|(key, value)| {
            vec![
                part("user"),
                part("client-id"),
                part("ip"),
                json!(key),
                json!(value),
            ]
        })
        .collect()
}

/// A number as Java's `Double.toString` writes it: `50.0`, `1.0E7`.
fn java_double(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || size != 0.0 && !(1e-3..1e7).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
            Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
            None => text,
        };
    }
    let text = value.to_string();
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_java_does() {
        for (value, want) in [
            (50.0, "50.0"),
            (0.0, "0.0"),
            (12.5, "12.5"),
            (10_000_000.0, "1.0E7"),
            (12_345_678.0, "1.2345678E7"),
            (0.0001, "1.0E-4"),
        ] {
            assert_eq!(java_double(value), want);
        }
    }

    #[test]
    fn entities_are_described_in_kafkas_order() {
        let entity = QuotaEntity::from([
            ("client-id".to_owned(), None),
            ("user".to_owned(), Some("alice".to_owned())),
        ]);
        assert_eq!(
            described(&entity),
            "user-principal 'alice', the default client-id"
        );
    }
}
