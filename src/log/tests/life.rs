//! A log from its first record on.
use super::*;
use crate::record::{BatchView, TimestampType};

fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 100,
        ..LogConfig::default()
    }
}

/// Appends `count` batches of one record each: "0", "1", …, a second apart.
fn fill(log: &Log, count: usize) -> Vec<(i64, String)> {
    let values: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    for (n, value) in values.iter().enumerate() {
        let timestamp = NOW_MS + n as i64 * 1000;
        append(log, batch_of(&[value], timestamp, &BatchMeta::default()));
    }
    numbered(values)
}

#[test]
fn what_is_appended_is_read_again_after_any_stop() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small_segments());
    let expected = fill(&log, 200);
    assert!(log.segment_count() > 5);
    assert_eq!(contents(&log), expected);
    assert_eq!(log.log_end_offset(), 200);
    drop(log);

    let killed = open(dir.path(), small_segments());
    assert_eq!(contents(&killed), expected);
    killed.close(true).unwrap();

    let options = LogOptions {
        clean: true,
        recovery_point: Some(200),
        high_watermark: Some(150),
        ..LogOptions::new(NOW_MS)
    };
    let stopped = Log::open(&dir.path().join("t-0"), tp(), small_segments(), options).unwrap();
    assert!(!stopped.is_active(), "nothing is read before it is needed");
    assert_eq!(
        (stopped.log_end_offset(), stopped.high_watermark()),
        (200, 150)
    );
    assert_eq!(contents(&stopped), expected);
    assert_eq!(append(&stopped, batch(&["more"])).first_offset, 200);
}

#[test]
fn every_offset_is_found_with_and_without_what_memory_holds() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig {
        index_interval_bytes: 300,
        ..LogConfig::default()
    };
    let log = open(dir.path(), config.clone());
    for n in 0..300 {
        let values: Vec<&str> = ["a", "b", "c"].into_iter().take(1 + n % 3).collect();
        append(&log, batch(&values));
    }
    let check = |log: &Log| {
        for offset in 0..log.log_end_offset() {
            let read = log.read(offset, 200, ReadLimit::LogEnd, true).unwrap();
            let bytes = read.slice.unwrap().to_vec().unwrap();
            let first = BatchView::first(&bytes).unwrap().expect("a whole batch");
            assert!(
                (first.base_offset()..=first.last_offset()).contains(&offset),
                "{offset}"
            );
            assert!(bytes.len() <= 200);
        }
    };
    check(&log);
    drop(log);
    check(&open(dir.path(), config));
}

#[test]
fn a_read_ends_at_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), LogConfig::default());
    fill(&log, 10);
    log.set_high_watermark(4).unwrap();
    let last = |limit, max_bytes| {
        let read = log.read(0, max_bytes, limit, true).unwrap();
        let bytes = read.slice.unwrap().to_vec().unwrap();
        batches(&bytes).last().unwrap().unwrap().last_offset()
    };
    assert_eq!(last(ReadLimit::HighWatermark, 1 << 20), 3);
    assert_eq!(last(ReadLimit::LogEnd, 1 << 20), 9);
    assert_eq!(
        last(ReadLimit::LogEnd, 1),
        0,
        "one batch, however small the room"
    );
    assert!(log.read(0, 1, ReadLimit::LogEnd, false).unwrap().is_empty());
    assert!(
        log.read(4, 100, ReadLimit::HighWatermark, true)
            .unwrap()
            .is_empty()
    );
    assert!(
        log.read(10, 100, ReadLimit::LogEnd, true)
            .unwrap()
            .is_empty()
    );
    for offset in [-1, 11] {
        let error = log.read(offset, 100, ReadLimit::LogEnd, true).unwrap_err();
        assert!(
            matches!(error, ReadError::OffsetOutOfRange { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_batch_that_is_sent_again_is_not_appended_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), LogConfig::default());
    append(&log, batch(&["other"]));
    let first = append(&log, produced(7, 0, &["a", "b"]));
    let again = append(&log, produced(7, 0, &["a", "b"]));
    assert!(again.duplicate);
    assert_eq!(
        (again.first_offset, again.last_offset),
        (first.first_offset, first.last_offset)
    );
    let gap = log.append_as_leader(produced(7, 3, &["d"]), AppendOrigin::Client, 3, NOW_MS);
    assert!(
        matches!(gap, Err(AppendError::OutOfOrderSequence(_))),
        "{gap:?}"
    );
    drop(log);
    let log = open(dir.path(), LogConfig::default());
    assert!(
        append(&log, produced(7, 0, &["a", "b"])).duplicate,
        "remembered after a crash"
    );
    assert_eq!(append(&log, produced(7, 2, &["c"])).first_offset, 3);
}

#[test]
fn offsets_are_found_by_timestamp() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small_segments());
    fill(&log, 200);
    log.set_high_watermark(200).unwrap();
    let find = |log: &Log, timestamp| {
        let what = ListOffset::from_timestamp(timestamp);
        let found = log.list_offset(what, ReadLimit::HighWatermark).unwrap();
        found.map(|found| (found.offset, found.timestamp, found.leader_epoch))
    };
    for n in 0..200 {
        let timestamp = NOW_MS + n * 1000;
        assert_eq!(find(&log, timestamp), Some((n, timestamp, Some(3))));
        let after = (n < 199).then(|| (n + 1, timestamp + 1000, Some(3)));
        assert_eq!(find(&log, timestamp + 1), after);
    }
    assert_eq!(find(&log, -1), Some((200, -1, Some(3))));
    assert_eq!(find(&log, -2), Some((0, -1, Some(3))));
    assert_eq!(find(&log, -3), Some((199, NOW_MS + 199_000, Some(3))));
    assert_eq!(find(&log, -5), None);
    log.set_high_watermark(100).unwrap();
    assert_eq!(find(&log, NOW_MS + 99_500), None, "past the high watermark");
}

