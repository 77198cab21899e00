//! Keys of standalone workers alone.
use crate::config::definition::{ConfigKey, string};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    string("offset.storage.file.filename").required().high().active("File of the source offsets."),
];
