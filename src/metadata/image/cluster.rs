//! Registered brokers and controllers.

use std::collections::BTreeMap;

use crate::protocol::Uuid;
use crate::protocol::records::metadata::{
    BrokerRegistrationChangeRecord, RegisterBrokerRecord, RegisterControllerRecord,
};

use super::ReplayError;

/// A broker's registration as it stands, later changes folded in.
pub type BrokerRegistration = RegisterBrokerRecord;
/// A controller's registration.
pub type ControllerRegistration = RegisterControllerRecord;

/// The nodes of the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterImage {
    pub brokers: BTreeMap<i32, BrokerRegistration>,
    pub controllers: BTreeMap<i32, ControllerRegistration>,
}

impl ClusterImage {
    /// The registration of a broker, fenced or not.
    pub fn broker(&self, id: i32) -> Option<&BrokerRegistration> {
        self.brokers.get(&id)
    }

    /// Whether the broker is registered, unfenced and not shutting down: may lead and be in ISRs.
    pub fn is_active(&self, id: i32) -> bool {
        self.broker(id)
            .is_some_and(|broker| !broker.fenced && !broker.in_controlled_shutdown)
    }

    /// Brokers that clients are told of.
    pub fn alive_brokers(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers.values().filter(|broker| !broker.fenced)
    }

    /// The broker that registered this log directory.
    pub fn broker_of_directory(&self, directory: Uuid) -> Option<i32> {
        let mut brokers = self.brokers.values();
        brokers
            .find(|broker| broker.log_dirs.contains(&directory))
            .map(|broker| broker.broker_id)
    }

    pub(super) fn unregister(&mut self, id: i32, epoch: i64) -> Result<(), ReplayError> {
        self.registered(id, epoch)?;
        self.brokers.remove(&id);
        Ok(())
    }

    pub(super) fn set_fenced(
        &mut self,
        id: i32,
        epoch: i64,
        fenced: bool,
    ) -> Result<(), ReplayError> {
        self.registered(id, epoch)?.fenced = fenced;
        Ok(())
    }

    pub(super) fn change(
        &mut self,
        record: &BrokerRegistrationChangeRecord,
    ) -> Result<(), ReplayError> {
        let broker = self.registered(record.broker_id, record.broker_epoch)?;
        match record.fenced {
            -1 => broker.fenced = false,
            1 => broker.fenced = true,
            _ => {}
        }
        // There is no way back from a controlled shutdown but to register again.
        if record.in_controlled_shutdown == 1 {
            broker.in_controlled_shutdown = true;
        }
        if !record.log_dirs.is_empty() {
            broker.log_dirs.clone_from(&record.log_dirs);
        }
        if record.cordoned_log_dirs.is_some() {
            broker
                .cordoned_log_dirs
                .clone_from(&record.cordoned_log_dirs);
        }
        Ok(())
    }

    fn registered(&mut self, id: i32, epoch: i64) -> Result<&mut BrokerRegistration, ReplayError> {
        match self.brokers.get_mut(&id) {
            Some(broker) if broker.broker_epoch == epoch => Ok(broker),
            _ => Err(ReplayError::NoSuchBroker { id, epoch }),
        }
    }
}
