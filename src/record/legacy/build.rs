//! Writing message sets of magic 0 and 1. Only compaction needs it: what it keeps of a batch stays
//! in the format of that batch.
use super::super::codec;
use super::{
    APPEND_TIME_FLAG, BatchError, CRC_START, Compression, LOG_OVERHEAD, LegacyBatch, NO_TIMESTAMP,
    RecordView, TimestampType,
};

/// How a message set is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageFormat {
    /// 0 or 1.
    pub magic: u8,
    pub compression: Compression,
    /// Of magic 1; magic 0 has no timestamps.
    pub timestamp_type: TimestampType,
    /// With [`TimestampType::LogAppend`], what a wrapper says of all its messages.
    pub append_time: i64,
}

/// A message before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

impl<'a> From<RecordView<'a>> for Message<'a> {
    fn from(record: RecordView<'a>) -> Self {
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
        }
    }
}

impl MessageFormat {
    /// The format of a stored batch.
    pub fn of(batch: &LegacyBatch<'_>) -> Result<Self, BatchError> {
        Ok(Self {
            magic: batch.magic(),
            compression: batch.compression()?,
            timestamp_type: batch.timestamp_type(),
            append_time: batch.max_timestamp(),
        })
    }

    /// Appends `messages`, at least one: one after the other, or with a codec in one wrapper. Its
    /// offset is that of the last one, its timestamp the greatest inside unless the log sets it.
    pub fn write<'m>(
        &self,
        messages: impl IntoIterator<Item = Message<'m>>,
        out: &mut Vec<u8>,
    ) -> Result<(), BatchError> {
        let mut set = Vec::new();
        // The first and the last offset, the greatest timestamp.
        let mut span: Option<(i64, i64, i64)> = None;
        for message in messages {
            let (first, _, max) = span.unwrap_or((message.offset, 0, NO_TIMESTAMP));
            span = Some((first, message.offset, max.max(message.timestamp)));
            let mut stored = message;
            if self.magic == 1 && self.compression != Compression::None {
                stored.offset = message.offset.wrapping_sub(first);
            }
            self.write_message(&stored, Compression::None, &mut set)?;
        }
        let Some((_, last, max)) = span else {
            return Err(BatchError::invalid(
                "a message set without messages cannot be stored",
            ));
        };
        if self.compression == Compression::None {
            out.append(&mut set);
            return Ok(());
        }
        let mut value = Vec::new();
        match self.magic {
            0 => codec::compress_for_magic_0(self.compression, &set, &mut value)?,
            _ => codec::compress(self.compression, None, &set, &mut value)?,
        }
        let wrapper = Message {
            offset: last,
            timestamp: match self.timestamp_type {
                TimestampType::LogAppend => self.append_time,
                TimestampType::Create => max,
            },
            key: None,
            value: Some(&value),
        };
        self.write_message(&wrapper, self.compression, out)
    }

    fn write_message(
        &self,
        message: &Message<'_>,
        compression: Compression,
        out: &mut Vec<u8>,
    ) -> Result<(), BatchError> {
        let start = out.len();
        out.extend_from_slice(&message.offset.to_be_bytes());
        // Size and CRC, known at the end.
        out.extend_from_slice(&[0; 8]);
        let append_time = match (self.magic, self.timestamp_type) {
            (1, TimestampType::LogAppend) => APPEND_TIME_FLAG,
            _ => 0,
        };
        out.extend_from_slice(&[self.magic, compression.id() | append_time]);
        if self.magic == 1 {
            out.extend_from_slice(&message.timestamp.to_be_bytes());
        }
        for field in [message.key, message.value] {
            let len = field.map_or(Ok(-1), |bytes| i32::try_from(bytes.len()));
            let too_large = |_| BatchError::RecordTooLarge(field.map_or(0, <[u8]>::len));
            out.extend_from_slice(&len.map_err(too_large)?.to_be_bytes());
            out.extend_from_slice(field.unwrap_or_default());
        }
        seal(out.get_mut(start..).unwrap_or_default())
    }
}

/// Fills in the size and the CRC of a message.
fn seal(message: &mut [u8]) -> Result<(), BatchError> {
    let len = message.len();
    let size = len
        .checked_sub(LOG_OVERHEAD)
        .and_then(|size| i32::try_from(size).ok())
        .ok_or(BatchError::RecordTooLarge(len))?;
    let mut crc = flate2::Crc::new();
    crc.update(message.get(CRC_START..).unwrap_or_default());
    if let Some(field) = message.get_mut(8..LOG_OVERHEAD) {
        field.copy_from_slice(&size.to_be_bytes());
    }
    if let Some(field) = message.get_mut(LOG_OVERHEAD..CRC_START) {
        field.copy_from_slice(&crc.sum().to_be_bytes());
    }
    Ok(())
}

