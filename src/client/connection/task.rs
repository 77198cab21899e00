//! The task behind a connection: one loop that writes, reads, keeps order and keeps time.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::authentication::Session;
use super::frame_reader::FrameReader;
use super::output::Output;
use super::transport::{Stream, broken};
use super::{Endpoint, Reply, ResponseFrame};
use crate::client::errors::{ClientError, Result};
use crate::client::traffic::NodeTraffic;
use crate::protocol::wire::{Encoded, Reader};
use crate::protocol::{ApiKey, Message, header::ResponseHeader};

/// Requests written or being written whose responses are awaited.
const IN_FLIGHT_MAX: usize = 128;
/// No further request is taken while this much waits for the socket.
const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long the timer sleeps when there is no deadline.
const FAR_AWAY: Duration = Duration::from_secs(24 * 3600);

/// Before every frame.
const LENGTH_BYTES: usize = 4;

pub struct Outgoing {
    pub frame: Encoded,
    pub key: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    pub deadline: Instant,
    pub answered: bool,
    pub reply: Option<Reply>,
}

struct InFlight {
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    queued: Instant,
    deadline: Instant,
    reply: Option<Reply>,
}

impl InFlight {
    fn answer(mut self, result: Result<ResponseFrame>) {
        if let Some(reply) = self.reply.take() {
            reply(result);
        }
    }
}

/// A request without response: `bytes` more must be written before it counts as done.
struct Unanswered {
    bytes: u64,
    reply: Option<Reply>,
}

pub struct Task {
    reader: FrameReader,
    requests: mpsc::Receiver<Outgoing>,
    closed: CancellationToken,
    max_idle: Option<Duration>,
    peer: String,
    traffic: Arc<NodeTraffic>,
    /// Where the client had to say who it is.
    session: Option<Session>,
    output: Output,
    in_flight: VecDeque<InFlight>,
    unanswered: VecDeque<Unanswered>,
    queued_bytes: u64,
    last_used: Instant,
}

enum Step {
    Continue,
    Ended(ClientError),
}

impl Task {
    pub fn new(
        reader: FrameReader,
        requests: mpsc::Receiver<Outgoing>,
        closed: CancellationToken,
        max_idle: Option<Duration>,
        peer: &Endpoint,
        traffic: Arc<NodeTraffic>,
        session: Option<Session>,
    ) -> Self {
        Self {
            reader,
            requests,
            closed,
            max_idle,
            peer: peer.to_string(),
            traffic,
            session,
            output: Output::default(),
            in_flight: VecDeque::new(),
            unanswered: VecDeque::new(),
            queued_bytes: 0,
            last_used: Instant::now(),
        }
    }

    pub async fn run(mut self, mut stream: Stream) {
        self.traffic.opened();
        self.output = Output::new(stream.buffers());
        let error = match &mut stream {
            Stream::Plain(stream) => {
                let (mut read, mut write) = stream.split();
                self.serve(&mut read, &mut write).await
            }
            Stream::Tls(stream) => {
                let (mut read, mut write) = tokio::io::split(stream);
                self.serve(&mut read, &mut write).await
            }
        };
        self.traffic.closed();
        tracing::debug!("connection to {} ended: {error}", self.peer);
        self.closed.cancel();
        let _peer_may_be_gone = stream.shutdown().await;
        self.fail_all(&error);
    }

