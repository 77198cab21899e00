//! What can be wrong with bytes that came in, and with a message that is to go out.

/// The bytes are not a message of that version. A connection that sent them is closed, as Kafka
/// does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{needed} bytes needed, {left} left")]
    Truncated { needed: usize, left: usize },
    #[error("invalid length {0}")]
    InvalidLength(i64),
    #[error("{count} elements announced, {left} bytes left")]
    TooManyElements { count: usize, left: usize },
    #[error("variable-length number does not end")]
    InvalidVarint,
    #[error("text is not UTF-8")]
    InvalidUtf8,
    #[error("null where the version does not allow it")]
    UnexpectedNull,
    #[error("tag {tag} does not belong to this version")]
    UnexpectedTag { tag: u32 },
    #[error("{left} bytes left behind the value")]
    TrailingBytes { left: usize },
    #[error("{message} has no version {version}")]
    UnsupportedVersion { message: &'static str, version: i16 },
    #[error("unknown api key {0}")]
    UnknownApiKey(i16),
    #[error("unknown record type {0}")]
    UnknownRecordType(i16),
}

/// The message cannot be said in that version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{message} has no version {version}")]
    UnsupportedVersion { message: &'static str, version: i16 },
    #[error("{field} is set, but version {version} has no such field")]
    UnsupportedField { field: &'static str, version: i16 },
    #[error("{field} is null, which version {version} does not allow")]
    UnexpectedNull { field: &'static str, version: i16 },
    #[error("{length} bytes are too long for a string")]
    StringTooLong { length: usize },
    #[error("{length} bytes or elements are too many for one field or frame")]
    TooLong { length: usize },
}
