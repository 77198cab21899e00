//! Segments that Apache Kafka 4.3.1 wrote give the records that its own consumer returned.
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;

fn segments() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/segments")
}

fn expected() -> serde_json::Map<String, Value> {
    let text = fs::read_to_string(segments().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn partition(name: &str) -> Vec<u8> {
    let files = expected()[name]["segments"].as_array().unwrap().clone();
    let read = |file: &Value| fs::read(segments().join(file.as_str().unwrap())).unwrap();
    files.iter().flat_map(read).collect()
}

fn hex(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |b| {
        b.iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
            .into()
    })
}

fn describe(batch: &BatchView<'_>, record: &RecordView<'_>) -> Value {
    let mut fact = json!({
        "o": record.offset,
        "ts": record.timestamp,
        "tt": batch.timestamp_type().name(),
        "le": batch.leader_epoch(),
        "k": hex(record.key),
        "v": hex(record.value),
    });
    if record.headers().len() > 0 {
        let headers = record
            .headers()
            .map(|h| json!([h.key_text(), hex(h.value)]));
        fact["h"] = headers.collect();
    }
    fact
}

#[test]
fn records_are_those_that_kafka_returned() {
    for (name, facts) in expected() {
        let bytes = partition(&name);
        let mut found = Vec::new();
        let mut all = batches(&bytes);
        for batch in all.by_ref() {
            let batch = batch.unwrap();
            assert!(batch.crc_is_valid(), "{name} at {}", batch.base_offset());
            if batch.is_control() {
                continue;
            }
            for record in &batch.records().unwrap() {
                found.push(describe(&batch, &record.unwrap()));
            }
        }
        assert!(all.rest().is_empty(), "{name}");
        assert_eq!(json!(found), facts["records"], "{name}");
    }
}

#[test]
fn produced_batches_pass_validation() {
    let names = [
        "plain-0",
        "c-gzip-0",
        "c-snappy-0",
        "c-lz4-0",
        "c-zstd-0",
        "b-zstd-0",
    ];
    for name in names {
        let mut compressions = Vec::new();
        for batch in batches(&partition(name)) {
            let batch = batch.unwrap();
            let rules = AppendRules {
                from_client: true,
                compacted: false,
                timestamp_type: TimestampType::Create,
                timestamp_before_max_ms: i64::MAX,
                timestamp_after_max_ms: i64::MAX,
                now_ms: 0,
            };
            let facts = validate_for_append(&batch, &rules).unwrap();
            assert_eq!(facts.max_timestamp, batch.max_timestamp(), "{name}");
            assert!(facts.offsets_consecutive);
            compressions.push(batch.compression().unwrap().name());
        }
        let codec = name
            .trim_start_matches("c-")
            .trim_start_matches("b-")
            .trim_end_matches("-0");
        let codec = if codec == "plain" { "none" } else { codec };
        assert!(
            compressions.iter().all(|name| *name == codec),
            "{name}: {compressions:?}"
        );
    }
}

/// Uncompressed batches are rebuilt to the same bytes from their records.
#[test]
fn the_builder_writes_what_kafka_writes() {
    let mut rebuilt = 0;
    for name in ["plain-0", "appendtime-0", "txn-0", "txn-1"] {
        for batch in batches(&partition(name)) {
            let batch = batch.unwrap();
            let mut builder = BatchBuilder::new();
            for record in &batch.records().unwrap() {
                let record = record.unwrap();
                // Kafka keeps the deltas of the producer in a batch with LogAppendTime
                if batch.timestamp_type() == TimestampType::LogAppend && batch.record_count() > 1 {
                    continue;
                }
                let headers: Vec<_> = record.headers().map(|h| (h.key, h.value)).collect();
                let timestamp = match batch.timestamp_type() {
                    TimestampType::Create => record.timestamp,
                    TimestampType::LogAppend => batch.base_timestamp(),
                };
                builder
                    .append(timestamp, record.key, record.value, &headers)
                    .unwrap();
            }
            if builder.is_empty() {
                continue;
            }
            let again = builder.finish(&BatchMeta {
                base_offset: batch.base_offset(),
                leader_epoch: batch.leader_epoch(),
                producer_id: batch.producer_id(),
                producer_epoch: batch.producer_epoch(),
                base_sequence: batch.base_sequence(),
                transactional: batch.is_transactional(),
                control: batch.is_control(),
                log_append_time_ms: match batch.timestamp_type() {
                    TimestampType::LogAppend => Some(batch.max_timestamp()),
                    TimestampType::Create => None,
                },
                ..BatchMeta::default()
            });
            assert_eq!(
                again.unwrap(),
                batch.bytes(),
                "{name} at {}",
                batch.base_offset()
            );
            rebuilt += 1;
        }
    }
    assert!(rebuilt > 10, "only {rebuilt} batches were compared");
}

#[test]
fn cleaned_batches_have_a_delete_horizon() {
    let bytes = partition("compacted-0");
    let batch = BatchView::first(&bytes).unwrap().unwrap();
    let horizon = batch.delete_horizon_ms().unwrap();
    assert_eq!(horizon, batch.base_timestamp());
    assert!(horizon > batch.max_timestamp(), "a day after the cleaning");
}
