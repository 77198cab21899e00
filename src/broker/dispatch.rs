//! From a frame to its handler: header, version, body.
//!
//! What cannot be answered closes the connection, as in Kafka: an API that the listener does not offer, a version
//! outside its range, a body that does not decode. Only ApiVersions answers a version that it does not know.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::context::{ConnectionState, RequestContext, Usage};
use super::node::Broker;
use super::quotas::Kind;
use super::share::ShareGroups;
use super::{api, reply};
use crate::net::{Peer, Reply, Service};
use crate::protocol::header::RequestHeader;
use crate::protocol::wire::{DecodeError, Reader};
use crate::protocol::{ApiKey, frame};

/// What is remembered of a connection.
#[derive(Debug, Default)]
pub struct Session {
    /// How long it is to be left alone once it is answered.
    throttle_ms: u64,
    connection: ConnectionState,
}

/// The network's door to a broker.
#[derive(Debug)]
pub struct Door(pub Arc<Broker>);

impl Service for Door {
    type Session = Session;

    async fn call(&self, peer: &Peer, session: &mut Session, frame: Bytes) -> Reply {
        let request_bytes = frame.len();
        let mut body = Reader::new(frame);
        let answered = match frame::decode_request_header(&mut body) {
            Ok(header) => {
                self.answer(peer, session, header, body, request_bytes)
                    .await
            }
            Err(e) => Err(e),
        };
        answered.unwrap_or_else(|e| Reply::Close(e.to_string()))
    }

    fn closed(&self, peer: &Peer, session: Session) {
        if let Some(member) = session.connection.share_member.into_inner() {
            let gone = ShareGroups::disconnected(self.0.clone(), member, peer.connection);
            self.0.runtime.spawn(gone);
        }
    }

    fn pause(&self, session: &mut Session) -> Option<Duration> {
        let ms = std::mem::take(&mut session.throttle_ms);
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    fn refuse(&self, peer: &Peer) -> Option<Duration> {
        let quotas = &self.0.quotas;
        if quotas.kinds() & Kind::Connection.bit() == 0 {
            return None;
        }
        let kept = quotas.connection(peer.address.ip(), now_ms())?;
        u64::try_from(kept).ok().map(Duration::from_millis)
    }
}

impl Door {
    async fn answer(
        &self,
        peer: &Peer,
        session: &mut Session,
        header: RequestHeader,
        body: Reader,
        request_bytes: usize,
    ) -> Result<Reply, DecodeError> {
        let (code, version) = (header.request_api_key, header.request_api_version);
        let key = ApiKey::from_i16(code).ok_or(DecodeError::UnknownApiKey(code))?;
        let offered = api::offered(key, self.0.is_controller_listener(&peer.listener));
        if !offered.is_some_and(|versions| versions.contains(&version)) {
            return Ok(match key {
                ApiKey::ApiVersions => {
                    let response = api::api_versions::unsupported();
                    reply::encoded(frame::encode_response(header.correlation_id, &response, 0))
                }
                _ => Reply::Close(format!(
                    "{} version {version} is not offered here",
                    key.name()
                )),
            });
        }
        let quotas = self.0.quotas.kinds();
        let cx = RequestContext {
            broker: &self.0,
            peer,
            connection: &session.connection,
            client_id: header.client_id.as_deref(),
            api_version: version,
            now_ms: now_ms(),
            request_bytes,
            quotas,
            usage: Usage::new(quotas != 0),
        };
        let answer = api::answer(&cx, key, header.correlation_id, body);
        let Some(meter) = &cx.usage.meter else {
            return answer.await;
        };
        let reply = Box::pin(meter.run(answer)).await;
        let throttle_ms = cx.usage.throttle_ms();
        session.throttle_ms = throttle_ms;
        reply
    }
}

/// Milliseconds since 1970 by the system's clock.
pub fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
