//! How fast a compacted log is cleaned: `cargo bench --bench compaction`.
//!
//! Writes a log of small records with random keys, cleans it once, and prints log bytes cleaned per
//! second, CPU seconds and memory. Sizes by environment, see `benches/README.md`.
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafkars::log::cleaner::{Cleaner, Resources, Supervisor};
use kafkars::log::{AppendOrigin, LogConfig, LogManager, LogManagerConfig, TopicPartition};
use kafkars::protocol::Uuid;
use kafkars::record::{BatchBuilder, BatchMeta, Compression};

const NOW_MS: i64 = 1_700_000_000_000;

fn env(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number"))
    })
}

/// Lets everything pass.
struct Unwatched;

impl Supervisor for Unwatched {
    fn pass(&self, _tp: &TopicPartition, _bytes: usize) -> bool {
        true
    }
}

fn main() {
    let records = env("BENCH_COMPACT_RECORDS", 2_000_000);
    let keys = env("BENCH_COMPACT_KEYS", records / 2);
    let value_bytes = env("BENCH_COMPACT_VALUE_BYTES", 70) as usize;
    let batch_records = env("BENCH_COMPACT_BATCH_RECORDS", 100);
    let map_bytes = env("BENCH_COMPACT_MAP_MB", 1024) << 20;
    let compression = match std::env::var("BENCH_COMPACT_CODEC") {
        Ok(name) => name.parse::<Compression>().expect("a codec"),
        Err(_) => Compression::None,
    };
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(base).expect("a directory");
    let config = LogManagerConfig::new(vec![dir.path().to_owned()], NOW_MS);
    let logs = LogManager::open(config, |_| LogConfig::default()).expect("logs");
    let tp = TopicPartition::new("compacted", 0);
    let log_config = LogConfig {
        compact: true,
        delete: false,
        ..LogConfig::default()
    };
    let id = Uuid::from_u128(1);
    let log = logs
        .create(&tp, id, None, log_config, NOW_MS)
        .expect("a log");
    let mut random = fastrand::Rng::with_seed(1);
    let value = vec![b'v'; value_bytes];
    let mut left = records;
    while left > 0 {
        let count = left.min(batch_records);
        let batch = batch(&mut random, keys, count, &value, compression);
        log.append_as_leader(batch, AppendOrigin::Coordinator, 0, NOW_MS)
            .expect("an append");
        left -= count;
    }
    log.commit_all().expect("a high watermark");
    log.roll(NOW_MS).expect("a roll");
    log.flush(NOW_MS).expect("a flush");
    let size = log.size().expect("a size");
    println!(
        "{records} records, {keys} keys, {} bytes in {} segments, {compression}",
        size,
        log.segment_count()
    );
    let resources = Resources {
        map_bytes: map_bytes as usize,
        load_factor: 0.9,
        buffer_bytes: 256 << 10,
    };
    let before = rss_kib();
    let mut cleaner = Cleaner::default();
    let mut pass = 1;
    loop {
        let (cpu, began) = (cpu_time(), Instant::now());
        let cleaned = logs.clean_filthiest(&mut cleaner, &resources, 7, &Unwatched, NOW_MS);
        let Some(cleaned) = cleaned.expect("a cleaning") else {
            break;
        };
        let (took, cpu) = (began.elapsed(), cpu_time() - cpu);
        let stats = cleaned.stats;
        println!(
            "pass {pass}: {:.0} MB/s of log ({} bytes read, {} written, {} of {} records kept) in {:.2} s, \
             {:.2} CPU s per GB; map {:.1} MB; RSS peak {:.1} MB, {:.1} MB before",
            stats.bytes_read as f64 / 1e6 / took.as_secs_f64(),
            stats.bytes_read,
            stats.bytes_written,
            stats.records.records_kept,
            stats.records.records_read,
            took.as_secs_f64(),
            cpu.as_secs_f64() / (stats.bytes_read as f64 / 1e9),
            stats.map_memory as f64 / 1e6,
            peak_kib() as f64 / 1e3,
            before as f64 / 1e3,
        );
        pass += 1;
    }
}

fn batch(
    random: &mut fastrand::Rng,
    keys: u64,
    count: u64,
    value: &[u8],
    compression: Compression,
) -> Bytes {
    let mut builder = BatchBuilder::new();
    for _ in 0..count {
        let key = format!("key-{:012}", random.u64(..keys));
        builder
            .append(NOW_MS, Some(key.as_bytes()), Some(value), &[])
            .expect("a record");
    }
    let meta = BatchMeta {
        compression,
        ..BatchMeta::default()
    };
    builder.finish(&meta).expect("a batch")
}

/// A line of `/proc/self/status`, in KiB.
fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let number = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn rss_kib() -> u64 {
    status("VmRSS:")
}

fn peak_kib() -> u64 {
    status("VmHWM:")
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let field = |at: usize| -> u64 {
        let text = after.split_ascii_whitespace().nth(at);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    // Fields 14 and 15, in hundredths of a second.
    Duration::from_millis((field(11) + field(12)) * 10)
}