/// Appends what `batch` is with `retained` alone of its records, at least one: the same magic,
/// codec and kind of timestamp. The offsets and timestamps of the records stay.
pub fn rebuild<'r>(
    batch: &LegacyBatch<'_>,
    retained: impl IntoIterator<Item = RecordView<'r>>,
    out: &mut Vec<u8>,
) -> Result<(), BatchError> {
    MessageFormat::of(batch)?.write(retained.into_iter().map(Message::from), out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (offset, timestamp, key) of the records.
    fn records(batch: &LegacyBatch<'_>) -> Vec<(i64, i64, String)> {
        let records = batch.records().unwrap();
        let shown = |record: RecordView<'_>| {
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            (record.offset, record.timestamp, key)
        };
        records
            .iter()
            .map(|record| shown(record.unwrap()))
            .collect()
    }

    fn written(format: &MessageFormat, offsets: std::ops::Range<i64>) -> Vec<u8> {
        let keys: Vec<String> = offsets.clone().map(|n| format!("k{n}")).collect();
        let messages = offsets.zip(&keys).map(|(offset, key)| Message {
            offset,
            timestamp: 1000 + offset,
            key: Some(key.as_bytes()),
            value: Some(b"value"),
        });
        let mut out = Vec::new();
        format.write(messages, &mut out).unwrap();
        out
    }

    #[test]
    fn a_wrapper_keeps_what_is_retained() {
        for magic in [0, 1] {
            for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
                for kind in [TimestampType::Create, TimestampType::LogAppend] {
                    let format = MessageFormat {
                        magic,
                        compression,
                        timestamp_type: kind,
                        append_time: 5000,
                    };
                    let bytes = written(&format, 20..25);
                    let batch = LegacyBatch::first(&bytes).unwrap().unwrap();
                    let all = records(&batch);
                    assert_eq!(all.first().unwrap().0, 20);
                    let view = batch.records().unwrap();
                    let kept = view.iter().map(Result::unwrap);
                    let kept = kept.filter(|record| record.offset == 21 || record.offset == 23);
                    let mut out = b"before".to_vec();
                    rebuild(&batch, kept, &mut out).unwrap();
                    let rebuilt = LegacyBatch::first(&out[6..]).unwrap().unwrap();
                    assert!(rebuilt.crc_is_valid());
                    assert_eq!(rebuilt.size(), out.len() - 6);
                    assert_eq!(records(&rebuilt), [all[1].clone(), all[3].clone()]);
                    assert_eq!(rebuilt.last_offset(), 23);
                    assert_eq!(rebuilt.compression(), Ok(compression));
                    assert_eq!((rebuilt.magic(), rebuilt.timestamp_type()), {
                        let kind = if magic == 0 {
                            TimestampType::Create
                        } else {
                            kind
                        };
                        (magic, kind)
                    });
                    let max = match (magic, kind) {
                        (0, _) => -1,
                        (_, TimestampType::LogAppend) => 5000,
                        _ => 1023,
                    };
                    assert_eq!(rebuilt.max_timestamp(), max);
                }
            }
        }
    }

    #[test]
    fn a_plain_message_stays_as_it_was() {
        for magic in [0, 1] {
            let format = MessageFormat {
                magic,
                compression: Compression::None,
                timestamp_type: TimestampType::Create,
                append_time: -1,
            };
            let bytes = written(&format, 7..8);
            let batch = LegacyBatch::first(&bytes).unwrap().unwrap();
            let view = batch.records().unwrap();
            let mut out = Vec::new();
            rebuild(&batch, view.iter().map(Result::unwrap), &mut out).unwrap();
            assert_eq!(out, bytes);
            assert!(rebuild(&batch, [], &mut out).is_err());
        }
    }

    #[test]
    fn lz4_of_magic_0_has_the_checksum_that_old_clients_expect() {
        let mut broken = Vec::new();
        codec::compress_for_magic_0(Compression::Lz4, b"abc", &mut broken).unwrap();
        let mut right = Vec::new();
        codec::compress(Compression::Lz4, None, b"abc", &mut right).unwrap();
        // The third byte of the descriptor is the checksum, which old Java took over the magic too.
        assert_eq!((broken[6], right[6]), (0x1a, 0x82));
        broken[6] = right[6];
        assert_eq!(broken, right);
    }
}
