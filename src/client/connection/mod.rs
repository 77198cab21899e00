//! One connection to one broker: a task that owns the socket, writes requests as they come and
//! hands out responses in order. Requests are pipelined; nothing waits for a response to leave.
mod api_versions;
mod authentication;
mod frame_reader;
mod output;
mod task;
mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use api_versions::ApiVersions;
use authentication::{Authenticator, Session};
use frame_reader::FrameReader;
use transport::Stream;
pub(crate) use transport::server_name;

use crate::client::config::Security;
use crate::client::errors::{ClientError, Result};
use crate::client::traffic::NodeTraffic;
use crate::protocol::header::RequestHeader;
use crate::protocol::messages::SaslAuthenticateRequest;
use crate::protocol::wire::Reader;
use crate::protocol::{Message, Request, frame};

/// Requests that may wait for the task to take them: beyond it, senders wait.
const QUEUE_MAX: usize = 64;

/// Where a broker listens. `id` is negative for a bootstrap address, as in Kafka's own client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    pub id: i32,
    pub host: Arc<str>,
    pub port: u16,
    pub rack: Option<Arc<str>>,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Settings of every connection of a client.
#[derive(Debug, Clone)]
pub struct ConnectionConfig {
    /// `client.id`, sent with every request.
    pub client_id: Arc<str>,
    /// `socket.connection.setup.timeout.ms`: for each address that a host name resolves to.
    pub setup_timeout: Duration,
    /// `send.buffer.bytes`; `None` leaves the size to the operating system.
    pub send_buffer_bytes: Option<usize>,
    /// `receive.buffer.bytes`; `None` leaves the size to the operating system.
    pub receive_buffer_bytes: Option<usize>,
    /// `connections.max.idle.ms`; `None` never closes an idle connection.
    pub max_idle: Option<Duration>,
    /// The largest response taken; a longer one closes the connection.
    pub response_bytes_max: usize,
    /// `security.protocol`, and the settings of TLS and SASL.
    pub security: Security,
}

/// A response's bytes after its header.
#[derive(Debug, Clone)]
pub struct ResponseFrame {
    pub version: i16,
    pub body: Bytes,
}

impl ResponseFrame {
    /// Decodes the body of `R`'s response; records stay slices of the frame.
    pub fn decode<R: Request>(self) -> Result<R::Response> {
        Ok(R::Response::decode(
            &mut Reader::new(self.body),
            self.version,
        )?)
    }
}

/// Runs in the connection's task when the response is there: it must be short.
pub(crate) type Reply = Box<dyn FnOnce(Result<ResponseFrame>) + Send>;

/// A handle to a live connection; clones share it.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: Endpoint,
    client_id: Arc<str>,
    versions: ApiVersions,
    correlation: AtomicI32,
    queue: mpsc::Sender<task::Outgoing>,
    closed: CancellationToken,
}

impl Connection {
    /// Connects to the first address of `endpoint` that answers and agrees on API versions. The
    /// connection's task is tracked by `tasks` and ends with `cancel`.
    pub(crate) async fn open(
        endpoint: Endpoint,
        config: &ConnectionConfig,
        traffic: Arc<NodeTraffic>,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let stream = connect(&endpoint, config).await?;
        let stream = Stream::open(stream, &endpoint, config).await;
        let mut stream = stream.map_err(|error| at(&endpoint, error))?;
        let mut reader = FrameReader::new(config.response_bytes_max);
        let handshake = api_versions::negotiate(&mut stream, &mut reader, &config.client_id);
        let versions = match tokio::time::timeout(config.setup_timeout, handshake).await {
            Ok(versions) => versions.map_err(|error| at(&endpoint, error))?,
            Err(_) => {
                return Err(ClientError::disconnected(format!(
                    "{endpoint} did not answer ApiVersions in {} ms",
                    config.setup_timeout.as_millis()
                )));
            }
        };
        let session = authenticate(&mut stream, &mut reader, &versions, config).await;
        let session = session.map_err(|error| at(&endpoint, error))?;
        let (queue, requests) = mpsc::channel(QUEUE_MAX);
        let closed = cancel.child_token();
        let task = task::Task::new(
            reader,
            requests,
            closed.clone(),
            config.max_idle,
            &endpoint,
            traffic,
            session,
        );
        tasks.spawn(task.run(stream));
        Ok(Self {
            shared: Arc::new(Shared {
                endpoint,
                client_id: config.client_id.clone(),
                versions,
                correlation: AtomicI32::new(1),
                queue,
                closed,
            }),
        })
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// The versions and features that the broker announced.
    pub fn versions(&self) -> &ApiVersions {
        &self.shared.versions
    }

    /// Whether requests can still be sent.
    pub fn is_open(&self) -> bool {
        !self.shared.closed.is_cancelled() && !self.shared.queue.is_closed()
    }

    /// Ends the connection; requests in flight fail.
    pub fn close(&self) {
        self.shared.closed.cancel();
    }

    /// Completes when the connection has ended, for whatever reason.
    pub async fn closed(&self) {
        tokio::select! {
            () = self.shared.closed.cancelled() => {}
            () = self.shared.queue.closed() => {}
        }
    }

    /// The highest version of `R` that both sides know, at most `max`.
    pub fn version_up_to<R: Request>(&self, max: i16) -> Result<i16> {
        self.shared
            .versions
            .choose(R::KEY, R::MIN_VERSION, R::MAX_VERSION.min(max))
            .ok_or_else(|| {
                ClientError::UnsupportedVersion(
                    format!(
                        "The node at {} does not support {} in a version that this client knows",
                        self.shared.endpoint,
                        R::KEY.name()
                    )
                    .into(),
                )
            })
    }

    /// The highest version of `R` that both sides know.
    pub fn version<R: Request>(&self) -> Result<i16> {
        self.version_up_to::<R>(i16::MAX)
    }

    /// Sends a request and waits for its response, at most `timeout`. When time runs out the
    /// connection is closed, since responses come in order and this one blocks the others.
    pub async fn send<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response> {
        let (tx, rx) = oneshot::channel();
        let reply: Reply = Box::new(move |frame| {
            let _receiver_gone = tx.send(frame);
        });
        let outgoing = self.encode(request, version, timeout, Some(reply))?;
        self.shared
            .queue
            .send(outgoing)
            .await
            .map_err(|_| self.ended())?;
        rx.await
            .unwrap_or_else(|_| Err(self.ended()))?
            .decode::<R>()
    }

    /// Queues a request without waiting; `reply` is called with the response, or with the error
    /// that ended the connection. Fails without calling it when the queue is full.
    pub(crate) fn submit<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
        reply: Reply,
    ) -> Result<()> {
        let outgoing = self.encode(request, version, timeout, Some(reply))?;
        self.shared
            .queue
            .try_send(outgoing)
            .map_err(|_| self.ended())
    }

