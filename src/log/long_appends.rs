//! Which appends take longer than other connections on the same thread should wait: batches that are packed in another
//! codec, large compressed batches, which are unpacked to be checked, and those after which the log is forced to the
//! device. The others are over in some microseconds.

use super::config::CompressionPolicy;
use super::log::Log;
use crate::record::{BatchView, Compression};

/// Uncompressed batches of at least this size are packed elsewhere; what comes packed may be large at any size.
const PACKED_BYTES_MIN: usize = 4 * 1024;
/// Compressed batches of at least this size are checked elsewhere.
const CHECKED_BYTES_MIN: usize = 128 * 1024;

impl Log {
    /// Whether appending this batch of a client may take long.
    pub fn append_takes_long(&self, batch: &BatchView<'_>) -> bool {
        let config = self.config_now();
        if config.flush_messages < i64::MAX {
            return true;
        }
        let Ok(source) = batch.compression() else {
            return false;
        };
        let target = match config.compression {
            CompressionPolicy::Producer => source,
            CompressionPolicy::Codec(target) => target,
        };
        let size = batch.size();
        match source {
            Compression::None => target != source && size >= PACKED_BYTES_MIN,
            _ => target != source || size >= CHECKED_BYTES_MIN,
        }
    }
}
