//! `FileStreamSource`: the lines of a file, also those that are appended later, or of standard
//! input, one record each.
//!
//! As Kafka's connector, but each line once and at once: positions count bytes, so that a restart
//! repeats nothing after other characters than ASCII; a full batch leaves no lines behind; a
//! position past the end of the file is said and waited for.
use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::task::block_in_place;

use super::data::{STRING, Value};
use super::errors::{ConnectError, Result};
use super::file_watch::FileWatch;
use super::lines::{Line, LineBuffer};
use super::offsets::{OffsetKey, OffsetStore};
use super::task::{BoxFuture, SourceOffset, SourceRecord, SourceTask};

/// What one read takes.
const READ_BYTES: usize = 256 * 1024;
/// No line may be longer: what has no end is not kept in memory for ever.
const LINE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How often a missing file is looked for.
const MISSING_WAIT: Duration = Duration::from_millis(200);
/// Reads of standard input that wait for the task.
const STDIN_CHUNKS_MAX: usize = 4;

/// The settings of one task.
#[derive(Debug, Clone)]
pub struct FileSourceConfig {
    pub connector: String,
    /// `None` is standard input.
    pub file: Option<String>,
    pub topic: String,
    /// `batch.size`: lines that one poll hands on.
    pub batch_lines: usize,
}

pub struct FileSourceTask {
    config: FileSourceConfig,
    input: Input,
    lines: LineBuffer,
    /// Found by `poll`, not yet handed on.
    ready: Option<Line>,
    /// What `next_record` borrows from.
    current: Line,
    handed_on: usize,
    key: Option<Arc<OffsetKey>>,
    polled_at: i64,
}

enum Input {
    /// Not there yet, or not long enough yet; what the user was told of it.
    Waiting {
        path: PathBuf,
        told: Option<Wait>,
    },
    Open {
        file: File,
        watch: FileWatch,
    },
    Stdin(mpsc::Receiver<std::io::Result<Vec<u8>>>),
    /// The end of standard input.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Missing,
    Short,
}

impl FileSourceTask {
    /// Goes on where `offsets` say that the connector was.
    pub fn new(config: FileSourceConfig, offsets: &OffsetStore) -> Self {
        let (input, key, position) = match &config.file {
            None => (Input::Stdin(read_stdin()), None, 0),
            Some(file) => {
                let key = OffsetKey::new(&config.connector, "filename", file);
                let position = position(offsets, &key, &config.connector);
                let path = PathBuf::from(file);
                (
                    Input::Waiting { path, told: None },
                    Some(Arc::new(key)),
                    position,
                )
            }
        };
        Self {
            config,
            input,
            lines: LineBuffer::at(position),
            ready: None,
            current: Line {
                text: 0..0,
                end: position,
            },
            handed_on: 0,
            key,
            polled_at: 0,
        }
    }

