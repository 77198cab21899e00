//! AddOffsetsToTxn (key 25), versions 0–4: the group's partition of `__consumer_offsets` becomes part of a transaction.
//!
//! - 2: PRODUCER_FENCED. 3: flexible. 4: TRANSACTION_ABORTABLE (KIP-890).
//!
//! Producers of transaction version 2 do not send it: TxnOffsetCommit does it for them.

use crate::broker::auto_create::OFFSETS_TOPIC;
use crate::broker::context::RequestContext;
use crate::coordinator::transaction::{Partitions, PartitionsOf};
use crate::protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let partition = cx.broker.groups.partition_for(&request.group_id);
    let partitions = Partitions::from([(OFFSETS_TOPIC.to_owned(), [partition].into())]);
    let added = cx.broker.transactions.add_partitions(PartitionsOf {
        transactional_id: request.transactional_id,
        producer_id: request.producer_id,
        producer_epoch: request.producer_epoch,
        partitions,
        client_version: 0,
    });
    AddOffsetsToTxnResponse {
        error_code: super::fenced_for(cx.api_version, added.await),
        ..Default::default()
    }
}
