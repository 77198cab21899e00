//! Every reader of files that others may have written, or damaged: real bytes, mangled, and random ones. Nothing panics,
//! nothing runs on without end, and memory stays within what the input allows.
//!
//! `KAFKARS_FUZZ_SECONDS` (2) is for each target; `KAFKARS_FUZZ_SEED` (1) is what the inputs follow from, or `random`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use fastrand::Rng;
use kafkars::log::directory::CleanShutdown;
use kafkars::log::epochs::LeaderEpochs;
use kafkars::log::offset_index::OffsetIndex;
use kafkars::log::storage::{Disk, RealDisk};
use kafkars::log::time_index::TimeIndex;
use kafkars::log::verify::{PartitionFacts, Verifier};
use kafkars::log::{
    ListOffset, Log, LogConfig, LogOptions, ReadLimit, TopicPartition, checkpoints,
    partition_metadata, producer_snapshot, txn_index,
};
use kafkars::metadata::properties::MetaProperties;
use kafkars::metadata::snapshot::Snapshot;
use kafkars::record::legacy::build::{Message, MessageFormat};
use kafkars::record::{
    AppendRules, Compression, StoredBatch, StoredHeader, TimestampType, stored_batches,
    validate_for_append,
};
use support::root;

const NOW_MS: i64 = 1_700_000_000_000;
/// No input takes longer, by far, unless something goes round in a circle.
const INPUT_PATIENCE: Duration = Duration::from_secs(20);
/// What a target may take beside its inputs, of at most a megabyte: buffers, and the sections of a batch decompressed.
const MEMORY_MAX: u64 = 192 << 20;
/// Records are decompressed up to this, and one piece of the codec.
const RECORDS_CAP: usize = 4 << 20;
const PIECE_MAX: usize = 8 << 20;

/// One target at a time: memory is that of the process.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `target` on one mangled input after the other until its time is over.
fn fuzz(name: &str, corpus: &[Vec<u8>], mut target: impl FnMut(&mut Rng, &[u8])) {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let seconds = std::env::var("KAFKARS_FUZZ_SECONDS");
    let seconds = seconds.map_or(2, |seconds| seconds.parse().unwrap());
    let seed = match std::env::var("KAFKARS_FUZZ_SEED").as_deref() {
        Err(_) => 1,
        Ok("random") => fastrand::u64(..),
        Ok(seed) => seed.parse().unwrap(),
    };
    println!("{name}: KAFKARS_FUZZ_SEED={seed}");
    assert!(!corpus.is_empty() && corpus.iter().all(|input| input.len() <= 1 << 20));
    let mut random = Rng::with_seed(seed);
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let began = RUNS.load(Relaxed);
    let watch = Watchdog::start(name.to_owned(), seed);
    let before = support::resident(std::process::id());
    let mut most = before;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < deadline {
        let mut input = match random.u8(0..20) {
            0 => std::iter::repeat_with(|| random.u8(..)).take(200).collect(),
            _ => corpus[random.usize(..corpus.len())].clone(),
        };
        mangle(&mut input, &mut random);
        target(&mut random, &input);
        RUNS.fetch_add(1, Relaxed);
        watch.alive();
        if RUNS.load(Relaxed).is_multiple_of(16) {
            most = most.max(support::resident(std::process::id()));
        }
    }
    let grown = (most - before) >> 20;
    println!("{name}: {} inputs, {grown} MiB", RUNS.load(Relaxed) - began);
    assert!(
        most - before < MEMORY_MAX,
        "{name}: {grown} MiB, seed {seed}"
    );
}

/// Ends the process when an input is never done with.
struct Watchdog(std::sync::mpsc::Sender<()>);

impl Watchdog {
    fn start(name: String, seed: u64) -> Watchdog {
        let (alive, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(()) = match heard.recv_timeout(INPUT_PATIENCE) {
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("{name}: an input takes more than {INPUT_PATIENCE:?}, seed {seed}");
                    std::process::abort();
                }
                other => other,
            } {}
        });
        Watchdog(alive)
    }

    fn alive(&self) {
        self.0.send(()).unwrap();
    }
}

