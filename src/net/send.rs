//! Sending buffers and file ranges.
//!
//! On Linux a file range goes from the page cache to the socket by `sendfile`, without passing through this process. A
//! range that is not in the page cache is read ahead on the blocking pool first, so that a slow disk holds up nobody
//! else. A short frame is copied together instead: one read for each range and one send cost less than what it takes to
//! fill packets from several sources. Elsewhere ranges are always copied.

use std::fmt::Debug;
use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes of a file, to be sent as they are.
#[derive(Debug, Clone)]
pub struct FileRange {
    pub file: Arc<File>,
    pub position: u64,
    pub len: usize,
    /// Who is told that the file cannot be read.
    pub on_fault: Option<Arc<dyn ReadFault>>,
}

/// Whoever answers for a file's device.
pub trait ReadFault: Debug + Send + Sync {
    fn cannot_read(&self, file: &File, error: &io::Error);
}

impl FileRange {
    /// Passes an error on; whoever answers for the file hears of it if it is the file's.
    fn report(&self, error: io::Error) -> io::Error {
        use rustix::io::Errno;
        // None of these comes from a TCP socket.
        let of_device = [
            Errno::IO,
            Errno::NXIO,
            Errno::NODEV,
            Errno::BADMSG,
            Errno::UCLEAN,
            Errno::STALE,
        ];
        let is_of_device = Errno::from_io_error(&error).is_some_and(|e| of_device.contains(&e));
        if let (Some(told), true) = (&self.on_fault, is_of_device) {
            told.cannot_read(&self.file, &error);
        }
        error
    }
}

/// A part of a response.
#[derive(Debug, Clone)]
pub enum Chunk {
    Bytes(Bytes),
    File(FileRange),
}

impl Chunk {
    fn len(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::File(range) => range.len,
        }
    }
}

/// How much of a file is handed to the kernel at once. The peer is woken by what stands before a range of this size
/// and reads while the range is being sent: one call for a whole MiB, its head held back to fill a packet, has both
/// sides wait for each other and costs a quarter more. Frames whose parts are all shorter fill their packets instead.
const TURN: usize = 256 * 1024;

/// How much of a range is looked for in the page cache, and read from the disk if it is not there, before it is sent.
#[cfg(target_os = "linux")]
const AHEAD: usize = 4 * TURN;

/// Frames of up to this many bytes are copied together and sent by one call.
#[cfg(target_os = "linux")]
const COPIED: usize = 16 * 1024;

/// Sends all chunks in order.
pub async fn send_all(stream: &TcpStream, chunks: Vec<Chunk>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(frame) = copy_together(&chunks) {
        return send_one(stream, frame).await;
    }
    let mut cork = Cork::new(
        stream,
        chunks.len() > 1 && chunks.iter().all(|c| c.len() < TURN),
    );
    for chunk in chunks {
        match chunk {
            Chunk::Bytes(bytes) => send_bytes(stream, bytes, &mut cork).await?,
            Chunk::File(range) => send_file(stream, range, &mut cork).await?,
        }
    }
    Ok(())
}

/// A short frame as one buffer; `None` if it is not short, or not all of it can be read without waiting for a disk.
#[cfg(target_os = "linux")]
fn copy_together(chunks: &[Chunk]) -> Option<Bytes> {
    let total = chunks
        .iter()
        .map(Chunk::len)
        .try_fold(0, usize::checked_add);
    let total = total.filter(|total| *total <= COPIED)?;
    let mut frame = vec![0; total];
    let mut rest = frame.as_mut_slice();
    for chunk in chunks {
        let (into, behind) = rest.split_at_mut_checked(chunk.len())?;
        rest = behind;
        match chunk {
            Chunk::Bytes(bytes) => into.copy_from_slice(bytes),
            // Whatever is wrong shows again where the range is sent by itself.
            Chunk::File(range) => match read_at_once(&range.file, into, range.position) {
                Ok(read) if read == range.len => {}
                _ => return None,
            },
        }
    }
    Some(frame.into())
}

/// Sends bytes that are a frame of their own.
pub async fn send_one(stream: &TcpStream, bytes: Bytes) -> io::Result<()> {
    send_bytes(stream, bytes, &mut Cork::new(stream, false)).await
}

/// While it is there the kernel fills its packets: the peer is not woken for each part of a short frame.
struct Cork<'a> {
    stream: &'a TcpStream,
    is_in: bool,
}

