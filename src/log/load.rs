//! Opening a log: what lies in its directory, what is left over from a crash, and whether the end
//! can be believed or has to be found.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::config::LogConfig;
use super::epochs::{self, LeaderEpochs};
use super::error::{At, LogError};
use super::log::{Loaded, LogOptions};
use super::names::{
    CLEANED_SUFFIX, DELETED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SNAPSHOT_SUFFIX, TEMPORARY_SUFFIX,
    TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, TopicPartition, offset_of,
};
use super::place::Place;
use super::recovery::Recovery;
use super::segment::Segment;
use super::storage::remove_if_exists;

/// The files of a partition's directory that count.
#[derive(Debug, Default)]
struct Found {
    logs: BTreeSet<i64>,
    txn_indexes: BTreeSet<i64>,
    snapshots: BTreeSet<i64>,
}

/// Opens what is in the directory of `place`, or starts a new log there.
pub(super) fn load(
    tp: &TopicPartition,
    place: &Place,
    config: &LogConfig,
    options: &LogOptions,
) -> Result<Loaded, LogError> {
    let found = look_around(place)?;
    let segments: Vec<Arc<Segment>> = found
        .logs
        .iter()
        .map(|base| {
            let has_txn_index = found.txn_indexes.contains(base);
            Arc::new(Segment::existing(*base, options.now_ms, has_txn_index))
        })
        .collect();
    if segments.is_empty() {
        if !found.snapshots.is_empty() {
            // They tell of other records than those that will have their offsets.
            recovery_of(tp, place, config, options).remove_snapshots(|_| true)?;
        }
        return start(
            place,
            config,
            options,
            options.log_start_offset.unwrap_or(0),
        );
    }
    let last = segments.last().map_or(0, |segment| segment.base_offset());
    let closed = match options.clean {
        true => load_clean(place, options, &found, segments.clone()).map(Some),
        false => Ok(None),
    };
    let loaded = match closed {
        Ok(Some(loaded)) => loaded,
        Ok(None) => recover(tp, place, config, options, segments, found.snapshots)?,
        Err(e @ LogError::Malformed { .. }) => {
            tracing::error!("{tp}: {e}; it is recovered");
            let options = &LogOptions {
                recovery_point: Some(options.recovery_point.map_or(last, |point| point.min(last))),
                ..options.clone()
            };
            recover(tp, place, config, options, segments, found.snapshots)?
        }
        Err(e) => return Err(e),
    };
    if loaded.log_start_offset <= loaded.log_end_offset {
        return Ok(loaded);
    }
    tracing::warn!(
        "{tp}: starts at offset {} but ends at {}; it starts anew there, empty",
        loaded.log_start_offset,
        loaded.log_end_offset
    );
    let recovery = recovery_of(tp, place, config, options);
    for segment in &loaded.segments {
        recovery.remove_segment(segment)?;
    }
    recovery.remove_snapshots(|_| true)?;
    start(place, config, options, loaded.log_start_offset)
}

/// The epochs in the file; none if it makes no sense, for the batches still tell their own.
pub(super) fn read_epochs(place: &Place) -> Result<LeaderEpochs, LogError> {
    match LeaderEpochs::read(place.disk.as_ref(), &place.path(epochs::FILE_NAME)) {
        Err(e @ LogError::Malformed { .. }) => {
            tracing::warn!("{e}; it is written anew");
            Ok(LeaderEpochs::default())
        }
        other => other,
    }
}

/// Lists the directory, created if it is missing, and removes what a crash or a deletion left.
fn look_around(place: &Place) -> Result<Found, LogError> {
    let dir = place.dir();
    let disk = place.disk.as_ref();
    let entries = match disk.read_dir(&dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            disk.create_dir(&dir).at(&dir)?;
            Vec::new()
        }
        other => other.at(&dir)?,
    };
    let entries = match super::swap::complete(place, &entries)? {
        true => disk.read_dir(&dir).at(&dir)?,
        false => entries,
    };
    let mut found = Found::default();
    let mut indexes = Vec::new();
    for entry in &entries {
        let name = entry.name.as_str();
        let left_over = [DELETED_SUFFIX, CLEANED_SUFFIX, TEMPORARY_SUFFIX];
        if left_over.iter().any(|suffix| name.ends_with(suffix)) {
            remove_if_exists(disk, &place.path(name)).at(&dir)?;
        } else if let Some(base) = offset_of(name, LOG_SUFFIX) {
            found.logs.insert(base);
        } else if let Some(offset) = offset_of(name, SNAPSHOT_SUFFIX) {
            found.snapshots.insert(offset);
        } else if let Some(base) = offset_of(name, TXN_INDEX_SUFFIX) {
            found.txn_indexes.insert(base);
            indexes.push((base, name));
        } else if let Some(base) =
            offset_of(name, INDEX_SUFFIX).or_else(|| offset_of(name, TIME_INDEX_SUFFIX))
        {
            indexes.push((base, name));
        }
    }
    for (_, name) in indexes
        .iter()
        .filter(|(base, _)| !found.logs.contains(base))
    {
        tracing::warn!(
            "{} has no log beside it; removed",
            place.path(name).display()
        );
        remove_if_exists(disk, &place.path(name)).at(&dir)?;
    }
    remove_stray_snapshots(place, &mut found)?;
    Ok(found)
}

