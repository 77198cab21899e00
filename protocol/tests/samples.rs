//! Samples of every message and version that Kafka's own classes wrote, with defaults and filled at
//! random.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use kafkars_protocol::wire::Reader;
use support::registry;
use support::samples::{entry, is_unstable, samples};

#[test]
fn samples_are_written_as_they_were_read() {
    let mut failures = Vec::new();
    for sample in samples() {
        let (Some(bytes), false) = (&sample.bytes, is_unstable(&sample)) else {
            continue;
        };
        let mut r = Reader::new(bytes.clone());
        let name = format!("{} v{}", sample.name, sample.version);
        match (entry(&sample).recode)(&mut r, sample.version) {
            Err(why) => failures.push(format!("{name}: {why}: {bytes:02x?}")),
            Ok(recoded) => {
                let again = recoded.map(|encoded| encoded.to_bytes());
                if again != Ok(Some(bytes.clone())) || r.remaining() > 0 {
                    failures.push(format!("{name}:\n  was {bytes:02x?}\n  now {again:02x?}"));
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// `stored.jsonl` is what Kafka's generated converters made of the samples that are stored.
#[test]
fn stored_samples_are_the_json_of_kafkas_converters() {
    let path = "../tests/fixtures/messages/stored.jsonl";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    for sample in samples() {
        let (Some(bytes), Some(to_json)) = (&sample.bytes, entry(&sample).to_json) else {
            continue;
        };
        if sample.name == "SubscriptionInfoData" {
            continue; // Kafka has no converter for what only Streams' members read
        }
        let mut r = Reader::new(bytes.clone());
        let json = to_json(&mut r, sample.version).unwrap();
        let line = format!("{} {} {json}", sample.name, sample.version);
        assert_eq!(line, lines.next().unwrap_or_default());
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn defaults_are_kafkas() {
    for sample in samples()
        .iter()
        .filter(|sample| sample.defaults && !is_unstable(sample))
    {
        let ours = (entry(sample).default)(sample.version);
        let ours = ours.ok().and_then(|encoded| encoded.to_bytes());
        assert_eq!(ours, sample.bytes, "{} v{}", sample.name, sample.version);
    }
}

#[test]
fn every_message_and_version_is_there() {
    let samples: BTreeSet<(&str, i16)> = samples()
        .iter()
        .filter(|sample| !is_unstable(sample))
        .map(|sample| (entry(sample).name, sample.version))
        .collect();
    let messages = registry::ALL.iter();
    let ours = messages.flat_map(|entry| {
        (entry.versions.0..=entry.versions.1).map(|version| (entry.name, version))
    });
    assert_eq!(samples, ours.collect());
}

/// No prefix of a message is a message: each is an error, and none a panic.
#[test]
fn truncated_samples_are_errors() {
    for sample in samples() {
        let (Some(bytes), false) = (&sample.bytes, is_unstable(&sample)) else {
            continue;
        };
        for length in 0..bytes.len() {
            let mut r = Reader::new(bytes.slice(..length));
            let result = (entry(&sample).recode)(&mut r, sample.version);
            assert!(
                result.is_err(),
                "{} v{} cut at {length}",
                sample.name,
                sample.version
            );
        }
    }
}

/// Inside a tagged field Kafka writes 0 for a null struct, elsewhere -1.
#[test]
fn null_structs_are_marked_as_kafka_does() {
    use kafkars_protocol::Message;
    use kafkars_protocol::messages::DescribeTopicPartitionsRequest;
    use kafkars_protocol::records::group::ConsumerGroupMemberMetadataValue;
    use kafkars_protocol::wire::Writer;

    let mut w = Writer::new();
    let value = ConsumerGroupMemberMetadataValue {
        classic_member_metadata: None,
        ..Default::default()
    };
    value.encode(&mut w, 0).unwrap();
    // One tagged field, tag 0, one byte long, null.
    assert!(w.finish().buf.ends_with(&[1, 0, 1, 0]));

    let mut w = Writer::new();
    DescribeTopicPartitionsRequest::default()
        .encode(&mut w, 0)
        .unwrap();
    assert!(
        w.finish().buf.ends_with(&[0xff, 0]),
        "null cursor, then no tags"
    );
}
