//! What a handler knows of the request that it answers, beside its body.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::node::Broker;
use super::share::sessions::MemberKey;
use crate::controller::Door;
use crate::coordinator;
use crate::net::Peer;

/// What is remembered of a connection.
#[derive(Debug, Default)]
pub struct ConnectionState {
    /// The member of a share group that opened its session last through it.
    pub share_member: Mutex<Option<MemberKey>>,
}

/// Everything about a request but its body. Authorisation will ask this type.
#[derive(Debug)]
pub struct RequestContext<'a> {
    pub broker: &'a Arc<Broker>,
    pub peer: &'a Peer,
    pub connection: &'a ConnectionState,
    pub client_id: Option<&'a str>,
    pub api_version: i16,
    pub now_ms: i64,
}

impl RequestContext<'_> {
    /// The client id, "" where the client gives none.
    pub fn client_id(&self) -> &str {
        self.client_id.unwrap_or_default()
    }

    /// The client's address as group descriptions show it: Java's `InetAddress.toString` without a host name.
    pub fn client_host(&self) -> String {
        let ip = match self.peer.address.ip() {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
            v4 => v4,
        };
        format!("/{ip}")
    }

    /// What the group coordinator wants to know.
    pub fn group(&self) -> coordinator::RequestContext {
        coordinator::RequestContext {
            api_version: self.api_version,
            client_id: self.client_id().to_owned(),
            client_host: self.client_host(),
        }
    }

    /// By whose listener the request has come.
    pub fn door(&self) -> Door {
        match self.on_controller_listener() {
            true => Door::Controller,
            false => Door::Broker,
        }
    }

    pub fn on_controller_listener(&self) -> bool {
        self.broker.is_controller_listener(&self.peer.listener)
    }
}
