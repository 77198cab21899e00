//! From a response to what the connection sends.

use tracing::error;

use super::api::fetch::Answer;
use crate::net::{Chunk, Reply};
use crate::protocol::frame;
use crate::protocol::wire::{EncodeError, Encoded, Insertion};

/// A response without file ranges.
pub fn encoded(encoded: Result<Encoded, EncodeError>) -> Reply {
    match encoded {
        Ok(encoded) if encoded.inserts.is_empty() => Reply::One(encoded.buf),
        Ok(encoded) => Reply::Many(chunks(encoded, &[])),
        Err(e) => not_encodable(&e),
    }
}

/// A fetch response, its records sent from their files.
pub fn with_ranges(version: i16, correlation_id: i32, answer: Answer) -> Reply {
    match frame::encode_response(correlation_id, &answer.response, version) {
        Ok(encoded) if encoded.inserts.is_empty() => Reply::One(encoded.buf),
        Ok(encoded) => Reply::Many(chunks(encoded, &answer.ranges)),
        Err(e) => not_encodable(&e),
    }
}

fn not_encodable(e: &EncodeError) -> Reply {
    error!("cannot encode a response: {e}");
    Reply::Close(format!("the response cannot be encoded: {e}"))
}

fn chunks(encoded: Encoded, ranges: &[crate::net::FileRange]) -> Vec<Chunk> {
    let mut chunks = Vec::with_capacity(encoded.inserts.len() * 2 + 1);
    let mut buf = encoded.buf;
    let mut taken = 0;
    for insert in encoded.inserts {
        let before = buf.split_to(insert.at - taken);
        taken = insert.at;
        if !before.is_empty() {
            chunks.push(Chunk::Bytes(before));
        }
        match insert.what {
            Insertion::Bytes(bytes) => chunks.push(Chunk::Bytes(bytes)),
            Insertion::External { id, .. } => {
                chunks.extend(ranges.get(id).cloned().map(Chunk::File));
            }
        }
    }
    if !buf.is_empty() {
        chunks.push(Chunk::Bytes(buf));
    }
    chunks
}
