//! Records of `__remote_log_metadata`, in the words of Kafka's `toString`.
//!
//! ```text
//! frame version uvarint = 1 | api key uvarint | version uvarint | body (flexible schema)
//! ```
use anyhow::{anyhow, bail};
use bytes::Bytes;

use crate::protocol::Message;
use crate::protocol::records::storage::*;
use crate::protocol::wire::Reader;

const FRAME_VERSION: u32 = 1;

pub fn text(value: &[u8]) -> anyhow::Result<String> {
    let mut reader = Reader::new(Bytes::copy_from_slice(value));
    let frame_version = reader.unsigned_varint()?;
    if frame_version != FRAME_VERSION {
        bail!(
            "Could not deserialize metadata record due to unknown frame version {frame_version}\
             (only frame version 1 is supported)"
        );
    }
    let api_key = reader.unsigned_varint()?;
    let version = i16::try_from(reader.unsigned_varint()?)?;
    let r = &mut reader;
    let text = match api_key {
        0 => segment(&RemoteLogSegmentMetadataRecord::decode(r, version)?)?,
        1 => update(&RemoteLogSegmentMetadataUpdateRecord::decode(r, version)?)?,
        2 => partition_delete(&RemotePartitionDeleteMetadataRecord::decode(r, version)?)?,
        3 => snapshot(&RemoteLogSegmentMetadataSnapshotRecord::decode(r, version)?)?,
        other => bail!("Unknown metadata id {other}"),
    };
    reader.end()?;
    Ok(text)
}

fn segment(record: &RemoteLogSegmentMetadataRecord) -> anyhow::Result<String> {
    let epochs = record.segment_leader_epochs.iter();
    let id = &record.remote_log_segment_id;
    let place = &id.topic_id_partition;
    Ok(format!(
        "RemoteLogSegmentMetadata{{remoteLogSegmentId=RemoteLogSegmentId{{topicIdPartition=\
         {}:{}-{}, id={}}}, startOffset={}, endOffset={}, brokerId={}, maxTimestampMs={}, \
         eventTimestampMs={}, segmentLeaderEpochs={}, segmentSizeInBytes={}, customMetadata={}, \
         state={}, txnIdxEmpty={}}}",
        place.id,
        place.name,
        place.partition,
        id.id,
        record.start_offset,
        record.end_offset,
        record.broker_id,
        record.max_timestamp_ms,
        record.event_timestamp_ms,
        leader_epochs(epochs.map(|epoch| (epoch.leader_epoch, epoch.offset))),
        record.segment_size_in_bytes,
        custom(record.custom_metadata.as_ref()),
        segment_state(record.remote_log_segment_state)?,
        record.txn_index_empty,
    ))
}

fn update(record: &RemoteLogSegmentMetadataUpdateRecord) -> anyhow::Result<String> {
    let id = &record.remote_log_segment_id;
    let place = &id.topic_id_partition;
    Ok(format!(
        "RemoteLogSegmentMetadataUpdate{{remoteLogSegmentId=RemoteLogSegmentId{{topicIdPartition=\
         {}:{}-{}, id={}}}, customMetadata={}, state={}, eventTimestampMs={}, brokerId={}}}",
        place.id,
        place.name,
        place.partition,
        id.id,
        custom(record.custom_metadata.as_ref()),
        segment_state(record.remote_log_segment_state)?,
        record.event_timestamp_ms,
        record.broker_id,
    ))
}

fn partition_delete(record: &RemotePartitionDeleteMetadataRecord) -> anyhow::Result<String> {
    let place = &record.topic_id_partition;
    let state = match record.remote_partition_delete_state {
        0 => "DELETE_PARTITION_MARKED",
        1 => "DELETE_PARTITION_STARTED",
        2 => "DELETE_PARTITION_FINISHED",
        other => return Err(anyhow!("unknown state {other} of a partition's deletion")),
    };
    Ok(format!(
        "RemotePartitionDeleteMetadata{{topicPartition={}:{}-{}, state={state}, \
         eventTimestampMs={}, brokerId={}}}",
        place.id, place.name, place.partition, record.event_timestamp_ms, record.broker_id,
    ))
}

