//! Segments and snapshots of the metadata log: batches, and the records in them.
use std::path::Path;

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::batches::{FileBatch, SegmentFile};
use super::decoder::Decoder;
use super::findings::Findings;
use super::line::Lines;
use super::options::Wanted;
use crate::log::names::LOG_SUFFIX;
use crate::protocol::ToJson;
use crate::record::control::{ControlRecord, ControlType};
use crate::record::{
    BatchHeader, Compression, DECOMPRESSED_MAX, NO_SEQUENCE, RecordView, StoredBatch, StoredHeader,
    StoredRecords,
};
use crate::tools::progress::Progress;
use crate::tools::{java_json, java_text};

const BOOTSTRAP_CHECKPOINT: &str = "bootstrap.checkpoint";

/// What begins each record's line.
const RECORD_INDENT: &str = "| ";

pub struct Dump<'a, 'p> {
    pub path: &'a Path,
    pub name: &'a str,
    pub wanted: &'a Wanted,
    pub decoder: Decoder,
    pub max_bytes: i32,
    pub lines: &'a mut Lines<'p>,
    pub findings: &'a mut Findings,
}

impl Dump<'_, '_> {
    pub fn run(mut self) -> anyhow::Result<()> {
        self.say_what_it_is()?;
        let segment = SegmentFile::open(self.path)?;
        let max_bytes = u64::try_from(self.max_bytes)
            .map_err(|_| anyhow!("Invalid size: {} in --max-bytes", self.max_bytes))?;
        let mut batches = segment.batches(0, max_bytes);
        let progress = Progress::beside_output(segment.size().min(max_bytes));
        let mut last_offset = -1;
        let (mut bytes, mut unpacked) = (Vec::new(), Vec::new());
        while let Some(batch) = batches.next()? {
            self.batch(&batch)?;
            if self.wanted.records {
                batch.read(&mut bytes)?;
                self.records(&bytes, &mut unpacked, &mut last_offset)?;
            }
            progress.add(batch.size as u64);
        }
        progress.finish();
        let trailing = segment.size().min(max_bytes) - batches.position();
        if trailing > 0 && self.max_bytes == i32::MAX {
            let name = self.name;
            let words = format_args!("Found {trailing} invalid bytes at the end of {name}");
            self.lines.said(words, "invalidBytesAtTheEnd", trailing);
            self.lines.end()?;
        }
        Ok(())
    }

    fn say_what_it_is(&mut self) -> anyhow::Result<()> {
        if self.name.ends_with(LOG_SUFFIX) {
            let offset = super::start_offset(self.name)?;
            let words = format_args!("Log starting offset: {offset}");
            self.lines.said(words, "logStartingOffset", offset);
        } else if self.name == BOOTSTRAP_CHECKPOINT {
            let words = format_args!("KRaft bootstrap snapshot");
            self.lines.said(words, "kraftBootstrapSnapshot", true);
        } else {
            let (offset, epoch) = snapshot_id(self.name).with_context(|| {
                format!(
                    "{} is not named as snapshots are: OFFSET-EPOCH.checkpoint, of 20 and 10 digits",
                    self.name
                )
            })?;
            let words = format_args!("Snapshot end offset: {offset}, epoch: {epoch}");
            self.lines.said(words, "snapshotEndOffset", offset);
        }
        Ok(self.lines.end()?)
    }

    fn batch(&mut self, batch: &FileBatch<'_>) -> anyhow::Result<()> {
        let lines = &mut *self.lines;
        let header = batch.header()?;
        let compression = match &header {
            StoredHeader::V2(v2) => {
                v2_fields(lines, v2);
                v2.compression()
            }
            StoredHeader::Legacy(old) => {
                lines.field("offset", old.last_offset());
                old.compression()
            }
        };
        lines.field("position", batch.position);
        let compression: Compression = compression?;
        lines.field(timestamp_type(&header), header.max_timestamp());
        lines.field("size", batch.size);
        lines.field("magic", header.magic());
        lines.field("compresscodec", compression.name());
        lines.field("crc", header.crc());
        lines.field("isvalid", batch.is_valid()?);
        Ok(lines.end()?)
    }

    fn records(
        &mut self,
        bytes: &[u8],
        unpacked: &mut Vec<u8>,
        last_offset: &mut i64,
    ) -> anyhow::Result<()> {
        let batch = StoredBatch::first(bytes)?;
        let batch = batch.ok_or_else(|| anyhow!("the file changed while it was read"))?;
        let header = batch.header();
        let records = batch.records_with(unpacked, DECOMPRESSED_MAX)?;
        let mut old = match &records {
            StoredRecords::Legacy(records) => Some(records.messages()),
            StoredRecords::V2(_) => None,
        };
        for record in &records {
            let record = record?;
            if record.offset != last_offset.wrapping_add(1) {
                self.findings.gap(self.path, *last_offset, record.offset);
            }
            *last_offset = record.offset;
            let lines = &mut *self.lines;
            if self.wanted.metadata {
                lines.indent(RECORD_INDENT);
                record_fields(lines, &header, &record);
                if let Some(Ok(message)) = old.as_mut().and_then(Iterator::next) {
                    lines.field("isValid", message.crc_is_valid());
                    lines.field("crc", message.crc());
                }
                if header.is_control() {
                    control(lines, &record)?;
                }
            }
            if self.wanted.contents && !header.is_control() {
                let (key, value) = self.decoder.decode(&record)?;
                if !self.wanted.metadata && (key.is_some() || value.is_some()) {
                    lines.indent(RECORD_INDENT);
                }
                if let Some(key) = key {
                    lines.field("key", key);
                }
                if let Some(value) = value {
                    lines.field("payload", value);
                }
            }
            lines.end()?;
        }
        Ok(())
    }
}