    /// Queues a request that has no response (Produce with acks=0); `written` is called once the
    /// socket has it.
    pub(crate) fn submit_unanswered<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
        written: Reply,
    ) -> Result<()> {
        let mut outgoing = self.encode(request, version, timeout, Some(written))?;
        outgoing.answered = false;
        self.shared
            .queue
            .try_send(outgoing)
            .map_err(|_| self.ended())
    }

    fn encode<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
        reply: Option<Reply>,
    ) -> Result<task::Outgoing> {
        let correlation_id = self.shared.correlation.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let header = RequestHeader {
            request_api_key: R::KEY.code(),
            request_api_version: version,
            correlation_id,
            client_id: Some(self.shared.client_id.to_string()),
        };
        Ok(task::Outgoing {
            frame: frame::encode_request(&header, request, version)?,
            key: R::KEY,
            version,
            correlation_id,
            deadline: Instant::now() + timeout,
            answered: true,
            reply,
        })
    }

    fn ended(&self) -> ClientError {
        ClientError::disconnected(format!(
            "the connection to {} has ended",
            self.shared.endpoint
        ))
    }
}

/// Proves who the client is, where that is asked for.
async fn authenticate(
    stream: &mut Stream,
    reader: &mut FrameReader,
    versions: &ApiVersions,
    config: &ConnectionConfig,
) -> Result<Option<Session>> {
    let Some(sasl) = &config.security.sasl else {
        return Ok(None);
    };
    let (least, most) = (
        SaslAuthenticateRequest::MIN_VERSION,
        SaslAuthenticateRequest::MAX_VERSION,
    );
    let version = versions.choose(SaslAuthenticateRequest::KEY, least, most);
    let version = version.ok_or_else(|| {
        ClientError::UnsupportedVersion("The broker is too old for SaslAuthenticate".into())
    })?;
    let authenticator = Authenticator {
        sasl: sasl.clone(),
        client_id: config.client_id.to_string(),
        version,
        timeout: config.setup_timeout,
    };
    let (mut read, mut write) = tokio::io::split(stream);
    let renew_at = authenticator.run(&mut read, &mut write, reader).await?;
    Ok(Some(Session {
        authenticator,
        renew_at,
    }))
}

/// Puts the peer's address before the text of a connection error.
fn at(endpoint: &Endpoint, error: ClientError) -> ClientError {
    match error {
        ClientError::Disconnected(text) => ClientError::disconnected(format!("{endpoint}: {text}")),
        ClientError::Protocol(text) => ClientError::protocol(format!("{endpoint}: {text}")),
        other => other,
    }
}

async fn connect(endpoint: &Endpoint, config: &ConnectionConfig) -> Result<TcpStream> {
    let resolved = tokio::net::lookup_host((&*endpoint.host, endpoint.port)).await;
    let addresses = resolved.map_err(|error| {
        ClientError::disconnected(format!("cannot resolve {endpoint}: {error}"))
    })?;
    let mut reason = format!("{endpoint} resolves to no address");
    for address in addresses {
        match tokio::time::timeout(config.setup_timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                tune(&stream, config);
                return Ok(stream);
            }
            Ok(Err(error)) => reason = format!("{endpoint} ({address}): {error}"),
            Err(_) => reason = format!("{endpoint} ({address}): connection timed out"),
        }
    }
    Err(ClientError::disconnected(reason))
}

/// Socket options are wishes: a system that refuses one still carries the connection.
fn tune(stream: &TcpStream, config: &ConnectionConfig) {
    let socket = socket2::SockRef::from(stream);
    let mut wishes = vec![socket.set_tcp_nodelay(true), socket.set_keepalive(true)];
    wishes.extend(
        config
            .send_buffer_bytes
            .map(|bytes| socket.set_send_buffer_size(bytes)),
    );
    wishes.extend(
        config
            .receive_buffer_bytes
            .map(|bytes| socket.set_recv_buffer_size(bytes)),
    );
    for refused in wishes.into_iter().filter_map(std::result::Result::err) {
        tracing::debug!("socket option refused: {refused}");
    }
}

#[cfg(test)]
mod tests;
