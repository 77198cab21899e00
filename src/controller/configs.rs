//! IncrementalAlterConfigs and AlterConfigs, for topics, brokers, groups and client metrics.
//!
//! A resource is altered whole or not at all. Loggers are the broker's own affair and never get here.

use std::collections::BTreeSet;

use super::config_rules::unknown_kind;
use super::{ApiError, Controller, ControllerResult, Door};
use crate::config::definition::{Default as KeyDefault, Kind};
use crate::config::layers::DynamicConfig;
use crate::config::{ConfigKey, group, layers, topic};
use crate::metadata::image::{ConfigResource, ConfigResourceType, MetadataImage};
use crate::metadata::record::{MetadataRecord, VersionedRecord, v0};
use crate::protocol::ErrorCode;
use crate::protocol::messages::alter_configs_response as legacy_response;
use crate::protocol::messages::incremental_alter_configs_request::AlterableConfig;
use crate::protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use crate::protocol::records::metadata::{ClearElrRecord, ConfigRecord};

const MIN_ISR: &str = "min.insync.replicas";
const VALUE_LENGTH_MAX: usize = 32767;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

impl Controller {
    /// Sets, deletes, appends to and subtracts from single keys.
    pub fn incremental_alter_configs(
        &self,
        image: &MetadataImage,
        request: &IncrementalAlterConfigsRequest,
        door: Door,
    ) -> ControllerResult<IncrementalAlterConfigsResponse> {
        let resources = request
            .resources
            .iter()
            .map(|r| (r.resource_type, &*r.resource_name));
        let repeated = repeated(resources);
        let mut records = Vec::new();
        let mut response = IncrementalAlterConfigsResponse::default();
        for resource in &request.resources {
            let (kind, name) = (resource.resource_type, resource.resource_name.as_str());
            let altered = match repeated.contains(&(kind, name)) {
                true => Err(each_resource_once()),
                false => self.alter(image, kind, name, &resource.configs, door),
            };
            let error = collect(altered, &mut records);
            response.responses.push(AlterConfigsResourceResponse {
                error_code: error.code.code(),
                error_message: error.message,
                resource_type: kind,
                resource_name: name.to_owned(),
            });
        }
        if request.validate_only {
            records.clear();
        }
        ControllerResult::atomic(records, response)
    }

    /// Replaces all that is set on a resource (the API before KIP-339).
    pub fn alter_configs(
        &self,
        image: &MetadataImage,
        request: &AlterConfigsRequest,
        door: Door,
    ) -> ControllerResult<AlterConfigsResponse> {
        let resources = request
            .resources
            .iter()
            .map(|r| (r.resource_type, &*r.resource_name));
        let repeated = repeated(resources);
        let mut records = Vec::new();
        let mut response = AlterConfigsResponse::default();
        for resource in &request.resources {
            let (kind, name) = (resource.resource_type, resource.resource_name.as_str());
            let wanted = || {
                resource.configs.iter().map(|config| AlterableConfig {
                    name: config.name.clone(),
                    config_operation: SET,
                    value: config.value.clone(),
                })
            };
            let set_names: BTreeSet<&str> = resource
                .configs
                .iter()
                .map(|config| config.name.as_str())
                .collect();
            let current = ConfigResource {
                kind: ConfigResourceType(kind),
                name: name.to_owned(),
            };
            let implied = image.configs.of(&current).keys();
            let removals = implied
                .filter(|key| !set_names.contains(key.as_str()))
                .map(|key| AlterableConfig {
                    name: key.clone(),
                    config_operation: DELETE,
                    ..Default::default()
                });
            let changes: Vec<AlterableConfig> = wanted().chain(removals).collect();
            let altered = match repeated.contains(&(kind, name)) {
                true => Err(each_resource_once()),
                false => self.alter(image, kind, name, &changes, door),
            };
            let error = collect(altered, &mut records);
            response
                .responses
                .push(legacy_response::AlterConfigsResourceResponse {
                    error_code: error.code.code(),
                    error_message: error.message,
                    resource_type: kind,
                    resource_name: name.to_owned(),
                });
        }
        if request.validate_only {
            records.clear();
        }
        ControllerResult::atomic(records, response)
    }

    fn alter(
        &self,
        image: &MetadataImage,
        kind: i8,
        name: &str,
        changes: &[AlterableConfig],
        door: Door,
    ) -> Result<Vec<VersionedRecord>, ApiError> {
        check_changes(changes)?;
        let resource = ConfigResource {
            kind: ConfigResourceType(kind),
            name: name.to_owned(),
        };
        let lookup = match resource.kind {
            ConfigResourceType::TOPIC => topic_key,
            ConfigResourceType::BROKER => layers::broker_key,
            ConfigResourceType::GROUP => group_key,
            // Kafka does not take what its lists are for lists.
            ConfigResourceType::CLIENT_METRICS => |_: &str| None,
            ConfigResourceType(other) => return Err(unknown_kind(other, door)),
        };
        if resource.kind == ConfigResourceType::BROKER {
            self.check_broker_name(image, name, door)?;
        }
        let mut configs = image.configs.of(&resource).clone();
        let mut records = Vec::new();
        for change in changes {
            let old = configs.get(&change.name).cloned();
            let new = altered_value(old.as_deref(), change, lookup(&change.name))?;
            // Brokers load again what is set again, though it be the same.
            if new == old && resource.kind != ConfigResourceType::BROKER {
                continue;
            }
            records.push(v0(ConfigRecord {
                resource_type: kind,
                resource_name: name.to_owned(),
                name: change.name.clone(),
                value: new.clone(),
                ..Default::default()
            }));
            match new {
                Some(value) => configs.insert(change.name.clone(), value),
                None => configs.remove(&change.name),
            };
        }
        check_value_sizes(&configs)?;
        self.validate(image, &resource, &configs, door)?;
        for record in &records {
            check_min_isr(image, &resource, record)?;
        }
        let changed: Vec<&String> = records.iter().filter_map(config_name).collect();
        let clear = clear_elr(image, &resource, changed);
        records.extend(clear);
        Ok(records)
    }
}