/// Up to four changes of the kinds that find out readers: lengths, bits, cuts, repeated and foreign parts.
fn mangle(bytes: &mut Vec<u8>, random: &mut Rng) {
    const NUMBERS: [i32; 8] = [0, 1, -1, i32::MAX, i32::MIN, 0x7fff, 61, 1 << 24];
    for _ in 0..random.usize(0..5) {
        if bytes.len() < 16 {
            bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(16));
        }
        let at = random.usize(..bytes.len() - 8);
        match random.u8(0..8) {
            0 => bytes.truncate(at),
            1 => bytes[at] = random.u8(..),
            2 => bytes[at] ^= 1 << random.u8(0..8),
            3 => bytes[at..at + 4].copy_from_slice(&NUMBERS[random.usize(0..8)].to_be_bytes()),
            4 => bytes[at..at + 8].copy_from_slice(&random.i64(..).to_be_bytes()),
            5 => bytes.insert(at, random.u8(..)),
            6 => {
                let end = (at + random.usize(1..100)).min(bytes.len());
                bytes.extend_from_within(at..end);
            }
            _ => {
                // Headers sit at the front.
                let at = random.usize(..bytes.len().min(64) - 4);
                bytes[at..at + 4].copy_from_slice(&NUMBERS[random.usize(0..8)].to_be_bytes());
            }
        }
    }
}

/// Makes the CRCs right again, as far as there are batches, so that what is behind them is reached.
fn mend_crcs(bytes: &mut [u8]) {
    let mut at = 0;
    while let Ok(Some(header)) = StoredHeader::parse(&bytes[at..]) {
        let (size, mut sum, magic) = (header.size(), header.checksum(), header.magic());
        let Some(covered) = bytes.get(at + sum.covers_from()..at + size) else {
            return;
        };
        sum.update(covered);
        let field = at + if magic == 2 { 17 } else { 12 };
        bytes[field..field + 4].copy_from_slice(&sum.sum().to_be_bytes());
        at += size;
    }
}

fn mended(random: &mut Rng, input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    if random.u8(0..4) > 0 {
        mend_crcs(&mut bytes);
    }
    bytes
}

/// The files with one of these suffixes below a folder of the fixtures.
fn files(folder: &str, suffix: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("tests/fixtures").join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().ends_with(suffix) {
            found.push(fs::read(path).unwrap());
        }
    }
    assert!(!found.is_empty(), "{folder}");
    found
}

fn segments() -> Vec<Vec<u8>> {
    let mut found = files("segments", ".log");
    found.extend(files("consumer_offsets", ".log"));
    found.extend(files("metadata", ".log"));
    found
}

/// Message sets of both old formats and all their codecs.
fn old_segments() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for magic in [0, 1] {
        for compression in [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
        ] {
            for timestamp_type in [TimestampType::Create, TimestampType::LogAppend] {
                let format = MessageFormat {
                    magic,
                    compression,
                    timestamp_type,
                    append_time: NOW_MS,
                };
                let mut bytes = Vec::new();
                for first in [0, 5, 10] {
                    let message = |offset| Message {
                        offset,
                        timestamp: NOW_MS + offset,
                        key: (offset % 2 == 0).then_some(b"key"),
                        value: (offset % 3 > 0).then_some(b"a value of some length"),
                    };
                    let messages = (first..first + 5).map(message);
                    format.write(messages, &mut bytes).unwrap();
                }
                found.push(bytes);
            }
        }
    }
    found
}

/// Looks at all that a batch tells.
fn look_into(bytes: &[u8], buffer: &mut Vec<u8>) {
    for batch in stored_batches(bytes) {
        let Ok(batch) = batch else { break };
        let _ = batch.check_crc();
        let header = batch.header();
        let _ = (
            header.base_offset(),
            header.next_offset(),
            header.timestamp_type(),
        );
        let declared = header.v2().map(|header| header.record_count());
        if let Ok(records) = batch.records_with(buffer, RECORDS_CAP) {
            let count = records.iter().filter(|record| record.is_ok()).count();
            let most = declared.map_or(bytes.len() + RECORDS_CAP, |count| count.max(0) as usize);
            assert!(count <= most, "{count} records");
            for record in records.iter().flatten() {
                let _ = record
                    .headers()
                    .map(|header| header.key.len())
                    .sum::<usize>();
            }
        }
        assert!(
            buffer.capacity() <= 2 * (RECORDS_CAP + PIECE_MAX),
            "{}",
            buffer.capacity()
        );
        if let StoredBatch::V2(batch) = &batch {
            let rules = AppendRules {
                from_client: true,
                compacted: false,
                timestamp_type: TimestampType::Create,
                timestamp_before_max_ms: i64::MAX,
                timestamp_after_max_ms: i64::MAX,
                now_ms: NOW_MS,
            };
            if let Ok(facts) = validate_for_append(batch, &rules) {
                assert_eq!(facts.record_count, batch.record_count());
            }
        }
    }
}

