//! Rebuilds a batch whose codec or offsets are not what the topic wants.
use bytes::Bytes;

use super::batch::CRC_START;
use super::{
    BatchBuilder, BatchError, BatchMeta, BatchView, Compression, HEADER_LEN, LOG_OVERHEAD, codec,
};

/// `batch` with its records compressed by `compression`: everything else stays, offsets,
/// timestamps and producer fields among them. At most `cap` bytes are taken for the records.
pub fn recompress(
    batch: &BatchView<'_>,
    compression: Compression,
    level: Option<i32>,
    cap: usize,
) -> Result<Bytes, BatchError> {
    let mut plain = Vec::new();
    let records = match batch.compression()? {
        Compression::None => batch.stored_records(),
        source => {
            codec::decompress(source, batch.stored_records(), cap, &mut plain)?;
            &plain
        }
    };
    let mut out = Vec::with_capacity(HEADER_LEN + records.len());
    out.extend_from_slice(batch.as_bytes());
    codec::compress(compression, level, records, &mut out)?;
    let size = out.len();
    let length = size
        .checked_sub(LOG_OVERHEAD)
        .and_then(|len| i32::try_from(len).ok());
    let (Some(length), Some((header, records))) =
        (length, out.split_first_chunk_mut::<HEADER_LEN>())
    else {
        return Err(BatchError::RecordTooLarge(size));
    };
    header[8..12].copy_from_slice(&length.to_be_bytes());
    let attributes = batch.attributes().with_compression(compression);
    header[21..23].copy_from_slice(&attributes.0.to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[CRC_START..]), records);
    header[17..21].copy_from_slice(&crc.to_be_bytes());
    Ok(out.into())
}

/// As [`recompress`], with the records renumbered 0, 1, 2… in their stored order: what Kafka does
/// with a client's batch whose offsets are not consecutive.
pub fn renumber(
    batch: &BatchView<'_>,
    compression: Compression,
    level: Option<i32>,
    cap: usize,
) -> Result<Bytes, BatchError> {
    let mut buffer = Vec::new();
    let records = batch.records_with(&mut buffer, cap)?;
    let mut builder = BatchBuilder::with_capacity(HEADER_LEN + records.as_bytes().len())
        .with_base_timestamp(batch.base_timestamp());
    for (delta, record) in (0..).zip(&records) {
        builder.append_copy(delta, &record?)?;
    }
    builder.finish(&BatchMeta {
        base_offset: batch.base_offset(),
        leader_epoch: batch.leader_epoch(),
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        transactional: batch.is_transactional(),
        control: batch.is_control(),
        compression,
        compression_level: level,
        log_append_time_ms: match batch.timestamp_type() {
            super::TimestampType::LogAppend => Some(batch.max_timestamp()),
            super::TimestampType::Create => None,
        },
        last_offset_delta: None,
    })
}
