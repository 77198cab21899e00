//! Producer ids, given out from blocks that the controller allocates.

use tokio::sync::Mutex;

use super::node::Broker;
use crate::protocol::ErrorCode;

/// The block in use: the next id, and the first that is not ours.
#[derive(Debug, Default)]
pub struct ProducerIds {
    block: Mutex<(i64, i64)>,
}

impl ProducerIds {
    /// An id that no producer has had. Callers queue while a new block is allocated.
    pub async fn next(&self, broker: &Broker) -> Result<i64, ErrorCode> {
        let mut block = self.block.lock().await;
        if block.0 >= block.1 {
            let allocated = broker
                .controller
                .allocate_producer_ids(broker.node_id, broker.epoch);
            *block = allocated
                .await
                .map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
        }
        block.0 += 1;
        Ok(block.0 - 1)
    }
}
