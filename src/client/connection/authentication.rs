//! SASL on a connection: which mechanism, then its messages, before anything else and again when
//! the session that the broker granted comes to its end (KIP-368).
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::api_versions::read_frame;
use super::frame_reader::FrameReader;
use super::transport::broken;
use crate::client::config::Sasl;
use crate::client::errors::{ClientError, Result};
use crate::protocol::header::{RequestHeader, ResponseHeader};
use crate::protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
};
use crate::protocol::wire::Reader;
use crate::protocol::{ErrorCode, Message, Request, frame};
use crate::security::sasl::SaslClient;

/// More messages than this no mechanism has: a broker that goes on is up to something.
const EXCHANGES_MAX: usize = 8;
/// A session is renewed after so much of it, at random between the two, as Kafka's clients do.
const RENEW_FROM: f64 = 0.85;
const RENEW_TO: f64 = 0.95;

/// What it takes to authenticate.
#[derive(Clone)]
pub struct Authenticator {
    pub sasl: Sasl,
    pub client_id: String,
    /// The version of SaslAuthenticate that both sides know.
    pub version: i16,
    /// How long the exchange may take.
    pub timeout: Duration,
}

impl Authenticator {
    /// Runs the exchange on a connection on which nothing else is under way; returns when to do it
    /// again, if the session has an end.
    pub async fn run<R, W>(
        &self,
        read: &mut R,
        write: &mut W,
        reader: &mut FrameReader,
    ) -> Result<Option<Instant>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let running = self.exchange_all(read, write, reader);
        let late = |_| ClientError::disconnected("the SASL exchange took too long");
        tokio::time::timeout(self.timeout, running)
            .await
            .map_err(late)?
    }

    async fn exchange_all<R, W>(
        &self,
        read: &mut R,
        write: &mut W,
        reader: &mut FrameReader,
    ) -> Result<Option<Instant>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let began = Instant::now();
        let credentials = self.sasl.login.credentials(now_ms()).await?;
        let handshake = SaslHandshakeRequest {
            mechanism: self.sasl.mechanism.to_owned(),
        };
        let answer = self.exchange(read, write, reader, &handshake, 1, 0).await?;
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {}
            ErrorCode::UnsupportedSaslMechanism => {
                return Err(ClientError::broker(
                    ErrorCode::UnsupportedSaslMechanism,
                    Some(&format!(
                        "Client SASL mechanism '{}' not enabled in the server, enabled mechanisms \
                         are [{}]",
                        self.sasl.mechanism,
                        answer.mechanisms.join(", ")
                    )),
                ));
            }
            code => return Err(ClientError::broker(code, None)),
        }
        let mut client = SaslClient::start(&credentials);
        let mut message = client.first();
        for correlation_id in 1..=EXCHANGES_MAX {
            let request = SaslAuthenticateRequest {
                auth_bytes: message.into(),
            };
            let id = i32::try_from(correlation_id).unwrap_or(i32::MAX);
            let answer = self
                .exchange(read, write, reader, &request, self.version, id)
                .await?;
            ClientError::check(answer.error_code, answer.error_message.as_deref())?;
            let next = client.next(&answer.auth_bytes);
            match next.map_err(|error| ClientError::authentication(error.to_string()))? {
                Some(next) => message = next,
                None => return Ok(renewal(began, &answer)),
            }
        }
        Err(ClientError::authentication(
            "the SASL exchange does not end",
        ))
    }

    async fn exchange<R, W, Q: Request>(
        &self,
        read: &mut R,
        write: &mut W,
        reader: &mut FrameReader,
        request: &Q,
        version: i16,
        correlation_id: i32,
    ) -> Result<Q::Response>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let header = RequestHeader {
            request_api_key: Q::KEY.code(),
            request_api_version: version,
            correlation_id,
            client_id: Some(self.client_id.clone()),
        };
        let encoded = frame::encode_request(&header, request, version)?.to_bytes();
        let encoded =
            encoded.ok_or_else(|| ClientError::protocol("SASL requests hold no file ranges"))?;
        write
            .write_all(&encoded)
            .await
            .map_err(|error| broken(&error))?;
        write.flush().await.map_err(|error| broken(&error))?;
        let mut body = Reader::new(read_frame(read, reader).await?);
        let header = ResponseHeader::decode(&mut body, Q::KEY.response_header_version(version))?;
        if header.correlation_id != correlation_id {
            return Err(ClientError::protocol(
                "a SASL response has a foreign correlation id",
            ));
        }
        Ok(Q::Response::decode(&mut body, version)?)
    }
}

fn renewal(began: Instant, answer: &SaslAuthenticateResponse) -> Option<Instant> {
    let life = u64::try_from(answer.session_lifetime_ms)
        .ok()
        .filter(|ms| *ms > 0)?;
    let share = RENEW_FROM + (RENEW_TO - RENEW_FROM) * fastrand::f64();
    began.checked_add(Duration::from_millis(life).mul_f64(share))
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// A session that the broker granted.
pub struct Session {
    pub authenticator: Authenticator,
    /// When to authenticate again; `None` for a session without end.
    pub renew_at: Option<Instant>,
}

impl Session {
    /// Whether it is time to authenticate again.
    pub fn is_over(&self) -> bool {
        self.renew_at.is_some_and(|at| at <= Instant::now())
    }

    pub async fn renew<R, W>(
        &mut self,
        read: &mut R,
        write: &mut W,
        reader: &mut FrameReader,
    ) -> Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        self.renew_at = self.authenticator.run(read, write, reader).await?;
        Ok(())
    }
}
