//! All messages, generated, with what the tests need of each.

use bytes::Bytes;
use kafkars_protocol::Message;
use kafkars_protocol::wire::{DecodeError, EncodeError, Encoded, Reader, Writer};

pub struct Entry {
    pub name: &'static str,
    pub folder: &'static str,
    pub key: Option<i16>,
    pub versions: (i16, i16),
    pub first_flexible: i16,
    pub recode: fn(&mut Reader, i16) -> Result<Recoded, DecodeError>,
    pub default: fn(i16) -> Result<Encoded, EncodeError>,
}

/// A message that was read, and how it is written.
pub struct Recoded {
    pub debug: fn(&Bytes, i16) -> String,
    pub encoded: Result<Encoded, EncodeError>,
}

include!(concat!(env!("OUT_DIR"), "/registry.rs"));

const fn entry<M: Message + std::fmt::Debug>(folder: &'static str, key: Option<i16>) -> Entry {
    Entry {
        name: M::NAME,
        folder,
        key,
        versions: (M::MIN_VERSION, M::MAX_VERSION),
        first_flexible: M::FIRST_FLEXIBLE,
        recode: recode::<M>,
        default: |version| encode(&M::default(), version),
    }
}

pub fn find(name: &str) -> &'static Entry {
    ALL.iter()
        .find(|entry| entry.name == name)
        .unwrap_or_else(|| panic!("no message {name}"))
}

fn recode<M: Message + std::fmt::Debug>(
    r: &mut Reader,
    version: i16,
) -> Result<Recoded, DecodeError> {
    let message = M::decode(r, version)?;
    let debug = |bytes: &Bytes, version| {
        format!("{:#?}", M::decode(&mut Reader::new(bytes.clone()), version))
    };
    Ok(Recoded {
        debug,
        encoded: encode(&message, version),
    })
}

fn encode<M: Message>(message: &M, version: i16) -> Result<Encoded, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, version)?;
    Ok(w.finish())
}
