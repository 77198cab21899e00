//! `partition.metadata`, which ties a partition's directory to its topic's id:
//!
//! ```text
//! version: 0
//! topic_id: <uuid in base64url, 22 characters>      no newline at the end
//! ```
use std::path::Path;

use crate::protocol::Uuid;

use super::error::{At, LogError};
use super::storage::{Disk, read_file, replace_file_unsynced};

pub const FILE_NAME: &str = "partition.metadata";
const BYTES_MAX: u64 = 4096;

/// The id in the file at `path`; `None` if there is no file, or what a loss of power left of one.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Uuid>, LogError> {
    let bytes = read_file(disk, path, BYTES_MAX)
        .at(path)?
        .unwrap_or_default();
    if is_torn(&bytes) {
        return Ok(None);
    }
    parse(&bytes).map(Some).ok_or_else(|| {
        LogError::malformed(path, "is no version 0 partition metadata with a topic id")
    })
}

/// Whether these may be the first bytes of a whole file, and zeroes.
fn is_torn(bytes: &[u8]) -> bool {
    let whole = format(Uuid::ZERO);
    let kept = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let kept = bytes.get(..kept).unwrap_or_default();
    let before_id = whole.len() - Uuid::ZERO.to_string().len();
    let compared = kept.len().min(before_id);
    kept.len() < whole.len() && kept.get(..compared) == whole.as_bytes().get(..compared)
}

/// Writes the file. It is not forced to the device before the log's first flush, for topics may
/// have many partitions: what a loss of power leaves of it before that is taken for no file, and
/// then the id is written again.
pub fn write(disk: &dyn Disk, path: &Path, topic_id: Uuid) -> Result<(), LogError> {
    replace_file_unsynced(disk, path, format(topic_id).as_bytes()).at(path)
}

fn format(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

pub(super) fn parse(bytes: &[u8]) -> Option<Uuid> {
    let text = str::from_utf8(bytes).ok()?;
    let mut version = None;
    let mut topic_id = None;
    for line in text.lines() {
        let (name, value) = line.split_once(':')?;
        match name.trim() {
            "version" => version = Some(value.trim()),
            "topic_id" => topic_id = value.trim().parse::<Uuid>().ok(),
            _ => {}
        }
    }
    topic_id.filter(|id| version == Some("0") && *id != Uuid::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_written_as_kafka_does() {
        let id: Uuid = "I9wgQHScTCOxSVPaxYaNlw".parse().unwrap();
        assert_eq!(format(id), "version: 0\ntopic_id: I9wgQHScTCOxSVPaxYaNlw");
        assert_eq!(parse(format(id).as_bytes()), Some(id));
    }

    #[test]
    fn what_has_no_id_is_refused() {
        for text in [
            "",
            "version: 0",
            "version: 1\ntopic_id: I9wgQHScTCOxSVPaxYaNlw",
            "topic_id",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn what_a_loss_of_power_leaves_is_no_file() {
        let whole = format(Uuid::from_u128(9));
        for kept in 0..whole.len() {
            let mut torn = whole.as_bytes()[..kept].to_vec();
            assert!(is_torn(&torn), "{kept}");
            torn.resize(whole.len(), 0);
            assert!(is_torn(&torn), "{kept}");
        }
        assert!(!is_torn(whole.as_bytes()));
        assert!(!is_torn(b"version: 1"));
        assert!(!is_torn(b"topic_id"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
