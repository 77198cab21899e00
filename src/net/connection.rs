//! One connection: read a frame, have it answered, send the answer, again.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::frame::{FrameError, FrameReader};
use super::send::{send_all, send_one};
use super::{Peer, Reply, Service};

/// An idle connection gives its buffer back after this long.
const RELEASE_AFTER: Duration = Duration::from_secs(1);
/// How long a shutdown waits for a peer to take an answer that is being sent.
const SEND_GRACE: Duration = Duration::from_millis(50);

/// Answers of up to this many bytes together are sent as one.
const HELD_BYTES: usize = 4 * 1024;
/// Answers are not held beyond this many bytes of requests: the peer, who may wait for them before it sends more,
/// should work while we do.
const HELD_REQUEST_BYTES: usize = 24 * 1024;

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub request_max_bytes: usize,
    pub idle_max: Duration,
}

/// Serves the connection until either side ends it. Ends after the current request once `stop` is cancelled.
pub(super) async fn serve<S: Service>(
    stream: TcpStream,
    peer: Peer,
    service: Arc<S>,
    limits: Limits,
    stop: CancellationToken,
) {
    let mut session = S::Session::default();
    match exchange(&stream, &peer, &mut session, &*service, limits, stop).await {
        Ok(()) => {}
        Err(End::Refused(why)) => {
            warn!("closed the connection from {}: {why}", peer.address);
        }
        Err(End::Io(e)) => debug!("connection from {}: {e}", peer.address),
    }
    service.closed(&peer, session);
}

enum End {
    Refused(String),
    Io(io::Error),
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> End {
        match error {
            FrameError::TooLarge { .. } => End::Refused(error.to_string()),
            FrameError::Truncated => End::Io(io::ErrorKind::UnexpectedEof.into()),
            FrameError::Io(e) => End::Io(e),
        }
    }
}

async fn exchange<S: Service>(
    stream: &TcpStream,
    peer: &Peer,
    session: &mut S::Session,
    service: &S,
    limits: Limits,
    stop: CancellationToken,
) -> Result<(), End> {
    let mut frames = FrameReader::new(limits.request_max_bytes);
    let mut last_active = Instant::now();
    // Both outlive the requests: registering a timer and a cancellation anew for each would cost more than the wait.
    let mut quiet = pin!(sleep_until(last_active + RELEASE_AFTER));
    let mut stopped = pin!(stop.cancelled());
    let mut resting = false;
    let mut held = Held::default();
    loop {
        if let Some(frame) = frames.take()? {
            if std::mem::take(&mut resting) {
                quiet.as_mut().reset(Instant::now() + RELEASE_AFTER);
            }
            let request_bytes = frame.len();
            let reply = {
                let mut call = pin!(service.call(peer, session, frame));
                match poll_once(call.as_mut()).await {
                    Some(reply) => reply,
                    None => {
                        held.send(stream, &stop).await.map_err(End::Io)?;
                        call.await
                    }
                }
            };
            match reply {
                Reply::Nothing => {}
                Reply::Close(why) => {
                    held.send(stream, &stop).await.map_err(End::Io)?;
                    return Err(End::Refused(why));
                }
                Reply::One(bytes) if bytes.len() <= HELD_BYTES => held.push(bytes, request_bytes),
                reply => {
                    held.send(stream, &stop).await.map_err(End::Io)?;
                    send(stream, reply, &stop).await.map_err(End::Io)?;
                }
            }
            if !frames.has_frame() || held.is_full() {
                held.send(stream, &stop).await.map_err(End::Io)?;
            }
            if let Some(pause) = service.pause(session) {
                held.send(stream, &stop).await.map_err(End::Io)?;
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = &mut stopped => return Ok(()),
                }
            }
            last_active = Instant::now();
            // A peer that always has a request ready must not keep the others on this thread waiting.
            tokio::task::consume_budget().await;
            continue;
        }
        if stop.is_cancelled() {
            return Ok(());
        }
        match frames.fill(stream) {
            Ok(true) => continue,
            Ok(false) => return Ok(()),
            Err(FrameError::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(FrameError::Io(e)) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e.into()),
        }
        tokio::select! {
            biased;
            ready = stream.readable() => ready.map_err(End::Io)?,
            () = &mut stopped => return Ok(()),
            () = &mut quiet => {
                let idle = last_active.elapsed();
                if idle >= limits.idle_max {
                    debug!("closed the connection from {}: idle for {idle:?}", peer.address);
                    return Ok(());
                }
                resting = idle >= RELEASE_AFTER;
                if resting {
                    frames.release();
                }
                let wait = if resting { limits.idle_max } else { RELEASE_AFTER };
                quiet.as_mut().reset(last_active + wait);
            }
        }
    }
}

/// Short answers to requests that came in a row, to be sent by one system call. They are held only while the next
/// request is already here and is answered without waiting.
#[derive(Default)]
struct Held {
    answers: Vec<Bytes>,
    bytes: usize,
    request_bytes: usize,
}

impl Held {
    fn push(&mut self, answer: Bytes, request_bytes: usize) {
        self.bytes += answer.len();
        self.request_bytes += request_bytes;
        self.answers.push(answer);
    }

    fn is_full(&self) -> bool {
        self.bytes >= HELD_BYTES || self.request_bytes >= HELD_REQUEST_BYTES
    }

    async fn send(&mut self, stream: &TcpStream, stop: &CancellationToken) -> io::Result<()> {
        let bytes = match self.answers.len() {
            0 => return Ok(()),
            1 => self.answers.pop().unwrap_or_default(),
            _ => {
                let mut all = BytesMut::with_capacity(self.bytes);
                self.answers
                    .drain(..)
                    .for_each(|answer| all.extend_from_slice(&answer));
                all.freeze()
            }
        };
        (self.bytes, self.request_bytes) = (0, 0);
        send(stream, Reply::One(bytes), stop).await
    }
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

async fn send(stream: &TcpStream, reply: Reply, stop: &CancellationToken) -> io::Result<()> {
    let sending = async {
        match reply {
            Reply::One(bytes) => send_one(stream, bytes).await,
            Reply::Many(chunks) => send_all(stream, chunks).await,
            Reply::Nothing | Reply::Close(_) => Ok(()),
        }
    };
    let mut sending = pin!(sending);
    tokio::select! {
        biased;
        sent = &mut sending => sent,
        () = stop.cancelled() => timeout(SEND_GRACE, sending).await?,
    }
}