/// A change of the least number of in-sync replicas makes the sets of eligible leaders that were
/// kept under the old one worthless.
pub(super) fn clear_elr<'a>(
    image: &MetadataImage,
    resource: &ConfigResource,
    changed: impl IntoIterator<Item = &'a String>,
) -> Option<VersionedRecord> {
    if !image.features.elr_enabled() || !changed.into_iter().any(|name| name == MIN_ISR) {
        return None;
    }
    let topic_name = match resource.kind {
        ConfigResourceType::TOPIC => resource.name.clone(),
        _ => String::new(),
    };
    Some(v0(ClearElrRecord {
        topic_name,
        ..Default::default()
    }))
}

fn config_name(versioned: &VersionedRecord) -> Option<&String> {
    match &versioned.record {
        MetadataRecord::Config(record) => Some(&record.name),
        _ => None,
    }
}

pub(super) fn check_value_sizes(configs: &DynamicConfig) -> Result<(), ApiError> {
    match configs
        .values()
        .all(|value| value.chars().count() <= VALUE_LENGTH_MAX)
    {
        true => Ok(()),
        false => Err(ApiError::new(
            ErrorCode::InvalidConfig,
            "The configuration value cannot be added because it exceeds the maximum value size of \
             32767 bytes.",
        )),
    }
}

fn repeated<'a>(resources: impl Iterator<Item = (i8, &'a str)>) -> BTreeSet<(i8, &'a str)> {
    let mut seen = BTreeSet::new();
    resources
        .filter(|resource| !seen.insert(*resource))
        .collect()
}

fn each_resource_once() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidRequest,
        "Each resource must appear at most once.",
    )
}

fn collect(
    altered: Result<Vec<VersionedRecord>, ApiError>,
    records: &mut Vec<VersionedRecord>,
) -> ApiError {
    match altered {
        Ok(mut altered) => {
            records.append(&mut altered);
            ApiError::bare(ErrorCode::None)
        }
        Err(error) => error,
    }
}

fn check_changes(changes: &[AlterableConfig]) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    if !changes
        .iter()
        .all(|change| seen.insert(change.name.as_str()))
    {
        let message = "Error due to duplicate config keys";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    let is_null =
        |change: &&AlterableConfig| change.config_operation != DELETE && change.value.is_none();
    let nulls: Vec<&str> = changes
        .iter()
        .filter(is_null)
        .map(|change| change.name.as_str())
        .collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for : {}", nulls.join(", "));
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    Ok(())
}

fn group_key(name: &str) -> Option<&'static ConfigKey> {
    group::table().key(name)
}

fn topic_key(name: &str) -> Option<&'static ConfigKey> {
    topic::table().key(name)
}

/// The value of a key after a change; None if it is no longer set.
fn altered_value(
    old: Option<&str>,
    change: &AlterableConfig,
    key: Option<&'static ConfigKey>,
) -> Result<Option<String>, ApiError> {
    let value = change.value.as_deref().unwrap_or_default();
    let operation = match change.config_operation {
        SET => return Ok(Some(value.to_owned())),
        DELETE => return Ok(None),
        APPEND => "APPEND",
        SUBTRACT => "SUBTRACT",
        _ => return Err(ErrorCode::UnknownServerError.into()),
    };
    let Some(key) = key.filter(|key| key.kind == Kind::List) else {
        let name = &change.name;
        let message = format!("Can't {operation} to key {name} because its type is not LIST.");
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    };
    let default = match key.default {
        KeyDefault::Value(text) => text,
        _ => "",
    };
    let mut parts: Vec<&str> = old
        .unwrap_or(default)
        .split(',')
        .filter(|part| !part.is_empty())
        .collect();
    for part in value.split(',') {
        let at = parts.iter().position(|present| *present == part);
        match (change.config_operation, at) {
            (APPEND, None) => parts.push(part),
            (SUBTRACT, Some(at)) => {
                parts.remove(at);
            }
            _ => {}
        }
    }
    Ok(Some(parts.join(",")))
}

/// Eligible leaders are counted by one minimum for the whole cluster.
fn check_min_isr(
    image: &MetadataImage,
    resource: &ConfigResource,
    change: &VersionedRecord,
) -> Result<(), ApiError> {
    let MetadataRecord::Config(change) = &change.record else {
        return Ok(());
    };
    let is_broker = resource.kind == ConfigResourceType::BROKER;
    if change.name != MIN_ISR || !is_broker || !image.features.elr_enabled() {
        return Ok(());
    }
    let message = match (resource.name.is_empty(), &change.value) {
        (false, Some(_)) => {
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled."
        }
        (true, None) => "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        _ => return Ok(()),
    };
    Err(ApiError::new(ErrorCode::InvalidConfig, message))
}
