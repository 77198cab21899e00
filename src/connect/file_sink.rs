//! `FileStreamSink`: the value of each record as a line, at the end of a file or on standard
//! output.
use std::fs::File;
use std::io::{self, Write};

use tokio::task::block_in_place;

use super::data::Value;
use super::errors::{ConnectError, Result};
use super::task::{SinkRecord, SinkTask};

/// Lines are written together, up to about this much.
const WRITE_BYTES: usize = 256 * 1024;

pub struct FileSinkTask {
    name: String,
    out: Box<dyn Write + Send>,
    lines: Vec<u8>,
}

impl FileSinkTask {
    /// Opens the file for appending, or standard output without one.
    pub fn open_file(file: Option<&str>) -> Result<Self> {
        let (name, out): (_, Box<dyn Write + Send>) = match file {
            None => ("standard output", Box::new(io::stdout())),
            Some(name) => {
                let opened = File::options().create(true).append(true).open(name);
                let file = opened.map_err(|error| {
                    ConnectError::task(format!("cannot open {name} for writing: {error}"))
                })?;
                (name, Box::new(file))
            }
        };
        Ok(Self {
            name: name.to_owned(),
            out,
            lines: Vec::with_capacity(WRITE_BYTES + 4096),
        })
    }

    fn write(&mut self) -> Result<()> {
        let written = block_in_place(|| {
            self.out.write_all(&self.lines)?;
            self.out.flush()
        });
        self.lines.clear();
        written
            .map_err(|error| ConnectError::task(format!("cannot write to {}: {error}", self.name)))
    }
}

impl SinkTask for FileSinkTask {
    fn put(&mut self, record: &SinkRecord<'_>) -> Result<()> {
        match &record.value.value {
            Value::String(text) => self.lines.extend_from_slice(text.as_bytes()),
            // As they are: text would replace what is not UTF-8.
            Value::Bytes(bytes) => self.lines.extend_from_slice(bytes),
            other => {
                let written = write!(self.lines, "{other}");
                written.map_err(|error| ConnectError::task(error.to_string()))?;
            }
        }
        self.lines.push(b'\n');
        if self.lines.len() >= WRITE_BYTES {
            return self.write();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.write()
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::{OPTIONAL_STRING, SchemaAndValue};
    use super::*;

    fn put(task: &mut FileSinkTask, value: Value<'static>) {
        let record = SinkRecord {
            topic: "t",
            partition: 0,
            offset: 0,
            timestamp: 0,
            key: SchemaAndValue::NULL,
            value: SchemaAndValue::new(OPTIONAL_STRING, value),
        };
        task.put(&record).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn values_are_lines_and_what_was_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sink.txt");
        std::fs::write(&path, "before\n").unwrap();
        let mut task = FileSinkTask::open_file(path.to_str()).unwrap();
        put(&mut task, Value::text("é"));
        put(&mut task, Value::Null);
        put(&mut task, Value::Float64(1e20));
        put(&mut task, Value::Bytes(b"\xffraw"[..].into()));
        assert_eq!(std::fs::read(&path).unwrap(), b"before\n");
        task.flush().unwrap();
        let expected = b"before\n\xc3\xa9\nnull\n1.0E20\n\xffraw\n";
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = FileSinkTask::open_file(Some("/nowhere/sink.txt"))
            .map(drop)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot open /nowhere/sink.txt for writing: ")
        );
    }
}
