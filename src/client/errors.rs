//! What can go wrong in the client, named by what the caller can do about it.
use std::sync::Arc;

use crate::protocol::ErrorCode;
use crate::protocol::wire::{DecodeError, EncodeError};

/// The outcome of a client call.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// A failure of the client. Cheap to clone, since one failure may answer many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// A setting is missing, malformed or asks for something that this client cannot do.
    #[error("{0}")]
    Config(Arc<str>),
    /// The broker answered with an error. `message` is the broker's text, or Kafka's default.
    #[error("{message}")]
    Broker { code: ErrorCode, message: Arc<str> },
    /// No connection could be made, or it ended before the response arrived.
    #[error("{0}")]
    Disconnected(Arc<str>),
    /// Time ran out: `request.timeout.ms`, `default.api.timeout.ms`, `delivery.timeout.ms` or
    /// `max.block.ms`, as the text says.
    #[error("{0}")]
    Timeout(Arc<str>),
    /// Broker and client have no version of an API in common.
    #[error("{0}")]
    UnsupportedVersion(Arc<str>),
    /// TLS could not be agreed on, or the broker's certificate is not trusted.
    #[error("{0}")]
    Tls(Arc<str>),
    /// The peer sent bytes that are not Kafka's protocol, or not this request's response.
    #[error("{0}")]
    Protocol(Arc<str>),
    /// A batch of records is damaged or cannot be read.
    #[error("{0}")]
    Corrupt(Arc<str>),
    /// A record cannot be sent: it is larger than `max.request.size` or `buffer.memory`.
    #[error("{0}")]
    RecordTooLarge(Arc<str>),
    /// The call makes no sense in the present state, such as `seek` on an unassigned partition.
    #[error("{0}")]
    IllegalState(Arc<str>),
    /// No position and `auto.offset.reset=none`.
    #[error("{0}")]
    NoOffset(Arc<str>),
    /// The record was not sent, since its transaction is aborted.
    #[error("Failing batch since transaction was aborted")]
    TransactionAborted,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl ClientError {
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::Config(text.into().into())
    }

    pub(crate) fn disconnected(text: impl Into<String>) -> Self {
        Self::Disconnected(text.into().into())
    }

    /// Client and broker did not come to believe each other.
    pub(crate) fn authentication(text: impl Into<String>) -> Self {
        let code = ErrorCode::SaslAuthenticationFailed;
        Self::Broker {
            code,
            message: text.into().into(),
        }
    }

    /// Whether every connection would fail in the same way, until somebody changes the settings.
    pub(crate) fn is_authentication(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Broker { code, .. } => matches!(
                code,
                ErrorCode::SaslAuthenticationFailed
                    | ErrorCode::UnsupportedSaslMechanism
                    | ErrorCode::IllegalSaslState
            ),
            _ => false,
        }
    }

    pub(crate) fn timeout(text: impl Into<String>) -> Self {
        Self::Timeout(text.into().into())
    }

    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol(text.into().into())
    }

    pub(crate) fn corrupt(text: impl Into<String>) -> Self {
        Self::Corrupt(text.into().into())
    }

    pub(crate) fn illegal_state(text: impl Into<String>) -> Self {
        Self::IllegalState(text.into().into())
    }

    /// The error of a broker's code, with the broker's message where it sent one.
    pub fn broker(code: ErrorCode, message: Option<&str>) -> Self {
        let message = message.unwrap_or_else(|| code.message());
        Self::Broker {
            code,
            message: message.into(),
        }
    }

    /// `Ok` for code 0, else the broker's error.
    pub(crate) fn check(code: i16, message: Option<&str>) -> Result<()> {
        match ErrorCode::from_code(code) {
            ErrorCode::None => Ok(()),
            code => Err(Self::broker(code, message)),
        }
    }

    /// The broker's code, if this is a broker's answer.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same call may succeed when it is made again.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Broker { code, .. } => code.is_retriable(),
            Self::Disconnected(_) | Self::Timeout(_) => true,
            _ => false,
        }
    }

    /// The simple name of the Java exception that Kafka's own client throws here: tools print it.
    pub fn exception(&self) -> &'static str {
        match self {
            Self::Config(_) => "ConfigException",
            Self::Broker { code, .. } => code.exception(),
            Self::Disconnected(_) => "DisconnectException",
            Self::Timeout(_) => "TimeoutException",
            Self::UnsupportedVersion(_) => "UnsupportedVersionException",
            Self::Tls(_) => "SslAuthenticationException",
            Self::Protocol(_) => "SchemaException",
            Self::Corrupt(_) => "CorruptRecordException",
            Self::RecordTooLarge(_) => "RecordTooLargeException",
            Self::IllegalState(_) => "IllegalStateException",
            Self::NoOffset(_) => "NoOffsetForPartitionException",
            Self::TransactionAborted => "TransactionAbortedException",
            Self::Closed => "IllegalStateException",
        }
    }
}

impl From<DecodeError> for ClientError {
    fn from(error: DecodeError) -> Self {
        Self::protocol(format!("cannot decode the broker's response: {error}"))
    }
}

impl From<EncodeError> for ClientError {
    fn from(error: EncodeError) -> Self {
        Self::protocol(format!("cannot encode the request: {error}"))
    }
}
