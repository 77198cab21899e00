//! What a connection runs over: TCP alone, or TLS over it.
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{ConnectionConfig, Endpoint};
use crate::client::errors::{ClientError, Result};

pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Makes a connection as safe as the settings ask for, within the time for setting it up.
    pub async fn open(
        stream: TcpStream,
        endpoint: &Endpoint,
        config: &ConnectionConfig,
    ) -> Result<Self> {
        let Some(tls) = &config.security.tls else {
            return Ok(Stream::Plain(stream));
        };
        let name = server_name(&endpoint.host)?;
        let connecting = TlsConnector::from(tls.clone()).connect(name, stream);
        match tokio::time::timeout(config.setup_timeout, connecting).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(ClientError::disconnected("the TLS handshake timed out")),
        }
    }

    /// Whether what was written may still wait to be sent.
    pub fn buffers(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }
}

/// The name that a certificate is checked against; addresses are names too.
pub fn server_name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| ClientError::config(format!("{host} is no name of a host")))
}

/// A failure of the stream; those of TLS itself are not mended by trying again.
pub fn broken(error: &io::Error) -> ClientError {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(error) => ClientError::Tls(format!("SSL handshake failed: {error}").into()),
        None => ClientError::disconnected(error.to_string()),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses_are_names() {
        for host in ["localhost", "127.0.0.1", "::1", "broker-1.example.com"] {
            assert!(server_name(host).is_ok(), "{host}");
        }
        assert!(server_name("not a host").is_err());
    }
}