fn snapshot(record: &RemoteLogSegmentMetadataSnapshotRecord) -> anyhow::Result<String> {
    let epochs = record.segment_leader_epochs.iter();
    Ok(format!(
        "RemoteLogSegmentMetadataSnapshot{{segmentId={}, startOffset={}, endOffset={}, \
         maxTimestampMs={}, segmentLeaderEpochs={}, segmentSizeInBytes={}, customMetadata={}, \
         state={}, txnIdxEmpty={}}}",
        record.segment_id,
        record.start_offset,
        record.end_offset,
        record.max_timestamp_ms,
        leader_epochs(epochs.map(|epoch| (epoch.leader_epoch, epoch.offset))),
        record.segment_size_in_bytes,
        custom(record.custom_metadata.as_ref()),
        segment_state(record.remote_log_segment_state)?,
        record.txn_index_empty,
    ))
}

/// A sorted map of Java.
fn leader_epochs(epochs: impl Iterator<Item = (i32, i64)>) -> String {
    let epochs: std::collections::BTreeMap<i32, i64> = epochs.collect();
    let epochs: Vec<String> = epochs.iter().map(|(e, o)| format!("{e}={o}")).collect();
    format!("{{{}}}", epochs.join(", "))
}

fn custom(metadata: Option<&Bytes>) -> String {
    match metadata {
        Some(bytes) => format!("Optional[CustomMetadata{{{} bytes}}]", bytes.len()),
        None => "Optional.empty".to_owned(),
    }
}

fn segment_state(state: i8) -> anyhow::Result<&'static str> {
    Ok(match state {
        0 => "COPY_SEGMENT_STARTED",
        1 => "COPY_SEGMENT_FINISHED",
        2 => "DELETE_SEGMENT_STARTED",
        3 => "DELETE_SEGMENT_FINISHED",
        other => bail!("unknown state {other} of a remote segment"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// What Kafka 4.3.1 wrote, and what it says of it.
    #[test]
    fn records_are_told_in_kafkas_words() {
        let id = "RemoteLogSegmentId{topicIdPartition=lggAA1mWS_OtT3vlwtASDw:plain-2, \
                  id=s6z9XbIxR_KjwP806756lA}";
        for (hex, words) in [
            (
                "01000006706c61696e9608000359964bf3ad4f7be5c2d0120f0000000200b3acfd5db23147f2a3c0ff\
                 34ebbe7a94000000000000000000000000000000006300000001000001a1fae27086000001a1fae270\
                 a003000000000000000000000000000000000300000000000000110000000400040102030001000101",
                format!(
                    "RemoteLogSegmentMetadata{{remoteLogSegmentId={id}, startOffset=0, \
                     endOffset=99, brokerId=1, maxTimestampMs=1795210506374, \
                     eventTimestampMs=1795210506400, segmentLeaderEpochs={{0=0, 3=17}}, \
                     segmentSizeInBytes=1024, customMetadata=Optional[CustomMetadata{{3 bytes}}], \
                     state=COPY_SEGMENT_STARTED, txnIdxEmpty=true}}"
                ),
            ),
            (
                "01010006706c61696e9608000359964bf3ad4f7be5c2d0120f0000000200b3acfd5db23147f2a3c0ff\
                 34ebbe7a940000000001000001a1fae27104000100",
                format!(
                    "RemoteLogSegmentMetadataUpdate{{remoteLogSegmentId={id}, \
                     customMetadata=Optional.empty, state=COPY_SEGMENT_FINISHED, \
                     eventTimestampMs=1795210506500, brokerId=1}}"
                ),
            ),
            (
                "01020006706c61696e9608000359964bf3ad4f7be5c2d0120f000000020000000001000001a1fae271\
                 680000",
                "RemotePartitionDeleteMetadata{topicPartition=lggAA1mWS_OtT3vlwtASDw:plain-2, \
                 state=DELETE_PARTITION_MARKED, eventTimestampMs=1795210506600, brokerId=1}"
                    .to_owned(),
            ),
        ] {
            assert_eq!(text(&bytes(hex)).unwrap(), words);
        }
        assert!(text(&[2]).is_err() && text(&[]).is_err() && text(&[1, 9, 0]).is_err());
    }
}
