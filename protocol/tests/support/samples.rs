//! `tests/fixtures/messages`: what Kafka's own classes wrote.

use std::path::Path;

use bytes::Bytes;
use kafkars_protocol::wire::Reader;

use super::registry::{self, Entry};

pub struct Sample {
    pub name: String,
    pub version: i16,
    /// `None` if Kafka cannot write it in that version.
    pub bytes: Option<Bytes>,
    /// The first sample of a message and version has the defaults.
    pub defaults: bool,
}

pub fn samples() -> Vec<Sample> {
    let path = "../tests/fixtures/messages/samples.bin";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut r = Reader::new(std::fs::read(path).unwrap());
    let mut samples: Vec<Sample> = Vec::new();
    while r.remaining() > 0 {
        let length = r.i8().unwrap() as usize;
        let name = String::from_utf8(r.slice(length).unwrap().to_vec()).unwrap();
        let version = r.i16().unwrap();
        let bytes = match r.i32().unwrap() {
            -1 => None,
            length => Some(r.slice(length as usize).unwrap()),
        };
        let last = samples.last();
        let defaults = !last.is_some_and(|last| last.name == name && last.version == version);
        samples.push(Sample {
            name,
            version,
            bytes,
            defaults,
        });
    }
    samples
}

/// Java appends `Data` to the names of requests, responses and headers.
pub fn entry(sample: &Sample) -> &'static Entry {
    let known = registry::ALL.iter().find(|entry| entry.name == sample.name);
    known.unwrap_or_else(|| registry::find(sample.name.trim_end_matches("Data")))
}

/// Kafka's classes can also read and write the version of InitProducerId that is not stable yet.
pub fn is_unstable(sample: &Sample) -> bool {
    sample.name.starts_with("InitProducerId") && sample.version == 6
}
