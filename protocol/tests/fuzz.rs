//! Bytes from outside: whatever they are, reading them ends in a message or an error, and never in
//! a panic.
//!
//! A slice of this runs with all tests; `KAFKARS_FUZZ_SECONDS=600 cargo test -p kafkars-protocol
//! --test fuzz` runs it for that long, from seeds of its own.

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafkars_protocol::header::RequestHeader;
use kafkars_protocol::wire::Reader;
use kafkars_protocol::{frame, records};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use support::registry::{ALL, Entry};
use support::samples::{entry, is_unstable, samples};

/// What is done to a sample.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    /// Lengths and counts are most often damaged like this.
    Overwrite(Index, [u8; 4]),
}

fn damage() -> impl Strategy<Value = Damage> {
    let big = prop_oneof![
        Just([0x7f, 0xff, 0xff, 0xff]),
        Just([0xff, 0xff, 0xff, 0x07]),
        Just([0xff, 0xff, 0xff, 0xff]),
        Just([0x80, 0, 0, 0]),
        any::<[u8; 4]>(),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
        (any::<Index>(), big).prop_map(|(at, bytes)| Damage::Overwrite(at, bytes)),
    ]
}

fn apply(damage: &[Damage], bytes: &mut Vec<u8>) {
    for damage in damage {
        if bytes.is_empty() {
            return;
        }
        match damage {
            Damage::Set(at, byte) => *at.get_mut(bytes) = *byte,
            Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Damage::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Damage::Overwrite(at, with) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + 4);
                bytes[at..end].copy_from_slice(&with[..end - at]);
            }
        }
    }
}

/// What could be read can be written, and what is written then is read and written to the same.
fn check(entry: &Entry, version: i16, bytes: Bytes) -> Result<(), TestCaseError> {
    let Ok(written) = (entry.recode)(&mut Reader::new(bytes), version) else {
        return Ok(());
    };
    let written = written.map_err(|why| TestCaseError::fail(format!("not written: {why}")))?;
    let written = written.to_bytes().expect("nothing is external");
    let mut r = Reader::new(written.clone());
    let again = (entry.recode)(&mut r, version)
        .map_err(|why| TestCaseError::fail(format!("not read again: {why}")))?;
    prop_assert_eq!(r.remaining(), 0);
    prop_assert_eq!(
        again
            .expect("written before")
            .to_bytes()
            .expect("in memory"),
        written
    );
    Ok(())
}

/// Runs a fixed number of cases, or for as long as the environment says.
fn run<S: Strategy>(cases: u32, input: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let long = std::env::var("KAFKARS_FUZZ_SECONDS").ok();
    let Some(seconds) = long.map(|text| text.parse().expect("KAFKARS_FUZZ_SECONDS")) else {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, rng)
            .run(&input, &test)
            .unwrap();
        return;
    };
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        TestRunner::new(config.clone()).run(&input, &test).unwrap();
    }
}

#[test]
fn damaged_samples() {
    let samples: Vec<(&Entry, i16, Bytes)> = samples()
        .into_iter()
        .filter(|sample| !is_unstable(sample))
        .filter_map(|sample| Some((entry(&sample), sample.version, sample.bytes?)))
        .collect();
    let input = (any::<Index>(), prop::collection::vec(damage(), 1..4));
    run(20_000, input, |(which, damage)| {
        let (entry, version, bytes) = which.get(&samples);
        let mut bytes = bytes.to_vec();
        apply(&damage, &mut bytes);
        check(entry, *version, bytes.into())
            .map_err(|why| TestCaseError::fail(format!("{} v{version}: {why}", entry.name)))
    });
}

#[test]
fn arbitrary_bytes() {
    let messages: Vec<(&Entry, i16)> = ALL
        .iter()
        .flat_map(|entry| (entry.versions.0..=entry.versions.1).map(move |v| (entry, v)))
        .collect();
    // Small numbers are lengths that fit; they lead deeper than bytes of any value do.
    let byte = prop_oneof![4 => 0..4u8, 1 => any::<u8>()];
    let input = (any::<Index>(), prop::collection::vec(byte, 0..200));
    run(20_000, input, |(which, bytes)| {
        let (entry, version) = which.get(&messages);
        check(entry, *version, bytes.into())
            .map_err(|why| TestCaseError::fail(format!("{} v{version}: {why}", entry.name)))
    });
}

#[test]
fn arbitrary_headers_and_keys() {
    run(
        20_000,
        prop::collection::vec(any::<u8>(), 0..64),
        |mut bytes| {
            if let Some(first) = bytes.first_mut() {
                *first = 0; // The upper half of a key: without it hardly any is known.
            }
            let header: Result<RequestHeader, _> =
                frame::decode_request_header(&mut Reader::new(bytes.clone()));
            drop(header);
            let key = records::group::GroupRecordKey::decode(bytes.clone());
            if let Ok(key) = key {
                let again = records::group::GroupRecordKey::decode(key.encode().unwrap());
                prop_assert_eq!(again, Ok(key));
            }
            drop(records::transaction::TransactionRecordKey::decode(
                bytes.clone(),
            ));
            drop(records::share::ShareRecordKey::decode(bytes));
            Ok(())
        },
    );
}
