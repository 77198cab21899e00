//! Segments that end and the next ones: what of the old one is written then, and when that is spread
//! over time.
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;

use super::config::LogConfig;
use super::error::LogError;
use super::log::{Log, Writer};
use super::segment::Segment;

impl Log {
    /// Starts a new segment at the end of the log, unless the last one is empty.
    pub fn roll(&self, now_ms: i64) -> Result<(), LogError> {
        self.activate()?;
        let mut writer = self.writer.lock();
        self.check_usable(&writer)?;
        self.roll_locked(&mut writer, self.log_end_offset(), now_ms)
    }

    pub(super) fn roll_locked(
        &self,
        writer: &mut Writer,
        base_offset: i64,
        now_ms: i64,
    ) -> Result<(), LogError> {
        let active = self.active();
        if active.base_offset() >= base_offset {
            return Ok(());
        }
        active.trim(&self.place, self.config_now().preallocate)?;
        active.seal(&self.place)?;
        let flushed = self.recovery_point() >= base_offset;
        if flushed {
            // A recovery believes what lies before the recovery point, and the snapshot.
            active.sync(&self.place, true)?;
            self.sync_names()?;
        }
        self.recovery(now_ms)
            .write_snapshot(&writer.producers, base_offset, flushed)?;
        let config = self.config();
        let preallocate = config.preallocate.then_some(config.segment_bytes);
        let segment = Segment::create(&self.place, base_offset, now_ms, preallocate)?;
        let mut segments = self.segments.load().to_vec();
        segments.push(Arc::new(segment));
        self.segments.store(Arc::new(segments));
        self.rolled.store(true, Release);
        Ok(())
    }
}

/// A segment's share of `segment.jitter.ms`, spread so that logs made together do not roll together.
pub(super) fn jitter(base_offset: i64, created_ms: i64, config: &LogConfig) -> i64 {
    let bound = config.segment_jitter_ms.min(config.segment_ms);
    if bound <= 0 {
        return 0;
    }
    // Multiplying by an odd constant and folding spreads neighbouring values well enough.
    let mixed = (base_offset as u64 ^ (created_ms as u64).rotate_left(32))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 32)) % bound as u64) as i64
}
