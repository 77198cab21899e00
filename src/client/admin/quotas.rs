//! Client quotas: what is configured for users, client ids and addresses, and changing it.
use std::collections::BTreeMap;

use super::{Admin, not_controller};
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use crate::protocol::messages::describe_client_quotas_request::{
    ComponentData, DescribeClientQuotasRequest,
};

/// Whom a quota is for: `user`, `client-id` or `ip` with a name, or with none for the default.
pub type QuotaEntity = BTreeMap<String, Option<String>>;

/// Which entities of a type are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaMatch {
    Named(String),
    Default,
    Any,
}

/// An entity's quotas, in the broker's order.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientQuota {
    pub entity: QuotaEntity,
    pub values: Vec<(String, f64)>,
}

impl Admin {
    /// The quotas of entities that consist of just these types.
    pub async fn describe_client_quotas(
        &self,
        wanted: &[(&str, QuotaMatch)],
    ) -> Result<Vec<ClientQuota>> {
        let component = |(kind, matched): &(&str, QuotaMatch)| {
            let (match_type, name) = match matched {
                QuotaMatch::Named(name) => (0, Some(name.clone())),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            ComponentData {
                entity_type: (*kind).to_owned(),
                match_type,
                r#match: name,
            }
        };
        let build = |_version| DescribeClientQuotasRequest {
            components: wanted.iter().map(component).collect(),
            strict: true,
        };
        let options = self.options("describeClientQuotas");
        let response = self
            .client()
            .call(options, Route::Any, build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let entries = response.entries.unwrap_or_default().into_iter();
        Ok(entries
            .map(|entry| ClientQuota {
                entity: entry
                    .entity
                    .into_iter()
                    .map(|part| (part.entity_type, part.entity_name))
                    .collect(),
                values: entry
                    .values
                    .into_iter()
                    .map(|value| (value.key, value.value))
                    .collect(),
            })
            .collect())
    }

    /// Sets an entity's quotas, and removes those without a value.
    pub async fn alter_client_quotas(
        &self,
        entity: &QuotaEntity,
        changes: &[(String, Option<f64>)],
    ) -> Result<()> {
        let part = |(kind, name): (&String, &Option<String>)| EntityData {
            entity_type: kind.clone(),
            entity_name: name.clone(),
        };
        let op = |(key, value): &(String, Option<f64>)| OpData {
            key: key.clone(),
            value: value.unwrap_or_default(),
            remove: value.is_none(),
        };
        let build = |_version| AlterClientQuotasRequest {
            entries: vec![EntryData {
                entity: entity.iter().map(part).collect(),
                ops: changes.iter().map(op).collect(),
            }],
            validate_only: false,
        };
        let options = self.options("alterClientQuotas");
        let response = self
            .client()
            .call(options, Route::Controller, build, |response| {
                not_controller(response.entries.iter().map(|entry| entry.error_code))
            })
            .await?;
        for entry in response.entries {
            ClientError::check(entry.error_code, entry.error_message.as_deref())?;
        }
        Ok(())
    }
}
