//! All messages, generated, with what the tests need of each.

use kafkars_protocol::wire::{DecodeError, EncodeError, Encoded, Reader, Writer};
use kafkars_protocol::{Message, ToJson};

/// Why a message could not be read, or why it could not be written again, or how it was.
pub type Recoded = Result<Result<Encoded, EncodeError>, DecodeError>;

pub struct Entry {
    pub name: &'static str,
    pub folder: &'static str,
    pub key: Option<i16>,
    pub versions: (i16, i16),
    pub first_flexible: i16,
    /// Reads the message and writes it again.
    pub recode: fn(&mut Reader, i16) -> Recoded,
    pub default: fn(i16) -> Result<Encoded, EncodeError>,
    /// Reads the message and tells it as JSON, if it is one that is stored.
    pub to_json: Option<ReadJson>,
}

pub type ReadJson = fn(&mut Reader, i16) -> Result<serde_json::Value, DecodeError>;

include!(concat!(env!("OUT_DIR"), "/registry.rs"));

const fn entry<M: Message>(folder: &'static str, key: Option<i16>) -> Entry {
    Entry {
        name: M::NAME,
        folder,
        key,
        versions: (M::MIN_VERSION, M::MAX_VERSION),
        first_flexible: M::FIRST_FLEXIBLE,
        recode: recode::<M>,
        default: |version| encode(&M::default(), version),
        to_json: None,
    }
}

const fn stored<M: Message + ToJson>(folder: &'static str, key: Option<i16>) -> Entry {
    Entry {
        to_json: Some(|r, version| Ok(M::decode(r, version)?.to_json(version))),
        ..entry::<M>(folder, key)
    }
}

pub fn find(name: &str) -> &'static Entry {
    ALL.iter()
        .find(|entry| entry.name == name)
        .unwrap_or_else(|| panic!("no message {name}"))
}

fn recode<M: Message>(r: &mut Reader, version: i16) -> Recoded {
    Ok(encode(&M::decode(r, version)?, version))
}

fn encode<M: Message>(message: &M, version: i16) -> Result<Encoded, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, version)?;
    Ok(w.finish())
}
