//! A listening socket and the connections it has accepted.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::connection::{self, Limits};
use super::{Peer, Service};

/// What may be on its way to a peer on this machine, where nothing is set: there is no distance to fill, and what the
/// peer reads soon is still in the cache. The kernel alone goes up to megabytes, at a third more CPU for both sides.
const LOOPBACK_SEND_BUFFER: usize = 208 * 1024;

static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// Kafka's settings of a listener's sockets.
#[derive(Debug, Clone)]
pub struct ListenerOptions {
    /// `socket.request.max.bytes`
    pub request_max_bytes: usize,
    /// `connections.max.idle.ms`
    pub idle_max: Duration,
    /// `socket.listen.backlog.size`
    pub backlog: i32,
    /// `socket.send.buffer.bytes`; none leaves it to the system, unless the peer is on this machine.
    pub send_buffer: Option<usize>,
    /// `socket.receive.buffer.bytes`; none leaves it to the system.
    pub receive_buffer: Option<usize>,
}

impl Default for ListenerOptions {
    fn default() -> ListenerOptions {
        ListenerOptions {
            request_max_bytes: 100 * 1024 * 1024,
            idle_max: Duration::from_secs(600),
            backlog: 50,
            send_buffer: None,
            receive_buffer: None,
        }
    }
}

/// A bound socket that does not accept yet, so that a node can claim its ports before it opens its logs.
#[derive(Debug)]
pub struct Listener {
    name: Arc<str>,
    socket: StdListener,
    options: ListenerOptions,
}

impl Listener {
    pub fn bind(name: &str, address: SocketAddr, options: ListenerOptions) -> io::Result<Listener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // `[::]` takes IPv4 connections too, as Java's wildcard address does.
            socket.set_only_v6(false)?;
        }
        if let Some(bytes) = options.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(&address.into())?;
        socket.listen(options.backlog.max(1))?;
        socket.set_nonblocking(true)?;
        Ok(Listener {
            name: name.into(),
            socket: socket.into(),
            options,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bound address, with the port that the system chose if 0 was asked for.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop` is cancelled. Connections are tracked by `tasks`, so that a shutdown can await them.
    pub async fn run<S: Service>(
        self,
        service: Arc<S>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let socket = TcpListener::from_std(self.socket)?;
        let limits = Limits {
            request_max_bytes: self.options.request_max_bytes,
            idle_max: self.options.idle_max,
        };
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = stop.cancelled() => return Ok(()),
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Out of file descriptors, most likely: the pending connection stays in the backlog meanwhile.
                    warn!("cannot accept a connection on listener {}: {e}", self.name);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if let Err(e) = set_options(&stream, address, &self.options) {
                warn!("cannot set socket options for {address}: {e}");
            }
            let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
            let peer = Peer {
                listener: self.name.clone(),
                address,
                connection,
            };
            if let Some(kept) = service.refuse(&peer) {
                let stop = stop.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        () = tokio::time::sleep(kept) => {}
                        () = stop.cancelled() => {}
                    }
                    drop(stream);
                });
                continue;
            }
            tasks.spawn(connection::serve(
                stream,
                peer,
                service.clone(),
                limits,
                stop.clone(),
            ));
        }
    }
}

fn set_options(stream: &TcpStream, peer: SocketAddr, options: &ListenerOptions) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_keepalive(true)?;
    let on_this_machine = peer.ip().to_canonical().is_loopback();
    let send_buffer = on_this_machine.then_some(LOOPBACK_SEND_BUFFER);
    if let Some(bytes) = options.send_buffer.or(send_buffer) {
        socket.set_send_buffer_size(bytes)?;
    }
    Ok(())
}