fn v2_fields(lines: &mut Lines<'_>, header: &BatchHeader<'_>) {
    lines.field("baseOffset", header.base_offset());
    lines.field("lastOffset", header.last_offset());
    lines.field("count", header.record_count());
    lines.field("baseSequence", header.base_sequence());
    lines.field("lastSequence", header.last_sequence());
    lines.field("producerId", header.producer_id());
    lines.field("producerEpoch", header.producer_epoch());
    lines.field("partitionLeaderEpoch", header.leader_epoch());
    lines.field("isTransactional", header.is_transactional());
    lines.field("isControl", header.is_control());
    lines.optional("deleteHorizonMs", header.delete_horizon_ms());
}

fn timestamp_type(header: &StoredHeader<'_>) -> &'static str {
    header
        .timestamp_type()
        .map_or("NoTimestampType", |kind| kind.name())
}

fn record_fields(lines: &mut Lines<'_>, header: &StoredHeader<'_>, record: &RecordView<'_>) {
    let len = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
    lines.field("offset", record.offset);
    lines.field(timestamp_type(header), record.timestamp);
    lines.field("keySize", len(record.key));
    lines.field("valueSize", len(record.value));
    let Some(v2) = header.v2() else { return };
    lines.field("sequence", sequence(v2, record.offset));
    let keys: Vec<String> = record
        .headers()
        .map(|h| java_text::utf8(h.key).into_owned())
        .collect();
    let words = format!("headerKeys: [{}]", keys.join(","));
    lines.said(format_args!("{words}"), "headerKeys", keys);
}

/// Sequence numbers count from 0 to `i32::MAX` and start again.
fn sequence(header: &BatchHeader<'_>, offset: i64) -> i32 {
    let base = header.base_sequence();
    let delta = offset.wrapping_sub(header.base_offset()) as i32;
    if base < 0 {
        return NO_SEQUENCE;
    }
    base.checked_add(delta)
        .unwrap_or_else(|| base.wrapping_add(delta).wrapping_sub(i32::MIN))
}

fn control(lines: &mut Lines<'_>, record: &RecordView<'_>) -> anyhow::Result<()> {
    let mut json = |words: &str, name: &str, json: Value| {
        let text = java_json::to_string(&json);
        lines.said(format_args!("{words} {text}"), name, json);
    };
    match ControlRecord::decode(record)? {
        ControlRecord::EndTxn(marker) => {
            let kind = if marker.commit { "COMMIT" } else { "ABORT" };
            lines.field("endTxnMarker", kind);
            lines.field("coordinatorEpoch", marker.coordinator_epoch);
        }
        ControlRecord::LeaderChange(message) => {
            json(
                "LeaderChange:",
                "leaderChange",
                message.to_json(message.version),
            );
        }
        ControlRecord::SnapshotHeader(message) => {
            json(
                "SnapshotHeader",
                "snapshotHeader",
                message.to_json(message.version),
            );
        }
        ControlRecord::SnapshotFooter(message) => {
            json(
                "SnapshotFooter",
                "snapshotFooter",
                message.to_json(message.version),
            );
        }
        ControlRecord::KRaftVersion(message) => {
            json(
                "KRaftVersion",
                "kraftVersion",
                message.to_json(message.version),
            );
        }
        ControlRecord::Voters(message) => {
            json(
                "KRaftVoters",
                "kraftVoters",
                message.to_json(message.version),
            );
        }
        ControlRecord::Other(_) => {
            let id = ControlType::from_key(record.key)?.id();
            lines.said(
                format_args!("controlType: UNKNOWN({id})"),
                "controlType",
                id,
            );
        }
    }
    Ok(())
}

/// The offset and the epoch in a snapshot's name.
fn snapshot_id(name: &str) -> Option<(i64, i32)> {
    let id = name.strip_suffix(super::CHECKPOINT_SUFFIX)?;
    let (offset, epoch) = id.split_once('-')?;
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    let named = digits(offset, 20) && digits(epoch, 10);
    named.then(|| offset.parse().ok().zip(epoch.parse().ok()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_named_by_offset_and_epoch() {
        let name = "00000000000000000130-0000000001.checkpoint";
        assert_eq!(snapshot_id(name), Some((130, 1)));
        assert_eq!(snapshot_id("clean-130-1.checkpoint"), None);
        assert_eq!(
            snapshot_id("99999999999999999999-0000000001.checkpoint"),
            None
        );
    }
}
