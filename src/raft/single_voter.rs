//! A quorum of one voter, its log on the local disk.
//!
//! Opening it is winning an election: a new epoch is put into `quorum-state`, then a LeaderChange
//! record into the log, and with that everything in the log is committed. An append is committed
//! once it is synced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::info;

use super::quorum_state::QuorumState;
use super::recovery::{Quorum, recover};
use super::{Committed, MetadataLog, RaftError};
use crate::log::append::AppendOrigin;
use crate::log::storage::Disk;
use crate::log::{Log, LogConfig, LogOptions, TopicPartition};
use crate::metadata::batch::{self, ControlRecord};
use crate::metadata::format::{METADATA_LOG_DIRECTORY, default_bootstrap_records};
use crate::metadata::record::VersionedRecord;
use crate::metadata::snapshot::{self, BOOTSTRAP_FILE_NAME, Snapshot, SnapshotError, SnapshotId};
use crate::metadata::{MetadataImage, MetadataLoader, Provenance};
use crate::protocol::Uuid;
use crate::protocol::records::raft::{LeaderChangeMessage, leader_change_message};

const TOPIC: &str = "__cluster_metadata";
/// As in Kafka: a batch must fit the memory of the node that fetches it.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where the metadata log is, whose it is, and the settings of the same names.
#[derive(Debug, Clone)]
pub struct VoterConfig {
    pub node_id: i32,
    /// `directory.id` of the storage directory.
    pub directory_id: Uuid,
    /// `metadata.log.dir`; the log is in a directory within.
    pub storage_directory: PathBuf,
    /// `metadata.log.segment.bytes`
    pub segment_bytes: u32,
    /// `metadata.log.segment.ms`
    pub segment_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`
    pub bytes_between_snapshots: u64,
    /// `metadata.log.max.snapshot.interval.ms`
    pub ms_between_snapshots: i64,
    /// `metadata.max.retention.bytes`, negative for no limit
    pub retention_bytes: i64,
    /// `metadata.max.retention.ms`, negative for no limit
    pub retention_ms: i64,
    pub disk: Arc<dyn Disk>,
}

impl VoterConfig {
    /// Kafka's defaults.
    pub fn new(node_id: i32, directory_id: Uuid, storage_directory: PathBuf) -> VoterConfig {
        const HOUR_MS: i64 = 3_600_000;
        VoterConfig {
            node_id,
            directory_id,
            storage_directory,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * HOUR_MS,
            bytes_between_snapshots: 20 * 1024 * 1024,
            ms_between_snapshots: HOUR_MS,
            retention_bytes: 100 * 1024 * 1024,
            retention_ms: 7 * 24 * HOUR_MS,
            disk: Arc::new(crate::log::storage::RealDisk),
        }
    }
}

/// The only voter, and so the leader, of the metadata quorum.
#[derive(Debug)]
pub struct SingleVoter {
    pub(super) config: VoterConfig,
    pub(super) dir: PathBuf,
    pub(super) log: Log,
    pub(super) loader: MetadataLoader,
    pub(super) quorum: Quorum,
    pub(super) snapshot: Option<SnapshotId>,
    pub(super) bytes_since_snapshot: u64,
    pub(super) snapshot_considered_ms: i64,
    epoch: i32,
}

impl SingleVoter {
    /// Opens the log of a formatted storage directory, recovers it and wins the election. Also
    /// returns the metadata; it is empty before the bootstrap records are appended.
    pub fn open(
        config: VoterConfig,
        now_ms: i64,
    ) -> Result<(SingleVoter, MetadataImage), RaftError> {
        let dir = config.storage_directory.join(METADATA_LOG_DIRECTORY);
        let disk = config.disk.clone();
        config
            .disk
            .create_dir(&dir)
            .or_else(exists)
            .map_err(|error| RaftError::io(&dir, error))?;
        snapshot::remove_leftovers(&dir).map_err(|error| RaftError::io(&dir, error))?;
        let state = QuorumState::read(&*disk, &dir)?;
        let log = open_log(&config, &dir, now_ms)?;
        let recovered = recover(&dir, &log)?;
        check_voters(&config, &dir, state.as_ref(), &recovered.quorum)?;
        let known_epoch = state
            .map_or(0, |state| state.leader_epoch)
            .max(recovered.last_epoch);
        let epoch = known_epoch.saturating_add(1);
        let mut voter = SingleVoter {
            dir,
            log,
            loader: recovered.loader,
            quorum: recovered.quorum,
            snapshot: recovered.snapshot,
            bytes_since_snapshot: recovered.bytes_since_snapshot,
            snapshot_considered_ms: now_ms,
            epoch,
            config,
        };
        voter.take_lead(now_ms)?;
        let image = voter.loader.take_changes().0;
        Ok((voter, image))
    }

    /// Whether the log ends within a metadata transaction, whose records do not count.
    pub fn in_transaction(&self) -> bool {
        self.loader.in_transaction()
    }

    /// What an empty log is to begin with: what formatting left.
    pub fn bootstrap_records(&self) -> Result<Vec<VersionedRecord>, RaftError> {
        match Snapshot::read(&self.config.storage_directory.join(BOOTSTRAP_FILE_NAME)) {
            Ok(bootstrap) => Ok(bootstrap.records),
            Err(SnapshotError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(default_bootstrap_records())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// `kraft.version`: 1 where the voters are in the log.
    pub fn kraft_version(&self) -> i16 {
        self.quorum.kraft_version
    }

    /// The newest snapshot.
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshot
    }

    /// Append time of the last record, milliseconds; 0 if there is none.
    pub fn last_timestamp_ms(&self) -> i64 {
        self.loader.image().provenance.last_timestamp_ms
    }

    /// The directory of the log.
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    fn take_lead(&mut self, now_ms: i64) -> Result<(), RaftError> {
        let id = self.config.node_id;
        let state = QuorumState::leader(self.kraft_version().min(1), id, self.epoch);
        state.write(&*self.config.disk, &self.dir)?;
        let voter = || leader_change_message::Voter {
            voter_id: id,
            ..leader_change_message::Voter::default()
        };
        let mut records = vec![ControlRecord::LeaderChange(LeaderChangeMessage {
            version: 0,
            leader_id: id,
            voters: vec![voter()],
            granting_voters: vec![voter()],
            ..Default::default()
        })];
        // Formatting left the voters in a snapshot of nothing; from here on the log has them.
        if !self.quorum.is_in_log {
            records.append(&mut self.quorum.records());
            self.quorum.is_in_log = true;
        }
        let bytes = batch::encode_control(&records, self.log.log_end_offset(), self.epoch, now_ms)?;
        self.write(bytes, now_ms)?;
        let end = self.end(now_ms);
        self.loader.passed(end);
        info!(
            "voter {id} leads the metadata quorum in epoch {}",
            self.epoch
        );
        Ok(())
    }

    fn end(&self, now_ms: i64) -> Provenance {
        Provenance {
            last_offset: self.log.log_end_offset() - 1,
            last_epoch: self.epoch,
            last_timestamp_ms: now_ms,
        }
    }

    /// Appends one batch and syncs it.
    fn write(&mut self, batch: bytes::Bytes, now_ms: i64) -> Result<(), RaftError> {
        let size = batch.len() as u64;
        self.log
            .append_as_leader(batch, AppendOrigin::RaftLeader, self.epoch, now_ms)?;
        // What is in the log but not forced must not be built upon, nor be forced by a later append.
        if let Err(e) = self.log.flush(now_ms) {
            self.log.give_up(&e.to_string());
            return Err(e.into());
        }
        self.log.set_high_watermark(self.log.log_end_offset())?;
        self.bytes_since_snapshot += size;
        Ok(())
    }
}

impl MetadataLog for SingleVoter {
    fn append(&mut self, records: &[VersionedRecord], now_ms: i64) -> Result<Committed, RaftError> {
        if records.is_empty() {
            return Err(RaftError::Nothing);
        }
        let first_offset = self.log.log_end_offset();
        let last_offset = first_offset + records.len() as i64 - 1;
        let bytes = batch::encode_records(records, first_offset, self.epoch, now_ms)?;
        if bytes.len() > BATCH_BYTES_MAX {
            let (records, bytes, max) = (records.len(), bytes.len(), BATCH_BYTES_MAX);
            return Err(RaftError::TooLarge {
                records,
                bytes,
                max,
            });
        }
        // What cannot be applied must never get into the log.
        let mut loader = self.loader.clone();
        let end = Provenance {
            last_offset,
            last_epoch: self.epoch,
            last_timestamp_ms: now_ms,
        };
        loader.load(records, end)?;
        self.write(bytes, now_ms)?;
        self.loader = loader;
        let (image, changes) = self.loader.take_changes();
        Ok(Committed {
            first_offset,
            last_offset,
            image,
            changes,
        })
    }

    fn image(&self) -> &MetadataImage {
        self.loader.image()
    }

    fn end_offset(&self) -> i64 {
        self.log.log_end_offset()
    }

    fn leader_epoch(&self) -> i32 {
        self.epoch
    }

    fn maintain(&mut self, now_ms: i64) -> Result<(), RaftError> {
        if self.snapshot_is_due(now_ms) && !self.in_transaction() {
            self.snapshot(now_ms)?;
        }
        self.apply_retention(now_ms)?;
        self.log.remove_deleted_files(now_ms)?;
        Ok(())
    }

    fn close(&mut self) -> Result<(), RaftError> {
        Ok(self.log.close(true)?)
    }
}

fn exists(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    }
}

fn open_log(config: &VoterConfig, dir: &Path, now_ms: i64) -> Result<Log, RaftError> {
    let log_config = LogConfig {
        segment_bytes: config.segment_bytes,
        segment_ms: config.segment_ms,
        max_message_bytes: BATCH_BYTES_MAX as u32,
        message_timestamp_after_max_ms: i64::MAX,
        // Records go by snapshots alone.
        retention_ms: -1,
        retention_bytes: -1,
        ..LogConfig::default()
    };
    let options = LogOptions {
        disk: config.disk.clone(),
        ..LogOptions::new(now_ms)
    };
    let log = Log::open(dir, TopicPartition::new(TOPIC, 0), log_config, options)?;
    if log.topic_id()?.is_none() {
        log.set_topic_id(Uuid::METADATA_TOPIC_ID)?;
    }
    Ok(log)
}

/// Refuses a log that other voters have a part in.
fn check_voters(
    config: &VoterConfig,
    dir: &Path,
    state: Option<&QuorumState>,
    quorum: &Quorum,
) -> Result<(), RaftError> {
    let node_id = config.node_id;
    let voters: Vec<i32> = match (&quorum.voters, state) {
        (Some(record), _) => record.voters.iter().map(|voter| voter.voter_id).collect(),
        (None, Some(state)) => state.current_voters.clone(),
        (None, None) => Vec::new(),
    };
    let is_other_directory = quorum
        .voters
        .iter()
        .flat_map(|record| &record.voters)
        .any(|voter| voter.voter_id == node_id && voter.voter_directory_id != config.directory_id);
    if voters.iter().any(|voter| *voter != node_id) || is_other_directory {
        let path = dir.display().to_string();
        return Err(RaftError::OtherVoters {
            path,
            voters,
            node_id,
        });
    }
    Ok(())
}