#[test]
fn a_transaction_under_way_holds_the_stable_offset_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), LogConfig::default());
    let transactional = |producer_id, base_sequence, value| {
        let meta = BatchMeta {
            producer_id,
            producer_epoch: 0,
            base_sequence,
            transactional: true,
            ..BatchMeta::default()
        };
        append(&log, batch_of(&[value], NOW_MS, &meta))
    };
    let end = |producer_id, commit| {
        let bytes = marker(producer_id, 0, commit);
        log.append_as_leader(bytes, AppendOrigin::Coordinator, 3, NOW_MS)
            .unwrap();
        log.set_high_watermark(log.log_end_offset()).unwrap();
    };
    transactional(1, 0, "aborted");
    transactional(2, 0, "committed");
    log.set_high_watermark(2).unwrap();
    assert_eq!(log.last_stable_offset().unwrap(), 0);
    assert!(
        log.read(0, 1000, ReadLimit::LastStable, true)
            .unwrap()
            .is_empty()
    );
    end(1, false);
    assert_eq!(log.last_stable_offset().unwrap(), 1);
    end(2, true);
    assert_eq!(log.last_stable_offset().unwrap(), 4);
    let aborted = AbortedTransaction {
        producer_id: 1,
        first_offset: 0,
        last_offset: 2,
        last_stable_offset: 1,
    };
    let read = |log: &Log, offset| {
        log.read(offset, 1000, ReadLimit::LastStable, true)
            .unwrap()
            .aborted
            .unwrap()
    };
    assert_eq!(read(&log, 0), [aborted]);
    assert_eq!(read(&log, 3), []);
    drop(log);
    let log = open(dir.path(), LogConfig::default());
    log.set_high_watermark(4).unwrap();
    assert_eq!(log.last_stable_offset().unwrap(), 4);
    assert_eq!(read(&log, 0), [aborted], "rebuilt after a crash");
    log.truncate_to(2).unwrap();
    assert_eq!(log.last_stable_offset().unwrap(), 0);
    assert_eq!(log.aborted_transactions(0, 10).unwrap(), []);
}

#[test]
fn old_segments_go_by_time_size_and_start_offset() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig {
        file_delete_delay_ms: 1000,
        ..small_segments()
    };
    let log = open(dir.path(), config.clone());
    fill(&log, 200);
    assert_eq!(
        log.apply_retention(NOW_MS + config.retention_ms + 100_000)
            .unwrap(),
        0
    );
    log.set_high_watermark(200).unwrap();

    let deleted = log
        .apply_retention(NOW_MS + config.retention_ms + 100_000)
        .unwrap();
    assert!(
        deleted > 0 && log.log_start_offset() <= 101,
        "{}",
        log.log_start_offset()
    );
    assert!(log.log_start_offset() > 60);
    let start = log.log_start_offset();
    assert_eq!(
        contents(&log).first().map(|(offset, _)| *offset),
        Some(start)
    );

    log.set_config(LogConfig {
        retention_bytes: 4000,
        ..config.clone()
    });
    log.apply_retention(NOW_MS).unwrap();
    assert!(log.size().unwrap() < 4000 + 2000);
    assert!(log.log_start_offset() > start);

    assert_eq!(log.increment_log_start_offset(199).unwrap(), 199);
    assert!(log.increment_log_start_offset(201).is_err());
    log.apply_retention(NOW_MS).unwrap();
    assert_eq!(log.segment_count(), 1);
    assert_eq!(contents(&log), [(199, "199".to_owned())]);

    let waiting = || {
        let names = std::fs::read_dir(dir.path().join("t-0")).unwrap();
        names
            .filter(|e| {
                e.as_ref()
                    .unwrap()
                    .path()
                    .to_string_lossy()
                    .ends_with(".deleted")
            })
            .count()
    };
    assert!(waiting() > 10);
    log.remove_deleted_files(NOW_MS + 999).unwrap();
    assert!(waiting() > 0);
    log.remove_deleted_files(i64::MAX).unwrap();
    assert_eq!(waiting(), 0);

    let expired = NOW_MS + config.retention_ms + 1_000_000;
    assert_eq!(
        log.apply_retention(expired).unwrap(),
        1,
        "the active segment too"
    );
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (200, 200));
    assert_eq!(log.apply_retention(expired).unwrap(), 0);
    assert_eq!(append(&log, batch(&["more"])).first_offset, 200);
}