impl<'a> Cork<'a> {
    fn new(stream: &'a TcpStream, wanted: bool) -> Self {
        let is_in = wanted && Self::set(stream, true);
        Self { stream, is_in }
    }

    /// Waits for room in the socket. What it holds must go first: there may be too little of it for a packet.
    async fn writable(&mut self) -> io::Result<()> {
        self.take_out();
        self.stream.writable().await
    }

    fn take_out(&mut self) {
        if std::mem::take(&mut self.is_in) {
            Self::set(self.stream, false);
        }
    }

    #[cfg(target_os = "linux")]
    fn set(stream: &TcpStream, on: bool) -> bool {
        rustix::net::sockopt::set_tcp_cork(stream, on).is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn set(_stream: &TcpStream, _on: bool) -> bool {
        false
    }
}

impl Drop for Cork<'_> {
    fn drop(&mut self) {
        self.take_out();
    }
}

async fn send_bytes(stream: &TcpStream, mut bytes: Bytes, cork: &mut Cork<'_>) -> io::Result<()> {
    while bytes.has_remaining() {
        match try_send(stream, &bytes) {
            Ok(sent) => bytes.advance(sent),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => cork.writable().await?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn try_send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendFlags, send};
    stream.try_io(Interest::WRITABLE, || {
        Ok(send(stream, bytes, SendFlags::NOSIGNAL)?)
    })
}

#[cfg(not(target_os = "linux"))]
fn try_send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    stream.try_write(bytes)
}

#[cfg(target_os = "linux")]
async fn send_file(stream: &TcpStream, range: FileRange, cork: &mut Cork<'_>) -> io::Result<()> {
    let mut position = range.position;
    let end = position + range.len as u64;
    // What comes before is in the page cache, as far as a look at its end can tell.
    let mut cached = position;
    while position < end {
        if position >= cached {
            cached = end.min(position + AHEAD as u64);
            if !in_page_cache(&range.file, cached - 1) {
                cork.take_out();
                let read = read_ahead(range.file.clone(), position..cached).await;
                read.map_err(|e| range.report(e))?;
            }
        }
        let left = ((cached - position) as usize).min(TURN);
        let sent = stream.try_io(Interest::WRITABLE, || {
            Ok(rustix::fs::sendfile(
                stream,
                &range.file,
                Some(&mut position),
                left,
            )?)
        });
        match sent {
            Ok(0) => return Err(cut_short()),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => cork.writable().await?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(range.report(e)),
        }
    }
    Ok(())
}

/// Whether a byte can be read without waiting for a disk.
#[cfg(target_os = "linux")]
fn in_page_cache(file: &File, position: u64) -> bool {
    match read_at_once(file, &mut [0], position) {
        Ok(_) => true,
        // Not every file system knows NOWAIT: sendfile may then wait, which is still right.
        Err(e) => e != rustix::io::Errno::AGAIN,
    }
}

/// Reads what is in the page cache; `AGAIN` if nothing is.
#[cfg(target_os = "linux")]
fn read_at_once(file: &File, into: &mut [u8], position: u64) -> rustix::io::Result<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let buffers = &mut [io::IoSliceMut::new(into)];
    preadv2(file, buffers, position, ReadWriteFlags::NOWAIT)
}

#[cfg(target_os = "linux")]
async fn read_ahead(file: Arc<File>, range: Range<u64>) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let read = move || {
        let mut buffer = vec![0; TURN];
        let mut position = range.start;
        while position < range.end {
            let want = (range.end - position).min(TURN as u64) as usize;
            let into = buffer.get_mut(..want).unwrap_or_default();
            match file.read_at(into, position) {
                Ok(0) => return Err(cut_short()),
                Ok(read) => position += read as u64,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    };
    tokio::task::spawn_blocking(read).await?
}

#[cfg(not(target_os = "linux"))]
async fn send_file(stream: &TcpStream, range: FileRange, cork: &mut Cork<'_>) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut done = 0;
    while done < range.len {
        let (file, position) = (range.file.clone(), range.position + done as u64);
        let mut buffer = vec![0; (range.len - done).min(256 * 1024)];
        let read = move || file.read_exact_at(&mut buffer, position).map(|()| buffer);
        let buffer = tokio::task::spawn_blocking(read).await??;
        done += buffer.len();
        send_bytes(stream, buffer.into(), cork).await?;
    }
    Ok(())
}

/// The file ended within the range: its length was announced already, so the connection cannot go on.
fn cut_short() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "a log segment was cut while it was being sent",
    )
}
