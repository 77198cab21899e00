//! What the files of the tree contain: the `toString` of Kafka's classes.
use std::fmt::Display;

use bytes::Bytes;

use crate::metadata::image::{
    BrokerRegistration, ControllerRegistration, PartitionImage, Provenance, RecoveryState,
};
use crate::protocol::Uuid;
use crate::protocol::records::metadata::{
    AccessControlEntryRecord, DelegationTokenRecord, UserScramCredentialRecord,
};

pub fn provenance(provenance: &Provenance) -> String {
    let time = jiff::Timestamp::from_millisecond(provenance.last_timestamp_ms);
    format!(
        "offset {}, epoch {}, time {}[UTC]",
        provenance.last_offset,
        provenance.last_epoch,
        time.unwrap_or_default()
    )
}

pub fn broker(broker: &BrokerRegistration) -> String {
    let listeners = broker.end_points.iter();
    let listeners = listeners.map(|e| (&*e.name, &*e.host, e.port, e.security_protocol));
    let features = broker.features.iter();
    let features = features.map(|f| (&*f.name, f.min_supported_version, f.max_supported_version));
    format!(
        "BrokerRegistration(id={}, epoch={}, incarnationId={}, listeners=[{}], \
         supportedFeatures={{{}}}, rack={}, fenced={}, inControlledShutdown={}, \
         isMigratingZkBroker={}, directories={}, cordonedDirectories={})",
        broker.broker_id,
        broker.broker_epoch,
        broker.incarnation_id,
        endpoints(listeners),
        supported(features),
        match &broker.rack {
            Some(rack) => format!("Optional[{rack}]"),
            None => "Optional.empty".to_owned(),
        },
        broker.fenced,
        broker.in_controlled_shutdown,
        broker.is_migrating_zk_broker,
        list(sorted(&broker.log_dirs)),
        list(sorted(
            broker.cordoned_log_dirs.as_deref().unwrap_or_default()
        )),
    )
}

pub fn controller(node: &ControllerRegistration) -> String {
    let listeners = node.end_points.iter();
    let listeners = listeners.map(|e| (&*e.name, &*e.host, e.port, e.security_protocol));
    let features = node.features.iter();
    let features = features.map(|f| (&*f.name, f.min_supported_version, f.max_supported_version));
    format!(
        "ControllerRegistration(id={}, incarnationId={}, zkMigrationReady={}, listeners=[{}], \
         supportedFeatures={{{}}})",
        node.controller_id,
        node.incarnation_id,
        node.zk_migration_ready,
        endpoints(listeners),
        supported(features),
    )
}

fn endpoints<'e>(endpoints: impl Iterator<Item = (&'e str, &'e str, u16, i16)>) -> String {
    let mut endpoints: Vec<_> = endpoints.collect();
    endpoints.sort_unstable();
    let endpoints = endpoints.into_iter().map(|(name, host, port, protocol)| {
        let protocol = match protocol {
            0 => "PLAINTEXT",
            1 => "SSL",
            2 => "SASL_PLAINTEXT",
            3 => "SASL_SSL",
            _ => "UNKNOWN",
        };
        format!(
            "Endpoint(listenerName='{name}', securityProtocol={protocol}, host='{host}', \
             port={port})"
        )
    });
    endpoints.collect::<Vec<_>>().join(", ")
}

fn supported<'f>(features: impl Iterator<Item = (&'f str, i16, i16)>) -> String {
    let mut features: Vec<_> = features.collect();
    features.sort_unstable();
    let features = features.into_iter();
    let features = features.map(|(name, min, max)| match min == max {
        true => format!("{name}: {min}"),
        false => format!("{name}: {min}-{max}"),
    });
    features.collect::<Vec<_>>().join(", ")
}

