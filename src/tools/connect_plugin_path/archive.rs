//! What is needed of a jar: the names of its files, and the text of small ones.
//!
//! ```text
//! end record      PK\5\6 … size of the directory u32 at 12, its offset u32 at 16; a comment may follow
//! directory entry PK\1\2 … method u16 at 10, packed and unpacked size u32 at 20 and 24, lengths of name, extra and
//!                 comment u16 at 28, offset of the file u32 at 42, name at 46
//! file            PK\3\4 … lengths of name and extra u16 at 26, name at 30, extra, bytes
//! ```
//! Little-endian. Jars of more than 4 GB would need another directory, and are refused.
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, bail};
use flate2::read::DeflateDecoder;

const END: [u8; 4] = *b"PK\x05\x06";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const END_BYTES: usize = 22;
const ENTRY_BYTES: usize = 46;
const FILE_BYTES: u64 = 30;
const COMMENT_BYTES_MAX: u64 = 1 << 16;
/// A directory of hundreds of thousands of classes.
const DIRECTORY_BYTES_MAX: u64 = 64 << 20;
/// No list of plugins is longer.
const TEXT_BYTES_MAX: u64 = 1 << 20;

pub struct Archive {
    file: File,
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    at: u64,
    packed: u64,
    deflated: bool,
}

impl Archive {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let read = || {
            let file = File::open(path)?;
            let directory = directory(&file).context("it is no jar")?;
            let entries = entries(&directory).context("its directory is damaged")?;
            anyhow::Ok(Self { file, entries })
        };
        read().with_context(|| path.display().to_string())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The text of a file, if it is there.
    pub fn text(&self, name: &str) -> anyhow::Result<Option<String>> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        let mut head = [0; FILE_BYTES as usize];
        self.file.read_exact_at(&mut head, entry.at)?;
        let names = u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
        if entry.packed > TEXT_BYTES_MAX {
            bail!("{name} is too large");
        }
        let mut packed = vec![0; usize::try_from(entry.packed)?];
        self.file
            .read_exact_at(&mut packed, entry.at + FILE_BYTES + names)?;
        let mut text = Vec::new();
        match entry.deflated {
            true => DeflateDecoder::new(&*packed)
                .take(TEXT_BYTES_MAX)
                .read_to_end(&mut text)?,
            false => packed.as_slice().read_to_end(&mut text)?,
        };
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }
}

fn directory(file: &File) -> Option<Vec<u8>> {
    let size = file.metadata().ok()?.len();
    let start = size.saturating_sub(COMMENT_BYTES_MAX + END_BYTES as u64);
    let mut tail = vec![0; usize::try_from(size - start).ok()?];
    file.read_exact_at(&mut tail, start).ok()?;
    let end = tail
        .windows(END_BYTES)
        .rposition(|window| window.starts_with(&END))?;
    let end = tail.get(end..)?;
    let (len, at) = (u64::from(u32_at(end, 12)), u64::from(u32_at(end, 16)));
    if len > DIRECTORY_BYTES_MAX || at.checked_add(len)? > size {
        return None;
    }
    let mut directory = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut directory, at).ok()?;
    Some(directory)
}

fn entries(mut directory: &[u8]) -> Option<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    while !directory.is_empty() {
        let head = directory
            .get(..ENTRY_BYTES)
            .filter(|head| head.starts_with(&ENTRY))?;
        let name_len = usize::from(u16_at(head, 28));
        let rest = usize::from(u16_at(head, 30)) + usize::from(u16_at(head, 32));
        let name = directory.get(ENTRY_BYTES..ENTRY_BYTES + name_len)?;
        let entry = Entry {
            at: u64::from(u32_at(head, 42)),
            packed: u64::from(u32_at(head, 20)),
            deflated: u16_at(head, 10) != 0,
        };
        entries.insert(String::from_utf8_lossy(name).into_owned(), entry);
        directory = directory.get(ENTRY_BYTES + name_len + rest..)?;
    }
    Some(entries)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A jar of files that are stored as they are.
    pub fn jar(files: &[(&str, &str)]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, text) in files {
            let lens = |out: &mut Vec<u8>| {
                out.extend((text.len() as u32).to_le_bytes());
                out.extend((text.len() as u32).to_le_bytes());
                out.extend((name.len() as u16).to_le_bytes());
                out.extend([0; 2]);
            };
            let at = bytes.len() as u32;
            bytes.extend(b"PK\x03\x04");
            bytes.extend([0; 14]);
            lens(&mut bytes);
            bytes.extend(name.bytes().chain(text.bytes()));
            directory.extend(ENTRY);
            directory.extend([0; 16]);
            lens(&mut directory);
            directory.extend([0; 10]);
            directory.extend(at.to_le_bytes());
            directory.extend(name.bytes());
        }
        let at = bytes.len() as u32;
        bytes.extend(&directory);
        bytes.extend(END);
        bytes.extend([0; 8]);
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(at.to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }

    #[test]
    fn files_are_found_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jar");
        std::fs::write(&path, jar(&[("a/B.class", ""), ("META-INF/x", "text\n")])).unwrap();
        let archive = Archive::open(&path).unwrap();
        assert!(archive.contains("a/B.class") && !archive.contains("a/C.class"));
        assert_eq!(
            archive.text("META-INF/x").unwrap().as_deref(),
            Some("text\n")
        );
        assert_eq!(archive.text("nope").unwrap(), None);
    }

    proptest! {
        #[test]
        fn damaged_jars_are_refused_or_read(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.jar");
            let mut bytes = jar(&[("a", "text"), ("b", "more")]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut.index(3));
            std::fs::write(&path, bytes).unwrap();
            if let Ok(archive) = Archive::open(&path) {
                let _ = archive.text("a");
                let _ = archive.text("b");
            }
        }
    }
}
