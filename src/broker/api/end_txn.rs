//! EndTxn (key 26), versions 0–5: commits or aborts a transaction.
//!
//! - 2: PRODUCER_FENCED. 3: flexible. 4: TRANSACTION_ABORTABLE. 5: raises the producer's epoch and says what the
//!   producer goes on with (KIP-890).
//!
//! The answer waits until all partitions have their markers, so that the next transaction does not run into this one.

use crate::broker::context::RequestContext;
use crate::coordinator::transaction::Ended;
use crate::protocol::messages::{EndTxnRequest, EndTxnResponse};

const FIRST_WITH_EPOCH_BUMP: i16 = 5;
const EPOCH_BUMP_VERSION: i16 = 2;

pub async fn handle(cx: &RequestContext<'_>, request: EndTxnRequest) -> EndTxnResponse {
    let bumps = cx.api_version >= FIRST_WITH_EPOCH_BUMP;
    let ended = Ended {
        transactional_id: request.transactional_id,
        producer_id: request.producer_id,
        producer_epoch: request.producer_epoch,
        committed: request.committed,
        client_version: if bumps { EPOCH_BUMP_VERSION } else { 0 },
        fresh: None,
    };
    let fresh_id = || cx.broker.producer_ids.next(cx.broker);
    match cx
        .broker
        .transactions
        .end_transaction(ended, fresh_id)
        .await
    {
        Ok(producer) => EndTxnResponse {
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            ..Default::default()
        },
        Err(error) => EndTxnResponse {
            error_code: super::fenced_for(cx.api_version, Err(error)),
            ..Default::default()
        },
    }
}