/// In the order of Java's ids, whose halves are signed.
fn sorted(ids: &[Uuid]) -> Vec<Uuid> {
    let mut ids = ids.to_vec();
    ids.sort_by_key(|id| {
        let id = id.as_u128();
        ((id >> 64) as i64, id as i64)
    });
    ids
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items = items.into_iter().map(|item| item.to_string());
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

pub fn partition(partition: &PartitionImage) -> String {
    // Records of old releases do not say which directory: a replica in migration.
    let directories = match partition.directories.is_empty() {
        true => vec![Uuid::ZERO; partition.replicas.len()],
        false => partition.directories.clone(),
    };
    format!(
        "PartitionRegistration(replicas={}, directories={}, isr={}, removingReplicas={}, \
         addingReplicas={}, elr={}, lastKnownElr={}, leader={}, leaderRecoveryState={}, \
         leaderEpoch={}, partitionEpoch={})",
        list(&partition.replicas),
        list(directories),
        list(&partition.isr),
        list(&partition.removing_replicas),
        list(&partition.adding_replicas),
        list(&partition.elr),
        list(&partition.last_known_elr),
        partition.leader,
        match partition.recovery_state {
            RecoveryState::Recovered => "RECOVERED",
            RecoveryState::Recovering => "RECOVERING",
        },
        partition.leader_epoch,
        partition.partition_epoch,
    )
}

pub fn acl(acl: &AccessControlEntryRecord) -> String {
    const RESOURCES: [&str; 8] = [
        "UNKNOWN",
        "ANY",
        "TOPIC",
        "GROUP",
        "CLUSTER",
        "TRANSACTIONAL_ID",
        "DELEGATION_TOKEN",
        "USER",
    ];
    const PATTERNS: [&str; 5] = ["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"];
    const OPERATIONS: [&str; 16] = [
        "UNKNOWN",
        "ANY",
        "ALL",
        "READ",
        "WRITE",
        "CREATE",
        "DELETE",
        "ALTER",
        "DESCRIBE",
        "CLUSTER_ACTION",
        "DESCRIBE_CONFIGS",
        "ALTER_CONFIGS",
        "IDEMPOTENT_WRITE",
        "CREATE_TOKENS",
        "DESCRIBE_TOKENS",
        "TWO_PHASE_COMMIT",
    ];
    const PERMISSIONS: [&str; 4] = ["UNKNOWN", "ANY", "DENY", "ALLOW"];
    fn name(names: &[&'static str], code: i8) -> &'static str {
        let code = usize::try_from(code).unwrap_or_default();
        names.get(code).copied().unwrap_or("UNKNOWN")
    }
    format!(
        "StandardAcl[resourceType={}, resourceName={}, patternType={}, principal={}, host={}, \
         operation={}, permissionType={}]",
        name(&RESOURCES, acl.resource_type),
        acl.resource_name,
        name(&PATTERNS, acl.pattern_type),
        acl.principal,
        acl.host,
        name(&OPERATIONS, acl.operation),
        name(&PERMISSIONS, acl.permission_type),
    )
}

pub fn scram(credential: &UserScramCredentialRecord) -> String {
    let hex = |bytes: &Bytes| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    format!(
        "ScramCredentialData(salt={}, storedKey={}, serverKey={}, iterations={})",
        hex(&credential.salt),
        hex(&credential.stored_key),
        hex(&credential.server_key),
        credential.iterations
    )
}

/// With the parentheses that Kafka opens and does not close.
pub fn token(token: &DelegationTokenRecord) -> String {
    format!(
        "DelegationTokenDatatokenId={}(owner={}(tokenRequester={}(renewers={}, \
         issueTimestamp={}, maxTimestamp={}), expiryTimestamp={}",
        token.token_id,
        token.owner,
        token.requester,
        token.renewers.join(" "),
        token.issue_timestamp,
        token.max_timestamp,
        token.expiration_timestamp,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_long_as_they_need_to_be() {
        let at = |last_timestamp_ms| {
            provenance(&Provenance {
                last_offset: 6,
                last_epoch: 0,
                last_timestamp_ms,
            })
        };
        assert_eq!(
            at(1_795_210_445_130),
            "offset 6, epoch 0, time 2026-11-20T21:34:05.13Z[UTC]"
        );
        assert_eq!(
            at(-1),
            "offset 6, epoch 0, time 1969-12-31T23:59:59.999Z[UTC]"
        );
        assert_eq!(at(0), "offset 6, epoch 0, time 1970-01-01T00:00:00Z[UTC]");
    }
}
