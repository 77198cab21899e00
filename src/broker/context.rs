//! What a handler knows of the request that it answers, beside its body.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::dispatch::now_ms;
use super::node::Broker;
use super::quotas::{Kind, Meter};
use super::share::sessions::MemberKey;
use crate::controller::{ApiError, Door};
use crate::coordinator;
use crate::net::Peer;

/// What handlers remember of a connection.
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
    /// The size of the request.
    pub request_bytes: usize,
    /// Bits of the kinds of quotas that somebody has; 0 most of the time.
    pub quotas: u8,
    pub usage: Usage,
}

/// What a request comes to for its client's quotas.
#[derive(Debug, Default)]
pub struct Usage {
    throttle_ms: AtomicU64,
    /// There is one while somebody has a quota.
    pub meter: Option<Meter>,
}

impl Usage {
    pub fn new(is_metered: bool) -> Usage {
        Usage {
            throttle_ms: AtomicU64::new(0),
            meter: is_metered.then(Meter::default),
        }
    }

    /// For how long the client has to wait.
    pub fn throttle_ms(&self) -> u64 {
        self.throttle_ms.load(Ordering::Relaxed)
    }

    /// The longest wait counts.
    pub fn note(&self, ms: i64) {
        let ms = u64::try_from(ms).unwrap_or(0);
        self.throttle_ms.fetch_max(ms, Ordering::Relaxed);
    }
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

    /// Whether somebody has a quota of this kind.
    pub fn has_quota(&self, kind: Kind) -> bool {
        self.quotas & kind.bit() != 0
    }

    /// Counts what the client has used; for how many milliseconds it has to wait.
    pub fn record(&self, kind: Kind, amount: f64) -> i64 {
        if !self.has_quota(kind) {
            return 0;
        }
        let quotas = &self.broker.quotas;
        let wait = quotas.record(kind, self.client_id(), amount, now_ms());
        self.usage.note(wait);
        wait
    }

    /// Takes back what was counted and then not used.
    pub fn unrecord(&self, kind: Kind, amount: f64) {
        let quotas = &self.broker.quotas;
        quotas.unrecord(kind, self.client_id(), amount, now_ms());
    }

    /// As many bytes as the client may have at once.
    pub fn allowance(&self, kind: Kind) -> usize {
        let limited = self.has_quota(kind);
        let allowed = limited.then(|| self.broker.quotas.allowance(kind, self.client_id()));
        allowed.flatten().map_or(usize::MAX, |bytes| bytes as usize)
    }

    /// Counts the time that the request has taken so far.
    pub fn record_time(&self) {
        if let Some(meter) = &self.usage.meter {
            self.record(Kind::Request, meter.percent());
        }
    }

    /// Counts partitions that are created or deleted, as the controller comes to them.
    pub fn permits(
        &self,
        strict: bool,
    ) -> impl FnMut(usize) -> Result<(), ApiError> + Send + 'static {
        let limited = self.has_quota(Kind::Mutation);
        let broker = limited.then(|| self.broker.clone());
        let client_id = if limited {
            self.client_id().to_owned()
        } else {
            String::new()
        };
        move |partitions| match &broker {
            None => Ok(()),
            Some(broker) => broker
                .quotas
                .permit(&client_id, partitions, strict, now_ms()),
        }
    }

    /// After [`RequestContext::permits`]: what is owed for partitions is waited for.
    pub fn note_mutations(&self) {
        if self.has_quota(Kind::Mutation) {
            let quotas = &self.broker.quotas;
            self.usage
                .note(quotas.mutation_throttle_ms(self.client_id(), now_ms()));
        }
    }

    pub fn on_controller_listener(&self) -> bool {
        self.broker.is_controller_listener(&self.peer.listener)
    }
}
