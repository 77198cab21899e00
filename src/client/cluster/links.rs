//! Connections by address: made when needed, made again after a pause when they fail.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::config::{Backoff, ClientConfig};
use crate::client::connection::{Connection, ConnectionConfig, Endpoint};
use crate::client::errors::{ClientError, Result};
use crate::client::outage::Outages;
use crate::client::traffic::Traffic;

/// What a connection is for. A broker answers one connection's requests one after another, so a
/// fetch that waits for records, or a join that waits for members, has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    General,
    Fetch,
    Coordinator,
}

type Address = (Arc<str>, u16, Role);

pub struct Links {
    bootstrap: Vec<Endpoint>,
    rebootstrap_after: Option<Duration>,
    connection: ConnectionConfig,
    backoff: Backoff,
    outages: Outages,
    pub traffic: Traffic,
    tasks: TaskTracker,
    cancel: CancellationToken,
    links: Mutex<HashMap<Address, Arc<Link>>>,
    /// Since when no known broker could be reached.
    unreachable_since: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Link {
    live: Mutex<Option<Connection>>,
    /// Held while a connection is being made, so that only one is.
    attempts: tokio::sync::Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    failures: u32,
    retry_at: Option<Instant>,
}

impl Link {
    fn live(&self) -> Option<Connection> {
        let mut live = self.live.lock();
        if live
            .as_ref()
            .is_some_and(|connection| !connection.is_open())
        {
            *live = None;
        }
        live.clone()
    }
}

impl Links {
    pub fn new(
        config: &ClientConfig,
        outages: Outages,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            bootstrap: config.bootstrap.clone(),
            rebootstrap_after: config.rebootstrap_after,
            connection: config.connection.clone(),
            backoff: config.reconnect_backoff,
            outages,
            traffic: Traffic::default(),
            tasks,
            cancel,
            links: Mutex::default(),
            unreachable_since: Mutex::default(),
        }
    }

    fn link(&self, endpoint: &Endpoint, role: Role) -> Arc<Link> {
        let key = (endpoint.host.clone(), endpoint.port, role);
        self.links.lock().entry(key).or_default().clone()
    }

    pub fn live(&self, endpoint: &Endpoint, role: Role) -> Option<Connection> {
        self.link(endpoint, role).live()
    }

    /// The connection to `endpoint`; after failures the attempt waits for its turn first.
    pub async fn connection(&self, endpoint: &Endpoint, role: Role) -> Result<Connection> {
        let link = self.link(endpoint, role);
        let opened = self.open(&link, endpoint, true).await;
        if let Err(error) = &opened
            && !matches!(error, ClientError::Closed)
        {
            self.outages.lost(endpoint, error);
        }
        opened
    }

    /// A connection to any broker: one that stands, else the first that can be made. Bootstrap
    /// addresses serve until brokers are known, and again when those were unreachable for
    /// `metadata.recovery.rebootstrap.trigger.ms`.
    pub async fn any(&self, brokers: &BTreeMap<i32, Endpoint>) -> Result<Connection> {
        let mut candidates: Vec<&Endpoint> = brokers.values().collect();
        fastrand::shuffle(&mut candidates);
        if candidates.is_empty() || self.rebootstraps() {
            candidates.extend(&self.bootstrap);
        }
        for endpoint in &candidates {
            if let Some(connection) = self.live(endpoint, Role::General) {
                return Ok(connection);
            }
        }
        let mut failure = ClientError::disconnected("no broker is known");
        for endpoint in &candidates {
            let link = self.link(endpoint, Role::General);
            match self.open(&link, endpoint, candidates.len() == 1).await {
                Ok(connection) => {
                    *self.unreachable_since.lock() = None;
                    return Ok(connection);
                }
                Err(ClientError::Closed) => return Err(ClientError::Closed),
                Err(error) => failure = error,
            }
        }
        self.unreachable_since
            .lock()
            .get_or_insert_with(Instant::now);
        if let Some(endpoint) = candidates.last() {
            self.outages.lost_all(endpoint, &failure);
        }
        Err(failure)
    }

    fn rebootstraps(&self) -> bool {
        match (self.rebootstrap_after, *self.unreachable_since.lock()) {
            (Some(after), Some(since)) => since.elapsed() >= after,
            _ => false,
        }
    }

    async fn open(&self, link: &Link, endpoint: &Endpoint, patient: bool) -> Result<Connection> {
        if let Some(connection) = link.live() {
            return Ok(connection);
        }
        let mut attempts = link.attempts.lock().await;
        if let Some(connection) = link.live() {
            return Ok(connection);
        }
        match attempts.retry_at {
            Some(at) if patient => tokio::select! {
                () = self.cancel.cancelled() => return Err(ClientError::Closed),
                () = tokio::time::sleep_until(at) => {}
            },
            Some(at) if at > Instant::now() => {
                return Err(ClientError::disconnected(format!(
                    "{endpoint} was not reachable"
                )));
            }
            _ => {}
        }
        if self.cancel.is_cancelled() {
            return Err(ClientError::Closed);
        }
        let opening = Connection::open(
            endpoint.clone(),
            &self.connection,
            self.traffic.node(endpoint.id),
            &self.tasks,
            &self.cancel,
        );
        match opening.await {
            Ok(connection) => {
                *attempts = Attempts::default();
                *link.live.lock() = Some(connection.clone());
                self.outages.connected(endpoint);
                Ok(connection)
            }
            Err(error) => {
                attempts.failures += 1;
                attempts.retry_at = Some(Instant::now() + self.backoff.after(attempts.failures));
                Err(error)
            }
        }
    }
}
