//! Frames recorded between genuine clients and brokers: each is read, and written again to the same
//! bytes.

mod support;

use std::path::Path;

use bytes::Bytes;
use kafkars_protocol::frame::decode_request_header;
use kafkars_protocol::header::ResponseHeader;
use kafkars_protocol::wire::{Reader, Writer};
use kafkars_protocol::{ApiKey, Message};
use serde_json::Value;
use support::registry;

/// One recorded request with its response.
struct Pair {
    id: u64,
    api: ApiKey,
    version: i16,
    request: Bytes,
    response: Bytes,
}

fn pairs() -> Vec<Pair> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wire");
    let frames = Bytes::from(std::fs::read(folder.join("frames.bin")).unwrap());
    let index = std::fs::read(folder.join("index.json")).unwrap();
    let index: Vec<Value> = serde_json::from_slice(&index).unwrap();
    let frame = |place: &Value| {
        let (at, length) = (
            place[0].as_u64().unwrap() as usize,
            place[1].as_u64().unwrap() as usize,
        );
        frames.slice(at..at + length)
    };
    let pair = |row: &Value| Pair {
        id: row["id"].as_u64().unwrap(),
        api: ApiKey::from_i16(row["api_key"].as_i64().unwrap() as i16).unwrap(),
        version: row["version"].as_i64().unwrap() as i16,
        request: frame(&row["request"]),
        response: frame(&row["response"]),
    };
    index.iter().map(pair).collect()
}

#[test]
fn recorded_frames_are_written_as_they_were_read() {
    let mut failures = Vec::new();
    let mut checked = 0;
    for pair in pairs() {
        if pair.api == ApiKey::ApiVersions && pair.version == 5 {
            continue; // franz-go's probe of a version that does not exist: see the next test
        }
        for (what, frame, result) in [
            ("request", &pair.request, recode_request(&pair)),
            ("response", &pair.response, recode_response(&pair)),
        ] {
            let name = format!("{} {} v{} {what}", pair.id, pair.api, pair.version);
            match result {
                Err(why) => failures.push(format!("{name}: {why}")),
                Ok(again) if again != *frame => {
                    failures.push(format!("{name}:\n  was {frame:02x?}\n  now {again:02x?}"));
                }
                Ok(_) => checked += 1,
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} frames differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(checked, 2 * 307);
}

fn recode_request(pair: &Pair) -> Result<Bytes, String> {
    let mut r = Reader::new(pair.request.clone());
    let mut w = Writer::new();
    w.i32(r.i32().map_err(|why| why.to_string())?);
    let header = decode_request_header(&mut r).map_err(|why| why.to_string())?;
    assert_eq!(
        (header.request_api_key, header.request_api_version),
        (pair.api.code(), pair.version)
    );
    let header_version = pair.api.request_header_version(pair.version);
    header
        .encode(&mut w, header_version)
        .map_err(|why| why.to_string())?;
    recode_body(&format!("{}Request", pair.api), pair, r, w)
}

fn recode_response(pair: &Pair) -> Result<Bytes, String> {
    let mut r = Reader::new(pair.response.clone());
    let mut w = Writer::new();
    w.i32(r.i32().map_err(|why| why.to_string())?);
    let header_version = pair.api.response_header_version(pair.version);
    let header = ResponseHeader::decode(&mut r, header_version).map_err(|why| why.to_string())?;
    header
        .encode(&mut w, header_version)
        .map_err(|why| why.to_string())?;
    recode_body(&format!("{}Response", pair.api), pair, r, w)
}

fn recode_body(name: &str, pair: &Pair, mut r: Reader, mut w: Writer) -> Result<Bytes, String> {
    let recoded = (registry::find(name).recode)(&mut r, pair.version);
    let recoded = recoded.map_err(|why| why.to_string())?;
    r.end().map_err(|why| why.to_string())?;
    let body = recoded.map_err(|why| why.to_string())?;
    w.raw(&body.to_bytes().ok_or("nothing is external here")?);
    w.finish()
        .to_bytes()
        .ok_or_else(|| "nothing is external here".to_owned())
}

#[test]
fn probe_of_a_later_api_versions_has_a_readable_header() {
    let probes: Vec<Pair> = pairs()
        .into_iter()
        .filter(|pair| pair.version == 5)
        .collect();
    let probes: Vec<_> = probes
        .iter()
        .filter(|pair| pair.api == ApiKey::ApiVersions)
        .collect();
    assert_eq!(probes.len(), 2);
    for pair in probes {
        let mut r = Reader::new(pair.request.slice(4..));
        let header = decode_request_header(&mut r).unwrap();
        assert_eq!(
            (header.request_api_key, header.request_api_version),
            (18, 5)
        );
        let mut r = Reader::new(pair.response.slice(8..));
        let recoded = (registry::find("ApiVersionsResponse").recode)(&mut r, 0).unwrap();
        assert_eq!(
            recoded.unwrap().to_bytes().unwrap(),
            pair.response.slice(8..)
        );
        r.end().unwrap();
    }
}