    async fn serve<R, W>(&mut self, read_half: &mut R, write_half: &mut W) -> ClientError
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let timer = tokio::time::sleep_until(self.next_deadline());
        tokio::pin!(timer);
        let closed = self.closed.clone();
        loop {
            let renewing = self.session.as_ref().is_some_and(Session::is_over);
            if renewing && self.in_flight.is_empty() && self.output.is_sent() {
                if let Err(error) = self.renew_session(read_half, write_half).await {
                    return error;
                }
                timer.as_mut().reset(self.next_deadline());
                continue;
            }
            let limit = match self.reader.prepare() {
                Ok(limit) => limit,
                Err(error) => return ClientError::protocol(error.to_string()),
            };
            let writing = !self.output.is_sent();
            let accepting = !renewing
                && self.in_flight.len() < IN_FLIGHT_MAX
                && self.output.len() < OUTPUT_BYTES_MAX;
            let mut room = self.reader.buffer().limit(limit);
            let step = tokio::select! {
                biased;
                () = closed.cancelled() => Step::Ended(ClientError::Closed),
                written = self.output.write_to(write_half), if writing => match written {
                    Ok(()) => { self.written(); Step::Continue }
                    Err(error) => Step::Ended(broken(&error)),
                },
                read = read_half.read_buf(&mut room) => match read {
                    Ok(0) => Step::Ended(ClientError::disconnected("the broker closed the connection")),
                    Ok(_) => self.deliver(),
                    Err(error) => Step::Ended(broken(&error)),
                },
                request = self.requests.recv(), if accepting => match request {
                    Some(request) => self.take(request, timer.as_mut()),
                    None => Step::Ended(ClientError::Closed),
                },
                () = timer.as_mut() => self.tick(timer.as_mut()),
            };
            if let Step::Ended(error) = step {
                return error;
            }
        }
    }

    /// Says again who the client is; nothing else is under way meanwhile.
    async fn renew_session<R, W>(&mut self, read: &mut R, write: &mut W) -> Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let closed = self.closed.clone();
        tokio::select! {
            renewed = session.renew(read, write, &mut self.reader) => renewed,
            () = closed.cancelled() => Err(ClientError::Closed),
        }
    }

    /// Queues a request and whatever else waits already, so that one write carries them all.
    fn take(&mut self, request: Outgoing, timer: std::pin::Pin<&mut Sleep>) -> Step {
        let first_deadline = request.deadline;
        let mut next = Some(request);
        while let Some(request) = next.take() {
            if let Err(error) = self.queue(request) {
                return Step::Ended(error);
            }
            if self.in_flight.len() < IN_FLIGHT_MAX && self.output.len() < OUTPUT_BYTES_MAX {
                next = self.requests.try_recv().ok();
            }
        }
        if first_deadline < timer.deadline() {
            timer.reset(first_deadline);
        }
        Step::Continue
    }

    fn queue(&mut self, request: Outgoing) -> Result<()> {
        self.last_used = Instant::now();
        self.queued_bytes += request.frame.total_len as u64;
        self.traffic.request(request.frame.total_len);
        self.output.push(request.frame)?;
        if request.answered {
            self.in_flight.push_back(InFlight {
                key: request.key,
                version: request.version,
                correlation_id: request.correlation_id,
                queued: self.last_used,
                deadline: request.deadline,
                reply: request.reply,
            });
        } else {
            let bytes = self.queued_bytes;
            self.unanswered.push_back(Unanswered {
                bytes,
                reply: request.reply,
            });
        }
        Ok(())
    }

    fn written(&mut self) {
        let done = self.queued_bytes - self.output.len() as u64;
        while self
            .unanswered
            .front()
            .is_some_and(|request| request.bytes <= done)
        {
            if let Some(reply) = self
                .unanswered
                .pop_front()
                .and_then(|request| request.reply)
            {
                reply(Ok(ResponseFrame {
                    version: 0,
                    body: bytes::Bytes::new(),
                }));
            }
        }
    }

    /// Hands out every whole response that has arrived.
    fn deliver(&mut self) -> Step {
        loop {
            let frame = match self.reader.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Step::Continue,
                Err(error) => return Step::Ended(ClientError::protocol(error.to_string())),
            };
            self.last_used = Instant::now();
            let Some(request) = self.in_flight.pop_front() else {
                return Step::Ended(ClientError::protocol("a response came without a request"));
            };
            let latency = self.last_used.saturating_duration_since(request.queued);
            self.traffic.response(frame.len() + LENGTH_BYTES, latency);
            let mut reader = Reader::new(frame);
            let header_version = request.key.response_header_version(request.version);
            match ResponseHeader::decode(&mut reader, header_version) {
                Ok(header) if header.correlation_id == request.correlation_id => {
                    let version = request.version;
                    request.answer(Ok(ResponseFrame {
                        version,
                        body: reader.rest(),
                    }));
                }
                Ok(header) => {
                    let error = ClientError::protocol(format!(
                        "correlation id {} for a response does not match request {}",
                        header.correlation_id, request.correlation_id
                    ));
                    request.answer(Err(error.clone()));
                    return Step::Ended(error);
                }
                Err(error) => {
                    let error = ClientError::from(error);
                    request.answer(Err(error.clone()));
                    return Step::Ended(error);
                }
            }
        }
    }

    /// Looks at the deadlines; they are checked only when the timer fires, since most requests
    /// are answered long before.
    fn tick(&mut self, timer: std::pin::Pin<&mut Sleep>) -> Step {
        let now = Instant::now();
        if let Some(late) = self
            .in_flight
            .iter()
            .find(|request| request.deadline <= now)
        {
            return Step::Ended(ClientError::timeout(format!(
                "{} did not answer a {} request in time",
                self.peer,
                late.key.name()
            )));
        }
        if let Some(max_idle) = self.max_idle
            && self.in_flight.is_empty()
            && self.output.is_empty()
            && now >= self.last_used + max_idle
        {
            return Step::Ended(ClientError::disconnected("the connection was idle"));
        }
        timer.reset(self.next_deadline());
        Step::Continue
    }

    fn next_deadline(&self) -> Instant {
        let requests = self.in_flight.iter().map(|request| request.deadline);
        let idle = self.max_idle.map(|max_idle| self.last_used + max_idle);
        let renewal = self.session.as_ref().and_then(|session| session.renew_at);
        let requests = requests.chain(renewal);
        let earliest = requests.chain(idle.filter(|at| *at > Instant::now())).min();
        earliest.unwrap_or_else(|| Instant::now() + FAR_AWAY)
    }

    fn fail_all(&mut self, error: &ClientError) {
        self.requests.close();
        for request in self.in_flight.drain(..) {
            request.answer(Err(error.clone()));
        }
        for reply in self
            .unanswered
            .drain(..)
            .filter_map(|request| request.reply)
        {
            reply(Err(error.clone()));
        }
        while let Ok(request) = self.requests.try_recv() {
            if let Some(reply) = request.reply {
                reply(Err(error.clone()));
            }
        }
    }
}
