//! Blocks of producer ids, each handed to one broker once.

use super::{ApiError, Controller, ControllerResult};
use crate::metadata::image::MetadataImage;
use crate::metadata::record::v0;
use crate::protocol::ErrorCode;
use crate::protocol::records::metadata::ProducerIdsRecord;

/// How many ids a block has.
pub const BLOCK_SIZE: i32 = 1000;

/// The ids from `first` on, `len` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdsBlock {
    pub first: i64,
    pub len: i32,
}

impl Controller {
    /// The next block, for the broker of this epoch.
    pub fn allocate_producer_ids(
        &self,
        image: &MetadataImage,
        broker_id: i32,
        broker_epoch: i64,
    ) -> Result<ControllerResult<ProducerIdsBlock>, ApiError> {
        self.check_broker_epoch(image, broker_id, broker_epoch)?;
        let first = image
            .producer_ids
            .as_ref()
            .map_or(0, |record| record.next_producer_id);
        let Some(next_producer_id) = first.checked_add(i64::from(BLOCK_SIZE)) else {
            return Err(ApiError::new(
                ErrorCode::UnknownServerError,
                "Exhausted all producerIds as the next block's end producerId has exceeded the \
                 int64 type limit",
            ));
        };
        let record = v0(ProducerIdsRecord {
            broker_id,
            broker_epoch,
            next_producer_id,
            ..Default::default()
        });
        let block = ProducerIdsBlock {
            first,
            len: BLOCK_SIZE,
        };
        Ok(ControllerResult::atomic(vec![record], block))
    }
}
