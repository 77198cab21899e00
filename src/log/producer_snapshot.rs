//! `.snapshot`: what is known of a log's producers as of the offset in the file's name
//! (Kafka's schema `ProducerSnapshot`, version 1).
//!
//! ```text
//! 0 version i16 = 1     2 crc u32, CRC-32C of all that follows     6 count i32, then per producer
//!  0 producer id i64          8 epoch i16              10 last sequence i32
//! 14 last offset i64         22 offset delta i32       26 timestamp i64
//! 34 coordinator epoch i32   38 current transaction's first offset i64, -1 without one
//! ```
use std::io::IoSlice;
use std::path::Path;

use super::error::{At, LogError};
use super::storage::{Disk, OpenMode, read_file};

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const COUNT_AT: usize = 6;
const ENTRIES_AT: usize = 10;
const ENTRY_BYTES: usize = 46;
/// Twenty million producers.
const BYTES_MAX: u64 = 1 << 30;

/// A producer as a snapshot keeps it: its last batch alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerEntry {
    pub producer_id: i64,
    pub epoch: i16,
    /// -1 with no batch, as after the marker of a new epoch.
    pub last_sequence: i32,
    pub last_offset: i64,
    /// Offsets in the last batch, less one.
    pub offset_delta: i32,
    pub timestamp: i64,
    pub coordinator_epoch: i32,
    /// -1 outside of a transaction.
    pub current_txn_first_offset: i64,
}

/// Reads the snapshot at `path`; `Ok(None)` if it is missing or damaged.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<ProducerEntry>>, LogError> {
    Ok(read_file(disk, path, BYTES_MAX)
        .at(path)?
        .and_then(|bytes| decode(&bytes)))
}

/// Writes a snapshot; with `sync` it outlives a loss of power. Its checksum tells a reader of one
/// that was not written to its end.
pub fn write(
    disk: &dyn Disk,
    path: &Path,
    entries: &[ProducerEntry],
    sync: bool,
) -> Result<(), LogError> {
    let file = disk.open(path, OpenMode::Truncate).at(path)?;
    disk.write_at(&file, &mut [IoSlice::new(&encode(entries))], 0)
        .at(path)?;
    if sync {
        disk.sync(&file).at(path)
    } else {
        Ok(())
    }
}

pub fn encode(entries: &[ProducerEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENTRIES_AT + entries.len() * ENTRY_BYTES);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; COUNT_AT - CRC_AT]);
    bytes.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        bytes.extend_from_slice(&entry.producer_id.to_be_bytes());
        bytes.extend_from_slice(&entry.epoch.to_be_bytes());
        bytes.extend_from_slice(&entry.last_sequence.to_be_bytes());
        bytes.extend_from_slice(&entry.last_offset.to_be_bytes());
        bytes.extend_from_slice(&entry.offset_delta.to_be_bytes());
        bytes.extend_from_slice(&entry.timestamp.to_be_bytes());
        bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        bytes.extend_from_slice(&entry.current_txn_first_offset.to_be_bytes());
    }
    let crc = crc32c::crc32c(&bytes[COUNT_AT..]);
    bytes[CRC_AT..COUNT_AT].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// `None` if version, checksum or size are wrong.
pub fn decode(bytes: &[u8]) -> Option<Vec<ProducerEntry>> {
    let mut head = Fields(bytes);
    if head.i16()? != VERSION {
        return None;
    }
    let crc = head.i32()? as u32;
    if crc != crc32c::crc32c(head.0) {
        return None;
    }
    let count = usize::try_from(head.i32()?).ok()?;
    if head.0.len() != count.checked_mul(ENTRY_BYTES)? {
        return None;
    }
    head.0.chunks_exact(ENTRY_BYTES).map(decode_entry).collect()
}

fn decode_entry(bytes: &[u8]) -> Option<ProducerEntry> {
    let mut fields = Fields(bytes);
    Some(ProducerEntry {
        producer_id: fields.i64()?,
        epoch: fields.i16()?,
        last_sequence: fields.i32()?,
        last_offset: fields.i64()?,
        offset_delta: fields.i32()?,
        timestamp: fields.i64()?,
        coordinator_epoch: fields.i32()?,
        current_txn_first_offset: fields.i64()?,
    })
}

/// Takes big-endian numbers off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_entry() -> impl Strategy<Value = ProducerEntry> {
        (any::<(i64, i16, i32, i64)>(), any::<(i32, i64, i32, i64)>()).prop_map(|(a, b)| {
            ProducerEntry {
                producer_id: a.0,
                epoch: a.1,
                last_sequence: a.2,
                last_offset: a.3,
                offset_delta: b.0,
                timestamp: b.1,
                coordinator_epoch: b.2,
                current_txn_first_offset: b.3,
            }
        })
    }

    #[test]
    fn an_empty_snapshot_is_kafkas() {
        assert_eq!(
            encode(&[]),
            [0x00, 0x01, 0x48, 0x67, 0x4b, 0xc7, 0, 0, 0, 0]
        );
    }

    #[test]
    fn damage_is_noticed() {
        let entry = ProducerEntry {
            producer_id: 1,
            epoch: 2,
            last_sequence: 3,
            last_offset: 4,
            offset_delta: 5,
            timestamp: 6,
            coordinator_epoch: 7,
            current_txn_first_offset: -1,
        };
        let good = encode(&[entry, entry]);
        assert_eq!(decode(&good), Some(vec![entry, entry]));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_eq!(decode(&bad), None, "byte {at}");
            assert_eq!(decode(&good[..at]), None, "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn any_entries_come_back(entries in prop::collection::vec(any_entry(), 0..9)) {
            prop_assert_eq!(decode(&encode(&entries)), Some(entries));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>) {
            let _ = decode(&bytes);
            if bytes.len() >= ENTRIES_AT {
                bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
                let crc = crc32c::crc32c(&bytes[COUNT_AT..]);
                bytes[CRC_AT..COUNT_AT].copy_from_slice(&crc.to_be_bytes());
                let _ = decode(&bytes);
            }
        }
    }
}
