//! The metadata of a snapshot, or of a metadata log.
use std::path::Path;

use anyhow::anyhow;

use crate::metadata::batch::{self, Content};
use crate::metadata::image::Provenance;
use crate::metadata::snapshot::SnapshotId;
use crate::metadata::{MetadataImage, MetadataLoader};
use crate::record::BatchView;
use crate::tools::dump_log::batches::SegmentFile;
use crate::tools::output::message;

/// What the file adds up to. What cannot be read of it is told, and what lies before it shown: a
/// shell is for looking at what is damaged, too.
pub fn image(path: &Path) -> anyhow::Result<MetadataImage> {
    let mut loader = MetadataLoader::new(&MetadataImage::default());
    if let Some(before) = snapshot_before(path) {
        read(&before, &mut loader)?;
    }
    read(path, &mut loader)?;
    let (mut image, _) = loader.take_changes();
    if image.provenance == Provenance::default() {
        image.provenance.last_timestamp_ms = -1;
    }
    Ok(image)
}

fn read(path: &Path, loader: &mut MetadataLoader) -> anyhow::Result<()> {
    let segment = SegmentFile::open(path)?;
    let mut batches = segment.batches(0, u64::MAX);
    let mut bytes = Vec::new();
    loop {
        let position = batches.position();
        let replayed = match batches.next() {
            Ok(None) => break,
            Ok(Some(found)) => found.read(&mut bytes).and_then(|()| replay(&bytes, loader)),
            Err(error) => Err(error),
        };
        if let Err(error) = replayed {
            message(format!(
                "{}, position {position}: {error:#}. What follows is not shown.",
                path.display()
            ));
            return Ok(());
        }
    }
    if batches.position() < segment.size() {
        message(format!(
            "{}, position {}: the file ends within a batch.",
            path.display(),
            batches.position()
        ));
    }
    Ok(())
}

fn replay(bytes: &[u8], loader: &mut MetadataLoader) -> anyhow::Result<()> {
    let view = BatchView::first(bytes)?.ok_or_else(|| anyhow!("the batch is cut off"))?;
    let batch = batch::decode(&view)?;
    let end = Provenance {
        last_offset: batch.last_offset,
        last_epoch: batch.epoch,
        last_timestamp_ms: batch.timestamp_ms,
    };
    if let Content::Records(records) = batch.content {
        loader.load(&records, end)?;
    }
    Ok(())
}

/// A segment that is not the log's first goes on from the newest snapshot that is not behind it.
fn snapshot_before(path: &Path) -> Option<std::path::PathBuf> {
    let name = path.file_name()?.to_str()?;
    let start: i64 = name.strip_suffix(".log")?.parse().ok()?;
    if start == 0 {
        return None;
    }
    let names = std::fs::read_dir(path.parent()?).ok()?.flatten();
    let snapshots =
        names.filter_map(|entry| entry.file_name().to_str()?.parse::<SnapshotId>().ok());
    let newest = snapshots.filter(|id| id.end_offset <= start).max()?;
    Some(path.with_file_name(newest.file_name()))
}
