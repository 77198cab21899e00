//! UnregisterBroker: a broker that is gone for good is forgotten.

use super::elections::BrokerChange;
use super::{ApiError, Controller, ControllerResult};
use crate::metadata::image::MetadataImage;
use crate::metadata::record::v0;
use crate::protocol::ErrorCode;
use crate::protocol::messages::UnregisterBrokerRequest;
use crate::protocol::records::metadata::UnregisterBrokerRecord;

impl Controller {
    /// Whether the broker still runs is not asked, as in Kafka.
    pub fn unregister_broker(
        &self,
        image: &MetadataImage,
        request: &UnregisterBrokerRequest,
    ) -> Result<ControllerResult<()>, ApiError> {
        let id = request.broker_id;
        let Some(broker) = image.cluster.broker(id) else {
            let message = format!("Broker ID {id} is not currently registered");
            return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
        };
        let mut records = self.partition_changes(image, BrokerChange::Leaves(id));
        records.push(v0(UnregisterBrokerRecord {
            broker_id: id,
            broker_epoch: broker.broker_epoch,
            ..Default::default()
        }));
        Ok(ControllerResult::in_steps(records, ()))
    }
}