    /// Reads on, or waits for a reason to try again.
    async fn read(&mut self) -> Result<()> {
        if self.lines.pending() > LINE_BYTES_MAX {
            return Err(ConnectError::task(format!(
                "{}: the line at byte {} is longer than {LINE_BYTES_MAX} bytes",
                self.name(),
                self.lines.position()
            )));
        }
        match &mut self.input {
            Input::Waiting { path, told } => {
                let position = self.lines.position();
                match block_in_place(|| open_at(path, position))? {
                    Ok((file, watch)) => {
                        if told.is_some() {
                            tracing::info!("{} is there now, reading it", path.display());
                        }
                        self.input = Input::Open { file, watch };
                    }
                    Err(wait) => {
                        if told.replace(wait) != Some(wait) {
                            tell(wait, path, position);
                        }
                        tokio::time::sleep(MISSING_WAIT).await;
                    }
                }
            }
            Input::Open { file, watch } => {
                let space = self.lines.space(READ_BYTES);
                let read = block_in_place(|| read(file, space));
                self.lines.filled(READ_BYTES, *read.as_ref().unwrap_or(&0));
                let read = read.map_err(|error| cannot_read(&self.config, &error))?;
                if read == 0 {
                    watch.changed().await;
                }
            }
            Input::Stdin(chunks) => match chunks.recv().await {
                Some(chunk) => {
                    let chunk = chunk.map_err(|error| cannot_read(&self.config, &error))?;
                    self.append(&chunk);
                }
                None => {
                    // Nothing can follow any more, so that what is left is a line.
                    if self.lines.pending() > 0 {
                        self.append(b"\n");
                    }
                    tracing::info!("{}: the end of standard input", self.config.connector);
                    self.input = Input::Ended;
                }
            },
            Input::Ended => std::future::pending().await,
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) {
        self.lines.space(bytes.len()).copy_from_slice(bytes);
        self.lines.filled(bytes.len(), bytes.len());
    }

    fn name(&self) -> &str {
        self.config.file.as_deref().unwrap_or("standard input")
    }
}

impl SourceTask for FileSourceTask {
    fn poll(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.handed_on = 0;
            loop {
                if self.ready.is_none() {
                    self.ready = self.lines.next_line();
                }
                if self.ready.is_some() {
                    self.polled_at = now_ms();
                    return Ok(());
                }
                self.read().await?;
            }
        })
    }

    fn next_record(&mut self) -> Option<SourceRecord<'_>> {
        if self.handed_on == self.config.batch_lines {
            return None;
        }
        self.current = match self.ready.take() {
            Some(line) => line,
            None => self.lines.next_line()?,
        };
        self.handed_on += 1;
        let end = SourceOffset::Position(self.current.end);
        let text = match String::from_utf8_lossy(self.lines.text(&self.current)) {
            Cow::Borrowed(text) => Value::text(text),
            Cow::Owned(text) => Value::text(text),
        };
        Some(SourceRecord {
            source: self.key.as_ref().map(|key| (key, end)),
            topic: &self.config.topic,
            partition: None,
            timestamp: Some(self.polled_at),
            key: (None, Value::Null),
            value: (Some(STRING), text),
        })
    }
}

/// Where the connector was in its file.
fn position(offsets: &OffsetStore, key: &OffsetKey, connector: &str) -> u64 {
    let Some(offset) = offsets.get(key) else {
        return 0;
    };
    let position = offset.get("position").and_then(serde_json::Value::as_u64);
    position.unwrap_or_else(|| {
        tracing::warn!("{connector}: the offset {offset} is no position, starting from the begin");
        0
    })
}

/// The file from `position` on, or what to wait for.
fn open_at(path: &Path, position: u64) -> Result<Result<(File, FileWatch), Wait>> {
    let failed = |error: std::io::Error| {
        ConnectError::task(format!("cannot read {}: {error}", path.display()))
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(Wait::Missing)),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(ErrorKind::IsADirectory.into()));
    }
    if position > 0 && metadata.is_file() {
        if metadata.len() < position {
            return Ok(Err(Wait::Short));
        }
        file.seek(SeekFrom::Start(position)).map_err(failed)?;
    }
    Ok(Ok((file, FileWatch::new(path))))
}

fn tell(wait: Wait, path: &Path, position: u64) {
    let path = path.display();
    match wait {
        Wait::Missing => {
            tracing::warn!("Couldn't find file {path}, waiting for it to be created");
        }
        Wait::Short => tracing::warn!(
            "{path} is shorter than the {position} bytes that were read of it before: waiting for \
             it to grow beyond them"
        ),
    }
}

