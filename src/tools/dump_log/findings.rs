//! What did not fit together in any of the files, told on stderr when all are dumped, in Kafka's
//! words.
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, absolute};

use crate::tools::java_order::hash_order;
use crate::tools::output::message;

/// Pairs found in one file after the other.
type InFiles<P> = Vec<(String, P)>;

#[derive(Debug, Default)]
pub struct Findings {
    /// Offset in the index, and that of the batch it points to.
    index: InFiles<BTreeMap<Reverse<i64>, i64>>,
    /// An offset, and the next one that was there.
    gaps: InFiles<BTreeMap<i64, i64>>,
    timestamps: InFiles<Vec<(i64, i64)>>,
    out_of_order: InFiles<Vec<(i64, i64)>>,
    not_found: InFiles<Vec<(i64, i64)>>,
}

fn of_file<'f, P: Default>(files: &'f mut InFiles<P>, path: &Path) -> &'f mut P {
    let name = absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = name.display().to_string();
    let at = match files.iter().position(|(known, _)| *known == name) {
        Some(at) => at,
        None => {
            files.push((name, P::default()));
            files.len() - 1
        }
    };
    &mut files[at].1
}

impl Findings {
    pub fn index_mismatch(&mut self, path: &Path, indexed: i64, stored: i64) {
        of_file(&mut self.index, path).insert(Reverse(indexed), stored);
    }

    pub fn gap(&mut self, path: &Path, offset: i64, next: i64) {
        of_file(&mut self.gaps, path).insert(offset, next);
    }

    pub fn timestamp_mismatch(&mut self, path: &Path, indexed: i64, stored: i64) {
        of_file(&mut self.timestamps, path).push((indexed, stored));
    }

    pub fn timestamp_out_of_order(&mut self, path: &Path, indexed: i64, before: i64) {
        of_file(&mut self.out_of_order, path).push((indexed, before));
    }

    pub fn offset_not_found(&mut self, path: &Path, indexed: i64, stored: i64) {
        of_file(&mut self.not_found, path).push((indexed, stored));
    }

    /// Tells all of them.
    pub fn tell(mut self) {
        in_order(&mut self.index, |file, pairs| {
            message(format!("Mismatches in :{file}"));
            for (Reverse(indexed), stored) in pairs {
                message(format!("  Index offset: {indexed}, log offset: {stored}"));
            }
        });
        in_order(&mut self.timestamps, |file, pairs| {
            message(format!("Found timestamp mismatch in :{file}"));
            for (indexed, stored) in pairs {
                message(format!(
                    "  Index timestamp: {indexed}, log timestamp: {stored}"
                ));
            }
        });
        in_order(&mut self.out_of_order, |file, pairs| {
            message(format!("Found out of order timestamp in :{file}"));
            for (indexed, before) in pairs {
                message(format!(
                    "  Index timestamp: {indexed}, Previously indexed timestamp: {before}"
                ));
            }
        });
        in_order(&mut self.not_found, |file, pairs| {
            message(format!(
                "The following indexed offsets are not found in :{file}"
            ));
            for (indexed, stored) in pairs {
                message(format!(
                    "Indexed offset: {indexed}, found log offset: {stored}"
                ));
            }
        });
        in_order(&mut self.gaps, |file, pairs| {
            message(format!("Non-consecutive offsets in {file}"));
            for (offset, next) in pairs {
                message(format!("  {offset} is followed by {next}"));
            }
        });
    }
}

fn in_order<P>(files: &mut InFiles<P>, tell: impl Fn(&str, &P)) {
    // Java's computeIfAbsent puts what is new in front of its bucket.
    files.reverse();
    hash_order(files, 16, |(file, _)| file.as_str());
    for (file, pairs) in files {
        tell(file, pairs);
    }
}
