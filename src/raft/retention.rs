//! Snapshots when enough has come since the last one; old snapshots, and the log below them, go
//! when they are too large or too old together.

use tracing::info;

use super::RaftError;
use super::single_voter::SingleVoter;
use crate::metadata::snapshot::{self, Snapshot, SnapshotId};

impl SingleVoter {
    /// Writes a snapshot of the committed metadata, unless there is one of this very state.
    pub fn snapshot(&mut self, now_ms: i64) -> Result<Option<SnapshotId>, RaftError> {
        let image = self.loader.image();
        let at = image.provenance;
        let id = SnapshotId {
            end_offset: at.last_offset + 1,
            epoch: at.last_epoch,
        };
        if id.end_offset <= self.snapshot.map_or(0, |last| last.end_offset) {
            return Ok(None);
        }
        let content = Snapshot {
            last_contained_timestamp_ms: at.last_timestamp_ms,
            quorum: self.quorum.records(),
            records: image.records(),
        };
        content.write(&self.dir, id, now_ms)?;
        info!(
            "wrote metadata snapshot {id}, {} records",
            content.records.len()
        );
        self.snapshot = Some(id);
        self.bytes_since_snapshot = 0;
        self.snapshot_considered_ms = now_ms;
        Ok(Some(id))
    }

    /// Whether records of enough bytes, or any for long enough, have come since the last one.
    pub(super) fn snapshot_is_due(&self, now_ms: i64) -> bool {
        let waited = now_ms.saturating_sub(self.snapshot_considered_ms);
        self.bytes_since_snapshot >= self.config.bytes_between_snapshots
            || (self.bytes_since_snapshot > 0 && waited >= self.config.ms_between_snapshots)
    }

    /// Drops the oldest snapshots and the log below the next one. The newest always stays.
    pub(super) fn apply_retention(&mut self, now_ms: i64) -> Result<(), RaftError> {
        let failed = |error| RaftError::io(&self.dir, error);
        let ids = snapshot::list(&self.dir).map_err(failed)?;
        let mut first = None;
        for (index, next) in ids.iter().enumerate().skip(1) {
            let Some(oldest) = ids.get(index - 1) else {
                break;
            };
            if !self.is_superfluous(*oldest, ids.get(index - 1..).unwrap_or_default(), now_ms)? {
                break;
            }
            first = Some(*next);
        }
        let Some(first) = first else { return Ok(()) };
        // The log may go on from the first snapshot that stays.
        self.log.increment_log_start_offset(first.end_offset)?;
        self.log.apply_retention(now_ms)?;
        snapshot::remove_older(&self.dir, first).map_err(failed)?;
        info!("metadata before snapshot {first} is dropped");
        Ok(())
    }

    /// Whether the first of `ids` is too old, or makes all of them with the log too large.
    fn is_superfluous(
        &self,
        oldest: SnapshotId,
        ids: &[SnapshotId],
        now_ms: i64,
    ) -> Result<bool, RaftError> {
        let mut bytes = self.log.size()?;
        for id in ids {
            let path = self.dir.join(id.file_name());
            bytes += std::fs::metadata(&path)
                .map_err(|error| RaftError::io(&path, error))?
                .len();
        }
        let limit = self.config.retention_bytes;
        if limit >= 0 && bytes > limit.unsigned_abs() {
            return Ok(true);
        }
        if self.config.retention_ms < 0 {
            return Ok(false);
        }
        let timestamp_ms = Snapshot::read_timestamp(&self.dir.join(oldest.file_name()))?;
        Ok(now_ms.saturating_sub(timestamp_ms) > self.config.retention_ms)
    }
}