fn read(file: &mut File, space: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match file.read(space) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn cannot_read(config: &FileSourceConfig, error: &std::io::Error) -> ConnectError {
    let name = config.file.as_deref().unwrap_or("standard input");
    ConnectError::task(format!("cannot read {name}: {error}"))
}

/// A thread of its own, since a read of standard input cannot be called off.
fn read_stdin() -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (chunks, receiver) = mpsc::channel(STDIN_CHUNKS_MAX);
    let read = move || {
        let mut stdin = std::io::stdin().lock();
        let mut space = vec![0; READ_BYTES];
        loop {
            let chunk = match stdin.read(&mut space) {
                Ok(0) => return,
                Ok(read) => Ok(space.get(..read).unwrap_or_default().to_vec()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = chunk.is_err();
            if chunks.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    };
    // Without a thread the channel closes: the end of standard input.
    if let Err(error) = std::thread::Builder::new()
        .name("connect-stdin".into())
        .spawn(read)
    {
        tracing::error!("cannot read standard input: {error}");
    }
    receiver
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    struct Harness {
        dir: tempfile::TempDir,
        offsets: OffsetStore,
    }

    impl Harness {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let offsets = OffsetStore::open(dir.path().join("offsets")).unwrap();
            Self { dir, offsets }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("test.txt")
        }

        fn append(&self, text: &str) {
            let file = File::options().create(true).append(true).open(self.path());
            file.unwrap().write_all(text.as_bytes()).unwrap();
        }

        fn task(&self, batch_lines: usize) -> FileSourceTask {
            let config = FileSourceConfig {
                connector: "c".into(),
                file: Some(self.path().display().to_string()),
                topic: "t".into(),
                batch_lines,
            };
            FileSourceTask::new(config, &self.offsets)
        }

        fn store(&self, position: u64) {
            let key = OffsetKey::new("c", "filename", &self.path().display().to_string());
            self.offsets
                .set(&key, Some(SourceOffset::Position(position).to_json()));
        }
    }

    /// The lines of one poll, each with the position behind it.
    async fn poll(task: &mut FileSourceTask) -> Vec<(String, u64)> {
        let polled = tokio::time::timeout(Duration::from_secs(20), task.poll()).await;
        polled.expect("no lines").unwrap();
        let mut lines = Vec::new();
        while let Some(record) = task.next_record() {
            let Some((_, SourceOffset::Position(position))) = record.source else {
                panic!("a line without position");
            };
            lines.push((record.value.1.to_string(), position));
        }
        lines
    }

    fn line(text: &str, position: u64) -> (String, u64) {
        (text.to_owned(), position)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn lines_come_as_they_are_appended() {
        let harness = Harness::new();
        harness.append("a\r\n\né€😀\npart");
        let mut task = harness.task(2000);
        let lines = [line("a", 3), line("", 4), line("é€😀", 14)];
        assert_eq!(poll(&mut task).await, lines);
        harness.append("ial\nx");
        assert_eq!(poll(&mut task).await, [line("partial", 22)]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_batch_leaves_nothing_behind() {
        let harness = Harness::new();
        harness.append("1\n2\n3\n4\n5\n");
        let mut task = harness.task(2);
        let mut all = Vec::new();
        for expected in [2, 2, 1] {
            let lines = poll(&mut task).await;
            assert_eq!(lines.len(), expected);
            all.extend(lines.into_iter().map(|(text, _)| text));
        }
        assert_eq!(all, ["1", "2", "3", "4", "5"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_restart_goes_on_behind_the_stored_position() {
        let harness = Harness::new();
        harness.append("é€😀\nabc\n");
        harness.store(10);
        assert_eq!(poll(&mut harness.task(10)).await, [line("abc", 14)]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_missing_or_short_file_is_waited_for() {
        let harness = Harness::new();
        harness.store(4);
        let mut task = harness.task(10);
        let short = Duration::from_millis(1);
        assert!(tokio::time::timeout(short, task.poll()).await.is_err());
        harness.append("ab\n");
        assert!(tokio::time::timeout(short, task.poll()).await.is_err());
        harness.append("\nnext\n");
        assert_eq!(poll(&mut task).await, [line("next", 9)]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_dropped_poll_loses_nothing() {
        let harness = Harness::new();
        harness.append("a");
        let mut task = harness.task(10);
        for _ in 0..5 {
            let short = Duration::from_millis(1);
            assert!(tokio::time::timeout(short, task.poll()).await.is_err());
        }
        harness.append("b\n");
        assert_eq!(poll(&mut task).await, [line("ab", 3)]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_read_fails_the_task() {
        let harness = Harness::new();
        std::fs::create_dir(harness.path()).unwrap();
        let error = harness.task(1).poll().await.unwrap_err().to_string();
        assert!(
            error.starts_with("cannot read ") && error.contains("test.txt: "),
            "{error}"
        );
    }
}
