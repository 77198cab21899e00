//! Registrations of controllers and brokers; unfencing, and leaving in order.
//!
//! A combined node that starts goes through `register_controller`, `register_broker`,
//! `report_cordoned_directories` and `unfence_broker`, and stops with `controlled_shutdown` and
//! `fence_broker`: the records are those that Kafka's own combined node leaves.

use std::collections::BTreeSet;

use super::elections::BrokerChange;
use super::{ApiError, Controller, ControllerResult};
use crate::metadata::feature;
use crate::metadata::image::{BrokerRegistration, MetadataImage, broker_record};
use crate::metadata::properties::is_reserved;
use crate::metadata::record::{MetadataRecord, VersionedRecord, v0};
use crate::metadata::version::FEATURE_NAME;
use crate::protocol::messages::{BrokerRegistrationRequest, ControllerRegistrationRequest};
use crate::protocol::records::metadata::{
    BrokerRegistrationChangeRecord, FenceBrokerRecord, RegisterControllerRecord,
    UnfenceBrokerRecord, register_broker_record, register_controller_record,
};
use crate::protocol::{ErrorCode, Uuid};

impl Controller {
    /// Registers a controller; nothing to record before metadata version 3.7-IV0.
    pub fn register_controller(
        &self,
        image: &MetadataImage,
        request: &ControllerRegistrationRequest,
    ) -> Result<ControllerResult<()>, ApiError> {
        if !image
            .features
            .metadata_version()
            .supports_controller_registration()
        {
            return Err(ApiError::new(
                ErrorCode::UnsupportedVersion,
                "The current MetadataVersion is too old to support controller registrations.",
            ));
        }
        let end_point = |listener: &_| {
            let crate::protocol::messages::controller_registration_request::Listener {
                name,
                host,
                port,
                security_protocol,
                ..
            } = listener;
            register_controller_record::ControllerEndpoint {
                name: name.clone(),
                host: host.clone(),
                port: *port,
                security_protocol: *security_protocol,
                ..Default::default()
            }
        };
        let record = RegisterControllerRecord {
            controller_id: request.controller_id,
            incarnation_id: request.incarnation_id,
            zk_migration_ready: false,
            end_points: request.listeners.iter().map(end_point).collect(),
            features: request
                .features
                .iter()
                .map(|range| register_controller_record::ControllerFeature {
                    name: range.name.clone(),
                    min_supported_version: range.min_supported_version,
                    max_supported_version: range.max_supported_version,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        Ok(ControllerResult::atomic(vec![v0(record)], ()))
    }

    /// Registers a broker, fenced. `next_offset` is the offset that the first of the records will
    /// get; the broker's epoch is the offset of its registration. The response is that epoch.
    pub fn register_broker(
        &self,
        image: &MetadataImage,
        request: &BrokerRegistrationRequest,
        next_offset: i64,
    ) -> Result<ControllerResult<i64>, ApiError> {
        self.check_registration(image, request)?;
        let existing = image.cluster.broker(request.broker_id);
        let mut registration = self.registration(image, request)?;
        let mut records = Vec::new();
        match existing {
            Some(existing) if existing.incarnation_id == request.incarnation_id => {
                registration.fenced = existing.fenced;
                registration.in_controlled_shutdown = existing.in_controlled_shutdown;
                registration.broker_epoch = existing.broker_epoch;
            }
            _ => {
                // Only the epoch that the broker noted when it stopped in order proves that it did.
                let was_clean = existing
                    .is_some_and(|broker| broker.broker_epoch == request.previous_broker_epoch);
                let id = request.broker_id;
                let change = match was_clean || !image.features.elr_enabled() {
                    true => BrokerChange::Leaves(id),
                    false => BrokerChange::WasUnclean(id),
                };
                records = self.partition_changes(image, change);
                registration.broker_epoch = next_offset + records.len() as i64;
            }
        }
        let epoch = registration.broker_epoch;
        records.push(broker_record(
            &registration,
            image.features.metadata_version(),
        ));
        Ok(ControllerResult::atomic(records, epoch))
    }

    /// The directories that get no new replicas, as the broker's first heartbeat reports them.
    pub fn report_cordoned_directories(
        &self,
        image: &MetadataImage,
        broker_id: i32,
        cordoned: &[Uuid],
    ) -> Result<ControllerResult<()>, ApiError> {
        let broker = registered(image, broker_id)?;
        let is_new = broker.cordoned_log_dirs.as_deref() != Some(cordoned);
        let mut records = Vec::new();
        if is_new
            && image
                .features
                .metadata_version()
                .supports_cordoned_log_dirs()
        {
            let change = BrokerRegistrationChangeRecord {
                cordoned_log_dirs: Some(cordoned.to_vec()),
                ..change_of(broker)
            };
            records.push(MetadataRecord::from(change).at(3));
        }
        Ok(ControllerResult::atomic(records, ()))
    }

    /// Lets a registered broker in: it may lead, and partitions without a leader get it back.
    pub fn unfence_broker(
        &self,
        image: &MetadataImage,
        broker_id: i32,
    ) -> Result<ControllerResult<()>, ApiError> {
        let broker = registered(image, broker_id)?;
        let mut records = vec![fencing(image, broker, false)];
        records.append(&mut self.partition_changes(image, BrokerChange::Returns(broker_id)));
        Ok(ControllerResult::in_steps(records, ()))
    }

    /// Takes the lead of every partition from a broker that is about to stop.
    pub fn controlled_shutdown(
        &self,
        image: &MetadataImage,
        broker_id: i32,
    ) -> Result<ControllerResult<()>, ApiError> {
        let broker = registered(image, broker_id)?;
        let mut records = Vec::new();
        if !broker.in_controlled_shutdown {
            let change = BrokerRegistrationChangeRecord {
                in_controlled_shutdown: 1,
                ..change_of(broker)
            };
            records.push(MetadataRecord::from(change).at(1));
        }
        records.append(&mut self.partition_changes(image, BrokerChange::Leaves(broker_id)));
        Ok(ControllerResult::in_steps(records, ()))
    }

    /// Shuts a broker out that stopped or fell silent.
    pub fn fence_broker(
        &self,
        image: &MetadataImage,
        broker_id: i32,
    ) -> Result<ControllerResult<()>, ApiError> {
        let broker = registered(image, broker_id)?;
        let mut records = self.partition_changes(image, BrokerChange::Leaves(broker_id));
        if !broker.fenced {
            records.push(fencing(image, broker, true));
        }
        Ok(ControllerResult::in_steps(records, ()))
    }

    /// Refuses a broker that is not the registered one.
    pub(super) fn check_broker_epoch(
        &self,
        image: &MetadataImage,
        broker_id: i32,
        broker_epoch: i64,
    ) -> Result<(), ApiError> {
        let stale = |message| Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message));
        match image.cluster.broker(broker_id) {
            None => stale(format!(
                "No broker registration found for broker id {broker_id}"
            )),
            Some(broker) if broker.broker_epoch != broker_epoch => stale(format!(
                "Expected broker epoch {}, but got broker epoch {broker_epoch}",
                broker.broker_epoch
            )),
            Some(_) => Ok(()),
        }
    }

    fn check_registration(
        &self,
        image: &MetadataImage,
        request: &BrokerRegistrationRequest,
    ) -> Result<(), ApiError> {
        if self.cluster_id != request.cluster_id {
            let (expected, found) = (&self.cluster_id, &request.cluster_id);
            let message = format!("Expected cluster ID {expected}, but got cluster ID {found}");
            return Err(ApiError::new(ErrorCode::InconsistentClusterId, message));
        }
        if request.is_migrating_zk_broker {
            let message = "Controller does not support registering ZK brokers.";
            return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
        }
        if !image.features.metadata_version().supports_directories() {
            return Ok(());
        }
        let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidRegistration, message));
        if request.log_dirs.is_empty() {
            return invalid("No directories specified in request".to_owned());
        }
        if request
            .log_dirs
            .iter()
            .any(|directory| is_reserved(*directory))
        {
            return invalid("Reserved directory ID in request".to_owned());
        }
        let mut seen = BTreeSet::new();
        if !request
            .log_dirs
            .iter()
            .all(|directory| seen.insert(*directory))
        {
            return invalid("Duplicate directory ID in request".to_owned());
        }
        for directory in &request.log_dirs {
            match image.cluster.broker_of_directory(*directory) {
                Some(other) if other != request.broker_id => {
                    return invalid(format!(
                        "Broker {other} is already registered with directory {directory}"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn registration(
        &self,
        image: &MetadataImage,
        request: &BrokerRegistrationRequest,
    ) -> Result<BrokerRegistration, ApiError> {
        if !request
            .features
            .iter()
            .any(|range| range.name == FEATURE_NAME)
        {
            let message = "Request features do not contain 'metadata.version'";
            return Err(ApiError::new(ErrorCode::InvalidRegistration, message));
        }
        for (name, level) in image.features.finalized() {
            // A broker that does not know a feature supports its level 0.
            let range = request.features.iter().find(|range| range.name == name);
            let (min, max) = range.map_or((0, 0), |range| {
                (range.min_supported_version, range.max_supported_version)
            });
            if !(min..=max).contains(&level) {
                return Err(ApiError::new(
                    ErrorCode::UnsupportedVersion,
                    format!(
                        "Unable to register because the broker does not support finalized version \
                         {level} of {name}. The broker wants a version between {min} and {max}, \
                         inclusive."
                    ),
                ));
            }
        }
        let end_points = request.listeners.iter();
        let features = request.features.iter();
        Ok(BrokerRegistration {
            broker_id: request.broker_id,
            incarnation_id: request.incarnation_id,
            end_points: end_points
                .map(|listener| register_broker_record::BrokerEndpoint {
                    name: listener.name.clone(),
                    host: listener.host.clone(),
                    port: listener.port,
                    security_protocol: listener.security_protocol,
                    ..Default::default()
                })
                .collect(),
            features: features
                .map(|range| register_broker_record::BrokerFeature {
                    name: range.name.clone(),
                    min_supported_version: range.min_supported_version,
                    max_supported_version: range.max_supported_version,
                    ..Default::default()
                })
                .collect(),
            rack: request.rack.clone(),
            fenced: true,
            log_dirs: request.log_dirs.clone(),
            ..Default::default()
        })
    }
}

/// The feature ranges that this version puts into a broker's registration.
pub fn supported_broker_features()
-> Vec<crate::protocol::messages::broker_registration_request::Feature> {
    let range = |(name, (min, max)): (&str, (i16, i16))| {
        crate::protocol::messages::broker_registration_request::Feature {
            name: name.to_owned(),
            min_supported_version: min,
            max_supported_version: max,
        }
    };
    feature::supported().into_iter().map(range).collect()
}

/// The feature ranges that this version puts into a controller's registration.
pub fn supported_controller_features()
-> Vec<crate::protocol::messages::controller_registration_request::Feature> {
    let range = |(name, (min, max)): (&str, (i16, i16))| {
        crate::protocol::messages::controller_registration_request::Feature {
            name: name.to_owned(),
            min_supported_version: min,
            max_supported_version: max,
        }
    };
    feature::supported().into_iter().map(range).collect()
}

pub(super) fn registered(image: &MetadataImage, id: i32) -> Result<&BrokerRegistration, ApiError> {
    image.cluster.broker(id).ok_or_else(|| {
        let message = format!("Broker ID {id} is not currently registered");
        ApiError::new(ErrorCode::BrokerIdNotRegistered, message)
    })
}

fn change_of(broker: &BrokerRegistration) -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord {
        broker_id: broker.broker_id,
        broker_epoch: broker.broker_epoch,
        ..Default::default()
    }
}

fn fencing(image: &MetadataImage, broker: &BrokerRegistration, fenced: bool) -> VersionedRecord {
    let (id, epoch) = (broker.broker_id, broker.broker_epoch);
    // Every metadata version that 4.x starts on has the newer record; older logs have these.
    if !image.features.is_bootstrapped() {
        return match fenced {
            true => v0(FenceBrokerRecord {
                id,
                epoch,
                ..Default::default()
            }),
            false => v0(UnfenceBrokerRecord {
                id,
                epoch,
                ..Default::default()
            }),
        };
    }
    let fenced = if fenced { 1 } else { -1 };
    v0(BrokerRegistrationChangeRecord {
        fenced,
        ..change_of(broker)
    })
}