#[test]
fn batches() {
    let mut buffer = Vec::new();
    fuzz("batches", &segments(), |random, input| {
        look_into(&mended(random, input), &mut buffer);
    });
}

#[test]
fn old_message_sets() {
    let mut buffer = Vec::new();
    fuzz("old message sets", &old_segments(), |random, input| {
        look_into(&mended(random, input), &mut buffer);
    });
}

/// A file that is made anew: some file systems write one that is cut and filled through to the disk.
fn put(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    let _ = fs::remove_file(&path);
    fs::write(path, bytes)
}

fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// Reads a log to its end: whole batches, in order.
fn read_through(log: &Log) {
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let read = log.read(offset, 100, ReadLimit::LogEnd, true);
        let Some(slice) = read.unwrap().slice else {
            break;
        };
        let bytes = slice.to_vec().unwrap();
        // As in Kafka, a batch whose CRC holds is kept, whatever is inside.
        let header = StoredHeader::parse(&bytes).unwrap().unwrap();
        let mut sum = header.checksum();
        sum.update(&bytes[sum.covers_from()..header.size()]);
        assert_eq!(sum.sum(), header.crc());
        let next = header.next_offset();
        assert!(next > offset, "{next} after {offset}");
        offset = next;
    }
}

#[test]
fn segments_and_their_recovery() {
    let mut corpus = segments();
    corpus.retain(|bytes| bytes.len() < 20_000);
    corpus.extend(old_segments());
    let dir = tempfile::tempdir().unwrap();
    let partition = dir.path().join("t-0");
    fuzz("segments", &corpus, |random, input| {
        let _ = fs::remove_dir_all(&partition);
        fs::create_dir(&partition).unwrap();
        let bytes = mended(random, input);
        let first = StoredHeader::parse(&bytes).ok().flatten();
        let first = first.and_then(|header| header.base_offset());
        let base = first.filter(|base| *base >= 0 && random.u8(0..4) > 0);
        let base = base.unwrap_or_default();
        let path = partition.join(format!("{base:020}.log"));
        put(&path, &bytes).unwrap();
        let mut index = vec![0; 24];
        mangle(&mut index, random);
        for suffix in ["index", "timeindex", "txnindex"] {
            if random.bool() {
                put(path.with_extension(suffix), &index).unwrap();
            }
        }
        let whole = verify_says_whole(&partition, &path);
        let config = LogConfig {
            index_interval_bytes: 100,
            ..LogConfig::default()
        };
        // A clean start may find the damage or not; an unclean one cuts it off.
        let clean = LogOptions {
            clean: true,
            ..LogOptions::new(NOW_MS)
        };
        if let Ok(log) = Log::open(&partition, tp(), config.clone(), clean) {
            let _ = log.read(base, 100, ReadLimit::LogEnd, true);
            let _ = log.list_offset(ListOffset::Timestamp(NOW_MS), ReadLimit::LogEnd);
        }
        let log = Log::open(&partition, tp(), config, LogOptions::new(NOW_MS)).unwrap();
        read_through(&log);
        if whole {
            assert_eq!(
                log.size().unwrap(),
                bytes.len() as u64,
                "verify saw no fault"
            );
        }
        let _ = log.list_offset(ListOffset::Timestamp(random.i64(..)), ReadLimit::LogEnd);
        let _ = log.list_offset(ListOffset::MaxTimestamp, ReadLimit::LogEnd);
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        log.truncate_to(random.i64(start..=end)).unwrap();
        read_through(&log);
        log.close(false).unwrap();
        assert_eq!(index_faults(&partition), Vec::<String>::new());
    });
}

/// What `storage verify` finds wrong with the indexes of a log that was closed in order.
fn index_faults(partition: &Path) -> Vec<String> {
    let mut on_bytes = |_| ();
    let mut verifier = Verifier::new(&RealDisk, &mut on_bytes);
    let facts = PartitionFacts {
        clean: true,
        ..PartitionFacts::default()
    };
    verifier.partition(partition, facts, &mut |_| Ok(()), &mut |_, _| false);
    let faults = verifier.faults();
    let of_index = faults.filter(|fault| fault.path.to_string_lossy().ends_with("index"));
    of_index.map(|fault| format!("{fault:?}")).collect()
}

