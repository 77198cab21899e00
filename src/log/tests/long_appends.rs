//! Which appends are said to take long.
use super::*;
use crate::log::config::CompressionPolicy;
use crate::record::BatchView;

fn takes_long(config: LogConfig, compression: Compression, bytes: usize) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), config);
    // Of no use to a codec, so that the batch is about as large packed.
    let value: String = (0..bytes).map(|_| fastrand::alphanumeric()).collect();
    let meta = BatchMeta {
        compression,
        ..BatchMeta::default()
    };
    let batch = batch_of(&[&value], NOW_MS, &meta);
    let view = BatchView::first(&batch).unwrap().unwrap();
    log.append_takes_long(&view)
}

#[test]
fn packing_and_unpacking_much_takes_long() {
    let stored_as = |compression| LogConfig {
        compression,
        ..LogConfig::default()
    };
    let as_produced = || stored_as(CompressionPolicy::Producer);
    let as_zstd = || stored_as(CompressionPolicy::Codec(Compression::Zstd));
    assert!(!takes_long(as_produced(), Compression::None, 900_000));
    assert!(!takes_long(as_produced(), Compression::Zstd, 20_000));
    assert!(takes_long(as_produced(), Compression::Zstd, 300_000));
    assert!(takes_long(as_produced(), Compression::Lz4, 300_000));
    assert!(!takes_long(as_zstd(), Compression::None, 100));
    assert!(takes_long(as_zstd(), Compression::None, 20_000));
    assert!(takes_long(as_zstd(), Compression::Gzip, 100));
    assert!(!takes_long(as_zstd(), Compression::Zstd, 100));
}

#[test]
fn what_is_forced_to_the_device_takes_long() {
    let forced = LogConfig {
        flush_messages: 1,
        ..LogConfig::default()
    };
    assert!(takes_long(forced, Compression::None, 10));
}
