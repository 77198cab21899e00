//! DeleteRecords (key 21), versions 0–2 (KIP-107).
//!
//! Moves the start of a partition's log; segments below go with the next retention. An offset of -1 is the high
//! watermark. The timeout is for followers, of which there are none.
//!
//! - 2: flexible.

use crate::broker::api::topic_view::is_internal;
use crate::broker::context::RequestContext;
use crate::broker::errors::read_error;
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use crate::protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

const HIGH_WATERMARK: i64 = -1;
const NO_LOW_WATERMARK: i64 = -1;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut response = DeleteRecordsResponse::default();
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let index = asked.partition_index;
            let (low_watermark, error) = match delete(cx, &topic.name, index, asked.offset) {
                Ok(low_watermark) => (low_watermark, ErrorCode::None),
                Err(error) => (NO_LOW_WATERMARK, error),
            };
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: index,
                low_watermark,
                error_code: error.code(),
            });
        }
        response.topics.push(DeleteRecordsTopicResult {
            name: topic.name,
            partitions,
        });
    }
    response
}

/// Deletes what is below `offset`; where the log starts then.
fn delete(cx: &RequestContext<'_>, topic: &str, index: i32, offset: i64) -> Result<i64, ErrorCode> {
    if cx.broker.image().topics.partition(topic, index).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    if is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition = cx.broker.topics.partition(topic, index);
    let partition = partition.ok_or_else(|| cx.broker.absent_partition(topic, index))?;
    partition.lead(-1)?;
    let log = &partition.log;
    if !log.config().delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = match offset {
        HIGH_WATERMARK => log.high_watermark(),
        offset if offset < 0 => return Err(ErrorCode::OffsetOutOfRange),
        offset => offset,
    };
    let start = log
        .increment_log_start_offset(offset)
        .map_err(|e| read_error(&partition, e))?;
    partition.waiters.wake();
    Ok(start)
}
