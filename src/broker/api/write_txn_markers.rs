//! WriteTxnMarkers (key 27), versions 1–2: ends transactions in partitions, as their coordinator has decided; or as an
//! administrator has, who ends one that hangs (KIP-664).
//!
//! - 1: flexible. 2: the transaction version that a marker is written for (KIP-1228).

use crate::broker::context::RequestContext;
use crate::broker::transactions::write_marker;
use crate::coordinator::TransactionEnd;
use crate::protocol::ErrorCode;
use crate::protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use crate::protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let mut response = WriteTxnMarkersResponse::default();
    for marker in request.markers {
        let end = TransactionEnd {
            producer_id: marker.producer_id,
            producer_epoch: marker.producer_epoch,
            committed: marker.transaction_result,
            coordinator_epoch: marker.coordinator_epoch,
            transaction_version: i16::from(marker.transaction_version),
        };
        let mut topics = Vec::with_capacity(marker.topics.len());
        for topic in marker.topics {
            let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
            for partition_index in topic.partition_indexes {
                let written = write_marker(cx.broker, &topic.name, partition_index, end).await;
                partitions.push(WritableTxnMarkerPartitionResult {
                    partition_index,
                    error_code: written.err().unwrap_or(ErrorCode::None).code(),
                });
            }
            topics.push(WritableTxnMarkerTopicResult {
                name: topic.name,
                partitions,
            });
        }
        response.markers.push(WritableTxnMarkerResult {
            producer_id: marker.producer_id,
            topics,
        });
    }
    response
}
