//! What generated modules use. They import it by glob, so a struct of theirs may have any of these
//! names.

pub use bytes::Bytes;

pub use crate::json::{JsonObject, ToJson};
pub use crate::wire::{
    DecodeError, EncodeError, Reader, Struct, UnknownTag, Writer, absent, not_null, null_if,
};
pub use crate::{ApiKey, Message, Record, Records, Request, Response, Str, Uuid};
