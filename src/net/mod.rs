//! Listeners, connections and framing; sending file ranges without copying them.
//!
//! This room moves length-prefixed frames between sockets and a [`Service`]; it does not know what is in them. One
//! request per connection is in progress at a time, as Kafka promises, so responses leave in the order of the requests.
//!
//! What may enter: `security` and the rooms at the bottom. It must not know the log: the broker maps the log's location
//! of bytes to a [`FileRange`].

mod connection;
mod frame;
mod listener;
mod send;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use frame::{FrameError, FrameReader};
pub use listener::{Listener, ListenerOptions};
pub use send::{Chunk, FileRange, ReadFault, send_all};

/// Who is at the other end of a connection, fixed when it is accepted.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The name of the listener that accepted it, such as `PLAINTEXT` or `CONTROLLER`.
    pub listener: Arc<str>,
    pub address: SocketAddr,
    /// Unique among the connections of this process.
    pub connection: u64,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Reply {
    /// One buffer, length prefix included: the usual case.
    One(Bytes),
    /// Buffers and file ranges, sent in order, length prefix included.
    Many(Vec<Chunk>),
    /// Nothing is sent (a produce request with acks=0).
    Nothing,
    /// The connection is closed: the peer sent what cannot be answered.
    Close(String),
}

/// Answers the frames of a listener's connections.
pub trait Service: Send + Sync + 'static {
    /// What is remembered between the requests of one connection.
    type Session: Send + Default;

    /// `frame` is the request without its length prefix.
    fn call(
        &self,
        peer: &Peer,
        session: &mut Self::Session,
        frame: Bytes,
    ) -> impl Future<Output = Reply> + Send;

    /// For how long the connection is not to be read from, once what has been answered is sent.
    fn pause(&self, _session: &mut Self::Session) -> Option<Duration> {
        None
    }

    /// A connection has been accepted; if it is not to be served, how long it is kept before it is
    /// closed.
    fn refuse(&self, _peer: &Peer) -> Option<Duration> {
        None
    }

    /// The connection has ended.
    fn closed(&self, _peer: &Peer, _session: Self::Session) {}
}
