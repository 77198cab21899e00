//! Configurations of topics, brokers, groups and the rest: describe and alter.
use std::collections::BTreeMap;

use super::{Admin, not_controller};
use crate::client::cluster::Route;
use crate::client::errors::{ClientError, Result};
use crate::protocol::ErrorCode;
use crate::protocol::messages::ListConfigResourcesRequest;
use crate::protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use crate::protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use crate::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

/// What a configuration belongs to, with the number that requests use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

/// A thing with a configuration. An empty name of a broker means the cluster's default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ResourceType,
    pub name: String,
}

impl ConfigResource {
    pub fn topic(name: impl Into<String>) -> Self {
        Self {
            kind: ResourceType::Topic,
            name: name.into(),
        }
    }

    /// A named broker answers for itself; for all else any broker will do.
    fn route(&self) -> Route<'static> {
        match self.kind {
            ResourceType::Broker | ResourceType::BrokerLogger => {
                self.name.parse().map_or(Route::Any, Route::Broker)
            }
            _ => Route::Any,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct DescribeConfigsOptions {
    pub include_synonyms: bool,
    pub include_documentation: bool,
}

/// One key of a configuration, in the broker's order. `source` is the number of the protocol:
/// 1 topic, 2 broker, 3 default of all brokers, 4 static, 5 default, 6 logger, 7 client metrics,
/// 8 group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// `None` for a sensitive value.
    pub value: Option<String>,
    pub source: i8,
    pub read_only: bool,
    pub sensitive: bool,
    pub synonyms: Vec<ConfigSynonym>,
    pub config_type: i8,
    pub documentation: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    pub name: String,
    pub value: Option<String>,
    pub source: i8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpType {
    Set = 0,
    Delete = 1,
    Append = 2,
    Subtract = 3,
}

/// One change of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterConfigOp {
    pub name: String,
    pub value: Option<String>,
    pub op: OpType,
}

impl Admin {
    /// The configurations of resources, in the given order.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
        how: DescribeConfigsOptions,
    ) -> Result<Vec<(ConfigResource, Result<Vec<ConfigEntry>>)>> {
        let mut outcomes = BTreeMap::new();
        for (route, group) in by_route(resources) {
            let wanted = |resource: &&ConfigResource| DescribeConfigsResource {
                resource_type: resource.kind as i8,
                resource_name: resource.name.clone(),
                configuration_keys: None,
            };
            let build = |version| DescribeConfigsRequest {
                resources: group.iter().map(wanted).collect(),
                include_synonyms: how.include_synonyms,
                include_documentation: how.include_documentation && version >= 3,
            };
            let options = self.options("describeConfigs");
            let response = self
                .client()
                .call(options, route, build, |_| ErrorCode::None)
                .await?;
            for result in response.results {
                let key = (result.resource_type, result.resource_name);
                let outcome =
                    ClientError::check(result.error_code, result.error_message.as_deref())
                        .map(|()| result.configs.into_iter().map(entry).collect());
                outcomes.insert(key, outcome);
            }
        }
        Ok(in_order(resources, outcomes))
    }

    /// The names of everything of these kinds that has a configuration. Brokers before 4.1 know
    /// only how to list client metrics.
    pub async fn list_config_resources(
        &self,
        kinds: &[ResourceType],
    ) -> Result<Vec<ConfigResource>> {
        let only_metrics = kinds == [ResourceType::ClientMetrics];
        let build = |version| ListConfigResourcesRequest {
            resource_types: match version {
                0 => Vec::new(),
                _ => kinds.iter().map(|kind| *kind as i8).collect(),
            },
        };
        let options = self.options("listConfigResources");
        let connection = self.client().any_connection().await?;
        if connection.version::<ListConfigResourcesRequest>()? == 0 && !only_metrics {
            return Err(ClientError::UnsupportedVersion(
                "the broker can only list configurations of client metrics".into(),
            ));
        }
        let response = self
            .client()
            .call(options, Route::Any, build, |response| {
                ErrorCode::from_code(response.error_code)
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        let resources = response.config_resources.into_iter().filter_map(|found| {
            let kind = kinds
                .iter()
                .find(|kind| **kind as i8 == found.resource_type)?;
            Some(ConfigResource {
                kind: *kind,
                name: found.resource_name,
            })
        });
        Ok(resources.collect())
    }

    /// Changes single keys of configurations.
    pub async fn incremental_alter_configs(
        &self,
        changes: &[(ConfigResource, Vec<AlterConfigOp>)],
        validate_only: bool,
    ) -> Result<Vec<(ConfigResource, Result<()>)>> {
        let resources: Vec<_> = changes
            .iter()
            .map(|(resource, _)| resource.clone())
            .collect();
        let alterable = |op: &AlterConfigOp| AlterableConfig {
            name: op.name.clone(),
            config_operation: op.op as i8,
            value: op.value.clone(),
        };
        let mut outcomes = BTreeMap::new();
        for (route, group) in by_route(&resources) {
            let altered = changes
                .iter()
                .filter(|(resource, _)| group.contains(&resource));
            let build = |_version| IncrementalAlterConfigsRequest {
                resources: altered
                    .clone()
                    .map(|(resource, ops)| AlterConfigsResource {
                        resource_type: resource.kind as i8,
                        resource_name: resource.name.clone(),
                        configs: ops.iter().map(alterable).collect(),
                    })
                    .collect(),
                validate_only,
            };
            let options = self.options("incrementalAlterConfigs");
            let response = self
                .client()
                .call(options, route, build, |response| {
                    not_controller(response.responses.iter().map(|result| result.error_code))
                })
                .await?;
            for result in response.responses {
                let outcome =
                    ClientError::check(result.error_code, result.error_message.as_deref());
                outcomes.insert((result.resource_type, result.resource_name), outcome);
            }
        }
        Ok(in_order(&resources, outcomes))
    }
}

/// Requests by where they go: one to any broker, one to each named broker.
fn by_route(resources: &[ConfigResource]) -> Vec<(Route<'static>, Vec<&ConfigResource>)> {
    let mut any = Vec::new();
    let mut brokers: BTreeMap<i32, Vec<&ConfigResource>> = BTreeMap::new();
    for resource in resources {
        match resource.route() {
            Route::Broker(node) => brokers.entry(node).or_default().push(resource),
            _ => any.push(resource),
        }
    }
    let any = (!any.is_empty()).then_some((Route::Any, any));
    any.into_iter()
        .chain(
            brokers
                .into_iter()
                .map(|(node, group)| (Route::Broker(node), group)),
        )
        .collect()
}

fn in_order<T>(
    resources: &[ConfigResource],
    mut outcomes: BTreeMap<(i8, String), Result<T>>,
) -> Vec<(ConfigResource, Result<T>)> {
    let outcome = |resource: &ConfigResource| {
        let outcome = outcomes.remove(&(resource.kind as i8, resource.name.clone()));
        let missing = || {
            Err(ClientError::protocol(format!(
                "the broker did not answer for {}",
                resource.name
            )))
        };
        (resource.clone(), outcome.unwrap_or_else(missing))
    };
    resources.iter().map(outcome).collect()
}

fn entry(result: DescribeConfigsResourceResult) -> ConfigEntry {
    let synonyms = result.synonyms.into_iter().map(|synonym| ConfigSynonym {
        name: synonym.name,
        value: synonym.value,
        source: synonym.source,
    });
    ConfigEntry {
        name: result.name,
        value: result.value,
        source: result.config_source,
        read_only: result.read_only,
        sensitive: result.is_sensitive,
        synonyms: synonyms.collect(),
        config_type: result.config_type,
        documentation: result.documentation,
    }
}
