//! What a partition keeps of its producers: snapshots of their state, and aborted transactions.
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};

use super::line::Lines;
use crate::log::producer_snapshot;
use crate::log::txn_index::{AbortedTransaction, ENTRY_BYTES};
use crate::tools::output::message;

/// `.snapshot`. A damaged one is told of, and the next file gets its turn.
pub fn snapshot(path: &Path, lines: &mut Lines<'_>) -> anyhow::Result<()> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{}", path.display()),
        read => read.with_context(|| path.display().to_string())?,
    };
    let Some(entries) = producer_snapshot::decode(&bytes) else {
        message(what_is_wrong(&bytes));
        return Ok(());
    };
    for entry in entries {
        lines.field("producerId", entry.producer_id);
        lines.field("producerEpoch", entry.epoch);
        lines.field("coordinatorEpoch", entry.coordinator_epoch);
        let in_transaction = entry.current_txn_first_offset;
        let in_transaction = (in_transaction >= 0).then_some(in_transaction);
        lines.optional("currentTxnFirstOffset", in_transaction);
        lines.field("lastTimestamp", entry.timestamp);
        if entry.last_offset >= 0 {
            let first = first_sequence(entry.last_sequence, entry.offset_delta);
            lines.field("firstSequence", first);
            lines.field("lastSequence", entry.last_sequence);
            lines.field("lastOffset", entry.last_offset);
            lines.field("offsetDelta", entry.offset_delta);
            lines.field("timestamp", entry.timestamp);
        }
        lines.end()?;
    }
    Ok(())
}

/// Sequence numbers count from 0 to `i32::MAX` and start again.
fn first_sequence(last: i32, delta: i32) -> i32 {
    match last.wrapping_sub(delta) {
        first if last < delta => i32::MAX.wrapping_add(first).wrapping_add(1),
        first => first,
    }
}

fn what_is_wrong(bytes: &[u8]) -> String {
    let (Some(version), Some(stored)) = (
        bytes.first_chunk().map(|v| i16::from_be_bytes(*v)),
        bytes.get(2..6).and_then(|crc| crc.try_into().ok()),
    ) else {
        return "Snapshot failed schema validation: the file is too short".to_owned();
    };
    if version != 1 {
        return format!("Snapshot contained an unknown file version {version}");
    }
    let stored = u32::from_be_bytes(stored);
    let computed = crc32c::crc32c(bytes.get(6..).unwrap_or_default());
    if stored != computed {
        return format!(
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed crc: \
             {computed}"
        );
    }
    "Snapshot failed schema validation: it does not hold the producers that it counts".to_owned()
}

/// `.txnindex`.
pub fn aborted_transactions(path: &Path, name: &str, lines: &mut Lines<'_>) -> anyhow::Result<()> {
    super::start_offset(name)?;
    let bytes = match std::fs::read(path) {
        // A segment without aborted transactions has no such file, and Kafka says nothing of it.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            message(format!(
                "{} is not there: no transactions were aborted.",
                path.display()
            ));
            return Ok(());
        }
        read => read.with_context(|| path.display().to_string())?,
    };
    for bytes in bytes.chunks_exact(ENTRY_BYTES) {
        let Some(entry) = AbortedTransaction::decode(bytes) else {
            let version = bytes.first_chunk().map_or(0, |v| i16::from_be_bytes(*v));
            bail!(
                "Unexpected aborted transaction version {version} in transaction index {}, current \
                 version is 0",
                path.display()
            );
        };
        lines.field("version", 0);
        lines.field("producerId", entry.producer_id);
        lines.field("firstOffset", entry.first_offset);
        lines.field("lastOffset", entry.last_offset);
        lines.field("lastStableOffset", entry.last_stable_offset);
        lines.end()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_back_past_zero() {
        assert_eq!(first_sequence(9, 4), 5);
        assert_eq!(first_sequence(4, 4), 0);
        assert_eq!(first_sequence(1, 2), i32::MAX);
    }

    #[test]
    fn damaged_snapshots_are_told_in_kafkas_words() {
        let mut bytes = producer_snapshot::encode(&[]);
        bytes[5] ^= 1;
        assert!(what_is_wrong(&bytes).contains("Stored crc: 1214729158. Computed crc: 1214729159"));
        assert!(what_is_wrong(&[0, 9, 0, 0, 0, 0]).ends_with("unknown file version 9"));
        assert!(what_is_wrong(&[0]).ends_with("too short"));
    }
}
