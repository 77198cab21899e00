//! Files of batches without indexes: snapshots of the metadata.
use std::io;
use std::path::Path;

use super::reader::{BatchReader, Found};
use super::{Inspect, Outcome, Verifier, records};

impl Verifier<'_> {
    /// Checks every batch of a file; whether all are good.
    pub fn batch_file(
        &mut self,
        path: &Path,
        outcome: Outcome,
        remedy: &str,
        inspect: Inspect<'_>,
    ) -> bool {
        match self.walk_file(path, inspect) {
            Ok(None) => true,
            Ok(Some((position, what))) => {
                self.fault(path, Some(position), what, outcome, remedy);
                false
            }
            Err(e) => {
                self.unreadable(path, &e);
                false
            }
        }
    }

    /// The first fault.
    fn walk_file(
        &mut self,
        path: &Path,
        inspect: Inspect<'_>,
    ) -> io::Result<Option<(u64, String)>> {
        let mut reader = BatchReader::open(self.disk, path)?;
        let mut buffer = Vec::new();
        let mut position = 0;
        loop {
            let (size, checked) = match reader.at(position)? {
                Found::End => return Ok(None),
                Found::Broken(what) => return Ok(Some((position, what))),
                Found::Batch {
                    header,
                    batch,
                    checked,
                } => {
                    let checked = checked.map_err(|e| e.to_string());
                    let seen = checked.and_then(|()| {
                        let batch = batch.ok_or("is too large to be looked at")?;
                        let count = records::check(&batch, &mut buffer)?;
                        inspect(&batch).map(|()| count)
                    });
                    (header.size() as u64, seen)
                }
            };
            self.counts.batches += 1;
            self.read(size);
            match checked {
                Ok(count) => self.counts.records += count,
                Err(what) => return Ok(Some((position, what))),
            }
            position += size;
        }
    }
}
