//! InitProducerId (key 22), versions 0–5.
//!
//! Idempotent producers get an id of this broker's block with epoch 0; a block of 1000 is a metadata record, so ids are
//! never given twice. A producer that names its id and epoch (3, KIP-360) but no transactional id gets a new id too, as
//! from Kafka. With a transactional id the transaction coordinator answers.
//!
//! - 2: flexible. 3: producer id and epoch. 4: PRODUCER_FENCED. 5: TRANSACTION_ABORTABLE (KIP-890).

use crate::broker::context::RequestContext;
use crate::coordinator::transaction::{InitProducerId, ProducerIdAndEpoch};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

const FIRST_WITH_FENCED: i16 = 4;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    match initialize(cx, request).await {
        Ok(producer) => InitProducerIdResponse {
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            ..Default::default()
        },
        Err(error) => {
            let error = match error {
                ErrorCode::ProducerFenced if cx.api_version < FIRST_WITH_FENCED => {
                    ErrorCode::InvalidProducerEpoch
                }
                other => other,
            };
            InitProducerIdResponse {
                error_code: error.code(),
                producer_id: -1,
                producer_epoch: -1,
                ..Default::default()
            }
        }
    }
}

async fn initialize(
    cx: &RequestContext<'_>,
    request: InitProducerIdRequest,
) -> Result<ProducerIdAndEpoch, ErrorCode> {
    let current = ProducerIdAndEpoch {
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
    };
    let current = match (current.producer_id, current.epoch) {
        (-1, -1) => None,
        // Both or neither.
        (-1, _) | (_, -1) => return Err(ErrorCode::InvalidRequest),
        _ => Some(current),
    };
    let fresh_id = || cx.broker.producer_ids.next(cx.broker);
    let Some(transactional_id) = request.transactional_id else {
        return Ok(ProducerIdAndEpoch {
            producer_id: fresh_id().await?,
            epoch: 0,
        });
    };
    let request = InitProducerId {
        transactional_id,
        timeout_ms: request.transaction_timeout_ms,
        current,
        fresh: None,
    };
    let transactions = &cx.broker.transactions;
    transactions.init_producer_id(request, fresh_id).await
}
