//! What is inside a batch: its records, decompressed within bounds, against its header.
use crate::record::{
    AppendRules, BatchError, BatchView, NO_TIMESTAMP, StoredBatch, TimestampType,
    validate_for_append,
};

/// Records that expand to no more are held in memory and looked at one by one; of larger batches
/// the walk of an append says whether they are whole, in a window.
const RECORDS_BYTES_MAX: usize = 16 << 20;

/// Counts the records of a batch whose CRC holds, and checks that they are what its header says.
pub fn check(batch: &StoredBatch<'_>, buffer: &mut Vec<u8>) -> Result<u64, String> {
    let checked = check_each(batch, buffer);
    if buffer.capacity() > RECORDS_BYTES_MAX {
        *buffer = Vec::new();
    }
    match (checked, batch) {
        (Err(Wrong::TooLarge), StoredBatch::V2(batch)) => check_in_window(batch),
        (Err(Wrong::TooLarge), StoredBatch::Legacy(_)) => Err(format!(
            "its messages take more than {} MiB when decompressed",
            RECORDS_BYTES_MAX >> 20
        )),
        (Err(Wrong::Said(what)), _) => Err(what),
        (Ok(count), _) => Ok(count),
    }
}

enum Wrong {
    TooLarge,
    Said(String),
}

impl From<BatchError> for Wrong {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::DecompressedTooLarge { .. } => Self::TooLarge,
            other => Self::Said(other.to_string()),
        }
    }
}

fn check_each(batch: &StoredBatch<'_>, buffer: &mut Vec<u8>) -> Result<u64, Wrong> {
    let header = batch.header();
    let records = batch.records_with(buffer, RECORDS_BYTES_MAX)?;
    let mut count: u64 = 0;
    let mut next = header.base_offset().unwrap_or(0);
    for record in &records {
        let record = record?;
        if record.offset < next || record.offset > header.last_offset() {
            return Err(Wrong::Said(format!(
                "the record offset {} is not within {next} and {}",
                record.offset,
                header.last_offset()
            )));
        }
        // What is found by timestamp is looked for by that of the batch.
        if record.timestamp > header.max_timestamp() && header.magic() == 2 {
            return Err(Wrong::Said(format!(
                "the timestamp {} of offset {} is greater than that of the batch, {}",
                record.timestamp,
                record.offset,
                header.max_timestamp()
            )));
        }
        next = record.offset + 1;
        count += 1;
    }
    Ok(count)
}

fn check_in_window(batch: &BatchView<'_>) -> Result<u64, String> {
    let anything = AppendRules {
        from_client: false,
        compacted: false,
        timestamp_type: TimestampType::Create,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        now_ms: NO_TIMESTAMP,
    };
    match validate_for_append(batch, &anything) {
        Ok(facts) => Ok(u64::from(facts.record_count.unsigned_abs())),
        Err(e) => Err(e.to_string()),
    }
}
