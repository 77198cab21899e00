//! AlterClientQuotas: what users, client ids and addresses may use.
//!
//! An entity is altered whole or not at all; the entities of a request do not depend on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::ToSocketAddrs;

use super::{ApiError, Controller, ControllerResult};
use crate::metadata::image::{MetadataImage, QuotaEntity};
use crate::metadata::record::{VersionedRecord, v0};
use crate::protocol::ErrorCode;
use crate::protocol::messages::alter_client_quotas_request::{EntryData, OpData};
use crate::protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, alter_client_quotas_response,
};
use crate::protocol::records::metadata::{ClientQuotaRecord, client_quota_record};

/// Entity types.
pub const USER: &str = "user";
pub const CLIENT_ID: &str = "client-id";
pub const IP: &str = "ip";

/// Quota keys.
pub const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
pub const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
pub const REQUEST_PERCENTAGE: &str = "request_percentage";
pub const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";
pub const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// How a quota's value is stored, which bounds it.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Int,
    Long,
    Double,
}

const OF_USERS_AND_CLIENTS: [(&str, Kind); 4] = [
    (PRODUCER_BYTE_RATE, Kind::Long),
    (CONSUMER_BYTE_RATE, Kind::Long),
    (REQUEST_PERCENTAGE, Kind::Double),
    (CONTROLLER_MUTATION_RATE, Kind::Double),
];
const OF_IPS: [(&str, Kind); 1] = [(CONNECTION_CREATION_RATE, Kind::Int)];

impl Controller {
    pub fn alter_client_quotas(
        &self,
        image: &MetadataImage,
        request: &AlterClientQuotasRequest,
    ) -> ControllerResult<AlterClientQuotasResponse> {
        let mut records = Vec::new();
        let mut results: Vec<(QuotaEntity, ApiError)> = Vec::new();
        for entry in &request.entries {
            let entity = entity_of(entry);
            let known = results.iter().position(|(seen, _)| *seen == entity);
            let error = match known {
                Some(_) => Err(duplicate(&entity)),
                None => alter(image, &entity, &entry.ops),
            };
            let error = match error {
                Ok(mut altered) => {
                    records.append(&mut altered);
                    ApiError::bare(ErrorCode::None)
                }
                Err(error) => error,
            };
            match known.and_then(|at| results.get_mut(at)) {
                Some((_, result)) => *result = error,
                None => results.push((entity, error)),
            }
        }
        if request.validate_only {
            records.clear();
        }
        let entries = results.into_iter().map(response_entry).collect();
        let response = AlterClientQuotasResponse {
            entries,
            ..Default::default()
        };
        ControllerResult::atomic(records, response)
    }
}

fn entity_of(entry: &EntryData) -> QuotaEntity {
    let parts = entry.entity.iter();
    parts
        .map(|part| (part.entity_type.clone(), part.entity_name.clone()))
        .collect()
}

fn response_entry(
    (entity, error): (QuotaEntity, ApiError),
) -> alter_client_quotas_response::EntryData {
    let part = |(entity_type, entity_name)| alter_client_quotas_response::EntityData {
        entity_type,
        entity_name,
    };
    // In the order of Kafka's hash table.
    let (ips, mut parts): (Vec<_>, Vec<_>) = entity.into_iter().partition(|(kind, _)| kind == IP);
    parts.extend(ips);
    alter_client_quotas_response::EntryData {
        error_code: error.code.code(),
        error_message: error.message,
        entity: parts.into_iter().map(part).collect(),
    }
}

/// As Java prints the entity.
fn shown(entity: &QuotaEntity) -> String {
    let parts: Vec<String> = entity
        .iter()
        .map(|(kind, name)| format!("{kind}={}", name.as_deref().unwrap_or("null")))
        .collect();
    format!("ClientQuotaEntity(entries={{{}}})", parts.join(", "))
}

fn duplicate(entity: &QuotaEntity) -> ApiError {
    invalid(format!("Ignoring duplicate entity {}", shown(entity)))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

fn alter(
    image: &MetadataImage,
    entity: &QuotaEntity,
    ops: &[OpData],
) -> Result<Vec<VersionedRecord>, ApiError> {
    let mut seen = BTreeSet::new();
    if !ops.iter().all(|op| seen.insert(&op.key)) {
        return Err(duplicate(entity));
    }
    let keys = keys_of(entity)?;
    let nothing = BTreeMap::new();
    let current = image.quotas.by_entity.get(entity).unwrap_or(&nothing);
    let mut records = Vec::new();
    for op in ops {
        let present = current.get(&op.key);
        if op.remove {
            if present.is_some() {
                records.push(record(entity, &op.key, None));
            }
            continue;
        }
        check_value(keys, &op.key, op.value)?;
        if present != Some(&op.value) {
            records.push(record(entity, &op.key, Some(op.value)));
        }
    }
    Ok(records)
}

fn record(entity: &QuotaEntity, key: &str, value: Option<f64>) -> VersionedRecord {
    let part = |(kind, name): (&String, &Option<String>)| client_quota_record::EntityData {
        entity_type: kind.clone(),
        entity_name: name.clone(),
        ..Default::default()
    };
    v0(ClientQuotaRecord {
        entity: entity.iter().map(part).collect(),
        key: key.to_owned(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
        ..Default::default()
    })
}

/// The quotas that an entity may have.
fn keys_of(entity: &QuotaEntity) -> Result<&'static [(&'static str, Kind)], ApiError> {
    if entity.is_empty() {
        return Err(invalid("Invalid empty client quota entity"));
    }
    for (kind, name) in entity {
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return Err(invalid(format!(
                "Unhandled client quota entity type: {kind}"
            )));
        }
        if name.as_deref() == Some("") {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
    }
    let Some(ip) = entity.get(IP) else {
        return Ok(&OF_USERS_AND_CLIENTS);
    };
    if entity.len() > 1 {
        // The missing space is Kafka's.
        return Err(invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        ));
    }
    match ip {
        Some(host) if (host.as_str(), 0).to_socket_addrs().is_err() => Err(invalid(format!(
            "{host} is not a valid IP or resolvable host."
        ))),
        _ => Ok(&OF_IPS),
    }
}

fn check_value(keys: &[(&str, Kind)], key: &str, value: f64) -> Result<(), ApiError> {
    let Some((_, kind)) = keys.iter().find(|(known, _)| *known == key) else {
        return Err(invalid(format!("Invalid configuration key {key}")));
    };
    if value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    let (max, name) = match kind {
        Kind::Double => return Ok(()),
        Kind::Int => (f64::from(i32::MAX), "an INT"),
        Kind::Long => (i64::MAX as f64, "a LONG"),
    };
    if value > max {
        return Err(invalid(format!(
            "Proposed value for {key} is too large for {name}."
        )));
    }
    if (value % 1.0).abs() > 1e-6 {
        return Err(invalid(format!("{key} cannot be a fractional value.")));
    }
    Ok(())
}
