//! What every message can do, whatever it is used for.

use bytes::Bytes;

use crate::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Struct, Writer};

/// A message with versions: a request, a response, a header or something persisted.
pub trait Message: Struct + Default {
    /// Kafka's name of the schema, such as `FetchRequest`.
    const NAME: &'static str;
    const MIN_VERSION: i16;
    /// The highest stable version; Kafka may have defined another one that is not stable yet.
    const MAX_VERSION: i16;
    /// From this version on the encoding is the compact one with tagged fields; [`i16::MAX`] if
    /// never.
    const FIRST_FLEXIBLE: i16;

    /// Reads the message and leaves what follows it.
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        if !Self::supports(version) {
            return Err(DecodeError::UnsupportedVersion {
                message: Self::NAME,
                version,
            });
        }
        Self::read(r, version)
    }

    /// Appends the message. Fails if it holds something that this version cannot say.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if !Self::supports(version) {
            return Err(EncodeError::UnsupportedVersion {
                message: Self::NAME,
                version,
            });
        }
        self.write(w, version)
    }

    fn supports(version: i16) -> bool {
        (Self::MIN_VERSION..=Self::MAX_VERSION).contains(&version)
    }
}

pub trait Request: Message {
    const KEY: ApiKey;
    type Response: Response;
}

pub trait Response: Message {
    const KEY: ApiKey;

    /// For how long the client is told to wait; nothing where the response has no place for it.
    fn set_throttle_time_ms(&mut self, _ms: i32) {}
}

/// A record that Kafka stores. The key says which record of its log it is; records of different
/// logs share numbers.
pub trait Record: Message {
    const KEY: i16;
}

/// A field of type `records`: encoded batches, or a hole of known size that the sender fills, such
/// as with sendfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    Bytes(Bytes),
    External { id: usize, len: usize },
}

impl Records {
    pub fn len(&self) -> usize {
        match self {
            Records::Bytes(bytes) => bytes.len(),
            Records::External { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, where they are in memory.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Records::Bytes(bytes) => Some(bytes),
            Records::External { .. } => None,
        }
    }
}

impl Default for Records {
    fn default() -> Records {
        Records::Bytes(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records::Bytes(bytes)
    }
}
