//! Where source connectors are: the worker's offset file, read and written as Kafka's standalone
//! worker does, so that either can go on where the other stopped.
//!
//! | entry | bytes |
//! | --- | --- |
//! | key | `["<connector>",{<source partition>}]`, as JsonConverter writes it without schemas |
//! | value | `{<source offset>}`, or null where there is none |
//!
//! The file is a serialized Java map ([`java_map`](super::java_map)). Kafka compares keys as bytes,
//! so a partition's fields keep the order in which the connector gives them.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value as Json;

use super::convert::json_text::write_string;
use super::errors::{ConnectError, Result};
use super::java_map;

/// The offsets of all source connectors of a standalone worker.
#[derive(Clone)]
pub struct OffsetStore {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    state: Mutex<State>,
    /// Held while the file is written, so that an older state never replaces a newer one.
    writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    dirty: bool,
}

impl OffsetStore {
    /// Reads the file; one that is missing or empty holds no offsets.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unusable(&path, &error.to_string())),
        };
        let entries = if bytes.is_empty() {
            BTreeMap::new()
        } else {
            let entries = java_map::read(&bytes).map_err(|error| {
                unusable(
                    &path,
                    &format!("{error}; move the file away to start without offsets"),
                )
            })?;
            let keyed = |(key, value): (Option<Vec<u8>>, _)| Some((key?, value));
            entries.into_iter().filter_map(keyed).collect()
        };
        let state = State {
            entries,
            dirty: false,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                state: Mutex::new(state),
                writing: Mutex::new(()),
            }),
        })
    }

    /// The offset stored for a source partition; one that cannot be read is none.
    pub fn get(&self, key: &OffsetKey) -> Option<Json> {
        let state = self.inner.state.lock();
        let value = state.entries.get(&key.0)?.as_deref()?;
        match serde_json::from_slice(value) {
            Ok(offset) => Some(offset),
            Err(error) => {
                tracing::warn!(
                    "{}: the offset of {} cannot be read and is ignored: {error}",
                    self.inner.path.display(),
                    String::from_utf8_lossy(&key.0)
                );
                None
            }
        }
    }

    /// Notes an offset; [`OffsetStore::flush`] writes it.
    pub fn set(&self, key: &OffsetKey, offset: Option<Vec<u8>>) {
        let mut state = self.inner.state.lock();
        let known = state.entries.get(&key.0);
        if known != Some(&offset) {
            state.entries.insert(key.0.clone(), offset);
            state.dirty = true;
        }
    }

    /// Writes the file if something changed: aside, to the disk, and then in its place. Blocks.
    pub fn flush(&self) -> Result<()> {
        let _alone = self.inner.writing.lock();
        let bytes = {
            let mut state = self.inner.state.lock();
            if !std::mem::take(&mut state.dirty) {
                return Ok(());
            }
            java_map::write(
                state
                    .entries
                    .iter()
                    .map(|(key, value)| (key.as_slice(), value.as_deref())),
            )
        };
        let written = replace_file(&self.inner.path, &bytes);
        written.map_err(|error| {
            self.inner.state.lock().dirty = true;
            unusable(&self.inner.path, &error.to_string())
        })
    }
}

fn unusable(path: &Path, why: &str) -> ConnectError {
    ConnectError::worker(format!(
        "offset.storage.file.filename={}: {why}",
        path.display()
    ))
}

/// Readers see the old content or the new, never a part, whatever happens on the way.
fn replace_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut aside = path.clone().into_os_string();
    aside.push(".tmp");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&aside, &path)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The key of a source partition in the offset file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetKey(Vec<u8>);

impl OffsetKey {
    /// The partition of one text field, such as `{"filename":"test.txt"}`.
    pub fn new(connector: &str, field: &str, value: &str) -> Self {
        let mut key = b"[".to_vec();
        write_string(&mut key, connector);
        key.extend(b",{");
        write_string(&mut key, field);
        key.push(b':');
        write_string(&mut key, value);
        key.extend(b"}]");
        Self(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENUINE: &[u8] = include_bytes!("../../tests/fixtures/connect/standalone.offsets");

    fn position(store: &OffsetStore, connector: &str, file: &str) -> Option<i64> {
        let offset = store.get(&OffsetKey::new(connector, "filename", file))?;
        offset.get("position")?.as_i64()
    }

    #[test]
    fn a_file_that_kafka_wrote_is_read_and_written_byte_for_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("offsets");
        fs::write(&path, GENUINE).unwrap();
        let store = OffsetStore::open(&path).unwrap();
        assert_eq!(position(&store, "local-file-source", "test.txt"), Some(14));
        assert_eq!(position(&store, "s\"2", "té😀.txt"), Some(6));
        assert_eq!(position(&store, "other", "test.txt"), None);

        // Same entries, whatever their order: Kafka leaves that to hashes of addresses.
        let mut ours = java_map::read(&{
            store.inner.state.lock().dirty = true;
            store.flush().unwrap();
            fs::read(&path).unwrap()
        })
        .unwrap();
        let mut genuine = java_map::read(GENUINE).unwrap();
        ours.sort();
        genuine.sort();
        assert_eq!(ours, genuine);
        assert_eq!(fs::read(&path).unwrap().len(), GENUINE.len());
    }

    #[test]
    fn offsets_survive_and_only_changes_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("offsets");
        let store = OffsetStore::open(&path).unwrap();
        store.flush().unwrap();
        assert!(!path.exists(), "nothing to say, nothing written");
        let key = OffsetKey::new("c", "filename", "f");
        store.set(&key, Some(b"{\"position\":3}".to_vec()));
        store.flush().unwrap();
        assert_eq!(
            position(&OffsetStore::open(&path).unwrap(), "c", "f"),
            Some(3)
        );
        fs::remove_file(&path).unwrap();
        store.set(&key, Some(b"{\"position\":3}".to_vec()));
        store.flush().unwrap();
        assert!(!path.exists(), "the same again is no change");
    }

    #[test]
    fn a_failed_write_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("later");
        let store = OffsetStore::open(folder.join("offsets")).unwrap();
        let key = OffsetKey::new("c", "filename", "f");
        store.set(&key, Some(b"{\"position\":3}".to_vec()));
        assert!(store.flush().is_err());
        fs::create_dir(&folder).unwrap();
        store.flush().unwrap();
        let again = OffsetStore::open(folder.join("offsets")).unwrap();
        assert_eq!(position(&again, "c", "f"), Some(3));
    }

    #[test]
    fn what_is_no_offset_file_is_refused_and_an_empty_one_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("offsets");
        fs::write(&path, "").unwrap();
        OffsetStore::open(&path).unwrap();
        fs::write(&path, "position=3").unwrap();
        let error = OffsetStore::open(&path).map(drop).unwrap_err().to_string();
        assert!(
            error.contains("offsets: byte 0: expected a serialized java"),
            "{error}"
        );
    }
}
