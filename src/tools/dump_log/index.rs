//! Offset and time indexes, and whether they say the truth of their segment.
use std::path::Path;

use anyhow::{Context, anyhow, bail};

use super::batches::{FileBatch, SegmentFile, open};
use super::findings::Findings;
use super::line::Lines;
use super::options::Wanted;
use crate::log::index_file::Entry;
use crate::log::names::{INDEX_SUFFIX, LOG_SUFFIX};
use crate::log::offset_index::OffsetEntry;
use crate::log::time_index::TimeEntry;
use crate::record::{DECOMPRESSED_MAX, NO_TIMESTAMP, StoredBatch};
use crate::tools::progress::Progress;

/// No broker makes a larger index: `segment.index.bytes` is an i32.
const INDEX_BYTES_MAX: u64 = i32::MAX as u64;

pub struct Index<'a, 'p> {
    pub path: &'a Path,
    pub name: &'a str,
    pub wanted: &'a Wanted,
    pub max_message_size: i32,
    pub lines: &'a mut Lines<'p>,
    pub findings: &'a mut Findings,
}

/// The whole entries of a file, and its bytes.
struct Entries<E> {
    all: Vec<E>,
    bytes: usize,
}

fn read<E: Entry>(path: &Path) -> anyhow::Result<Entries<E>> {
    let size = open(path)?.metadata()?.len();
    if size > INDEX_BYTES_MAX {
        bail!("{} has {size} bytes: that is no index", path.display());
    }
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let all = bytes.chunks_exact(E::BYTES).map_while(E::decode).collect();
    Ok(Entries {
        all,
        bytes: bytes.len(),
    })
}

/// The file is signed where ours are not: what a broker never writes is shown as Kafka shows it.
fn absolute(base: i64, relative: u32) -> i64 {
    base.wrapping_add(i64::from(relative as i32))
}

impl Index<'_, '_> {
    fn beside(&self, suffix: &str) -> std::path::PathBuf {
        let stem = self.name.split('.').next().unwrap_or_default();
        self.path.with_file_name(format!("{stem}{suffix}"))
    }

    fn passed(&mut self) -> anyhow::Result<()> {
        let path = self.path.display();
        let words = format_args!("{path} passed sanity check.");
        self.lines.said(words, "passedSanityCheck", true);
        Ok(self.lines.end()?)
    }

    /// `.index`.
    pub fn offsets(mut self) -> anyhow::Result<()> {
        let base = super::start_offset(self.name)?;
        let log = self.beside(LOG_SUFFIX);
        let segment = SegmentFile::open(&log)?;
        let entries = read::<OffsetEntry>(self.path)?;
        let path = self.path.display();
        let Some(last) = entries.all.last() else {
            self.lines
                .said(format_args!("{path} is empty."), "empty", true);
            return Ok(self.lines.end()?);
        };
        if self.wanted.index_sanity_only {
            let last = absolute(base, last.relative_offset);
            if last < base {
                bail!(
                    "Corrupt index found, index file ({path}) has non-zero size but the last \
                     offset is {last} which is less than the base offset {base}"
                );
            }
            whole(self.path, "Index", entries.bytes, OffsetEntry::BYTES)?;
            return self.passed();
        }
        let progress = Progress::beside_output(entries.bytes as u64);
        for (at, entry) in entries.all.iter().enumerate() {
            let offset = absolute(base, entry.relative_offset);
            // Zeroes are what was set aside and never written.
            if offset == base && at > 0 {
                break;
            }
            let position = u64::from(entry.position);
            let end = position.saturating_add(u64::try_from(self.max_message_size).unwrap_or(0));
            let batch = segment.batches(position, end).next()?;
            let batch = batch.ok_or_else(|| {
                anyhow!(
                    "{path}: offset {offset} points to position {position} of {}, where no batch of \
                     at most {} bytes is",
                    log.display(),
                    self.max_message_size
                )
            })?;
            let found = batch.header()?.last_offset();
            if found != offset {
                self.findings.index_mismatch(self.path, offset, found);
            }
            if !self.wanted.verify_only {
                self.lines.field("offset", offset);
                self.lines.field("position", entry.position as i32);
                self.lines.end()?;
            }
            progress.add(OffsetEntry::BYTES as u64);
        }
        progress.finish();
        Ok(())
    }

