//! Peers that send what no client sends: they get Kafka's error or are cut off, memory stays bounded, and everyone
//! else is served meanwhile.
//!
//! `KAFKARS_FUZZ_SECONDS` sets how long mangled requests are sent; a few seconds without it.

mod support;

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafkars::record::{BatchMeta, Compression, codec};
use serde_json::Value;
use support::wire::{
    Connection, FETCH_BY_NAME, PRODUCE_BY_NAME, batch, batch_with, encode, fetch_request,
    produce_request,
};
use support::{Broker, Setup, answers, resident, root, until};

const MEGABYTE: u64 = 1 << 20;
const TOPIC: &str = "t";

/// A client that behaves, all the while, and the broker's memory at its worst.
struct Watch {
    ending: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    peak: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    before: u64,
}

impl Watch {
    fn over(broker: &Broker) -> Watch {
        let ending = Arc::new(AtomicBool::new(false));
        let (served, peak) = (Arc::default(), Arc::default());
        let mut watch = Watch {
            ending,
            served,
            peak,
            threads: Vec::new(),
            before: broker.resident(),
        };
        let port = broker.port;
        let (ending, served) = (watch.ending.clone(), watch.served.clone());
        watch.threads.push(thread::spawn(move || {
            let mut c = Connection::open(port);
            while !ending.load(Ordering::Relaxed) {
                let (error, offset) = c.produce("innocent", 0, batch(&[b"v"]));
                assert_eq!(error, 0);
                assert_eq!(c.offset("innocent", 0, -1, false).0, offset + 1);
                served.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        }));
        let (ending, peak) = (watch.ending.clone(), watch.peak.clone());
        let pid = broker.pid();
        watch.threads.push(thread::spawn(move || {
            while !ending.load(Ordering::Relaxed) {
                peak.fetch_max(resident(pid), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        }));
        watch
    }

    /// Ends the watch: the innocent client was served, and memory did not grow beyond this.
    fn end(self, megabytes: u64) {
        let served = self.served.load(Ordering::Relaxed);
        until("the innocent client is served", || {
            (self.served.load(Ordering::Relaxed) > served).then_some(())
        });
        self.ending.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let grown = self
            .peak
            .load(Ordering::Relaxed)
            .saturating_sub(self.before);
        eprintln!(
            "memory grew by {} KiB, the innocent client was served {} times",
            grown / 1024,
            self.served.load(Ordering::Relaxed)
        );
        assert!(
            grown <= megabytes * MEGABYTE,
            "memory grew by {} MiB",
            grown / MEGABYTE
        );
    }
}

fn start() -> Broker {
    let broker = Setup::default()
        .set("log.index.size.max.bytes", 65536)
        .set("offsets.topic.num.partitions", 2)
        .start();
    let mut c = Connection::open(broker.port);
    c.create_topic(TOPIC, 1, &[]);
    c.create_topic("innocent", 1, &[]);
    c.find_group("g");
    broker
}

/// Sends bytes on a connection of their own; whether the broker closes it without an answer.
fn is_cut_off(port: u16, bytes: &[u8]) -> bool {
    let mut c = Connection::open(port);
    // The broker may close before it has read everything.
    let _ = c.0.write_all(bytes);
    matches!(c.frame(), Ok(None) | Err(_))
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

#[test]
fn what_is_no_request_is_cut_off() {
    let broker = start();
    let watch = Watch::over(&broker);
    for port in [broker.port, broker.controller_port] {
        for length in [-1, i32::MIN, i32::MAX, 100 * 1024 * 1024 + 1] {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.extend([0; 100]);
            assert!(is_cut_off(port, &bytes), "length {length}");
        }
        assert!(is_cut_off(
            port,
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ));
        assert!(is_cut_off(
            port,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        ));
        assert!(is_cut_off(port, &frame(b"")));
        assert!(is_cut_off(port, &frame(&[0xff; 40])));
        // An API that nobody knows, one that is not offered, versions that are not.
        for (key, version) in [(999, 0), (-1, 0), (4, 0), (0, 99), (3, -1), (i16::MIN, 7)] {
            let mut body: Vec<u8> = Vec::new();
            body.extend(i16::to_be_bytes(key));
            body.extend(i16::to_be_bytes(version));
            body.extend([0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0]);
            assert!(is_cut_off(port, &frame(&body)), "{key} version {version}");
        }
        // Counts that no frame of this size can hold.
        for count in [i32::MAX, 1 << 24, -2] {
            let mut body = vec![0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff];
            body.extend(count.to_be_bytes());
            assert!(is_cut_off(port, &frame(&body)), "{count} topics");
        }
    }
    watch.end(16);
}

#[test]
fn a_frame_that_ends_early_harms_nobody() {
    let broker = start();
    let watch = Watch::over(&broker);
    let whole = encode(&produce_request(TOPIC, 0, batch(&[b"v"])), PRODUCE_BY_NAME);
    for length in 0..whole.len() {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
        stream.write_all(&whole[..length]).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
        // The same bytes as a whole frame, whose content then ends early.
        if length > 4 {
            assert!(
                is_cut_off(broker.port, &frame(&whole[4..length])),
                "cut to {length} of {}",
                whole.len()
            );
        }
    }
    let (end, _) = Connection::open(broker.port).offset(TOPIC, 0, -1, false);
    assert_eq!(end, 0, "a part of a request was carried out");
    watch.end(16);
}

#[test]
fn batches_that_lie_are_refused() {
    const CORRUPT_MESSAGE: i16 = 2;
    const INVALID_RECORD: i16 = 87;
    let broker = start();
    let mut c = Connection::open(broker.port);
    let good = batch(&[b"one", b"two"]);
    let with = |at: usize, bytes: &[u8], fix_crc: bool| {
        let mut batch = good.to_vec();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        if fix_crc {
            let crc = crc32c(&batch[21..]);
            batch[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        Bytes::from(batch)
    };
    let mut refused = |batch: Bytes, errors: &[i16], what: &str| {
        let (error, _) = c.produce(TOPIC, 0, batch);
        assert!(errors.contains(&error), "{what}: error {error}");
    };
    refused(with(17, &[1, 2, 3, 4], false), &[CORRUPT_MESSAGE], "CRC");
    for count in [0, 1, 3, -1, i32::MAX] {
        let lie = with(57, &count.to_be_bytes(), true);
        refused(
            lie,
            &[INVALID_RECORD, CORRUPT_MESSAGE],
            &format!("count {count}"),
        );
    }
    for delta in [0, 5, -1, i32::MAX] {
        let lie = with(23, &i32::to_be_bytes(delta), true);
        refused(
            lie,
            &[INVALID_RECORD, CORRUPT_MESSAGE],
            &format!("delta {delta}"),
        );
    }
    for length in [0, 1, 48, 1 << 20, i32::MAX, -1, i32::MIN] {
        let lie = with(8, &i32::to_be_bytes(length), false);
        let what = format!("length {length}");
        refused(lie, &[INVALID_RECORD, CORRUPT_MESSAGE], &what);
    }
    for magic in [3, -1] {
        let lie = with(16, &i8::to_be_bytes(magic), false);
        refused(
            lie,
            &[INVALID_RECORD, CORRUPT_MESSAGE],
            &format!("magic {magic}"),
        );
    }
    // A record that is longer than the batch.
    refused(
        with(61, &[0xfe, 0x7f], true),
        &[INVALID_RECORD, CORRUPT_MESSAGE],
        "record",
    );
    refused(Bytes::new(), &[INVALID_RECORD, CORRUPT_MESSAGE], "nothing");
    let (end, _) = c.offset(TOPIC, 0, -1, false);
    assert_eq!(end, 0, "a refused batch is in the log");
    assert_eq!(c.produce(TOPIC, 0, good), (0, 0));
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// How far each codec expands within max.message.bytes.
const BOMBS: [(Compression, usize); 4] = [
    (Compression::Gzip, 400 << 20),
    (Compression::Snappy, 16 << 20),
    (Compression::Lz4, 200 << 20),
    (Compression::Zstd, 400 << 20),
];

/// A small batch of one valid record with a huge value.
fn bomb(compression: Compression, size: usize) -> Bytes {
    let meta = BatchMeta {
        compression,
        ..Default::default()
    };
    let bomb = batch_with(&[&vec![0; size]], &meta);
    assert!(
        bomb.len() < 1_000_000,
        "{compression}: {} bytes",
        bomb.len()
    );
    bomb
}

/// A small batch whose records are a huge heap of zeros.
fn nonsense(compression: Compression, size: usize) -> Bytes {
    let meta = BatchMeta {
        compression,
        ..Default::default()
    };
    let mut batch = batch_with(&[b""], &meta)[..61].to_vec();
    codec::compress(compression, None, &vec![0; size], &mut batch).unwrap();
    let length = (batch.len() - 12) as u32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(batch)
}

#[test]
fn decompression_bombs_take_no_memory() {
    const MESSAGE_TOO_LARGE: i16 = 10;
    const INVALID_RECORD: i16 = 87;
    let broker = start();
    let mut c = Connection::open(broker.port);
    c.create_topic("to-none", 1, &[("compression.type", "uncompressed")]);
    c.create_topic("to-lz4", 1, &[("compression.type", "lz4")]);
    c.create_topic("to-zstd", 1, &[("compression.type", "zstd")]);
    for (compression, size) in BOMBS {
        let (valid, invalid) = (bomb(compression, size), nonsense(compression, size));
        let watch = Watch::over(&broker);
        let (error, _) = c.produce(TOPIC, 0, valid.clone());
        assert_eq!(error, 0, "{compression}: stored as it came");
        let (error, _) = c.produce(TOPIC, 0, invalid.clone());
        assert_eq!(error, INVALID_RECORD, "{compression}");
        eprint!("{compression}, kept: ");
        watch.end(24);

        let watch = Watch::over(&broker);
        for topic in ["to-none", "to-lz4", "to-zstd"] {
            let (error, _) = c.produce(topic, 0, valid.clone());
            let other = topic != "to-none" && topic != format!("to-{compression}");
            // What is not too large for memory may be recompressed, what is the topic's codec stays.
            let fits = topic == format!("to-{compression}") || other && size <= 64 << 20;
            let expected = if fits { 0 } else { MESSAGE_TOO_LARGE };
            assert_eq!(error, expected, "{compression} {topic}");
            let (error, _) = c.produce(topic, 0, invalid.clone());
            assert_eq!(error, INVALID_RECORD, "{compression} {topic}");
        }
        eprint!("{compression}, recompressed: ");
        watch.end(192);
    }
}

#[test]
fn peers_that_never_read_take_no_memory() {
    let mut broker = start();
    let mut c = Connection::open(broker.port);
    for _ in 0..20 {
        assert_eq!(c.produce(TOPIC, 0, batch(&[&[b'v'; 900_000]])).0, 0);
    }
    let watch = Watch::over(&broker);
    let fetch = encode(&fetch_request(TOPIC, 0, 0, false), FETCH_BY_NAME);
    let mut connections = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
        // As many as the socket takes: some 400 MB of answers each.
        stream.write_all(&fetch.repeat(100)).unwrap();
        connections.push(stream);
    }
    thread::sleep(Duration::from_millis(500));
    watch.end(48);
    let began = Instant::now();
    assert!(broker.stop().success());
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "the stop waited for them: {took:?}"
    );
}

/// A thousand and some connections need more than the usual thousand open files.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[test]
fn announced_frames_take_no_memory() {
    raise_open_files();
    let broker = start();
    let watch = Watch::over(&broker);
    let mut announced = (100 * 1024 * 1024_u32).to_be_bytes().to_vec();
    announced.extend(&encode(&produce_request(TOPIC, 0, batch(&[b"v"])), PRODUCE_BY_NAME)[4..]);
    let mut connections: Vec<TcpStream> = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
        stream.write_all(&announced).unwrap();
        connections.push(stream);
    }
    // Each goes on a little, and never ends.
    for stream in &mut connections {
        stream.write_all(&[0; 4000]).unwrap();
    }
    thread::sleep(Duration::from_millis(500));
    assert!(answers(broker.port));
    watch.end(48);
    drop(connections);
    assert!(answers(broker.port));
}

#[test]
fn idle_connections_cost_little() {
    raise_open_files();
    let broker = start();
    let before = broker.resident();
    let whole = encode(&produce_request(TOPIC, 0, batch(&[b"v"])), PRODUCE_BY_NAME);
    let mut connections: Vec<Connection> = Vec::new();
    for _ in 0..1000 {
        let mut c = Connection::open(broker.port);
        // Idle after some work, as connections are.
        c.0.write_all(&whole).unwrap();
        assert!(c.frame().unwrap().is_some());
        connections.push(c);
    }
    let mut least = u64::MAX;
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline && least > 16 * MEGABYTE {
        least = least.min(broker.resident().saturating_sub(before));
        thread::sleep(Duration::from_millis(100));
    }
    eprintln!("1,000 idle connections take {} KiB", least / 1024);
    assert!(least <= 16 * MEGABYTE, "{} MiB", least / MEGABYTE);
}

/// The requests that genuine clients were recorded with.
fn recorded_requests() -> Vec<Vec<u8>> {
    let from = root().join("tests/fixtures/wire");
    let frames = fs::read(from.join("frames.bin")).unwrap();
    let index: Value = serde_json::from_slice(&fs::read(from.join("index.json")).unwrap()).unwrap();
    let number = |value: &Value| value.as_u64().unwrap() as usize;
    let requests = index.as_array().unwrap().iter().map(|pair| {
        let (offset, length) = (number(&pair["request"][0]), number(&pair["request"][1]));
        frames[offset..offset + length].to_vec()
    });
    requests.collect()
}

fn mangle(request: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..4) {
        let at = random.usize(8..request.len().max(9));
        if at + 4 > request.len() {
            break;
        }
        match random.u8(0..6) {
            0 => request.truncate(at),
            1 => request[at] = random.u8(..),
            2 => request[at] ^= 1 << random.u8(0..8),
            3 => request[at..at + 4].copy_from_slice(&random.i32(..).to_be_bytes()),
            4 => request[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes()),
            _ => request.insert(at, random.u8(..)),
        }
    }
    if random.u8(0..10) > 0 {
        let length = (request.len() - 4) as u32;
        request[..4].copy_from_slice(&length.to_be_bytes());
    }
}

#[test]
fn mangled_requests_are_answered_or_cut_off() {
    let seconds = std::env::var("KAFKARS_FUZZ_SECONDS");
    let seconds = seconds.map_or(5, |seconds| seconds.parse().unwrap());
    let seed = std::env::var("KAFKARS_FUZZ_SEED");
    let seed = seed.map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("KAFKARS_FUZZ_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let requests = recorded_requests();
    let broker = start();
    let watch = Watch::over(&broker);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut sent = 0;
    while Instant::now() < deadline {
        let mut c = Connection::open(broker.port);
        // Some requests may rightly take long to answer.
        c.0.set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        for _ in 0..20 {
            let mut request = requests[random.usize(..requests.len())].clone();
            mangle(&mut request, &mut random);
            sent += 1;
            if c.0.write_all(&request).is_err() || !matches!(c.frame(), Ok(Some(_))) {
                break;
            }
        }
    }
    assert!(answers(broker.port), "seed {seed}");
    let log = broker.log();
    assert!(!log.contains("panicked"), "seed {seed}:\n{log}");
    eprint!("{sent} mangled requests: ");
    watch.end(128);
}
