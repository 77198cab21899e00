//! InitProducerId (key 22), versions 0–5.
//!
//! Idempotent producers get an id of this broker's block with epoch 0; a block of 1000 is a metadata record, so ids are
//! never given twice. A producer that names its id and epoch (3, KIP-360) but no transactional id gets a new id too, as
//! from Kafka.
//!
//! - 2: flexible. 3: producer id and epoch. 4: PRODUCER_FENCED. 5: transactions (KIP-890).
//!
//! A transactional id is refused until there is a transaction coordinator.

use tracing::warn;

use crate::broker::context::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |error: ErrorCode| InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    if let Some(transactional_id) = request.transactional_id {
        warn!(
            "refused a producer id for transactional id {transactional_id:?} of client {:?}: \
             transactions are not supported yet by this broker",
            cx.client_id()
        );
        return refused(ErrorCode::InvalidRequest);
    }
    let has = (request.producer_id != -1, request.producer_epoch != -1);
    if has.0 != has.1 {
        // Both or neither.
        return refused(ErrorCode::InvalidRequest);
    }
    match cx.broker.producer_ids.next(cx.broker).await {
        Ok(producer_id) => InitProducerIdResponse {
            producer_id,
            producer_epoch: 0,
            ..Default::default()
        },
        Err(error) => refused(error),
    }
}
