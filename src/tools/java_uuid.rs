//! Ids as Java's tools read them.
use anyhow::bail;

use crate::protocol::Uuid;

/// An id as Java's `Uuid.fromString` reads it, with its words when it is none.
pub fn parse_id(text: &str) -> anyhow::Result<Uuid> {
    if text.len() > 24 {
        let start: String = text.chars().take(24).collect();
        bail!("Input string with prefix `{start}` is too long to be decoded as a base64 UUID");
    }
    text.parse().map_err(|_| {
        let bytes = text.trim_end_matches('=').len() * 3 / 4;
        anyhow::anyhow!(
            "Input string `{text}` decoded as {bytes} bytes, which is not equal to the expected \
             16 bytes of a base64-encoded UUID"
        )
    })
}