    /// `.timeindex`.
    pub fn timestamps(mut self) -> anyhow::Result<()> {
        let base = super::start_offset(self.name)?;
        let log = self.beside(LOG_SUFFIX);
        let segment = SegmentFile::open(&log)?;
        let entries = read::<TimeEntry>(self.path)?;
        if self.wanted.index_sanity_only {
            return self.check_timestamps(base, &entries);
        }
        // Without an offset index all is searched from the segment's beginning.
        let index = self.beside(INDEX_SUFFIX);
        let index = match index.exists() {
            true => read::<OffsetEntry>(&index)?.all,
            false => Vec::new(),
        };
        let progress = Progress::beside_output(entries.bytes as u64);
        let mut before = NO_TIMESTAMP;
        for (at, entry) in entries.all.iter().enumerate() {
            let offset = absolute(base, entry.relative_offset);
            // Zeroes are what was set aside and never written.
            if offset == base && at > 0 {
                break;
            }
            let passed = index.partition_point(|e| e.relative_offset <= entry.relative_offset);
            let from = passed.checked_sub(1).and_then(|floor| index.get(floor));
            let from = from.map_or(0, |floor| u64::from(floor.position));
            match first_reaching(&segment, from, offset)? {
                None => self.findings.offset_not_found(self.path, offset, -1),
                Some((_, last)) if last != offset => {
                    self.findings.offset_not_found(self.path, offset, last);
                }
                Some((batch, _)) => {
                    let greatest = greatest_timestamp(&batch)?;
                    let (path, timestamp) = (self.path, entry.timestamp);
                    if greatest != timestamp {
                        self.findings.timestamp_mismatch(path, timestamp, greatest);
                    }
                    if before >= timestamp {
                        self.findings
                            .timestamp_out_of_order(path, timestamp, before);
                    }
                }
            }
            if !self.wanted.verify_only {
                self.lines.field("timestamp", entry.timestamp);
                self.lines.field("offset", offset);
                self.lines.end()?;
            }
            before = entry.timestamp;
            progress.add(TimeEntry::BYTES as u64);
        }
        progress.finish();
        Ok(())
    }

    fn check_timestamps(&mut self, base: i64, entries: &Entries<TimeEntry>) -> anyhow::Result<()> {
        let path = self.path.display();
        if let (Some(first), Some(last)) = (entries.all.first(), entries.all.last()) {
            if last.timestamp < first.timestamp {
                bail!(
                    "Corrupt time index found, time index file ({path}) has non-zero size but the \
                     last timestamp is {} which is less than the first timestamp {}",
                    last.timestamp,
                    first.timestamp
                );
            }
            let last = absolute(base, last.relative_offset);
            if last < base {
                bail!(
                    "Corrupt time index found, time index file ({path}) has non-zero size but the \
                     last offset is {last} which is less than the first offset {base}"
                );
            }
        }
        whole(self.path, "Time index", entries.bytes, TimeEntry::BYTES)?;
        self.passed()
    }
}

fn whole(path: &Path, what: &str, bytes: usize, entry: usize) -> anyhow::Result<()> {
    if bytes.is_multiple_of(entry) {
        return Ok(());
    }
    bail!(
        "{what} file {} is corrupt, found {bytes} bytes which is neither positive nor a multiple of \
         {entry}",
        path.display()
    );
}

/// The first batch that goes up to `offset`, with its last offset.
fn first_reaching<'s>(
    segment: &'s SegmentFile<'s>,
    position: u64,
    offset: i64,
) -> anyhow::Result<Option<(FileBatch<'s>, i64)>> {
    let mut batches = segment.batches(position, u64::MAX);
    while let Some(batch) = batches.next()? {
        let last = batch.header()?.last_offset();
        if last >= offset {
            return Ok(Some((batch, last)));
        }
    }
    Ok(None)
}

fn greatest_timestamp(batch: &FileBatch<'_>) -> anyhow::Result<i64> {
    let (mut bytes, mut unpacked) = (Vec::new(), Vec::new());
    batch.read(&mut bytes)?;
    let batch = StoredBatch::first(&bytes)?;
    let batch = batch.ok_or_else(|| anyhow!("the file changed while it was read"))?;
    let records = batch.records_with(&mut unpacked, DECOMPRESSED_MAX)?;
    let mut greatest = NO_TIMESTAMP;
    for record in &records {
        greatest = greatest.max(record?.timestamp);
    }
    Ok(greatest)
}
