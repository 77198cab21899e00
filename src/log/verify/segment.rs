//! One segment: every batch in order, with its indexes alongside.
use std::io;
use std::path::{Path, PathBuf};

use super::indexes::{OffsetCheck, TimeCheck, TxnCheck};
use super::reader::{BatchReader, Found};
use super::{Inspect, OnStart, Outcome, Verifier, records};
use crate::log::epochs::LeaderEpochs;
use crate::log::names::{INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, file_name};
use crate::record::StoredHeader;

/// What is known of a segment before it is read.
pub struct SegmentFacts<'a> {
    pub dir: &'a Path,
    pub base_offset: i64,
    /// Where the next segment starts.
    pub next_base: Option<i64>,
    /// An unclean start reads it in full, and rebuilds its indexes.
    pub recovered: bool,
    /// No index may lag behind.
    pub sealed: bool,
    /// What the epochs say, from this offset on.
    pub epochs: Option<(&'a LeaderEpochs, i64)>,
}

/// How a segment ended.
#[derive(Debug, Clone, Copy)]
pub struct SegmentEnd {
    pub next_offset: i64,
    /// All of it could be read.
    pub whole: bool,
}

struct Walk {
    position: u64,
    next_offset: i64,
    offsets: OffsetCheck,
    times: TimeCheck,
    txns: TxnCheck,
    buffer: Vec<u8>,
    epoch_fault: Option<(i64, String)>,
}

impl Verifier<'_> {
    /// Checks a segment; `inspect` looks into the records of its batches.
    pub(super) fn segment(&mut self, facts: &SegmentFacts<'_>, inspect: Inspect<'_>) -> SegmentEnd {
        let path = facts.file(LOG_SUFFIX);
        self.counts.segments += 1;
        match self.walk_segment(facts, &path, inspect) {
            Ok(end) => end,
            Err(e) => {
                self.unreadable(&path, &e);
                SegmentEnd {
                    next_offset: facts.base_offset,
                    whole: false,
                }
            }
        }
    }

    fn walk_segment(
        &mut self,
        facts: &SegmentFacts<'_>,
        path: &Path,
        inspect: Inspect<'_>,
    ) -> io::Result<SegmentEnd> {
        let disk = self.disk;
        let base = facts.base_offset;
        let mut reader = BatchReader::open(disk, path)?;
        let mut walk = Walk {
            position: 0,
            next_offset: base,
            offsets: OffsetCheck::open(disk, facts.file(INDEX_SUFFIX), base)?,
            times: TimeCheck::open(disk, facts.file(TIME_INDEX_SUFFIX), base)?,
            txns: TxnCheck::open(disk, facts.file(TXN_INDEX_SUFFIX))?,
            buffer: Vec::new(),
            epoch_fault: None,
        };
        let whole = loop {
            let position = walk.position;
            match reader.at(position)? {
                Found::End => break true,
                Found::Broken(what) => {
                    let left = reader.end - position;
                    let what = format!("{what}; {left} bytes from there on cannot be read");
                    self.damage(facts, path, position, what, walk.next_offset);
                    self.read(left);
                    break false;
                }
                Found::Batch {
                    header,
                    batch,
                    checked,
                } => {
                    let checked = checked.map_err(|e| e.to_string());
                    let seen = checked.and_then(|()| follows(facts, walk.next_offset, &header));
                    let seen = seen.and_then(|()| match &batch {
                        Some(batch) => {
                            self.counts.records += records::check(batch, &mut walk.buffer)?;
                            inspect(batch)
                        }
                        None => Ok(()),
                    });
                    self.count_batch(&header);
                    if let Err(what) = seen {
                        self.damage(facts, path, position, what, walk.next_offset);
                    }
                    walk.offsets.batch(disk, position, &header)?;
                    walk.times.batch(disk, &header)?;
                    walk.txns.batch(disk, &header)?;
                    walk.check_epoch(facts, &header);
                    walk.next_offset = walk.next_offset.max(header.next_offset());
                    walk.position = position + header.size() as u64;
                }
            }
        };
        self.finish_segment(facts, &mut walk, whole)?;
        Ok(SegmentEnd {
            next_offset: walk.next_offset,
            whole,
        })
    }

    fn count_batch(&mut self, header: &StoredHeader<'_>) {
        self.counts.batches += 1;
        self.counts.old_batches += u64::from(header.magic() < 2);
        self.read(header.size() as u64);
    }

    fn damage(
        &mut self,
        facts: &SegmentFacts<'_>,
        path: &Path,
        position: u64,
        what: String,
        offset: i64,
    ) {
        let (outcome, remedy) = if facts.recovered {
            let remedy = format!(
                "copy the partition's directory aside before the next start if what lies behind \
                 offset {offset} matters"
            );
            (Outcome::both(OnStart::Cuts), remedy)
        } else {
            let remedy = format!(
                "restore the file from a backup or another replica; without one, consumers have to \
                 seek past the batch at offset {offset}"
            );
            (Outcome::both(OnStart::Overlooks), remedy)
        };
        self.fault(path, Some(position), what, outcome, remedy);
    }

    fn finish_segment(
        &mut self,
        facts: &SegmentFacts<'_>,
        walk: &mut Walk,
        whole: bool,
    ) -> io::Result<()> {
        self.counts.index_entries += walk.offsets.count + walk.times.count + walk.txns.count;
        if whole {
            walk.offsets.finish(self.disk, facts.sealed)?;
            walk.times.finish(self.disk, facts.sealed)?;
            walk.txns.finish();
        }
        for (path, exists, wrong) in [
            (
                &walk.offsets.path,
                walk.offsets.exists(),
                walk.offsets.wrong.take(),
            ),
            (
                &walk.times.path,
                walk.times.exists(),
                walk.times.wrong.take(),
            ),
        ] {
            if walk.position > 0 && !exists {
                let remedy = "nothing: it is made anew when the segment is opened";
                self.fault(
                    path,
                    None,
                    "is missing",
                    Outcome::both(OnStart::Repairs),
                    remedy,
                );
            }
            if let Some(wrong) = wrong {
                let outcome = match facts.recovered || wrong.obvious {
                    true => OnStart::Repairs,
                    false => OnStart::Overlooks,
                };
                let remedy = "delete it: it is made anew when the segment is opened";
                let position = Some(wrong.position);
                self.fault(path, position, wrong.what, Outcome::both(outcome), remedy);
            }
        }
        if let Some(wrong) = walk.txns.wrong.take() {
            let both = Outcome::both(OnStart::Repairs);
            let remedy = "delete it and .kafka_cleanshutdown: it is made anew from the segments";
            let path = &walk.txns.path;
            self.fault(path, Some(wrong.position), wrong.what, both, remedy);
        }
        if let Some((offset, what)) = walk.epoch_fault.take() {
            let path = facts.dir.join(crate::log::epochs::FILE_NAME);
            let what = format!("{what} (segment {}, offset {offset})", facts.base_offset);
            let both = Outcome::both(OnStart::Overlooks);
            let remedy = "delete it and .kafka_cleanshutdown: epochs are read from the batches";
            self.fault(&path, None, what, both, remedy);
        }
        Ok(())
    }
}

