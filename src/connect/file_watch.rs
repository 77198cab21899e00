//! Tells when a file may have grown: at once where the system can say so, else by looking often.
#[cfg(target_os = "linux")]
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

#[cfg(target_os = "linux")]
use tokio::net::unix::pipe::Receiver;

/// How often the file is looked at where nothing tells of changes.
const LOOK_OFTEN: Duration = Duration::from_millis(15);
/// How often it is looked at all the same: other machines' writes to a network file system and
/// writes through memory are not told of.
#[cfg(target_os = "linux")]
const LOOK_SELDOM: Duration = Duration::from_millis(500);

pub struct FileWatch {
    /// An inotify descriptor, read as the stream of bytes that it is.
    #[cfg(target_os = "linux")]
    events: Option<Receiver>,
}

#[cfg(target_os = "linux")]
impl FileWatch {
    /// Changes from here on are told. Must be called inside a tokio runtime.
    pub fn new(path: &Path) -> Self {
        Self {
            events: Self::events(path).ok(),
        }
    }

    fn events(path: &Path) -> std::io::Result<Receiver> {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        add_watch(&events, path, WatchFlags::MODIFY)?;
        Receiver::from_owned_fd_unchecked(events)
    }

    /// Waits for a change, or for the time to look again.
    pub async fn changed(&mut self) {
        let Some(events) = &self.events else {
            return tokio::time::sleep(LOOK_OFTEN).await;
        };
        let ready = tokio::select! {
            ready = events.readable() => ready,
            () = tokio::time::sleep(LOOK_SELDOM) => return,
        };
        // The events say nothing but that there were some.
        let read = ready.and_then(|()| events.try_read(&mut [0; 4096]));
        if read.is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
            self.events = None;
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl FileWatch {
    pub fn new(_: &Path) -> Self {
        Self {}
    }

    /// Waits for the time to look again.
    pub async fn changed(&mut self) {
        tokio::time::sleep(LOOK_OFTEN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[tokio::test]
    async fn growth_is_told() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut watch = FileWatch::new(file.path());
        for _ in 0..3 {
            file.write_all(b"x").unwrap();
            let told = tokio::time::timeout(Duration::from_secs(20), watch.changed());
            told.await.unwrap();
        }
    }
}
