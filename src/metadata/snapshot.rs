//! Snapshots of the metadata: `<end offset, 20 digits>-<epoch, 10 digits>.checkpoint` beside the
//! log, and `bootstrap.checkpoint` in the storage directory.
//!
//! ```text
//! control batch   SnapshotHeader {last contained log timestamp} [, KRaftVersion, Voters]
//! data batches    the records of the image, at most 1024 a batch
//! control batch   SnapshotFooter; a file without it is incomplete and is not used
//! ```
//! Batches count offsets from 0 and carry the snapshot's epoch. The file is written under
//! `….part`, with mode 0400, and renamed when it is whole and synced.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::batch::{self, Content, ControlRecord, MetadataBatchError};
use super::files;
use super::record::VersionedRecord;
use crate::protocol::records::raft::{SnapshotFooterRecord, SnapshotHeaderRecord};
use crate::record::batches;

/// The name of the file with the records that a new cluster starts from.
pub const BOOTSTRAP_FILE_NAME: &str = "bootstrap.checkpoint";

const SUFFIX: &str = ".checkpoint";
const PART_SUFFIX: &str = ".part";
const DELETED_SUFFIX: &str = ".deleted";
/// The first batch has the header and, at most, the voters.
const HEADER_BYTES_MAX: u64 = 256 * 1024;
/// As in Kafka: a batch must fit the memory of the node that fetches it.
const BATCH_RECORDS_MAX: usize = 1024;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a snapshot contains: the records below `end_offset`, the last of them of `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    pub end_offset: i64,
    pub epoch: i32,
}

impl SnapshotId {
    /// The id of the snapshot that formatting with a dynamic quorum leaves.
    pub const BOOTSTRAP: SnapshotId = SnapshotId {
        end_offset: 0,
        epoch: 0,
    };

    pub fn file_name(self) -> String {
        format!("{self}{SUFFIX}")
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:010}", self.end_offset, self.epoch)
    }
}

impl FromStr for SnapshotId {
    type Err = ();

    /// Reads the name of a complete snapshot.
    fn from_str(name: &str) -> Result<SnapshotId, ()> {
        let (offset, epoch) = name
            .strip_suffix(SUFFIX)
            .and_then(|s| s.split_once('-'))
            .ok_or(())?;
        let digits = |s: &str, width| s.len() == width && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(offset, 20) || !digits(epoch, 10) {
            return Err(());
        }
        let end_offset = offset.parse().map_err(|_| ())?;
        Ok(SnapshotId {
            end_offset,
            epoch: epoch.parse().map_err(|_| ())?,
        })
    }
}

/// Why a snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("{path}: {source}")]
    Batch {
        path: String,
        source: MetadataBatchError,
    },
    #[error("{path}: the snapshot is incomplete: {problem}")]
    Incomplete { path: String, problem: &'static str },
}

/// A snapshot's content.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Append time of the last record contained.
    pub last_contained_timestamp_ms: i64,
    /// KRaftVersion and Voters, where the quorum is dynamic.
    pub quorum: Vec<ControlRecord>,
    pub records: Vec<VersionedRecord>,
}

impl Snapshot {
    /// Reads a whole file.
    pub fn read(path: &Path) -> Result<Snapshot, SnapshotError> {
        let shown = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Self::decode(&bytes, &shown),
            Err(source) => Err(SnapshotError::Io {
                path: shown,
                source,
            }),
        }
    }

    /// Reads the append time of the last record contained, and no more.
    pub fn read_timestamp(path: &Path) -> Result<i64, SnapshotError> {
        let shown = path.display().to_string();
        let failed = |source| SnapshotError::Io {
            path: shown.clone(),
            source,
        };
        let mut start = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(HEADER_BYTES_MAX)
            .read_to_end(&mut start)
            .map_err(failed)?;
        let header = batches(&start).next().and_then(Result::ok);
        match header.map(|header| batch::decode(&header).map(|batch| batch.content)) {
            Some(Ok(Content::Control(records))) => match records.first() {
                Some(ControlRecord::SnapshotHeader(record)) => {
                    Ok(record.last_contained_log_timestamp)
                }
                _ => Err(Self::without_header(shown)),
            },
            _ => Err(Self::without_header(shown)),
        }
    }

    fn without_header(path: String) -> SnapshotError {
        SnapshotError::Incomplete {
            path,
            problem: "it does not begin with a header",
        }
    }

    fn decode(bytes: &[u8], path: &str) -> Result<Snapshot, SnapshotError> {
        let incomplete = |problem| SnapshotError::Incomplete {
            path: path.to_owned(),
            problem,
        };
        let failed = |source| SnapshotError::Batch {
            path: path.to_owned(),
            source,
        };
        let mut snapshot = Snapshot::default();
        let (mut header, mut footer) = (false, false);
        let mut all = batches(bytes);
        for batch in all.by_ref() {
            if footer {
                return Err(incomplete("there is more after the footer"));
            }
            let decoded = batch
                .map_err(MetadataBatchError::Build)
                .and_then(|batch| batch::decode(&batch))
                .map_err(failed)?;
            match decoded.content {
                Content::Records(mut records) => snapshot.records.append(&mut records),
                Content::Control(controls) => {
                    for control in controls {
                        match control {
                            ControlRecord::SnapshotHeader(record) => {
                                header = true;
                                snapshot.last_contained_timestamp_ms =
                                    record.last_contained_log_timestamp;
                            }
                            ControlRecord::SnapshotFooter(_) => footer = true,
                            quorum => snapshot.quorum.push(quorum),
                        }
                    }
                }
            }
            if !header {
                return Err(Self::without_header(path.to_owned()));
            }
        }
        match footer && all.rest().is_empty() {
            true => Ok(snapshot),
            false => Err(incomplete("its footer is missing")),
        }
    }

    /// The bytes of the file. `now_ms` becomes the timestamp of the records.
    pub fn encode(&self, epoch: i32, now_ms: i64) -> Result<Vec<u8>, MetadataBatchError> {
        let mut header = vec![ControlRecord::SnapshotHeader(SnapshotHeaderRecord {
            last_contained_log_timestamp: self.last_contained_timestamp_ms,
            ..Default::default()
        })];
        header.extend(self.quorum.iter().cloned());
        let mut offset = header.len() as i64;
        let mut bytes = batch::encode_control(&header, 0, epoch, now_ms)?.to_vec();
        for records in self.chunks()? {
            bytes.extend_from_slice(&batch::encode_records(records, offset, epoch, now_ms)?);
            offset += records.len() as i64;
        }
        let footer = [ControlRecord::SnapshotFooter(
            SnapshotFooterRecord::default(),
        )];
        bytes.extend_from_slice(&batch::encode_control(&footer, offset, epoch, now_ms)?);
        Ok(bytes)
    }

    fn chunks(&self) -> Result<Vec<&[VersionedRecord]>, MetadataBatchError> {
        let mut chunks = Vec::new();
        let (mut start, mut size) = (0, 0);
        for (at, record) in self.records.iter().enumerate() {
            let length = record.encode()?.len() + 32;
            if at > start && (at - start == BATCH_RECORDS_MAX || size + length > BATCH_BYTES_MAX) {
                chunks.extend(self.records.get(start..at));
                (start, size) = (at, 0);
            }
            size += length;
        }
        chunks.extend(self.records.get(start..).filter(|last| !last.is_empty()));
        Ok(chunks)
    }

    /// Writes the snapshot `id` into the directory of the metadata log.
    pub fn write(&self, log: &Path, id: SnapshotId, now_ms: i64) -> Result<PathBuf, SnapshotError> {
        self.write_as(&log.join(id.file_name()), 0o400, id.epoch, now_ms)
    }

    /// Writes `bootstrap.checkpoint` into a storage directory.
    pub fn write_bootstrap(&self, storage: &Path, now_ms: i64) -> Result<PathBuf, SnapshotError> {
        self.write_as(&storage.join(BOOTSTRAP_FILE_NAME), 0o644, 0, now_ms)
    }

    fn write_as(
        &self,
        path: &Path,
        mode: u32,
        epoch: i32,
        now_ms: i64,
    ) -> Result<PathBuf, SnapshotError> {
        let shown = || path.display().to_string();
        let bytes = self
            .encode(epoch, now_ms)
            .map_err(|source| SnapshotError::Batch {
                path: shown(),
                source,
            })?;
        files::replace(path, PART_SUFFIX, mode, &bytes).map_err(|source| SnapshotError::Io {
            path: shown(),
            source,
        })?;
        Ok(path.to_owned())
    }
}

/// The snapshots of a metadata log, oldest first.
pub fn list(log: &Path) -> io::Result<Vec<SnapshotId>> {
    let mut ids: Vec<SnapshotId> = names(log)?
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    ids.sort();
    Ok(ids)
}

/// Removes what crashes left: snapshots that were never finished or already retired.
pub fn remove_leftovers(log: &Path) -> io::Result<()> {
    for name in names(log)? {
        let part = name.contains(SUFFIX) && name.ends_with(PART_SUFFIX);
        let deleted = name.contains(SUFFIX) && name.ends_with(DELETED_SUFFIX);
        if part || deleted {
            std::fs::remove_file(log.join(name))?;
        }
    }
    Ok(())
}

/// Removes the snapshots older than `newest`.
pub fn remove_older(log: &Path, newest: SnapshotId) -> io::Result<()> {
    for id in list(log)?.into_iter().filter(|id| *id < newest) {
        std::fs::remove_file(log.join(id.file_name()))?;
    }
    files::sync_parent(&log.join(newest.file_name()))
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::image::feature_level;

    #[test]
    fn names_are_kafkas() {
        let id = SnapshotId {
            end_offset: 130,
            epoch: 1,
        };
        assert_eq!(id.file_name(), "00000000000000000130-0000000001.checkpoint");
        assert_eq!(id.file_name().parse(), Ok(id));
        for other in [
            "00000000000000000130-0000000001.checkpoint.part",
            "00000000000000000130-0000000001.checkpoint.deleted",
            "0000000000000000130-0000000001.checkpoint",
            "bootstrap.checkpoint",
        ] {
            assert_eq!(other.parse::<SnapshotId>(), Err(()), "{other}");
        }
    }

    fn snapshot(records: usize) -> Snapshot {
        let level = |n: usize| feature_level(&format!("feature.{n}"), 1);
        let records = (0..records).map(level).collect();
        Snapshot {
            last_contained_timestamp_ms: 17,
            quorum: Vec::new(),
            records,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        for (epoch, records) in [0, 1, BATCH_RECORDS_MAX, 3 * BATCH_RECORDS_MAX + 1]
            .into_iter()
            .enumerate()
        {
            let id = SnapshotId {
                end_offset: 9,
                epoch: epoch as i32,
            };
            let written = snapshot(records);
            let path = written.write(directory.path(), id, 1).unwrap();
            assert_eq!(Snapshot::read(&path).unwrap(), written);
            assert_eq!(Snapshot::read_timestamp(&path).unwrap(), 17);
        }
        assert_eq!(list(directory.path()).unwrap().len(), 4);
        remove_older(
            directory.path(),
            SnapshotId {
                end_offset: 9,
                epoch: 3,
            },
        )
        .unwrap();
        assert_eq!(
            list(directory.path()).unwrap(),
            [SnapshotId {
                end_offset: 9,
                epoch: 3
            }]
        );
    }

    #[test]
    fn a_cut_or_flipped_file_is_never_taken() {
        let whole = snapshot(3).encode(1, 1).unwrap();
        assert!(Snapshot::decode(&whole, "x").is_ok());
        for length in 0..whole.len() {
            assert!(
                Snapshot::decode(&whole[..length], "x").is_err(),
                "cut to {length}"
            );
        }
        // The base offset and the leader epoch are outside the CRC.
        let mut at = 0;
        for batch in batches(&whole).flatten() {
            for covered in at + 17..at + batch.size() {
                let mut flipped = whole.clone();
                flipped[covered] ^= 1;
                assert!(
                    Snapshot::decode(&flipped, "x").is_err(),
                    "flip at {covered}"
                );
            }
            at += batch.size();
        }
    }
}