/// Of the snapshots, those at the base of a segment and the newest are of use.
fn remove_stray_snapshots(place: &Place, found: &mut Found) -> Result<(), LogError> {
    let newest = found.snapshots.last().copied();
    let stray: Vec<i64> = found
        .snapshots
        .iter()
        .copied()
        .filter(|offset| Some(*offset) != newest && !found.logs.contains(offset))
        .collect();
    for offset in stray {
        let path = place.file(offset, SNAPSHOT_SUFFIX);
        remove_if_exists(place.disk.as_ref(), &path).at(&path)?;
        found.snapshots.remove(&offset);
    }
    Ok(())
}

/// A new log, empty, at `offset`.
fn start(
    place: &Place,
    config: &LogConfig,
    options: &LogOptions,
    offset: i64,
) -> Result<Loaded, LogError> {
    let preallocate = config.preallocate.then_some(config.segment_bytes);
    let segment = Segment::create(place, offset, options.now_ms, preallocate)?;
    Ok(Loaded {
        segments: vec![Arc::new(segment)],
        epochs: Some(LeaderEpochs::default()),
        producers: Some(Default::default()),
        log_start_offset: offset,
        log_end_offset: offset,
        recovery_point: offset,
    })
}

/// After a clean stop the checkpoints tell the end of the log; nothing is read before it is needed.
fn load_clean(
    place: &Place,
    options: &LogOptions,
    found: &Found,
    segments: Vec<Arc<Segment>>,
) -> Result<Loaded, LogError> {
    let first = segments.first().map_or(0, |segment| segment.base_offset());
    let log_end_offset = match segments.last() {
        Some(active) => match believed_end(place, options, found, active)? {
            Some(end) => end,
            None => active.next_offset(place)?,
        },
        None => 0,
    };
    Ok(Loaded {
        segments,
        epochs: None,
        producers: None,
        log_start_offset: options.log_start_offset.unwrap_or(first).max(first),
        log_end_offset,
        recovery_point: options
            .recovery_point
            .unwrap_or(log_end_offset)
            .min(log_end_offset),
    })
}

/// The recovery point of a clean stop is the end of the log if the producer snapshot written then
/// says so too, or if there is nothing in the last segment.
fn believed_end(
    place: &Place,
    options: &LogOptions,
    found: &Found,
    active: &Segment,
) -> Result<Option<i64>, LogError> {
    let path = place.file(active.base_offset(), LOG_SUFFIX);
    let (size, _) = place.disk.stat(&path).at(&path)?;
    if size == 0 {
        return Ok(Some(active.base_offset()));
    }
    Ok(options
        .recovery_point
        .filter(|point| *point > active.base_offset() && found.snapshots.last() == Some(point)))
}

fn recover(
    tp: &TopicPartition,
    place: &Place,
    config: &LogConfig,
    options: &LogOptions,
    segments: Vec<Arc<Segment>>,
    snapshots: BTreeSet<i64>,
) -> Result<Loaded, LogError> {
    let first = segments.first().map_or(0, |segment| segment.base_offset());
    let log_start_offset = options.log_start_offset.unwrap_or(first).max(first);
    let recovery_point = options.recovery_point.unwrap_or(log_start_offset);
    let mut epochs = read_epochs(place)?;
    let recovery = recovery_of(tp, place, config, options);
    let segments = remove_deleted(&recovery, segments, log_start_offset)?;
    let recovered = recovery.run(segments, snapshots, recovery_point, &mut epochs)?;
    epochs.truncate_from_end(recovered.log_end_offset);
    epochs.truncate_from_start(log_start_offset);
    Ok(Loaded {
        segments: recovered.segments,
        epochs: Some(epochs),
        producers: Some(recovered.producers),
        log_start_offset,
        log_end_offset: recovered.log_end_offset,
        recovery_point: recovery_point.min(recovered.log_end_offset),
    })
}

/// Segments below the log start were deleted, or are about to be. Some may have come back, though nobody forced them
/// to the device: nothing is to be made of what is in them.
fn remove_deleted(
    recovery: &Recovery<'_>,
    mut segments: Vec<Arc<Segment>>,
    log_start_offset: i64,
) -> Result<Vec<Arc<Segment>>, LogError> {
    let begun = segments.partition_point(|segment| segment.base_offset() <= log_start_offset);
    for segment in segments.drain(..begun.saturating_sub(1)) {
        recovery.remove_segment(&segment)?;
    }
    Ok(segments)
}

fn recovery_of<'a>(
    tp: &'a TopicPartition,
    place: &'a Place,
    config: &LogConfig,
    options: &'a LogOptions,
) -> Recovery<'a> {
    Recovery {
        tp,
        place,
        index_interval_bytes: config.index_interval_bytes,
        now_ms: options.now_ms,
        producer_expiration_ms: options.producer_expiration_ms,
        progress: &options.progress,
    }
}