/// Whether the batch goes on where the one before ended, within the segment.
fn follows(
    facts: &SegmentFacts<'_>,
    next_offset: i64,
    header: &StoredHeader<'_>,
) -> Result<(), String> {
    let last = header.last_offset();
    let first = header.base_offset().unwrap_or(last);
    if first < next_offset || last < first {
        return Err(format!(
            "offsets {first} to {last} do not follow {next_offset}"
        ));
    }
    if facts.next_base.is_some_and(|next| last >= next) {
        return Err(format!("offset {last} belongs to the next segment"));
    }
    if last - facts.base_offset > i64::from(i32::MAX) {
        return Err(format!("offset {last} is too far from the segment's base"));
    }
    Ok(())
}

impl Walk {
    fn check_epoch(&mut self, facts: &SegmentFacts<'_>, header: &StoredHeader<'_>) {
        let Some((epochs, from)) = facts.epochs else {
            return;
        };
        let Some(header) = header.v2().filter(|header| header.leader_epoch() >= 0) else {
            return;
        };
        let offset = header.base_offset();
        let known = epochs.epoch_for_offset(offset);
        if offset < from || self.epoch_fault.is_some() || known == Some(header.leader_epoch()) {
            return;
        }
        let known = known.map_or("none".to_owned(), |epoch| epoch.to_string());
        let what = format!("says epoch {known}, the batch {}", header.leader_epoch());
        self.epoch_fault = Some((offset, what));
    }
}

impl SegmentFacts<'_> {
    fn file(&self, suffix: &str) -> PathBuf {
        self.dir.join(file_name(self.base_offset, suffix))
    }
}
