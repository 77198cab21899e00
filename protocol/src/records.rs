//! What Kafka persists: metadata records, the coordinators' keys and values, control records, small
//! files.

use bytes::Bytes;

use crate::wire::{DecodeError, EncodeError, Reader, Writer};
use crate::{Message, Record};

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident $file:literal;)*) => {$(
        $(#[$doc])*
        #[allow(unused_imports, unused_variables, unused_mut, clippy::all)]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), $file));
        }
    )*};
}

/// The keys and values of one coordinator's records, by record type.
macro_rules! coordinator_records {
    ($key:ident, $value:ident; $($name:ident $key_type:ident $value_type:ident),*) => {
        /// The key of a record, whichever type it has.
        #[derive(Clone, Debug, PartialEq)]
        pub enum $key {
            $($name($key_type),)*
        }

        /// The value of a record, whichever type it has.
        #[derive(Clone, Debug, PartialEq)]
        pub enum $value {
            $($name($value_type),)*
        }

        impl $key {
            /// The number in front of the key's fields.
            pub fn record_type(&self) -> i16 {
                match self {
                    $($key::$name(_) => <$key_type as Record>::KEY,)*
                }
            }

            /// [`DecodeError::UnknownRecordType`] for a record of a later release: Kafka keeps and
            /// ignores it.
            pub fn decode(bytes: impl Into<Bytes>) -> Result<$key, DecodeError> {
                let mut r = Reader::new(bytes);
                match r.i16()? {
                    $(<$key_type as Record>::KEY => {
                        <$key_type>::decode(&mut r, <$key_type>::MIN_VERSION).map($key::$name)
                    })*
                    other => Err(DecodeError::UnknownRecordType(other)),
                }
            }

            pub fn encode(&self) -> Result<Bytes, EncodeError> {
                match self {
                    $($key::$name(key) => crate::records::encode_key(key),)*
                }
            }

            pub fn to_json(&self) -> serde_json::Value {
                match self {
                    $($key::$name(key) => crate::ToJson::to_json(key, <$key_type>::MIN_VERSION),)*
                }
            }

            /// The value that belongs to this key.
            pub fn decode_value(&self, bytes: impl Into<Bytes>) -> Result<$value, DecodeError> {
                match self {
                    $($key::$name(_) => crate::records::decode_value(bytes).map($value::$name),)*
                }
            }
        }

        impl crate::ToJson for $value {
            fn to_json(&self, version: i16) -> serde_json::Value {
                match self {
                    $($value::$name(value) => crate::ToJson::to_json(value, version),)*
                }
            }
        }
    };
}
pub(crate) use coordinator_records;

records! {
    /// KRaft's metadata log.
    metadata "/metadata.rs";
    /// `__consumer_offsets`: group metadata and committed offsets.
    group "/group.rs";
    /// `__transaction_state`.
    transaction "/transaction.rs";
    /// `__share_group_state`.
    share "/share.rs";
    /// KRaft's own control records, and its `quorum-state` file.
    raft "/raft.rs";
    /// Files of the log, and the remote log's metadata.
    storage "/storage.rs";
    /// The keys of all control records, and the end of a transaction.
    control "/control.rs";
}

/// A coordinator's key: its record type, then its fields.
pub fn encode_key<R: Record>(key: &R) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(R::KEY);
    key.encode(&mut w, R::MIN_VERSION)?;
    Ok(in_one_piece(w))
}

/// A coordinator's value: its version, then its fields.
pub fn encode_value<M: Message>(value: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(version);
    value.encode(&mut w, version)?;
    Ok(in_one_piece(w))
}

/// Reads what [`encode_value`] wrote.
pub fn decode_value<M: Message>(bytes: impl Into<Bytes>) -> Result<M, DecodeError> {
    let mut r = Reader::new(bytes);
    let version = r.i16()?;
    M::decode(&mut r, version)
}

/// The version that [`encode_value`] put in front.
pub fn value_version(bytes: &[u8]) -> Option<i16> {
    bytes.first_chunk().copied().map(i16::from_be_bytes)
}

fn in_one_piece(w: Writer) -> Bytes {
    w.finish().to_bytes().unwrap_or_default()
}