#[test]
fn a_log_is_cut_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small_segments());
    let all = fill(&log, 100);
    log.set_high_watermark(100).unwrap();
    for end in [99, 60, 33, 0] {
        log.truncate_to(end).unwrap();
        assert_eq!((log.log_end_offset(), log.high_watermark()), (end, end));
        assert_eq!(contents(&log), all[..end as usize]);
    }
    append(&log, batch(&["anew"]));
    drop(log);
    assert_eq!(
        contents(&open(dir.path(), small_segments())),
        [(0, "anew".to_owned())]
    );
}

#[test]
fn segments_roll_on_the_clock_of_the_messages() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig {
        segment_ms: 1000,
        message_timestamp_after_max_ms: i64::MAX,
        ..LogConfig::default()
    };
    let log = open(dir.path(), config);
    for (timestamp, segments) in [
        (NOW_MS, 1),
        (NOW_MS + 1000, 1),
        (NOW_MS + 1001, 2),
        (NOW_MS, 2),
        (NOW_MS + 2002, 3),
    ] {
        append(&log, batch_of(&["v"], timestamp, &BatchMeta::default()));
        assert_eq!(log.segment_count(), segments, "{}", timestamp - NOW_MS);
    }
}

#[test]
fn a_follower_keeps_offsets_and_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), LogConfig::default());
    let at = |base_offset, leader_epoch| {
        let meta = BatchMeta {
            base_offset,
            leader_epoch,
            ..BatchMeta::default()
        };
        batch_of(&["v"], NOW_MS, &meta)
    };
    let both = Bytes::from([at(0, 1), at(5, 2)].concat());
    let info = log.append_as_follower(both, NOW_MS).unwrap();
    assert_eq!((info.first_offset, info.last_offset), (0, 5));
    assert_eq!(log.end_offset_for_epoch(1).unwrap(), Some((1, 5)));
    let back = log.append_as_follower(at(3, 2), NOW_MS);
    assert!(
        matches!(back, Err(AppendError::OffsetsOutOfOrder { .. })),
        "{back:?}"
    );
    let offsets: Vec<i64> = contents(&log)
        .into_iter()
        .map(|(offset, _)| offset)
        .collect();
    assert_eq!(offsets, [0, 5]);
}

#[test]
fn the_topic_decides_on_codec_and_timestamps() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig {
        compression: config::CompressionPolicy::Codec(Compression::Zstd),
        message_timestamp_type: TimestampType::LogAppend,
        ..LogConfig::default()
    };
    let log = open(dir.path(), config);
    let info = append(&log, batch_of(&["a", "b"], 5, &BatchMeta::default()));
    assert_eq!(info.log_append_time_ms, NOW_MS);
    let read = log.read(0, 1000, ReadLimit::LogEnd, true).unwrap();
    let bytes = read.slice.unwrap().to_vec().unwrap();
    let stored = BatchView::first(&bytes).unwrap().unwrap();
    stored.check_crc().unwrap();
    assert_eq!(stored.compression().unwrap(), Compression::Zstd);
    assert_eq!(stored.timestamp_type(), TimestampType::LogAppend);
    assert_eq!((stored.max_timestamp(), stored.leader_epoch()), (NOW_MS, 3));
    assert_eq!(contents(&log), numbered(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn what_breaks_a_rule_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(
        dir.path(),
        LogConfig {
            max_message_bytes: 100,
            ..LogConfig::default()
        },
    );
    let try_append = |records| {
        log.append_as_leader(records, AppendOrigin::Client, 3, NOW_MS)
            .unwrap_err()
    };
    let mut flipped = batch(&["a"]).to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let cut = batch(&["a"]).slice(..69);
    let late = batch_of(&["a"], NOW_MS + 3_600_001, &BatchMeta::default());
    let meta = BatchMeta {
        base_offset: 1,
        ..BatchMeta::default()
    };
    let large = batch(&["x".repeat(100).as_str()]);
    assert!(matches!(
        try_append(flipped.into()),
        AppendError::CorruptRecord(_)
    ));
    assert!(matches!(try_append(cut), AppendError::CorruptRecord(_)));
    assert!(matches!(
        try_append(late),
        AppendError::InvalidTimestamp { .. }
    ));
    assert!(matches!(
        try_append(batch_of(&["a"], NOW_MS, &meta)),
        AppendError::InvalidRecord(_)
    ));
    assert!(matches!(
        try_append(large),
        AppendError::RecordTooLarge { size: 171, .. }
    ));
    assert!(matches!(
        try_append(marker(1, 0, true)),
        AppendError::InvalidRecord(_)
    ));
    assert!(matches!(
        try_append(Bytes::new()),
        AppendError::InvalidRecord(_)
    ));
    assert_eq!(log.log_end_offset(), 0);
    assert_eq!(log.size().unwrap(), 0);
}