/// Whether `storage verify` finds nothing wrong with the log file.
fn verify_says_whole(partition: &Path, log: &Path) -> bool {
    let mut on_bytes = |_| ();
    let mut verifier = Verifier::new(&RealDisk, &mut on_bytes);
    let facts = PartitionFacts::default();
    verifier.partition(partition, facts, &mut |_| Ok(()), &mut |_, _| false);
    verifier.faults().all(|fault| fault.path != log)
}

#[test]
fn indexes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00000000000000000000.index");
    let offsets = (1..300u32).flat_map(|n| [n * 10, n * 100]);
    let times = (1..300u64).flat_map(|n| [(n >> 32) as u32, n as u32 * 7, n as u32]);
    let bytes = |numbers: Vec<u32>| numbers.into_iter().flat_map(u32::to_be_bytes).collect();
    let corpus: [Vec<u8>; 3] = [
        bytes(offsets.collect()),
        bytes(times.collect()),
        vec![0; 34 * 30],
    ];
    fuzz("indexes", &corpus, |random, input| {
        put(&path, input).unwrap();
        let target = random.u32(..);
        if let Some(mut index) = OffsetIndex::open(&RealDisk, &path, u32::MAX).unwrap() {
            index.lookup(&RealDisk, &path, target).unwrap();
            index.at_or_before(&RealDisk, &path, target).unwrap();
            index.at_or_after(&RealDisk, &path, target).unwrap();
            index.truncate_to(&RealDisk, &path, target).unwrap();
        }
        put(&path, input).unwrap();
        if let Some(mut index) = TimeIndex::open(&RealDisk, &path).unwrap() {
            index.before(&RealDisk, &path, random.i64(..)).unwrap();
        }
        if let Some(entries) = txn_index::read(&RealDisk, &path, 0).unwrap() {
            assert!(entries.capacity() <= input.len(), "{}", entries.capacity());
        }
    });
}

#[test]
fn producer_snapshots() {
    let entry = producer_snapshot::ProducerEntry {
        producer_id: 1,
        epoch: 2,
        last_sequence: 3,
        last_offset: 4,
        offset_delta: 5,
        timestamp: 6,
        coordinator_epoch: 7,
        current_txn_first_offset: -1,
    };
    let corpus = [
        producer_snapshot::encode(&[]),
        producer_snapshot::encode(&[entry; 50]),
    ];
    fuzz("producer snapshots", &corpus, |random, input| {
        let mut bytes = input.to_vec();
        if bytes.len() >= 10 && random.u8(0..4) > 0 {
            let crc = crc32c::crc32c(&bytes[6..]);
            bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        }
        if let Some(entries) = producer_snapshot::decode(&bytes) {
            assert_eq!(producer_snapshot::encode(&entries), bytes);
            assert!(entries.capacity() <= bytes.len());
        }
    });
}

#[test]
fn text_files() {
    let dir = tempfile::tempdir().unwrap();
    let corpus: [Vec<u8>; 5] = [
        b"0\n3\na 0 1\na 1 20\nb-c.d_e 7 9223372036854775807\n".to_vec(),
        b"0\n2\n0 0\n3 17\n".to_vec(),
        b"version: 0\ntopic_id: I9wgQHScTCOxSVPaxYaNlw".to_vec(),
        b"#\nnode.id=1\ndirectory.id=I9wgQHScTCOxSVPaxYaNlw\nversion=1\ncluster.id=x\n".to_vec(),
        br#"{"version":0,"brokerEpoch":11}"#.to_vec(),
    ];
    fuzz("text files", &corpus, |_, input| {
        let write = |name: &str| {
            let path = dir.path().join(name);
            put(&path, input).unwrap();
            path
        };
        let path = write(checkpoints::RECOVERY_POINT);
        if let Ok(offsets) = checkpoints::read(&RealDisk, &path) {
            assert!(offsets.len() <= input.len());
        }
        let _ = LeaderEpochs::read(&RealDisk, &path);
        let _ = partition_metadata::read(&RealDisk, &path);
        write("meta.properties");
        let _ = MetaProperties::read(dir.path());
        write(".kafka_cleanshutdown");
        let _ = CleanShutdown::read(&RealDisk, dir.path()).unwrap();
    });
}

#[test]
fn metadata_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir
        .path()
        .join("00000000000000000000-0000000000.checkpoint");
    fuzz(
        "metadata snapshots",
        &files("metadata", ".checkpoint"),
        |random, input| {
            put(&path, mended(random, input)).unwrap();
            if let Ok(snapshot) = Snapshot::read(&path) {
                assert!(snapshot.records.len() <= RealDisk.stat(&path).unwrap().0 as usize);
            }
        },
    );
}
