//! Opening a metadata log: the newest snapshot that can be read, and the records after it.

use std::path::Path;

use tracing::{info, warn};

use super::RaftError;
use crate::log::{Log, ReadLimit};
use crate::metadata::batch::{self, Content, ControlRecord};
use crate::metadata::image::MetadataImage;
use crate::metadata::snapshot::{self, Snapshot, SnapshotId};
use crate::metadata::{MetadataLoader, Provenance, apply};
use crate::protocol::records::raft::VotersRecord;
use crate::record::batches;

/// How much of the log is read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// The quorum as its control records describe it; nothing where the voters are configured.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Quorum {
    pub kraft_version: i16,
    pub voters: Option<VotersRecord>,
    /// Whether the log itself says so, not only the snapshot that formatting left.
    pub is_in_log: bool,
}

impl Quorum {
    fn take(&mut self, record: &ControlRecord) {
        match record {
            ControlRecord::KRaftVersion(record) => self.kraft_version = record.kraft_version,
            ControlRecord::Voters(record) => self.voters = Some(record.clone()),
            _ => {}
        }
    }

    /// As a snapshot repeats it.
    pub fn records(&self) -> Vec<ControlRecord> {
        let Some(voters) = &self.voters else {
            return Vec::new();
        };
        let version = crate::protocol::records::raft::KRaftVersionRecord {
            kraft_version: self.kraft_version,
            ..Default::default()
        };
        vec![
            ControlRecord::KRaftVersion(version),
            ControlRecord::Voters(voters.clone()),
        ]
    }
}

/// What the files add up to.
#[derive(Debug)]
pub(super) struct Recovered {
    pub loader: MetadataLoader,
    pub quorum: Quorum,
    /// The snapshot it builds on.
    pub snapshot: Option<SnapshotId>,
    /// Bytes of records after the snapshot.
    pub bytes_since_snapshot: u64,
    /// The epoch of the last batch or of the snapshot.
    pub last_epoch: i32,
}

/// Reads the newest snapshot and the log after it.
pub(super) fn recover(dir: &Path, log: &Log) -> Result<Recovered, RaftError> {
    let (snapshot, image, quorum) = newest_snapshot(dir, log)?;
    let end_offset = snapshot.map_or(0, |id| id.end_offset);
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    if end_offset < start || end < end_offset {
        let path = dir.display().to_string();
        return Err(RaftError::Gap {
            path,
            start,
            end,
            snapshot: end_offset,
        });
    }
    let mut recovered = Recovered {
        loader: MetadataLoader::new(&image),
        quorum,
        snapshot,
        bytes_since_snapshot: 0,
        last_epoch: snapshot.map_or(0, |id| id.epoch),
    };
    recovered.replay(log, end_offset)?;
    info!(
        "metadata recovered: snapshot {}, log end offset {end}, {} topics",
        snapshot.map_or("none".to_owned(), |id| id.to_string()),
        recovered.loader.image().topics.len()
    );
    Ok(recovered)
}

/// The newest snapshot that can be read. An older one will do as long as the log goes on from it.
fn newest_snapshot(
    dir: &Path,
    log: &Log,
) -> Result<(Option<SnapshotId>, MetadataImage, Quorum), RaftError> {
    let mut problems = Vec::new();
    let ids = snapshot::list(dir).map_err(|error| RaftError::io(dir, error))?;
    for id in ids
        .into_iter()
        .rev()
        .filter(|id| id.end_offset >= log.log_start_offset())
    {
        match load_snapshot(dir, id) {
            Ok((image, quorum)) => return Ok((Some(id), image, quorum)),
            Err(error) => {
                warn!("a snapshot is passed over: {error}");
                problems.push(error.to_string());
            }
        }
    }
    if log.log_start_offset() > 0 {
        let (path, problem) = (dir.display().to_string(), problems.join("; "));
        return Err(RaftError::NoSnapshot { path, problem });
    }
    Ok((None, MetadataImage::default(), Quorum::default()))
}

fn load_snapshot(dir: &Path, id: SnapshotId) -> Result<(MetadataImage, Quorum), RaftError> {
    let snapshot = Snapshot::read(&dir.join(id.file_name()))?;
    let provenance = Provenance {
        last_offset: id.end_offset - 1,
        last_epoch: id.epoch,
        last_timestamp_ms: snapshot.last_contained_timestamp_ms,
    };
    let (image, _) = apply(&MetadataImage::default(), &snapshot.records, provenance)?;
    let mut quorum = Quorum {
        is_in_log: id != SnapshotId::BOOTSTRAP,
        ..Quorum::default()
    };
    snapshot
        .quorum
        .iter()
        .for_each(|record| quorum.take(record));
    Ok((image, quorum))
}

impl Recovered {
    fn replay(&mut self, log: &Log, from: i64) -> Result<(), RaftError> {
        let mut next = from;
        while next < log.log_end_offset() {
            let read = log.read(next, READ_BYTES, ReadLimit::LogEnd, true)?;
            let Some(slice) = read.slice else { break };
            let bytes = slice
                .to_vec()
                .map_err(|error| RaftError::io(&log.dir(), error))?;
            let before = next;
            for view in batches(&bytes) {
                let view = view.map_err(batch::MetadataBatchError::Build)?;
                // The slice begins with the batch that holds the offset.
                if view.last_offset() < next {
                    continue;
                }
                self.take(&batch::decode(&view)?)?;
                self.bytes_since_snapshot += view.size() as u64;
                next = view.next_offset();
            }
            if next == before {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: &batch::MetadataBatch) -> Result<(), RaftError> {
        let end = Provenance {
            last_offset: batch.last_offset,
            last_epoch: batch.epoch,
            last_timestamp_ms: batch.timestamp_ms,
        };
        self.last_epoch = self.last_epoch.max(batch.epoch);
        match &batch.content {
            Content::Records(records) => self.loader.load(records, end)?,
            Content::Control(controls) => {
                for control in controls {
                    self.quorum.is_in_log |= matches!(control, ControlRecord::Voters(_));
                    self.quorum.take(control);
                }
                self.loader.passed(end);
            }
        }
        Ok(())
    }
}
